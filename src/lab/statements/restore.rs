//! RESTORE: LOG and DATABASE with their rules about chains, forks and states, and the forms that only read a file. Errors
//! come in the server's order: the specific one, then 3013.

mod plan;
mod read;
pub mod undo;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Failure;
use super::admin::whole;
use super::run::Runner;
use crate::lab::instance::{Access, Database, DatabaseState, HalfRestored, Instance, OsError, Restored, lock};
use crate::lab::media::{self, Contents, DataFile, Header, Kind, MediaError, Set};
use crate::lab::messages::{self, MESSAGES, Raised, message};
use crate::tsql::syntax::{Options, Restore, RestoreKind, Value};
use crate::wire::lsn::Lsn;

pub use self::plan::weight;
use self::plan::{exclusive, rolls_forward};
pub use self::read::{database_version, row};

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
    result.map_err(|failure| failure.ending(word))
}

/// The only device of a statement: what the server calls it, and where it really is.
fn device(runner: &Runner<'_>, restore: &Restore) -> Result<(String, PathBuf), Raised> {
    let [device] = restore.from.as_slice() else {
        let first = restore.from.first().map(|device| runner.name(&device.place)).transpose()?.unwrap_or_default();
        return Err(messages::other_families(&first, restore.from.len()));
    };
    let name = runner.name(&device.place)?;
    if device.kind != "DISK" {
        return Err(messages::no_such_device(&name));
    }
    if name.is_empty() {
        return Err(messages::media_name());
    }
    let path = runner.connection.instance.paths.resolve(&name).map_err(|cause| messages::cannot_open(&name, cause))?;
    Ok((name, path))
}

/// The server's error for a file that cannot be read.
pub fn unreadable(device: &str, error: &MediaError) -> Raised {
    match error {
        MediaError::Open(error) => messages::cannot_open(
            device,
            match error.kind() {
                std::io::ErrorKind::NotFound => OsError::NO_FILE,
                _ => OsError::DENIED,
            },
        ),
        MediaError::Empty => messages::empty_volume(device),
        MediaError::Malformed => messages::malformed(device),
        MediaError::NotASet => messages::not_a_set(device),
        MediaError::CutOff => messages::read_failed(device, OsError::END),
        MediaError::Read(_) if device.starts_with("\\\\") => messages::read_failed(device, OsError::NETWORK_GONE),
        MediaError::Read(_) => messages::read_failed(device, OsError::DEVICE),
        MediaError::Damaged(_) => messages::damaged(),
    }
}

/// The same for a set's payload: where pages have checksums, the server names the page.
fn damaged(device: &str, set: &Set, error: &MediaError) -> Raised {
    match error {
        MediaError::Damaged(at) if set.header.checksums && set.header.kind != Kind::Log => {
            messages::bad_page(at / 8192, &set.header.database)
        }
        other => unreadable(device, other),
    }
}

fn open(name: &str, path: &Path) -> Result<Contents, Raised> {
    media::contents(path).map_err(|error| unreadable(name, &error))
}

/// The set that `FILE = n` names, the first without it; it must have been written to its end.
fn chosen<'c>(runner: &Runner<'_>, restore: &Restore, name: &str, contents: &'c Contents) -> Result<&'c Set, Raised> {
    let position = match restore.value("FILE") {
        Some(value) => whole(runner, value)?,
        None => 1,
    };
    let found = contents.sets.iter().find(|set| i64::try_from(set.position) == Ok(position));
    match (found, &contents.rest) {
        (Some(set), _) if set.complete => Ok(set),
        (Some(_), _) => Err(messages::unfinished_set(name)),
        (None, Some(error)) => Err(unreadable(name, error)),
        (None, None) => Err(messages::no_such_file(position, name)),
    }
}

fn known_options(restore: &Restore, known: &[&str]) -> Result<(), Raised> {
    match restore.list().iter().find(|option| !known.contains(&option.name.as_str())) {
        Some(option) => Err(messages::unknown_option(&option.name, "RESTORE")),
        None => Ok(()),
    }
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
const STATES: [&str; 3] = ["RECOVERY", "NORECOVERY", "STANDBY"];

fn leave(runner: &Runner<'_>, restore: &Restore) -> Result<Leave, Raised> {
    let mut given = STATES.into_iter().filter(|name| restore.has(name));
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        return Err(messages::conflicting_options(&second.to_lowercase(), &first.to_lowercase()));
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
    let instance = &runner.connection.instance;
    let state = instance.lock();
    let Some(database) = state.database(name) else {
        return if instance.rights.over_databases() { Ok(()) } else { Err(messages::denied("CREATE DATABASE", "master")) };
    };
    if !instance.rights.over_databases() {
        return Err(messages::restore_denied(&database.name));
    }
    if runner.is_current(name) {
        return Err(messages::own_session(&database.name));
    }
    if database.mirroring.is_some() {
        return Err(messages::mirrored(&database.name));
    }
    if database.id <= 4 {
        return Err(messages::system_restore(&database.name));
    }
    Ok(())
}

/// RESTORE ... without FROM: only the state changes.
fn change_state(runner: &mut Runner<'_>, restore: &Restore, word: &str) -> Result<(), Failure> {
    known_options(restore, &["NORECOVERY", "RECOVERY", "STANDBY", "STATS", "RESTRICTED_USER"])?;
    let name = restore.database.as_ref().map(|name| runner.name(name)).transpose()?.unwrap_or_default();
    let leave = leave(runner, restore)?;
    admitted(runner, &name)?;
    let instance = Arc::clone(&runner.connection.instance);
    let session = runner.connection.id;
    let begun = Instant::now();
    {
        let mut state = instance.lock();
        let database = state.database(&name).ok_or_else(|| messages::no_database(&name))?;
        match database.state {
            DatabaseState::Online if !database.in_standby => return Err(messages::already_recovered().into()),
            DatabaseState::Offline => return Err(messages::offline(&database.name).into()),
            DatabaseState::Recovering => return Err(messages::in_use().into()),
            DatabaseState::Online | DatabaseState::Restoring | DatabaseState::RecoveryPending => {}
        }
        exclusive(&state, database, session)?;
        undo::check(&instance, database)?;
        if let Some(half) = database.half.as_ref().filter(|_| leave != Leave::NoRecovery) {
            return Err(messages::interrupted(&half.file).into());
        }
        if let Leave::Standby(file) = &leave {
            if database.older.is_some() {
                return Err(messages::upgrade_due().into());
            }
            undo::place(&instance, file)?;
        }
        if let Some(database) = state.database_mut(&name) {
            database.busy = Some(session);
        }
    }
    finish(runner, &instance, &name, &leave)?;
    runner.say(*messages::backup_done(word, 0, begun.elapsed().as_secs_f64(), 0.0));
    runner.reply.done(None);
    Ok(())
}

/// How much longer than usual it takes.
fn held(runner: &mut Runner<'_>) -> Duration {
    runner.connection.hold.take().unwrap_or_default()
}

fn set_percent(instance: &Instance, session: u16, percent: f32) {
    let mut state = instance.lock();
    if let Some(running) = state.sessions.get_mut(&session).and_then(|row| row.running.as_mut()) {
        running.percent = percent;
    }
}

/// Ends a statement: recovery takes its time, then the database is what it was to become.
fn finish(runner: &mut Runner<'_>, instance: &Instance, name: &str, leave: &Leave) -> Result<(), Raised> {
    if *leave == Leave::Recovery {
        let older = {
            let mut state = instance.lock();
            state.database_mut(name).and_then(|database| {
                database.state = DatabaseState::Recovering;
                database.in_standby = false;
                database.older
            })
        };
        recover_slowly(runner);
        if let Some(older) = older {
            let (from, to) = (database_version(older), database_version(i32::from(instance.version.0)));
            runner.say(*messages::upgrade(name, from, to));
        }
    }
    settle(instance, name, leave, instance.world.guid())
}

/// Recovery is never cut short: not by an attention, not by a KILL, not by a lost connection.
fn recover_slowly(runner: &mut Runner<'_>) {
    runner.reply.flush();
    let instance = Arc::clone(&runner.connection.instance);
    let since = Instant::now();
    let all = instance.world.paced(instance.world.recovery_seconds) + held(runner);
    let until = since + all;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::sleep(left.min(Duration::from_millis(50)));
        let done = since.elapsed().as_secs_f64() / all.as_secs_f64().max(f64::EPSILON);
        set_percent(&instance, runner.connection.id, (done * 100.0).min(100.0) as f32);
    }
}

/// Puts the database into the state that the statement leaves it in.
fn settle(instance: &Instance, name: &str, leave: &Leave, fork: uuid::Uuid) -> Result<(), Raised> {
    let mut state = instance.lock();
    let Some(database) = state.database_mut(name) else { return Ok(()) };
    database.busy = None;
    if let Some(old) = database.undo_file.take() {
        undo::remove(instance, &old);
    }
    match leave {
        Leave::Recovery => database.recover(fork),
        Leave::NoRecovery => {
            database.state = DatabaseState::Restoring;
            database.in_standby = false;
        }
        Leave::Standby(file) => {
            database.state = DatabaseState::Restoring;
            database.in_standby = false;
            undo::write(instance, database, file)?;
            database.state = DatabaseState::Online;
            database.in_standby = true;
            database.undo_file = Some(file.clone());
            // a restore WITH STANDBY leaves the database open to all
            database.access = Access::Multi;
        }
    }
    Ok(())
}

/// A fault's error in place of what the set deserves.
fn planted(number: i32, set: &Header, redo: Lsn, device: &str) -> Raised {
    match number {
        3101 => messages::in_use(),
        3201 => messages::cannot_open(device, OsError::IN_USE),
        3203 => messages::read_failed(device, OsError::END),
        3241 => messages::malformed(device),
        4305 => messages::too_recent(Lsn(set.first_lsn.0 + 500_000), redo),
        4326 => messages::too_early(set.last_lsn, redo),
        4330 => messages::other_fork(),
        other => {
            let known = MESSAGES.iter().find(|row| row.number == other).map_or((16, 1), |row| (row.severity, row.state));
            message(other, known.0, known.1, "The operation failed. (The scenario asked for this error.)")
        }
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
    if let Some(part) = restore.parts.first() {
        return Err(messages::incorrect_syntax(&part.name).into());
    }
    admitted(runner, &name)?;
    let (device, path) = device(runner, restore)?;
    let contents = open(&device, &path)?;
    let set = chosen(runner, restore, &device, &contents)?.clone();
    let header = set.header.clone();
    let instance = Arc::clone(&runner.connection.instance);
    let session = runner.connection.id;
    if (restore.kind == RestoreKind::Log) != (header.kind == Kind::Log) {
        let made = if header.kind == Kind::Log { "BACKUP LOG" } else { "BACKUP DATABASE" };
        return Err(messages::wrong_kind(&device, made).into());
    }
    if restore.has("CHECKSUM") && !header.checksums {
        return Err(messages::no_checksum().into());
    }
    plan::readable(&instance, &header, matches!(leave, Leave::Standby(_)))?;
    if let Leave::Standby(file) = &leave {
        undo::place(&instance, file)?;
    }
    let moves = moves(runner, restore)?;
    let replace = restore.has("REPLACE");
    let begun = Instant::now();
    let files = {
        let mut state = instance.lock();
        match header.kind {
            Kind::Log => {
                let database = state.database(&name).ok_or_else(|| messages::only_full(&name))?;
                if rolls_forward(database) {
                    exclusive(&state, database, session)?;
                    undo::check(&instance, database)?;
                }
                let (judged, redo) = (plan::judge(database, &header), database.redo);
                state.restores += 1;
                let nth = state.restores;
                judged?;
                if let Some((_, number)) = state.failing.iter().find(|(at, _)| *at == nth) {
                    return Err(planted(*number, &header, redo, &device).into());
                }
            }
            Kind::Differential => {
                let database = state.database(&name).ok_or_else(|| messages::only_full(&name))?;
                if rolls_forward(database) {
                    exclusive(&state, database, session)?;
                    undo::check(&instance, database)?;
                }
                plan::judge_differential(database, &header)?;
            }
            Kind::Database => plan::overwritable(&state, &name, &header, replace, session)?,
        }
        let files = match header.kind {
            Kind::Database => Some(plan::placed(&instance, &state, &name, &header, &moves)?),
            _ => None,
        };
        if state.database(&name).is_none() {
            let id = state.next_database_id();
            let mut database = Database::online(id, &name, instance.world.local(), &mut lock(&instance.world.random));
            database.state = DatabaseState::Restoring;
            state.databases.push(database);
        }
        if let Some(database) = state.database_mut(&name) {
            database.busy = Some(session);
        }
        files
    };
    if let Err(error) = media::verify(&path, &set) {
        abandon(&instance, &name, None);
        return Err(damaged(&device, &set, &error).into());
    }
    if let Some(database) = instance.lock().database_mut(&name) {
        database.state = DatabaseState::Restoring;
        database.in_standby = false;
    }
    if !pass(runner, begun, stats, &header) {
        abandon(&instance, &name, Some(HalfRestored { set: header.set, file: plan::data_file(&header, &name) }));
        return if runner.killed() { Err(messages::killed().into()) } else { Ok(()) };
    }
    let done = Applied { device: &device, contents: &contents, set: &set, files, replace, recovery: leave == Leave::Recovery };
    apply(&instance, &name, done, &runner.connection.login.user);
    pages_done(runner, &name, &set);
    finish(runner, &instance, &name, &leave)?;
    speed(runner, word, &set, begun);
    Ok(())
}

/// MOVE 'logical' TO 'physical'.
fn moves(runner: &Runner<'_>, restore: &Restore) -> Result<Vec<(String, String)>, Raised> {
    let mut moves = Vec::new();
    for option in restore.list().iter().filter(|option| option.name == "MOVE") {
        let (Some(from), Some(to)) = (&option.value, &option.to) else { return Err(messages::incorrect_syntax("MOVE")) };
        moves.push((runner.name(from)?, runner.name(to)?));
    }
    Ok(moves)
}

/// Of a restore's time, what is over when everything is read; the rest is redo, in which the progress stands still.
const READING: f64 = 0.7;

/// Lets the simulated time of a restore pass, with progress; false if it was cut short.
fn pass(runner: &mut Runner<'_>, begun: Instant, stats: Option<i64>, set: &Header) -> bool {
    let instance = Arc::clone(&runner.connection.instance);
    let all = instance.world.paced(instance.world.restore_seconds * weight(set)) + held(runner);
    let step = stats.unwrap_or(10);
    let mut percent = step;
    runner.reply.flush();
    while percent <= 100 {
        let until = begun + all.mul_f64(percent as f64 / 100.0 * READING);
        let left = until.saturating_duration_since(Instant::now());
        if !runner.pause(left) {
            return false;
        }
        set_percent(&instance, runner.connection.id, percent as f32);
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
    runner.pause((begun + all).saturating_duration_since(Instant::now()))
}

/// Lets go of a database that a restore holds; what it is left with when it was cut short.
fn abandon(instance: &Instance, name: &str, half: Option<HalfRestored>) {
    let mut state = instance.lock();
    let Some(database) = state.database_mut(name) else { return };
    database.busy = None;
    if half.is_some() {
        database.half = half;
        if let Some(old) = database.undo_file.take() {
            undo::remove(instance, &old);
        }
    }
}

/// A set that is restored.
struct Applied<'a> {
    device: &'a str,
    contents: &'a Contents,
    set: &'a Set,
    /// of a full backup, where its files go
    files: Option<Vec<DataFile>>,
    replace: bool,
    recovery: bool,
}

/// Rolls the database forward and writes msdb's history.
fn apply(instance: &Instance, name: &str, done: Applied<'_>, user: &str) {
    let now = instance.world.local();
    let header = &done.set.header;
    let binding = instance.world.guid();
    let media = &done.contents.media;
    let mut state = instance.lock();
    let set = state.know_set((media.set_id, media.family_id), done.set.position, done.device, header, done.set.payload);
    let id = state.restored.last().map_or(1, |last| last.id + 1);
    state.restored.push(Restored {
        id,
        at: now,
        database: name.to_owned(),
        user: user.to_owned(),
        set,
        kind: header.kind.letter(),
        replace: done.replace,
        recovery: done.recovery,
    });
    let own = i32::from(instance.version.0);
    let Some(database) = state.database_mut(name) else { return };
    database.half = None;
    database.redo = header.last_lsn;
    database.fork = header.last_fork;
    database.older = (header.version.0 < own).then_some(header.version.0);
    if header.kind == Kind::Log {
        database.logs_applied += 1;
    }
    if header.kind != Kind::Database {
        return;
    }
    database.family = header.family;
    database.binding = binding;
    database.created = now;
    database.access = Access::Multi;
    database.database_backup = header.checkpoint_lsn;
    database.checkpoint = header.checkpoint_lsn;
    database.logs_applied = 0;
    database.recovery_model = match header.recovery_model.as_str() {
        "SIMPLE" => "SIMPLE",
        "BULK_LOGGED" => "BULK_LOGGED",
        _ => "FULL",
    };
    if let Some(files) = done.files.filter(|files| !files.is_empty()) {
        database.files = files;
    }
}

fn page_counts(set: &Set) -> (u64, u64) {
    let pages = (set.payload / 8192).max(u64::from(set.header.first_lsn != set.header.last_lsn));
    if set.header.kind == Kind::Log { (0, pages) } else { (pages, 2) }
}

/// INFO 4035 per file.
fn pages_done(runner: &mut Runner<'_>, name: &str, set: &Set) {
    let (data, log) = page_counts(set);
    let tail = set.header.files.iter().find(|file| file.kind == 'L').map_or_else(|| format!("{name}_log"), |file| file.logical.clone());
    runner.say(*messages::pages(data, name, &plan::data_file(&set.header, name), set.position));
    runner.say(*messages::pages(log, name, &tail, set.position));
}

/// INFO 3014.
fn speed(runner: &mut Runner<'_>, word: &str, set: &Set, begun: Instant) {
    let (data, log) = page_counts(set);
    let seconds = begun.elapsed().as_secs_f64().max(0.001);
    let all = data + log;
    runner.say(*messages::backup_done(word, all, seconds, all as f64 / 128.0 / seconds));
    runner.reply.done(None);
}

/// What a restore job of log shipping does with one file: applies it if it is the next, silently.
pub struct NextLog<'a> {
    pub database: &'a str,
    /// what the server calls the file, and where it is
    pub device: &'a str,
    pub path: &'a Path,
    /// the undo file, if the database is to be read afterwards
    pub standby: Option<&'a str>,
    /// the job's session
    pub session: u16,
    pub user: &'a str,
}

impl NextLog<'_> {
    /// `pass` lets the time of one set pass, and is false if the job was cut short meanwhile: then the database is left half
    /// restored. The error is the first that the server would raise.
    pub fn apply(&self, instance: &Instance, pass: &mut dyn FnMut(&Header) -> bool) -> Result<bool, Raised> {
        let leave = self.standby.map_or(Leave::NoRecovery, |file| Leave::Standby(file.to_owned()));
        let contents = open(self.device, self.path)?;
        if let Some(error) = &contents.rest {
            return Err(unreadable(self.device, error));
        }
        for set in &contents.sets {
            if !set.complete {
                return Err(messages::unfinished_set(self.device));
            }
            plan::readable(instance, &set.header, self.standby.is_some())?;
            {
                let mut state = instance.lock();
                let found = state.database(self.database).ok_or_else(|| messages::only_full(self.database))?;
                exclusive(&state, found, self.session)?;
                undo::check(instance, found)?;
                plan::judge(found, &set.header)?;
                if let Some(database) = state.database_mut(self.database) {
                    database.busy = Some(self.session);
                }
            }
            if let Err(error) = media::verify(self.path, set) {
                abandon(instance, self.database, None);
                return Err(damaged(self.device, set, &error));
            }
            if let Some(database) = instance.lock().database_mut(self.database) {
                database.state = DatabaseState::Restoring;
                database.in_standby = false;
            }
            if !pass(&set.header) {
                let file = plan::data_file(&set.header, self.database);
                abandon(instance, self.database, Some(HalfRestored { set: set.header.set, file }));
                return Ok(false);
            }
            let done = Applied { device: self.device, contents: &contents, set, files: None, replace: false, recovery: false };
            apply(instance, self.database, done, self.user);
            settle(instance, self.database, &leave, instance.world.guid())?;
        }
        Ok(true)
    }
}
