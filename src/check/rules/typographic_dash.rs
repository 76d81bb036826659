//! See `typographic-dash.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static TYPOGRAPHIC_DASH: Rule =
    Rule { slug: "typographic-dash", severity: Severity::Warning, page: include_str!("typographic-dash.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
