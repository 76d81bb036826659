//! What can go wrong with backup files, split by what the operator does next. Raised by listing and copying; shown by
//! whoever asked. A copy that failed part-way carries what it did.

use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use super::outcome::{Copied, Difference};

/// Why a folder could not be listed, or a copy did not do all of its work.
#[derive(Debug, Error, Diagnostic)]
pub enum BackupsError {
    /// There is nothing of that name, or the share that holds it is not there. Nothing was copied. A folder on the SQL Server's own
    /// disk is not the same folder on this machine: the path must be one that this machine can open.
    #[error("the folder `{}` does not exist", folder.display())]
    #[diagnostic(
        code(cutover::backups::folder_missing),
        help(
            "check the path in the site file; a destination has to be created, with the rights that SQL Server needs, before anything is copied into it"
        )
    )]
    FolderMissing { folder: PathBuf, source: io::Error },

    /// Something else than a folder has that name. Nothing was copied.
    #[error("`{}` is not a folder", folder.display())]
    #[diagnostic(code(cutover::backups::not_a_folder), help("name the folder that holds the backups, not a file in it"))]
    NotAFolder { folder: PathBuf },

    /// The account that runs cutover may not list, read or write there. SQL Server's own account does not matter for a copy: the
    /// operator's does. Nothing was copied into that folder.
    #[error("this account may not use the folder `{}`", folder.display())]
    #[diagnostic(
        code(cutover::backups::no_permission),
        help("give the account that runs cutover read on the share and write on the destination, or run it as one that has them")
    )]
    NoPermission { folder: PathBuf, source: io::Error },

    /// The share or its server does not answer, or the file system failed. What is silent from here may be alive elsewhere: it says
    /// nothing about the backups themselves. What was copied before is whole and stays.
    #[error("the folder `{}` could not be read or written", folder.display())]
    #[diagnostic(
        code(cutover::backups::unreachable),
        help("see whether the file server answers from here; a share that is silent from here may still be readable from another server")
    )]
    Unreachable { folder: PathBuf, source: io::Error },

    /// Source and destination are one folder, by whatever names. Nothing was copied.
    #[error("`{}` and `{}` are the same folder", from.display(), to.display())]
    #[diagnostic(code(cutover::backups::same_folder), help("name another folder in `to`"))]
    SameFolder { from: PathBuf, to: PathBuf },

    /// `matching` is empty or holds a path. Nothing was looked at.
    #[error("`{matching}` is not a pattern of file names")]
    #[diagnostic(
        code(cutover::backups::pattern),
        help("write a name with `*` or `?`, such as `mgc_*.trn`, and put the folder into `from`")
    )]
    Pattern { matching: String },

    /// `newer_than` has no time stamp in it, so no file can be said to be newer. Nothing was copied.
    #[error("`{newer_than}` does not say how new it is")]
    #[diagnostic(
        code(cutover::backups::newer_than),
        help("give the name of a log backup such as `mgc_20260717031500.trn`, or leave `newer_than` out to copy everything")
    )]
    NewerThan { newer_than: String },

    /// Found before the first byte: all that is to be copied does not fit. Nothing was copied, and what is there is as it was.
    #[error("`{}` has {} free, and {} are to be copied; nothing was copied", folder.display(), size(*free), size(*needed))]
    #[diagnostic(
        code(cutover::backups::no_room),
        help("make room on the destination, copy to another volume, or restore straight from the share if the SQL Server can read it")
    )]
    NoRoom { folder: PathBuf, needed: u64, free: u64 },

    /// Room ran out on the way, most often because somebody else writes to the same volume. What was copied before is whole and
    /// stays; the file that did not fit was removed again.
    #[error(
        "`{}` became full: {} of {} backups were copied, the first that did not fit is `{}`",
        folder.display(), result.copied.len(), result.copied.len() + missing.len(), missing.first().map_or("", |n| n.as_str())
    )]
    #[diagnostic(
        code(cutover::backups::disk_full),
        help(
            "make room on the destination and go on, which copies the rest only, or restore straight from the share if the SQL Server can read it"
        )
    )]
    DiskFull { folder: PathBuf, result: Box<Copied>, missing: Vec<String>, source: io::Error },

    /// The rest was copied and is whole; the files that are named could not be. A log backup that is missing later ends the chain
    /// there.
    #[error("{} not copied to `{}`, the other {} copied and {} already there are in place", names(failed), folder.display(), result.copied.len(), result.skipped.len())]
    #[diagnostic(
        code(cutover::backups::incomplete),
        help("see to the files named, then go on: what is already in place is not copied again")
    )]
    Incomplete {
        folder: PathBuf,
        result: Box<Copied>,
        /// Oldest first.
        #[related]
        failed: Vec<NotCopied>,
    },

    /// The operator asked for a stop. What was copied before is whole and stays; the unfinished files were removed again.
    #[error("copying to `{}` was stopped after {} backups", folder.display(), result.copied.len())]
    #[diagnostic(code(cutover::backups::stopped), help("go on when you are ready: what is already in place is not copied again"))]
    Stopped { folder: PathBuf, result: Box<Copied> },
}

impl BackupsError {
    /// What a copy had done when it failed; nothing if it failed before its first byte.
    pub fn result(&self) -> Option<&Copied> {
        match self {
            Self::DiskFull { result, .. } | Self::Incomplete { result, .. } | Self::Stopped { result, .. } => Some(result),
            _ => None,
        }
    }

    pub(super) fn folder(folder: &Path, source: io::Error) -> Self {
        let folder = folder.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::FolderMissing { folder, source },
            io::ErrorKind::NotADirectory => Self::NotAFolder { folder },
            io::ErrorKind::PermissionDenied => Self::NoPermission { folder, source },
            _ => Self::Unreachable { folder, source },
        }
    }
}

/// One backup that is needed and is not in the destination. Under its own name there is either nothing or another file, which was
/// left alone; half a file never stands there.
#[derive(Debug, Error, Diagnostic)]
#[error("`{name}` was not copied")]
#[diagnostic(code(cutover::backups::not_copied), help("{}", source.help()))]
pub struct NotCopied {
    pub name: String,
    pub source: Why,
}

/// Why one backup was not copied.
#[derive(Debug, Error)]
pub enum Why {
    /// Another file of that name is there; it was left alone.
    #[error("another file of that name is in the destination: {0}")]
    Refused(Difference),
    /// It was listed, and gone when it was opened.
    #[error("it vanished from the source after it was listed")]
    Vanished,
    /// What was read back is not what was read.
    #[error("what was written is not what was read: {wrote} instead of {read}")]
    Changed { read: String, wrote: String },
    /// An error that trying again did not cure.
    #[error("{doing} failed")]
    Io { doing: &'static str, source: io::Error },
}

impl Why {
    fn help(&self) -> &'static str {
        match self {
            Self::Refused(_) => "compare the two files; move the one in the destination away if it is not the backup",
            Self::Vanished => "see whether it was already restored; if not, look for it wherever the share is backed up",
            Self::Changed { .. } => "suspect the destination's disk or its driver and copy to another volume",
            Self::Io { .. } => "look at the file and its volume, then go on: it is tried again",
        }
    }
}

/// Bytes as people compare them.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} bytes"),
    }
}

fn names(failed: &[NotCopied]) -> String {
    match failed {
        [] => "nothing".to_owned(),
        [one] => format!("`{}` was", one.name),
        [first, rest @ ..] => format!("`{}` and {} more were", first.name, rest.len()),
    }
}
