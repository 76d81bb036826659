//! The options that every command takes: how much is told, and the log.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use clap::Args;
use tracing_subscriber::filter::{EnvFilter, FilterExt, FilterFn, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use super::CliError;
use crate::report::Loudness;

#[derive(Args)]
pub struct Everywhere {
    /// Tell less: of a run its warnings, questions, failures and end alone.
    #[arg(long, short, global = true, conflicts_with = "verbose", help_heading = "Everywhere")]
    pub quiet: bool,
    /// Tell more: of a run whole statements, the time of every effect, the reads of its tests, and what servers say besides.
    #[arg(long, short, global = true, help_heading = "Everywhere")]
    pub verbose: bool,
    /// Append what the program does to this file, for whoever has to find out why: one JSON object a line, never a secret.
    ///
    /// CUTOVER_LOG says how much: `warn`, `info`, `debug` (unless given), `trace`, or by part, such as
    /// `info,cutover::sqlserver=trace`. The file is made readable by its owner alone. Without --log, CUTOVER_LOG logs to
    /// standard error.
    #[arg(long, value_name = "FILE", global = true, help_heading = "Everywhere")]
    pub log: Option<PathBuf>,
}

/// How much is logged.
const VARIABLE: &str = "CUTOVER_LOG";

impl Everywhere {
    pub(super) fn loudness(&self) -> Loudness {
        match (self.quiet, self.verbose) {
            (true, _) => Loudness::Quiet,
            (_, true) => Loudness::Verbose,
            _ => Loudness::Usual,
        }
    }

    /// Begins to log: to the file, as asked for or else in detail; to standard error, as asked for or else as the command does.
    ///
    /// # Errors
    /// The file cannot be opened, or what is asked for is not understood: nothing is begun then.
    pub(super) fn begin_log(&self, otherwise: Option<&str>) -> Result<(), CliError> {
        let asked = std::env::var(VARIABLE).ok().filter(|asked| !asked.is_empty());
        let to_stderr = match (&asked, &self.log) {
            (Some(asked), None) => Some(asked.as_str()),
            _ => otherwise,
        };
        if self.log.is_none() && to_stderr.is_none() {
            return Ok(());
        }
        let to_file = self.log.as_deref().map(|path| {
            let file = fmt::layer().json().with_writer(Mutex::new(open(path)?)).with_ansi(false);
            Ok::<_, CliError>(file.with_filter(filter(asked.as_deref().unwrap_or("cutover=debug"))?.and(ours())))
        });
        let to_stderr = to_stderr.map(|asked| {
            let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
            Ok::<_, CliError>(lines.with_filter(filter(asked)?.and(ours())))
        });
        // set already when several commands run in one process, as tests do
        let _ = tracing_subscriber::registry().with(to_file.transpose()?).with(to_stderr.transpose()?).try_init();
        Ok(())
    }
}

/// The command line for the log: of `--set KEY=VALUE` the key alone, as a value may be a secret.
pub(super) fn arguments() -> Vec<String> {
    let mut after_set = false;
    let shown = |argument: std::ffi::OsString| {
        let text = argument.to_string_lossy().into_owned();
        let is_value = std::mem::replace(&mut after_set, text == "--set");
        let set = text.strip_prefix("--set=").map(|set| ("--set=", set)).or(is_value.then_some(("", text.as_str())));
        match set.and_then(|(option, set)| Some((option, set.split_once('=')?.0))) {
            Some((option, key)) => format!("{option}{key}=…"),
            None => text,
        }
    };
    std::env::args_os().skip(1).map(shown).collect()
}

fn filter(asked: &str) -> Result<EnvFilter, CliError> {
    EnvFilter::try_new(asked).map_err(|source| CliError::LogFilter { asked: asked.to_owned(), source })
}

/// Only what this program itself says: the crates under it log what they please, of logins too.
fn ours() -> FilterFn {
    filter_fn(|metadata| metadata.target().starts_with("cutover"))
}

fn open(path: &Path) -> Result<std::fs::File, CliError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| CliError::Log { path: path.to_owned(), source })
}
