//! KILL, ALTER DATABASE and DROP DATABASE.

mod partner;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::civil::DateTime;

use super::Failure;
use super::restore::undo;
use super::run::Runner;
use crate::lab::instance::{Access, Database, DatabaseState, Instance, State, same};
use crate::lab::messages::{self, Raised};
use crate::lab::tds::Cell;
use crate::tsql::syntax::{AlterDatabase, DatabaseChangeKind, DropDatabase, Kill, Termination, Value, ValueKind};

/// KILL n: ends another session; what it was doing is rolled back.
pub fn kill(runner: &mut Runner<'_>, kill: &Kill) -> Result<(), Failure> {
    let id = match &kill.session.kind {
        ValueKind::Number(digits) => digits.parse::<i64>().unwrap_or(i64::MAX),
        ValueKind::Text(uow) => return Err(messages::no_such_work(uow).into()),
        _ => return Err(messages::incorrect_syntax("KILL").into()),
    };
    if runner.connection.transactions > 0 {
        return Err(messages::kill_in_transaction().into());
    }
    let instance = Arc::clone(&runner.connection.instance);
    if !instance.rights.is_sysadmin() {
        return Err(messages::kill_denied().into());
    }
    let target = u16::try_from(id).ok().filter(|id| *id > 0 && *id < 32_768).ok_or_else(|| messages::not_a_session_id(id))?;
    if kill.status_only {
        return status(runner, &instance, id, target);
    }
    if target == runner.connection.id {
        return Err(messages::own_kill().into());
    }
    {
        let mut state = instance.lock();
        match state.sessions.get(&target) {
            None => return Err(messages::not_active(id).into()),
            Some(row) if !row.user => return Err(messages::system_kill().into()),
            Some(_) => {}
        }
        end(&instance, &mut state, target, instance.world.local());
    }
    runner.reply.done(None);
    Ok(())
}

/// KILL n WITH STATUSONLY: how far the rollback of a killed session is.
fn status(runner: &mut Runner<'_>, instance: &Instance, id: i64, target: u16) -> Result<(), Failure> {
    let rollback = instance.lock().sessions.get(&target).and_then(|row| row.rollback);
    let (since, end) = rollback.ok_or_else(|| messages::no_rollback(id))?;
    let left = end.saturating_duration_since(Instant::now());
    let all = end.saturating_duration_since(since).as_secs_f64().max(f64::EPSILON);
    let percent = ((1.0 - left.as_secs_f64() / all) * 100.0).clamp(0.0, 100.0) as u32;
    runner.say(*messages::rollback_progress(id, percent, left.as_secs()));
    runner.reply.done(None);
    Ok(())
}

/// Ends a session: at once when it is idle, when its transaction is rolled back if it has one, and as soon as it notices when
/// it runs something.
pub fn end(instance: &Instance, state: &mut State, target: u16, now: DateTime) {
    let Some(row) = state.sessions.get_mut(&target) else { return };
    let idle = row.running.is_none();
    if !idle {
        row.killed = true;
        return;
    }
    let time = instance.world.paced(instance.world.recovery_seconds);
    if row.transactions > 0 && !time.is_zero() {
        let since = Instant::now();
        row.killed = true;
        row.rollback.get_or_insert((since, since + time));
    } else {
        state.end_session(target, now);
    }
    if let Some(links) = instance.links.get() {
        links.cut(target);
    }
}

/// ALTER DATABASE name SET ...: the options that recovery work uses.
pub fn alter_database(runner: &mut Runner<'_>, alter: &AlterDatabase) -> Result<(), Failure> {
    let name = match &alter.database {
        Some(name) => runner.name(name)?,
        None => runner.connection.database.clone(),
    };
    if runner.connection.transactions > 0 {
        return Err(messages::in_user_transaction("ALTER DATABASE").into());
    }
    let instance = Arc::clone(&runner.connection.instance);
    for change in &alter.changes {
        let wrap = |raised: Raised| Failure::wrapped(raised, messages::alter_failed());
        let found = instance.lock().database(&name).cloned().filter(|_| instance.rights.over_databases());
        let database = found.ok_or_else(|| wrap(messages::alter_denied(&name)))?;
        match &change.kind {
            DatabaseChangeKind::SingleUser => access(runner, &database, Access::Single, alter.termination).map_err(wrap)?,
            DatabaseChangeKind::RestrictedUser => access(runner, &database, Access::Restricted, alter.termination).map_err(wrap)?,
            DatabaseChangeKind::MultiUser => access(runner, &database, Access::Multi, alter.termination).map_err(wrap)?,
            DatabaseChangeKind::Partner(address) => {
                let address = runner.name(address)?;
                partner::pair(&instance, &database, &address)?;
            }
            DatabaseChangeKind::PartnerAction(action) => partner::act(&instance, &database, action)?,
            DatabaseChangeKind::Recovery(model) => recovery_model(&instance, &database, model).map_err(wrap)?,
            DatabaseChangeKind::Offline => offline(runner, &database, alter.termination).map_err(wrap)?,
            DatabaseChangeKind::Online => online(&instance, &database).map_err(wrap)?,
            other => return Err(wrap(messages::not_an_option(&option_name(other)))),
        }
    }
    runner.reply.done(None);
    Ok(())
}

fn option_name(change: &DatabaseChangeKind) -> String {
    match change {
        DatabaseChangeKind::Other(words) => words.clone(),
        DatabaseChangeKind::Witness(_) | DatabaseChangeKind::WitnessOff => "WITNESS".to_owned(),
        DatabaseChangeKind::ReadOnly => "READ_ONLY".to_owned(),
        DatabaseChangeKind::ReadWrite => "READ_WRITE".to_owned(),
        DatabaseChangeKind::Emergency => "EMERGENCY".to_owned(),
        _ => "SET".to_owned(),
    }
}

/// Options cannot be changed while a database is being restored.
fn settled(database: &Database) -> Result<(), Raised> {
    match database.state {
        DatabaseState::Restoring | DatabaseState::Recovering => Err(messages::not_in_restore("ALTER DATABASE")),
        _ if database.busy.is_some() => Err(messages::alter_blocked(&database.name)),
        _ => Ok(()),
    }
}

fn access(runner: &mut Runner<'_>, database: &Database, access: Access, termination: Option<Termination>) -> Result<(), Raised> {
    let instance = Arc::clone(&runner.connection.instance);
    let id = runner.connection.id;
    settled(database)?;
    if database.id <= 4 && access != Access::Multi {
        return Err(messages::not_for_system(access.description(), &database.name));
    }
    let mut state = instance.lock();
    let others = state.users_of(&database.name, id);
    if database.access == Access::Single && !others.is_empty() {
        return Err(messages::alter_blocked(&database.name));
    }
    let thrown_out = access == Access::Single && !others.is_empty();
    if thrown_out && matches!(termination, Some(Termination::NoWait) | None) {
        // without a termination clause the server waits; here nobody would ever leave
        return Err(messages::others_inside(&database.name));
    }
    // first the door, then the people: who reconnects finds it closed
    if let Some(database) = state.database_mut(&database.name) {
        database.access = access;
    }
    if thrown_out {
        let now = instance.world.local();
        for other in others {
            end(&instance, &mut state, other, now);
        }
        drop(state);
        wait_until_gone(runner, &database.name);
        runner.say(*messages::rolling_back(100));
    }
    Ok(())
}

/// Waits for the rollbacks of those who were thrown out.
fn wait_until_gone(runner: &mut Runner<'_>, database: &str) {
    let instance = Arc::clone(&runner.connection.instance);
    let id = runner.connection.id;
    loop {
        let mut state = instance.lock();
        state.settle(instance.world.local());
        let leaving = state.users_of(database, id).into_iter().any(|other| state.sessions.get(&other).is_some_and(|row| row.killed));
        drop(state);
        if !leaving || !runner.pause(Duration::from_millis(10)) {
            return;
        }
    }
}

fn recovery_model(instance: &Instance, database: &Database, model: &str) -> Result<(), Raised> {
    settled(database)?;
    if database.in_standby {
        return Err(messages::warm_standby(&database.name));
    }
    let mut state = instance.lock();
    let Some(database) = state.database_mut(&database.name) else { return Ok(()) };
    database.recovery_model = match model {
        "FULL" => "FULL",
        "BULK_LOGGED" => "BULK_LOGGED",
        _ => {
            // this breaks the chain of log backups; only a full backup begins another
            database.log_backup = None;
            "SIMPLE"
        }
    };
    Ok(())
}

fn offline(runner: &mut Runner<'_>, database: &Database, termination: Option<Termination>) -> Result<(), Raised> {
    let instance = Arc::clone(&runner.connection.instance);
    let id = runner.connection.id;
    settled(database)?;
    if database.id <= 4 {
        return Err(messages::not_for_system("OFFLINE", &database.name));
    }
    let mut state = instance.lock();
    let others = state.users_of(&database.name, id);
    if !others.is_empty() && termination.is_none() {
        return Err(messages::no_lock(&database.name));
    }
    let now = instance.world.local();
    for other in others {
        end(&instance, &mut state, other, now);
    }
    if let Some(database) = state.database_mut(&database.name) {
        database.state = DatabaseState::Offline;
    }
    Ok(())
}

fn online(instance: &Instance, database: &Database) -> Result<(), Raised> {
    match database.state {
        DatabaseState::Online => return Ok(()),
        DatabaseState::Offline | DatabaseState::RecoveryPending => {}
        _ => return Err(messages::not_in_restore("ALTER DATABASE")),
    }
    let undo = undo::check(instance, database);
    if let Some(database) = instance.lock().database_mut(&database.name) {
        database.state = if undo.is_ok() { DatabaseState::Online } else { DatabaseState::RecoveryPending };
    }
    undo
}

/// DROP DATABASE: a database that is being restored can be dropped, a mirrored one or one in use cannot.
pub fn drop_database(runner: &mut Runner<'_>, drop: &DropDatabase) -> Result<(), Failure> {
    let instance = Arc::clone(&runner.connection.instance);
    // IF EXISTS came with 2016
    if drop.if_exists && instance.version.0 < 13 {
        return Err(messages::keyword_syntax("IF").into());
    }
    if runner.connection.transactions > 0 {
        return Err(messages::in_user_transaction("DROP DATABASE").into());
    }
    for name in &drop.databases {
        let name = runner.name(name)?;
        let id = runner.connection.id;
        let mut state = instance.lock();
        let Some(database) = state.database(&name).filter(|_| instance.rights.over_databases()) else {
            if drop.if_exists {
                continue;
            }
            return Err(messages::no_drop(&name).into());
        };
        if database.id <= 4 {
            return Err(messages::drop_system(&name).into());
        }
        if database.mirroring.is_some() {
            return Err(messages::drop_mirrored(&name).into());
        }
        let held = database.busy.is_some() || database.backing_up.is_some();
        if held || !state.users_of(&name, id).is_empty() || same(&runner.connection.database, &name) {
            return Err(messages::drop_in_use(&name).into());
        }
        if let Some(file) = &database.undo_file {
            undo::remove(&instance, file);
        }
        state.databases.retain(|database| !same(&database.name, &name));
    }
    runner.reply.done(None);
    Ok(())
}

/// The value of an option that must be a whole number.
pub fn whole(runner: &Runner<'_>, value: &Value) -> Result<i64, Raised> {
    match runner.value(value)? {
        Cell::TinyInt(n) => Ok(i64::from(n)),
        Cell::SmallInt(n) => Ok(i64::from(n)),
        Cell::Int(n) => Ok(i64::from(n)),
        Cell::BigInt(n) => Ok(n),
        Cell::Text(text) => text.trim().parse().map_err(|_| messages::incorrect_syntax(&text)),
        _ => Err(messages::incorrect_syntax("=")),
    }
}
