//! BACKUP DATABASE and BACKUP LOG to one disk file, which RESTORE can read back.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::Failure;
use super::run::Runner;
use crate::lab::instance::{COLLATION, DatabaseState, lock};
use crate::lab::media::{self, Header, Kind, Media};
use crate::lab::messages::{self, Raised, message};
use crate::tsql::syntax::{Backup, Options};
use crate::wire::lsn::Lsn;

const OPTIONS: [&str; 21] = [
    "COPY_ONLY",
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

pub fn run(runner: &mut Runner<'_>, backup: &Backup) -> Result<(), Failure> {
    let word = if backup.log { "BACKUP LOG" } else { "BACKUP DATABASE" };
    runner.command(word);
    carry_out(runner, backup, word).map_err(|mut failure| {
        let syntax = failure.0.first().is_some_and(|first| matches!(first.number, 102 | 137 | 155 | 156 | 911));
        if !syntax || failure.0.first().is_some_and(|first| first.number == 911) {
            failure.0.push(*messages::wrapper(word));
        }
        failure
    })
}

fn carry_out(runner: &mut Runner<'_>, backup: &Backup, word: &str) -> Result<(), Failure> {
    for option in backup.list() {
        if !OPTIONS.contains(&option.name.as_str()) {
            return Err(message(155, 15, 1, format!("'{}' is not a recognized BACKUP option.", option.name)).into());
        }
    }
    let [device] = backup.to.as_slice() else { return Err(messages::incorrect_syntax(",").into()) };
    if device.kind != "DISK" || !backup.mirrors.is_empty() || !backup.parts.is_empty() {
        return Err(messages::incorrect_syntax(&device.kind).into());
    }
    let name = runner.name(&backup.database)?;
    let device = runner.name(&device.place)?;
    if runner.connection.transactions > 0 {
        return Err(messages::in_transaction().into());
    }
    let instance = Arc::clone(&runner.connection.instance);
    let session = runner.connection.id;
    let database = {
        let state = instance.lock();
        let database = state.database(&name).ok_or_else(|| messages::no_database(&name))?;
        if database.in_standby {
            return Err(messages::standby_backup().into());
        }
        match database.state {
            DatabaseState::Online => {}
            DatabaseState::Restoring => return Err(messages::restoring(&database.name).into()),
            _ => return Err(messages::recovering(&database.name).into()),
        }
        if backup.log && database.recovery_model == "SIMPLE" {
            return Err(messages::simple_recovery().into());
        }
        if backup.has("NORECOVERY") {
            if database.mirroring.is_some() {
                return Err(messages::mirrored(&database.name).into());
            }
            if !state.users_of(&name, session).is_empty() {
                return Err(messages::in_use().into());
            }
        }
        database.clone()
    };
    let path = instance.paths.resolve(&device);
    let path = path.ok_or_else(|| messages::cannot_open(&device, 3, "The system cannot find the path specified."))?;
    let begun = Instant::now();
    let now = instance.world.local();
    let log = backup.log;
    let (guid, family_id, media_id) = (instance.world.guid(), instance.world.guid(), instance.world.guid());
    let last = Lsn(database.redo.0 + 320_000);
    let first = if log { database.redo } else { database.checkpoint };
    let tail = backup.has("NORECOVERY");
    let version = instance.version;
    let header = Header {
        name: backup.value("NAME").map(|name| runner.name(name)).transpose()?,
        kind: if log { Kind::Log } else { Kind::Database },
        user: runner.connection.login.user.clone(),
        server: instance.server.clone(),
        machine: instance.machine.clone(),
        database: database.name.clone(),
        database_created: database.created,
        first_lsn: first,
        last_lsn: last,
        checkpoint_lsn: first,
        database_backup_lsn: database.database_backup,
        start: now,
        finish: now,
        version: (i32::from(version.0), i32::from(version.1), i32::from(version.2)),
        flags: if tail { 64 | 256 } else { 0 } | if backup.has("CHECKSUM") { 16 } else { 0 },
        binding: database.binding,
        family: database.family,
        first_fork: database.fork,
        last_fork: database.fork,
        fork_point: None,
        collation: COLLATION.to_owned(),
        recovery_model: database.recovery_model.to_owned(),
        copy_only: backup.has("COPY_ONLY"),
        checksums: backup.has("CHECKSUM"),
        set: guid,
        files: database.files.clone(),
    };
    let fresh = backup.has("INIT") || backup.has("FORMAT") || !path.exists();
    let bytes = if log { 64 * 1024 } else { 256 * 1024 };
    let written = if fresh {
        let media = Media { set_id: media_id, family_id, date: now };
        media::create(&path, &media)
    } else {
        media::headers(&path).map(|_| ()).map_err(|_| io::ErrorKind::InvalidData.into())
    };
    let written = written.and_then(|()| media::append(&path, &header, bytes, &mut lock(&instance.world.random)));
    written.map_err(|error| failed(&device, &error))?;
    let (media, sets) = media::headers(&path).map_err(|error| super::restore::unreadable(&device, &error))?;
    let position = sets.len();
    {
        let mut state = instance.lock();
        state.know_set((media.set_id, media.family_id), position, &device, &header, bytes);
        if let Some(database) = state.database_mut(&name) {
            if log && !header.copy_only {
                database.redo = last;
            }
            if !log && !header.copy_only {
                database.database_backup = first;
            }
            if tail {
                database.state = DatabaseState::Restoring;
            }
        }
    }
    if let Some(option) = backup.option("STATS") {
        let step = match &option.value {
            Some(value) => super::admin::whole(runner, value)?.clamp(1, 100),
            None => 10,
        };
        for percent in (1..=100 / step).map(|n| n * step) {
            runner.say(*messages::percent(u32::try_from(percent).unwrap_or(100)));
        }
    }
    let pages = bytes / 8192;
    let file = |kind: char| header.files.iter().find(|file| file.kind == kind).map(|file| file.logical.clone()).unwrap_or_default();
    if !log {
        runner.say(*messages::pages(pages, &name, &file('D'), position));
    }
    runner.say(*messages::pages(if log { pages } else { 2 }, &name, &file('L'), position));
    let seconds = begun.elapsed().as_secs_f64().max(0.001);
    runner.say(*messages::backup_done(word, pages, seconds, pages as f64 / 128.0 / seconds));
    runner.reply.done(None);
    Ok(())
}

fn failed(device: &str, error: &io::Error) -> Raised {
    match error.kind() {
        io::ErrorKind::NotFound => messages::cannot_open(device, 3, "The system cannot find the path specified."),
        io::ErrorKind::PermissionDenied => messages::cannot_open(device, 5, "Access is denied."),
        io::ErrorKind::StorageFull => messages::cannot_write(device, 112, "There is not enough space on the disk."),
        io::ErrorKind::InvalidData => messages::malformed(device),
        _ => messages::cannot_write(device, 1117, "The request could not be performed because of an I/O device error."),
    }
}
