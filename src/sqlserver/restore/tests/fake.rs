//! A SQL Server in memory, for the driver's tests and its bench: one database that is being restored, and backup files with
//! headers. Knows the statements that the driver sends and no others. The includer provides `api`: our types by name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use indexmap::IndexMap;
use jiff::civil::DateTime;
use uuid::Uuid;

use super::api::{Answer, BackupSet, Failure, Instance, Listed, Lsn, Message, Percent, ResultSet, Value};

/// What lies at a path.
#[derive(Clone, Debug)]
pub enum File {
    Sets(Vec<BackupSet>),
    /// 3201 with this Windows error.
    CannotOpen(u32),
    /// This error, for the header and for a restore.
    Broken(i32),
    /// Good header, but a restore ends with this error.
    Payload(Vec<BackupSet>, i32),
}

/// Everything the server knows.
pub struct World {
    pub database: String,
    pub state: i64,
    pub in_standby: bool,
    /// Of each data file.
    pub redo: Vec<(Lsn, Uuid)>,
    /// What was restored, with its file's path.
    pub history: Vec<(BackupSet, String)>,
    pub files: HashMap<String, File>,
    pub headers: usize,
    pub verified: usize,
    pub statements: Vec<String>,
    /// 4319 until the set in this file is restored.
    pub interrupted: Option<String>,
    /// After so many restores somebody else applies this set, or recovers the database.
    pub intruder: Option<(usize, Option<BackupSet>)>,
    /// So many looks still find a RESTORE of an earlier run.
    pub orphan: Vec<()>,
    /// The connection is lost during this restore, counted from 1.
    pub lost_at: Option<usize>,
}

pub struct Fake(pub Mutex<World>);

impl Fake {
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("no test panics while it holds the world")
    }
}

pub const FOLDER: &str = r"D:\LogShip";

pub fn guid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// `mgc_<stamp>.trn` for the quarter of an hour `n`.
pub fn name(prefix: &str, n: usize) -> String {
    let at = quarter(n);
    format!("{prefix}_{}.trn", at.strftime("%Y%m%d%H%M%S"))
}

fn quarter(n: usize) -> DateTime {
    DateTime::constant(2024, 1, 1, 0, 0, 0, 0).checked_add(jiff::SignedDuration::from_mins(15 * n as i64)).expect("within this century")
}

/// Log backup `n` of a healthy chain, written two hours east of Greenwich: LSNs from `n` × 100 up to the next.
pub fn log(n: usize) -> BackupSet {
    let begun = quarter(n).checked_add(jiff::SignedDuration::from_secs(2 * 3600 + 1)).expect("within this century");
    BackupSet {
        file: name("mgc", n).into(),
        position: 1,
        backup_type: 2,
        database: "mgc".into(),
        first_lsn: Lsn(n as u128 * 100),
        last_lsn: Lsn((n as u128 + 1) * 100),
        first_fork: Some(guid(1)),
        last_fork: Some(guid(1)),
        fork_point: None,
        family: Some(guid(10)),
        set: Some(guid(1000 + n as u128)),
        copy_only: false,
        damaged: false,
        incomplete_metadata: false,
        start: Some(begun),
        finish: begun.checked_add(jiff::SignedDuration::from_secs(20)).ok(),
        bytes: 65_536,
        stored: 65_536,
        flags: 0,
        version_major: 11,
    }
}

/// A folder with `present` of a chain, of which `applied` are applied.
pub fn chain(present: std::ops::Range<usize>, applied: usize) -> Fake {
    let files = present.map(|n| (format!(r"{FOLDER}\{}", name("mgc", n)), File::Sets(vec![log(n)]))).collect();
    let history = applied.checked_sub(1).map(|last| (log(last), format!(r"{FOLDER}\{}", name("mgc", last))));
    Fake(Mutex::new(World {
        database: "mgc".into(),
        state: 1,
        in_standby: false,
        redo: vec![(Lsn(applied as u128 * 100), guid(1))],
        history: history.into_iter().collect(),
        files,
        headers: 0,
        verified: 0,
        statements: Vec::new(),
        interrupted: None,
        intruder: None,
        orphan: Vec::new(),
        lost_at: None,
    }))
}

impl World {
    pub fn put(&mut self, name: &str, file: File) {
        let file = match file {
            File::Sets(sets) => File::Sets(sets.into_iter().map(|set| BackupSet { file: name.into(), ..set }).collect()),
            File::Payload(sets, number) => {
                File::Payload(sets.into_iter().map(|set| BackupSet { file: name.into(), ..set }).collect(), number)
            }
            other => other,
        };
        self.files.insert(format!(r"{FOLDER}\{name}"), file);
    }

    pub fn take_away(&mut self, name: &str) {
        self.files.remove(&format!(r"{FOLDER}\{name}"));
    }

    /// The folder as the tool sees it; names in no useful order.
    pub fn listing(&self) -> Vec<Listed> {
        let names = self.files.keys().filter_map(|path| path.rsplit('\\').next());
        names.map(|name| Listed { name: name.to_owned(), bytes: 65_536, modified: None }).collect()
    }

    fn redo_to(&mut self, set: &BackupSet, path: &str) {
        let fork = set.last_fork.unwrap_or_default();
        self.redo.fill((set.last_lsn, fork));
        self.history.push((set.clone(), path.to_owned()));
    }

    fn restore(&mut self, text: &str) -> Result<Answer, i32> {
        let path = text.split("N'").nth(1).and_then(|rest| rest.split('\'').next()).unwrap_or_default().to_owned();
        let position: i64 = number_after(text, "FILE = ");
        if self.state != 1 && !self.in_standby {
            return Err(3117);
        }
        let (sets, broken) = match self.files.get(&path).cloned() {
            Some(File::Sets(sets)) => (sets, None),
            Some(File::Payload(sets, number)) => (sets, Some(number)),
            Some(File::Broken(number)) => return Err(number),
            Some(File::CannotOpen(_)) | None => return Err(3201),
        };
        let Some(set) = sets.into_iter().find(|set| set.position == position) else { return Err(3254) };
        if let Some(file) = &self.interrupted {
            if !path.ends_with(file.as_str()) {
                return Err(4319);
            }
            self.interrupted = None;
        }
        let (redo, fork) = self.redo[0];
        if set.first_fork != Some(fork) {
            return Err(4330);
        } else if set.first_lsn > redo {
            return Err(4305);
        } else if set.last_lsn <= redo {
            return Err(4326);
        } else if let Some(number) = broken {
            return Err(number);
        }
        self.redo_to(&set, &path);
        let standby = text.contains("STANDBY = ");
        (self.state, self.in_standby) = if standby { (0, true) } else { (1, false) };
        Ok(Answer::default())
    }
}

fn number_after(text: &str, what: &str) -> i64 {
    let rest = text.split(what).nth(1).unwrap_or_default();
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or_default()
}

fn refused(number: i32, text: &str) -> Failure {
    let message = |number, text: &str| Message {
        number,
        severity: 16,
        state: 1,
        text: text.to_owned(),
        server: "DR-SQL-01".into(),
        procedure: String::new(),
        line: 1,
    };
    let messages = vec![message(number, text), message(3013, "RESTORE is terminating abnormally.")];
    Failure::Refused { server: "backup".into(), answer: Box::new(Answer { messages, ..Answer::default() }) }
}

fn table(rows: Vec<Vec<(&str, Value)>>) -> Answer {
    let rows: Vec<IndexMap<String, Value>> =
        rows.into_iter().map(|row| row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).collect();
    let columns = rows.first().map(|row| row.keys().cloned().collect()).unwrap_or_default();
    Answer { sets: vec![ResultSet { columns, rows: rows.into_iter().map(Arc::new).collect() }], ..Answer::default() }
}

fn or_null<T>(value: Option<T>, to: impl Fn(T) -> Value) -> Value {
    value.map_or(Value::Null, to)
}

fn header(set: &BackupSet) -> Vec<(&'static str, Value)> {
    vec![
        ("BackupName", Value::Null),
        ("BackupType", Value::Int(set.backup_type)),
        ("Position", Value::Int(set.position)),
        ("DatabaseName", Value::Text(set.database.clone())),
        ("BackupSize", Value::Decimal(set.bytes.into())),
        ("CompressedBackupSize", Value::Int(set.stored as i64)),
        ("FirstLSN", Value::Lsn(set.first_lsn)),
        ("LastLSN", Value::Lsn(set.last_lsn)),
        ("BackupStartDate", or_null(set.start, Value::DateTime)),
        ("BackupFinishDate", or_null(set.finish, Value::DateTime)),
        ("SoftwareVersionMajor", Value::Int(set.version_major)),
        ("Flags", Value::Int(set.flags)),
        ("RecoveryForkID", or_null(set.last_fork, Value::Guid)),
        ("FamilyGUID", or_null(set.family, Value::Guid)),
        ("IsDamaged", Value::Bit(set.damaged)),
        ("HasIncompleteMetaData", Value::Bit(set.incomplete_metadata)),
        ("IsCopyOnly", Value::Bit(set.copy_only)),
        ("FirstRecoveryForkID", or_null(set.first_fork, Value::Guid)),
        ("ForkPointLSN", or_null(set.fork_point, Value::Lsn)),
        ("BackupSetGUID", or_null(set.set, Value::Guid)),
    ]
}

impl Instance for Fake {
    async fn read(&self, text: &str, params: Vec<(&'static str, Value)>, _limit: Duration) -> Result<Answer, Failure> {
        let params: BTreeMap<&str, Value> = params.into_iter().collect();
        let mut world = self.world();
        let named = |world: &World| params.get("database") == Some(&Value::Text(world.database.clone()));
        if text.starts_with("RESTORE HEADERONLY") {
            let Some(Value::Text(path)) = params.get("path") else { panic!("HEADERONLY without @path") };
            world.headers += 1;
            match world.files.get(path) {
                Some(File::Sets(sets) | File::Payload(sets, _)) => Ok(table(sets.iter().map(header).collect())),
                Some(File::Broken(number)) => Err(refused(*number, "The media family is incorrectly formed.")),
                Some(File::CannotOpen(os)) => {
                    Err(refused(3201, &format!("Cannot open backup device '{path}'. Operating system error {os}(the reason (in words)).")))
                }
                None => Err(refused(3201, "Cannot open backup device. Operating system error 2(not found).")),
            }
        } else if text.starts_with("RESTORE VERIFYONLY") {
            let Some(Value::Text(path)) = params.get("path") else { panic!("VERIFYONLY without @path") };
            world.verified += 1;
            match world.files.get(path) {
                Some(File::Payload(_, number)) => Err(refused(*number, "Read on the device failed.")),
                _ => Ok(Answer::default()),
            }
        } else if text.contains("sys.databases") {
            let state = ["ONLINE", "RESTORING", "RECOVERING", "RECOVERY_PENDING", "SUSPECT"];
            let rows = named(&world).then(|| {
                vec![
                    ("name", Value::Text(world.database.clone())),
                    ("database_id", Value::Int(7)),
                    ("state", Value::Int(world.state)),
                    ("state_desc", Value::Text(state[world.state as usize].into())),
                    ("is_in_standby", Value::Bit(world.in_standby)),
                ]
            });
            Ok(table(rows.into_iter().collect()))
        } else if text.contains("sys.master_files") {
            assert_eq!(params.get("id"), Some(&Value::Int(7)), "asked for another database");
            let rows = world.redo.iter().map(|&(lsn, fork)| {
                vec![("file_id", Value::Int(1)), ("redo_start_lsn", Value::Lsn(lsn)), ("redo_start_fork_guid", Value::Guid(fork))]
            });
            Ok(table(rows.collect()))
        } else if text.contains("msdb.dbo.restorehistory") {
            let last = world.history.last().filter(|_| named(&world)).map(|(set, path)| {
                vec![
                    ("restore_type", Value::Text("L".into())),
                    ("database_name", Value::Text(set.database.clone())),
                    ("family_guid", or_null(set.family, Value::Guid)),
                    ("last_lsn", Value::Lsn(set.last_lsn)),
                    ("last_recovery_fork_guid", or_null(set.last_fork, Value::Guid)),
                    ("backup_start_date", or_null(set.start, Value::DateTime)),
                    ("backup_finish_date", or_null(set.finish, Value::DateTime)),
                    ("physical_device_name", Value::Text(path.clone())),
                ]
            });
            Ok(table(last.into_iter().collect()))
        } else if text.contains("sys.dm_exec_requests") {
            let busy = world
                .orphan
                .pop()
                .map(|()| vec![("session_id", Value::Int(55)), ("program_name", Value::Text("cutover 2024-01-01".into()))]);
            Ok(table(busy.into_iter().collect()))
        } else if text.contains("GETUTCDATE") {
            Ok(table(vec![vec![("utc_now", Value::DateTime(DateTime::constant(2024, 1, 1, 12, 0, 3, 0)))]]))
        } else {
            panic!("the fake does not know {text}")
        }
    }

    async fn restore(&self, text: &str, percent: &Percent<'_>) -> Result<Answer, Failure> {
        let mut world = self.world();
        world.statements.push(text.to_owned());
        if world.lost_at == Some(world.statements.len()) {
            return Err(Failure::Lost { server: "backup".into(), detail: "reset by peer".into(), in_doubt: true, messages: vec![] });
        }
        percent(50.0);
        let done = world.restore(text).map_err(|number| refused(number, "what the server says"));
        if let Some((after, set)) = world.intruder.clone()
            && done.is_ok()
            && world.history.len() > after
        {
            world.intruder = None;
            match set {
                Some(set) => world.redo_to(&set, "elsewhere"),
                None => world.state = 0,
            }
        }
        done
    }
}
