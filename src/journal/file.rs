//! The run folder and its `journal.jsonl`: JSON lines, each with `prev`, the blake3 hash of the line before it (64 zeros for
//! the first), so that a change to the record shows. A line that must survive a crash is flushed to disk before the caller
//! goes on.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Event, JournalError};

/// The open record of one run.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    prev: String,
}

/// Where runs are kept when neither the command line nor the site file says: the platform's state folder.
pub fn runs_folder() -> Result<PathBuf, JournalError> {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let state = if cfg!(windows) {
        var("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        var("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        var("XDG_STATE_HOME").or_else(|| var("HOME").map(|home| home.join(".local/state")))
    };
    Ok(state.ok_or(JournalError::NoFolder)?.join("cutover").join("runs"))
}

impl Journal {
    /// Makes a run folder under `runs`, named by time and runbook, and opens its record.
    pub fn create(runs: &Path, runbook: &str, now: jiff::Timestamp) -> Result<Self, JournalError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Folder { path, source }
        };
        std::fs::create_dir_all(runs).map_err(failed(runs))?;
        let stem = format!("{}-{runbook}", now.strftime("%Y-%m-%dT%H-%M-%SZ"));
        let mut folder = runs.join(&stem);
        for n in 2..=1000 {
            match std::fs::create_dir(&folder) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && n < 1000 => folder = runs.join(format!("{stem}-{n}")),
                other => {
                    other.map_err(failed(&folder))?;
                    break;
                }
            }
        }
        let path = folder.join("journal.jsonl");
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)
            .map_err(|source| JournalError::Write { path: path.clone(), source })?;
        Ok(Self { folder, path, file, prev: "0".repeat(64) })
    }

    /// The run folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Name of the run: its folder's.
    pub fn run(&self) -> String {
        self.folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Appends one event; when it returns, an event that must reach the disk is there.
    pub fn append(&mut self, event: &Event, at: jiff::Timestamp) -> Result<(), JournalError> {
        let mut value = event.to_json(at);
        value["prev"] = std::mem::take(&mut self.prev).into();
        let mut line = value.to_string();
        self.prev = blake3::hash(line.as_bytes()).to_hex().to_string();
        line.push('\n');
        let failed = |source| JournalError::Write { path: self.path.clone(), source };
        self.file.write_all(line.as_bytes()).map_err(failed)?;
        if event.must_reach_disk() {
            self.file.sync_data().map_err(failed)?;
        }
        Ok(())
    }

    /// Keeps a file in the run folder; an earlier one of that name is kept beside it as `NAME.2`, `NAME.3`, …
    pub fn keep(&self, name: &str, text: &str) -> Result<PathBuf, JournalError> {
        let mut path = self.folder.join(name);
        for n in 2.. {
            let failed = |source| JournalError::Write { path: path.clone(), source };
            match OpenOptions::new().create_new(true).write(true).open(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => path = self.folder.join(format!("{name}.{n}")),
                Err(e) => return Err(failed(e)),
                Ok(mut file) => {
                    file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).map_err(failed)?;
                    break;
                }
            }
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str) -> Event {
        Event::Note { step: None, level: super::super::Level::Note, text: text.to_owned() }
    }

    #[test]
    fn each_line_carries_the_hash_of_the_line_before() {
        let dir = tempfile::tempdir().unwrap();
        let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let mut journal = Journal::create(dir.path(), "drill", now).unwrap();
        assert_eq!(journal.run(), "2026-01-02T03-04-05Z-drill");
        for text in ["one", "two", "three"] {
            journal.append(&note(text), now).unwrap();
        }
        let text = std::fs::read_to_string(journal.folder().join("journal.jsonl")).unwrap();
        let mut prev = "0".repeat(64);
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["prev"], prev, "{line}");
            assert_eq!(value["at"], "2026-01-02T03:04:05.000Z");
            prev = blake3::hash(line.as_bytes()).to_hex().to_string();
        }
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn two_runs_in_one_second_and_two_kept_files_of_one_name_do_not_collide() {
        let dir = tempfile::tempdir().unwrap();
        let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let first = Journal::create(dir.path(), "drill", now).unwrap();
        let second = Journal::create(dir.path(), "drill", now).unwrap();
        assert_ne!(first.folder(), second.folder());
        assert_eq!(first.keep("undo.sql", "a").unwrap(), first.folder().join("undo.sql"));
        assert_eq!(first.keep("undo.sql", "b").unwrap(), first.folder().join("undo.sql.2"));
        assert_eq!(std::fs::read_to_string(first.folder().join("undo.sql")).unwrap(), "a");
    }
}
