//! One simulated SQL Server: its databases, sessions, jobs, log shipping rows and history, and the rules by which they
//! change. Statements ask and change it under its lock; the catalogue reads it. Knows nothing of sockets or of T-SQL text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use uuid::Uuid;

use super::catalog::Catalog;
use super::media::{DataFile, Header};
use super::rights::Rights;
use super::scenario::Account;
use super::scene::{LOST_SHARE, SHARE};
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
    /// how far the lab's time was moved ahead of the machine's, in seconds
    pub ahead: AtomicI64,
    /// the lab stops: nothing new is begun
    pub closing: AtomicBool,
    /// all servers of the lab, once they are there: partners of mirroring find each other
    pub servers: OnceLock<Vec<Weak<Instance>>>,
}

impl World {
    /// The lab's time.
    pub fn now(&self) -> Timestamp {
        let (at, started) = self.origin;
        let elapsed = i64::try_from(started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let span = jiff::Span::new().nanoseconds(elapsed).seconds(self.ahead.load(Ordering::Relaxed));
        at.saturating_add(span).unwrap_or(at)
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// The server that a mirroring partner's address names, `TCP://host:5022`.
    pub fn partner(&self, address: &str) -> Option<Arc<Instance>> {
        let host = address.get(..6).filter(|scheme| same(scheme, "TCP://")).and_then(|_| address[6..].strip_suffix(":5022"))?;
        self.servers.get()?.iter().filter_map(Weak::upgrade).find(|server| same(&server.fqdn, host))
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
    /// something that recovery needs is not there
    RecoveryPending,
    Offline,
}

impl DatabaseState {
    pub fn number(self) -> u8 {
        match self {
            Self::Online => 0,
            Self::Restoring => 1,
            Self::Recovering => 2,
            Self::RecoveryPending => 3,
            Self::Offline => 6,
        }
    }

    pub fn description(self) -> &'static str {
        match self {
            Self::Online => "ONLINE",
            Self::Restoring => "RESTORING",
            Self::Recovering => "RECOVERING",
            Self::RecoveryPending => "RECOVERY_PENDING",
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
    /// where the log ends: up to here the database is rolled forward, or written to
    pub redo: Lsn,
    /// where the next log backup begins; none while there is no chain of log backups
    pub log_backup: Option<Lsn>,
    /// the next log backup is the first of its chain
    pub begins_chain: bool,
    pub checkpoint: Lsn,
    /// checkpoint of the last full backup, which differential ones build upon
    pub database_backup: Lsn,
    /// major version of the older server whose format the files have until recovery upgrades them
    pub older: Option<i32>,
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
    /// the partner that SET PARTNER named before the other side did
    pub partner: Option<String>,
    /// the session that restores or recovers it at the moment
    pub busy: Option<u16>,
    /// the session that backs it up at the moment
    pub backing_up: Option<u16>,
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
        let recovery_model = if id <= 4 && name != "model" { "SIMPLE" } else { "FULL" };
        Self {
            id,
            name: name.to_owned(),
            state: DatabaseState::Online,
            in_standby: false,
            undo_file: None,
            access: Access::Multi,
            recovery_model,
            created,
            redo: lsn,
            log_backup: (recovery_model == "FULL").then_some(lsn),
            begins_chain: false,
            checkpoint: lsn,
            database_backup: lsn,
            older: None,
            family: random_guid(random),
            binding: random_guid(random),
            fork,
            first_fork: fork,
            fork_point: None,
            half: None,
            files,
            logs_applied: 0,
            mirroring: None,
            partner: None,
            busy: None,
            backing_up: None,
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
        self.older = None;
        self.log_backup = (self.recovery_model != "SIMPLE").then_some(self.redo);
        self.begins_chain = false;
    }

    /// Forks of a log backup from `first` to the end of the log, and where it crosses from the one to the other.
    pub fn forks_since(&self, first: Lsn) -> (Uuid, Uuid, Option<Lsn>) {
        match self.fork_point.filter(|point| first <= *point) {
            Some(point) => (self.first_fork, self.fork, Some(point)),
            None => (self.fork, self.fork, None),
        }
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
    /// from when until when what it did is rolled back, after a KILL
    pub rollback: Option<(Instant, Instant)>,
    /// comes back under a new id when it is killed
    pub reconnects: bool,
    /// its connection is encrypted, and not the login alone
    pub encrypted: bool,
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

/// What an agent of log shipping wrote down (`msdb.dbo.log_shipping_monitor_history_detail`, and of errors
/// `log_shipping_monitor_error_detail`).
#[derive(Clone, Debug)]
pub struct ShippingNote {
    pub agent: Uuid,
    /// 0 backup, 1 copy, 2 restore
    pub kind: u8,
    pub session: i32,
    pub database: String,
    /// 0 starting, 1 running, 2 success, 3 error, 4 warning
    pub status: u8,
    pub at: DateTime,
    pub message: String,
}

/// A row of `msdb.dbo.log_shipping_primary_databases`.
#[derive(Clone, Debug)]
pub struct Primary {
    pub id: Uuid,
    pub database: String,
    pub directory: String,
    pub share: String,
    pub retention: i32,
    pub job: Uuid,
    pub monitor: String,
    pub monitor_mode: bool,
    pub threshold: i32,
    pub threshold_alert: i32,
    pub threshold_alert_enabled: bool,
    pub history_retention: i32,
    pub last_backup: Option<(String, DateTime)>,
    /// server and database of each secondary
    pub secondaries: Vec<(String, String)>,
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
    /// until when it runs, if the scene has it run
    pub until: Option<Instant>,
    /// it runs: set to true to stop it
    pub run: Option<Arc<AtomicBool>>,
    /// its schedules are asked for what came after this moment
    pub since: DateTime,
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
    pub primaries: Vec<Primary>,
    pub shipping: Vec<ShippingNote>,
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
    /// what will happen to batches
    pub breaks: Vec<Break>,
    /// jobs that were deleted while they ran
    pub cut_jobs: Vec<String>,
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

    /// Removes the sessions whose rollback is over.
    pub fn settle(&mut self, now: DateTime) {
        let over: Vec<u16> =
            self.sessions.values().filter(|row| row.rollback.is_some_and(|(_, end)| Instant::now() >= end)).map(|row| row.id).collect();
        for id in over {
            self.end_session(id, now);
        }
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
            (row.killed, row.rollback) = (false, None);
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

    /// Deletes jobs; one that runs is cut short by it.
    pub fn delete_jobs(&mut self, gone: impl Fn(&Job) -> bool) {
        self.cut_jobs.extend(self.jobs.iter().filter(|job| gone(job) && job.is_running()).map(|job| job.name.clone()));
        self.jobs.retain(|job| !gone(job));
    }
}

impl Job {
    pub fn is_running(&self) -> bool {
        self.run.is_some() || self.until.is_some_and(|until| Instant::now() < until)
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

/// Why Windows did not open a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OsError {
    pub code: u32,
    pub text: &'static str,
}

impl OsError {
    pub const NO_FILE: Self = Self { code: 2, text: "The system cannot find the file specified." };
    pub const NO_PATH: Self = Self { code: 3, text: "The system cannot find the path specified." };
    pub const DENIED: Self = Self { code: 5, text: "Access is denied." };
    pub const IN_USE: Self = Self { code: 32, text: "The process cannot access the file because it is being used by another process." };
    pub const END: Self = Self { code: 38, text: "Reached the end of the file." };
    pub const NO_SERVER: Self = Self { code: 53, text: "The network path was not found." };
    pub const NETWORK_GONE: Self = Self { code: 64, text: "The specified network name is no longer available." };
    pub const FULL: Self = Self { code: 112, text: "There is not enough space on the disk." };
    pub const DEVICE: Self = Self { code: 1117, text: "The request could not be performed because of an I/O device error." };
}

impl std::fmt::Display for OsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", self.code, self.text)
    }
}

/// What a server calls a folder, and the folder that it is.
#[derive(Clone, Debug, Default)]
pub struct PathMap(pub Vec<(String, PathBuf)>);

impl PathMap {
    /// The real path of what the server calls `path`, or why it cannot be reached. Names are looked up without case, as on
    /// Windows. Whether a file is there is not asked.
    pub fn resolve(&self, path: &str) -> Result<PathBuf, OsError> {
        let normal = path.replace('/', "\\");
        for (prefix, folder) in &self.0 {
            let Some(rest) = rest_below(&normal, prefix) else { continue };
            if !folder.is_dir() {
                return Err(if prefix.starts_with("\\\\") { OsError::NO_SERVER } else { OsError::NO_PATH });
            }
            let mut real = folder.clone();
            let mut parts = rest.split('\\').filter(|part| !part.is_empty()).peekable();
            while let Some(part) = parts.next() {
                if part == "." || part == ".." {
                    return Err(OsError::NO_PATH);
                }
                let exact = real.join(part);
                real = if exact.exists() { exact } else { without_case(&real, part).unwrap_or(exact) };
                if parts.peek().is_some() && !real.is_dir() {
                    return Err(OsError::NO_PATH);
                }
            }
            return Ok(real);
        }
        Err(if normal.starts_with("\\\\") { OsError::NO_SERVER } else { OsError::NO_PATH })
    }
}

/// What follows `prefix` in a path that lies in it.
fn rest_below<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let rest = path.get(prefix.len()..)?;
    let inside = same(&path[..prefix.len()], prefix) && (rest.is_empty() || rest.starts_with('\\') || prefix.ends_with('\\'));
    inside.then_some(rest)
}

/// What an account may not read: every file below a folder that was not there when the lab opened, as a file that somebody
/// else moved in and whose rights came with it.
#[derive(Clone, Debug)]
pub struct Denied {
    pub account: Account,
    pub folder: PathBuf,
    pub known: BTreeSet<PathBuf>,
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
    pub rights: Rights,
    pub paths: PathMap,
    pub denied: Vec<Denied>,
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

    /// Whether an account may read a file.
    pub fn may_read(&self, account: Account, path: &Path) -> bool {
        !self.denied.iter().any(|denied| denied.account == account && path.starts_with(&denied.folder) && !denied.known.contains(path))
    }

    /// The share is gone from one moment to the next; what lay on it stays beside the lab's folders.
    pub fn lose_share(&self) {
        let Ok(share) = self.paths.resolve(SHARE) else { return };
        if let Err(error) = std::fs::rename(&share, share.with_file_name(LOST_SHARE)) {
            tracing::warn!(%error, "the share could not be taken away");
        }
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
                rollback: None,
                reconnects: false,
                encrypted: login.encrypted,
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
        let share = folder.path().join("share");
        let map = PathMap(vec![("D:\\LogShip".to_owned(), copy.clone()), ("\\\\dr-fs-01\\LogShip".to_owned(), share.clone())]);
        let found = |path: &str| map.resolve(path);
        assert_eq!(found("D:\\LogShip\\a.trn"), Ok(copy.join("a.trn")));
        assert_eq!(found("d:/logship/A.TRN"), Ok(copy.join("a.trn")));
        assert_eq!(found("D:\\LogShip\\new.trn"), Ok(copy.join("new.trn")));
        assert_eq!(found("\\\\DR-FS-01\\logship\\b.trn"), Err(OsError::NO_SERVER));
        std::fs::create_dir(&share).unwrap();
        assert_eq!(found("\\\\DR-FS-01\\logship\\b.trn"), Ok(share.join("b.trn")));
        assert_eq!(found("\\\\dr-fs-02\\logship\\b.trn"), Err(OsError::NO_SERVER));
        for path in ["D:\\LogShip2\\a.trn", "D:\\LogShip\\..\\a.trn", "F:\\a.trn", "D:\\LogShip\\none\\a.trn"] {
            assert_eq!(found(path), Err(OsError::NO_PATH), "{path}");
        }
    }
}
