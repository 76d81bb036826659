//! See `sessions-killed-blindly.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static SESSIONS_KILLED_BLINDLY: Rule = Rule {
    slug: "sessions-killed-blindly",
    severity: Severity::Warning,
    page: include_str!("sessions-killed-blindly.md"),
    look: Look::Run(check),
};

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
