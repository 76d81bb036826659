//! SQL Server Agent: runs jobs, when they are asked for and by their schedules. The jobs of log shipping do what
//! `sqllogship.exe` does ("sqllogship Application"); any other job only takes its time. Schedules follow the lab's clock, at
//! any pace; the pace shortens what a job takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use jiff::Span;
use jiff::civil::{Date, DateTime};
use uuid::Uuid;

use super::instance::{
    Access, Instance, Job, OsError, Primary, Running, Schedule, Secondary, SecondaryDatabase, SessionRow, ShippingNote, State, same,
};
use super::media::{Header, Kind};
use super::messages::{self, Raised};
use super::scenario::Account;
use super::statements::admin;
use super::statements::backup::{Wanted, write};
use super::statements::restore::{NextLog, weight};

/// The account the jobs run as.
const ACCOUNT: &str = "LITWAREINC\\sqlagent";
/// What a job takes besides its files, and what each copied file takes, in seconds at pace 1.
const OVERHEAD: f64 = 0.3;
const COPYING: f64 = 0.05;

/// Runs what is due, until the lab stops or is gone.
pub fn serve(instance: &Arc<Instance>) {
    let instance = Arc::downgrade(instance);
    std::thread::spawn(move || {
        while let Some(instance) = instance.upgrade().filter(|instance| !instance.world.is_closing()) {
            tick(&instance);
            drop(instance);
            std::thread::sleep(Duration::from_millis(100));
        }
    });
}

/// Starts the jobs whose time has come since they were last looked at.
pub fn tick(instance: &Arc<Instance>) {
    let due: Vec<Uuid> = {
        let mut state = instance.lock();
        if state.agent_started.is_none() {
            return;
        }
        let now = instance.world.local();
        let State { jobs, schedules, .. } = &mut *state;
        let mut due = Vec::new();
        for job in jobs.iter_mut() {
            job.settle(now);
            if next_run(job, schedules, job.since).is_some_and(|at| at <= now) {
                job.since = now;
                // one that still runs is left alone, and does not run twice afterwards
                due.extend((!job.is_running()).then_some(job.id));
            }
        }
        due
    };
    for id in due {
        if let Err(refused) = start(instance, id) {
            tracing::debug!(refused = refused.text, "a job was not started by its schedule");
        }
    }
}

/// When an enabled job runs next after a moment.
pub fn next_run(job: &Job, schedules: &[Schedule], after: DateTime) -> Option<DateTime> {
    if !job.enabled {
        return None;
    }
    let own = schedules.iter().filter(|schedule| job.schedules.contains(&schedule.id));
    own.filter_map(|schedule| occurrence(schedule, after)).min()
}

/// When a schedule comes round next after a moment ("sp_add_schedule"): once, daily or weekly; others are not played.
pub fn occurrence(schedule: &Schedule, after: DateTime) -> Option<DateTime> {
    if !schedule.enabled {
        return None;
    }
    let (first, last) = (date(schedule.start_date)?, date(schedule.end_date).unwrap_or(Date::MAX));
    let begin = seconds(schedule.start_time);
    let end = seconds(schedule.end_time);
    let step = match schedule.subday_type {
        2 => i64::from(schedule.subday_interval),
        4 => i64::from(schedule.subday_interval) * 60,
        8 => i64::from(schedule.subday_interval) * 3600,
        _ => 0,
    };
    let mut day = first.max(after.date());
    // a year without an occurrence has none
    for _ in 0..=366 {
        let days = day.since(first).map_or(0, |span| span.get_days());
        let falls = match schedule.freq_type {
            1 => day == first,
            4 => days % schedule.freq_interval.max(1) == 0,
            8 => schedule.freq_interval & (1 << day.weekday().to_sunday_zero_offset()) != 0,
            _ => return None,
        };
        let past = if day == after.date() { seconds_of(after) } else { -1 };
        let at = match step {
            1.. if past >= begin => begin + ((past - begin) / step + 1) * step,
            _ => begin,
        };
        if falls && day <= last && at > past && (at <= end || at == begin) && at < 86_400 {
            return day.at(0, 0, 0, 0).checked_add(Span::new().seconds(at)).ok();
        }
        day = day.tomorrow().ok()?;
    }
    None
}

/// `yyyymmdd`.
fn date(day: i32) -> Option<Date> {
    let part = |value: i32| i8::try_from(value).ok();
    Date::new(i16::try_from(day / 10_000).ok()?, part(day / 100 % 100)?, part(day % 100)?).ok()
}

/// `hhmmss` as seconds of the day.
fn seconds(time: i32) -> i64 {
    i64::from(time / 10_000) * 3600 + i64::from(time / 100 % 100) * 60 + i64::from(time % 100)
}

fn seconds_of(at: DateTime) -> i64 {
    i64::from(at.hour()) * 3600 + i64::from(at.minute()) * 60 + i64::from(at.second())
}

/// Starts a job: it goes on by itself, and one that takes no time has ended when this returns. Error 22022. Its name.
pub fn start(instance: &Arc<Instance>, id: Uuid) -> Result<String, Raised> {
    let now = instance.world.local();
    let stop = Arc::new(AtomicBool::new(false));
    let name = {
        let mut state = instance.lock();
        if state.agent_started.is_none() {
            return Err(messages::agent_stopped());
        }
        let Some(job) = state.jobs.iter_mut().find(|job| job.id == id) else { return Err(messages::no_such_job_id(&id.to_string())) };
        if job.is_running() {
            return Err(messages::job_running(&job.name));
        }
        (job.last_start, job.last_stop, job.since) = (Some(now), None, now);
        job.run = Some(Arc::clone(&stop));
        job.name.clone()
    };
    let run = Run { instance: Arc::clone(instance), job: id, stop };
    if instance.world.paced(OVERHEAD).is_zero() {
        run.carry_out();
    } else {
        std::thread::spawn(move || run.carry_out());
    }
    Ok(name)
}

/// Stops a job that runs; what it is doing with a file is cut short. Its name. Error 22022.
pub fn stop(instance: &Instance, id: Uuid) -> Result<String, Raised> {
    let now = instance.world.local();
    let mut state = instance.lock();
    let Some(job) = state.jobs.iter_mut().find(|job| job.id == id) else { return Err(messages::no_such_job_id(&id.to_string())) };
    if !job.is_running() {
        return Err(messages::job_not_running(&job.name));
    }
    job.until = None;
    if let Some(stop) = job.run.take() {
        stop.store(true, Ordering::Relaxed);
    }
    job.finish(now, false, "The job was stopped prior to completion.");
    Ok(job.name.clone())
}

/// One run of one job.
struct Run {
    instance: Arc<Instance>,
    job: Uuid,
    stop: Arc<AtomicBool>,
}

/// What a job does.
enum Work {
    Backup(Primary),
    Copy(Secondary),
    Restore(Secondary),
    Nothing,
}

impl Run {
    fn carry_out(self) {
        let work = {
            let state = self.instance.lock();
            let primary = state.primaries.iter().find(|row| row.job == self.job).cloned().map(Work::Backup);
            let copy = || state.secondaries.iter().find(|row| row.copy_job == self.job).cloned().map(Work::Copy);
            let restore = || state.secondaries.iter().find(|row| row.restore_job == self.job).cloned().map(Work::Restore);
            primary.or_else(copy).or_else(restore).unwrap_or(Work::Nothing)
        };
        let outcome = match &work {
            Work::Backup(row) => self.noted(row.id, 0, &row.database, |run| run.back_up(row)),
            Work::Copy(row) => self.noted(row.id, 1, &row.primary_database, |run| run.copy(row)),
            Work::Restore(row) => self.noted(row.id, 2, &row.primary_database, |run| run.restore(row)),
            Work::Nothing => Ok(()),
        };
        self.pass(OVERHEAD);
        let now = self.instance.world.local();
        let mut state = self.instance.lock();
        // whoever stopped or deleted it has written its end
        let mine = |job: &&mut Job| job.id == self.job && job.run.as_ref().is_some_and(|run| Arc::ptr_eq(run, &self.stop));
        let Some(job) = state.jobs.iter_mut().find(mine) else { return };
        job.run = None;
        match outcome {
            Ok(()) => job.finish(now, true, "The job succeeded."),
            Err(problem) => job.finish(now, false, &format!("The job failed. {problem}")),
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.instance.world.is_closing()
    }

    /// Lets simulated time pass; false if the job is stopped meanwhile.
    fn pass(&self, seconds: f64) -> bool {
        let until = Instant::now() + self.instance.world.paced(seconds);
        loop {
            if self.stopped() {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(20)));
        }
    }

    /// Does an agent's work with a line in the monitor's history before and after it.
    fn noted(&self, agent: Uuid, kind: u8, database: &str, work: impl FnOnce(&Self) -> Result<(), String>) -> Result<(), String> {
        let verb = ["backup", "copy", "restore"][usize::from(kind.min(2))];
        let session = {
            let mut state = self.instance.lock();
            let session = state.shipping.last().map_or(1, |last| last.session + 1);
            state.shipping.push(self.note((agent, kind, session), database, 0, format!("Starting transaction log {verb}.")));
            session
        };
        let outcome = work(self);
        let (status, text) = match &outcome {
            Ok(()) => (2, format!("The {verb} operation was successful.")),
            Err(problem) => (3, problem.clone()),
        };
        let note = self.note((agent, kind, session), database, status, text);
        self.instance.lock().shipping.push(note);
        outcome
    }

    fn note(&self, (agent, kind, session): (Uuid, u8, i32), database: &str, status: u8, message: String) -> ShippingNote {
        ShippingNote { agent, kind, session, database: database.to_owned(), status, at: self.instance.world.local(), message }
    }

    /// sqllogship -backup: one log backup into the folder, under a name of its own until it is whole. On a server where the
    /// database is not online it succeeds without one (32008).
    fn back_up(&self, row: &Primary) -> Result<(), String> {
        let instance = &*self.instance;
        let open = instance.lock().database(&row.database).is_some_and(|database| database.is_open() && !database.in_standby);
        if !open {
            return Ok(());
        }
        let name = format!("{}_{}", row.database, instance.world.utc().strftime("%Y%m%d%H%M%S"));
        let (draft, file) = (format!("{}\\{name}.wrk", row.directory), format!("{}\\{name}.trn", row.directory));
        let wanted =
            Wanted { kind: Kind::Log, copy_only: false, tail: false, no_truncate: false, checksums: false, init: true, name: None };
        let mut pass = |header: &Header| self.pass(instance.world.restore_seconds * weight(header));
        write(instance, &row.database, &draft, &wanted, 0, ACCOUNT, &mut pass).map_err(|raised| raised.text)?;
        let find = |path: &str| instance.paths.resolve(path).map_err(|cause| format!("Could not reach {path}: {cause}"));
        std::fs::rename(find(&draft)?, find(&file)?).map_err(|error| format!("Could not rename {draft}: {error}"))?;
        let now = instance.world.local();
        if let Some(row) = instance.lock().primaries.iter_mut().find(|other| other.id == row.id) {
            row.last_backup = Some((file, now));
        }
        prune(&find(&row.directory)?, now, instance, row.retention, None);
        Ok(())
    }

    /// sqllogship -copy: every `.trn` that is not there yet, under a name of its own until it is whole.
    fn copy(&self, row: &Secondary) -> Result<(), String> {
        let (from, to) = (self.folder(&row.source)?, self.folder(&row.destination)?);
        for name in backups_in(&from)? {
            let target = to.join(&name);
            if target.exists() {
                continue;
            }
            let failed = |error: std::io::Error| format!("Could not copy {name}: {error}");
            if !self.instance.may_read(Account::Agent, &from.join(&name)) {
                return Err(format!("Could not copy {name}: {}", OsError::DENIED));
            }
            let draft = target.with_extension("wrk");
            std::fs::copy(from.join(&name), &draft).map_err(failed)?;
            if !self.pass(COPYING) {
                return Err("The copy was stopped.".to_owned());
            }
            std::fs::rename(&draft, &target).map_err(failed)?;
            let now = self.instance.world.local();
            if let Some(row) = self.instance.lock().secondaries.iter_mut().find(|other| other.id == row.id) {
                row.last_copied = Some((format!("{}\\{name}", row.destination), now));
            }
        }
        Ok(())
    }

    fn folder(&self, name: &str) -> Result<PathBuf, String> {
        self.instance.paths.resolve(name).map_err(|cause| format!("Could not find the folder {name}: {cause}"))
    }

    /// sqllogship -restore, for every database of the secondary.
    fn restore(&self, secondary: &Secondary) -> Result<(), String> {
        let instance = &*self.instance;
        let databases: Vec<SecondaryDatabase> = {
            let state = instance.lock();
            state.secondary_databases.iter().filter(|row| row.secondary == secondary.id).cloned().collect()
        };
        let session = self.enter();
        let mut outcome = Ok(());
        for row in databases {
            if row.disconnect_users {
                shut(instance, &row.name);
            }
            outcome = self.restore_next(secondary, &row, session);
            if let Some(database) = instance.lock().database_mut(&row.name).filter(|database| row.disconnect_users && database.in_standby) {
                database.access = Access::Multi;
            }
            if outcome.is_err() {
                break;
            }
        }
        instance.lock().sessions.remove(&session);
        outcome
    }

    /// Every file in the order of names, those applied already being skipped; leaves the database as its row says, and then
    /// takes away the files that are applied and older than they are kept.
    fn restore_next(&self, secondary: &Secondary, row: &SecondaryDatabase, session: u16) -> Result<(), String> {
        let instance = &*self.instance;
        let folder = self.folder(&secondary.destination)?;
        let undo = row.restore_mode.then(|| format!("{}\\{}.tuf", secondary.destination, row.name));
        for name in backups_in(&folder)? {
            let device = format!("{}\\{name}", secondary.destination);
            let path = folder.join(&name);
            if row.restore_delay > 0 && age(&path, instance) < i64::from(row.restore_delay) * 60 {
                break;
            }
            let next = NextLog { database: &row.name, device: &device, path: &path, standby: undo.as_deref(), session, user: ACCOUNT };
            let killed = || instance.lock().sessions.get(&session).is_none_or(|row| row.killed);
            let mut pass = |header: &Header| self.pass(instance.world.restore_seconds * weight(header)) && !killed();
            match next.apply(instance, &mut pass) {
                Ok(true) => {
                    let at = instance.world.local();
                    let mut state = instance.lock();
                    if let Some(row) = state.secondary_databases.iter_mut().find(|other| same(&other.name, &row.name)) {
                        row.last_restored = Some((device, at));
                    }
                    if !row.restore_all {
                        break;
                    }
                }
                Ok(false) => return Err(format!("The restore of '{device}' was cut short.")),
                // an earlier file is skipped, as is one of another database
                Err(raised) if matches!(raised.number, 4326 | 3154) => {}
                Err(raised) => return Err(format!("Could not apply log backup file '{device}': {}", raised.text)),
            }
        }
        let last = {
            let state = instance.lock();
            let row = state.secondary_databases.iter().find(|other| same(&other.name, &row.name));
            row.and_then(|row| row.last_restored.as_ref()).and_then(|(file, _)| file.rsplit('\\').next().map(str::to_owned))
        };
        if let Some(last) = last {
            prune(&folder, instance.world.local(), instance, secondary.retention, Some(&last));
        }
        Ok(())
    }

    /// The session in which a job restores.
    fn enter(&self) -> u16 {
        let instance = &*self.instance;
        let now = instance.world.local();
        let mut state = instance.lock();
        let id = state.free_session();
        let running = Running { start: now, since: Instant::now(), command: "RESTORE LOG", percent: 0.0, database: 1 };
        state.sessions.insert(
            id,
            SessionRow {
                id,
                serial: 0,
                user: true,
                login: ACCOUNT.to_owned(),
                host: instance.machine.clone(),
                program: ".Net SqlClient Data Provider".to_owned(),
                process: 2_212,
                database: "master".to_owned(),
                command: "AWAITING COMMAND",
                login_time: now,
                last_start: now,
                last_end: None,
                running: Some(running),
                transactions: 0,
                killed: false,
                rollback: None,
                reconnects: false,
                encrypted: true,
            },
        );
        id
    }
}

/// Ends those who read a standby, and keeps the door shut behind them: who reconnects at once would be in the way again.
fn shut(instance: &Instance, database: &str) {
    let now = instance.world.local();
    let mut state = instance.lock();
    let Some(found) = state.database_mut(database).filter(|found| found.in_standby) else { return };
    found.access = Access::Single;
    for reader in state.users_of(database, 0) {
        admin::end(instance, &mut state, reader, now);
    }
}

/// The `.trn` files of a folder, in the order of their names.
fn backups_in(folder: &Path) -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.to_ascii_lowercase().ends_with(".trn"))
        .collect();
    names.sort();
    Ok(names)
}

/// Seconds since a file was written, by the lab's clock.
fn age(path: &Path, instance: &Instance) -> i64 {
    let written = std::fs::metadata(path).and_then(|details| details.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let written = written.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0));
    instance.world.now().as_second() - written
}

/// Deletes backups older than `minutes`, of a secondary only those before the last that was restored.
fn prune(folder: &Path, now: DateTime, instance: &Instance, minutes: i32, before: Option<&str>) {
    let names = backups_in(folder).unwrap_or_default();
    for name in names.iter().filter(|name| before.is_none_or(|last| name.as_str() < last)) {
        let path = folder.join(name);
        if age(&path, instance) > i64::from(minutes) * 60
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::debug!(%error, %now, "an old backup could not be deleted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(freq: (i32, i32), subday: (i32, i32), hours: (i32, i32)) -> Schedule {
        Schedule {
            id: 1,
            uid: Uuid::nil(),
            name: "s".to_owned(),
            enabled: true,
            freq_type: freq.0,
            freq_interval: freq.1,
            subday_type: subday.0,
            subday_interval: subday.1,
            relative_interval: 0,
            recurrence_factor: 0,
            start_date: 20_260_101,
            end_date: 99_991_231,
            start_time: hours.0,
            end_time: hours.1,
        }
    }

    #[test]
    fn a_schedule_comes_round_as_agent_has_it() {
        let next = |schedule: &Schedule, after: &str| {
            occurrence(schedule, after.parse().unwrap()).map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
        };
        let quarters = schedule((4, 1), (4, 15), (200, 235_900));
        assert_eq!(next(&quarters, "2026-03-05T10:02:00"), "2026-03-05 10:17:00");
        assert_eq!(next(&quarters, "2026-03-05T10:16:59"), "2026-03-05 10:17:00");
        assert_eq!(next(&quarters, "2026-03-05T23:50:00"), "2026-03-06 00:02:00");
        assert_eq!(next(&quarters, "2025-12-31T10:00:00"), "2026-01-01 00:02:00");
        let nightly = schedule((4, 2), (1, 0), (33_000, 0));
        assert_eq!(next(&nightly, "2026-01-01T03:30:00"), "2026-01-03 03:30:00");
        // Monday and Friday; 2026-03-05 is a Thursday
        let weekly = schedule((8, 2 | 32), (8, 6), (0, 235_959));
        assert_eq!(next(&weekly, "2026-03-05T10:00:00"), "2026-03-06 00:00:00");
        assert_eq!(next(&weekly, "2026-03-06T06:00:00"), "2026-03-06 12:00:00");
        assert_eq!(next(&schedule((1, 0), (0, 0), (120_000, 0)), "2026-01-01T12:00:00"), "");
        assert_eq!(next(&Schedule { enabled: false, ..quarters }, "2026-03-05T10:02:00"), "");
    }
}
