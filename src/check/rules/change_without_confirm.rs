//! See `change-without-confirm.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static CHANGE_WITHOUT_CONFIRM: Rule = Rule {
    slug: "change-without-confirm",
    severity: Severity::Error,
    page: include_str!("change-without-confirm.md"),
    look: Look::Run(check),
};

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
