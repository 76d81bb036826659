//! See `syntax.md`.

use crate::check::{Look, Rule, Severity};

pub static SYNTAX: Rule = Rule { slug: "syntax", severity: Severity::Error, page: include_str!("syntax.md"), look: Look::Load };
