//! See `duplicate-step.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static DUPLICATE_STEP: Rule =
    Rule { slug: "duplicate-step", severity: Severity::Error, page: include_str!("duplicate-step.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
