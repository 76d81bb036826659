//! The loss statement: what is certainly kept, until when it is uncertain, what is lost, and what these backups never held.
//! Made by `restore` for the confirm before the point of no return and for the report. It claims no more than headers prove:
//! a transaction that commits while a log backup runs may or may not be inside.

use jiff::civil::{DateTime, DateTimeRound};
use jiff::tz::Offset;
use jiff::{RoundMode, SignedDuration, Timestamp, Unit};
use serde::{Deserialize, Serialize};

use super::chain::clock;
use super::headers::stamp;

/// What is lost when the database is recovered now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// The last log backup in the chain; none if nobody knows it.
    pub last_file: Option<String>,
    /// Its `BackupStartDate`, time of the primary: every commit before it is certainly kept.
    pub safe_until: Option<DateTime>,
    /// Its `BackupFinishDate`: commits from `safe_until` to here may be kept or not; later ones are lost.
    pub uncertain_until: Option<DateTime>,
    /// The primary's offset from UTC, derived from the file's name (UTC) and `BackupStartDate`, to a quarter of an hour.
    pub offset_minutes: Option<i32>,
    pub safe_until_utc: Option<Timestamp>,
    pub uncertain_until_utc: Option<Timestamp>,
    /// This machine's clock when the statement was made.
    pub now: Timestamp,
    /// How far the restoring server's clock is ahead of this machine's.
    pub server_ahead_seconds: Option<i64>,
    /// Work that is lost for certain: later log is known of but cannot serve.
    pub at_least_seconds: Option<i64>,
    /// Work that is lost if the primary worked until now.
    pub at_most_seconds: Option<i64>,
    /// Files at hand that could not serve, and why.
    pub could_not_serve: Vec<(String, String)>,
    /// What these backups never held.
    pub not_covered: Vec<String>,
}

/// What a loss statement is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Evidence {
    pub last_file: Option<String>,
    pub start: Option<DateTime>,
    pub finish: Option<DateTime>,
    /// Latest time, of the primary, of log that is known of but not in the chain.
    pub later: Option<DateTime>,
    pub could_not_serve: Vec<(String, String)>,
    pub now: Timestamp,
    /// The restoring server's clock, UTC, at `now`.
    pub server_now: Option<DateTime>,
}

const NOT_COVERED: [&str; 3] = [
    "the queue of the compliance database mgccomp: it is not log shipped, and what its adapter had not drained is gone with the primary site",
    "files posted in chat rooms: they live in the file store, not in this database",
    "log backups taken by other tools and kept elsewhere: nobody here can know of them",
];

impl Loss {
    pub(super) fn new(evidence: Evidence) -> Self {
        let Evidence { last_file, start, finish, later, could_not_serve, now, server_now } = evidence;
        let offset = start.and_then(|start| offset(last_file.as_deref()?, start));
        let utc = |time: Option<DateTime>| {
            let zone = offset.and_then(|minutes| Offset::from_seconds(minutes * 60).ok())?;
            zone.to_timestamp(time?).ok()
        };
        let (safe_until_utc, uncertain_until_utc) = (utc(start), utc(finish));
        let at_least_seconds = match (finish, later) {
            (Some(finish), Some(later)) => Some(later.duration_since(finish).as_secs().max(0)),
            (Some(_), None) => Some(0),
            (None, _) => None,
        };
        Self {
            at_most_seconds: safe_until_utc.map(|safe| now.duration_since(safe).as_secs().max(at_least_seconds.unwrap_or(0))),
            at_least_seconds,
            safe_until: start,
            uncertain_until: finish,
            offset_minutes: offset,
            safe_until_utc,
            uncertain_until_utc,
            server_ahead_seconds: server_now.and_then(|at| Offset::UTC.to_timestamp(at).ok()).map(|at| at.duration_since(now).as_secs()),
            last_file,
            now,
            could_not_serve,
            not_covered: NOT_COVERED.map(str::to_owned).to_vec(),
        }
    }

    /// The statement in sentences, for a confirm and for the report.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let both = |time: Option<DateTime>, utc: Option<Timestamp>| match (time, utc) {
            (Some(time), Some(_)) if self.offset_minutes == Some(0) => format!("{} by the primary's clock, which shows UTC", clock(time)),
            (Some(time), Some(utc)) => format!(
                "{} by the primary's clock (UTC{}), {} UTC",
                clock(time),
                zone(self.offset_minutes.unwrap_or_default()),
                utc.strftime("%Y-%m-%d %H:%M:%S")
            ),
            (Some(time), None) => format!("{} by the primary's clock (its offset from UTC is not known)", clock(time)),
            (None, _) => "a time that is not known".to_owned(),
        };
        let file = self.last_file.as_deref().unwrap_or("unknown");
        if self.safe_until.is_none() {
            lines.push("certainly kept: not known, for no header of the last applied backup was read".to_owned());
        } else {
            lines.push(format!(
                "certainly kept: what was committed before {}, when the last log backup `{file}` began",
                both(self.safe_until, self.safe_until_utc)
            ));
            lines.push(format!(
                "uncertain: what was committed while that backup ran, until {}",
                // never a fraction of a second too early
                both(
                    self.uncertain_until.map(whole_second_after),
                    self.uncertain_until_utc.map(|utc| utc + SignedDuration::from_millis(999))
                )
            ));
        }
        let ahead = match self.server_ahead_seconds {
            Some(0) | None => String::new(),
            Some(s) if s > 0 => format!("; the restoring server's clock is {} ahead of it", span(s)),
            Some(s) => format!("; the restoring server's clock is {} behind it", span(-s)),
        };
        let now = self.now.strftime("%Y-%m-%d %H:%M:%S");
        lines.push(match (self.at_least_seconds, self.at_most_seconds) {
            (Some(least), Some(most)) => format!(
                "lost: everything committed later: at least {}, and at most {} if the primary worked until now ({now} UTC by this machine's clock{ahead})",
                if least == 0 { "nothing".to_owned() } else { format!("{} of work", span(least)) },
                span(most)
            ),
            (Some(least), None) if least > 0 => {
                format!("lost: everything committed later: at least {} of work; how much at most cannot be told", span(least))
            }
            _ => "lost: everything committed later; how much cannot be told from here".to_owned(),
        });
        if !self.could_not_serve.is_empty() {
            let files: Vec<String> = self.could_not_serve.iter().map(|(file, why)| format!("`{file}` ({why})")).collect();
            lines.push(format!("at hand, but of no use: {}", files.join("; ")));
        }
        lines.push(format!("never in these backups: {}", self.not_covered.join("; ")));
        lines
    }
}

fn whole_second_after(time: DateTime) -> DateTime {
    time.round(DateTimeRound::new().smallest(Unit::Second).mode(RoundMode::Ceil)).unwrap_or(time)
}

/// Minutes that `start` is ahead of the UTC time in the file's name, to a quarter of an hour; none if the name has none, or
/// if they are further apart than any two zones.
fn offset(file: &str, start: DateTime) -> Option<i32> {
    let (_, named) = stamp(file)?;
    let ahead: SignedDuration = start.duration_since(named);
    let quarters = (ahead.as_secs() + 450).div_euclid(900);
    i32::try_from(quarters * 15).ok().filter(|minutes| minutes.abs() <= 14 * 60)
}

fn zone(minutes: i32) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// `3 d 4 h`, `2 h 5 min`, `14 min 10 s`, `10 s`.
fn span(seconds: i64) -> String {
    let (days, hours, minutes, seconds) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {seconds} s"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
