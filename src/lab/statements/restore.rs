//! RESTORE: LOG and DATABASE with their rules about chains, forks and states, and the forms that only read a file. Errors
//! come in the server's order: the specific one, then 3013.

mod read;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::civil::DateTime;

use super::Failure;
use super::admin::whole;
use super::run::Runner;
use crate::lab::instance::{Access, Database, DatabaseState, HalfRestored, Instance, Restored, State, same};
use crate::lab::media::{self, Header, Kind, Media, MediaError, Set};
use crate::lab::messages::{self, Raised, message};
use crate::lab::scenario::Account;
use crate::tsql::syntax::{Options, Restore, RestoreKind, Value};
use crate::wire::lsn::Lsn;

pub use self::read::row;

/// How a statement leaves the database.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Leave {
    NoRecovery,
    Recovery,
    Standby(String),
}

/// What `sys.dm_exec_requests` shows, and what the messages call it.
pub fn command(kind: RestoreKind) -> (&'static str, &'static str) {
    match kind {
        RestoreKind::Log => ("RESTORE LOG", "RESTORE LOG"),
        RestoreKind::Database => ("RESTORE DATABASE", "RESTORE DATABASE"),
        RestoreKind::HeaderOnly => ("RESTORE HEADERON", "RESTORE HEADERONLY"),
        RestoreKind::FileListOnly => ("RESTORE FILELIST", "RESTORE FILELIST"),
        RestoreKind::LabelOnly => ("RESTORE LABELONL", "RESTORE LABELONLY"),
        RestoreKind::VerifyOnly => ("RESTORE VERIFYON", "VERIFY DATABASE"),
        RestoreKind::RewindOnly => ("RESTORE REWINDON", "RESTORE REWINDONLY"),
    }
}

/// True of what takes simulated time here, and so may take more of it.
pub fn takes_time(kind: RestoreKind) -> bool {
    matches!(kind, RestoreKind::Log | RestoreKind::Database)
}

pub fn run(runner: &mut Runner<'_>, restore: &Restore) -> Result<(), Failure> {
    if restore.kind == RestoreKind::RewindOnly {
        return Err(messages::keyword_syntax("REWINDONLY").into());
    }
    let (command, word) = command(restore.kind);
    runner.command(command);
    let result = match restore.kind {
        RestoreKind::Log | RestoreKind::Database if restore.from.is_empty() => change_state(runner, restore, word),
        RestoreKind::Log | RestoreKind::Database => from_device(runner, restore, word),
        _ => read::read(runner, restore),
    };
    result.map_err(|mut failure| {
        // what the grammar or a variable refuses comes alone; all else is wrapped
        let syntax = failure.0.first().is_some_and(|first| matches!(first.number, 102 | 137 | 155 | 156 | 3013));
        if !syntax {
            failure.0.push(*messages::wrapper(word));
        }
        failure
    })
}

/// The only device of a statement: what the server calls it, and where it really is.
fn device(runner: &Runner<'_>, restore: &Restore) -> Result<(String, PathBuf), Raised> {
    let [device] = restore.from.as_slice() else {
        return Err(message(3132, 16, 1, "The media set has 1 media families but more than 1 are provided. All members must be provided."));
    };
    if device.kind != "DISK" {
        let name = runner.name(&device.place)?;
        return Err(message(
            3206,
            16,
            1,
            format!("Backup device '{name}' does not exist. To view existing backup devices, use the sys.backup_devices catalog view."),
        ));
    }
    let name = runner.name(&device.place)?;
    if name.is_empty() {
        return Err(messages::media_name());
    }
    let instance = &runner.connection.instance;
    let path = instance.paths.resolve(&name);
    let path = path.ok_or_else(|| messages::cannot_open(&name, 3, "The system cannot find the path specified."))?;
    if !instance.may_read(Account::SqlServer, &path) {
        return Err(messages::cannot_open(&name, 5, "Access is denied."));
    }
    Ok((name, path))
}

/// The server's error for a file that cannot be read.
pub fn unreadable(device: &str, error: &MediaError) -> Raised {
    match error {
        MediaError::Open(error) => match error.kind() {
            std::io::ErrorKind::NotFound => messages::cannot_open(device, 2, "The system cannot find the file specified."),
            _ => messages::cannot_open(device, 5, "Access is denied."),
        },
        MediaError::Empty => messages::empty_volume(device),
        MediaError::Malformed => messages::malformed(device),
        MediaError::CutOff | MediaError::Read(_) => messages::read_failed(device),
        MediaError::Damaged => messages::damaged(),
    }
}

fn open(name: &str, path: &Path) -> Result<(Media, Vec<Set>), Raised> {
    media::headers(path).map_err(|error| unreadable(name, &error))
}

/// The set that `FILE = n` names; the first without it.
fn chosen<'s>(runner: &Runner<'_>, restore: &Restore, name: &str, sets: &'s [Set]) -> Result<&'s Set, Raised> {
    let position = match restore.value("FILE") {
        Some(value) => whole(runner, value)?,
        None => 1,
    };
    let found = sets.iter().find(|set| i64::try_from(set.position) == Ok(position));
    found.ok_or_else(|| message(4038, 16, 1, format!("Cannot find file ID {position} on device '{name}'.")))
}

fn known_options(restore: &Restore, known: &[&str]) -> Result<(), Raised> {
    for option in restore.list() {
        if !known.contains(&option.name.as_str()) {
            return Err(message(155, 15, 1, format!("'{}' is not a recognized RESTORE option.", option.name)));
        }
    }
    Ok(())
}

const OPTIONS: [&str; 20] = [
    "NORECOVERY",
    "RECOVERY",
    "STANDBY",
    "FILE",
    "STATS",
    "CHECKSUM",
    "NO_CHECKSUM",
    "REPLACE",
    "MOVE",
    "NOREWIND",
    "REWIND",
    "NOUNLOAD",
    "UNLOAD",
    "BUFFERCOUNT",
    "MAXTRANSFERSIZE",
    "BLOCKSIZE",
    "MEDIANAME",
    "STOP_ON_ERROR",
    "RESTRICTED_USER",
    "KEEP_REPLICATION",
];

fn leave(runner: &Runner<'_>, restore: &Restore) -> Result<Leave, Raised> {
    let given = ["NORECOVERY", "RECOVERY", "STANDBY"].iter().filter(|name| restore.has(name)).count();
    if given > 1 {
        return Err(message(
            3031,
            16,
            1,
            "Option 'norecovery' conflicts with option(s) 'recovery'. Remove the conflicting option and reissue the statement.",
        ));
    }
    Ok(match restore.option("STANDBY") {
        Some(option) => {
            let value: &Value = option.value.as_ref().ok_or_else(|| messages::incorrect_syntax("STANDBY"))?;
            Leave::Standby(runner.name(value)?)
        }
        None if restore.has("NORECOVERY") => Leave::NoRecovery,
        None => Leave::Recovery,
    })
}

/// What every RESTORE of a database asks first.
fn admitted(runner: &Runner<'_>, name: &str) -> Result<(), Raised> {
    if runner.connection.transactions > 0 {
        return Err(messages::in_transaction());
    }
    let state = runner.connection.instance.lock();
    let Some(database) = state.database(name) else { return Ok(()) };
    if runner.is_current(name) {
        return Err(messages::own_session(&database.name));
    }
    if database.mirroring.is_some() {
        return Err(messages::mirrored(&database.name));
    }
    if database.id <= 4 {
        return Err(message(
            3108,
            16,
            1,
            format!("To restore the {} database, the server must be running in single-user mode.", database.name),
        ));
    }
    Ok(())
}

/// Nobody else may be inside, or restore it.
fn exclusive(state: &State, database: &Database, session: u16) -> Result<(), Raised> {
    if database.busy.is_some() || !state.users_of(&database.name, session).is_empty() {
        return Err(messages::in_use());
    }
    Ok(())
}

fn undo_file(instance: &Instance, name: &str) -> Result<PathBuf, Raised> {
    let found = instance.paths.resolve(name);
    found.ok_or_else(|| messages::cannot_open(name, 3, "The system cannot find the path specified."))
}

/// RESTORE ... without FROM: only the state changes.
fn change_state(runner: &mut Runner<'_>, restore: &Restore, word: &str) -> Result<(), Failure> {
    known_options(restore, &["NORECOVERY", "RECOVERY", "STANDBY", "STATS", "RESTRICTED_USER"])?;
    let name = restore.database.as_ref().map(|name| runner.name(name)).transpose()?.unwrap_or_default();
    if !["NORECOVERY", "RECOVERY", "STANDBY"].iter().any(|option| restore.has(option)) {
        return Err(messages::incorrect_syntax(&name).into());
    }
    let leave = leave(runner, restore)?;
    admitted(runner, &name)?;
    let instance = Arc::clone(&runner.connection.instance);
    let session = runner.connection.id;
    let begun = Instant::now();
    {
        let mut state = instance.lock();
        let database = state.database(&name).ok_or_else(|| messages::no_database(&name))?;
        if database.state == DatabaseState::Online && !database.in_standby {
            return Err(messages::already_recovered().into());
        }
        if !matches!(database.state, DatabaseState::Restoring | DatabaseState::Online) {
            return Err(messages::in_use().into());
        }
        exclusive(&state, database, session)?;
        if let Some(half) = &database.half
            && leave != Leave::NoRecovery
        {
            return Err(messages::interrupted(&half.file).into());
        }
        if let Leave::Standby(undo) = &leave {
            undo_file(&instance, undo)?;
        }
        if let Some(database) = state.database_mut(&name) {
            database.busy = Some(session);
            if leave == Leave::Recovery {
                database.state = DatabaseState::Recovering;
                database.in_standby = false;
            }
        }
    }
    if leave == Leave::Recovery {
        // recovery is never cut short: not by an attention, not by a KILL, not by a lost connection
        runner.reply.flush();
        let until = begun + instance.world.paced(instance.world.recovery_seconds) + held(runner);
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            std::thread::sleep(left.min(Duration::from_millis(50)));
            progress(runner, begun, until);
        }
    }
    let fork = instance.world.guid();
    finish_state(&instance, &name, &leave, fork)?;
    let seconds = begun.elapsed().as_secs_f64();
    runner.say(*messages::backup_done(word, 0, seconds, 0.0));
    runner.reply.done(None);
    Ok(())
}

/// How much longer than usual it takes.
fn held(runner: &mut Runner<'_>) -> Duration {
    runner.connection.hold.take().unwrap_or_default()
}

fn progress(runner: &mut Runner<'_>, begun: Instant, until: Instant) {
    let all = until.saturating_duration_since(begun).as_secs_f64();
    let percent = if all > 0.0 { (begun.elapsed().as_secs_f64() / all * 100.0).min(100.0) } else { 100.0 };
    set_percent(runner, percent as f32);
}

fn set_percent(runner: &mut Runner<'_>, percent: f32) {
    let mut state = runner.connection.instance.lock();
    if let Some(running) = state.sessions.get_mut(&runner.connection.id).and_then(|row| row.running.as_mut()) {
        running.percent = percent;
    }
}

/// Puts the database into the state that the statement leaves it in.
fn finish_state(instance: &Instance, name: &str, leave: &Leave, fork: uuid::Uuid) -> Result<(), Raised> {
    let undo = match leave {
        Leave::Standby(undo) => {
            let path = undo_file(instance, undo)?;
            std::fs::write(&path, b"undo file of the lab\n").map_err(|_| messages::cannot_open(undo, 5, "Access is denied."))?;
            Some(undo.clone())
        }
        _ => None,
    };
    let mut state = instance.lock();
    let Some(database) = state.database_mut(name) else { return Ok(()) };
    database.busy = None;
    if let Some(old) = database.undo_file.take().and_then(|old| instance.paths.resolve(&old))
        && undo.is_none()
        && let Err(error) = std::fs::remove_file(&old)
    {
        tracing::debug!(%error, "the undo file could not be removed");
    }
    match leave {
        Leave::Recovery => database.recover(fork),
        Leave::NoRecovery => {
            database.state = DatabaseState::Restoring;
            database.in_standby = false;
        }
        Leave::Standby(_) => {
            database.state = DatabaseState::Online;
            database.in_standby = true;
            database.undo_file = undo;
            // "Restore scripts": a restore WITH STANDBY leaves the database open to all
            database.access = Access::Multi;
        }
    }
    Ok(())
}

/// What would come of a log backup: applied, or which error.
pub fn judge(database: &Database, set: &Header) -> Result<(), Raised> {
    if database.state == DatabaseState::Online && !database.in_standby {
        return Err(messages::nothing_to_roll_forward());
    }
    if set.family != database.family {
        return Err(messages::other_database(&database.name));
    }
    if !same(&set.database, &database.name) {
        return Err(messages::wrong_name(&set.database));
    }
    if let Some(half) = &database.half
        && half.set != set.set
    {
        return Err(messages::interrupted(&half.file));
    }
    let empty_here = set.first_lsn == set.last_lsn && set.last_lsn == database.redo;
    if set.last_lsn <= database.redo && !empty_here {
        return Err(messages::too_early(set.last_lsn, database.redo));
    }
    if set.first_fork != database.fork {
        return Err(messages::other_fork());
    }
    if set.first_lsn > database.redo {
        return Err(messages::too_recent(set.first_lsn, database.redo));
    }
    Ok(())
}

/// A fault's error in place of what the set deserves.
fn planted(number: i32, set: &Header, redo: Lsn, device: &str) -> Raised {
    match number {
        3101 => messages::in_use(),
        3201 => messages::cannot_open(device, 32, "The process cannot access the file because it is being used by another process."),
        3203 => messages::read_failed(device),
        3241 => messages::malformed(device),
        4305 => messages::too_recent(Lsn(set.first_lsn.0 + 500_000), redo),
        4326 => messages::too_early(set.last_lsn, redo),
        4330 => messages::other_fork(),
        other => message(other, 16, 1, "The operation failed. (The scenario asked for this error.)"),
    }
}

fn from_device(runner: &mut Runner<'_>, restore: &Restore, word: &str) -> Result<(), Failure> {
    known_options(restore, &OPTIONS)?;
    let name = restore.database.as_ref().map(|name| runner.name(name)).transpose()?.unwrap_or_default();
    let leave = leave(runner, restore)?;
    let stats = match restore.option("STATS") {
        None => None,
        Some(option) => match &option.value {
            None => Some(10),
            Some(value) => Some(whole(runner, value)?.clamp(1, 100)),
        },
    };
    if !restore.parts.is_empty() {
        return Err(messages::incorrect_syntax(&restore.parts[0].name).into());
    }
    admitted(runner, &name)?;
    let (device, path) = device(runner, restore)?;
    let (media, sets) = open(&device, &path)?;
    let set = chosen(runner, restore, &device, &sets)?.clone();
    let log = restore.kind == RestoreKind::Log;
    let header = set.header.clone();
    if log != (header.kind == Kind::Log) || header.kind == Kind::Differential {
        return Err(messages::wrong_type().into());
    }
    if restore.has("CHECKSUM") && !header.checksums {
        return Err(messages::no_checksum().into());
    }
    let instance = Arc::clone(&runner.connection.instance);
    let session = runner.connection.id;
    if let Leave::Standby(undo) = &leave {
        undo_file(&instance, undo)?;
    }
    let moves = moves(runner, restore)?;
    let begun = Instant::now();
    {
        let mut state = instance.lock();
        if log {
            let database = state.database(&name).ok_or_else(|| messages::only_full(&name))?;
            if database.state != DatabaseState::Online || database.in_standby {
                exclusive(&state, database, session)?;
            }
            let judged = judge(database, &header);
            let redo = database.redo;
            state.restores += 1;
            let nth = state.restores;
            judged?;
            let fault = state.failing.iter().find(|(at, _)| *at == nth).map(|(_, number)| *number);
            if let Some(number) = fault {
                return Err(planted(number, &header, redo, &device).into());
            }
        } else {
            overwritable(&state, &name, &header, restore.has("REPLACE"), session)?;
        }
        if !log && state.database(&name).is_none() {
            let id = state.next_database_id();
            let mut database =
                Database::online(id, &name, instance.world.local(), &mut super::super::instance::lock(&instance.world.random));
            database.state = DatabaseState::Restoring;
            state.databases.push(database);
        }
        if let Some(database) = state.database_mut(&name) {
            database.busy = Some(session);
            database.state = DatabaseState::Restoring;
            database.in_standby = false;
        }
    }
    let whole = media::verify(&path, &set).map_err(|error| unreadable(&device, &error));
    if let Err(raised) = whole {
        abandon(&instance, &name, None);
        return Err(raised.into());
    }
    let data = header.files.iter().find(|file| file.kind == 'D').map_or_else(|| format!("{name}_data"), |file| file.logical.clone());
    if !pass(runner, begun, stats, log) {
        abandon(&instance, &name, Some(HalfRestored { set: header.set, file: data }));
        return if runner.killed() { Err(messages::killed().into()) } else { Ok(()) };
    }
    apply(&instance, &name, &device, &media, &set, &moves, restore.has("REPLACE"), leave == Leave::Recovery, &runner.connection.login.user);
    let fork = instance.world.guid();
    finish_state(&instance, &name, &leave, fork)?;
    report(runner, word, &name, &set, begun);
    Ok(())
}

/// MOVE 'logical' TO 'physical': every physical path must be on the server's map.
fn moves(runner: &Runner<'_>, restore: &Restore) -> Result<Vec<(String, String)>, Raised> {
    let mut moves = Vec::new();
    for option in restore.list().iter().filter(|option| option.name == "MOVE") {
        let (Some(from), Some(to)) = (&option.value, &option.to) else { return Err(messages::incorrect_syntax("MOVE")) };
        let (from, to) = (runner.name(from)?, runner.name(to)?);
        if runner.connection.instance.paths.resolve(&to).is_none() {
            return Err(message(
                3156,
                16,
                1,
                format!("File '{from}' cannot be restored to '{to}'. Use WITH MOVE to identify a valid location for the file."),
            ));
        }
        moves.push((from, to));
    }
    Ok(moves)
}

/// Whether a full backup may be restored over what is there.
fn overwritable(state: &State, name: &str, set: &Header, replace: bool, session: u16) -> Result<(), Raised> {
    let Some(database) = state.database(name) else { return Ok(()) };
    exclusive(state, database, session)?;
    if !replace {
        if set.family != database.family {
            return Err(messages::other_database(&database.name));
        }
        if database.state == DatabaseState::Online && !database.in_standby && database.recovery_model != "SIMPLE" {
            return Err(messages::tail_not_backed_up(&database.name));
        }
    }
    Ok(())
}

/// Lets the simulated time of a restore pass, with progress; false if it was cut short.
fn pass(runner: &mut Runner<'_>, begun: Instant, stats: Option<i64>, log: bool) -> bool {
    let world = Arc::clone(&runner.connection.instance.world);
    let all = world.paced(if log { world.restore_seconds } else { world.restore_seconds * 4.0 }) + held(runner);
    let step = stats.unwrap_or(10);
    let mut percent = step;
    runner.reply.flush();
    while percent <= 100 {
        let until = begun + all.mul_f64(percent as f64 / 100.0);
        let left = until.saturating_duration_since(Instant::now());
        if !runner.pause(left) {
            return false;
        }
        set_percent(runner, percent as f32);
        if stats.is_some() {
            runner.say(*messages::percent(u32::try_from(percent).unwrap_or(100)));
            if !all.is_zero() {
                runner.reply.flush();
            }
        }
        if percent < 100 && percent + step > 100 {
            percent = 100;
        } else {
            percent += step;
        }
    }
    true
}

fn abandon(instance: &Instance, name: &str, half: Option<HalfRestored>) {
    let mut state = instance.lock();
    if let Some(database) = state.database_mut(name) {
        database.busy = None;
        if half.is_some() {
            database.half = half;
        }
    }
}

/// Rolls the database forward and writes msdb's history.
#[expect(clippy::too_many_arguments, reason = "what a restore leaves behind is made of all of these")]
pub fn apply(
    instance: &Instance,
    name: &str,
    device: &str,
    media: &Media,
    set: &Set,
    moves: &[(String, String)],
    replace: bool,
    recovery: bool,
    user: &str,
) {
    let now = instance.world.local();
    let header = &set.header;
    let log = header.kind == Kind::Log;
    let binding = instance.world.guid();
    let mut state = instance.lock();
    let known = state.know_set((media.set_id, media.family_id), set.position, device, header, set.payload);
    let id = state.restored.last().map_or(1, |last| last.id + 1);
    state.restored.push(Restored {
        id,
        at: now,
        database: name.to_owned(),
        user: user.to_owned(),
        set: known,
        kind: header.kind.letter(),
        replace,
        recovery,
    });
    let Some(database) = state.database_mut(name) else { return };
    database.half = None;
    database.redo = header.last_lsn;
    database.fork = header.last_fork;
    if log {
        database.logs_applied += 1;
        return;
    }
    database.family = header.family;
    database.binding = binding;
    database.created = now;
    database.database_backup = header.checkpoint_lsn;
    database.checkpoint = header.checkpoint_lsn;
    database.logs_applied = 0;
    database.recovery_model = if header.recovery_model == "SIMPLE" { "SIMPLE" } else { "FULL" };
    if !header.files.is_empty() {
        database.files = header.files.clone();
    }
    for file in &mut database.files {
        if let Some((_, to)) = moves.iter().find(|(from, _)| same(from, &file.logical)) {
            file.physical.clone_from(to);
        }
    }
}

/// INFO 4035 per file, then 3014.
fn report(runner: &mut Runner<'_>, word: &str, name: &str, set: &Set, begun: Instant) {
    let log = set.header.kind == Kind::Log;
    let pages = (set.payload / 8192).max(u64::from(set.header.first_lsn != set.header.last_lsn));
    let file =
        |kind: char, fallback: String| set.header.files.iter().find(|file| file.kind == kind).map_or(fallback, |file| file.logical.clone());
    let (data, tail) = (file('D', format!("{name}_data")), file('L', format!("{name}_log")));
    let (data_pages, log_pages) = if log { (0, pages) } else { (pages, 2) };
    runner.say(*messages::pages(data_pages, name, &data, set.position));
    runner.say(*messages::pages(log_pages, name, &tail, set.position));
    let seconds = begun.elapsed().as_secs_f64().max(0.001);
    let all = data_pages + log_pages;
    runner.say(*messages::backup_done(word, all, seconds, all as f64 / 128.0 / seconds));
    runner.reply.done(None);
}

/// What a restore job of log shipping does with one file: applies it if it is the next, silently. `standby`: the undo file,
/// if the database is to be read afterwards.
pub fn apply_next(
    instance: &Instance,
    database: &str,
    device: &str,
    path: &Path,
    standby: Option<&str>,
    user: &str,
) -> Result<DateTime, Raised> {
    let leave = standby.map_or(Leave::NoRecovery, |undo| Leave::Standby(undo.to_owned()));
    let (media, sets) = open(device, path)?;
    let now = instance.world.local();
    for set in &sets {
        {
            let state = instance.lock();
            let found = state.database(database).ok_or_else(|| messages::only_full(database))?;
            exclusive(&state, found, 0)?;
            judge(found, &set.header)?;
        }
        media::verify(path, set).map_err(|error| unreadable(device, &error))?;
        apply(instance, database, device, &media, set, &[], false, false, user);
        finish_state(instance, database, &leave, instance.world.guid())?;
    }
    Ok(now)
}
