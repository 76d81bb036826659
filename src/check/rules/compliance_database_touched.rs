//! See `compliance-database-touched.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static COMPLIANCE_DATABASE_TOUCHED: Rule = Rule {
    slug: "compliance-database-touched",
    severity: Severity::Error,
    page: include_str!("compliance-database-touched.md"),
    look: Look::Run(check),
};

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
