//! See `allow-without-reason.md`.

use crate::check::{Look, Rule, Severity};

pub static ALLOW_WITHOUT_REASON: Rule =
    Rule { slug: "allow-without-reason", severity: Severity::Warning, page: include_str!("allow-without-reason.md"), look: Look::Comments };
