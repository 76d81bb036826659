//! `cutover doctor`: what a failover needs, looked at without changing anything or asking anybody. The checks are the steps
//! of a runbook that a site may edit; what only the program itself knows (its folder of runs, secrets) is looked at here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, ValueEnum};
use faccess::PathExt;
use miette::Diagnostic;

use super::execute::{Ready, load_script, load_site, runs_in, shell, stopped, target};
use super::{CliError, check, exit, record};
use crate::effect::{Alone, Cancel, Effects, Setup};
use crate::host::{self, Ended};
use crate::journal::{self, Event, Lock};
use crate::operator::{Operator, Policy};
use crate::primitives::{PRIMITIVES, Run};
use crate::report::doctor::{Checked, Checks, Verdict};
use crate::report::{self, Style};
use crate::script::{Source, stdlib};
use crate::site::Site;
use crate::sqlserver::{AppLock, Servers};

#[derive(Args)]
#[command(after_help = "Each check is a line: ok, warning, or FAILED if it would stop the failover. Nothing is changed, and no run that \
                  is under way is disturbed. `doctor.rhai` beside the site file, else here, is run instead of the built-in one.\n\n\
                  Exit codes: 0 nothing would stop the failover, 1 something would, 2 could not look\n\n\
                  Examples:\n  cutover doctor\n  cutover doctor --site site.toml --format json > doctor.json")]
pub struct DoctorArgs {
    /// The site file; `site.toml` here unless given.
    #[arg(long, value_name = "FILE")]
    pub site: Option<PathBuf>,
    /// Override a key of the site file, e.g. `vars.ticket="INC-7"`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Where the record of runs is kept; else the site file says, else the platform's state folder.
    #[arg(long, value_name = "DIR")]
    pub journal: Option<PathBuf>,
    /// How to report, on standard output.
    #[arg(long, value_enum, default_value_t)]
    pub format: DoctorFormat,
}

/// How checks are reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DoctorFormat {
    /// for people
    #[default]
    Human,
    /// one object at the end; docs/doctor.schema.json describes it
    Json,
}

/// The runbook of a doctor, beside the site file or here.
const RUNBOOK: &str = "doctor.rhai";
/// A record takes a few MiB; with less room than this, nothing more would be changed half-way through a failover.
const ROOM: u64 = 64 << 20;

pub fn main(arguments: &DoctorArgs) -> Result<u8, CliError> {
    let site_file = match &arguments.site {
        Some(file) => file.clone(),
        None => Some(PathBuf::from("site.toml")).filter(|file| file.is_file()).ok_or(CliError::NoSite)?,
    };
    let site = load_site(&site_file, &arguments.set)?;
    let own = [site_file.with_file_name(RUNBOOK), PathBuf::from(RUNBOOK)].into_iter().find(|file| file.is_file());
    let script = match &own {
        Some(file) => load_script(&site, Source::Path(file))?,
        None => {
            let (name, text) = stdlib::STOCK_DOCTOR;
            load_script(&site, Source::Text { name, text })?
        }
    };
    if let Some(file) = &own {
        check::before_run(file, &site)?;
    }
    let runbook = own.map_or_else(|| "built in".to_owned(), |file| file.display().to_string());
    // the record passes away: nothing was done, and a doctor of every night must not hide the runs
    let passing = tempfile::tempdir().map_err(|source| CliError::Folder { path: std::env::temp_dir(), source })?;
    let ready = record::create(&site, script, Some(&passing.path().join("runs")), &arguments.set, true)?;
    let runtime = super::runtime()?;
    let human = arguments.format == DoctorFormat::Human;
    let checks = Arc::new(Checks::new(Style::of_stdout_in_colour(), human, Style::of_stderr().live));
    if human {
        report::data(&format!("{} · {runbook}\n", site.name));
    }
    this_machine(&site, arguments.journal.as_ref(), &checks);
    let ended = examine(&runtime, &site, ready, &checks);
    checks.pause();
    report::data(&checks.end(&site.name, &runbook, jiff::Timestamp::now(), matches!(ended, Ended::Finished)));
    match &ended {
        Ended::Finished if checks.would_stop() => Ok(exit::FAILED),
        Ended::Finished => Ok(exit::DONE),
        Ended::Failed(error) => {
            report::explained(&**error, &error.words(), super::codes::page(error), &Style::of_stderr());
            Ok(exit::FAILED)
        }
        Ended::Stopped(stop, _) => {
            report::talk(&Style::of_stderr().wrapped(&stopped(stop, false)));
            Ok(exit::STOPPED)
        }
    }
}

/// Runs the doctor's runbook, and looks at who else is at it.
fn examine(runtime: &tokio::runtime::Runtime, site: &Site, ready: Ready, checks: &Arc<Checks>) -> Ended {
    let Ready { script, journal, begun, lock, .. } = ready;
    let folder = journal.folder().to_owned();
    let servers = Servers::new(site.sql.values().map(|server| target(server, &begun.connection())));
    let cancel = Cancel::default();
    super::watch_signals(&cancel, runtime, report::talk);
    let backup_answers = Arc::new(AtomicBool::new(false));
    let (heard, failed, answers) = (checks.clone(), checks.clone(), backup_answers.clone());
    let effects = Effects::new(Setup {
        journal,
        operator: Operator::new(Policy::default(), false, false),
        runtime: runtime.handle().clone(),
        cancel,
        steps: begun.steps.clone(),
        on_event: Box::new(move |event, _| {
            if matches!(event, Event::EffectFinished { server: Some(server), .. } if server == "backup") {
                answers.store(true, Ordering::Relaxed);
            }
            heard.event(event);
        }),
        on_replay: Box::new(|_| {}),
        on_progress: Arc::new(|_| {}),
        guard: Arc::new(Alone),
    });
    let run = Arc::new(Run {
        effects: effects.only_looking(),
        servers: servers.clone(),
        shell: shell(site, &folder),
        headers: Default::default(),
    });
    let ended = match run.effects.run_started(&begun.event(&folder, false, true, site)) {
        Ok(()) => {
            let tell = Box::new(move |error: host::RunError| failed.failed(&error, &error.words()));
            host::examine(&script, run.clone(), site.view().into(), PRIMITIVES, tell)
        }
        Err(_) => Ended::Stopped(run.effects.stopped().unwrap_or(crate::effect::Stop::Interrupted), None),
    };
    if matches!(ended, Ended::Finished) && backup_answers.load(Ordering::Relaxed) {
        checks.add(runtime.block_on(other_machines(&servers, &site.database)));
    }
    runtime.block_on(async {
        if let Some(shell) = &run.shell {
            shell.session.close().await;
        }
        servers.close().await;
    });
    drop(lock);
    ended
}

/// What the program needs of the machine that it runs on.
fn this_machine(site: &Site, journal: Option<&PathBuf>, checks: &Checks) {
    let weak = site.weak();
    let connections = Checked::of("this machine: connections");
    checks.add(match weak.is_empty() {
        true => connections.found(Verdict::Ok, "every certificate is verified or pinned, at TLS 1.2"),
        false => weak.into_iter().fold(connections, |checked, sentence| checked.found(Verdict::Warning, sentence)),
    });
    let secrets = Checked::of("this machine: secrets");
    checks.add(match site.check_secrets() {
        Ok(()) => secrets.found(Verdict::Ok, "all can be had"),
        Err(errors) => errors
            .problems()
            .iter()
            .fold(secrets, |checked, problem| checked.found(Verdict::Failed, problem.to_string()).help(&problem.help)),
    });
    let runs = match runs_in(journal.or(site.journal.as_ref()).cloned()) {
        Ok(runs) => runs,
        Err(error) => {
            let help = error.help().map(|help| help.to_string()).unwrap_or_default();
            checks.add(Checked::of("this machine: journal folder").found(Verdict::Failed, error.to_string()).help(help));
            return;
        }
    };
    checks.add(journal_folder(&runs));
    checks.add(runs_here(&runs, site));
}

/// Whether a record could be written there. Asked, not tried: the folder is made by the first run.
fn journal_folder(runs: &Path) -> Checked {
    let checked = Checked::of("this machine: journal folder");
    let name = runs.display();
    let there = runs.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    if !there.is_dir() {
        let text = format!("`{name}` cannot be made: `{}` is no folder", there.display());
        return checked.found(Verdict::Failed, text).help("name another folder in `[journal] folder`: nothing is changed without a record");
    }
    if !there.writable() {
        let text = format!("`{name}`: this account may not write to `{}`", there.display());
        return checked.found(Verdict::Failed, text).help("give it the right, or name another folder in `[journal] folder`");
    }
    match fs4::available_space(there) {
        Ok(free) if free < ROOM => checked
            .found(Verdict::Failed, format!("`{name}`: {} MB are free, a record may take {} MB", free >> 20, ROOM >> 20))
            .help("free that disk: nothing is changed without a record"),
        Ok(free) => checked.found(Verdict::Ok, format!("`{name}`: may be written to, {} MB are free", free >> 20)),
        Err(error) => checked.found(Verdict::Warning, format!("`{name}`: may be written to; what is free there is not known: {error}")),
    }
}

/// Runs of this site in the folder of runs: one that is under way, or that began a change and is not finished.
fn runs_here(runs: &Path, site: &Site) -> Checked {
    let checked = Checked::of("this machine: other runs");
    if let Some(holder) = Lock::holder(runs, &site.id()) {
        return checked.found(Verdict::Failed, format!("one is under way: {holder}")).help("talk to whoever that is");
    }
    match journal::list(runs) {
        Err(error) => checked.found(Verdict::Failed, error.to_string()).help(error.help().map(|help| help.to_string()).unwrap_or_default()),
        Ok(all) => match all.into_iter().rfind(|run| run.site_id == site.id() && run.is_unfinished_change()) {
            Some(run) => checked
                .found(Verdict::Failed, format!("`{}` began a change and is not finished", run.run))
                .help(format!("go on with it by `cutover resume {}`, or begin anew with `cutover run --new`", run.run)),
            None => checked.found(Verdict::Ok, "none under way or left half-way"),
        },
    }
}

/// Who holds the application lock on the server that is failed over to; it is looked at, not taken.
async fn other_machines(servers: &Servers, database: &str) -> Checked {
    let checked = Checked::of("other machines: application lock");
    match AppLock::look(servers, "backup", database).await {
        Ok(None) => checked.found(Verdict::Ok, "nobody holds the application lock"),
        Ok(Some(holder)) => {
            checked.found(Verdict::Failed, format!("the application lock is held by {holder}")).help("talk to whoever that is")
        }
        Err(failure) => checked.found(Verdict::Warning, format!("who holds the application lock cannot be seen: {failure}")),
    }
}
