//! See `effect-outside-step.md`.

use std::collections::BTreeSet;

use crate::check::{Finding, Inside, Look, Rule, Run, Severity};
use crate::primitives::Class;

pub static EFFECT_OUTSIDE_STEP: Rule =
    Rule { slug: "effect-outside-step", severity: Severity::Warning, page: include_str!("effect-outside-step.md"), look: Look::Run(check) };

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    if !run.whole {
        return;
    }
    let mut shown = BTreeSet::new();
    for event in run.events.iter().filter(|event| event.step == 0 && event.inside == Inside::Plain) {
        let call = &event.call;
        if call.class() == Class::Tells {
            continue;
        }
        // a module does not know in which step it is called: the runbook's call is what stands outside
        let (file, at) = event.through.first().copied().unwrap_or((call.file, call.position));
        let span = run.script.files[file].span_at(at);
        if !shown.insert((file, span.start)) {
            continue;
        }
        let message = if event.through.is_empty() {
            format!("`{}` stands outside of every step", call.name())
        } else {
            format!("this call leads to `{}` outside of every step", call.name())
        };
        findings.push(EFFECT_OUTSIDE_STEP.finding(
            &run.script.files[file],
            span,
            message,
            "in no step",
            "put it into the `step(..)` of the procedure that it belongs to",
        ));
    }
}
