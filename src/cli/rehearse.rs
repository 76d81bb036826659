//! `cutover rehearse`: a runbook against a lab of its own.

use std::path::PathBuf;

use clap::Args;

use super::execute::{Asked, execute, load_script, load_site, runbook_file};
use super::lab::{Folder, LabChoice, start};
use super::{CliError, Format, record};
use crate::report;
use crate::script::{Source, stdlib};

#[derive(Args)]
#[command(after_help = "Examples:\n  cutover rehearse --yes\n  cutover rehearse --yes --keep /tmp/rehearsal --seed 7 --pace 0")]
pub struct RehearseArgs {
    /// The runbook; the stock failover unless given.
    pub runbook: Option<PathBuf>,
    #[command(flatten)]
    pub lab: LabChoice,
    /// Keep the lab's folder, with world.json, wire.jsonl and shell.jsonl, in this new folder.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Override a key of the lab's site file, e.g. `vars.ticket="INC-7"`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Ask nobody: confirm is yes, ask takes its default.
    #[arg(long)]
    pub yes: bool,
    /// How to report.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

pub fn main(arguments: &RehearseArgs) -> Result<u8, CliError> {
    let source = match &arguments.runbook {
        Some(file) => runbook_file(file)?,
        None => {
            let (name, text) = stdlib::STOCK_RUNBOOK;
            Source::Text { name, text }
        }
    };
    let folder = Folder::of(arguments.keep.as_deref())?;
    let dir = folder.path();
    let runtime = super::runtime()?;
    let lab = runtime.block_on(start(&arguments.lab, dir, "127.0.0.1".parse().expect("an address")))?;
    let done = load_site(lab.site_file(), &arguments.set).and_then(|site| {
        site.check_secrets()?;
        let script = load_script(&site, source)?;
        let ready = record::create(&site, script, Some(&dir.join("runs")), &arguments.set, false)?;
        let asked =
            Asked { yes: arguments.yes, approve: Vec::new(), format: arguments.format, passing: arguments.keep.is_none(), rehearsal: true };
        execute(&runtime, &site, ready, &asked)
    });
    // also after a failure: what the world looks like then is what somebody wants to know
    runtime.block_on(lab.stop())?;
    let code = done?;
    if let (Some(keep), Format::Human) = (&arguments.keep, arguments.format) {
        report::talk(&format!("the lab's end: {}", keep.join("world.json").display()));
    }
    Ok(code)
}
