//! See `indirect-call.md`.

use crate::check::{Look, Rule, Severity};

pub static INDIRECT_CALL: Rule =
    Rule { slug: "indirect-call", severity: Severity::Error, page: include_str!("indirect-call.md"), look: Look::Load };
