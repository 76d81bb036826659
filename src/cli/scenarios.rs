//! `cutover rehearse --all`: every scenario in a process of its own, a few at a time, and a verdict on each.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use tokio::process::Command;

use super::execute::runbook_file;
use super::lab::Folder;
use super::rehearse::RehearseArgs;
use super::{CliError, Format, Signals, exit};
use crate::lab::{Ended, Scenario, ScenarioError, judge};
use crate::report::rehearsals::{Rehearsed, judged};
use crate::report::{self, Style, shell_word};

/// Labs that serve at once.
const AT_ONCE: usize = 3;
/// A rehearsal that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(180);

/// A scenario and how it is named on the command line.
struct Chosen {
    /// the file's stem, for a scenario in a file
    name: String,
    argument: String,
    scenario: Scenario,
}

pub(super) fn main(arguments: &RehearseArgs) -> Result<u8, CliError> {
    if let Some(file) = &arguments.runbook {
        runbook_file(file)?;
    }
    let chosen = chosen(arguments)?;
    let folder = Folder::of(arguments.keep.as_deref())?;
    let dir = std::path::absolute(folder.path()).map_err(|source| CliError::Folder { path: folder.path().to_owned(), source })?;
    super::runtime()?.block_on(async {
        let mut signals = Signals::listen().map_err(CliError::Runtime)?;
        let rehearsals = stream::iter(&chosen).map(|one| rehearse(arguments, one, &dir)).buffered(AT_ONCE);
        let told = rehearsals.inspect_ok(|one| {
            if arguments.options.format == Format::Json {
                report::data(&one.to_json());
            }
        });
        let all: Vec<Rehearsed> = tokio::select! {
            all = told.try_collect() => match all {
                Ok(all) => all,
                Err(Unusable { error: Some(error), .. }) => return Err(error),
                Err(Unusable { said, .. }) => {
                    report::talk(said.trim_end());
                    return Ok(exit::USAGE);
                }
            },
            _ = signals.next() => return Ok(exit::STOPPED),
        };
        if arguments.options.format == Format::Human {
            report::data(&judged(&all, &Style::of_stdout()));
        }
        Ok(if all.iter().all(|one| one.good) { exit::DONE } else { exit::FAILED })
    })
}

/// The scenarios that were named, else all that are built in and those of the site's own folder; one of the same name is the
/// site's.
fn chosen(arguments: &RehearseArgs) -> Result<Vec<Chosen>, CliError> {
    let mut all: Vec<String> = arguments.scenario.clone();
    if all.is_empty() {
        all = Scenario::names();
        if let Some(folder) = &arguments.scenarios {
            let own = toml_files(folder)?;
            all.retain(|name| !own.iter().any(|file| stem(file) == *name));
            all.extend(own);
        }
    }
    all.into_iter()
        .map(|argument| Ok(Chosen { name: stem(&argument), scenario: Scenario::load(&argument)?, argument }))
        .collect::<Result<_, ScenarioError>>()
        .map_err(CliError::from)
}

fn stem(argument: &str) -> String {
    let stem = argument.strip_suffix(".toml").map(|_| Path::new(argument)).and_then(Path::file_stem);
    stem.map_or_else(|| argument.to_owned(), |stem| stem.to_string_lossy().into_owned())
}

fn toml_files(folder: &Path) -> Result<Vec<String>, CliError> {
    let failed = |source| CliError::Folder { path: folder.to_owned(), source };
    let paths = std::fs::read_dir(folder).map_err(failed)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let mut files: Vec<String> = paths
        .map_err(failed)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    files.sort();
    Ok(files)
}

/// Why nothing can be rehearsed: an error here, or what the first process said that could not begin.
struct Unusable {
    error: Option<CliError>,
    said: String,
}

impl From<CliError> for Unusable {
    fn from(error: CliError) -> Self {
        Self { error: Some(error), said: String::new() }
    }
}

/// Rehearses one scenario in a process of its own, and judges it.
async fn rehearse(arguments: &RehearseArgs, chosen: &Chosen, dir: &Path) -> Result<Rehearsed, Unusable> {
    let folder = dir.join(&chosen.name);
    let failed = |source| CliError::Folder { path: folder.clone(), source };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let words = words(arguments, chosen);
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.args(&words).args(["--format", "json", "--keep"]).arg(&folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let began = Instant::now();
    let output = match tokio::time::timeout(LIMIT, command.output()).await {
        Ok(output) => Some(output.map_err(failed)?),
        Err(_) => None,
    };
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    if let Some(output) = output.as_ref().filter(|output| output.status.code() == Some(i32::from(exit::USAGE))) {
        return Err(Unusable { error: None, said: String::from_utf8_lossy(&output.stderr).into_owned() });
    }
    let ended = output.as_ref().map(ended).unwrap_or_default();
    let verdict = judge(&chosen.scenario, &ended, &folder);
    let (expected, happened, disappointing) = match (verdict, &output) {
        (_, None) => (String::new(), "no end".to_owned(), vec![format!("it did not end within {} s", LIMIT.as_secs())]),
        (Ok(verdict), Some(_)) => (verdict.expected, verdict.happened, verdict.disappointing),
        // the process died before its lab could write down what became of it
        (Err(error), Some(output)) => {
            let last = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
            (String::new(), "no end".to_owned(), vec![format!("the lab left nothing to judge ({error}): {last}")])
        }
    };
    Ok(Rehearsed {
        scenario: chosen.name.clone(),
        expected,
        happened,
        ms,
        good: disappointing.is_empty(),
        disappointing,
        again: std::iter::once("cutover".to_owned()).chain(words.iter().map(|word| shell_word(word))).collect::<Vec<_>>().join(" "),
        folder: arguments.keep.is_some().then_some(folder),
    })
}

/// The command that rehearses one scenario, without the program's name.
fn words(arguments: &RehearseArgs, chosen: &Chosen) -> Vec<String> {
    let mut words = vec!["rehearse".to_owned()];
    words.extend(arguments.runbook.as_ref().map(|runbook| runbook.display().to_string()));
    words.extend(["--yes".to_owned(), "--scenario".to_owned(), chosen.argument.clone()]);
    words.extend(["--seed".to_owned(), arguments.lab.seed.to_string()]);
    words.extend(["--pace".to_owned(), arguments.lab.pace.unwrap_or(0.0).to_string()]);
    words.extend(arguments.set.iter().flat_map(|set| ["--set".to_owned(), set.clone()]));
    words
}

/// How the run ended, and everything that it told: by its events, and by what was drawn of a failure that is no effect's.
fn ended(output: &Output) -> Ended {
    let drawn = String::from_utf8_lossy(&output.stderr);
    let words = drawn.split(|c: char| c.is_whitespace() || c == '│').filter(|word| !word.is_empty());
    let mut ended = Ended { outcome: String::new(), told: vec![words.collect::<Vec<_>>().join(" ")] };
    for event in String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let told = |ended: &mut Ended, keys: &[&str]| {
            ended.told.extend(keys.iter().filter_map(|key| event[*key].as_str()).map(str::to_owned));
        };
        match event["event"].as_str() {
            Some("note") => told(&mut ended, &["text"]),
            Some("effect_failed") => {
                told(&mut ended, &["title", "message", "means", "state", "help", "code"]);
                let messages = event["messages"].as_array().into_iter().flatten();
                ended.told.extend(messages.filter_map(|message| message["shown"].as_str()).map(str::to_owned));
            }
            Some("run_finished") => {
                ended.outcome = event["outcome"].as_str().unwrap_or_default().to_owned();
                let lines = event["loss"]["lines"].as_array().into_iter().flatten();
                ended.told.extend(lines.filter_map(Value::as_str).map(str::to_owned));
            }
            _ => {}
        }
    }
    ended
}
