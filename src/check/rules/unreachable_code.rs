//! See `unreachable-code.md`.

use crate::check::{File, Finding, Look, Rule, Severity};

pub static UNREACHABLE_CODE: Rule =
    Rule { slug: "unreachable-code", severity: Severity::Warning, page: include_str!("unreachable-code.md"), look: Look::File(check) };

fn check(_: &File<'_>, _: &mut Vec<Finding>) {}
