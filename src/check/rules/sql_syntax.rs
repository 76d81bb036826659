//! See `sql-syntax.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static SQL_SYNTAX: Rule =
    Rule { slug: "sql-syntax", severity: Severity::Error, page: include_str!("sql-syntax.md"), look: Look::Run(check) };

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
