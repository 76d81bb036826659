//! See `unused-variable.md`.

use crate::check::{File, Finding, Look, Rule, Severity};

pub static UNUSED_VARIABLE: Rule =
    Rule { slug: "unused-variable", severity: Severity::Warning, page: include_str!("unused-variable.md"), look: Look::File(check) };

fn check(_: &File<'_>, _: &mut Vec<Finding>) {}
