//! See `unused-function.md`.

use crate::check::{Finding, Look, Rule, Set, Severity};

pub static UNUSED_FUNCTION: Rule =
    Rule { slug: "unused-function", severity: Severity::Warning, page: include_str!("unused-function.md"), look: Look::Set(check) };

fn check(_: &Set<'_>, _: &mut Vec<Finding>) {}
