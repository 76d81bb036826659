//! One run from start to end: site, script, record, evaluation, exit code. Used by `run` and `rehearse`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{CliError, Format, exit};
use crate::effect::{Cancel, Effects, Setup, Stop};
use crate::host::{self, Ended};
use crate::journal::{Event, Journal, RunOutcome, runs_folder};
use crate::operator::{Operator, Policy};
use crate::powershell::{Program, Session};
use crate::primitives::{PRIMITIVES, Run, Shell};
use crate::report::{self, Style, human::Human};
use crate::script::{self, Script, Source};
use crate::site::{Auth, CommandLimit, Site, SqlServer, Tls};
use crate::sqlserver::{Batch, Failure, Password, Security, Servers, Target, Value};

/// What the command line asks of a run.
pub(super) struct Asked<'a> {
    pub(super) runbook: Source<'a>,
    pub(super) journal: Option<PathBuf>,
    pub(super) yes: bool,
    pub(super) approve: Vec<String>,
    pub(super) format: Format,
    /// The record goes away with a rehearsal that is not kept.
    pub(super) passing: bool,
}

/// A runbook that is there at all; looked for before anything takes its time.
pub(super) fn runbook_file(path: &Path) -> Result<Source<'_>, CliError> {
    if path.try_exists().is_ok_and(|there| !there) {
        return Err(CliError::NoRunbook { path: path.to_owned() });
    }
    Ok(Source::Path(path))
}

/// Reads a site file with its overrides.
pub(super) fn load_site(file: &Path, overrides: &[String]) -> Result<Site, CliError> {
    Ok(Site::read(file, overrides)?)
}

/// Runs a runbook against a site; returns the exit code.
pub(super) fn execute(runtime: &tokio::runtime::Runtime, site: &Site, asked: &Asked<'_>) -> Result<u8, CliError> {
    site.check_secrets()?;
    let options = script::Options { site_stdlib: site.stdlib.clone(), names: host::names(PRIMITIVES) };
    let script = Arc::new(Script::load(asked.runbook, &options)?);
    let runbook = script.runbook().name.clone();
    if script.does_nothing() {
        return Err(CliError::NothingToRun { runbook });
    }
    let stem = Path::new(&runbook).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();

    let runs = match (&asked.journal, &site.journal) {
        (Some(folder), _) | (None, Some(folder)) => folder.clone(),
        (None, None) => runs_folder()?,
    };
    // absolute, so that what is said of it can be copied into another window
    let runs = std::path::absolute(&runs).unwrap_or(runs);
    let journal = Journal::create(&runs, &stem, jiff::Timestamp::now())?;
    let (run_name, folder) = (journal.run(), journal.folder().to_owned());

    let servers = Servers::new(site.sql.values().map(|server| target(server, &run_name)));
    // the site file's word counts only if the servers say so too
    let lab = site.lab && runtime.block_on(is_lab(site, &servers));
    let style = Style::of_stderr();
    let operator =
        Operator::new(Policy { yes: asked.yes, approved: asked.approve.clone(), lab }, style.colour, asked.format == Format::Human);
    let human = Arc::new(Human::new(style, asked.passing));
    let cancel = Cancel::default();
    let aside = human.clone();
    super::watch_signals(&cancel, runtime, move |text| aside.aside(text));
    let (heard, progressed, format) = (human.clone(), human.clone(), asked.format);
    let effects = Effects::new(Setup {
        journal,
        operator,
        runtime: runtime.handle().clone(),
        cancel,
        on_event: Box::new(move |event, at| match format {
            Format::Human => heard.event(event),
            Format::Json => report::json::event(event, at),
        }),
        on_progress: Arc::new(move |progress| {
            if format == Format::Human {
                progressed.progress(&progress);
            }
        }),
    });
    let run = Arc::new(Run {
        effects,
        servers: servers.clone(),
        shell: site.powershell.as_ref().map(|shell| Shell {
            session: Arc::new(Session::new(Program {
                program: shell.program.clone(),
                arguments: shell.arguments.clone(),
                module: shell.module.clone(),
                folder: Some(folder.clone()),
                hello_limit: None,
            })),
            allow: shell.allow.clone(),
        }),
        headers: Default::default(),
    });
    let begun = run.effects.run_started(&Event::RunStarted {
        run: run_name,
        folder: folder.display().to_string(),
        runbook,
        site: site.name.clone(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        operator: whoami::username().unwrap_or_else(|_| "unknown".to_owned()),
        host: whoami::hostname().unwrap_or_else(|_| "unknown".to_owned()),
        lab,
        unattended: asked.yes,
        weak: site.weak(),
    });
    let ended = match begun {
        Ok(()) => host::evaluate(&script, run.clone(), site.view().into(), PRIMITIVES),
        Err(_) => Ended::Stopped(run.effects.stopped().unwrap_or(Stop::Interrupted), None),
    };
    runtime.block_on(async {
        if let Some(shell) = &run.shell {
            shell.session.close().await;
        }
        servers.close().await;
    });
    let (outcome, code) = match &ended {
        Ended::Finished => (RunOutcome::Done, exit::DONE),
        Ended::Failed(error) if error.failure.as_ref().is_some_and(|f| f.in_doubt) => (RunOutcome::InDoubt, exit::IN_DOUBT),
        Ended::Failed(_) | Ended::Stopped(Stop::NoRecord(_) | Stop::IndirectCall(_), _) => (RunOutcome::Failed, exit::FAILED),
        Ended::Stopped(Stop::InDoubt(_), _) => (RunOutcome::InDoubt, exit::IN_DOUBT),
        Ended::Stopped(..) => (RunOutcome::Stopped, exit::STOPPED),
    };
    human.pause();
    match &ended {
        Ended::Finished => {}
        Ended::Failed(error) => {
            human.draws(error.failure.as_ref().map(|failure| failure.effect));
            let step = error.failure.as_ref().and_then(|f| f.step.clone()).or_else(|| run.effects.ended_in());
            report::talk(&step.map_or_else(String::new, |step| format!("\nfailed in the step `{step}`")));
            report::explained(error.as_ref(), &error.words(), &style);
        }
        Ended::Stopped(stop, _) => {
            let step = run.effects.ended_in().map_or_else(String::new, |step| format!("in the step `{step}`\n"));
            report::talk(&format!("\n{}", style.wrapped(&format!("{step}{}", stopped(stop)))));
        }
    }
    run.effects.run_finished(outcome, code);
    Ok(code)
}

/// Why a run stopped, and the next act.
fn stopped(stop: &Stop) -> String {
    match stop {
        Stop::Refused(what) => format!("stopped: the answer to `{what}` was no"),
        Stop::NoAnswer(what) => format!("stopped: nobody answered. {what}"),
        Stop::Interrupted => "stopped as asked; nothing is half-done".to_owned(),
        Stop::InDoubt(what) => format!("in doubt: {what}. Find out which, before anything else is done"),
        Stop::IndirectCall(name) => {
            format!(
                "`{name}` was called by its name as text or through a variable: write the call out in the runbook, so that it can be seen"
            )
        }
        Stop::NoRecord(why) => {
            format!("stopped before the next change: {why}. Nothing is changed without a record; give another folder with `--journal DIR`")
        }
    }
}

/// One server of the site as the back end connects to it.
fn target(server: &SqlServer, run: &str) -> Target {
    let Auth::Sql { user, password } = &server.auth;
    let secret = password.clone();
    let password =
        Password::from_fn(move || secret.resolve().map(|secret| secret.expose().to_owned()).map_err(|problem| problem.to_string()));
    let mut target = Target::new(&server.key, &server.server, server.port, user, password);
    target.security = match server.tls {
        Tls::Verify => Security::Verify { ca: server.ca.clone() },
        Tls::TrustAny => Security::TrustAny,
        Tls::Off => Security::Off,
    };
    target.database.clone_from(&server.database);
    target.program = format!("cutover {run}");
    target.connect_time_limit = server.limits.connect.unwrap_or(target.connect_time_limit);
    target.login_time_limit = server.limits.login.unwrap_or(target.login_time_limit);
    match server.limits.command {
        Some(CommandLimit::After(limit)) => target.command_time_limit = Some(limit),
        Some(CommandLimit::Endless) => target.command_time_limit = None,
        None => {}
    }
    target
}

/// True if everything that the site reaches is a lab: every server that answers says so over a connection whose certificate was
/// verified, and the shell is the lab's. A site file that mixes a lab with the real thing is a real site.
async fn is_lab(site: &Site, servers: &Servers) -> bool {
    let shell = site.powershell.as_ref().is_none_or(|shell| shell.arguments.first().is_some_and(|argument| argument == "lab-shell"));
    let mut lab = shell && site.sql.values().all(|server| server.tls == Tls::Verify);
    let batch = Batch::read("SELECT CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) AS edition");
    for key in site.sql.keys() {
        match servers.run(key, &batch).await {
            Ok(answer) => lab &= answer.value() == Some(&Value::Text("cutover lab".to_owned())),
            Err(Failure::Unreachable(_)) if key != "backup" => {}
            Err(_) => lab = false,
        }
    }
    lab
}
