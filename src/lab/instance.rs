//! One simulated SQL Server: its databases, sessions, jobs, log shipping rows and history, and the rules by which they
//! change. Statements ask and change it under its lock; the catalogue reads it. Knows nothing of sockets or of T-SQL text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use uuid::Uuid;

use super::catalog::Catalog;
use super::media::{DataFile, Header};
use super::statements::breaks::Break;
use super::tds::Connections;
use super::wirelog::WireLog;
use crate::wire::lsn::Lsn;

pub const COLLATION: &str = "SQL_Latin1_General_CP1_CI_AS";

/// What all servers of one lab share.
pub struct World {
    /// the full minute at which the scene was set
    pub opened: Timestamp,
    /// the lab's time when it started, and what the machine's steady clock showed
    pub origin: (Timestamp, Instant),
    /// factor on simulated durations
    pub pace: f64,
    pub offset_minutes: i32,
    pub random: Mutex<fastrand::Rng>,
    pub wire: WireLog,
    pub restore_seconds: f64,
    pub recovery_seconds: f64,
}

impl World {
    /// The lab's time.
    pub fn now(&self) -> Timestamp {
        let (at, started) = self.origin;
        let elapsed = i64::try_from(started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        at.saturating_add(jiff::Span::new().nanoseconds(elapsed)).unwrap_or(at)
    }

    pub fn utc(&self) -> DateTime {
        Offset::UTC.to_datetime(self.now())
    }

    /// The servers' local time.
    pub fn local(&self) -> DateTime {
        self.to_local(self.now())
    }

    pub fn to_local(&self, at: Timestamp) -> DateTime {
        Offset::UTC.to_datetime(at).saturating_add(jiff::Span::new().minutes(self.offset_minutes))
    }

    /// A simulated duration at this lab's pace.
    pub fn paced(&self, seconds: f64) -> Duration {
        Duration::try_from_secs_f64(seconds * self.pace).unwrap_or_default()
    }

    pub fn guid(&self) -> Uuid {
        random_guid(&mut lock(&self.random))
    }
}

/// A version 4 GUID from a seeded generator.
pub fn random_guid(random: &mut fastrand::Rng) -> Uuid {
    uuid::Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid()
}

/// A lock that a panicking thread does not take away from the others.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// `sys.databases.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseState {
    Online,
    Restoring,
    Recovering,
    Offline,
}

impl DatabaseState {
    pub fn number(self) -> u8 {
        match self {
            Self::Online => 0,
            Self::Restoring => 1,
            Self::Recovering => 2,
            Self::Offline => 6,
        }
    }

    pub fn description(self) -> &'static str {
        match self {
            Self::Online => "ONLINE",
            Self::Restoring => "RESTORING",
            Self::Recovering => "RECOVERING",
            Self::Offline => "OFFLINE",
        }
    }
}

/// `sys.databases.user_access`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Multi,
    Single,
    Restricted,
}

impl Access {
    pub fn number(self) -> u8 {
        match self {
            Self::Multi => 0,
            Self::Single => 1,
            Self::Restricted => 2,
        }
    }

    pub fn description(self) -> &'static str {
        match self {
            Self::Multi => "MULTI_USER",
            Self::Single => "SINGLE_USER",
            Self::Restricted => "RESTRICTED_USER",
        }
    }
}

/// A database's row in `sys.database_mirroring`.
#[derive(Clone, Debug, PartialEq)]
pub struct Mirroring {
    pub guid: Uuid,
    pub principal: bool,
    pub state: u8,
    pub partner_name: String,
    pub partner_instance: String,
}

impl Mirroring {
    pub fn state_description(&self) -> &'static str {
        match self.state {
            0 => "SUSPENDED",
            1 => "DISCONNECTED",
            2 => "SYNCHRONIZING",
            3 => "PENDING_FAILOVER",
            _ => "SYNCHRONIZED",
        }
    }

    pub fn role(&self) -> &'static str {
        if self.principal { "PRINCIPAL" } else { "MIRROR" }
    }
}

/// A restore that an attention or a KILL cut short: only the same set may come next (4319).
#[derive(Clone, Debug, PartialEq)]
pub struct HalfRestored {
    pub set: Uuid,
    pub file: String,
}

#[derive(Clone, Debug)]
pub struct Database {
    pub id: i32,
    pub name: String,
    pub state: DatabaseState,
    pub in_standby: bool,
    pub undo_file: Option<String>,
    pub access: Access,
    pub recovery_model: &'static str,
    pub created: DateTime,
    /// the log sequence number up to which the database is rolled forward
    pub redo: Lsn,
    pub checkpoint: Lsn,
    pub database_backup: Lsn,
    pub family: Uuid,
    pub binding: Uuid,
    pub fork: Uuid,
    pub first_fork: Uuid,
    pub fork_point: Option<Lsn>,
    pub half: Option<HalfRestored>,
    pub files: Vec<DataFile>,
    /// log backups restored in its whole life
    pub logs_applied: u32,
    pub mirroring: Option<Mirroring>,
    /// the session that restores or recovers it at the moment
    pub busy: Option<u16>,
}

impl Database {
    /// A small database that is ONLINE and has nothing special.
    pub fn online(id: i32, name: &str, created: DateTime, random: &mut fastrand::Rng) -> Self {
        let folder = if id <= 4 { "C:\\SQL\\DATA" } else { "E:\\Data" };
        let fork = random_guid(random);
        let file = |file: i32, logical: String, physical: String, kind: char, pages: u64, unique| DataFile {
            id: file,
            logical,
            physical,
            kind,
            pages,
            unique,
        };
        let files = vec![
            file(1, format!("{name}_data"), format!("{folder}\\{name}.mdf"), 'D', 8192, random_guid(random)),
            file(2, format!("{name}_log"), format!("{folder}\\{name}.ldf"), 'L', 2048, random_guid(random)),
        ];
        let lsn = Lsn::new(30 + u32::from(random.u8(..8)), u64::from(random.u16(..)), 1);
        Self {
            id,
            name: name.to_owned(),
            state: DatabaseState::Online,
            in_standby: false,
            undo_file: None,
            access: Access::Multi,
            recovery_model: if id <= 4 && name != "model" { "SIMPLE" } else { "FULL" },
            created,
            redo: lsn,
            checkpoint: lsn,
            database_backup: lsn,
            family: random_guid(random),
            binding: random_guid(random),
            fork,
            first_fork: fork,
            fork_point: None,
            half: None,
            files,
            logs_applied: 0,
            mirroring: None,
            busy: None,
        }
    }

    /// True if the columns that need an open database have values: `collation_name`, the files' states.
    pub fn is_open(&self) -> bool {
        self.state == DatabaseState::Online
    }

    /// Ends the restore sequence: a new recovery fork begins where the old one was rolled forward to.
    pub fn recover(&mut self, fork: Uuid) {
        self.state = DatabaseState::Online;
        self.in_standby = false;
        self.undo_file = None;
        self.access = Access::Multi;
        self.first_fork = self.fork;
        self.fork_point = Some(self.redo);
        self.fork = fork;
        self.half = None;
    }
}

/// A request that runs (`sys.dm_exec_requests`).
#[derive(Clone, Debug)]
pub struct Running {
    pub start: DateTime,
    pub since: Instant,
    pub command: &'static str,
    pub percent: f32,
    pub database: i32,
}

impl Running {
    /// the command of whatever has no other
    pub const SELECT: &str = "SELECT";
}

/// A session (`sys.dm_exec_sessions`); one that the scene put there has no connection behind it.
#[derive(Clone, Debug)]
pub struct SessionRow {
    pub id: u16,
    /// tells it from a later session of the same id
    pub serial: u64,
    pub user: bool,
    pub login: String,
    pub host: String,
    pub program: String,
    pub process: u32,
    pub database: String,
    pub command: &'static str,
    pub login_time: DateTime,
    pub last_start: DateTime,
    pub last_end: Option<DateTime>,
    pub running: Option<Running>,
    pub transactions: i32,
    pub killed: bool,
    /// comes back under a new id when it is killed
    pub reconnects: bool,
}

/// A row of `msdb.dbo.log_shipping_secondary`.
#[derive(Clone, Debug)]
pub struct Secondary {
    pub id: Uuid,
    pub primary_server: String,
    pub primary_database: String,
    pub source: String,
    pub destination: String,
    pub retention: i32,
    pub copy_job: Uuid,
    pub restore_job: Uuid,
    pub monitor: String,
    pub monitor_mode: bool,
    pub last_copied: Option<(String, DateTime)>,
}

/// A row of `msdb.dbo.log_shipping_secondary_databases`, and of its monitor table.
#[derive(Clone, Debug)]
pub struct SecondaryDatabase {
    pub name: String,
    pub secondary: Uuid,
    pub restore_delay: i32,
    pub restore_all: bool,
    pub restore_mode: bool,
    pub disconnect_users: bool,
    pub block_size: i32,
    pub buffer_count: i32,
    pub max_transfer_size: i32,
    pub restore_threshold: i32,
    pub threshold_alert: i32,
    pub threshold_alert_enabled: bool,
    pub history_retention: i32,
    pub last_restored: Option<(String, DateTime)>,
    pub last_latency: i32,
}

#[derive(Clone, Debug)]
pub struct Schedule {
    pub id: i32,
    pub uid: Uuid,
    pub name: String,
    pub enabled: bool,
    pub freq_type: i32,
    pub freq_interval: i32,
    pub subday_type: i32,
    pub subday_interval: i32,
    pub relative_interval: i32,
    pub recurrence_factor: i32,
    pub start_date: i32,
    pub end_date: i32,
    pub start_time: i32,
    pub end_time: i32,
}

/// One outcome in `msdb.dbo.sysjobhistory`.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub instance: i32,
    pub at: DateTime,
    pub seconds: i32,
    pub succeeded: bool,
    pub message: String,
}

#[derive(Clone, Debug)]
pub struct Job {
    pub id: Uuid,
    pub name: String,
    pub enabled: bool,
    pub category: i32,
    pub description: String,
    pub command: String,
    pub created: DateTime,
    pub schedules: Vec<i32>,
    pub last_start: Option<DateTime>,
    pub last_stop: Option<DateTime>,
    /// until when it runs, if it does
    pub until: Option<Instant>,
    pub history: Vec<Outcome>,
}

/// A backup set that this server wrote or restored (`msdb.dbo.backupset`).
#[derive(Clone, Debug)]
pub struct KnownSet {
    pub id: i32,
    pub media_set: i32,
    pub media: Uuid,
    pub family: Uuid,
    pub position: usize,
    pub device: String,
    pub header: Header,
    pub bytes: u64,
}

/// A row of `msdb.dbo.restorehistory`.
#[derive(Clone, Debug)]
pub struct Restored {
    pub id: i32,
    pub at: DateTime,
    pub database: String,
    pub user: String,
    pub set: i32,
    pub kind: &'static str,
    pub replace: bool,
    pub recovery: bool,
}

/// A session-owned application lock.
#[derive(Clone, Debug, PartialEq)]
pub struct AppLock {
    pub database: String,
    pub principal: String,
    pub resource: String,
    pub mode: String,
    pub session: u16,
    pub count: u32,
}

#[derive(Default)]
pub struct State {
    pub databases: Vec<Database>,
    pub sessions: BTreeMap<u16, SessionRow>,
    pub secondaries: Vec<Secondary>,
    pub secondary_databases: Vec<SecondaryDatabase>,
    pub jobs: Vec<Job>,
    pub schedules: Vec<Schedule>,
    pub sets: Vec<KnownSet>,
    pub restored: Vec<Restored>,
    pub locks: Vec<AppLock>,
    pub agent_started: Option<DateTime>,
    /// RESTORE LOG statements so far, for faults that count them
    pub restores: u32,
    /// (nth, number): RESTORE LOG statements that fail although the set fits
    pub failing: Vec<(u32, i32)>,
    /// the monitor server of log shipping died with the primary
    pub monitor_silent: bool,
    /// connections that will break
    pub breaks: Vec<Break>,
}

impl State {
    pub fn database(&self, name: &str) -> Option<&Database> {
        self.databases.iter().find(|database| same(&database.name, name))
    }

    pub fn database_mut(&mut self, name: &str) -> Option<&mut Database> {
        self.databases.iter_mut().find(|database| same(&database.name, name))
    }

    pub fn next_database_id(&self) -> i32 {
        let used = |id: i32| self.databases.iter().any(|database| database.id == id);
        (5..).find(|id| !used(*id)).unwrap_or(i32::MAX)
    }

    /// The lowest free id from 51: ids are used again at once.
    pub fn free_session(&self) -> u16 {
        (51..u16::MAX).find(|id| !self.sessions.contains_key(id)).unwrap_or(u16::MAX)
    }

    /// Sessions whose current database is this one, other than `except`.
    pub fn users_of(&self, name: &str, except: u16) -> Vec<u16> {
        let inside = self.sessions.values().filter(|session| same(&session.database, name) && session.id != except);
        inside.map(|session| session.id).collect()
    }

    /// Ends a session; one that reconnects is back under a free id, unless its database lets nobody in.
    pub fn end_session(&mut self, id: u16, now: DateTime) {
        let Some(mut row) = self.sessions.remove(&id) else { return };
        self.locks.retain(|lock| lock.session != id);
        let open = self
            .database(&row.database)
            .is_some_and(|database| database.is_open() && database.access == Access::Multi && database.busy.is_none());
        if row.reconnects && open {
            row.id = self.free_session();
            row.login_time = now;
            row.last_start = now;
            self.sessions.insert(row.id, row);
        }
    }

    /// Remembers a set in msdb, once.
    pub fn know_set(&mut self, media: (Uuid, Uuid), position: usize, device: &str, header: &Header, bytes: u64) -> i32 {
        if let Some(known) = self.sets.iter().find(|known| known.header.set == header.set) {
            return known.id;
        }
        let id = self.sets.last().map_or(1, |last| last.id + 1);
        let media_set = match self.sets.iter().find(|known| known.media == media.0) {
            Some(known) => known.media_set,
            None => self.sets.iter().map(|known| known.media_set).max().unwrap_or(0) + 1,
        };
        self.sets.push(KnownSet {
            id,
            media_set,
            media: media.0,
            family: media.1,
            position,
            device: device.to_owned(),
            header: header.clone(),
            bytes,
        });
        id
    }

    pub fn job(&self, name: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| same(&job.name, name))
    }
}

impl Job {
    pub fn is_running(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }

    /// Writes down the end of a run whose time is over.
    pub fn settle(&mut self, now: DateTime) {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            self.until = None;
            self.finish(now, true, "The job succeeded.");
        }
    }

    pub fn finish(&mut self, now: DateTime, succeeded: bool, message: &str) {
        self.last_stop = Some(now);
        let start = self.last_start.unwrap_or(now);
        let seconds = now.since(start).map_or(0, |span| span.total(jiff::Unit::Second).unwrap_or(0.0) as i32);
        let instance = self.history.last().map_or(1, |last| last.instance + 1);
        self.history.push(Outcome { instance, at: start, seconds, succeeded, message: message.to_owned() });
    }
}

/// Names compare without case, as under the server's default collation.
pub fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!a.is_ascii() && a.to_lowercase() == b.to_lowercase())
}

/// What a server calls a folder, and the folder that it is.
#[derive(Clone, Debug, Default)]
pub struct PathMap(pub Vec<(String, PathBuf)>);

impl PathMap {
    /// The real path, or `None` if no folder of this name is there for the server (its OS error 3). Names are looked up
    /// without case, as on Windows.
    pub fn resolve(&self, path: &str) -> Option<PathBuf> {
        let normal = path.replace('/', "\\");
        for (prefix, folder) in &self.0 {
            let Some(head) = normal.get(..prefix.len()) else { continue };
            let rest = &normal[prefix.len()..];
            if !same(head, prefix) || !(rest.is_empty() || rest.starts_with('\\') || prefix.ends_with('\\')) {
                continue;
            }
            let mut real = folder.clone();
            let mut parts = rest.split('\\').filter(|part| !part.is_empty()).peekable();
            while let Some(part) = parts.next() {
                if part == "." || part == ".." {
                    return None;
                }
                let exact = real.join(part);
                real = if exact.exists() { exact } else { without_case(&real, part).unwrap_or(exact) };
                if parts.peek().is_some() && !real.is_dir() {
                    return None;
                }
            }
            return Some(real);
        }
        None
    }
}

fn without_case(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries.flatten().find(|entry| entry.file_name().to_str().is_some_and(|found| same(found, name))).map(|entry| entry.path())
}

/// What a login must give, and what it may be refused with.
#[derive(Clone)]
pub struct Credentials {
    pub user: String,
    /// of the Windows account of the same name and password
    pub domain: String,
    pub password: String,
    pub refused: bool,
}

/// One instance, shared by its connections and by the shell.
pub struct Instance {
    /// the site file's key
    pub key: String,
    /// `@@SERVERNAME`
    pub server: String,
    pub machine: String,
    /// empty: the default instance
    pub instance: String,
    pub fqdn: String,
    pub version: (u8, u8, u16),
    pub credentials: Credentials,
    pub paths: PathMap,
    pub world: Arc<World>,
    pub state: Mutex<State>,
    pub catalog: Mutex<Catalog>,
    /// the next session's serial
    pub serial: AtomicU64,
    /// the open connections, once the wire serves them
    pub links: OnceLock<Connections>,
}

impl Instance {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Adds a session's row and returns its id.
    pub fn enter(&self, login: &super::tds::Login, database: &str, serial: u64) -> u16 {
        let now = self.world.local();
        let mut state = self.lock();
        let id = state.free_session();
        state.sessions.insert(
            id,
            SessionRow {
                id,
                serial,
                user: true,
                login: login.user.clone(),
                host: login.host.clone(),
                program: login.program.clone(),
                process: login.process_id,
                database: database.to_owned(),
                command: "AWAITING COMMAND",
                login_time: now,
                last_start: now,
                last_end: Some(now),
                running: None,
                transactions: 0,
                killed: false,
                reconnects: false,
            },
        );
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_path_leads_to_the_real_folder_without_case_and_never_out_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        std::fs::create_dir(&copy).unwrap();
        std::fs::write(copy.join("a.trn"), b"x").unwrap();
        let map =
            PathMap(vec![("D:\\LogShip".to_owned(), copy.clone()), ("\\\\dr-fs-01\\LogShip".to_owned(), folder.path().join("share"))]);
        assert_eq!(map.resolve("D:\\LogShip\\a.trn"), Some(copy.join("a.trn")));
        assert_eq!(map.resolve("d:/logship/A.TRN"), Some(copy.join("a.trn")));
        assert_eq!(map.resolve("D:\\LogShip\\new.trn"), Some(copy.join("new.trn")));
        assert_eq!(map.resolve("\\\\DR-FS-01\\logship\\b.trn"), Some(folder.path().join("share").join("b.trn")));
        assert_eq!(map.resolve("D:\\LogShip2\\a.trn"), None);
        assert_eq!(map.resolve("D:\\LogShip\\..\\a.trn"), None);
        assert_eq!(map.resolve("F:\\a.trn"), None);
        assert_eq!(map.resolve("D:\\LogShip\\none\\a.trn"), None);
    }
}
