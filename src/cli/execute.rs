//! One run from start to end: site, script, record, evaluation, exit code. Used by `run`, `rehearse` and `resume`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use super::guard::Locks;
use super::report_file::ReportFile;
use super::{CliError, Format, exit, record};
use crate::effect::{Cancel, Effects, Ending, Setup, Stop};
use crate::host::{self, Ended, RunError};
use crate::journal::{Attempt, Chosen, Event, Journal, Kept, Lock, RunOutcome, runs_folder};
use crate::operator::{Operator, Policy};
use crate::powershell::{Program, Session};
use crate::primitives::{PRIMITIVES, Run, Shell};
use crate::report::{self, Loudness, Style, human::Human, json::Json, shell_word};
use crate::script::{self, Script, Source, nearest};
use crate::site::{Auth, CommandLimit, Site, SqlServer, Tls};
use crate::sqlserver::{Account, Batch, Failure, Instance, Password, Security, Servers, Target, Value};

/// What the command line asks of a run.
pub(super) struct Asked {
    /// What was answered beforehand.
    pub(super) policy: Policy,
    pub(super) format: Format,
    pub(super) loudness: Loudness,
    /// Where its report goes.
    pub(super) report: Option<ReportFile>,
    /// The record goes away with a rehearsal that is not kept.
    pub(super) passing: bool,
    /// The servers go away with the command: there is nothing to resume afterwards.
    pub(super) rehearsal: bool,
}

/// A run that is about to begin, or to go on: everything that was found and made before the first effect.
pub(super) struct Ready {
    pub(super) script: Arc<Script>,
    pub(super) journal: Journal,
    /// its first event
    pub(super) begun: record::Begun,
    pub(super) attempt: Attempt,
    /// holds the site
    pub(super) lock: Lock,
}

/// A runbook that is there at all; looked for before anything takes its time.
pub(super) fn runbook_file(path: &Path) -> Result<Source<'_>, CliError> {
    if path.try_exists().is_ok_and(|there| !there) {
        return Err(CliError::NoRunbook { path: path.to_owned(), help: other_runbook(path) });
    }
    Ok(Source::Path(path))
}

/// Where a runbook that is not there may be: the name without its ending, in `runbooks`, or another one spelt nearly so.
fn other_runbook(path: &Path) -> String {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let named = path.with_extension("rhai");
    let mut looked = vec![folder.unwrap_or(Path::new(".")).to_owned()];
    if folder.is_none() {
        looked.push("runbooks".into());
    }
    let there: Vec<PathBuf> = looked
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())))
        .filter(|file| file.extension().is_some_and(|extension| extension == "rhai"))
        .collect();
    let name_of = |file: &Path| file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let wanted = name_of(&named);
    let names: Vec<String> = there.iter().map(|file| name_of(file)).collect();
    let meant = nearest(&wanted, names.iter().map(String::as_str));
    let meant = meant.and_then(|meant| there.iter().find(|file| name_of(file) == meant));
    let looked: Vec<String> = looked.iter().map(|folder| format!("`{}`", folder.display())).collect();
    let looked = looked.join(" and ");
    match meant.map(|file| file.strip_prefix(".").unwrap_or(file)) {
        Some(file) => format!("did you mean `{}`? Else give the path of a `.rhai` file; looked in {looked}", file.display()),
        None => format!("give the path of a `.rhai` file; looked in {looked}"),
    }
}

/// Reads a site file with its overrides.
pub(super) fn load_site(file: &Path, overrides: &[String]) -> Result<Site, CliError> {
    Ok(Site::read(file, overrides)?)
}

/// Reads a runbook with everything it imports.
pub(super) fn load_script(site: &Site, runbook: Source<'_>) -> Result<Arc<Script>, CliError> {
    let options = script::Options { site_stdlib: site.stdlib.clone(), names: host::names(PRIMITIVES) };
    let script = Script::load(runbook, &options)?;
    if script.does_nothing() {
        return Err(CliError::NothingToRun { runbook: script.runbook().name.clone() });
    }
    Ok(Arc::new(script))
}

/// The folder of runs that was named, else the platform's.
pub(super) fn runs_in(folder: Option<PathBuf>) -> Result<PathBuf, CliError> {
    let runs = match folder {
        Some(folder) => folder,
        None => runs_folder()?,
    };
    // absolute, so that what is said of it can be copied into another window
    Ok(std::path::absolute(&runs).unwrap_or(runs))
}

/// Runs a script against a site; returns the exit code.
pub(super) fn execute(runtime: &tokio::runtime::Runtime, site: &Site, ready: Ready, asked: &Asked) -> Result<u8, CliError> {
    let Ready { script, journal, begun, attempt, lock } = ready;
    let folder = journal.folder().to_owned();
    let servers = Servers::new(site.sql.values().map(|server| target(server, &begun.connection())));
    // the site file's word counts only if the servers say so too
    let lab = site.lab && runtime.block_on(is_lab(site, &servers));
    let style = Style { loudness: asked.loudness, ..Style::of_stderr() };
    let policy = Policy { lab, ..asked.policy.clone() };
    // what nobody is asked is drawn for the story's sake
    let aloud = asked.format == Format::Human && asked.loudness > Loudness::Quiet;
    let operator = Operator::new(policy, style.colour, aloud);
    let human = Arc::new(Human::new(style, asked.passing));
    let cancel = Cancel::default();
    let listener: Arc<OnceLock<Weak<Run>>> = Arc::default();
    let (aside, told) = (human.clone(), listener.clone());
    super::watch_signals(&cancel, runtime, move |text| {
        aside.aside(text);
        if let Some(run) = told.get().and_then(Weak::upgrade) {
            run.effects.interrupted();
        }
    });
    let locks = Arc::new(Locks::new(servers.clone(), site.database.clone(), begun.connection(), record::who()));
    let json = (asked.format == Format::Json).then(|| Arc::new(Json::default()));
    let (heard, again, progressed) = ((human.clone(), json.clone()), (human.clone(), json.clone()), (human.clone(), json));
    let effects = Effects::new(Setup {
        journal,
        operator,
        runtime: runtime.handle().clone(),
        cancel,
        steps: begun.steps.clone(),
        on_event: Box::new(move |event, at| {
            log(event, at);
            match &heard {
                (_, Some(json)) => json.event(event, at),
                (human, None) => human.event(event),
            }
        }),
        on_replay: Box::new(move |replayed| match &again {
            (_, Some(json)) => json.replayed(replayed),
            (human, None) => human.replayed(replayed),
        }),
        on_progress: Arc::new(move |progress| match &progressed {
            (_, Some(json)) => json.progress(progress),
            (human, None) => human.progress(&progress),
        }),
        guard: locks.clone(),
    });
    let run = Arc::new(Run { effects, servers: servers.clone(), shell: shell(site, &folder), headers: Default::default() });
    let _ = listener.set(Arc::downgrade(&run));
    run.effects.begin_attempt(attempt);
    let ended = match run.effects.run_started(&begun.event(&folder, lab, asked.policy.yes, site)) {
        Ok(()) => evaluate(&script, &run, site, &human, &style),
        Err(_) => Ended::Stopped(run.effects.stopped().unwrap_or(Stop::Interrupted), None),
    };
    runtime.block_on(async {
        if let Some(shell) = &run.shell {
            shell.session.close().await;
        }
        locks.release().await;
        servers.close().await;
    });
    let (outcome, code) = outcome_of(&ended);
    human.pause();
    let mut ending = Ending::new(outcome, code);
    if let Ended::Failed(error) = &ended {
        ending.ended_by = error.failure.as_ref().map(|failure| failure.effect).filter(|effect| *effect > 0);
        (ending.why, ending.help) = (Some(error.to_string()), error.help.clone());
    }
    if let Ended::Stopped(stop, _) = &ended {
        human.draws(None);
        let why = stopped(stop, run.effects.half_done());
        let step = run.effects.ended_in().map_or_else(String::new, |step| format!("in the step `{step}`\n"));
        match stop {
            Stop::Diverged(divergence) => {
                report::error(&super::divergence::Diverged::new(divergence, &script, &folder, &begun.sources), &style)
            }
            _ => report::talk(&format!("\n{}", style.wrapped(&format!("{step}{why}")))),
        }
        ending.why = Some(why);
    }
    run.effects.run_finished(ending, |kept| if asked.rehearsal { kept } else { with_command(kept, site) });
    if outcome != RunOutcome::Done && !asked.rehearsal && asked.format == Format::Human {
        // in one line, so that it can be copied
        report::talk(&format!("to go on: cutover resume {}", shell_word(&folder.display().to_string())));
    }
    drop(lock);
    // after the lock is free: a report of a run that is under way says so
    if let Some(report) = &asked.report {
        report.write_at_end(&folder, asked, &style);
    }
    Ok(code)
}

/// What an event says in few words, for the log: the record has it whole.
fn log(event: &Event, at: jiff::Timestamp) {
    const SHORT: &[&str] = &[
        "event",
        "run",
        "effect",
        "step",
        "primitive",
        "server",
        "title",
        "message",
        "code",
        "ms",
        "outcome",
        "exit",
        "replays",
        "differs",
    ];
    if tracing::enabled!(tracing::Level::INFO) {
        let mut event = event.to_json(at);
        if let Some(fields) = event.as_object_mut() {
            // an outcome is a word at a run's end, and all of an answer at an effect's
            fields.retain(|name, value| SHORT.contains(&name.as_str()) && (name != "outcome" || value.is_string()));
        }
        tracing::info!(%event, "recorded");
    }
}

/// Evaluates the script, again and again as long as somebody at the terminal wants a failure tried once more.
fn evaluate(script: &Arc<Script>, run: &Arc<Run>, site: &Site, human: &Human, style: &Style) -> Ended {
    loop {
        let mut ended = host::evaluate(script, run.clone(), site.view().into(), PRIMITIVES);
        if let Ended::Finished = &ended
            && let Err(stop) = run.effects.end_attempt()
        {
            run.effects.stop(stop.clone());
            ended = Ended::Stopped(stop, None);
        }
        let Ended::Failed(error) = &ended else { return ended };
        human.pause();
        failed(error, run, human, style);
        // what the runbook itself gets wrong stays wrong until it is edited
        let tries = error.failure.is_some();
        match run.effects.choose(error.failure.as_ref()) {
            Ok(Some(Chosen::Retry | Chosen::ByHand)) if tries => {}
            Ok(_) => return ended,
            Err(_) => return Ended::Stopped(run.effects.stopped().unwrap_or(Stop::Interrupted), None),
        }
    }
}

/// Draws a failure where it stands in the runbook.
fn failed(error: &RunError, run: &Run, human: &Human, style: &Style) {
    human.draws(error.failure.as_ref().map(|failure| failure.effect));
    let step = error.failure.as_ref().and_then(|f| f.step.clone()).or_else(|| run.effects.ended_in());
    report::talk(&step.map_or_else(String::new, |step| style.wrapped(&format!("\nfailed in the step `{step}`"))));
    report::explained(error, &error.words(), super::codes::page(error), style);
}

fn outcome_of(ended: &Ended) -> (RunOutcome, u8) {
    match ended {
        Ended::Finished => (RunOutcome::Done, exit::DONE),
        Ended::Failed(error) if error.failure.as_ref().is_some_and(|f| f.in_doubt) => (RunOutcome::InDoubt, exit::IN_DOUBT),
        Ended::Stopped(Stop::Diverged(_) | Stop::BadRecord(_) | Stop::Held(_), _) => (RunOutcome::Failed, exit::USAGE),
        Ended::Failed(_) | Ended::Stopped(Stop::NoRecord(_) | Stop::IndirectCall(_) | Stop::LockLost(_), _) => {
            (RunOutcome::Failed, exit::FAILED)
        }
        Ended::Stopped(Stop::InDoubt(_), _) => (RunOutcome::InDoubt, exit::IN_DOUBT),
        Ended::Stopped(..) => (RunOutcome::Stopped, exit::STOPPED),
    }
}

/// Why a run stopped, and the next act.
pub(super) fn stopped(stop: &Stop, half_done: bool) -> String {
    match stop {
        Stop::Refused(what) => format!("stopped: the answer to `{what}` was no"),
        Stop::NoAnswer(what) => format!("stopped: nobody answered. {what}"),
        Stop::Interrupted if half_done => "stopped as asked; what failed before may be half-done".to_owned(),
        Stop::Interrupted => "stopped as asked; nothing is half-done".to_owned(),
        Stop::InDoubt(what) => format!("in doubt: {what}. Find out which, before anything else is done; a resume looks first"),
        Stop::IndirectCall(name) => {
            format!(
                "`{name}` was called by its name as text or through a variable: write the call out in the runbook, so that it can be seen"
            )
        }
        Stop::NoRecord(why) => {
            format!(
                "stopped before the next change: {why}. Nothing is changed without a record; free that disk, or move the run folder to another, and resume the run there"
            )
        }
        Stop::BadRecord(why) => {
            format!("the record cannot be replayed: {why}. `cutover runs verify` tells what else is not as it was written")
        }
        Stop::Held(who) => format!("another run is under way: {who}. Talk to whoever that is; nothing was changed here"),
        Stop::LockLost(why) => format!("stopped before the next change: {why}"),
        Stop::Diverged(_) => "the runbook goes another way than the record".to_owned(),
    }
}

/// A kept script with the command that runs it on its server, as `sqlcmd` takes it.
fn with_command(kept: Kept, site: &Site) -> Kept {
    let Some(server) = kept.server.as_ref().and_then(|key| site.sql.get(key)) else { return kept };
    let place = match &server.instance {
        Some(instance) => format!("{}\\{}", server.server, instance.name),
        None => format!("tcp:{},{}", server.server, server.port),
    };
    // sqlcmd knows the Windows account that runs it, and no other
    let login = match &server.auth {
        Auth::Sql { user, .. } => format!("-U {}", shell_word(user)),
        Auth::Windows { .. } | Auth::Current { .. } => "-E".to_owned(),
    };
    let command = format!("sqlcmd -S {} {login} -d master -b -i {}", shell_word(&place), shell_word(&kept.path));
    Kept { command: Some(command), ..kept }
}

/// The site's management shell, whose script is written into the run's folder.
pub(super) fn shell(site: &Site, folder: &Path) -> Option<Shell> {
    site.powershell.as_ref().map(|shell| Shell {
        session: Arc::new(Session::new(Program {
            program: shell.program.clone(),
            arguments: shell.arguments.clone(),
            module: shell.module.clone(),
            cmdlets: shell.allow.clone(),
            folder: Some(folder.to_owned()),
            hello_limit: None,
        })),
        allow: shell.allow.clone(),
    })
}

/// One server of the site as the back end connects to it.
pub(super) fn target(server: &SqlServer, run: &str) -> Target {
    let (account, user, password) = match &server.auth {
        Auth::Sql { user, password } => (Account::Sql, user.as_str(), Some(password.clone())),
        Auth::Windows { user, password, .. } => (Account::Windows, user.as_str(), Some(password.clone())),
        Auth::Current { .. } => (Account::Current, "", None),
    };
    let password = Password::from_fn(move || match &password {
        Some(secret) => secret.resolve().map(|secret| secret.expose().to_owned()).map_err(|problem| problem.why()),
        None => Ok(String::new()),
    });
    let mut target = Target::new(&server.key, &server.server, server.port, user, password);
    target.account = account;
    target.instance =
        server.instance.as_ref().map(|instance| Instance { name: instance.name.clone(), browser_port: instance.browser_port });
    target.security = match server.tls {
        Tls::Verify => Security::Verify { ca: server.ca.clone() },
        Tls::Pin(certificate) => Security::Pin(certificate),
        Tls::TrustAny => Security::TrustAny,
        Tls::LoginOnly => Security::LoginOnly,
        Tls::Off => Security::Off,
    };
    target.tls_minimum = server.tls_minimum;
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

/// True if everything that the site reaches is a lab: every server that answers says so over a connection whose certificate is
/// known, and the shell is the lab's. A site file that mixes a lab with the real thing is a real site.
async fn is_lab(site: &Site, servers: &Servers) -> bool {
    let shell = site.powershell.as_ref().is_none_or(|shell| shell.arguments.first().is_some_and(|argument| argument == "lab-shell"));
    let mut lab = shell && site.sql.values().all(|server| matches!(server.tls, Tls::Verify | Tls::Pin(_)));
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
