//! See `unverified-change.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static UNVERIFIED_CHANGE: Rule =
    Rule { slug: "unverified-change", severity: Severity::Warning, page: include_str!("unverified-change.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
