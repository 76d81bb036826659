//! See `forced-cmdlet.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static FORCED_CMDLET: Rule =
    Rule { slug: "forced-cmdlet", severity: Severity::Warning, page: include_str!("forced-cmdlet.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
