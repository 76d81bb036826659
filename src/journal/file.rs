//! The run folder and its `journal.jsonl`: JSON lines, each with `prev`, the blake3 hash of the line before it (64 zeros for
//! the first), and `sum`, the hash of its own bytes before that field, so that a change to the record shows. A line that must
//! survive a crash is flushed to disk before the caller goes on.
//!
//! If the machine dies here, the file ends with a part of a line at worst: it was never relied on, and is cut when the run
//! is resumed.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::history::History;
use super::read::Read;
use super::{Event, JournalError, State, next};

/// The open record of one run.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    prev: String,
    state: State,
    history: History,
    /// bytes of whole lines
    length: u64,
    /// a line could not be written: nothing may follow the part of it that is there
    broken: bool,
    /// lines are flushed to disk where an event wants it; off only for measurements
    flush: bool,
}

/// The record in a run folder.
pub const FILE: &str = "journal.jsonl";
/// The hash that stands before the first line.
pub const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// An outcome of more bytes of JSON than this lies in a file of its own, `effect-N.json`.
pub const LARGE: usize = 64 * 1024;

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
        let path = folder.join(FILE);
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)
            .map_err(|source| JournalError::Write { path: path.clone(), source })?;
        // the names themselves must outlive a crash, too; where folders cannot be flushed, the platform does it
        for folder in [&folder, runs] {
            if let Ok(folder) = File::open(folder) {
                let _ = folder.sync_all();
            }
        }
        let (state, history) = (State::default(), History::default());
        Ok(Self { folder, path, file, prev: FIRST.to_owned(), state, history, length: 0, broken: false, flush: true })
    }

    /// Opens a record to go on with it: what is torn at its end is cut. `read` is what [`super::read`] found in the folder.
    pub fn open(folder: &Path, read: Read) -> Result<Self, JournalError> {
        let path = folder.join(FILE);
        let failed = |source| JournalError::Write { path: path.clone(), source };
        let mut file = OpenOptions::new().append(true).open(&path).map_err(failed)?;
        let mut length = read.length;
        file.set_len(length).map_err(failed)?;
        if read.newline_missing {
            file.write_all(b"\n").map_err(failed)?;
            length += 1;
        }
        file.sync_data().map_err(failed)?;
        let Read { prev, state, history, .. } = read;
        Ok(Self { folder: folder.to_owned(), path, file, prev, state, history, length, broken: false, flush: true })
    }

    /// Writes without flushing: for measuring what flushing costs.
    #[must_use]
    pub fn without_flush(self) -> Self {
        Self { flush: false, ..self }
    }

    /// The run folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Name of the run: its folder's.
    pub fn run(&self) -> String {
        self.folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// What a later evaluation of the script is told instead of performing it again, and what the run has changed so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Number of the last effect in the record.
    pub fn effects(&self) -> u64 {
        self.state.effects
    }

    /// Appends one event; when it returns, an event that must reach the disk is there.
    ///
    /// # Errors
    /// The line cannot be written or flushed. Nothing can be appended afterwards: what is there of it is torn.
    pub fn append(&mut self, event: &Event, at: jiff::Timestamp) -> Result<(), JournalError> {
        if self.broken {
            let source = std::io::Error::other("a line before could not be written");
            return Err(JournalError::Write { path: self.path.clone(), source });
        }
        let state = next(&self.state, event).map_err(|illegal| JournalError::Illegal { path: self.path.clone(), illegal })?;
        let spilled = self.spill(event)?;
        let event = spilled.as_ref().unwrap_or(event);
        let line = line(event, at, &self.prev);
        super::die::before(&self.path, &line);
        let written = self.file.write_all(line.as_bytes()).and_then(|()| match self.flush && event.must_reach_disk() {
            true => self.file.sync_data(),
            false => Ok(()),
        });
        if let Err(source) = written {
            self.broken = true;
            // as a crash would leave it, but for the part of a line; if even that fails, it is cut later
            let _ = self.file.set_len(self.length);
            return Err(JournalError::Write { path: self.path.clone(), source });
        }
        self.length += line.len() as u64;
        self.prev = blake3::hash(line.trim_end_matches('\n').as_bytes()).to_hex().to_string();
        self.state = state;
        self.history.take(event, at);
        super::die::after();
        Ok(())
    }

    /// Puts a large outcome into a file of its own, whole, and its digest into the event.
    fn spill(&self, event: &Event) -> Result<Option<Event>, JournalError> {
        let Event::EffectFinished { effect, outcome, .. } = event else { return Ok(None) };
        if estimate(outcome) <= LARGE {
            return Ok(None);
        }
        let text = outcome.to_string();
        if text.len() <= LARGE {
            return Ok(None);
        }
        let name = format!("effect-{effect}.json");
        let path = self.folder.join(&name);
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            if self.flush { file.sync_data() } else { Ok(()) }
        });
        written.map_err(|source| JournalError::Write { path, source })?;
        let mut spilled = event.clone();
        if let Event::EffectFinished { outcome, .. } = &mut spilled {
            *outcome = json!({ "file": name, "blake3": blake3::hash(text.as_bytes()).to_hex().as_str(), "bytes": text.len() });
        }
        Ok(Some(spilled))
    }

    /// Keeps a file in the run folder; an earlier one of that name is kept beside it as `NAME.2`, `NAME.3`, …
    pub fn keep(&self, name: &str, text: &str) -> Result<PathBuf, JournalError> {
        let mut path = self.folder.join(name);
        for n in 2.. {
            let failed = |source| JournalError::Write { path: path.clone(), source };
            match OpenOptions::new().create_new(true).write(true).open(&path) {
                // it was kept before, and the record did not come to say so
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && is_text(&path, text) => break,
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

    /// Keeps a copy of a text that the run was begun with; `copy` is a path within the run folder, with `/`.
    pub fn copy(&self, copy: &str, text: &[u8]) -> Result<String, JournalError> {
        let path = self.folder.join(copy);
        let failed = |source| JournalError::Write { path: path.clone(), source };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        let mut file = File::create(&path).map_err(failed)?;
        file.write_all(text).and_then(|()| file.sync_data()).map_err(failed)?;
        Ok(blake3::hash(text).to_hex().to_string())
    }
}

fn is_text(path: &Path, text: &str) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes == text.as_bytes())
}

/// One line with its end.
fn line(event: &Event, at: jiff::Timestamp, prev: &str) -> String {
    let mut value = event.to_json(at);
    value["prev"] = prev.into();
    let mut line = value.to_string();
    // the closing brace comes back behind the sum
    line.pop();
    let sum = blake3::hash(line.as_bytes()).to_hex();
    line.push_str(&format!(",\"sum\":\"{sum}\"}}\n"));
    line
}

/// About how long a value is as JSON; cheap, and never far too low.
fn estimate(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() * 2 + 3,
        Value::Array(values) => 2 + values.iter().map(estimate).sum::<usize>(),
        Value::Object(map) => 2 + map.iter().map(|(key, value)| key.len() + 4 + estimate(value)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests;
