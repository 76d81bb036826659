//! See `unknown-variable.md`.

use crate::check::{Look, Rule, Severity};

pub static UNKNOWN_VARIABLE: Rule =
    Rule { slug: "unknown-variable", severity: Severity::Error, page: include_str!("unknown-variable.md"), look: Look::Load };
