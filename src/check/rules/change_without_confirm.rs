//! See `change-without-confirm.md`.

use crate::check::acts::{led_here, surely_changes};
use crate::check::{Facts, Finding, Inside, Look, Rule, Run, Severity};

pub static CHANGE_WITHOUT_CONFIRM: Rule = Rule {
    slug: "change-without-confirm",
    severity: Severity::Error,
    page: include_str!("change-without-confirm.md"),
    look: Look::Run(check),
};

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    if !run.whole || !run.complete {
        return;
    }
    for event in run.events.iter().filter(|event| event.inside == Inside::Plain && !event.must.has(Facts::CONFIRMED)) {
        let call = &event.call;
        if !surely_changes(call) {
            continue;
        }
        let message = if event.may.has(Facts::CONFIRMED) {
            format!("there is a way to this `{}` that no `confirm` stands on", call.name())
        } else {
            format!("this `{}` changes something that nobody has confirmed", call.name())
        };
        let mut finding = CHANGE_WITHOUT_CONFIRM.finding(
            &run.script.files[call.file],
            run.name_span(call),
            message,
            "a change nobody confirmed",
            "ask with `confirm` before it, on every way; what cannot be undone uses up the confirm before it",
        );
        finding.related = led_here(run, event);
        findings.push(finding);
    }
}
