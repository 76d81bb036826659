//! See `unknown-site-key.md`.

use crate::check::{File, Finding, Look, Rule, Severity};

pub static UNKNOWN_SITE_KEY: Rule =
    Rule { slug: "unknown-site-key", severity: Severity::Error, page: include_str!("unknown-site-key.md"), look: Look::File(check) };

fn check(_: &File<'_>, _: &mut Vec<Finding>) {}
