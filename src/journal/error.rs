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
    /// No place to put runs is known.
    #[error("no folder for the record of runs is known")]
    #[diagnostic(code(cutover::journal::no_folder), help("name one: `--journal DIR`"))]
    NoFolder,
}
