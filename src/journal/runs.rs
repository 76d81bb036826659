//! The runs in a folder: what is there, how each ended, which can be resumed.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::file::FILE;
use super::read::{Line, Read, read};
use super::{Event, JournalError, Lock, Phase, RunOutcome};

/// One run in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub run: String,
    pub folder: PathBuf,
    pub started: jiff::Timestamp,
    pub runbook: String,
    pub site: String,
    pub site_id: String,
    pub lab: bool,
    /// none: it has no end in its record; it runs, or it was killed
    pub outcome: Option<RunOutcome>,
    pub exit: Option<u8>,
    /// from the first to the last line, in milliseconds
    pub ms: i64,
    pub resumed: usize,
    pub changes: usize,
    /// a process holds the site for it now
    pub running: bool,
    /// a later run was begun in spite of it
    pub abandoned: bool,
    pub resumable: bool,
    /// a change was begun, so that beginning anew is not harmless
    pub began_change: bool,
    /// the first line that is not as it was written
    pub bad_line: Option<usize>,
}

impl Summary {
    /// Of a record; none if it has no whole line.
    pub fn of(folder: &Path, read: &Read) -> Option<Self> {
        let Line { at: started, event, .. } = read.lines.first()?;
        let Event::RunStarted { run, runbook, site, site_id, lab, sources, .. } = event else { return None };
        let last = read.lines.last()?;
        let (outcome, exit) = match &last.event {
            Event::RunFinished { outcome, exit, .. } => (Some(*outcome), Some(*exit)),
            _ => (None, None),
        };
        let done = read.state.phase == Phase::Ended(RunOutcome::Done);
        Some(Self {
            // a folder that was copied may have been renamed: its name is what a person types
            run: folder.file_name().map_or_else(|| run.clone(), |name| name.to_string_lossy().into_owned()),
            folder: folder.to_owned(),
            started: *started,
            runbook: runbook.clone(),
            site: site.clone(),
            site_id: site_id.clone(),
            lab: *lab,
            outcome,
            exit,
            ms: last.at.duration_since(*started).as_millis().try_into().unwrap_or(i64::MAX),
            resumed: read.lines.iter().filter(|line| matches!(line.event, Event::Resumed { .. })).count(),
            changes: read.history.changed().len(),
            running: false,
            abandoned: false,
            resumable: !done && read.bad.is_none() && !sources.is_empty(),
            began_change: read.history.began_change(),
            bad_line: read.bad.as_ref().map(|bad| bad.line),
        })
    }

    /// Looks around a run for what its own record does not say: whether it runs now, and whether a later one was begun instead.
    pub fn look(&mut self, folder: &Path) {
        let Some(runs) = folder.parent() else { return };
        if let Ok(found) = list(runs)
            && let Some(same) = found.into_iter().find(|other| other.run == self.run)
        {
            (self.running, self.abandoned) = (same.running, same.abandoned);
        }
    }

    /// True while beginning the same procedure anew would meet what this run left half-way.
    pub fn is_unfinished_change(&self) -> bool {
        self.resumable && self.began_change && !self.abandoned
    }
}

/// The runs in a folder, the oldest first. What is no run, or has no whole line, is left out.
///
/// # Errors
/// The folder cannot be read; that it is not there means that there are no runs.
pub fn list(runs: &Path) -> Result<Vec<Summary>, JournalError> {
    let failed = |source| JournalError::Read { path: runs.to_owned(), source };
    let entries = match std::fs::read_dir(runs) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut found = Vec::new();
    let mut superseded = Vec::new();
    for entry in entries {
        let folder = entry.map_err(failed)?.path();
        if !folder.join(FILE).is_file() {
            continue;
        }
        let read = match read(&folder) {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(%error, folder = %folder.display(), "a run that cannot be read is left out");
                continue;
            }
        };
        if let Some(Line { event: Event::RunStarted { instead_of, .. }, .. }) = read.lines.first() {
            superseded.extend(instead_of.clone());
        }
        found.extend(Summary::of(&folder, &read));
    }
    for summary in &mut found {
        summary.abandoned = superseded.contains(&summary.run);
        summary.running = summary.resumable && Lock::holder(runs, &summary.site_id).is_some_and(|holder| holder.run == summary.run);
    }
    found.sort_by(|a, b| (a.started, &a.run).cmp(&(b.started, &b.run)));
    Ok(found)
}
