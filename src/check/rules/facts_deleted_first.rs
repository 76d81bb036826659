//! See `facts-deleted-first.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static FACTS_DELETED_FIRST: Rule =
    Rule { slug: "facts-deleted-first", severity: Severity::Error, page: include_str!("facts-deleted-first.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
