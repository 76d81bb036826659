//! See `endless-wait.md`.

use crate::check::{File, Finding, Look, Rule, Severity};

pub static ENDLESS_WAIT: Rule =
    Rule { slug: "endless-wait", severity: Severity::Warning, page: include_str!("endless-wait.md"), look: Look::File(check) };

fn check(_: &File<'_>, _: &mut Vec<Finding>) {}
