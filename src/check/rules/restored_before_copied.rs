//! See `restored-before-copied.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static RESTORED_BEFORE_COPIED: Rule = Rule {
    slug: "restored-before-copied",
    severity: Severity::Error,
    page: include_str!("restored-before-copied.md"),
    look: Look::Run(check),
};

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
