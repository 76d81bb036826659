//! See `restored-before-copied.md`.

use std::sync::Arc;

use crate::check::acts::{ActKind, by_other_means, does, led_here, related};
use crate::check::value::Value;
use crate::check::{Call, Event, Facts, Finding, Inside, Look, Rule, Run, Severity};

pub static RESTORED_BEFORE_COPIED: Rule = Rule {
    slug: "restored-before-copied",
    severity: Severity::Error,
    page: include_str!("restored-before-copied.md"),
    look: Look::Run(check),
};

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    if !run.whole || !run.complete || run.script.goes_astray() {
        return;
    }
    let events: Vec<&Event> = run.events.iter().filter(|event| event.inside == Inside::Plain).collect();
    for (index, event) in events.iter().enumerate().filter(|(_, event)| event.call.name() == "restore_logs") {
        let folder = event.call.argument("folder");
        let into = |call: &Call| call.name() == "copy_backups" && !elsewhere(call.option("to"), folder) && !swapped(call, folder);
        if event.may.has(Facts::COPIED) && events[..index].iter().any(|other| into(&other.call)) {
            continue;
        }
        let later = events[index + 1..].iter().find(|other| into(&other.call) && other.may.has(Facts::RESTORED));
        let message = if later.is_some() {
            "log backups are applied before they are copied"
        } else if events[..index].iter().any(|other| swapped(&other.call, folder)) {
            "log backups are copied from the folder that they are applied from, to the share"
        } else if never_copied(&events, index, folder) {
            "log backups are applied from a folder that nothing here copies to"
        } else {
            continue;
        };
        let mut finding = RESTORED_BEFORE_COPIED.finding(
            &run.script.files[event.call.file],
            run.name_span(&event.call),
            message,
            "misses what is not copied",
            "copy what is still on the share first, with `copy_backups`",
        );
        if let Some(copy) = later {
            finding.related.push(related(run, copy.call.file, run.name_span(&copy.call), "copied only here"));
        }
        finding.related.extend(led_here(run, event));
        findings.push(finding);
    }
}

/// True if two folders are surely not the same.
fn elsewhere(to: Option<&Value>, folder: Option<&Value>) -> bool {
    to.zip(folder).is_some_and(|(to, folder)| to.surely_differs(folder))
}

/// True for a copy that goes the wrong way: to the share, from where the backups are applied.
fn swapped(call: &Call, folder: Option<&Value>) -> bool {
    let from = path(call.option("from"));
    call.name() == "copy_backups"
        && from.is_some()
        && from == path(folder)
        && path(call.option("to")).as_deref() == Some("site.backups.share")
}

/// The name that a folder has in the site.
fn path(folder: Option<&Value>) -> Option<Arc<str>> {
    match folder {
        Some(Value::Unknown { path, .. }) => path.clone(),
        _ => None,
    }
}

/// A failover that lists or copies backups of one folder and restores from another, and leaves the copying to nobody.
fn never_copied(events: &[&Event], index: usize, folder: Option<&Value>) -> bool {
    let Some(folder) = path(folder) else { return false };
    let copies = |call: &Call| call.name() == "copy_backups";
    let other_source = |call: &Call| {
        let read = if copies(call) { call.option("from") } else { call.argument("folder").filter(|_| call.name() == "backups") };
        path(read).is_some_and(|read| read != folder)
    };
    let may_copy_here =
        |call: &Call| copies(call) && (!call.options_known() || path(call.option("from")).is_some_and(|from| from == folder));
    let fails_over = |call: &Call| [ActKind::RemoveShipping, ActKind::SwitchPool, ActKind::Recover].iter().any(|kind| does(call, *kind));
    events.iter().any(|event| fails_over(&event.call))
        && events.iter().any(|event| other_source(&event.call))
        && !events.iter().any(|event| may_copy_here(&event.call))
        && !events[..index].iter().any(|event| by_other_means(&event.call))
}
