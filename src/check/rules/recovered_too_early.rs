//! See `recovered-too-early.md`.

use crate::check::acts::{Act, ActKind, by_other_means, does, led_here, place, related, statements, surely_other, surely_same};
use crate::check::value::Value;
use crate::check::{Call, Event, Facts, Finding, Inside, Look, Rule, Run, Severity};
use crate::tsql::syntax::{Restore, RestoreKind, Statement, StatementKind};

pub static RECOVERED_TOO_EARLY: Rule =
    Rule { slug: "recovered-too-early", severity: Severity::Error, page: include_str!("recovered-too-early.md"), look: Look::Run(check) };

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    if !run.whole || !run.complete || run.script.goes_astray() || !run.events.iter().any(|event| does(&event.call, ActKind::Recover)) {
        return;
    }
    let events: Vec<&Event> = run.events.iter().filter(|event| event.inside == Inside::Plain).collect();
    for (index, event) in events.iter().enumerate() {
        let call = &event.call;
        for act in call.acts.iter().filter(|act| act.kind == ActKind::Recover) {
            let Some(message) = too_early(&events, index, act) else { continue };
            let (file, span) = place(run, call, act);
            let mut finding = RECOVERED_TOO_EARLY.finding(
                &run.script.files[file],
                span,
                message,
                "no log can follow",
                "apply the log backups first with `restore_logs`, on every way that leads here",
            );
            finding.related = led_here(run, event);
            findings.push(finding);
        }
        for act in call.acts.iter().filter(|act| act.kind == ActKind::RestoreLogs) {
            let Some((earlier, recovery)) = recovered_before(&events, index, act) else { continue };
            let (file, span) = place(run, call, act);
            let mut finding = RECOVERED_TOO_EARLY.finding(
                &run.script.files[file],
                span,
                "log backups are applied to a database that may be online already",
                "refused: it is online",
                "bring the database online after the last log backup, not before",
            );
            let (file, span) = place(run, &earlier.call, recovery);
            finding.related.push(related(run, file, span, "brought online here"));
            finding.related.extend(led_here(run, event));
            findings.push(finding);
        }
    }
}

/// Why a recovery may come before the log backups that belong to it.
fn too_early(events: &[&Event], index: usize, recovery: &Act) -> Option<&'static str> {
    let event = events[index];
    let restore = statement(&event.call, recovery).and_then(restore_of);
    let is_log = restore.is_some_and(|restore| restore.kind == RestoreKind::Log);
    // a full backup that is restored and brought online at once has to do with other log backups only if it is surely the
    // same database
    let full = !is_log && restore.is_some_and(|restore| !restore.from.is_empty());
    let same = |call: &Call, database: Option<&Value>| {
        let one =
            if full { surely_same(database, recovery.database.as_ref()) } else { !surely_other(database, recovery.database.as_ref()) };
        one && !surely_other(call.argument("server"), event.call.argument("server"))
    };
    let restores = |call: &Call| call.acts.iter().any(|act| act.kind == ActKind::RestoreLogs && same(call, act.database.as_ref()));
    // the same database in each turn, and no turn that leaves it restoring
    let one = recovery.database.as_ref().is_some_and(|db| db.as_constant().is_some() || matches!(db, Value::Unknown { path: Some(_), .. }));
    if is_log && event.in_loop && recovery.always && one {
        return Some("each turn of the loop brings the database online, and the next log backup is refused");
    }
    if in_one_text(&event.call, recovery) {
        return None;
    }
    let mut others = events.iter().enumerate().filter(|(other, event)| *other != index && restores(&event.call)).map(|(other, _)| other);
    if let Some(first) = others.next() {
        return if first > index {
            Some("the database is brought online before its log backups are applied")
        } else if !event.must.has(Facts::RESTORED) {
            Some("there is a way here on which no log backup was applied")
        } else {
            None
        };
    }
    if is_log || restores(&event.call) || events[..index].iter().any(|event| by_other_means(&event.call)) {
        return None;
    }
    let belongs = |call: &Call| match call.name() {
        "log_chain" => same(call, call.argument("database")),
        "copy_backups" => !full,
        _ => !full && does(call, ActKind::RemoveShipping) && !surely_other(call.argument("server"), event.call.argument("server")),
    };
    events.iter().any(|event| belongs(&event.call)).then_some("the database is brought online, and nothing here applies its log backups")
}

/// What may have brought online before what log backups are applied to here.
fn recovered_before<'a>(events: &[&'a Event], index: usize, restore: &Act) -> Option<(&'a Event, &'a Act)> {
    let event = events[index];
    if !event.may.has(Facts::RECOVERED) {
        return None;
    }
    let recovers = |other: &'a Event| {
        let mut acts = other.call.acts.iter().filter(|act| act.kind == ActKind::Recover);
        let act = acts.find(|act| !surely_other(act.database.as_ref(), restore.database.as_ref()))?;
        (!surely_other(other.call.argument("server"), event.call.argument("server"))).then_some((other, act))
    };
    let (at, found) = events[..index].iter().enumerate().rev().find_map(|(at, other)| Some((at, recovers(other)?)))?;
    // a backup that is restored in between begins anew
    let begins = |statement: &Statement| {
        restore_of(statement).is_some_and(|r| r.kind == RestoreKind::Database && !r.from.is_empty() && !r.recovers())
    };
    let anew = events[at + 1..index].iter().flat_map(|other| &other.call.sql).flat_map(statements).any(begins);
    (!anew).then_some(found)
}

/// True if the recovery's own text applies a log backup before it.
fn in_one_text(call: &Call, recovery: &Act) -> bool {
    let Some(own) = statement(call, recovery) else { return false };
    call.acts.iter().any(|act| {
        act.kind == ActKind::RestoreLogs
            && act.sql == recovery.sql
            && act.range.as_ref().is_some_and(|range| range.start < own.range.start)
            && !surely_other(act.database.as_ref(), recovery.database.as_ref())
    })
}

/// The RESTORE that an act is, or is an option of.
fn statement<'a>(call: &'a Call, act: &Act) -> Option<&'a Statement> {
    let (sql, range) = (call.sql.get(act.sql?)?, act.range.as_ref()?);
    let around = |statement: &&Statement| {
        restore_of(statement).is_some() && statement.range.start <= range.start && range.end <= statement.range.end
    };
    statements(sql).into_iter().find(around)
}

fn restore_of(statement: &Statement) -> Option<&Restore> {
    match &statement.kind {
        StatementKind::Restore(restore) => Some(restore),
        _ => None,
    }
}
