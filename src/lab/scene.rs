//! Sets the scene: turns a scenario into backup files and into the state of the simulated servers. Runs once, before
//! anything listens. Everything that is drawn by lot comes from the seed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::time::{Duration, SystemTime};

use jiff::civil::DateTime;
use jiff::{Span, Timestamp};
use uuid::Uuid;

use super::instance::{
    COLLATION, Database, DatabaseState, Denied, HalfRestored, Job, Outcome, Restored, Schedule, Secondary, SecondaryDatabase, SessionRow,
    State, World, lock, random_guid,
};
use super::media::{self, Fill, Header, Kind, Media};
use super::scenario::{Fault, Place, Scenario, ShippingJob};
use super::statements::restore::undo;
use crate::wire::lsn::Lsn;

/// Names of the world that every scenario shares.
pub const POOL: &str = "atl-cs-001.litwareinc.com";
pub const DATABASE: &str = "mgc";
pub const PRIMARY_SERVER: &str = "PCHAT-SQL-01";
pub const SHARE: &str = "\\\\dr-fs-01\\LogShip";
pub const COPY: &str = "D:\\LogShip";
pub const MIRROR_SHARE: &str = "\\\\dr-fs-01\\Mirror";
pub const COPY_JOB: &str = "LSCopy_PCHAT-SQL-01_mgc";
pub const RESTORE_JOB: &str = "LSRestore_PCHAT-SQL-01_mgc";
/// Where the share's files are once the share is gone.
pub const LOST_SHARE: &str = "share-lost";

/// One log backup of the scene, before it is written.
struct Log {
    number: u32,
    at: Timestamp,
    header: Header,
    media: Media,
}

/// The real folders of a lab.
pub struct Folders {
    pub share: PathBuf,
    pub copy: PathBuf,
    pub data: PathBuf,
    pub mirror: PathBuf,
}

impl Folders {
    /// Makes them below `dir`.
    pub fn make(dir: &Path) -> io::Result<Self> {
        let folders = Self { share: dir.join("share"), copy: dir.join("copy"), data: dir.join("data"), mirror: dir.join("mirror") };
        for folder in [&folders.share, &folders.copy, &folders.data, &folders.mirror] {
            fs::create_dir_all(folder)?;
        }
        Ok(folders)
    }

    fn at(&self, place: Place) -> Vec<&Path> {
        let all = [(Place::Share, &self.share), (Place::Copy, &self.copy)];
        all.into_iter().filter(|(here, _)| place == Place::Everywhere || place == *here).map(|(_, folder)| folder.as_path()).collect()
    }
}

/// `mgc_yyyyMMddHHmmss.trn`, in UTC.
pub fn file_name(database: &str, at: Timestamp) -> String {
    let utc = jiff::tz::Offset::UTC.to_datetime(at);
    format!("{database}_{}.trn", utc.strftime("%Y%m%d%H%M%S"))
}

/// When log backup `number` was taken.
fn taken(scenario: &Scenario, opened: Timestamp, number: u32) -> Timestamp {
    let behind = i64::from(scenario.logs - number) * i64::from(scenario.minutes_between);
    let stalled = if number <= scenario.applied + scenario.copied { i64::from(scenario.stalled_days) * 24 * 60 } else { 0 };
    let minutes = behind + i64::from(scenario.newest_minutes_ago) + stalled;
    opened.saturating_sub(Span::new().minutes(minutes)).unwrap_or(opened)
}

/// Files of the share that are still written when the lab opens: each with the seconds until it is whole.
pub fn growing(scenario: &Scenario, world: &World, folders: &Folders) -> Vec<(PathBuf, f64)> {
    let of = |fault: &Fault| match fault {
        Fault::GrowingFile { log, seconds, .. } => {
            Some((folders.share.join(file_name(DATABASE, taken(scenario, world.opened, *log))), *seconds))
        }
        _ => None,
    };
    scenario.faults.iter().filter_map(of).collect()
}

/// What accounts may not read, from now on.
pub fn denied(scenario: &Scenario, folders: &Folders) -> Vec<Denied> {
    let mut denied = Vec::new();
    for fault in &scenario.faults {
        let Fault::CannotRead { account, place } = fault else { continue };
        for folder in folders.at(*place) {
            let known = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            denied.push(Denied { account: *account, folder: folder.to_owned(), known });
        }
    }
    denied
}

struct Scene<'a> {
    scenario: &'a Scenario,
    world: &'a World,
    folders: &'a Folders,
    random: fastrand::Rng,
    family: Uuid,
    fork: Uuid,
    binding: Uuid,
    /// checkpoint of the full backup that shipping began with
    base: Lsn,
    created: DateTime,
}

/// Writes the files and returns the state of the backup instance.
pub fn backup_instance(scenario: &Scenario, world: &World, folders: &Folders) -> io::Result<State> {
    let mut random = fastrand::Rng::with_seed(lock(&world.random).u64(..));
    let mut state = empty_instance(world, &mut random);
    let mut scene = Scene {
        scenario,
        world,
        folders,
        family: random_guid(&mut random),
        fork: random_guid(&mut random),
        binding: random_guid(&mut random),
        base: Lsn::new(30 + random.u32(..10), u64::from(random.u32(1_000..50_000)), 1),
        created: world.to_local(world.opened).saturating_sub(Span::new().days(420)),
        random,
    };
    let logs = scene.logs();
    scene.write(&logs)?;
    scene.backup_databases(&mut state, &logs)?;
    if scenario.log_shipping {
        scene.log_shipping(&mut state, &logs);
    }
    scene.sessions(&mut state);
    state.monitor_silent = scenario.faults.contains(&Fault::MonitorSilent);
    state.failing = scenario
        .faults
        .iter()
        .filter_map(|fault| match fault {
            Fault::RestoreFails { nth, number } => Some((*nth, *number)),
            _ => None,
        })
        .collect();
    Ok(state)
}

/// An instance with its system databases and sessions only.
pub fn empty_instance(world: &World, random: &mut fastrand::Rng) -> State {
    let opened = world.to_local(world.opened);
    let started = opened.saturating_sub(Span::new().days(41));
    let mut state = State { agent_started: Some(started), ..State::default() };
    let installed = opened.saturating_sub(Span::new().days(900));
    for (id, name) in [(1, "master"), (2, "tempdb"), (3, "model"), (4, "msdb")] {
        state.databases.push(Database::online(id, name, installed, random));
    }
    const SYSTEM: [&str; 8] =
        ["LAZY WRITER", "LOG WRITER", "LOCK MONITOR", "SIGNAL HANDLER", "TASK MANAGER", "TRACE QUEUE TASK", "CHECKPOINT", "BRKR TASK"];
    for id in 1..=24u16 {
        let command = SYSTEM[usize::from(id) % SYSTEM.len()];
        state.sessions.insert(id, session(id, "sa", "", "", "master", started, command, false));
    }
    state
}

#[expect(clippy::too_many_arguments, reason = "a row of sys.dm_exec_sessions has these")]
fn session(id: u16, login: &str, host: &str, program: &str, database: &str, at: DateTime, command: &'static str, user: bool) -> SessionRow {
    SessionRow {
        id,
        serial: 0,
        user,
        login: login.to_owned(),
        host: host.to_owned(),
        program: program.to_owned(),
        process: if user { 2_000 + u32::from(id) } else { 0 },
        database: database.to_owned(),
        command,
        login_time: at,
        last_start: at,
        last_end: user.then_some(at),
        running: None,
        transactions: 0,
        killed: false,
        rollback: None,
        reconnects: false,
        encrypted: true,
    }
}

impl Scene<'_> {
    fn taken(&self, number: u32) -> Timestamp {
        taken(self.scenario, self.world.opened, number)
    }

    fn media(&mut self, at: Timestamp) -> Media {
        Media { set_id: random_guid(&mut self.random), family_id: random_guid(&mut self.random), date: self.world.to_local(at) }
    }

    fn header(&mut self, first: Lsn, last: Lsn, at: Timestamp) -> Header {
        let start = self.world.to_local(at);
        let milliseconds = i64::from(self.random.u32(1_200..4_000));
        Header {
            name: None,
            kind: Kind::Log,
            user: "LITWAREINC\\sqlagent".to_owned(),
            server: PRIMARY_SERVER.to_owned(),
            machine: PRIMARY_SERVER.to_owned(),
            database: DATABASE.to_owned(),
            database_created: self.created,
            first_lsn: first,
            last_lsn: last,
            checkpoint_lsn: first,
            database_backup_lsn: self.base,
            start,
            finish: start.saturating_add(Span::new().milliseconds(milliseconds)),
            version: {
                let (major, minor, build) = self.scenario.primary_version.unwrap_or(self.scenario.version.number());
                (major.into(), minor.into(), build.into())
            },
            flags: 0,
            binding: self.binding,
            family: self.family,
            first_fork: self.fork,
            last_fork: self.fork,
            fork_point: None,
            collation: COLLATION.to_owned(),
            recovery_model: "FULL".to_owned(),
            copy_only: false,
            checksums: false,
            begins_chain: false,
            set: random_guid(&mut self.random),
            files: mgc_files(),
        }
    }

    /// The chain: each set begins where the one before ended.
    fn logs(&mut self) -> Vec<Log> {
        let mut lsn = Lsn(self.base.0 + 4_800_000);
        let mut vlf_left = 60_000u64;
        (1..=self.scenario.logs)
            .map(|number| {
                let at = self.taken(number);
                if self.scenario.stalled_days > 0 && number == self.scenario.applied + self.scenario.copied + 1 {
                    // the log of the days between is in no file any more
                    lsn = Lsn::new(u32::try_from(lsn.0 / 1_000_000_000_000_000).unwrap_or(0) + 40, 16, 1);
                }
                let first = lsn;
                let blocks = u64::from(self.random.u32(40..4_000));
                // a new virtual log file starts its blocks anew
                lsn = if blocks > vlf_left {
                    vlf_left = 60_000;
                    let vlf = u32::try_from(first.0 / 1_000_000_000_000_000).unwrap_or(0) + 1;
                    Lsn::new(vlf, blocks, 1)
                } else {
                    vlf_left -= blocks;
                    Lsn(first.0 / 100_000 * 100_000 + u128::from(blocks) * 100_000 + 1)
                };
                let header = self.header(first, lsn, at);
                let media = self.media(at);
                Log { number, at, header, media }
            })
            .collect()
    }

    fn write(&mut self, logs: &[Log]) -> io::Result<()> {
        let copied = self.scenario.applied + self.scenario.copied;
        let mut inside_another = Vec::new();
        for fault in &self.scenario.faults {
            if let Fault::SeveralSets { log, last } = fault {
                inside_another.extend(*log + 1..=*last);
            }
        }
        for log in logs.iter().filter(|log| !inside_another.contains(&log.number)) {
            let more: Vec<&Header> = self
                .scenario
                .faults
                .iter()
                .filter_map(|fault| match fault {
                    Fault::SeveralSets { log: first, last } if *first == log.number => Some((*first, *last)),
                    _ => None,
                })
                .flat_map(|(first, last)| logs.iter().filter(move |log| log.number > first && log.number <= last))
                .map(|log| &log.header)
                .collect();
            let headers: Vec<&Header> = std::iter::once(&log.header).chain(more).collect();
            let name = file_name(DATABASE, log.at);
            self.file(&self.folders.share.join(&name), &log.media, &headers, log.number, log.at)?;
            if log.number <= copied {
                // a copy would fill the holes of a sparse file; written anew it is the same
                if self.scenario.is_sparse(log.number) {
                    self.file(&self.folders.copy.join(&name), &log.media, &headers, log.number, log.at)?;
                } else {
                    copy(&self.folders.share.join(&name), &self.folders.copy.join(&name), log.at)?;
                }
                if self.scenario.stalled_days > 0 {
                    fs::remove_file(self.folders.share.join(&name))?;
                }
            }
        }
        for n in 0..self.scenario.work_files {
            // the primary died between writing its last backup and renaming it
            let at = self.world.opened.saturating_sub(Span::new().minutes(1 + i64::from(n))).unwrap_or(self.world.opened);
            let name = file_name(DATABASE, at).replace(".trn", ".wrk");
            let mut bytes = vec![0; 20_000];
            self.random.fill(&mut bytes);
            fs::write(self.folders.share.join(name), bytes)?;
        }
        let faults = self.scenario.faults.clone();
        for fault in &faults {
            self.strike(fault, logs)?;
        }
        Ok(())
    }

    /// One backup file, its payload drawn from the seed and the log's number alone.
    fn file(&self, path: &Path, media: &Media, headers: &[&Header], number: u32, at: Timestamp) -> io::Result<()> {
        media::create(path, media)?;
        for header in headers {
            let mut random = fastrand::Rng::with_seed(u64::from(number) ^ (header.set.as_u128() as u64));
            let fill = if self.scenario.is_sparse(number) { Fill::Sparse } else { Fill::Random(&mut random) };
            media::append(path, header, self.scenario.payload(number), fill)?;
        }
        stamp(path, at)
    }

    fn at(&self, place: Place, name: &str) -> Vec<PathBuf> {
        self.folders.at(place).iter().map(|folder| folder.join(name)).collect()
    }

    fn strike(&mut self, fault: &Fault, logs: &[Log]) -> io::Result<()> {
        let numbered = |number: u32| logs.iter().find(|log| log.number == number);
        match fault {
            Fault::MissingLog { log, place } => {
                let Some(log) = numbered(*log) else { return Ok(()) };
                for path in self.at(*place, &file_name(DATABASE, log.at)) {
                    if path.exists() {
                        fs::remove_file(path)?;
                    }
                }
            }
            Fault::TruncatedLog { log, place, keep } => {
                let Some(log) = numbered(*log) else { return Ok(()) };
                for path in self.at(*place, &file_name(DATABASE, log.at)).iter().filter(|path| path.exists()) {
                    let length = fs::metadata(path)?.len();
                    let keep = keep.unwrap_or(length.saturating_sub(self.scenario.bytes / 2).max(1));
                    File::options().write(true).open(path)?.set_len(keep.min(length))?;
                    stamp(path, log.at)?;
                }
            }
            Fault::DamagedLog { log, place } => {
                let Some(log) = numbered(*log) else { return Ok(()) };
                for path in self.at(*place, &file_name(DATABASE, log.at)).iter().filter(|path| path.exists()) {
                    let mut bytes = fs::read(path)?;
                    if let Some(last) = bytes.last_mut() {
                        *last ^= 0xFF;
                    }
                    fs::write(path, bytes)?;
                    stamp(path, log.at)?;
                }
            }
            Fault::EmptyFile { log, place } => {
                let Some(log) = numbered(*log) else { return Ok(()) };
                for path in self.at(*place, &file_name(DATABASE, log.at)).iter().filter(|path| path.exists()) {
                    File::create(path)?;
                    stamp(path, log.at)?;
                }
            }
            Fault::OtherDatabase { log, place, database, name } => {
                let Some(log) = numbered(*log) else { return Ok(()) };
                let at = log.at.saturating_add(Span::new().seconds(7)).unwrap_or(log.at);
                let database = database.clone().unwrap_or_else(|| "mgccomp".to_owned());
                let mut header = self.header(log.header.first_lsn, log.header.last_lsn, at);
                header.family = random_guid(&mut self.random);
                header.first_fork = random_guid(&mut self.random);
                header.last_fork = header.first_fork;
                header.database.clone_from(&database);
                let name = name.clone().unwrap_or_else(|| file_name(&database, at));
                let media = self.media(at);
                for path in self.at(*place, &name) {
                    self.file(&path, &media, &[&header], log.number, at)?;
                }
            }
            Fault::OtherFork { log, place } => {
                let Some(log) = numbered(*log) else { return Ok(()) };
                let at = log.at.saturating_add(Span::new().seconds(11)).unwrap_or(log.at);
                let mut header = self.header(log.header.first_lsn, Lsn(log.header.last_lsn.0 + 700_000), at);
                header.first_fork = random_guid(&mut self.random);
                header.last_fork = header.first_fork;
                let media = self.media(at);
                for path in self.at(*place, &file_name(DATABASE, at)) {
                    self.file(&path, &media, &[&header], log.number, at)?;
                }
            }
            Fault::EmptyLog { log } => {
                let Some(log) = numbered(*log) else { return Ok(()) };
                let at = log.at.saturating_add(Span::new().seconds(13)).unwrap_or(log.at);
                let header = self.header(log.header.last_lsn, log.header.last_lsn, at);
                self.extra(log, at, &header)?;
            }
            Fault::CopyOnlyLog { log } => {
                let Some(log) = numbered(*log) else { return Ok(()) };
                let at = log.at.saturating_add(Span::new().seconds(17)).unwrap_or(log.at);
                let mut header = self.header(log.header.first_lsn, Lsn(log.header.last_lsn.0 + 1_000_000), at);
                header.copy_only = true;
                header.last_lsn = log.header.last_lsn;
                self.extra(log, at, &header)?;
            }
            Fault::SeveralSets { .. }
            | Fault::RestoreFails { .. }
            | Fault::LoginFails { .. }
            | Fault::MonitorSilent
            | Fault::GrowingFile { .. }
            | Fault::LargeLog { .. }
            | Fault::RestoreInterrupted { .. }
            | Fault::JobRunning { .. }
            | Fault::CannotRead { .. }
            | Fault::ReplyLost { .. }
            | Fault::Tls { .. }
            | Fault::ConnectionCut { .. }
            | Fault::Slow { .. }
            | Fault::ShareVanishes { .. } => {}
        }
        Ok(())
    }

    /// One more file beside a log backup, wherever that one lies.
    fn extra(&mut self, log: &Log, at: Timestamp, header: &Header) -> io::Result<()> {
        let media = self.media(at);
        let name = file_name(DATABASE, at);
        self.file(&self.folders.share.join(&name), &media, &[header], log.number, at)?;
        if log.number <= self.scenario.applied + self.scenario.copied {
            self.file(&self.folders.copy.join(&name), &media, &[header], log.number, at)?;
        }
        Ok(())
    }

    /// mgc as far as it is applied, mgccomp, and msdb's memory of both.
    fn backup_databases(&mut self, state: &mut State, logs: &[Log]) -> io::Result<()> {
        let opened = self.world.to_local(self.world.opened);
        let mut mgc = Database::online(5, DATABASE, opened.saturating_sub(Span::new().days(200)), &mut self.random);
        mgc.family = self.family;
        mgc.fork = self.fork;
        mgc.first_fork = self.fork;
        mgc.database_backup = self.base;
        mgc.checkpoint = self.base;
        mgc.files = mgc_files();
        mgc.logs_applied = self.scenario.applied;
        if self.scenario.standby {
            mgc.in_standby = true;
        } else {
            mgc.state = DatabaseState::Restoring;
        }
        let full_at = self.taken(1).saturating_sub(Span::new().hours(1)).unwrap_or(self.world.opened);
        let mut full = self.header(self.base, Lsn(self.base.0 + 4_800_000), full_at);
        full.kind = Kind::Database;
        full.checkpoint_lsn = self.base;
        let media = self.media(full_at);
        let applied: Vec<&Log> = logs.iter().take(self.scenario.applied as usize).collect();
        let device = format!("{SHARE}\\mgc_full.bak");
        let mut restored = vec![(state.know_set((media.set_id, media.family_id), 1, &device, &full, 1 << 20), "D", full_at)];
        for log in &applied {
            let device = format!("{COPY}\\{}", file_name(DATABASE, log.at));
            let media = (log.media.set_id, log.media.family_id);
            restored.push((state.know_set(media, 1, &device, &log.header, self.scenario.bytes), "L", log.at));
            mgc.redo = log.header.last_lsn;
        }
        for (set, kind, at) in restored {
            // the restore job runs some minutes after the backup job
            let at = self.world.to_local(at).saturating_add(Span::new().minutes(4).seconds(12));
            let id = state.restored.last().map_or(1, |last| last.id + 1);
            state.restored.push(Restored {
                id,
                at,
                database: DATABASE.to_owned(),
                user: "LITWAREINC\\sqlagent".to_owned(),
                set,
                kind,
                replace: false,
                recovery: false,
            });
        }
        let (major, ..) = self.scenario.primary_version.unwrap_or(self.scenario.version.number());
        mgc.older = (major < self.scenario.version.number().0).then_some(major.into());
        if self.scenario.standby {
            mgc.undo_file = Some("E:\\Data\\mgc.tuf".to_owned());
            fs::write(self.folders.data.join("mgc.tuf"), undo::content(&mgc))?;
        }
        for fault in &self.scenario.faults {
            if let Fault::RestoreInterrupted { log } = fault
                && let Some(log) = logs.iter().find(|found| found.number == *log)
            {
                mgc.half = Some(HalfRestored { set: log.header.set, file: "mgc_data".to_owned() });
            }
        }
        if self.scenario.recovered {
            mgc.recover(random_guid(&mut self.random));
        }
        state.databases.push(mgc);
        state.databases.push(Database::online(6, "mgccomp", opened.saturating_sub(Span::new().days(200)), &mut self.random));
        Ok(())
    }

    fn log_shipping(&mut self, state: &mut State, logs: &[Log]) {
        let opened = self.world.to_local(self.world.opened);
        let created = opened.saturating_sub(Span::new().days(200));
        let [id, copy_job, restore_job] = std::array::from_fn(|_| random_guid(&mut self.random));
        let named = |number: u32| logs.iter().find(|log| log.number == number);
        let copied = named(self.scenario.applied + self.scenario.copied);
        let applied = named(self.scenario.applied);
        let after = |log: &Log, minutes: i64| self.world.to_local(log.at).saturating_add(Span::new().minutes(minutes));
        state.secondaries.push(Secondary {
            id,
            primary_server: PRIMARY_SERVER.to_owned(),
            primary_database: DATABASE.to_owned(),
            source: SHARE.to_owned(),
            destination: COPY.to_owned(),
            retention: 4320,
            copy_job,
            restore_job,
            monitor: PRIMARY_SERVER.to_owned(),
            monitor_mode: true,
            last_copied: copied.map(|log| (format!("{COPY}\\{}", file_name(DATABASE, log.at)), after(log, 2))),
        });
        state.secondary_databases.push(SecondaryDatabase {
            name: DATABASE.to_owned(),
            secondary: id,
            restore_delay: 0,
            restore_all: true,
            restore_mode: self.scenario.standby,
            disconnect_users: false,
            block_size: -1,
            buffer_count: -1,
            max_transfer_size: -1,
            restore_threshold: 45,
            threshold_alert: 14_420,
            threshold_alert_enabled: true,
            history_retention: 5760,
            last_restored: applied.map(|log| (format!("{COPY}\\{}", file_name(DATABASE, log.at)), after(log, 4))),
            last_latency: 4,
        });
        for (at, name) in [(1, "DefaultCopyJobSchedule"), (2, "DefaultRestoreJobSchedule")] {
            state.schedules.push(Schedule {
                id: at,
                uid: random_guid(&mut self.random),
                name: name.to_owned(),
                enabled: true,
                freq_type: 4,
                freq_interval: 1,
                subday_type: 4,
                subday_interval: 15,
                relative_interval: 0,
                recurrence_factor: 0,
                start_date: 20_140_205,
                end_date: 99_991_231,
                // a whole interval goes by between the lab's opening and the next run
                start_time: i32::from(opened.minute() % 15) * 100,
                end_time: 235_900,
            });
        }
        let usual = self.world.paced(self.scenario.copy_job_seconds);
        let running = |which: ShippingJob| {
            let planted = self.scenario.faults.iter().find_map(|fault| match fault {
                Fault::JobRunning { job, seconds } if *job == which => Duration::try_from_secs_f64(*seconds).ok(),
                _ => None,
            });
            let time = planted.unwrap_or(if which == ShippingJob::Copy { usual } else { Duration::ZERO });
            (!time.is_zero()).then(|| Instant::now() + time)
        };
        let jobs = [
            (copy_job, COPY_JOB, "copy", 1, running(ShippingJob::Copy)),
            (restore_job, RESTORE_JOB, "restore", 2, running(ShippingJob::Restore)),
        ];
        let stalled = self.scenario.stalled_days > 0;
        for (id, name, switch, schedule, until) in jobs {
            let history: Vec<Outcome> = (1..=4)
                .map(|n| Outcome {
                    instance: n,
                    at: opened.saturating_sub(Span::new().minutes(i64::from(15 * (5 - n)))),
                    seconds: 2,
                    succeeded: !stalled,
                    message: if stalled { "The job failed." } else { "The job succeeded." }.to_owned(),
                })
                .collect();
            let last = history.last().map_or(opened, |last| last.at);
            let start = if until.is_some() { opened } else { last };
            state.jobs.push(Job {
                id,
                name: name.to_owned(),
                enabled: !stalled,
                category: 6,
                description: format!("Log shipping {switch} log job for {PRIMARY_SERVER}:{DATABASE}."),
                command: format!(
                    "\"C:\\SQL\\Tools\\Binn\\sqllogship.exe\" -{switch} {} -server DR-SQL-01\\RTC",
                    state.secondaries.last().map(|row| row.id.to_string().to_uppercase()).unwrap_or_default()
                ),
                created,
                schedules: vec![schedule],
                last_start: Some(start),
                last_stop: until.is_none().then(|| last.saturating_add(Span::new().seconds(2))),
                until,
                run: None,
                since: opened,
                history,
            });
        }
    }

    /// Those who are connected when the lab opens: the Agent, a monitor, and readers of a STANDBY mgc.
    fn sessions(&mut self, state: &mut State) {
        let opened = self.world.to_local(self.world.opened);
        let since = opened.saturating_sub(Span::new().hours(7));
        let agent = "SQLAgent - Generic Refresher";
        state.sessions.insert(51, session(51, "LITWAREINC\\sqlagent", "DR-SQL-01", agent, "msdb", since, "AWAITING COMMAND", true));
        let monitor = "Microsoft System Center Operations Manager";
        let mut row = session(52, "LITWAREINC\\scom", "DR-OM-01", monitor, "master", since, "AWAITING COMMAND", true);
        row.reconnects = true;
        state.sessions.insert(52, row);
        if self.scenario.standby {
            for n in 0..self.scenario.readers {
                let id = state.free_session();
                let host = format!("RPT-{:02}", n + 1);
                let mut row = session(id, "LITWAREINC\\reports", &host, "Report Server", DATABASE, since, "AWAITING COMMAND", true);
                row.reconnects = self.scenario.readers_reconnect;
                state.sessions.insert(id, row);
            }
        }
    }
}

fn mgc_files() -> Vec<media::DataFile> {
    let file = |id: i32, logical: &str, physical: &str, kind: char, pages: u64| media::DataFile {
        id,
        logical: logical.to_owned(),
        physical: physical.to_owned(),
        kind,
        pages,
        unique: Uuid::from_u128(0x6d67_6300 + id as u128),
    };
    vec![file(1, "mgc_data", "E:\\Data\\mgc.mdf", 'D', 262_144), file(2, "mgc_log", "E:\\Data\\mgc.ldf", 'L', 65_536)]
}

fn copy(from: &Path, to: &Path, at: Timestamp) -> io::Result<()> {
    fs::copy(from, to)?;
    stamp(to, at)
}

/// A backup file is as old as the backup.
fn stamp(path: &Path, at: Timestamp) -> io::Result<()> {
    let seconds = u64::try_from(at.as_second() + 2).unwrap_or_default();
    fs::File::options().write(true).open(path)?.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}
