//! Reading a record: every line is proven before it is believed. A part of a line at the end is what a crash leaves; anything
//! else that does not fit was changed by somebody or by a failing disk, and nothing from there on is believed.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::file::{FILE, FIRST};
use super::history::History;
use super::{Event, JournalError, State, next};

/// One line of a record.
#[derive(Clone, Debug)]
pub struct Line {
    /// from 1
    pub number: usize,
    pub at: jiff::Timestamp,
    pub event: Event,
}

/// A line that is not as it was written, or names a file that is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bad {
    /// from 1
    pub line: usize,
    pub why: String,
}

/// A record as far as it can be believed.
#[derive(Clone, Debug)]
pub struct Read {
    pub lines: Vec<Line>,
    pub state: State,
    pub history: History,
    /// bytes of an unfinished line at the end: what a crash leaves
    pub torn: u64,
    /// the last line is whole but for its end
    pub newline_missing: bool,
    pub bad: Option<Bad>,
    pub(super) prev: String,
    pub(super) length: u64,
}

impl Read {
    /// blake3 of the last line that is believed. As each line has that of the one before, it stands for all of them.
    pub fn last_digest(&self) -> &str {
        &self.prev
    }
}

/// How a line ends: the field `sum`, 64 digits, and the object's end.
const SUM: usize = ",\"sum\":\"\"}".len() + 64;

/// Reads the record in a run folder.
///
/// # Errors
/// Only that the file cannot be read; what is wrong inside is part of the result.
pub fn read(folder: &Path) -> Result<Read, JournalError> {
    let path = folder.join(FILE);
    let bytes = std::fs::read(&path).map_err(|source| JournalError::Read { path, source })?;
    Ok(of_bytes(&bytes))
}

/// As [`read`], of the file's bytes.
pub fn of_bytes(bytes: &[u8]) -> Read {
    let mut read = Read {
        lines: Vec::new(),
        state: State::default(),
        history: History::default(),
        torn: 0,
        newline_missing: false,
        bad: None,
        prev: FIRST.to_owned(),
        length: 0,
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let text = &rest[..end.unwrap_or(rest.len())];
        let number = read.lines.len() + 1;
        match (proven(text, &read.prev).and_then(|value| event(&value, &read.state)), end) {
            (Ok((event, at, state)), _) => {
                read.history.take(&event, at);
                read.state = state;
                read.prev = blake3::hash(text).to_hex().to_string();
                read.length += text.len() as u64 + u64::from(end.is_some());
                read.newline_missing = end.is_none();
                read.lines.push(Line { number, at, event });
            }
            (Err(_), None) => {
                read.torn = rest.len() as u64;
                break;
            }
            (Err(why), Some(_)) => {
                read.bad = Some(Bad { line: number, why });
                break;
            }
        }
        rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
    }
    read
}

/// A line whose sum and link fit.
fn proven(line: &[u8], prev: &str) -> Result<Value, String> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not text".to_owned())?;
    let body = text.len().checked_sub(SUM).and_then(|at| text.get(..at)).ok_or("it is too short for a line of a record")?;
    let written = text[body.len()..].strip_prefix(",\"sum\":\"").and_then(|sum| sum.strip_suffix("\"}"));
    if written != Some(blake3::hash(body.as_bytes()).to_hex().as_str()) {
        return Err("its own digest does not fit: it is not as it was written".to_owned());
    }
    let value: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    if value["prev"] != prev {
        return Err("it does not follow the line before it: lines are missing, added, or in another order".to_owned());
    }
    Ok(value)
}

fn event(value: &Value, state: &State) -> Result<(Event, jiff::Timestamp, State), String> {
    if value["v"] != 1 {
        return Err(format!("it is of version {}, which this program does not know", value["v"]));
    }
    let at = value["at"].as_str().and_then(|at| at.parse().ok()).ok_or("it has no time")?;
    let event: Event = serde_json::from_value(value.clone()).map_err(|error| format!("it is no event of a run: {error}"))?;
    let state = next(state, &event).map_err(|illegal| illegal.to_string())?;
    Ok((event, at, state))
}

/// A large outcome from its file, or the value itself.
///
/// # Errors
/// The file is gone, or is not as it was written; the text says so.
pub fn outcome(folder: &Path, value: &Value) -> Result<Value, String> {
    let Some((file, digest)) = spilled(value) else { return Ok(value.clone()) };
    let path: PathBuf = folder.join(file);
    let text = std::fs::read(&path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
    if blake3::hash(&text).to_hex().as_str() != digest {
        return Err(format!("`{}` is not as it was written", path.display()));
    }
    serde_json::from_slice(&text).map_err(|error| format!("`{}` is not JSON: {error}", path.display()))
}

/// Name and digest of the file that a large outcome lies in.
fn spilled(value: &Value) -> Option<(&str, &str)> {
    let map = value.as_object().filter(|map| map.len() == 3 && map.contains_key("bytes"))?;
    let file = map.get("file")?.as_str().filter(|file| file.starts_with("effect-") && file.ends_with(".json"))?;
    Some((file, map.get("blake3")?.as_str()?))
}

/// What is wrong with a record and the files beside it; the first bad line first. Empty: all is as it was written.
pub fn problems(folder: &Path, read: &Read) -> Vec<Bad> {
    let mut problems = Vec::new();
    if let Some(Bad { line, why }) = &read.bad {
        problems.push(Bad { line: *line, why: format!("{why}. Nothing from there on can be believed") });
    }
    if read.torn > 0 {
        let why = format!("it has no end ({} bytes), as a crash leaves it; a resume cuts it", read.torn);
        problems.push(Bad { line: read.lines.len() + 1, why });
    }
    for Line { number, event, .. } in &read.lines {
        let mut bad = |why: String| problems.push(Bad { line: *number, why });
        match event {
            Event::EffectFinished { outcome: value, .. } if spilled(value).is_some() => {
                if let Err(why) = outcome(folder, value) {
                    bad(why);
                }
            }
            Event::RunStarted { sources, .. } => {
                for source in sources {
                    let path = folder.join(&source.copy);
                    if !std::fs::read(&path).is_ok_and(|text| blake3::hash(&text).to_hex().as_str() == source.blake3) {
                        bad(format!("the copy `{}` is gone or not as it was written", path.display()));
                    }
                }
            }
            _ => {}
        }
    }
    problems
}
