//! See `wrong-arguments.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static WRONG_ARGUMENTS: Rule =
    Rule { slug: "wrong-arguments", severity: Severity::Error, page: include_str!("wrong-arguments.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
