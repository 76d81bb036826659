//! What stops a command before or besides its run.

use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use super::exit;

/// A command could not do its work.
#[derive(Debug, Error, Diagnostic)]
pub enum CliError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Site(#[from] crate::site::SiteErrors),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Script(#[from] crate::script::ScriptErrors),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Journal(#[from] crate::journal::JournalError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Lab(#[from] crate::lab::LabError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Scenario(Box<crate::lab::ScenarioError>),
    #[error("there is no runbook `{path}`")]
    #[diagnostic(
        code(cutover::cli::no_runbook),
        help("give the path of a `.rhai` file; `runbooks/pchat-failover.rhai` is the stock failover")
    )]
    NoRunbook { path: PathBuf },
    #[error("`{runbook}` does nothing: it is empty, or a module that runbooks import")]
    #[diagnostic(code(cutover::cli::nothing_to_run), help("name a runbook: a file with `step(...)` at its top level"))]
    NothingToRun { runbook: String },
    #[error("no site file was named, and there is no `site.toml` beside the runbook or here")]
    #[diagnostic(code(cutover::cli::no_site), help("name it with `--site FILE`; `runbooks/site.example.toml` shows every key"))]
    NoSite,
    #[error("`{path}` is not an empty folder")]
    #[diagnostic(code(cutover::cli::folder_not_empty), help("name a new folder with `--keep DIR`: nothing in this one is overwritten"))]
    NotEmpty { path: PathBuf },
    #[error("cannot use the folder `{path}`")]
    #[diagnostic(code(cutover::cli::folder), help("name a folder that you may write to"))]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot start the runtime")]
    #[diagnostic(code(cutover::cli::runtime), help("free memory or threads on this machine and try again"))]
    Runtime(#[source] std::io::Error),
    #[error("the lab's shell at {address} cannot be reached")]
    #[diagnostic(code(cutover::cli::lab_shell), help("this command is started by a lab's site file; start the lab again"))]
    LabShell {
        address: std::net::SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("there is nothing called `{name}`")]
    #[diagnostic(code(cutover::cli::no_such_name), help("{help}"))]
    NoSuchName { name: String, help: String },
}

impl From<crate::lab::ScenarioError> for CliError {
    fn from(error: crate::lab::ScenarioError) -> Self {
        Self::Scenario(Box::new(error))
    }
}

impl CliError {
    /// The exit code that says what kind of trouble it is.
    pub fn exit(&self) -> u8 {
        match self {
            Self::Site(_)
            | Self::Script(_)
            | Self::Scenario(_)
            | Self::NoRunbook { .. }
            | Self::NothingToRun { .. }
            | Self::Folder { .. }
            | Self::NoSite
            | Self::NotEmpty { .. }
            | Self::NoSuchName { .. } => exit::USAGE,
            Self::Journal(_) | Self::Lab(_) | Self::Runtime(_) | Self::LabShell { .. } => exit::FAILED,
        }
    }
}
