//! What a copy did, file by file. Made by `copy`; read by the primitive, the report and the errors of this room.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything a copy did and left, each list oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Copied {
    pub from: PathBuf,
    pub to: PathBuf,
    /// In place under their own names, flushed, with the source's time stamps.
    pub copied: Vec<CopiedFile>,
    /// Already there.
    pub skipped: Vec<SkippedFile>,
    /// Another file of that name is there and was left alone.
    pub refused: Vec<RefusedFile>,
    /// Still being written at the source, tried twice and left there.
    pub grown: Vec<String>,
    /// `.wrk` files at the source that would fit the pattern when finished: in progress, or orphans of a primary that died
    /// between verifying and renaming, and then perhaps the last backup there is. They were not touched.
    pub work: Vec<String>,
    /// Files before `newer_than` (less the overlap), long applied and not looked at further.
    pub passed_over: usize,
    /// Temporary files that an earlier run of ours left behind, removed.
    pub cleaned: Vec<String>,
    /// Bytes copied.
    pub bytes: u64,
    /// Wall time of the whole call.
    pub seconds: f64,
}

/// One file that was copied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CopiedFile {
    pub name: String,
    pub bytes: u64,
    /// Of what was read from the source, in hexadecimal.
    pub blake3: String,
    pub seconds: f64,
}

/// One file that was already there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedFile {
    pub name: String,
    pub bytes: u64,
    pub how: Skipped,
}

/// How it was seen that a file was already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skipped {
    /// Same length, and the same time to within two seconds.
    SameTime,
    /// Same length, another time, the same contents by blake3.
    SameContent,
}

/// One file whose name is taken by another in the destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedFile {
    pub name: String,
    pub difference: Difference,
    /// Whether the copy fails for it: not if it lies before `newer_than` less the overlap.
    pub needed: bool,
}

/// In what a file differs from the one of its name in the destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// In bytes.
    Length { source: u64, destination: u64 },
    /// By blake3, in hexadecimal.
    Content { source: String, destination: String },
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SameTime => "same length and time",
            Self::SameContent => "same contents",
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { source, destination } => write!(f, "{source} bytes at the source, {destination} there"),
            Self::Content { .. } => f.write_str("the same length, other contents"),
        }
    }
}
