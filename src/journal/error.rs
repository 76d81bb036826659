//! Why a run has no record.

use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

/// The record cannot be kept; the run stops before its next change.
#[derive(Debug, Error, Diagnostic)]
pub enum JournalError {
    /// The folder of the run cannot be made, so there is nowhere to write down what is done. Nothing was begun.
    #[error("cannot make the run folder `{path}`")]
    #[diagnostic(
        code(cutover::journal::folder),
        help("name a folder on a local disk that you may write to: `--journal DIR`, or `[journal] folder` in the site file")
    )]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A line, or a kept file, cannot be written or flushed to disk. The run stops before its next change; what was changed before
    /// is in the record up to the line before. Once there is room, or from a copy of the run folder on another disk, `cutover
    /// resume` goes on.
    #[error("cannot write the record `{path}`")]
    #[diagnostic(
        code(cutover::journal::write),
        help("free space on that disk, or start again with `--journal DIR` on another: nothing is changed without a record")
    )]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The record is not there, or this account may not read it. Nothing was done.
    #[error("cannot read the record `{path}`")]
    #[diagnostic(code(cutover::journal::read), help("name the run folder, the one that holds `journal.jsonl`, or see `cutover runs`"))]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A line that cannot come there: a mistake of the program, and the run stops before it does more. What was changed is in the
    /// lines before it.
    #[error("the record `{path}` refuses a line: {illegal}")]
    #[diagnostic(code(cutover::journal::illegal), help("this is a mistake of the program: keep the run folder and report it"))]
    Illegal { path: PathBuf, illegal: super::Illegal },
    /// Another process runs on this site from this machine: two at once would undo each other's work. Nothing was begun. The lock
    /// goes away with its process, however that ends. Runs from other machines are kept away by a lock on the SQL Server, see
    /// `lock_lost`.
    #[error("another run of this site is under way: {}", holder.as_ref().map_or_else(|| format!("`{}` is locked", path.display()), |holder| holder.to_string()))]
    #[diagnostic(code(cutover::journal::held), help("talk to whoever runs it; when that process is gone, the site is free at once"))]
    Held { holder: Option<Box<super::Holder>>, path: PathBuf },
    /// This account has no home folder and no state folder, so no place for records is known. Nothing was begun.
    #[error("no folder for the record of runs is known")]
    #[diagnostic(code(cutover::journal::no_folder), help("name one: `--journal DIR`"))]
    NoFolder,
}
