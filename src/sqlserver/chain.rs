//! Which log backup comes next: from the redo point of a database that is being restored and the headers of the backup
//! sets at hand to the sets to apply, in order, and what is wrong with the rest. Called by `restore`; pure, it asks
//! nobody. File names and times are never used to order anything here: only log sequence numbers and recovery forks are.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::sync::Arc;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::wire::lsn::Lsn;

/// One backup set as RESTORE HEADERONLY describes it; one file may hold several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackupSet {
    /// File name without folder.
    pub file: Arc<str>,
    /// `Position`: what RESTORE wants as `FILE = n`, from 1.
    pub position: i64,
    /// `BackupType`: 1 database, 2 log, 5 differential, …
    pub backup_type: i64,
    /// `DatabaseName`: of the database that was backed up.
    pub database: String,
    /// `FirstLSN`: first record in the set.
    pub first_lsn: Lsn,
    /// `LastLSN`: the record *after* the last one in the set.
    pub last_lsn: Lsn,
    /// `FirstRecoveryForkID`
    pub first_fork: Option<Uuid>,
    /// `RecoveryForkID`: differs from the first one when the set crosses a fork.
    pub last_fork: Option<Uuid>,
    /// `ForkPointLSN`: where a set that crosses a fork leaves the old one.
    pub fork_point: Option<Lsn>,
    /// `FamilyGUID`: the same for a database and all its restored copies, for life.
    pub family: Option<Uuid>,
    /// `BackupSetGUID`
    pub set: Option<Uuid>,
    pub copy_only: bool,
    pub damaged: bool,
    /// `HasIncompleteMetaData`: a tail of a damaged database; it can be applied.
    pub incomplete_metadata: bool,
    /// `BackupStartDate`, local time of the server that wrote it, without zone.
    pub start: Option<DateTime>,
    /// `BackupFinishDate`, as `start`.
    pub finish: Option<DateTime>,
    /// `BackupSize` in bytes, uncompressed.
    pub bytes: u64,
    /// `CompressedBackupSize`: what the set takes in its file, about; 0 if the header doesn't say.
    pub stored: u64,
    /// `Flags`: 64 tail of the log, 128 with incomplete metadata, 256 taken WITH NORECOVERY, …
    pub flags: i64,
    /// `SoftwareVersionMajor` of the server that wrote it.
    pub version_major: i64,
}

impl BackupSet {
    fn crosses(&self) -> bool {
        self.first_fork != self.last_fork
    }

    /// File, and the position in it where it isn't the first.
    pub fn title(&self) -> String {
        match self.position {
            1 => self.file.to_string(),
            n => format!("{} (set {n})", self.file),
        }
    }
}

/// Where roll forward stands, and what a set must be of to carry it on.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// `sys.master_files.redo_start_lsn`
    pub redo: Lsn,
    /// `sys.master_files.redo_start_fork_guid`
    pub fork: Uuid,
    /// `msdb..backupset.family_guid` of the last restored set. None: the first set applied binds the rest.
    pub family: Option<Uuid>,
    /// The name in the headers, which is the source's; compared without regard to case.
    pub database: String,
}

/// Why a set is not applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Reason {
    /// Ends at or before the redo point.
    AlreadyApplied,
    NotALogBackup,
    OtherDatabase {
        name: String,
    },
    /// Same name, another database (`FamilyGUID`).
    OtherFamily,
    /// On a recovery fork that this database has not taken, or that leaves its own behind the redo point.
    OtherFork,
    /// `IsDamaged`, or an LSN range that makes no sense.
    Damaged,
    /// FirstLSN = LastLSN: no record inside.
    Empty,
    /// The same `BackupSetGUID` lies in this file too.
    DuplicateOf {
        file: String,
    },
    /// A copy-only log backup of a range that the ordinary ones cover.
    CopyOnly,
    /// Another set covers its range.
    Covered,
    /// Would be next only if the gap were filled.
    AfterTheGap,
}

impl Reason {
    /// True for what a healthy folder holds anyway and nobody needs to be told of one by one.
    pub fn is_ordinary(&self) -> bool {
        matches!(
            self,
            Self::AlreadyApplied
                | Self::Empty
                | Self::DuplicateOf { .. }
                | Self::CopyOnly
                | Self::Covered
                | Self::NotALogBackup
                | Self::OtherDatabase { .. }
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyApplied => f.write_str("already applied: it ends at or before the redo point"),
            Self::NotALogBackup => f.write_str("not a log backup"),
            Self::OtherDatabase { name } => write!(f, "of another database, `{name}`"),
            Self::OtherFamily => f.write_str("of another database that has the same name"),
            Self::OtherFork => f.write_str("on another recovery fork"),
            Self::Damaged => f.write_str("marked as damaged by the server that wrote it"),
            Self::Empty => f.write_str("empty: no log record inside"),
            Self::DuplicateOf { file } => write!(f, "the same set as in `{file}`"),
            Self::CopyOnly => f.write_str("copy-only, and the ordinary log backups cover its range"),
            Self::Covered => f.write_str("another set covers its range"),
            Self::AfterTheGap => f.write_str("lies after the gap"),
        }
    }
}

/// A set that is not applied, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    pub set: Arc<BackupSet>,
    pub reason: Reason,
}

/// A hole in the chain: log that no usable set holds, although later log is at hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// First missing LSN: where roll forward would stand.
    pub from: Lsn,
    /// The LSN at which usable log begins again.
    pub to: Lsn,
    /// `BackupFinishDate` of the set before, local time of its server.
    pub since: Option<DateTime>,
    /// `BackupStartDate` of the set after.
    pub until: Option<DateTime>,
    /// The last set before the hole, if its header was read.
    pub before: Option<String>,
    /// The first set after it; none when a damaged set is the last that is known of.
    pub after: Option<String>,
    /// What lies in the folder and would have covered the hole, and why it can't.
    pub causes: Vec<String>,
}

impl Gap {
    /// What to do about it, in sentences for people.
    pub fn advice(&self) -> Vec<String> {
        if !self.causes.is_empty() {
            return vec![
                "compare what lies in the folder and is of no use with the original on the share, and copy it again if they differ"
                    .to_owned(),
                format!("if no whole copy is left, ask the backup team for a log backup covering LSN {}–{}", self.from, self.to),
            ];
        }
        let mut lines = vec![format!(
            "ask the backup team for a log backup covering LSN {}–{}: the most common cause is another backup product or a maintenance plan that took one elsewhere",
            self.from, self.to
        )];
        lines.push(
            "look in msdb of the primary and of its mirror, if either can still be read: backupset joined with backupmediafamily names every file that was written".to_owned(),
        );
        lines
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log from LSN {} up to LSN {} is missing", self.from, self.to)?;
        match (self.since, self.until) {
            (Some(since), Some(until)) => {
                write!(f, ", written between {} and {} (time of the primary)", clock(since), clock(until))?;
            }
            (Some(since), None) => write!(f, ", written after {} (time of the primary)", clock(since))?,
            (None, Some(until)) => write!(f, ", written before {} (time of the primary)", clock(until))?,
            (None, None) => {}
        }
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, ", between `{before}` and `{after}`"),
            (None, Some(after)) => write!(f, ", before `{after}`"),
            (Some(before), None) => write!(f, ", after `{before}`"),
            (None, None) => Ok(()),
        }
    }
}

/// Date and time without fractions, as people compare them with file listings.
pub(super) fn clock(time: DateTime) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Newer log that lies on a recovery fork which this chain does not take: somebody must decide before anything is applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// The sets on the branch, by title.
    pub sets: Vec<String>,
    /// `ForkPointLSN`, when the set that crosses is at hand.
    pub at: Option<Lsn>,
    /// `BackupStartDate` of the earliest of them.
    pub since: Option<DateTime>,
}

/// What to apply, and what not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// In the order of application; each begins at or before where the one before it ends.
    pub apply: Vec<Arc<BackupSet>>,
    pub gap: Option<Gap>,
    pub branch: Option<Branch>,
    pub left_out: Vec<LeftOut>,
    /// Redo point once `apply` is applied.
    pub end: Lsn,
    pub end_fork: Uuid,
    /// FamilyGUID that the chain is bound to.
    pub family: Option<Uuid>,
}

/// The sets that begin on one fork, handed out by reach: sorted by FirstLSN, moved to a heap once roll forward has reached
/// them. That keeps the whole plan at n log n.
struct Fork {
    /// FirstLSN and index of each set, sorted: the keys lie together, the sets all over the memory.
    sorted: Vec<(Lsn, usize)>,
    reached: usize,
    ordinary: Heap,
    copy_only: Heap,
    crossing: Heap,
}

/// Furthest first; of equals the one that comes first in the input.
type Heap = BinaryHeap<(Lsn, Reverse<bool>, Reverse<usize>)>;

/// Works out the chain from `standing` over `sets`, in O(n log n).
///
/// A set is next when it is a log backup of this database (name and FamilyGUID) that begins on the current recovery fork,
/// `FirstLSN <= redo` and `LastLSN > redo`; of those the one that carries furthest. Ordinary log backups come before
/// copy-only ones, and a set that leaves the fork is taken only when none stays on it.
pub fn plan(standing: &Standing, sets: &[Arc<BackupSet>]) -> Plan {
    let mut reasons: Vec<Option<Reason>> = sets.iter().map(|set| unfit(standing, set)).collect();
    let mut forks: HashMap<Uuid, Fork> = HashMap::new();
    for (index, set) in sets.iter().enumerate() {
        if let (None, Some(fork)) = (&reasons[index], set.first_fork) {
            forks.entry(fork).or_insert_with(Fork::new).sorted.push((set.first_lsn, index));
        }
    }
    for fork in forks.values_mut() {
        fork.sorted.sort_unstable();
    }

    let mut family = standing.family;
    let (mut redo, mut fork) = (standing.redo, standing.fork);
    let mut applied: Vec<usize> = Vec::new();
    let mut legs: HashMap<Uuid, Leg> = HashMap::new();
    let mut entered = redo;
    while let Some(next) = forks.get_mut(&fork).and_then(|on| on.next(redo, family, sets)) {
        let set = &sets[next];
        applied.push(next);
        family = family.or(set.family);
        if let (true, Some(to), Some(at)) = (set.crosses(), set.last_fork, set.fork_point) {
            legs.insert(fork, Leg { entered, until: redo, left: Some((to, at)) });
            (fork, entered) = (to, set.last_lsn);
        }
        redo = set.last_lsn;
    }
    legs.insert(fork, Leg { entered, until: redo, left: None });

    let mut taken = vec![false; sets.len()];
    let mut by_guid: HashMap<Uuid, usize> = HashMap::new();
    for &index in &applied {
        taken[index] = true;
        if let Some(guid) = sets[index].set {
            by_guid.insert(guid, index);
        }
    }
    for (index, set) in sets.iter().enumerate() {
        if taken[index] || reasons[index].is_some() {
            continue;
        }
        let same = set.set.and_then(|guid| by_guid.get(&guid));
        reasons[index] = Some(if family.is_some() && set.family != family {
            Reason::OtherFamily
        } else if let Some(&same) = same {
            Reason::DuplicateOf { file: sets[same].title() }
        } else {
            match place(&legs, set) {
                Place::Off => Reason::OtherFork,
                Place::Beyond => Reason::AfterTheGap,
                Place::Covered if set.copy_only => Reason::CopyOnly,
                Place::Covered => Reason::Covered,
            }
        });
    }

    let ours: Vec<(&Arc<BackupSet>, &Reason)> = sets
        .iter()
        .zip(&reasons)
        .filter_map(|(set, reason)| reason.as_ref().map(|reason| (set, reason)))
        .filter(|(set, reason)| {
            set.backup_type == 2
                && (family.is_none() || set.family == family)
                && !matches!(reason, Reason::OtherDatabase { .. } | Reason::OtherFamily)
        })
        .collect();
    let before = applied.last().map(|&index| &sets[index]).or_else(|| {
        let done = ours.iter().filter(|(_, reason)| **reason == Reason::AlreadyApplied);
        done.map(|(set, _)| *set).max_by_key(|set| set.last_lsn)
    });
    let gap = find_gap(redo, before, &ours);
    let branch = find_branch(&legs, redo, family, gap.is_some(), &ours);
    Plan {
        gap,
        branch,
        left_out: sets.iter().zip(reasons).filter_map(|(set, reason)| Some(LeftOut { set: set.clone(), reason: reason? })).collect(),
        apply: applied.iter().map(|&index| sets[index].clone()).collect(),
        end: redo,
        end_fork: fork,
        family,
    }
}

/// Why a set cannot be in any chain from here, whatever else is at hand.
fn unfit(standing: &Standing, set: &BackupSet) -> Option<Reason> {
    if set.backup_type != 2 {
        Some(Reason::NotALogBackup)
    } else if !set.database.eq_ignore_ascii_case(&standing.database) && set.database.to_lowercase() != standing.database.to_lowercase() {
        Some(Reason::OtherDatabase { name: set.database.clone() })
    } else if standing.family.is_some() && set.family != standing.family {
        Some(Reason::OtherFamily)
    } else if set.damaged || set.first_lsn > set.last_lsn {
        Some(Reason::Damaged)
    } else if set.first_lsn == set.last_lsn {
        Some(Reason::Empty)
    } else if set.last_lsn <= standing.redo {
        Some(Reason::AlreadyApplied)
    } else if set.first_fork.is_none() || set.last_fork.is_none() || (set.crosses() && set.fork_point.is_none()) {
        Some(Reason::OtherFork)
    } else {
        None
    }
}

/// How far the chain went on one recovery fork.
struct Leg {
    entered: Lsn,
    /// Redo point on leaving it, or the end of the chain.
    until: Lsn,
    /// The fork it was left for, and `ForkPointLSN`.
    left: Option<(Uuid, Lsn)>,
}

enum Place {
    /// Its range is in the chain.
    Covered,
    /// Would follow, were it not for a hole.
    Beyond,
    /// Another history.
    Off,
}

fn place(legs: &HashMap<Uuid, Leg>, set: &BackupSet) -> Place {
    let Some(leg) = set.first_fork.and_then(|fork| legs.get(&fork)) else { return Place::Off };
    match (leg.left, set.crosses()) {
        (None, true) if set.fork_point.is_none_or(|at| at < leg.until) => Place::Off,
        (None, _) if set.last_lsn > leg.until => Place::Beyond,
        (None, _) => Place::Covered,
        (Some((_, at)), false) if set.last_lsn <= at => Place::Covered,
        (Some((to, _)), true) if set.last_fork == Some(to) && legs.get(&to).is_some_and(|next| set.last_lsn <= next.until) => {
            Place::Covered
        }
        (Some(_), _) => Place::Off,
    }
}

fn find_gap(end: Lsn, before: Option<&Arc<BackupSet>>, ours: &[(&Arc<BackupSet>, &Reason)]) -> Option<Gap> {
    let beyond = || ours.iter().filter(|(set, _)| set.last_lsn > end);
    let usable = beyond().filter(|(_, reason)| **reason == Reason::AfterTheGap).map(|(set, _)| *set);
    let damaged = || beyond().filter(|(_, reason)| **reason == Reason::Damaged).map(|(set, _)| *set);
    let after = usable.min_by_key(|set| set.first_lsn);
    let to = match after {
        Some(after) => after.first_lsn,
        None => damaged().map(|set| set.last_lsn).max()?,
    };
    let causes = ours
        .iter()
        .filter(|(set, reason)| matches!(reason, Reason::Damaged | Reason::OtherFork) && set.first_lsn < to && set.last_lsn > end)
        .map(|(set, reason)| format!("`{}`: {reason}", set.title()))
        .collect();
    Some(Gap {
        from: end,
        to,
        since: before.and_then(|set| set.finish),
        until: after.and_then(|set| set.start).or_else(|| damaged().filter_map(|set| set.finish).max()),
        before: before.map(|set| set.title()),
        after: after.map(|set| set.title()),
        causes,
    })
}

/// Newer log on another fork: a set at hand leaves a fork of the chain while the chain stays, or stays while the chain
/// leaves; or, when the chain has no gap, sets of this database reach beyond its end on a fork that nothing leads to.
fn find_branch(
    legs: &HashMap<Uuid, Leg>,
    end: Lsn,
    family: Option<Uuid>,
    gap: bool,
    ours: &[(&Arc<BackupSet>, &Reason)],
) -> Option<Branch> {
    let parts = |set: &BackupSet| {
        let Some(leg) = set.first_fork.and_then(|fork| legs.get(&fork)) else { return false };
        match (leg.left, set.fork_point) {
            (Some((_, at)), None) => set.last_lsn > at,
            (_, Some(at)) => at >= leg.entered && set.crosses(),
            (None, None) => false,
        }
    };
    let sets: Vec<&BackupSet> = ours
        .iter()
        .filter(|(_, reason)| **reason == Reason::OtherFork)
        .map(|(set, _)| &***set)
        .filter(|set| parts(set) || (!gap && family.is_some() && set.last_lsn > end))
        .collect();
    (!sets.is_empty()).then(|| Branch {
        at: sets.iter().filter_map(|set| set.fork_point).min(),
        since: sets.iter().filter_map(|set| set.start).min(),
        sets: sets.iter().map(|set| set.title()).collect(),
    })
}

impl Fork {
    fn new() -> Self {
        Self { sorted: Vec::new(), reached: 0, ordinary: Heap::new(), copy_only: Heap::new(), crossing: Heap::new() }
    }

    /// The set that carries furthest from `redo`.
    fn next(&mut self, redo: Lsn, family: Option<Uuid>, sets: &[Arc<BackupSet>]) -> Option<usize> {
        while let Some(&(first, index)) = self.sorted.get(self.reached)
            && first <= redo
        {
            self.reached += 1;
            let set = &sets[index];
            let heap = if set.crosses() {
                &mut self.crossing
            } else if set.copy_only {
                &mut self.copy_only
            } else {
                &mut self.ordinary
            };
            heap.push((set.last_lsn, Reverse(set.copy_only), Reverse(index)));
        }
        for heap in [&mut self.ordinary, &mut self.copy_only, &mut self.crossing] {
            while let Some((last, _, Reverse(index))) = heap.pop() {
                let set = &sets[index];
                let serves = last > redo
                    && (family.is_none() || set.family == family)
                    && (!set.crosses() || set.fork_point.is_some_and(|at| at >= redo));
                // what does not serve now never will: redo only grows and the family stays
                if serves {
                    return Some(index);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
