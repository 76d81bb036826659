//! See `captured-write.md`.

use crate::check::{File, Finding, Look, Rule, Severity};

pub static CAPTURED_WRITE: Rule =
    Rule { slug: "captured-write", severity: Severity::Warning, page: include_str!("captured-write.md"), look: Look::File(check) };

fn check(_: &File<'_>, _: &mut Vec<Finding>) {}
