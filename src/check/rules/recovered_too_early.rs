//! See `recovered-too-early.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static RECOVERED_TOO_EARLY: Rule =
    Rule { slug: "recovered-too-early", severity: Severity::Error, page: include_str!("recovered-too-early.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
