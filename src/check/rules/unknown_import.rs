//! See `unknown-import.md`.

use crate::check::{Look, Rule, Severity};

pub static UNKNOWN_IMPORT: Rule =
    Rule { slug: "unknown-import", severity: Severity::Error, page: include_str!("unknown-import.md"), look: Look::Load };
