//! Files that were copied and applied, from the outcomes of `copy_backups` and `restore_logs`.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::Text;

/// One `copy_backups`.
#[derive(Clone, Debug)]
pub struct Copied {
    pub step: Option<Text>,
    pub from: Text,
    pub to: Text,
    pub files: Vec<CopiedFile>,
    /// already there
    pub skipped: usize,
    /// names, and why each was left where it is
    pub left: Vec<(Text, &'static str)>,
    pub bytes: u64,
    pub ms: u64,
}

/// One file that was copied.
#[derive(Clone, Debug)]
pub struct CopiedFile {
    pub name: Text,
    pub bytes: u64,
    pub seconds: f64,
    pub blake3: Text,
}

/// One `restore_logs`.
#[derive(Clone, Debug)]
pub struct Restored {
    pub step: Option<Text>,
    pub server: Option<Text>,
    pub applied: Vec<Applied>,
    /// applied before
    pub skipped: usize,
    /// at hand, but of no use, and why
    pub of_no_use: Vec<(Text, Text)>,
    /// where roll forward stands
    pub last_lsn: Text,
    pub ms: u64,
}

/// One backup set that was applied.
#[derive(Clone, Debug)]
pub struct Applied {
    pub file: Text,
    pub position: u64,
    pub first_lsn: Text,
    pub last_lsn: Text,
    pub seconds: f64,
    /// of the file, if a copy told
    pub bytes: Option<u64>,
}

impl Copied {
    /// Of a recorded outcome; none if it says nothing, as that of a copy found done.
    pub(super) fn of(step: Option<Text>, outcome: &Value, ms: u64, sizes: &mut HashMap<String, u64>) -> Option<Self> {
        #[derive(Deserialize)]
        struct File {
            name: String,
            bytes: u64,
            #[serde(default)]
            seconds: f64,
            #[serde(default)]
            blake3: String,
        }
        #[derive(Deserialize)]
        struct Name {
            name: String,
        }
        #[derive(Deserialize)]
        #[serde(default)]
        #[derive(Default)]
        struct Outcome {
            from: String,
            to: String,
            copied: Vec<File>,
            skipped: Vec<File>,
            refused: Vec<Name>,
            grown: Vec<String>,
            work: Vec<String>,
            bytes: u64,
        }
        let outcome = Outcome::deserialize(outcome).ok().filter(|outcome| !outcome.from.is_empty())?;
        sizes.extend(outcome.copied.iter().chain(&outcome.skipped).map(|file| (file.name.clone(), file.bytes)));
        let left = |names: Vec<String>, why: &'static str| names.into_iter().map(move |name| (Text::of(&name), why));
        let refused: Vec<String> = outcome.refused.into_iter().map(|file| file.name).collect();
        Some(Self {
            step,
            from: Text::of(&outcome.from),
            to: Text::of(&outcome.to),
            files: outcome
                .copied
                .into_iter()
                .map(|file| CopiedFile {
                    name: Text::of(&file.name),
                    bytes: file.bytes,
                    seconds: file.seconds,
                    blake3: Text::of(&file.blake3),
                })
                .collect(),
            skipped: outcome.skipped.len(),
            left: left(refused, "another file of that name is there")
                .chain(left(outcome.grown, "it still grew"))
                .chain(left(outcome.work, "a backup in progress, or one that was never finished"))
                .collect(),
            bytes: outcome.bytes,
            ms,
        })
    }
}

impl Restored {
    /// Of a recorded outcome; none if it says nothing.
    pub(super) fn of(step: Option<Text>, server: Option<Text>, outcome: &Value, ms: u64, sizes: &HashMap<String, u64>) -> Option<Self> {
        #[derive(Deserialize)]
        struct Set {
            file: String,
            #[serde(default)]
            position: u64,
            first_lsn: String,
            last_lsn: String,
            #[serde(default)]
            seconds: f64,
        }
        #[derive(Deserialize)]
        struct Loss {
            #[serde(default)]
            could_not_serve: Vec<(String, String)>,
        }
        #[derive(Deserialize)]
        struct Outcome {
            applied: Vec<Set>,
            #[serde(default)]
            skipped: usize,
            last_lsn: String,
            loss: Option<Loss>,
        }
        let outcome = Outcome::deserialize(outcome).ok()?;
        let of_no_use = outcome.loss.map(|loss| loss.could_not_serve).unwrap_or_default();
        Some(Self {
            step,
            server,
            applied: outcome
                .applied
                .into_iter()
                .map(|set| Applied {
                    bytes: sizes.get(&set.file).copied(),
                    file: Text::of(&set.file),
                    position: set.position,
                    first_lsn: Text::of(&set.first_lsn),
                    last_lsn: Text::of(&set.last_lsn),
                    seconds: set.seconds,
                })
                .collect(),
            skipped: outcome.skipped,
            of_no_use: of_no_use.iter().map(|(file, why)| (Text::of(file), Text::of(why))).collect(),
            last_lsn: Text::of(&outcome.last_lsn),
            ms,
        })
    }
}
