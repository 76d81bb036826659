//! The record of a run before its first effect: its folder, the copies of what it was begun with, and its first event.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CliError;
use super::execute::{Ready, runs_in};
use crate::journal::{self, Attempt, Event, Holder, Journal, Lock, Source, StepAhead, Summary};
use crate::script::Script;
use crate::site::Site;

/// What the first event of a run, or of its going on, says.
pub(super) struct Begun {
    /// name of the run: its folder's when it began
    pub(super) run: String,
    /// no other run's, on whichever machine
    pub(super) id: String,
    pub(super) sources: Vec<Source>,
    pub(super) steps: Vec<StepAhead>,
    start: Start,
}

enum Start {
    New { runbook: String, runbook_file: Option<String>, set: Vec<String>, instead_of: Vec<String> },
    Resumed { replays: usize, taken_up: Option<u64>, differs: Vec<String>, cut: u64 },
}

/// Who runs this, and where.
pub(super) fn operator() -> (String, String) {
    (whoami::username().unwrap_or_else(|_| "unknown".to_owned()), whoami::hostname().unwrap_or_else(|_| "unknown".to_owned()))
}

/// operator@host
pub(super) fn who() -> String {
    let (operator, host) = operator();
    format!("{operator}@{host}")
}

pub(super) fn holder(run: &str) -> Holder {
    let (operator, host) = operator();
    Holder { run: run.to_owned(), operator, host, process: std::process::id(), since: jiff::Timestamp::now() }
}

fn arguments() -> Vec<String> {
    std::env::args().skip(1).collect()
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

impl Begun {
    /// What the program name of every connection says: by that the server tells this run from others.
    pub(super) fn connection(&self) -> String {
        format!("{} {}", self.run, self.id).trim_end().to_owned()
    }

    /// The event itself.
    pub(super) fn event(&self, folder: &Path, lab: bool, unattended: bool, site: &Site) -> Event {
        let (operator, host) = operator();
        let (program, folder) = (env!("CARGO_PKG_VERSION").to_owned(), folder.display().to_string());
        match &self.start {
            Start::New { runbook, runbook_file, set, instead_of } => Event::RunStarted {
                run: self.run.clone(),
                id: self.id.clone(),
                folder,
                runbook: runbook.clone(),
                site: site.name.clone(),
                program,
                operator,
                host,
                lab,
                unattended,
                weak: site.weak(),
                site_id: site.id(),
                site_file: absolute(&site.path),
                runbook_file: runbook_file.clone(),
                sources: self.sources.clone(),
                set: set.clone(),
                arguments: arguments(),
                instead_of: instead_of.clone(),
                recovery_time_target_ms: site.recovery_time_target.map(|target| u64::try_from(target.as_millis()).unwrap_or(u64::MAX)),
                steps: self.steps.clone(),
            },
            Start::Resumed { replays, taken_up, differs, cut } => Event::Resumed {
                program,
                operator,
                host,
                folder,
                unattended,
                replays: *replays,
                taken_up: *taken_up,
                differs: differs.clone(),
                cut: *cut,
                arguments: arguments(),
                steps: self.steps.clone(),
            },
        }
    }
}

/// Makes the record of a new run. Refuses while another run holds the site, or has left a change half-way (unless `new`).
pub(super) fn create(site: &Site, script: Arc<Script>, journal: Option<&PathBuf>, set: &[String], new: bool) -> Result<Ready, CliError> {
    let runs = runs_in(journal.or(site.journal.as_ref()).cloned())?;
    let runbook = script.runbook().name.clone();
    let stem = Path::new(&runbook).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let (lock, _died) = Lock::take(&runs, &site.id(), &holder(&stem))?;
    let unfinished: Vec<Summary> =
        journal::list(&runs)?.into_iter().filter(|run| run.site_id == site.id() && run.is_unfinished_change()).collect();
    if let (Some(last), false) = (unfinished.last(), new) {
        return Err(CliError::Unfinished { run: last.run.clone(), folder: last.folder.clone() });
    }
    let journal = Journal::create(&runs, &stem, jiff::Timestamp::now())?;
    lock.note(&holder(&journal.run()))?;
    let sources = copies(&journal, &script, site)?;
    let begun = Begun {
        run: journal.run(),
        id: uuid::Uuid::new_v4().simple().to_string()[..8].to_owned(),
        sources,
        steps: steps(&script),
        start: Start::New {
            runbook_file: script.runbook().path.as_deref().map(absolute),
            runbook,
            set: set.to_vec(),
            instead_of: unfinished.into_iter().map(|run| run.run).collect(),
        },
    };
    Ok(Ready { script, journal, begun, attempt: Attempt::default(), lock })
}

/// Goes on with a record.
pub(super) fn resume(
    script: Arc<Script>,
    journal: Journal,
    lock: Lock,
    (run, id): (String, String),
    sources: Vec<Source>,
    (differs, cut): (Vec<String>, u64),
) -> Ready {
    let attempt = journal.history().resume(jiff::Timestamp::now());
    let start = Start::Resumed {
        replays: attempt.replayed.len(),
        taken_up: attempt.taken_up.as_ref().map(|(recorded, _)| recorded.effect),
        differs,
        cut,
    };
    let steps = steps(&script);
    Ready { script, journal, begun: Begun { run, id, sources, steps, start }, attempt, lock }
}

fn steps(script: &Script) -> Vec<StepAhead> {
    script.steps().into_iter().map(|step| StepAhead { title: step.title, perhaps: step.perhaps }).collect()
}

/// Name of the site file's copy in a run folder.
pub(super) const SITE: &str = "site.toml";

/// What of a script lies under which name in a run folder: the runbook, then its modules, so that they find each other.
pub(super) fn texts(script: &Script) -> Vec<(String, Option<String>, String, Arc<str>)> {
    let copied = |file: &crate::script::SourceFile| {
        let copy = match &file.module {
            Some(module) => format!("script/{module}.rhai"),
            None => {
                let name = Path::new(&file.name).file_name().map(|n| n.to_string_lossy().into_owned());
                format!("script/{}", name.unwrap_or_else(|| "runbook.rhai".to_owned()))
            }
        };
        (file.name.clone(), file.module.clone(), copy, file.text.clone())
    };
    script.files.iter().map(|file| copied(file)).collect()
}

fn copies(journal: &Journal, script: &Script, site: &Site) -> Result<Vec<Source>, CliError> {
    let mut sources = Vec::new();
    for (name, module, copy, text) in texts(script) {
        let blake3 = journal.copy(&copy, text.as_bytes())?;
        sources.push(Source { name, copy, blake3, module });
    }
    let blake3 = journal.copy(SITE, site.text.as_bytes())?;
    sources.push(Source { name: site.path.display().to_string(), copy: SITE.to_owned(), blake3, module: None });
    Ok(sources)
}
