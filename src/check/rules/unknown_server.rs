//! See `unknown-server.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static UNKNOWN_SERVER: Rule =
    Rule { slug: "unknown-server", severity: Severity::Error, page: include_str!("unknown-server.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
