//! See `change-in-done-when.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static CHANGE_IN_DONE_WHEN: Rule =
    Rule { slug: "change-in-done-when", severity: Severity::Error, page: include_str!("change-in-done-when.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
