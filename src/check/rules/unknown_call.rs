//! See `unknown-call.md`.

use crate::check::{Look, Rule, Severity};

pub static UNKNOWN_CALL: Rule =
    Rule { slug: "unknown-call", severity: Severity::Error, page: include_str!("unknown-call.md"), look: Look::Load };
