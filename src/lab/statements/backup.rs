//! BACKUP DATABASE and BACKUP LOG to one disk file, which RESTORE can read back.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::Failure;
use super::restore::{unreadable, weight};
use super::run::Runner;
use crate::lab::instance::{COLLATION, Database, DatabaseState, Instance, OsError, State, lock};
use crate::lab::media::{self, Fill, Header, Kind, Media, MediaError};
use crate::lab::messages::{self, Raised};
use crate::tsql::syntax::{Backup, Options};
use crate::wire::lsn::Lsn;

const OPTIONS: [&str; 22] = [
    "COPY_ONLY",
    "DIFFERENTIAL",
    "INIT",
    "NOINIT",
    "FORMAT",
    "NOFORMAT",
    "SKIP",
    "NOSKIP",
    "NORECOVERY",
    "STATS",
    "CHECKSUM",
    "NO_CHECKSUM",
    "COMPRESSION",
    "NO_COMPRESSION",
    "NAME",
    "DESCRIPTION",
    "NOREWIND",
    "NOUNLOAD",
    "STOP_ON_ERROR",
    "NO_TRUNCATE",
    "RETAINDAYS",
    "MEDIANAME",
];

/// What there is to log between two backups here: nobody writes, the backups themselves do.
const WRITTEN: u128 = 320_000;

/// One backup as it is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub kind: Kind,
    pub copy_only: bool,
    /// the tail: the database is left RESTORING
    pub tail: bool,
    /// whether the database's files may be out of reach
    pub no_truncate: bool,
    pub checksums: bool,
    /// what is in the file is overwritten
    pub init: bool,
    pub name: Option<String>,
}

pub fn run(runner: &mut Runner<'_>, backup: &Backup) -> Result<(), Failure> {
    let word = if backup.log { "BACKUP LOG" } else { "BACKUP DATABASE" };
    runner.command(word);
    carry_out(runner, backup, word).map_err(|failure| failure.ending(word))
}

fn carry_out(runner: &mut Runner<'_>, backup: &Backup, word: &str) -> Result<(), Failure> {
    if let Some(option) = backup.list().iter().find(|option| !OPTIONS.contains(&option.name.as_str())) {
        return Err(messages::unknown_option(&option.name, "BACKUP").into());
    }
    let [device] = backup.to.as_slice() else { return Err(messages::incorrect_syntax(",").into()) };
    if device.kind != "DISK" || !backup.mirrors.is_empty() || !backup.parts.is_empty() {
        return Err(messages::incorrect_syntax(&device.kind).into());
    }
    let name = runner.name(&backup.database)?;
    let device = runner.name(&device.place)?;
    let kind = match (backup.log, backup.has("DIFFERENTIAL")) {
        (true, true) => return Err(messages::conflicting_options("differential", "log").into()),
        (true, false) => Kind::Log,
        (false, true) => Kind::Differential,
        (false, false) => Kind::Database,
    };
    if !backup.log && (backup.has("NORECOVERY") || backup.has("NO_TRUNCATE")) {
        let option = if backup.has("NORECOVERY") { "NORECOVERY" } else { "NO_TRUNCATE" };
        return Err(messages::unknown_option(option, "BACKUP DATABASE").into());
    }
    if runner.connection.transactions > 0 {
        return Err(messages::in_transaction().into());
    }
    if device.is_empty() {
        return Err(messages::media_name().into());
    }
    let wanted = Wanted {
        kind,
        copy_only: backup.has("COPY_ONLY"),
        tail: backup.has("NORECOVERY"),
        no_truncate: backup.has("NO_TRUNCATE"),
        checksums: backup.has("CHECKSUM"),
        init: backup.has("INIT") || backup.has("FORMAT"),
        name: backup.value("NAME").map(|name| runner.name(name)).transpose()?,
    };
    let instance = Arc::clone(&runner.connection.instance);
    let session = runner.connection.id;
    if !instance.rights.is_sysadmin() {
        instance.lock().database(&name).ok_or_else(|| messages::no_database(&name))?;
        return Err(messages::denied(word, &name).into());
    }
    let stats = match backup.option("STATS") {
        None => None,
        Some(option) => match &option.value {
            Some(value) => Some(super::admin::whole(runner, value)?.clamp(1, 100)),
            None => Some(10),
        },
    };
    let begun = Instant::now();
    let user = runner.connection.login.user.clone();
    let mut pass = |header: &Header| {
        let time = instance.world.paced(instance.world.restore_seconds * weight(header));
        runner.reply.flush();
        runner.pause(time)
    };
    let Some(written) = write(&instance, &name, &device, &wanted, session, &user, &mut pass)? else {
        return if runner.killed() { Err(messages::killed().into()) } else { Ok(()) };
    };
    if let Some(step) = stats {
        for percent in (1..=100 / step).map(|n| n * step) {
            runner.say(*messages::percent(u32::try_from(percent).unwrap_or(100)));
        }
    }
    let pages = written.bytes / 8192;
    let file = |kind: char| written.files.iter().find(|(found, _)| *found == kind).map(|(_, name)| name.clone()).unwrap_or_default();
    if kind != Kind::Log {
        runner.say(*messages::pages(pages, &name, &file('D'), written.position));
    }
    runner.say(*messages::pages(if kind == Kind::Log { pages } else { 2 }, &name, &file('L'), written.position));
    let seconds = begun.elapsed().as_secs_f64().max(0.001);
    runner.say(*messages::backup_done(word, pages, seconds, pages as f64 / 128.0 / seconds));
    runner.reply.done(None);
    Ok(())
}

/// What a backup came to.
pub struct Written {
    pub position: usize,
    pub bytes: u64,
    /// kind and logical name of each file
    files: Vec<(char, String)>,
}

/// Whether the database can be backed up as it is asked.
fn admitted(state: &State, name: &str, wanted: &Wanted, session: u16) -> Result<Database, Raised> {
    let database = state.database(name).ok_or_else(|| messages::no_database(name))?;
    if database.in_standby {
        return Err(messages::standby_backup());
    }
    match database.state {
        DatabaseState::Online => {}
        // with NO_TRUNCATE the log can be had although the database cannot be opened
        DatabaseState::Offline | DatabaseState::RecoveryPending if wanted.no_truncate && wanted.kind == Kind::Log => {}
        DatabaseState::Restoring if database.mirroring.is_some() => return Err(messages::is_mirror(&database.name)),
        DatabaseState::Restoring => return Err(messages::restoring(&database.name)),
        DatabaseState::Offline => return Err(messages::offline(&database.name)),
        DatabaseState::RecoveryPending => return Err(messages::files_missing(&database.name)),
        DatabaseState::Recovering => return Err(messages::recovering(&database.name)),
    }
    match wanted.kind {
        Kind::Log if database.recovery_model == "SIMPLE" => return Err(messages::simple_recovery()),
        Kind::Log if database.log_backup.is_none() => return Err(messages::no_full_backup()),
        _ => {}
    }
    if database.backing_up.is_some() || database.busy.is_some() {
        return Err(messages::backup_running());
    }
    if wanted.tail {
        if database.mirroring.is_some() {
            return Err(messages::mirrored(&database.name));
        }
        if !state.users_of(name, session).is_empty() {
            return Err(messages::in_use());
        }
    }
    Ok(database.clone())
}

fn header(instance: &Instance, database: &Database, wanted: &Wanted, user: &str) -> Header {
    let now = instance.world.local();
    let version = instance.version;
    let (first, last) = match wanted.kind {
        Kind::Log => (database.log_backup.unwrap_or(database.redo), Lsn(database.redo.0 + WRITTEN)),
        _ => (database.redo, Lsn(database.redo.0 + WRITTEN)),
    };
    let (first_fork, last_fork, fork_point) = match wanted.kind {
        Kind::Log => database.forks_since(first),
        _ => (database.fork, database.fork, None),
    };
    Header {
        name: wanted.name.clone(),
        kind: wanted.kind,
        user: user.to_owned(),
        server: instance.server.clone(),
        machine: instance.machine.clone(),
        database: database.name.clone(),
        database_created: database.created,
        first_lsn: first,
        last_lsn: last,
        checkpoint_lsn: if wanted.kind == Kind::Log { database.checkpoint } else { first },
        database_backup_lsn: database.database_backup,
        start: now,
        finish: now,
        version: (i32::from(version.0), i32::from(version.1), i32::from(version.2)),
        flags: if wanted.tail { 64 | 256 } else { 0 } | if wanted.checksums { 16 } else { 0 },
        binding: database.binding,
        family: database.family,
        first_fork,
        last_fork,
        fork_point,
        collation: COLLATION.to_owned(),
        recovery_model: database.recovery_model.to_owned(),
        copy_only: wanted.copy_only,
        checksums: wanted.checksums,
        begins_chain: wanted.kind == Kind::Log && database.begins_chain,
        set: instance.world.guid(),
        files: database.files.clone(),
    }
}

/// Writes one backup and keeps the chain's books. `pass` lets its time pass; if that is cut short there is no answer, and an
/// unfinished set stays in the file.
pub fn write(
    instance: &Instance,
    name: &str,
    device: &str,
    wanted: &Wanted,
    session: u16,
    user: &str,
    pass: &mut dyn FnMut(&Header) -> bool,
) -> Result<Option<Written>, Raised> {
    let database = admitted(&instance.lock(), name, wanted, session)?;
    let path = instance.paths.resolve(device).map_err(|cause| messages::cannot_open(device, cause))?;
    let header = header(instance, &database, wanted, user);
    let bytes = if wanted.kind == Kind::Log { 64 * 1024 } else { 256 * 1024 };
    let fresh = wanted.init || !path.exists();
    let position = if fresh {
        let media = Media { set_id: instance.world.guid(), family_id: instance.world.guid(), date: instance.world.local() };
        media::create(&path, &media).map_err(|error| failed(device, &error))?;
        1
    } else {
        end_of(device, &path)? + 1
    };
    if let Some(database) = instance.lock().database_mut(name) {
        database.backing_up = Some(session);
    }
    let mark = media::begin(&path, &header, bytes, Fill::Random(&mut lock(&instance.world.random)));
    let went = mark.as_ref().is_ok_and(|_| pass(&header));
    let finished = mark.and_then(|mark| if went { media::complete(&path, mark) } else { Ok(()) });
    let media = media::label(&path);
    let mut state = instance.lock();
    let Some(database) = state.database_mut(name) else { return Ok(None) };
    database.backing_up = None;
    finished.map_err(|error| failed(device, &error))?;
    if !went {
        return Ok(None);
    }
    database.redo = header.last_lsn;
    match wanted.kind {
        Kind::Log if !wanted.copy_only => {
            database.log_backup = Some(header.last_lsn);
            database.begins_chain = false;
        }
        Kind::Database if !wanted.copy_only => {
            database.database_backup = header.checkpoint_lsn;
            database.checkpoint = header.checkpoint_lsn;
            // the first full backup after the chain was broken begins it anew
            if database.recovery_model != "SIMPLE" && database.log_backup.is_none() {
                database.log_backup = Some(header.checkpoint_lsn);
                database.begins_chain = true;
            }
        }
        _ => {}
    }
    if wanted.tail {
        database.state = DatabaseState::Restoring;
    }
    let media = media.map_err(|error| unreadable(device, &error))?;
    state.know_set((media.set_id, media.family_id), position, device, &header, bytes);
    let files = header.files.iter().map(|file| (file.kind, file.logical.clone())).collect();
    Ok(Some(Written { position, bytes, files }))
}

/// The last set of a file to which one more is to be added: all must have been written to their ends.
fn end_of(device: &str, path: &Path) -> Result<usize, Raised> {
    let contents = media::contents(path).map_err(|error| match error {
        MediaError::NotASet => messages::bad_end(device),
        other => unreadable(device, &other),
    })?;
    let last = contents.sets.last();
    let length = std::fs::metadata(path).map(|details| details.len()).unwrap_or(0);
    let whole = contents.rest.is_none() && last.is_some_and(|set| set.complete && set.end() == length);
    if whole { Ok(contents.sets.len()) } else { Err(messages::bad_end(device)) }
}

fn failed(device: &str, error: &io::Error) -> Raised {
    match error.kind() {
        io::ErrorKind::NotFound => messages::cannot_open(device, OsError::NO_PATH),
        io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory => messages::cannot_open(device, OsError::DENIED),
        io::ErrorKind::StorageFull => messages::cannot_write(device, OsError::FULL),
        _ => messages::cannot_write(device, OsError::DEVICE),
    }
}
