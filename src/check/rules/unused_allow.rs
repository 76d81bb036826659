//! See `unused-allow.md`.

use crate::check::{Look, Rule, Severity};

pub static UNUSED_ALLOW: Rule =
    Rule { slug: "unused-allow", severity: Severity::Warning, page: include_str!("unused-allow.md"), look: Look::Comments };
