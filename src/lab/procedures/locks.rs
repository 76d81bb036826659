//! sp_getapplock and sp_releaseapplock with session owners: per database, released when the session ends.

use std::time::{Duration, Instant};

use super::{Arguments, Procedure};
use crate::lab::instance::{AppLock, same};
use crate::lab::messages;
use crate::lab::statements::Failure;
use crate::lab::statements::run::Runner;

pub static PROCEDURES: &[Procedure] = &[
    Procedure {
        name: "sp_getapplock",
        home: "master",
        parameters: "@Resource nvarchar(255)!, @LockMode varchar(32), @LockOwner varchar(32), @LockTimeout int, @DbPrincipal sysname",
        run: take,
    },
    Procedure {
        name: "sp_releaseapplock",
        home: "master",
        parameters: "@Resource nvarchar(255)!, @LockOwner varchar(32), @DbPrincipal sysname",
        run: release,
    },
];

/// The lock modes of sp_getapplock and which others each lets in.
pub fn compatible(held: &str, wanted: &str) -> bool {
    let row: &[&str] = match held.to_ascii_lowercase().as_str() {
        "intentshared" => &["intentshared", "shared", "update", "intentexclusive"],
        "shared" => &["intentshared", "shared", "update"],
        "update" => &["intentshared", "shared"],
        "intentexclusive" => &["intentshared", "intentexclusive"],
        _ => &[],
    };
    row.iter().any(|mode| same(mode, wanted))
}

fn mode(text: &str) -> Option<&'static str> {
    ["IntentShared", "Shared", "Update", "IntentExclusive", "Exclusive"].into_iter().find(|mode| same(mode, text))
}

/// What both take: the owner, which must be the session here, and the principal.
fn owner(runner: &Runner<'_>, arguments: &Arguments) -> Result<String, Failure> {
    let owner = arguments.text("@LockOwner").unwrap_or_else(|| "Transaction".to_owned());
    if same(&owner, "Transaction") {
        if runner.connection.transactions == 0 {
            return Err(messages::applock_transaction().into());
        }
    } else if !same(&owner, "Session") {
        return Err(messages::applock_parameter().into());
    }
    Ok(arguments.text("@DbPrincipal").unwrap_or_else(|| "public".to_owned()))
}

/// 0 granted, 1 granted after waiting, -1 timed out, -2 cancelled, -999 wrong parameter.
fn take(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    let principal = owner(runner, arguments)?;
    let resource = arguments.required("@Resource")?;
    let Some(mode) = arguments.text("@LockMode").as_deref().and_then(mode) else { return Ok(-999) };
    // without a limit the server waits for ever; so does an attention's reach
    let limit = arguments.int("@LockTimeout").unwrap_or(-1);
    let limit = u64::try_from(limit).ok().map(Duration::from_millis);
    let begun = Instant::now();
    loop {
        {
            let mut state = runner.connection.instance.lock();
            let (id, database) = (runner.connection.id, arguments.context.clone());
            let about = |lock: &AppLock| lock.resource == resource && same(&lock.principal, &principal) && same(&lock.database, &database);
            let blocked = state.locks.iter().any(|lock| about(lock) && lock.session != id && !compatible(&lock.mode, mode));
            if !blocked {
                match state.locks.iter_mut().find(|lock| about(lock) && lock.session == id) {
                    Some(lock) => {
                        lock.count += 1;
                        if !compatible(mode, &lock.mode) && compatible(&lock.mode, mode) || mode == "Exclusive" {
                            lock.mode = mode.to_owned();
                        }
                    }
                    None => state.locks.push(AppLock {
                        database: database.clone(),
                        principal: principal.clone(),
                        resource: resource.clone(),
                        mode: mode.to_owned(),
                        session: id,
                        count: 1,
                    }),
                }
                return Ok(i32::from(begun.elapsed() > Duration::from_millis(40)));
            }
        }
        let left = limit.map(|limit| limit.saturating_sub(begun.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(-1);
        }
        let step = left.unwrap_or(Duration::from_millis(50)).min(Duration::from_millis(50));
        if !runner.pause(step) || runner.reply.disconnected() {
            return Ok(-2);
        }
    }
}

fn release(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    let principal = owner(runner, arguments)?;
    let resource = arguments.required("@Resource")?;
    let mut state = runner.connection.instance.lock();
    let (id, database) = (runner.connection.id, arguments.context.clone());
    let found = state.locks.iter().position(|lock| {
        lock.session == id && lock.resource == resource && same(&lock.principal, &principal) && same(&lock.database, &database)
    });
    let Some(at) = found else {
        return Err(messages::applock_not_held(&principal, &resource).into());
    };
    if let Some(lock) = state.locks.get_mut(at) {
        lock.count -= 1;
        if lock.count == 0 {
            state.locks.remove(at);
        }
    }
    Ok(0)
}
