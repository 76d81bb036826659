//! See `pool-switched-too-early.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static POOL_SWITCHED_TOO_EARLY: Rule = Rule {
    slug: "pool-switched-too-early",
    severity: Severity::Error,
    page: include_str!("pool-switched-too-early.md"),
    look: Look::Run(check),
};

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
