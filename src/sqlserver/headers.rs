//! Backup headers: RESTORE HEADERONLY read by column name, and remembered. Called by `restore`. Headers are the slow part of
//! planning (each is a trip to a file by the server), so that a file is asked for once in a run unless it changed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::chain::BackupSet;
use super::error::Failure;
use super::value::{Answer, Row, Value};
use crate::wire::lsn::Lsn;

/// One file of a folder, as the tool sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Without folder.
    pub name: String,
    pub bytes: u64,
    pub modified: Option<Timestamp>,
}

impl Listed {
    /// `yyyyMMddHHmmss` before the ending, as log shipping names its files (in UTC), and the part of the name before it.
    pub fn stamp(&self) -> Option<(&str, DateTime)> {
        stamp(&self.name)
    }

    /// When this file was probably written: only good for guessing which to look at first.
    pub(super) fn hint(&self) -> Timestamp {
        named_time(&self.name).or(self.modified).unwrap_or(Timestamp::MIN)
    }
}

/// Prefix and time of a name such as `mgc_20240131094500.trn`.
pub(super) fn stamp(name: &str) -> Option<(&str, DateTime)> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let (prefix, digits) = stem.split_at_checked(stem.len().checked_sub(14)?)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) || prefix.ends_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some((prefix.trim_end_matches('_'), DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?))
}

/// The time in a file's name.
pub(super) fn named_time(name: &str) -> Option<Timestamp> {
    Offset::UTC.to_timestamp(stamp(name)?.1).ok()
}

/// Why the sets in a file are not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Trouble {
    /// 3201: the server cannot open it. `os`: the Windows error in the message.
    CannotOpen { os: Option<u32>, text: String },
    /// 3203, 3241, 3242, 3254, 3256 and their kin: opened, but not a whole backup.
    NotWhole { number: i32, text: String },
    /// The header is marked `*** INCOMPLETE ***`.
    FromNewerServer,
}

impl Trouble {
    /// None: the failure is not about the file but about the server or the connection.
    pub(super) fn from_failure(failure: &Failure) -> Option<Self> {
        let message = failure.deciding()?;
        let text = message.text.clone();
        match message.number {
            3201 => Some(Self::CannotOpen { os: os_error(&text), text }),
            3203 | 3241 | 3242 | 3254 | 3256 | 3266 | 3270 | 3186 | 3189 | 3279 => Some(Self::NotWhole { number: message.number, text }),
            _ => None,
        }
    }

    /// What to do about it, one imperative sentence.
    pub fn act(&self) -> &'static str {
        match self {
            Self::CannotOpen { os: Some(5), .. } => {
                "give the SQL Server service account read access to the file and its folder (your own access doesn't count), then run the runbook again"
            }
            Self::CannotOpen { os: Some(2 | 3), .. } => {
                "check that `folder_on_server` names this same folder as the SQL Server sees it, then run the runbook again"
            }
            Self::CannotOpen { os: Some(32), .. } => {
                "wait until whatever holds the file open (a copy, a virus scanner) lets go of it, then run the runbook again"
            }
            Self::CannotOpen { os: Some(53 | 64 | 67), .. } => {
                "check that the SQL Server reaches the share, or copy the files to a folder on the server, then run the runbook again"
            }
            Self::CannotOpen { .. } => "make the file readable for the SQL Server service account, then run the runbook again",
            Self::NotWhole { .. } => {
                "compare it with the original, copy it again from the share, then run the runbook again; if there is no whole copy, move it out of the folder and accept the loss"
            }
            Self::FromNewerServer => "restore on a SQL Server at least as new as the one that wrote it",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotOpen { os, .. } => {
                f.write_str("the SQL Server cannot open it")?;
                match os {
                    Some(2) => f.write_str(" (Windows error 2: it sees no such file)"),
                    Some(3) => f.write_str(" (Windows error 3: it sees no such folder)"),
                    Some(5) => f.write_str(" (Windows error 5: access denied to the SQL Server service account)"),
                    Some(32) => f.write_str(" (Windows error 32: another program holds it open)"),
                    Some(os @ (53 | 64 | 67)) => write!(f, " (Windows error {os}: the network path is not reached)"),
                    Some(os) => write!(f, " (Windows error {os})"),
                    None => Ok(()),
                }
            }
            Self::NotWhole { number: 3254, .. } => f.write_str("it is empty (error 3254)"),
            Self::NotWhole { number: 3256, .. } => f.write_str("the backup in it was cut off while it was written (error 3256)"),
            Self::NotWhole { number: 3203, .. } => {
                f.write_str("reading it failed: it is damaged or cut off, or its disk or share fails (error 3203)")
            }
            Self::NotWhole { number: 3279, .. } => f.write_str("it has a password (error 3279)"),
            Self::NotWhole { number, .. } => {
                write!(f, "it is truncated, half copied or not a backup that this server can read (error {number})")
            }
            Self::FromNewerServer => f.write_str("it was written by a newer SQL Server"),
        }
    }
}

/// The Windows error inside the text of 3201: digits before a parenthesis, the same in every language of the server.
fn os_error(text: &str) -> Option<u32> {
    let mut found = None;
    for (at, _) in text.match_indices('(') {
        let before = &text[..at];
        let digits = before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (rest, digits) = before.split_at(before.len() - digits);
        if rest.ends_with(char::is_whitespace)
            && let Ok(number) = digits.parse()
        {
            found = Some(number);
        }
    }
    found
}

/// What is known of a file: its sets, or why they are not known.
pub(super) type Read = Result<Arc<Vec<Arc<BackupSet>>>, Trouble>;

/// Headers that were read in this run, by server, path, size and time: `log_chain` and then `restore_logs` ask once. Files
/// that could not be read are not remembered.
#[derive(Debug, Default)]
pub struct HeaderCache(Mutex<HashMap<Key, Arc<Vec<Arc<BackupSet>>>>>);

/// Server, path on the server, size and time.
type Key = (String, String, u64, Option<Timestamp>);

impl HeaderCache {
    pub(super) fn get(&self, server: &str, path: &str, file: &Listed) -> Option<Arc<Vec<Arc<BackupSet>>>> {
        let key = (server.to_owned(), path.to_owned(), file.bytes, file.modified);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    pub(super) fn put(&self, server: &str, path: &str, file: &Listed, sets: Arc<Vec<Arc<BackupSet>>>) {
        let key = (server.to_owned(), path.to_owned(), file.bytes, file.modified);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, sets);
    }
}

/// Sets from the answer of RESTORE HEADERONLY, or what is wrong with the file; an error is the server's or the connection's.
pub(super) fn read(file: &str, answer: Result<Answer, Failure>) -> Result<Read, Failure> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return Trouble::from_failure(&failure).map(Err).ok_or(failure),
    };
    let file: Arc<str> = file.into();
    let mut sets = Vec::new();
    for row in answer.sets.iter().flat_map(|set| &set.rows) {
        if text(row, "BackupName").is_some_and(|name| name.contains("*** INCOMPLETE ***")) {
            return Ok(Err(Trouble::FromNewerServer));
        }
        match backup_set(&file, row) {
            Some(set) => sets.push(Arc::new(set)),
            None => return Ok(Err(Trouble::NotWhole { number: 3242, text: "a header without LSNs".to_owned() })),
        }
    }
    Ok(Ok(Arc::new(sets)))
}

fn backup_set(file: &Arc<str>, row: &Row) -> Option<BackupSet> {
    Some(BackupSet {
        file: file.clone(),
        position: int(row, "Position").unwrap_or(1),
        backup_type: int(row, "BackupType")?,
        database: text(row, "DatabaseName").unwrap_or_default().to_owned(),
        first_lsn: lsn(row, "FirstLSN")?,
        last_lsn: lsn(row, "LastLSN")?,
        first_fork: guid(row, "FirstRecoveryForkID"),
        last_fork: guid(row, "RecoveryForkID"),
        fork_point: lsn(row, "ForkPointLSN"),
        family: guid(row, "FamilyGUID"),
        set: guid(row, "BackupSetGUID"),
        copy_only: bit(row, "IsCopyOnly"),
        damaged: bit(row, "IsDamaged"),
        incomplete_metadata: bit(row, "HasIncompleteMetaData"),
        start: datetime(row, "BackupStartDate"),
        finish: datetime(row, "BackupFinishDate"),
        bytes: int(row, "BackupSize").and_then(|bytes| bytes.try_into().ok()).unwrap_or_default(),
        stored: int(row, "CompressedBackupSize").and_then(|bytes| bytes.try_into().ok()).unwrap_or_default(),
        flags: int(row, "Flags").unwrap_or_default(),
        version_major: int(row, "SoftwareVersionMajor").unwrap_or_default(),
    })
}

pub(super) fn int(row: &Row, column: &str) -> Option<i64> {
    match row.get(column)? {
        Value::Int(value) => Some(*value),
        Value::Bit(value) => Some((*value).into()),
        Value::Lsn(value) => value.0.try_into().ok(),
        Value::Decimal(value) => value.to_i64(),
        Value::Text(value) => value.trim().parse().ok(),
        _ => None,
    }
}

pub(super) fn bit(row: &Row, column: &str) -> bool {
    int(row, column).is_some_and(|value| value != 0)
}

pub(super) fn float(row: &Row, column: &str) -> Option<f64> {
    match row.get(column)? {
        Value::Float(value) => Some(*value),
        Value::Decimal(value) => value.to_f64(),
        _ => None,
    }
}

pub(super) fn lsn(row: &Row, column: &str) -> Option<Lsn> {
    match row.get(column)? {
        Value::Lsn(value) => Some(*value),
        Value::Int(value) => u128::try_from(*value).ok().map(Lsn),
        Value::Decimal(value) => value.to_u128().map(Lsn),
        Value::Text(value) => value.parse().ok(),
        _ => None,
    }
}

pub(super) fn guid(row: &Row, column: &str) -> Option<Uuid> {
    match row.get(column)? {
        Value::Guid(value) => Some(*value),
        Value::Text(value) => value.trim().parse().ok(),
        _ => None,
    }
}

pub(super) fn text<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    match row.get(column)? {
        Value::Text(value) => Some(value),
        _ => None,
    }
}

pub(super) fn datetime(row: &Row, column: &str) -> Option<DateTime> {
    match row.get(column)? {
        Value::DateTime(value) | Value::DateTimeOffset(value, _) => Some(*value),
        Value::Text(value) => value.trim().parse().ok(),
        _ => None,
    }
}
