//! See `sessions-killed-blindly.md`.

use crate::check::acts::{meant, statements};
use crate::check::narrow;
use crate::check::value::{Tags, Value};
use crate::check::{Finding, Look, Rule, Run, Severity, Sql};
use crate::tsql::syntax::{StatementKind, ValueKind};

pub static SESSIONS_KILLED_BLINDLY: Rule = Rule {
    slug: "sessions-killed-blindly",
    severity: Severity::Warning,
    page: include_str!("sessions-killed-blindly.md"),
    look: Look::Calls(check),
};

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    for event in run.events.iter().filter(|event| event.call.name() == "sql") {
        let call = &event.call;
        for sql in call.sql.iter().filter(|sql| !looks_again(sql)) {
            for statement in statements(sql) {
                let StatementKind::Kill(kill) = &statement.kind else { continue };
                // a text is a unit of work, not a session
                if kill.status_only || matches!(kill.session.kind, ValueKind::Text(_)) {
                    continue;
                }
                let Some(why) = meant(call, sql, &kill.session).as_ref().and_then(blind) else { continue };
                let mut ways = event.through.iter().copied().chain([(call.file, call.position)]);
                if ways.any(|(file, at)| narrow::turn(&run.script.files[file], at)) {
                    continue;
                }
                let (file, span) = run.text_span(call, 1, &sql.text, &statement.range);
                findings.push(SESSIONS_KILLED_BLINDLY.finding(
                    &run.script.files[file],
                    span,
                    format!("`KILL` of {why}"),
                    "whose session is it?",
                    "take the ids from the sessions of that database, `WHERE dbid = DB_ID(@db)`, and ask once more in the batch that kills",
                ));
            }
        }
    }
}

/// True if the batch itself asks which database a session is in.
fn looks_again(sql: &Sql) -> bool {
    sql.tokens
        .iter()
        .filter_map(|token| token.name(&sql.rendered))
        .any(|name| matches!(name.to_ascii_lowercase().as_str(), "dbid" | "database_id" | "db_id" | "db_name" | "dbname"))
}

/// Why nobody knows whose session it is; nothing if somebody may.
fn blind(session: &Value) -> Option<&'static str> {
    session.alternatives().iter().find_map(|value| match value {
        Value::Int(_) | Value::Text(_) => Some("a session id that is written out: in the disaster it is somebody else's"),
        Value::Unknown { tags, .. } if tags.has(Tags::ONE_DATABASE) => None,
        Value::Unknown { tags, .. } if tags.has(Tags::QUERY) => Some("sessions from a list that is not narrowed to one database"),
        Value::Unknown { tags, .. } if *tags == Tags::SITE => {
            Some("a session id from the site file: in the disaster it is somebody else's")
        }
        _ => None,
    })
}
