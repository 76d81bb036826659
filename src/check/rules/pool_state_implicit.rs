//! See `pool-state-implicit.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static POOL_STATE_IMPLICIT: Rule =
    Rule { slug: "pool-state-implicit", severity: Severity::Error, page: include_str!("pool-state-implicit.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
