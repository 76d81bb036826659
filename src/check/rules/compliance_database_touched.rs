//! See `compliance-database-touched.md`.

use std::ops::Range;

use crate::check::acts::surely_changes;
use crate::check::value::{Text, Value};
use crate::check::{Call, Finding, Look, Rule, Run, Severity, Sql};
use crate::tsql::classify::{Class, classify};
use crate::tsql::lex::{Token, TokenKind};
use crate::tsql::syntax::{DatabaseChangeKind, Statement, StatementKind};

pub static COMPLIANCE_DATABASE_TOUCHED: Rule = Rule {
    slug: "compliance-database-touched",
    severity: Severity::Error,
    page: include_str!("compliance-database-touched.md"),
    look: Look::Calls(check),
};

/// The compliance database of Persistent Chat.
const COMPLIANCE: &str = "mgccomp";

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    for event in &run.events {
        let call = &event.call;
        if call.name() == "query" || !surely_changes(call) {
            continue;
        }
        for (file, span) in touched(run, call) {
            findings.push(COMPLIANCE_DATABASE_TOUCHED.finding(
                &run.script.files[file],
                span,
                format!("`{}` touches `{COMPLIANCE}`, the compliance database", call.name()),
                "no part of a failover",
                "leave it alone: its rows are a queue that the compliance adapter drains",
            ));
        }
    }
}

/// Where a call names it as what is changed.
fn touched(run: &Run<'_>, call: &Call) -> Vec<(usize, Range<usize>)> {
    let mut found = Vec::new();
    match call.name() {
        "restore_logs" if call.argument("database").is_some_and(names_it) => {
            found.extend(call.index_of("database").map(|index| (call.file, run.argument_span(call, index))));
        }
        "copy_backups" => {
            let pattern = |value: &Value| value.as_constant().is_some_and(|text| text.to_ascii_lowercase().starts_with(COMPLIANCE));
            if let Some(index) = call.options_at()
                && call.option("matching").is_some_and(|value| value.alternatives().iter().any(pattern))
            {
                found.push((call.file, run.value_span(call, index, "matching")));
            }
        }
        "sql" => {
            found.extend(call.sql.iter().filter_map(|sql| Some(run.text_span(call, 1, &sql.text, &named(sql)?))));
            if let (Some(index), Some(Value::Map(entries))) = (call.index_of("params"), call.argument("params"))
                && !call.sql.iter().all(harmless)
            {
                let bound = entries.iter().filter(|(_, value)| names_it(value));
                found.extend(bound.map(|(key, _)| (call.file, run.value_span(call, index, key))));
            }
        }
        _ => {}
    }
    found
}

fn names_it(value: &Value) -> bool {
    value.alternatives().iter().any(|value| value.as_constant().is_some_and(|text| text.eq_ignore_ascii_case(COMPLIANCE)))
}

/// The first place in a text where a changing statement names it.
fn named(sql: &Sql) -> Option<Range<usize>> {
    let text = sql.rendered.as_str();
    if !text.to_ascii_lowercase().contains(COMPLIANCE) {
        return None;
    }
    let mut used = None;
    for statement in &sql.batch.as_ref().ok()?.statements {
        if let StatementKind::Use(database) = &statement.kind {
            used = database.literal().filter(|name| name.eq_ignore_ascii_case(COMPLIANCE)).map(|_| database.range.clone());
        }
        if allowed(text, statement) {
            continue;
        }
        let own = |token: &&Token| token.start >= statement.range.start && token.end <= statement.range.end;
        let own: Vec<&Token> = sql.tokens.iter().filter(own).collect();
        // `a.b.c` may be somewhere else
        let is_other = own.windows(4).any(|four| four[1].is_operator(text, ".") && four[3].is_operator(text, "."));
        if used.is_some() && matches!(statement.kind, StatementKind::Other { .. }) && !is_other {
            return used;
        }
        if let StatementKind::Exec(_) = statement.kind {
            let runs = |token: &&&Token| token.string(text).is_some_and(|inner| named(&Sql::of(&Text::constant(inner, None))).is_some());
            if let Some(token) = own.iter().find(runs) {
                return Some(token.range());
            }
        }
        for (index, token) in own.iter().enumerate() {
            let name = token.name(text).or_else(|| token.string(text)).unwrap_or_default();
            if name.trim().eq_ignore_ascii_case(COMPLIANCE) && !excluded(text, &own[..index]) {
                return Some(token.range());
            }
        }
    }
    None
}

/// True if what follows these tokens is what a text leaves out: `<> N'mgccomp'`, `NOT IN ('a', 'mgccomp')`.
fn excluded(text: &str, before: &[&Token]) -> bool {
    let in_list = |token: &&&Token| matches!(token.kind, TokenKind::Text | TokenKind::NationalText) || token.is_operator(text, ",");
    match &before[..before.len() - before.iter().rev().take_while(in_list).count()] {
        [.., not, inside, open] if open.is_operator(text, "(") => inside.is_word(text, "IN") && not.is_word(text, "NOT"),
        [.., not, like] if like.is_word(text, "LIKE") => not.is_word(text, "NOT"),
        [.., operator] => operator.is_operator(text, "<>") || operator.is_operator(text, "!="),
        [] => false,
    }
}

/// What may be done with it: looking, backing it up, and ending its mirroring, which failing back asks for.
fn allowed(text: &str, statement: &Statement) -> bool {
    match &statement.kind {
        StatementKind::Backup(_) => true,
        StatementKind::AlterDatabase(alter) => alter.changes.iter().all(|change| {
            matches!(&change.kind, DatabaseChangeKind::WitnessOff)
                || matches!(&change.kind, DatabaseChangeKind::PartnerAction(action) if action == "OFF")
        }),
        _ => text.get(statement.range.clone()).is_none_or(|part| classify(part).class == Class::Reads),
    }
}

fn harmless(sql: &Sql) -> bool {
    sql.batch.as_ref().is_ok_and(|batch| batch.statements.iter().all(|statement| allowed(&sql.rendered, statement)))
}
