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
    /// This program was built without the feature `lab`, so it has neither `lab` nor `rehearse`.
    #[cfg(not(feature = "lab"))]
    #[error("this build of cutover has no lab")]
    #[diagnostic(code(cutover::cli::no_lab), help("use a build with the feature `lab`, which is there unless it was left out"))]
    NoLab,
    /// A lab's password stands in a file for everybody who may read it, and whoever has it may do everything in the lab. So it
    /// listens on this machine alone unless `--expose` is given. It was not started.
    #[error("{address} is not a loopback address")]
    #[diagnostic(
        code(cutover::cli::not_exposed),
        help("add `--expose` if other machines shall reach the lab: who has its password may do everything in it")
    )]
    NotExposed { address: std::net::IpAddr },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Check(#[from] crate::check::CheckError),
    /// `check` was given a path where there is nothing. Nothing was checked.
    #[error("there is no file or folder `{}`", path.display())]
    #[diagnostic(code(cutover::cli::no_such_path), help("name runbooks, or folders with `.rhai` files"))]
    NoSuchPath { path: PathBuf },
    /// A folder without runbooks: files that are hidden or that `.gitignore` or `.ignore` leaves out do not count. Nothing was
    /// checked.
    #[error("there is no runbook in `{}`", path.display())]
    #[diagnostic(
        code(cutover::cli::no_runbooks),
        help("name a folder with `.rhai` files that are neither hidden nor ignored, or name the files")
    )]
    NoRunbooks { path: PathBuf },
    /// A folder below the one that was named cannot be looked through. Nothing was checked.
    #[error("cannot look through `{}`", path.display())]
    #[diagnostic(code(cutover::cli::walk), help("name folders that you may read"))]
    Walk {
        path: PathBuf,
        #[source]
        source: ignore::Error,
    },
    /// Standard input is no text in UTF-8. Nothing was checked.
    #[error("cannot read `{}`", path.display())]
    #[diagnostic(code(cutover::cli::unreadable), help("give a runbook as text in UTF-8"))]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A fixed file, or one that was asked for, could not be put in place. It is written beside its place first, so the old one is
    /// as it was.
    #[error("cannot write `{}`", path.display())]
    #[diagnostic(code(cutover::cli::unwritable), help("see that you may write to the file and its folder; it is as it was"))]
    Unwritable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Somebody saved the file while it was checked, so the fixes do not fit it any more. It was not written to.
    #[error("`{}` was edited while it was checked", path.display())]
    #[diagnostic(code(cutover::cli::changed_meanwhile), help("check it again; it was not written to"))]
    ChangedMeanwhile { path: PathBuf },
    /// The file is not there, so nothing was begun: no record was made and no server was asked.
    #[error("there is no runbook `{path}`")]
    #[diagnostic(code(cutover::cli::no_runbook), help("{help}"))]
    NoRunbook { path: PathBuf, help: String },
    /// The file has functions and constants only, as the modules of `stdlib` have, or is empty. Nothing was begun.
    #[error("`{runbook}` does nothing: it is empty, or a module that runbooks import")]
    #[diagnostic(code(cutover::cli::nothing_to_run), help("name a runbook: a file with `step(...)` at its top level"))]
    NothingToRun { runbook: String },
    /// `run` needs to know which servers, shares and shell it works on. Nothing was begun.
    #[error("no site file was named, and there is no `site.toml` beside the runbook or here")]
    #[diagnostic(code(cutover::cli::no_site), help("name it with `--site FILE`; `runbooks/site.example.toml` shows every key"))]
    NoSite,
    /// A lab writes its share, its certificates and its end state into a folder of its own, and overwrites nothing.
    #[error("`{path}` is not an empty folder")]
    #[diagnostic(code(cutover::cli::folder_not_empty), help("name a new folder with `--keep DIR`: nothing in this one is overwritten"))]
    NotEmpty { path: PathBuf },
    /// `init --from-server` writes a site file, and one is there. Nothing was written and no server was asked.
    #[error("`{path}` is there already")]
    #[diagnostic(
        code(cutover::cli::site_is_there),
        help("move it away, or name another folder: `init` writes over nothing; the server was not asked")
    )]
    SiteIsThere { path: PathBuf },
    #[error(transparent)]
    #[diagnostic(transparent)]
    FromServer(Box<crate::sqlserver::Failure>),
    /// The msdb of the server that `init --from-server` asked has no row of a log-shipping secondary: it may be the primary, or log
    /// shipping was removed there. Nothing was written.
    #[error("`{server}` has no log shipping: it is the secondary of no database")]
    #[diagnostic(
        code(cutover::cli::not_shipped),
        help("name the backup SQL Server, whose msdb has the rows; or leave `--from-server` out and fill in the site file by hand")
    )]
    NotShipped { server: String },
    /// Log shipping brings several databases to this server, and a site file is for one of them. Nothing was written.
    #[error("`{server}` is the secondary of these databases: {names}")]
    #[diagnostic(code(cutover::cli::which_database), help("name the one to fail over with `--database NAME`; nothing was written"))]
    WhichDatabase { server: String, names: String },
    /// A folder cannot be made, read or written. Nothing was begun.
    #[error("cannot use the folder `{path}`")]
    #[diagnostic(code(cutover::cli::folder), help("name a folder that you may write to"))]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The operating system gave no threads or no sockets. Nothing was begun.
    #[error("cannot start the runtime")]
    #[diagnostic(code(cutover::cli::runtime), help("free memory or threads on this machine and try again"))]
    Runtime(#[source] std::io::Error),
    /// A lab's management shell is a child process that talks to its lab, and that lab is not there any more.
    #[error("the lab's shell at {address} cannot be reached")]
    #[diagnostic(code(cutover::cli::lab_shell), help("this command is started by a lab's site file; start the lab again"))]
    LabShell {
        address: std::net::SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// A run of this site was stopped, failed or died after it had changed something. Beginning anew would meet what it left
    /// half-way, so it is refused unless it is meant.
    #[error("the run `{run}` of this site began a change and is not finished")]
    #[diagnostic(
        code(cutover::cli::unfinished),
        help("go on with it: `cutover resume {run}` (its record: {}). To begin anew in spite of it, add `--new`: what it left half-way is met again", folder.display())
    )]
    Unfinished { run: String, folder: PathBuf },
    /// A run is named by its folder, or by the folder's name in the folder of runs. Nothing was done.
    #[error("there is no run `{run}` in `{}`", runs.display())]
    #[diagnostic(code(cutover::cli::no_such_run), help("{help}"))]
    NoSuchRun { run: String, runs: PathBuf, help: String },
    /// Every run in that folder is done, was never begun, or is another site's. Nothing was done.
    #[error("there is no unfinished run in `{}`", runs.display())]
    #[diagnostic(
        code(cutover::cli::no_unfinished),
        help("`cutover runs` lists what is there; name another folder of runs with `--journal DIR`, or a run by its folder")
    )]
    NoUnfinished { runs: PathBuf },
    /// A resume needs a record with at least its first line and copies of its scripts, of a run that is not done. Nothing was done.
    #[error("there is nothing to resume in `{}`: {why}", folder.display())]
    #[diagnostic(code(cutover::cli::nothing_to_resume), help("`cutover runs` lists what can be resumed"))]
    NothingToResume { folder: PathBuf, why: String },
    /// Each line of a record vouches for itself and for the one before. This one was changed afterwards, or the disk damaged it.
    /// Nothing was done.
    #[error("the record in `{}` is not as it was written: {problem}", folder.display())]
    #[diagnostic(
        code(cutover::cli::bad_record),
        help(
            "`cutover runs verify` tells all that is wrong. Nothing goes on from a record that cannot be believed: find out by hand how far the run was, then begin anew with `cutover run --new`"
        )
    )]
    BadRecord { folder: PathBuf, problem: String },
    /// A run is resumed with the site file that it was begun with, and that is not where it was: another machine, or moved. Nothing
    /// was done.
    #[error("the site file `{}` of that run is not there", path.display())]
    #[diagnostic(
        code(cutover::cli::site_gone),
        help("name the site file of this machine with `--site FILE`; a copy of the old one is `{}`", copy.display())
    )]
    SiteGone { path: PathBuf, copy: PathBuf },
    /// `run` checks a runbook first and refuses it for errors, which are drawn above. Nothing was begun. `cutover explain SLUG` has
    /// the page of each rule.
    #[error("`{}` is not run: `cutover check` finds {errors} {} in it", runbook.display(), if *errors == 1 { "error" } else { "errors" })]
    #[diagnostic(
        code(cutover::cli::dangerous),
        help(
            "mend it, or allow what is meant with `// check: allow SLUG REASON`; in an emergency `--unchecked` runs it all the same, and the record says so"
        )
    )]
    Dangerous { runbook: PathBuf, errors: usize },
    /// The file that `--answers` names is not there, or is no text in UTF-8. Nothing was begun.
    #[error("cannot read the answers in `{}`", path.display())]
    #[diagnostic(code(cutover::cli::answers_unreadable), help("name a TOML file with answers by the ids of their questions"))]
    AnswersUnreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Answers(Box<WrongAnswers>),
    /// `--approve` names a question that the runbook does not have, so what was meant would not be approved. Nothing was begun.
    #[error("no question has the id `{id}`")]
    #[diagnostic(code(cutover::cli::no_such_question), help("{help}"))]
    NoSuchQuestion { id: String, help: String },
    /// `--log` names a file that cannot be made or written to. Nothing was begun: a log that is asked for and not kept would be missed
    /// when it is needed.
    #[error("cannot write the log `{}`", path.display())]
    #[diagnostic(code(cutover::cli::log), help("name a file that you may write to, in a folder that is there; nothing was begun"))]
    Log {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The environment variable CUTOVER_LOG says how much is logged, and what it says is not understood. Nothing was begun.
    #[error("`CUTOVER_LOG` says `{asked}`, which is no level and no list of levels")]
    #[diagnostic(
        code(cutover::cli::log_filter),
        help("set it to `warn`, `info`, `debug` or `trace`, or by part: `info,cutover::sqlserver=trace`")
    )]
    LogFilter {
        asked: String,
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The end of the name that `--report` gives says neither HTML nor Markdown. Nothing was begun.
    #[error("`{}` is no name of a report", path.display())]
    #[diagnostic(code(cutover::cli::report_kind), help("let it end in `.html` or `.md`: that says which kind it is"))]
    ReportKind { path: PathBuf },
    /// No file can be made where the report is to go. Before a run nothing was begun; at its end the run is as it is, and its record
    /// has everything: `cutover runs report` writes the report again, elsewhere.
    #[error("no report can be written to `{}`", path.display())]
    #[diagnostic(
        code(cutover::cli::report_unwritable),
        help("name a file in a folder that is there, that you may write to and that has room")
    )]
    ReportUnwritable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The run died before its first line was written, so there is nothing to tell of it.
    #[error("there is nothing to report in `{}`: its record has no whole line", folder.display())]
    #[diagnostic(code(cutover::cli::report_empty), help("`cutover runs` lists what there is to report"))]
    ReportEmpty { folder: PathBuf },
    /// A report was asked for with more than one scenario. Nothing was begun.
    #[error("a report is of one run, and several scenarios are rehearsed")]
    #[diagnostic(code(cutover::cli::one_report), help("`--keep DIR` keeps the records; `cutover runs report RUN` makes a report of each"))]
    OneReport,
    /// `runs report` was asked for JSON, which is what a report is made from.
    #[error("a report is HTML or Markdown, not JSON")]
    #[diagnostic(code(cutover::cli::no_json), help("`cutover runs show RUN --format json` has everything that a report is made from"))]
    NoJson,
    /// Neither `explain` nor `docs` knows the word.
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

/// A file of answers says something that is no answer.
#[derive(Debug, Error, Diagnostic)]
#[error("{why}")]
#[diagnostic(code(cutover::cli::answers), help("{help}"))]
pub struct WrongAnswers {
    pub why: String,
    #[source_code]
    pub text: miette::NamedSource<std::sync::Arc<str>>,
    #[label("here")]
    pub span: miette::SourceSpan,
    pub help: String,
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
            | Self::Log { .. }
            | Self::LogFilter { .. }
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
            | Self::Answers(_)
            | Self::NoSuchQuestion { .. }
            | Self::ReportKind { .. }
            | Self::ReportUnwritable { .. }
            | Self::ReportEmpty { .. }
            | Self::OneReport
            | Self::NoJson
            | Self::NoSuchName { .. }
            | Self::SiteIsThere { .. }
            | Self::NotShipped { .. }
            | Self::WhichDatabase { .. } => exit::USAGE,
            #[cfg(feature = "lab")]
            Self::Scenario(_) => exit::USAGE,
            #[cfg(feature = "lab")]
            Self::Lab(_) => exit::FAILED,
            #[cfg(not(feature = "lab"))]
            Self::NoLab => exit::USAGE,
            Self::Journal(_) | Self::Runtime(_) | Self::LabShell { .. } | Self::FromServer(_) => exit::FAILED,
        }
    }
}
