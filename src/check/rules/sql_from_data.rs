//! See `sql-from-data.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static SQL_FROM_DATA: Rule =
    Rule { slug: "sql-from-data", severity: Severity::Error, page: include_str!("sql-from-data.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
