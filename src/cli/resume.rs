//! `cutover resume`: goes on with a run that was stopped, failed or died, here or on another machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::execute::{Asked, execute, load_script, load_site, runs_in};
use super::options::Options;
use super::{CliError, record};
use crate::journal::{self, Event, FILE, Journal, Lock, Phase, Read, RunOutcome, Source as Copied, Summary};
use crate::report::Loudness;
use crate::script::Source;
use crate::site::Site;

#[derive(Args)]
#[command(
    after_help = "What the record has is not done again: it is shown, dimmed, and the run goes on where it was. A change of which the record \
                  cannot tell whether it was made is settled by its `done_when`, or by you.\n\n\
                  Examples:\n  cutover resume\n  cutover resume 2026-01-02T03-04-05Z-pchat-failover --yes --approve bring-online\n  \
                  cutover resume /mnt/handover/2026-01-02T03-04-05Z-pchat-failover --site site.toml"
)]
pub struct ResumeArgs {
    /// Name of the run, or its folder; the newest unfinished one unless given.
    pub run: Option<String>,
    /// Where the record of runs is kept; else the site file says, else the platform's state folder.
    #[arg(long, value_name = "DIR")]
    pub journal: Option<PathBuf>,
    /// The site file; the one that the run was begun with unless given.
    #[arg(long, value_name = "FILE")]
    pub site: Option<PathBuf>,
    #[command(flatten)]
    pub options: Options,
}

/// What the first line of a record says, as far as a resume needs it.
struct Start {
    run: String,
    id: String,
    program: String,
    site_id: String,
    site_file: PathBuf,
    runbook_file: Option<PathBuf>,
    sources: Vec<Copied>,
    set: Vec<String>,
}

/// The folder of runs that a command means: named, of the named site, of a site file here, or the platform's.
pub(super) fn runs(journal: Option<&PathBuf>, site: Option<&PathBuf>) -> Result<PathBuf, CliError> {
    let of_site = |file: &Path| load_site(file, &[]).map(|site| site.journal);
    let folder = match (journal, site) {
        (Some(folder), _) => Some(folder.clone()),
        (None, Some(file)) => of_site(file)?,
        // a site file that happens to lie here is a hint, and may be of no use
        (None, None) => Some(Path::new("site.toml")).filter(|file| file.is_file()).and_then(|file| of_site(file).ok().flatten()),
    };
    runs_in(folder)
}

/// The folder of the run that a word names: a folder, or a name in the folder of runs.
pub(super) fn find(run: &str, journal: Option<&PathBuf>, site: Option<&PathBuf>) -> Result<PathBuf, CliError> {
    let path = Path::new(run);
    if path.is_dir() {
        return Ok(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    }
    let runs = runs(journal, site)?;
    let folder = runs.join(run);
    if !run.is_empty() && path.components().count() == 1 && folder.is_dir() {
        return Ok(folder);
    }
    let there = journal::list(&runs)?;
    let names = || there.iter().map(|summary| summary.run.as_str());
    let meant = crate::primitives::did_you_mean(run, names());
    let help = match names().next_back() {
        Some(newest) => format!("{meant}the newest there is `{newest}`; `cutover runs` lists them all"),
        None => "there are no runs there; name the folder of runs with `--journal DIR`, or the run's own folder".to_owned(),
    };
    Err(CliError::NoSuchRun { run: run.to_owned(), runs, help })
}

/// The newest run that can be resumed.
fn newest(arguments: &ResumeArgs) -> Result<PathBuf, CliError> {
    let runs = runs(arguments.journal.as_ref(), arguments.site.as_ref())?;
    let of_site = arguments.site.as_deref().map(|file| load_site(file, &[])).transpose()?.map(|site| site.id());
    let found = journal::list(&runs)?;
    let meant = |run: &&Summary| run.resumable && !run.abandoned && of_site.as_ref().is_none_or(|id| run.site_id == *id);
    match found.iter().rev().find(meant) {
        Some(run) => Ok(run.folder.clone()),
        None => Err(CliError::NoUnfinished { runs }),
    }
}

fn start_of(folder: &Path, read: &Read) -> Result<Start, CliError> {
    let nothing = |why: &str| CliError::NothingToResume { folder: folder.to_owned(), why: why.to_owned() };
    if let Some(bad) = &read.bad {
        return Err(CliError::BadRecord { folder: folder.to_owned(), problem: format!("line {}: {}", bad.line, bad.why) });
    }
    let Some(Event::RunStarted { run, id, program, site_id, site_file, runbook_file, sources, set, .. }) =
        read.lines.first().map(|l| &l.event)
    else {
        return Err(nothing("its record has no whole line: nothing was begun"));
    };
    if read.state.phase == Phase::Ended(RunOutcome::Done) {
        return Err(nothing("it is done"));
    }
    if sources.is_empty() {
        return Err(nothing("its record is of an older program and has no copies of its scripts"));
    }
    Ok(Start {
        run: run.clone(),
        id: id.clone(),
        program: program.clone(),
        site_id: site_id.clone(),
        site_file: site_file.into(),
        runbook_file: runbook_file.clone().map(PathBuf::from),
        sources: sources.clone(),
        set: set.clone(),
    })
}

pub fn main(arguments: &ResumeArgs, loudness: Loudness) -> Result<u8, CliError> {
    let report = arguments.options.report_file()?;
    let folder = match &arguments.run {
        Some(run) => find(run, arguments.journal.as_ref(), arguments.site.as_ref())?,
        None => newest(arguments)?,
    };
    if !folder.join(FILE).is_file() {
        return Err(CliError::NothingToResume { folder, why: format!("there is no `{FILE}` in it") });
    }
    let start = start_of(&folder, &journal::read(&folder)?)?;
    let site_file = match &arguments.site {
        Some(file) => file.clone(),
        None if start.site_file.is_file() => start.site_file.clone(),
        None => return Err(CliError::SiteGone { path: start.site_file, copy: folder.join(record::SITE) }),
    };
    let site = load_site(&site_file, &start.set)?;
    site.check_secrets()?;
    let copy = folder.join(start.sources.first().map_or("", |source| source.copy.as_str()));
    let runbook = start.runbook_file.as_deref().filter(|file| file.is_file()).unwrap_or(&copy);
    let script = load_script(&site, Source::Path(runbook))?;
    let policy = arguments.options.policy(&script, &BTreeMap::new())?;
    let differs = differs(&start, &script, &site, runbook == copy);

    let runs = folder.parent().unwrap_or(&folder).to_owned();
    let (lock, _died) = Lock::take(&runs, &site.id(), &record::holder(&start.run))?;
    // read again, now that nobody else can write
    let read = journal::read(&folder)?;
    let start = start_of(&folder, &read)?;
    for line in &read.lines {
        if let Event::EffectFinished { outcome, .. } = &line.event
            && let Err(why) = journal::outcome(&folder, outcome)
        {
            return Err(CliError::BadRecord { folder, problem: format!("line {}: {why}", line.number) });
        }
    }
    let cut = read.torn;
    let journal = Journal::open(&folder, read)?;
    let ready = record::resume(script, journal, lock, (start.run, start.id), start.sources, (differs, cut));
    let runtime = super::runtime()?;
    let asked = Asked { policy, loudness, format: arguments.options.format, report, passing: false, rehearsal: false };
    execute(&runtime, &site, ready, &asked)
}

/// What is not as it was when the run began, one sentence each.
fn differs(start: &Start, script: &crate::script::Script, site: &Site, from_copy: bool) -> Vec<String> {
    let mut found = Vec::new();
    let digest = |text: &str| blake3::hash(text.as_bytes()).to_hex().to_string();
    let now = record::texts(script);
    let recorded = |copy: &str| start.sources.iter().find(|source| source.copy == copy);
    for (n, (name, module, copy, text)) in now.iter().enumerate() {
        let what = if n == 0 { "the runbook" } else { "the module" };
        // a runbook that was renamed is the same runbook
        let before = if n == 0 { start.sources.first() } else { recorded(copy) };
        match before {
            Some(before) if before.blake3 == digest(text) => {}
            Some(_) => found.push(format!("{what} `{name}` was edited")),
            None => found.push(format!("{what} `{}` is new: `{name}`", module.as_deref().unwrap_or_default())),
        }
    }
    for source in start.sources.iter().filter(|source| source.module.is_some()) {
        if !now.iter().any(|(_, _, copy, _)| *copy == source.copy) {
            found.push(format!("the module `{}` is not used any more", source.module.as_deref().unwrap_or_default()));
        }
    }
    if from_copy && start.runbook_file.is_some() {
        found.push("the runbook is not where it was: the copies in the run folder are used".to_owned());
    }
    if recorded(record::SITE).is_some_and(|source| source.blake3 != digest(&site.text)) {
        found.push(format!("the site file `{}` was edited, or is another", site.path.display()));
    }
    if site.id() != start.site_id {
        found.push("the site's name or its servers' addresses are others than when the run began".to_owned());
    }
    if start.program != env!("CARGO_PKG_VERSION") {
        found.push(format!("the program is cutover {}, the run was begun by {}", env!("CARGO_PKG_VERSION"), start.program));
    }
    found
}
