//! See `unknown-cmdlet.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static UNKNOWN_CMDLET: Rule =
    Rule { slug: "unknown-cmdlet", severity: Severity::Error, page: include_str!("unknown-cmdlet.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
