//! See `active-servers-replaced.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static ACTIVE_SERVERS_REPLACED: Rule = Rule {
    slug: "active-servers-replaced",
    severity: Severity::Error,
    page: include_str!("active-servers-replaced.md"),
    look: Look::Run(check),
};

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
