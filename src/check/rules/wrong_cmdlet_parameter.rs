//! See `wrong-cmdlet-parameter.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static WRONG_CMDLET_PARAMETER: Rule = Rule {
    slug: "wrong-cmdlet-parameter",
    severity: Severity::Error,
    page: include_str!("wrong-cmdlet-parameter.md"),
    look: Look::Run(check),
};

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
