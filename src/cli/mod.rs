//! The command line: one file a subcommand. Wires the rooms together and turns what comes of a run into an exit code.

mod beside;
mod check;
mod codes;
mod completions;
mod divergence;
mod docs;
mod doctor;
mod error;
mod everywhere;
mod execute;
pub mod exit;
mod explain;
mod guard;
mod init;
#[cfg_attr(not(feature = "lab"), path = "without_lab.rs")]
mod lab;
mod man;
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
mod version;

use std::ffi::OsString;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use miette::Diagnostic;

use crate::report::{self, Style};

pub use crate::check::page::document as rules_document;
pub use docs::{reference, table};
pub use error::CliError;
#[cfg(not(feature = "lab"))]
use lab as rehearse;

/// Carries out documented disaster-recovery procedures, written as runbooks that a site can edit.
#[derive(Parser)]
#[command(name = "cutover", version = version::SHORT, long_version = version::LONG, max_term_width = 100)]
#[command(arg_required_else_help = true, after_help = EXAMPLES, after_long_help = long_help())]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    everywhere: everywhere::Everywhere,
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
    /// Look at everything that a failover needs, and change nothing.
    Doctor(doctor::DoctorArgs),
    /// Make a folder for a site: runbooks and modules to edit, a site file, a CI file.
    Init(init::InitArgs),
    /// Find what is wrong or dangerous in runbooks, without running anything.
    Check(check::CheckArgs),
    /// Explain an error code, an error number of SQL Server, a rule of `check`, or a cmdlet.
    Explain(explain::ExplainArgs),
    /// Print the reference of what a runbook may call.
    Docs(docs::DocsArgs),
    /// Print a script that completes this command line in a shell.
    Completions(completions::CompletionsArgs),
    /// Print the manual pages, or write them into a folder.
    Man(man::ManArgs),
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

const EXAMPLES: &str = "Examples:\n  cutover rehearse --yes\n  cutover check runbooks --site site.toml\n  \
                        cutover run runbooks/pchat-failover.rhai --site site.toml\n  cutover resume";

fn long_help() -> String {
    format!("Exit codes:\n{}\n{EXAMPLES}", exit::lines())
}

/// The description of the command line.
fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line; returns the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let text = error.render();
            let in_colour = |style: Style| if style.colour { text.ansi().to_string() } else { text.to_string() };
            // --help and --version are data, mistakes are talk; clap knows which
            if error.use_stderr() {
                report::talk(in_colour(Style::of_stderr()).trim_end());
                return exit::USAGE;
            }
            report::data(in_colour(Style::of_stdout_in_colour()).trim_end());
            return exit::DONE;
        }
    };
    let Cli { command, everywhere } = cli;
    let log = everywhere.begin_log(match &command {
        // what its clients do wrong is nowhere else
        Command::Lab(_) => Some("cutover::lab=warn"),
        _ => None,
    });
    tracing::info!(version = version::SHORT, process = std::process::id(), arguments = ?everywhere::arguments(), "begins");
    let loudness = everywhere.loudness();
    let done = log.and_then(|()| match command {
        Command::Run(arguments) => run::main(&arguments, loudness),
        Command::Resume(arguments) => resume::main(&arguments, loudness),
        Command::Runs(arguments) => runs::main(&arguments),
        Command::Rehearse(arguments) => rehearse::main(&arguments, loudness),
        Command::Lab(arguments) => lab::main(&arguments, loudness),
        Command::Check(arguments) => check::main(&arguments, loudness),
        Command::Doctor(arguments) => doctor::main(&arguments),
        Command::Init(arguments) => init::main(&arguments),
        Command::Explain(arguments) => explain::main(&arguments),
        Command::Docs(arguments) => docs::main(&arguments),
        Command::Completions(arguments) => completions::main(&arguments),
        Command::Man(arguments) => man::main(&arguments),
        Command::LabShell { address } => lab::shell(address),
    });
    let code = done.unwrap_or_else(|error| {
        let code = error.code().map(|code| code.to_string());
        tracing::error!(code, %error, "refused");
        // what is wrong with a command line, a site file or a runbook is said in full
        match code.filter(|_| error.exit() != exit::USAGE).and_then(|code| codes::page_of(&code)) {
            Some(page) => report::explained(&error, &[], Some(page), &Style::of_stderr()),
            None => report::error(&error, &Style::of_stderr()),
        }
        error.exit()
    });
    tracing::info!(code, "the end");
    code
}

/// The runtime of a run: several threads, since the script blocks on its own.
fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    // The allocator asks for pages of 2 MiB. One of them makes `check` quick; here each of a dozen threads would take one or
    // two for some kilobytes. What a run starts has none either. If the kernel refuses, it all takes more memory.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
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
