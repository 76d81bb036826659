//! See `irreversible-without-word.md`.

use crate::check::acts::{Act, ActKind, led_here, place};
use crate::check::{Facts, Finding, Inside, Look, Rule, Run, Severity};

pub static IRREVERSIBLE_WITHOUT_WORD: Rule = Rule {
    slug: "irreversible-without-word",
    severity: Severity::Error,
    page: include_str!("irreversible-without-word.md"),
    look: Look::Run(check),
};

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    if !run.whole || !run.complete {
        return;
    }
    for event in run.events.iter().filter(|event| event.inside == Inside::Plain && !event.must.has(Facts::WORD)) {
        let call = &event.call;
        let mut found = call.acts.clone();
        found.retain(|act| act.kind.is_no_return() || act.kind == ActKind::Kill);
        // one confirm is missing for the call: shown where it first matters
        let Some(act) = found.iter().min_by_key(|act| (act.sql, act.range.as_ref().map(|range| range.start))) else { continue };
        let (file, span) = place(run, call, act);
        let mut finding = IRREVERSIBLE_WITHOUT_WORD.finding(
            &run.script.files[file],
            span,
            format!("{} has no `irreversible` confirm of its own", what(act)),
            "cannot be undone",
            "put `confirm(.., #{ id: \"..\", irreversible: true, .. })` before it, after the last point of no return",
        );
        finding.related = led_here(run, event);
        findings.push(finding);
    }
}

fn what(act: &Act) -> &'static str {
    match act.kind {
        ActKind::Recover => "bringing a database online",
        ActKind::Drop => "`DROP DATABASE`",
        ActKind::Replace => "overwriting a database by `REPLACE`",
        ActKind::Kill => "`KILL`",
        ActKind::ForceService => "`FORCE_SERVICE_ALLOW_DATA_LOSS`",
        _ => "`-DropExistingDatabasesOnMirror`",
    }
}
