//! See `return-in-step.md`.

use crate::check::{File, Finding, Look, Rule, Severity};

pub static RETURN_IN_STEP: Rule =
    Rule { slug: "return-in-step", severity: Severity::Error, page: include_str!("return-in-step.md"), look: Look::File(check) };

fn check(_: &File<'_>, _: &mut Vec<Finding>) {}
