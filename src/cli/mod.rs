//! The command line: one file a subcommand. Wires the rooms together and turns what comes of a run into an exit code.

mod check;
mod divergence;
mod docs;
mod error;
mod execute;
pub mod exit;
mod explain;
mod guard;
#[cfg_attr(not(feature = "lab"), path = "without_lab.rs")]
mod lab;
mod options;
mod record;
#[cfg(feature = "lab")]
mod rehearse;
mod report_file;
mod resume;
mod run;
mod runs;
#[cfg(feature = "lab")]
mod scenarios;

use std::ffi::OsString;

use clap::{Parser, Subcommand, ValueEnum};

use crate::report::{self, Style};

pub use crate::check::page::document as rules_document;
pub use docs::{reference, table};
pub use error::CliError;
#[cfg(not(feature = "lab"))]
use lab as rehearse;

/// Carries out documented disaster-recovery procedures, written as runbooks that a site can edit.
#[derive(Parser)]
#[command(name = "cutover", version, about, after_help = after_help(), max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a runbook against a real site.
    Run(run::RunArgs),
    /// Go on with a run that was stopped, failed or died.
    Resume(resume::ResumeArgs),
    /// List runs, show one, or prove that its record is as it was written.
    Runs(runs::RunsArgs),
    /// Run a runbook against the embedded lab: nothing real is touched.
    Rehearse(rehearse::RehearseArgs),
    /// Serve the lab for any client until Ctrl-C.
    Lab(lab::LabArgs),
    /// Find what is wrong or dangerous in runbooks, without running anything.
    Check(check::CheckArgs),
    /// Explain a rule of `check`, or an error number of SQL Server.
    Explain(explain::ExplainArgs),
    /// Print the reference of what a runbook may call.
    Docs(docs::DocsArgs),
    /// The lab's management shell: relays standard input and output to a lab.
    #[command(hide = true)]
    LabShell {
        /// where the lab's shell listens
        address: std::net::SocketAddr,
    },
}

/// How a run is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// for people, on standard error
    #[default]
    Human,
    /// one versioned event a line, on standard output
    Json,
}

fn after_help() -> String {
    let mut text = "Exit codes:\n".to_owned();
    for (code, meaning) in exit::TABLE {
        text.push_str(&format!("  {code}  {meaning}\n"));
    }
    text.push_str("\nExamples:\n  cutover rehearse --yes\n  cutover run runbooks/pchat-failover.rhai --site site.toml");
    text
}

/// Runs the command line; returns the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // --help and --version are data, mistakes are talk; clap knows which
            let _ = error.print();
            return if error.use_stderr() { exit::USAGE } else { exit::DONE };
        }
    };
    log_to_stderr(match &cli.command {
        // what its clients do wrong is nowhere else
        Command::Lab(_) => Some("cutover::lab=warn"),
        _ => None,
    });
    let done = match cli.command {
        Command::Run(arguments) => run::main(&arguments),
        Command::Resume(arguments) => resume::main(&arguments),
        Command::Runs(arguments) => runs::main(&arguments),
        Command::Rehearse(arguments) => rehearse::main(&arguments),
        Command::Lab(arguments) => lab::main(&arguments),
        Command::Check(arguments) => check::main(&arguments),
        Command::Explain(arguments) => explain::main(&arguments),
        Command::Docs(arguments) => docs::main(&arguments),
        Command::LabShell { address } => lab::shell(address),
    };
    done.unwrap_or_else(|error| {
        report::error(&error, &Style::of_stderr());
        error.exit()
    })
}

/// Tracing to standard error, as `CUTOVER_LOG` asks for it or else as the command does; off by default, so that people see
/// reports alone.
fn log_to_stderr(otherwise: Option<&str>) {
    let Some(filter) = std::env::var("CUTOVER_LOG").ok().or(otherwise.map(str::to_owned)) else { return };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // set already when several commands run in one process, as tests do
    let _ = subscriber.try_init();
}

/// The runtime of a run: several threads, since the script blocks on its own.
fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(CliError::Runtime)
}

/// Counts Ctrl-C, SIGTERM and a closed terminal into `cancel`, and tells the operator what a second Ctrl-C does.
fn watch_signals(cancel: &crate::effect::Cancel, runtime: &tokio::runtime::Runtime, heard: impl Fn(&str) + Send + 'static) {
    let cancel = cancel.clone();
    let guard = runtime.enter();
    let signals = Signals::listen();
    drop(guard);
    let Ok(mut signals) = signals else {
        tracing::warn!("signals cannot be listened to: Ctrl-C ends the program at once");
        return;
    };
    runtime.spawn(async move {
        loop {
            let times = match signals.next().await {
                // Ctrl-C is a person, who may mean it
                Heard::Interrupt => cancel.request(),
                Heard::Ended => usize::from(cancel.request_once()),
            };
            match times {
                1 => heard("   stopping after what is under way; once more cuts it off"),
                2 => heard("   cutting off what is under way"),
                _ => {}
            }
        }
    });
}

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// Ctrl-C, Ctrl-Break
    Interrupt,
    /// SIGTERM, SIGHUP, a closed console: once, however often it comes
    Ended,
}

/// Ctrl-C, SIGTERM and hang-up; Ctrl-C, Ctrl-Break and a closed console on Windows. Listened to from its making on, so that
/// none is missed between two.
#[cfg(unix)]
struct Signals([tokio::signal::unix::Signal; 3]);

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?]))
    }

    async fn next(&mut self) -> Heard {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => Heard::Interrupt,
            _ = terminate.recv() => Heard::Ended,
            _ = hangup.recv() => Heard::Ended,
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC, tokio::signal::windows::CtrlBreak, tokio::signal::windows::CtrlClose);

#[cfg(windows)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
        Ok(Self(ctrl_c()?, ctrl_break()?, ctrl_close()?))
    }

    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.0.recv() => Heard::Interrupt,
            _ = self.1.recv() => Heard::Interrupt,
            _ = self.2.recv() => Heard::Ended,
        }
    }
}
