//! Why a run has no record.

use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

/// The record cannot be kept; the run stops before its next change.
#[derive(Debug, Error, Diagnostic)]
pub enum JournalError {
    /// The folder of the run cannot be made.
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
    /// A line, or a kept file, cannot be written or flushed to disk.
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
    /// The record cannot be read.
    #[error("cannot read the record `{path}`")]
    #[diagnostic(code(cutover::journal::read), help("name the run folder, the one that holds `journal.jsonl`, or see `cutover runs`"))]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A line that cannot come there: a bug, and the run stops before it does more.
    #[error("the record `{path}` refuses a line: {illegal}")]
    #[diagnostic(code(cutover::journal::illegal), help("this is a mistake of the program: keep the run folder and report it"))]
    Illegal { path: PathBuf, illegal: super::Illegal },
    /// Another process runs on this site.
    #[error("another run of this site is under way: {}", holder.as_ref().map_or_else(|| format!("`{}` is locked", path.display()), |holder| holder.to_string()))]
    #[diagnostic(code(cutover::journal::held), help("talk to whoever runs it; when that process is gone, the site is free at once"))]
    Held { holder: Option<Box<super::Holder>>, path: PathBuf },
    /// No place to put runs is known.
    #[error("no folder for the record of runs is known")]
    #[diagnostic(code(cutover::journal::no_folder), help("name one: `--journal DIR`"))]
    NoFolder,
}
