//! See `swallowed-error.md`.

use crate::check::{File, Finding, Look, Rule, Severity};

pub static SWALLOWED_ERROR: Rule =
    Rule { slug: "swallowed-error", severity: Severity::Warning, page: include_str!("swallowed-error.md"), look: Look::File(check) };

fn check(_: &File<'_>, _: &mut Vec<Finding>) {}
