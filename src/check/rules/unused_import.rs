//! See `unused-import.md`.

use crate::check::{File, Finding, Look, Rule, Severity};

pub static UNUSED_IMPORT: Rule =
    Rule { slug: "unused-import", severity: Severity::Warning, page: include_str!("unused-import.md"), look: Look::File(check) };

fn check(_: &File<'_>, _: &mut Vec<Finding>) {}
