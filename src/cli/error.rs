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
    #[cfg(feature = "lab")]
    #[error(transparent)]
    #[diagnostic(transparent)]
    Lab(#[from] crate::lab::LabError),
    #[cfg(feature = "lab")]
    #[error(transparent)]
    #[diagnostic(transparent)]
    Scenario(Box<crate::lab::ScenarioError>),
    #[cfg(not(feature = "lab"))]
    #[error("this build of cutover has no lab")]
    #[diagnostic(code(cutover::cli::no_lab), help("use a build with the feature `lab`, which is there unless it was left out"))]
    NoLab,
    #[error("{address} is not a loopback address")]
    #[diagnostic(
        code(cutover::cli::not_exposed),
        help("add `--expose` if other machines shall reach the lab: who has its password may do everything in it")
    )]
    NotExposed { address: std::net::IpAddr },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Check(#[from] crate::check::CheckError),
    #[error("there is no file or folder `{}`", path.display())]
    #[diagnostic(code(cutover::cli::no_such_path), help("name runbooks, or folders with `.rhai` files"))]
    NoSuchPath { path: PathBuf },
    #[error("there is no runbook in `{}`", path.display())]
    #[diagnostic(
        code(cutover::cli::no_runbooks),
        help("name a folder with `.rhai` files that are neither hidden nor ignored, or name the files")
    )]
    NoRunbooks { path: PathBuf },
    #[error("cannot look through `{}`", path.display())]
    #[diagnostic(code(cutover::cli::walk), help("name folders that you may read"))]
    Walk {
        path: PathBuf,
        #[source]
        source: ignore::Error,
    },
    #[error("cannot read `{}`", path.display())]
    #[diagnostic(code(cutover::cli::unreadable), help("give a runbook as text in UTF-8"))]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write `{}`", path.display())]
    #[diagnostic(code(cutover::cli::unwritable), help("see that you may write to the file and its folder; it is as it was"))]
    Unwritable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{}` was edited while it was checked", path.display())]
    #[diagnostic(code(cutover::cli::changed_meanwhile), help("check it again; it was not written to"))]
    ChangedMeanwhile { path: PathBuf },
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
    #[error("the run `{run}` of this site began a change and is not finished")]
    #[diagnostic(
        code(cutover::cli::unfinished),
        help("go on with it: `cutover resume {run}` (its record: {}). To begin anew in spite of it, add `--new`: what it left half-way is met again", folder.display())
    )]
    Unfinished { run: String, folder: PathBuf },
    #[error("there is no run `{run}` in `{}`", runs.display())]
    #[diagnostic(code(cutover::cli::no_such_run), help("{help}"))]
    NoSuchRun { run: String, runs: PathBuf, help: String },
    #[error("there is no unfinished run in `{}`", runs.display())]
    #[diagnostic(
        code(cutover::cli::no_unfinished),
        help("`cutover runs` lists what is there; name another folder of runs with `--journal DIR`, or a run by its folder")
    )]
    NoUnfinished { runs: PathBuf },
    #[error("there is nothing to resume in `{}`: {why}", folder.display())]
    #[diagnostic(code(cutover::cli::nothing_to_resume), help("`cutover runs` lists what can be resumed"))]
    NothingToResume { folder: PathBuf, why: String },
    #[error("the record in `{}` is not as it was written: {problem}", folder.display())]
    #[diagnostic(
        code(cutover::cli::bad_record),
        help(
            "`cutover runs verify` tells all that is wrong. Nothing goes on from a record that cannot be believed: find out by hand how far the run was, then begin anew with `cutover run --new`"
        )
    )]
    BadRecord { folder: PathBuf, problem: String },
    #[error("the site file `{}` of that run is not there", path.display())]
    #[diagnostic(
        code(cutover::cli::site_gone),
        help("name the site file of this machine with `--site FILE`; a copy of the old one is `{}`", copy.display())
    )]
    SiteGone { path: PathBuf, copy: PathBuf },
    #[error("`{}` is not run: `cutover check` finds {errors} {} in it", runbook.display(), if *errors == 1 { "error" } else { "errors" })]
    #[diagnostic(
        code(cutover::cli::dangerous),
        help(
            "mend it, or allow what is meant with `// check: allow SLUG REASON`; in an emergency `--unchecked` runs it all the same, and the record says so"
        )
    )]
    Dangerous { runbook: PathBuf, errors: usize },
    #[error("cannot read the answers in `{}`", path.display())]
    #[diagnostic(code(cutover::cli::answers_unreadable), help("name a TOML file with answers by the ids of their questions"))]
    AnswersUnreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{why}")]
    #[diagnostic(code(cutover::cli::answers), help("{help}"))]
    Answers {
        why: String,
        #[source_code]
        text: miette::NamedSource<std::sync::Arc<str>>,
        #[label("here")]
        span: miette::SourceSpan,
        help: String,
    },
    #[error("no question has the id `{id}`")]
    #[diagnostic(code(cutover::cli::no_such_question), help("{help}"))]
    NoSuchQuestion { id: String, help: String },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Report(Box<super::report_file::ReportError>),
    #[error("a report is HTML or Markdown, not JSON")]
    #[diagnostic(code(cutover::cli::no_json), help("`cutover runs show RUN --format json` has everything that a report is made from"))]
    NoJson,
    #[error("there is nothing called `{name}`")]
    #[diagnostic(code(cutover::cli::no_such_name), help("{help}"))]
    NoSuchName { name: String, help: String },
}

#[cfg(feature = "lab")]
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
            | Self::Check(_)
            | Self::NoSuchPath { .. }
            | Self::NoRunbooks { .. }
            | Self::Walk { .. }
            | Self::Unreadable { .. }
            | Self::Unwritable { .. }
            | Self::ChangedMeanwhile { .. }
            | Self::Script(_)
            | Self::NotExposed { .. }
            | Self::NoRunbook { .. }
            | Self::NothingToRun { .. }
            | Self::Folder { .. }
            | Self::NoSite
            | Self::Unfinished { .. }
            | Self::NoSuchRun { .. }
            | Self::NoUnfinished { .. }
            | Self::NothingToResume { .. }
            | Self::BadRecord { .. }
            | Self::SiteGone { .. }
            | Self::Journal(crate::journal::JournalError::Held { .. })
            | Self::NotEmpty { .. }
            | Self::Dangerous { .. }
            | Self::AnswersUnreadable { .. }
            | Self::Answers { .. }
            | Self::NoSuchQuestion { .. }
            | Self::Report(_)
            | Self::NoJson
            | Self::NoSuchName { .. } => exit::USAGE,
            #[cfg(feature = "lab")]
            Self::Scenario(_) => exit::USAGE,
            #[cfg(feature = "lab")]
            Self::Lab(_) => exit::FAILED,
            #[cfg(not(feature = "lab"))]
            Self::NoLab => exit::USAGE,
            Self::Journal(_) | Self::Runtime(_) | Self::LabShell { .. } => exit::FAILED,
        }
    }
}
