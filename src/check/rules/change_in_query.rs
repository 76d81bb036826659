//! See `change-in-query.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static CHANGE_IN_QUERY: Rule =
    Rule { slug: "change-in-query", severity: Severity::Error, page: include_str!("change-in-query.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
