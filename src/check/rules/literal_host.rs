//! See `literal-host.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static LITERAL_HOST: Rule =
    Rule { slug: "literal-host", severity: Severity::Warning, page: include_str!("literal-host.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
