//! See `facts-deleted-first.md`.

use crate::check::acts::{ActKind, does, led_here, place, surely_other};
use crate::check::{Event, Facts, Finding, Inside, Look, Rule, Run, Severity};

pub static FACTS_DELETED_FIRST: Rule =
    Rule { slug: "facts-deleted-first", severity: Severity::Error, page: include_str!("facts-deleted-first.md"), look: Look::Run(check) };

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    if !run.whole || !run.complete || run.script.goes_astray() {
        return;
    }
    for (index, event) in run.events.iter().enumerate().filter(|(_, event)| event.inside == Inside::Plain) {
        let call = &event.call;
        let found = &call.acts;
        let Some(removal) = found.iter().position(|act| act.kind == ActKind::RemoveShipping) else { continue };
        // what another server says of its own is lost all the same
        let here = |other: &&Event| !surely_other(other.call.argument("server"), call.argument("server"));
        let before = |kind: ActKind| run.events[..index].iter().filter(here).any(|other| does(&other.call, kind));
        // a text may read the tables before it empties them
        let read =
            |fact: Facts, kind: ActKind| (event.must.has(fact) && before(kind)) || found[..removal].iter().any(|act| act.kind == kind);
        let secondary = read(Facts::READ_SECONDARY, ActKind::ReadSecondary);
        let databases = read(Facts::READ_DATABASES, ActKind::ReadDatabases);
        let unread = match (secondary, databases) {
            (true, true) => continue,
            (true, false) => "`log_shipping_secondary_databases` was",
            (false, true) => "`log_shipping_secondary` was",
            (false, false) => "`log_shipping_secondary` and `_databases` were",
        };
        let (file, span) = place(run, call, &found[removal]);
        let mut finding = FACTS_DELETED_FIRST.finding(
            &run.script.files[file],
            span,
            format!("log shipping is removed before {unread} read"),
            "deletes what is needed later",
            "read both tables of msdb first, as `log_shipping::facts` does, and `keep` what they hold",
        );
        finding.related = led_here(run, event);
        findings.push(finding);
    }
}
