//! `cutover rehearse`: a runbook against a lab of its own, or against every scenario.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::Args;

use super::execute::{Asked, execute, load_script, load_site, runbook_file};
use super::lab::{Folder, LabChoice, QUIET, start};
use super::options::Options;
use super::{CliError, Format, record, scenarios};
use crate::lab::Scenario;
use crate::report::{self, Loudness};
use crate::script::{Source, stdlib};

#[derive(Args)]
#[command(after_help = "Examples:\n  cutover rehearse --yes\n  cutover rehearse --yes --keep /tmp/rehearsal --seed 7 --pace 0\n  \
                  cutover rehearse mine/failover.rhai --all")]
pub struct RehearseArgs {
    /// The runbook; the stock failover unless given.
    pub runbook: Option<PathBuf>,
    /// The scene: the name of a built-in scenario, or a TOML file; `quiet` unless given. Several are judged as with --all.
    #[arg(long, value_name = "NAME|FILE")]
    pub scenario: Vec<String>,
    /// Rehearse every scenario unattended and judge what came of it; exit 1 if one disappoints.
    #[arg(long, conflicts_with_all = ["step", "answers", "approve", "report"])]
    pub all: bool,
    /// With --all: also the scenarios of this folder, its TOML files.
    #[arg(long, value_name = "DIR", requires = "all", conflicts_with = "scenario")]
    pub scenarios: Option<PathBuf>,
    #[command(flatten)]
    pub lab: LabChoice,
    /// Keep the lab's folder, with world.json, wire.jsonl and shell.jsonl, in this new folder; of several, each in one below it.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Override a key of the lab's site file, e.g. `vars.ticket="INC-7"`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    #[command(flatten)]
    pub options: Options,
}

pub fn main(arguments: &RehearseArgs, loudness: Loudness) -> Result<u8, CliError> {
    if arguments.all || arguments.scenario.len() > 1 {
        if arguments.options.report.is_some() {
            return Err(CliError::OneReport);
        }
        return scenarios::main(arguments);
    }
    let source = match &arguments.runbook {
        Some(file) => runbook_file(file)?,
        None => {
            let (name, text) = stdlib::STOCK_RUNBOOK;
            Source::Text { name, text }
        }
    };
    let report = arguments.options.report_file()?;
    let folder = Folder::of(arguments.keep.as_deref())?;
    let dir = folder.path();
    let runtime = super::runtime()?;
    let scenario = Scenario::load(arguments.scenario.first().map_or(QUIET, String::as_str))?;
    let answers = scenario.answers.clone();
    let lab = runtime.block_on(start(scenario, &arguments.lab, dir, Ipv4Addr::LOCALHOST.into()))?;
    let done = load_site(lab.site_file(), &arguments.set).and_then(|site| {
        site.check_secrets()?;
        let script = load_script(&site, source)?;
        let policy = arguments.options.policy(&script, &answers)?;
        let ready = record::create(&site, script, Some(&dir.join("runs")), &arguments.set, false)?;
        let asked =
            Asked { policy, loudness, format: arguments.options.format, report, passing: arguments.keep.is_none(), rehearsal: true };
        execute(&runtime, &site, ready, &asked)
    });
    // also after a failure: what the world looks like then is what somebody wants to know
    runtime.block_on(lab.stop())?;
    let code = done?;
    if let (Some(keep), Format::Human) = (&arguments.keep, arguments.options.format)
        && loudness > Loudness::Quiet
    {
        report::talk(&format!("the lab's end: {}", keep.join("world.json").display()));
    }
    Ok(code)
}
