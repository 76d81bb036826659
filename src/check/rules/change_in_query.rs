//! See `change-in-query.md`.

use crate::check::acts::changing;
use crate::check::{Finding, Look, Rule, Run, Severity};

pub static CHANGE_IN_QUERY: Rule =
    Rule { slug: "change-in-query", severity: Severity::Error, page: include_str!("change-in-query.md"), look: Look::Calls(check) };

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    for event in &run.events {
        let call = &event.call;
        if call.name() != "query" || (run.is_built_in(call) && call.sql.iter().all(|sql| sql.text.is_constant())) {
            continue;
        }
        for sql in &call.sql {
            // what makes it unreadable is told by `typographic-dash`
            if super::typographic_dash::plain(&sql.rendered).is_some() {
                continue;
            }
            let Some(range) = changing(sql).into_iter().next() else { continue };
            if super::sql_syntax::refused(sql).is_some() {
                continue;
            }
            let (file, span) = run.text_span(call, 1, &sql.text, &range);
            let why = sql.classified().change.as_ref().filter(|change| change.range == range).map(|change| change.why.as_str());
            findings.push(CHANGE_IN_QUERY.finding(
                &run.script.files[file],
                span,
                format!("`query` refuses this text: {}", why.unwrap_or("it is a change")),
                "not provably a read",
                "call `sql` for a change, after a `confirm`, with a `done_when` that proves it",
            ));
        }
    }
}
