//! See `effect-outside-step.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static EFFECT_OUTSIDE_STEP: Rule =
    Rule { slug: "effect-outside-step", severity: Severity::Warning, page: include_str!("effect-outside-step.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
