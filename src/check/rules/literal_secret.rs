//! See `literal-secret.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static LITERAL_SECRET: Rule =
    Rule { slug: "literal-secret", severity: Severity::Warning, page: include_str!("literal-secret.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
