//! See `shadowed-site.md`.

use crate::check::{Look, Rule, Severity};

pub static SHADOWED_SITE: Rule =
    Rule { slug: "shadowed-site", severity: Severity::Error, page: include_str!("shadowed-site.md"), look: Look::Load };
