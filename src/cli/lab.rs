//! `cutover lab`: the lab for anyone's client; and the child process that is its management shell.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{CliError, exit};
use crate::lab::{Lab, LabOptions, Scenario};
use crate::report::{self, Loudness};

/// Which lab, besides its scenario.
#[derive(Args)]
pub struct LabChoice {
    /// Everything random in the lab follows from this number.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How long simulated work takes: 1 as a small site, 0 no waiting. 1 unless given; 0 where every scenario is rehearsed.
    #[arg(long, value_name = "FACTOR", value_parser = pace, allow_negative_numbers = true)]
    pub pace: Option<f64>,
}

pub(super) const QUIET: &str = "quiet";

#[derive(Args)]
#[command(
    after_help = "Examples:\n  cutover lab --keep /tmp/lab\n  cutover run runbooks/pchat-failover.rhai --site /tmp/lab/site.toml   # in another terminal\n  cutover lab --scenario missing-log --pace 0"
)]
pub struct LabArgs {
    /// The scene: the name of a built-in scenario, or a TOML file.
    #[arg(long, default_value = QUIET, value_name = "NAME|FILE")]
    pub scenario: String,
    #[command(flatten)]
    pub lab: LabChoice,
    /// A new folder for the lab: its site file, share and, at the end, world.json, wire.jsonl and shell.jsonl.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// The address to listen on: 127.0.0.1 unless given. Anything but loopback needs `--expose`.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<IpAddr>,
    /// Let other machines reach the lab's SQL Servers: at the address of `--listen`, or at all of this machine.
    #[arg(long)]
    pub expose: bool,
}

impl LabArgs {
    fn address(&self) -> Result<IpAddr, CliError> {
        match (self.listen, self.expose) {
            (None, false) => Ok(Ipv4Addr::LOCALHOST.into()),
            (None, true) => Ok(Ipv4Addr::UNSPECIFIED.into()),
            (Some(address), false) if !address.is_loopback() => Err(CliError::NotExposed { address }),
            (Some(address), _) => Ok(address),
        }
    }
}

fn pace(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && (0.0..=1000.0).contains(&factor) => Ok(factor),
        _ => Err("expected a number from 0 to 1000".to_owned()),
    }
}

/// A lab's folder: kept, or gone when the command ends.
pub(super) enum Folder<'a> {
    Kept(&'a Path),
    Passing(tempfile::TempDir),
}

impl<'a> Folder<'a> {
    pub(super) fn of(keep: Option<&'a Path>) -> Result<Self, CliError> {
        match keep {
            Some(dir) => Ok(Self::Kept(dir)),
            None => tempfile::tempdir().map(Self::Passing).map_err(|source| CliError::Folder { path: std::env::temp_dir(), source }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Kept(dir) => dir,
            Self::Passing(dir) => dir.path(),
        }
    }
}

/// Starts a lab in a folder that is new or empty.
pub(super) async fn start(scenario: Scenario, choice: &LabChoice, dir: &Path, listen: IpAddr) -> Result<Lab, CliError> {
    let failed = |source| CliError::Folder { path: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(failed)?;
    if std::fs::read_dir(dir).map_err(failed)?.next().is_some() {
        return Err(CliError::NotEmpty { path: dir.to_owned() });
    }
    let dir = dir.canonicalize().map_err(failed)?;
    let shell_program = std::env::current_exe().map_err(failed)?;
    Ok(Lab::start(LabOptions { scenario, seed: choice.seed, pace: choice.pace.unwrap_or(1.0), dir, listen, shell_program }).await?)
}

pub fn main(arguments: &LabArgs, loudness: Loudness) -> Result<u8, CliError> {
    let listen = arguments.address()?;
    let runtime = super::runtime()?;
    let folder = Folder::of(arguments.keep.as_deref())?;
    let dir = folder.path();
    let aside = |text: &str| {
        if loudness > Loudness::Quiet {
            report::talk(text);
        }
    };
    runtime.block_on(async {
        // from the start on, so that an impatient Ctrl-C leaves nothing behind either
        let mut signals = super::Signals::listen().map_err(CliError::Runtime)?;
        let lab = start(Scenario::load(&arguments.scenario)?, &arguments.lab, dir, listen).await?;
        if !listen.is_loopback() {
            report::talk(&format!("warning: the lab listens on {listen}: who has its password may do everything in it"));
        }
        aside(&format!(
            "the lab serves until Ctrl-C; in another terminal:\n  cutover run runbooks/pchat-failover.rhai --site {}",
            lab.site_file().display()
        ));
        signals.next().await;
        lab.stop().await?;
        if arguments.keep.is_some() {
            aside(&format!("the lab's end: {}", dir.join("world.json").display()));
        }
        Ok(exit::DONE)
    })
}

/// The child process under the tool: everything it is told goes to the lab, everything the lab says comes back.
pub(super) fn shell(address: SocketAddr) -> Result<u8, CliError> {
    crate::lab::shell::relay(address).map_err(|source| CliError::LabShell { address, source })?;
    Ok(exit::DONE)
}
