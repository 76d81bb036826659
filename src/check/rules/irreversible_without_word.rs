//! See `irreversible-without-word.md`.

use crate::check::{Finding, Look, Rule, Run, Severity};

pub static IRREVERSIBLE_WITHOUT_WORD: Rule = Rule {
    slug: "irreversible-without-word",
    severity: Severity::Error,
    page: include_str!("irreversible-without-word.md"),
    look: Look::Run(check),
};

fn check(_: &Run<'_>, _: &mut Vec<Finding>) {}
