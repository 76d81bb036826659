//! `cutover run`: a runbook against a real site.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::execute::{Asked, execute, load_script, load_site, runbook_file};
use super::options::Options;
use super::{CliError, check, record};
use crate::report::Loudness;

#[derive(Args)]
#[command(after_help = "Examples:\n  cutover run runbooks/pchat-failover.rhai --site site.toml\n  \
                        cutover run runbooks/pchat-failover.rhai --site site.toml --set vars.ticket='\"INC-7\"'\n  \
                        cutover run runbooks/pchat-failover.rhai --site site.toml --yes --approve bring-online\n  \
                        cutover run runbooks/pchat-failover.rhai --site site.toml --verbose --log run.log")]
pub struct RunArgs {
    /// The runbook.
    pub runbook: PathBuf,
    /// The site file; else `site.toml` beside the runbook or here.
    #[arg(long, value_name = "FILE")]
    pub site: Option<PathBuf>,
    /// Override a key of the site file, e.g. `vars.ticket="INC-7"`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Where the record of runs is kept; else the site file says, else the platform's state folder.
    #[arg(long, value_name = "DIR")]
    pub journal: Option<PathBuf>,
    /// Begin anew although an unfinished run of this site has begun a change; else `cutover resume` goes on with that.
    #[arg(long)]
    pub new: bool,
    /// Run it although `cutover check` finds errors in it; the record says so.
    #[arg(long)]
    pub unchecked: bool,
    #[command(flatten)]
    pub options: Options,
}

pub fn main(arguments: &RunArgs, loudness: Loudness) -> Result<u8, CliError> {
    let runbook = runbook_file(&arguments.runbook)?;
    let report = arguments.options.report_file()?;
    let site_file = match &arguments.site {
        Some(file) => file.clone(),
        None => find_site(&arguments.runbook)?,
    };
    let site = load_site(&site_file, &arguments.set)?;
    site.check_secrets()?;
    let script = load_script(&site, runbook)?;
    if !arguments.unchecked {
        check::before_run(&arguments.runbook, &site)?;
    }
    let policy = arguments.options.policy(&script, &BTreeMap::new())?;
    let ready = record::create(&site, script, arguments.journal.as_ref(), &arguments.set, arguments.new)?;
    let runtime = super::runtime()?;
    let asked = Asked { policy, loudness, format: arguments.options.format, report, passing: false, rehearsal: false };
    execute(&runtime, &site, ready, &asked)
}

/// `site.toml` beside the runbook, else in the current folder.
fn find_site(runbook: &Path) -> Result<PathBuf, CliError> {
    let beside = runbook.with_file_name("site.toml");
    [beside, PathBuf::from("site.toml")].into_iter().find(|file| file.is_file()).ok_or(CliError::NoSite)
}
