//! See `pool-switched-too-early.md`.

use crate::check::acts::{ActKind, does, led_here};
use crate::check::{Facts, Finding, Inside, Look, Rule, Run, Severity};

pub static POOL_SWITCHED_TOO_EARLY: Rule = Rule {
    slug: "pool-switched-too-early",
    severity: Severity::Error,
    page: include_str!("pool-switched-too-early.md"),
    look: Look::Run(check),
};

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    if !run.whole || !run.complete {
        return;
    }
    let all: Vec<_> = run.events.iter().filter(|event| event.inside == Inside::Plain).collect();
    let restores = |kind: ActKind| matches!(kind, ActKind::Recover | ActKind::RestoreLogs | ActKind::RemoveShipping);
    if !all.iter().flat_map(|event| &event.call.acts).any(|act| restores(act.kind)) {
        return;
    }
    for event in all {
        if event.must.has(Facts::ONLINE) || !does(&event.call, ActKind::SwitchPool) {
            continue;
        }
        let mut finding = POOL_SWITCHED_TOO_EARLY.finding(
            &run.script.files[event.call.file],
            run.name_span(&event.call),
            "the pool is switched to a database that may not be online yet",
            "pool turns to closed database",
            "bring the database online first, on every way that leads here",
        );
        finding.related = led_here(run, event);
        findings.push(finding);
    }
}
