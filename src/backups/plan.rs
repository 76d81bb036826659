//! Decides, from two listings alone, what a copy has to do. Pure: called by `copy` before the first byte moves.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::error::BackupsError;
use super::listing::File;
use super::name::{self, LogName};
use super::outcome::{Difference, RefusedFile, Skipped, SkippedFile};

/// FAT keeps times to two seconds, and file servers round to them.
const TOLERANCE: Duration = Duration::from_secs(2);
/// How many files before the last restored one are still looked at: msdb's note of it may be a file or two behind.
const OVERLAP: usize = 2;

/// What to do with one source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub file: File,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is not there.
    Copy,
    /// The same length is there with another time: the contents decide.
    Compare,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Oldest first.
    pub jobs: Vec<Job>,
    pub skipped: Vec<SkippedFile>,
    pub refused: Vec<RefusedFile>,
    /// Files before the bound that were not looked at any further.
    pub passed_over: usize,
}

impl Plan {
    /// The room that the copies will take.
    pub fn bytes_to_copy(&self) -> u64 {
        self.jobs.iter().filter(|j| j.kind == Kind::Copy).map(|j| j.file.bytes).sum()
    }

    /// Every byte that will be read from the source, for progress.
    pub fn bytes_to_read(&self) -> u64 {
        self.jobs.iter().map(|j| j.file.bytes).sum()
    }
}

/// `source` is sorted oldest first; `newer_than` is the last restored file's name.
pub(super) fn plan(source: Vec<File>, there: &HashMap<String, File>, newer_than: Option<&LogName>) -> Plan {
    let bound = newer_than.and_then(|last| bound(&source, last));
    let mut plan = Plan::default();
    for file in source {
        // A name without a stamp cannot be shown to be old, so it counts as needed.
        let needed = match (bound, &file.log) {
            (Some(bound), Some(log)) => log.stamp >= bound,
            _ => true,
        };
        match there.get(key(&file.name).as_ref()) {
            None if needed => plan.jobs.push(Job { file, kind: Kind::Copy }),
            Some(other) if other.bytes != file.bytes => {
                let difference = Difference::Length { source: file.bytes, destination: other.bytes };
                plan.refused.push(RefusedFile { name: file.name, difference, needed });
            }
            Some(other) if needed && same_time(file.modified, other.modified) => {
                plan.skipped.push(SkippedFile { name: file.name, bytes: file.bytes, how: Skipped::SameTime });
            }
            Some(_) if needed => plan.jobs.push(Job { file, kind: Kind::Compare }),
            _ => plan.passed_over += 1,
        }
    }
    plan
}

/// The name of `newer_than`, which may be a path as msdb has it; empty means that nothing was restored yet.
pub(super) fn last_restored(newer_than: Option<&str>) -> Result<Option<LogName>, BackupsError> {
    let Some(text) = newer_than.map(str::trim).filter(|t| !t.is_empty()) else { return Ok(None) };
    match LogName::parse(name::file_name(text)) {
        Some(log) => Ok(Some(log)),
        None => Err(BackupsError::NewerThan { newer_than: text.to_owned() }),
    }
}

/// The stamp from which files are needed: that of the second file of the same database before the last restored one.
fn bound(source: &[File], last: &LogName) -> Option<jiff::civil::DateTime> {
    let same = |log: &&LogName| log.database.eq_ignore_ascii_case(&last.database);
    let before: Vec<_> = source.iter().filter_map(|f| f.log.as_ref()).filter(same).map(|l| l.stamp).filter(|s| *s < last.stamp).collect();
    Some(before.len().checked_sub(OVERLAP).map_or_else(|| before.first().copied().unwrap_or(last.stamp), |i| before[i]))
}

fn same_time(a: SystemTime, b: SystemTime) -> bool {
    a.duration_since(b).or_else(|_| b.duration_since(a)).is_ok_and(|apart| apart <= TOLERANCE)
}

/// Files of the destination by what makes two names one there.
pub(super) fn by_name(files: Vec<File>) -> HashMap<String, File> {
    let keyed = |mut file: File| match key(&file.name) {
        // the name itself is the key: it is moved, not copied
        std::borrow::Cow::Borrowed(_) => (std::mem::take(&mut file.name), file),
        std::borrow::Cow::Owned(key) => (key, file),
    };
    files.into_iter().map(keyed).collect()
}

/// Windows tells no two names apart by case; elsewhere the folder may hold both.
fn key(name: &str) -> std::borrow::Cow<'_, str> {
    if cfg!(windows) { name.to_lowercase().into() } else { name.into() }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn file(name: &str, bytes: u64, seconds: u64) -> File {
        File { name: name.into(), log: LogName::parse(name), bytes, modified: UNIX_EPOCH + Duration::from_secs(seconds) }
    }

    fn day(n: u32) -> String {
        format!("mgc_202601{n:02}000000.trn")
    }

    fn jobs(plan: &Plan) -> Vec<(&str, Kind)> {
        plan.jobs.iter().map(|j| (j.file.name.as_str(), j.kind)).collect()
    }

    #[test]
    fn length_and_time_decide_and_two_seconds_are_no_difference() {
        let source = vec![file("a.trn", 5, 100), file("b.trn", 5, 100), file("c.trn", 5, 100), file("d.trn", 5, 100)];
        let there = [file("a.trn", 5, 102), file("b.trn", 5, 103), file("c.trn", 4, 100)];
        let plan = plan(source, &by_name(Vec::from(there)), None);
        assert_eq!(plan.skipped, [SkippedFile { name: "a.trn".into(), bytes: 5, how: Skipped::SameTime }]);
        assert_eq!(jobs(&plan), [("b.trn", Kind::Compare), ("d.trn", Kind::Copy)]);
        let difference = Difference::Length { source: 5, destination: 4 };
        assert_eq!(plan.refused, [RefusedFile { name: "c.trn".into(), difference, needed: true }]);
        assert_eq!((plan.bytes_to_copy(), plan.bytes_to_read()), (5, 10));
    }

    #[test]
    fn newer_than_begins_two_files_of_the_same_database_before_it() {
        let mut source: Vec<_> = (1..=9).map(|n| file(&day(n), 1, 0)).collect();
        source.push(file("mgc_odd.trn", 1, 0));
        source.insert(5, file("mgccomp_20260105120000.trn", 1, 0));
        source.insert(4, file("mgccomp_20260104120000.trn", 1, 0));
        let last = last_restored(Some(r"D:\LogShip\MGC_20260107000000.trn")).unwrap();
        let plan = plan(source, &by_name(vec![file(&day(1), 9, 0), file(&day(2), 1, 999), file(&day(5), 9, 0)]), last.as_ref());
        assert_eq!(
            jobs(&plan).into_iter().map(|j| j.0.to_owned()).collect::<Vec<_>>(),
            ["mgccomp_20260105120000.trn".into(), day(6), day(7), day(8), day(9), "mgc_odd.trn".into()]
        );
        assert_eq!(plan.refused.iter().map(|r| (r.name.as_str(), r.needed)).collect::<Vec<_>>(), [(&*day(1), false), (&*day(5), true)]);
        assert_eq!(plan.passed_over, 4, "days 2, 3, 4 and the other database's file before the bound");
    }

    #[test]
    fn a_last_restored_file_that_was_pruned_still_bounds() {
        let source = vec![file(&day(5), 1, 0), file(&day(6), 1, 0)];
        let last = last_restored(Some(&day(2))).unwrap();
        assert_eq!(plan(source.clone(), &HashMap::new(), last.as_ref()).jobs.len(), 2);
        let last = last_restored(Some(&day(9))).unwrap();
        assert_eq!(plan(source, &HashMap::new(), last.as_ref()).jobs.len(), 2, "an overlap of two");
    }

    #[test]
    fn a_newer_than_without_a_stamp_is_refused_and_an_empty_one_bounds_nothing() {
        assert!(matches!(last_restored(Some("mgc.trn")), Err(BackupsError::NewerThan { .. })));
        assert_eq!(last_restored(Some(" ")).unwrap(), None);
        assert_eq!(last_restored(None).unwrap(), None);
    }
}
