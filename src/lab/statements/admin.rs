//! KILL, ALTER DATABASE and DROP DATABASE.

use super::Failure;
use super::run::Runner;
use crate::lab::instance::{Access, Database, DatabaseState, State, same};
use crate::lab::messages::{self, Raised, message};
use crate::lab::tds::Cell;
use crate::tsql::syntax::{AlterDatabase, DatabaseChangeKind, DropDatabase, Kill, Termination, ValueKind};

/// KILL n: ends another session at once; what it was running is rolled back.
pub fn kill(runner: &mut Runner<'_>, kill: &Kill) -> Result<(), Failure> {
    let id = match &kill.session.kind {
        ValueKind::Number(digits) => digits.parse::<i64>().unwrap_or(i64::MAX),
        ValueKind::Text(uow) => {
            return Err(
                message(6112, 16, 1, format!("Distributed transaction with UOW {uow} is in prepared state or does not exist.")).into()
            );
        }
        _ => return Err(messages::incorrect_syntax("KILL").into()),
    };
    if runner.connection.transactions > 0 {
        return Err(messages::kill_in_transaction().into());
    }
    let target = u16::try_from(id).ok().filter(|id| *id > 0 && *id < 32_768).ok_or_else(|| messages::not_a_session_id(id))?;
    if kill.status_only {
        return Err(messages::no_rollback(id).into());
    }
    if target == runner.connection.id {
        return Err(messages::own_kill().into());
    }
    let instance = std::sync::Arc::clone(&runner.connection.instance);
    let now = instance.world.local();
    let mut state = instance.lock();
    match state.sessions.get(&target) {
        None => return Err(messages::not_active(id).into()),
        Some(row) if !row.user => return Err(messages::system_kill().into()),
        Some(_) => {}
    }
    end(&instance, &mut state, target, now);
    drop(state);
    runner.reply.done(None);
    Ok(())
}

/// Ends a session: at once when it is idle, as soon as it notices when it runs something.
pub fn end(instance: &crate::lab::instance::Instance, state: &mut State, target: u16, now: jiff::civil::DateTime) {
    let running = state.sessions.get(&target).is_some_and(|row| row.running.is_some());
    if running {
        if let Some(row) = state.sessions.get_mut(&target) {
            row.killed = true;
        }
    } else {
        state.end_session(target, now);
        if let Some(links) = instance.links.get() {
            links.cut(target);
        }
    }
}

/// ALTER DATABASE name SET ...: the options that recovery work uses.
pub fn alter_database(runner: &mut Runner<'_>, alter: &AlterDatabase) -> Result<(), Failure> {
    let name = match &alter.database {
        Some(name) => runner.name(name)?,
        None => runner.connection.database.clone(),
    };
    if runner.connection.transactions > 0 {
        return Err(message(226, 16, 6, "ALTER DATABASE statement not allowed within multi-statement transaction.").into());
    }
    let instance = std::sync::Arc::clone(&runner.connection.instance);
    let id = runner.connection.id;
    let mut notes: Vec<Raised> = Vec::new();
    for change in &alter.changes {
        let now = instance.world.local();
        let mut state = instance.lock();
        let wrap = |raised: Raised| Failure::wrapped(raised, messages::alter_failed());
        let Some(database) = state.database(&name).cloned() else { return Err(wrap(messages::alter_denied(&name))) };
        match &change.kind {
            DatabaseChangeKind::SingleUser | DatabaseChangeKind::MultiUser | DatabaseChangeKind::RestrictedUser => {
                settled(&database).map_err(wrap)?;
                let others = state.users_of(&database.name, id);
                if database.access == Access::Single && !others.is_empty() {
                    return Err(wrap(messages::alter_blocked(&database.name)));
                }
                let access = match change.kind {
                    DatabaseChangeKind::SingleUser => Access::Single,
                    DatabaseChangeKind::RestrictedUser => Access::Restricted,
                    _ => Access::Multi,
                };
                if access == Access::Single && !others.is_empty() {
                    match alter.termination {
                        Some(Termination::RollbackImmediate | Termination::RollbackAfter(_)) => {
                            // first the door, then the people: who reconnects finds it closed
                            if let Some(database) = state.database_mut(&name) {
                                database.access = access;
                            }
                            for other in others {
                                end(&instance, &mut state, other, now);
                            }
                            notes.push(messages::rolling_back(100));
                        }
                        // without a termination clause the server waits; here nobody would ever leave
                        Some(Termination::NoWait) | None => {
                            return Err(wrap(message(
                                5070,
                                16,
                                2,
                                format!("Database state cannot be changed while other users are using the database '{}'", database.name),
                            )));
                        }
                    }
                }
                if let Some(database) = state.database_mut(&name) {
                    database.access = access;
                }
            }
            DatabaseChangeKind::PartnerAction(action) => {
                let Some(mirroring) = database.mirroring.clone() else {
                    return Err(messages::not_mirrored(&database.name).into());
                };
                match action.as_str() {
                    "OFF" => {
                        if let Some(database) = state.database_mut(&name) {
                            database.mirroring = None;
                        }
                    }
                    "SUSPEND" | "RESUME" => {
                        let suspended = action == "SUSPEND";
                        if let Some(mine) = state.database_mut(&name).and_then(|database| database.mirroring.as_mut()) {
                            mine.state = if suspended { 0 } else { 4 };
                        }
                    }
                    _ => {
                        let text = format!(
                            "The operation cannot be performed on database \"{}\" because it is involved in a database mirroring session with {}.",
                            database.name, mirroring.partner_instance
                        );
                        return Err(message(1468, 16, 1, text).into());
                    }
                }
            }
            DatabaseChangeKind::Recovery(model) => {
                settled(&database).map_err(wrap)?;
                let model = match model.as_str() {
                    "FULL" => "FULL",
                    "BULK_LOGGED" => "BULK_LOGGED",
                    _ => "SIMPLE",
                };
                if let Some(database) = state.database_mut(&name) {
                    database.recovery_model = model;
                }
            }
            DatabaseChangeKind::Offline => {
                settled(&database).map_err(wrap)?;
                if !state.users_of(&database.name, id).is_empty() && alter.termination.is_none() {
                    return Err(wrap(message(
                        5061,
                        16,
                        1,
                        format!(
                            "ALTER DATABASE failed because a lock could not be placed on database '{}'. Try again later.",
                            database.name
                        ),
                    )));
                }
                for other in state.users_of(&database.name, id) {
                    end(&instance, &mut state, other, now);
                }
                if let Some(database) = state.database_mut(&name) {
                    database.state = DatabaseState::Offline;
                }
            }
            DatabaseChangeKind::Online if database.state == DatabaseState::Offline => {
                if let Some(database) = state.database_mut(&name) {
                    database.state = DatabaseState::Online;
                }
            }
            DatabaseChangeKind::Online if database.state == DatabaseState::Online => {}
            DatabaseChangeKind::Online => return Err(wrap(messages::not_in_restore("ALTER DATABASE"))),
            other => return Err(wrap(messages::not_an_option(&option_name(other)))),
        }
    }
    for note in notes {
        runner.say(*note);
    }
    runner.reply.done(None);
    Ok(())
}

fn option_name(change: &DatabaseChangeKind) -> String {
    match change {
        DatabaseChangeKind::Other(words) => words.clone(),
        DatabaseChangeKind::Partner(_) => "PARTNER".to_owned(),
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

/// DROP DATABASE: a database that is being restored can be dropped, a mirrored one or one in use cannot.
pub fn drop_database(runner: &mut Runner<'_>, drop: &DropDatabase) -> Result<(), Failure> {
    for name in &drop.databases {
        let name = runner.name(name)?;
        let id = runner.connection.id;
        let mut state = runner.connection.instance.lock();
        let Some(database) = state.database(&name) else {
            if drop.if_exists {
                continue;
            }
            return Err(message(
                3701,
                11,
                1,
                format!("Cannot drop the database '{name}', because it does not exist or you do not have permission."),
            )
            .into());
        };
        if database.id <= 4 {
            return Err(message(3708, 16, 1, format!("Cannot drop the database '{name}' because it is a system database.")).into());
        }
        if database.mirroring.is_some() {
            return Err(message(3743, 16, 1, format!("The database '{name}' is enabled for database mirroring. Database mirroring must be removed before you drop the database.")).into());
        }
        if database.busy.is_some() || !state.users_of(&name, id).is_empty() || same(&runner.connection.database, &name) {
            return Err(message(3702, 16, 3, format!("Cannot drop database \"{name}\" because it is currently in use.")).into());
        }
        state.databases.retain(|database| !same(&database.name, &name));
    }
    runner.reply.done(None);
    Ok(())
}

/// The value of an option that must be a whole number.
pub fn whole(runner: &Runner<'_>, value: &crate::tsql::syntax::Value) -> Result<i64, Raised> {
    match runner.value(value)? {
        Cell::TinyInt(n) => Ok(i64::from(n)),
        Cell::SmallInt(n) => Ok(i64::from(n)),
        Cell::Int(n) => Ok(i64::from(n)),
        Cell::BigInt(n) => Ok(n),
        Cell::Text(text) => text.trim().parse().map_err(|_| messages::incorrect_syntax(&text)),
        _ => Err(messages::incorrect_syntax("=")),
    }
}
