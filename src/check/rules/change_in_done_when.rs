//! See `change-in-done-when.md`.

use crate::check::acts::surely_changes;
use crate::check::{Finding, Inside, Look, Rule, Run, Severity};
use crate::primitives::Class;

pub static CHANGE_IN_DONE_WHEN: Rule =
    Rule { slug: "change-in-done-when", severity: Severity::Error, page: include_str!("change-in-done-when.md"), look: Look::Run(check) };

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    for event in &run.events {
        let around = match event.inside {
            Inside::Plain => continue,
            Inside::DoneWhen => "done_when",
            Inside::WaitUntil => "wait_until",
        };
        let call = &event.call;
        let asks = call.class() == Class::Asks;
        if !asks && !surely_changes(call) {
            continue;
        }
        let (what, label) =
            if asks { ("asks the operator", "asks again and again") } else { ("changes something", "changes again and again") };
        findings.push(CHANGE_IN_DONE_WHEN.finding(
            &run.script.files[call.file],
            run.name_span(call),
            format!("`{}` inside a `{around}` closure {what}", call.name()),
            label,
            format!("move it out of the closure: what `{around}` asks only reads"),
        ));
    }
}
