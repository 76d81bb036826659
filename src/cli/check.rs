//! `cutover check`: runbooks looked at without running anything, in the format that is asked for; and their fixes, as a diff
//! or written into the files.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::execute::load_site;
use super::{CliError, exit};
use crate::check::{self, Checked, Finding, Input, STDIN, Severity, fix};
use crate::host;
use crate::primitives::PRIMITIVES;
use crate::report::check::{github, human, json, sarif};
use crate::report::{self, Loudness, Style};
use crate::script::engine;
use crate::site::Site;

#[derive(Args)]
#[command(after_help = "Exit codes: 0 nothing found, 1 findings at or above --fail-on, 2 could not check\n\n\
                        Examples:\n  cutover check\n  cutover check runbooks --site site.toml\n  \
                        cutover check runbooks/pchat-failover.rhai --fix --diff\n  cutover check --format sarif > check.sarif")]
pub struct CheckArgs {
    /// Runbooks, modules, or folders of them; `-` is a runbook on standard input. The current folder unless given.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The site file to check with; else the `site.toml` beside each file, if there is one.
    #[arg(long, value_name = "FILE")]
    pub site: Option<PathBuf>,
    /// Override a key of the site file, e.g. `vars.ticket="INC-7"`.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "site")]
    pub set: Vec<String>,
    /// Exit with 1 from this severity on.
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t)]
    pub fail_on: FailOn,
    /// How to report, on standard output.
    #[arg(long, value_enum, default_value_t)]
    pub format: CheckFormat,
    /// Apply the fixes to the files that were named or found in folders.
    #[arg(long)]
    pub fix: bool,
    /// Show what --fix changes; nothing is written unless it is given, too.
    #[arg(long)]
    pub diff: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    Error,
    #[default]
    Warning,
    Advice,
}

impl FailOn {
    fn severity(self) -> Severity {
        match self {
            Self::Error => Severity::Error,
            Self::Warning => Severity::Warning,
            Self::Advice => Severity::Advice,
        }
    }
}

/// How findings are reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// for people
    #[default]
    Human,
    /// one object; docs/check.schema.json describes it
    Json,
    /// SARIF 2.1.0
    Sarif,
    /// workflow commands of GitHub Actions
    Github,
}

pub fn main(arguments: &CheckArgs, loudness: Loudness) -> Result<u8, CliError> {
    let site = arguments.site.as_ref().map(|file| load_site(file, &arguments.set)).transpose()?;
    let options = check::Options { site: site.map(Arc::new), names: host::names(PRIMITIVES) };
    let inputs = inputs(&arguments.paths)?;
    let mut checked = check::check(&inputs, &options)?;
    if arguments.fix || arguments.diff {
        let changed = fixed(&inputs, &checked, &options)?;
        if arguments.diff {
            show(&changed, arguments.format);
        }
        if arguments.fix {
            for change in &changed {
                change.write()?;
            }
            checked = check::check(&inputs, &options)?;
        }
        if arguments.format == CheckFormat::Human && !changed.is_empty() && loudness > Loudness::Quiet {
            let count: usize = changed.iter().map(|change| change.applied).sum();
            let (done, files) = (if arguments.fix { "fixed" } else { "can be fixed" }, changed.len());
            report::talk(&format!("{count} {done} in {files} {}", if files == 1 { "file" } else { "files" }));
        }
    }
    let Checked { findings, files, read } = checked;
    // the program ends soon, and the system takes back everything at once
    std::mem::forget(read);
    let text = match arguments.format {
        CheckFormat::Human => human::render(&findings, files, &Style::of_stdout_in_colour()),
        CheckFormat::Json => json::render(&findings, files),
        CheckFormat::Sarif => sarif::render(&findings),
        CheckFormat::Github => github::render(&findings),
    };
    if !text.is_empty() {
        report::data(&text);
    }
    let worst = findings.iter().map(|finding| finding.severity).max();
    Ok(if worst >= Some(arguments.fail_on.severity()) { exit::FAILED } else { exit::DONE })
}

/// Looks at a runbook before it is run for real: what is found is told, and an error refuses it.
pub(super) fn before_run(runbook: &Path, site: &Site) -> Result<(), CliError> {
    let options = check::Options { site: Some(Arc::new(site.clone())), names: host::names(PRIMITIVES) };
    let mut checked = check::check(&[Input { path: runbook.to_owned(), text: None }], &options)?;
    checked.findings.retain(|finding| finding.severity == Severity::Error);
    if checked.findings.is_empty() {
        return Ok(());
    }
    report::talk(&human::render(&checked.findings, checked.files, &Style::of_stderr()));
    Err(CliError::Dangerous { runbook: runbook.to_owned(), errors: checked.findings.len() })
}

/// What to check: each file once, in the order of the paths, those of a folder sorted.
fn inputs(paths: &[PathBuf]) -> Result<Vec<Input>, CliError> {
    let here = [PathBuf::from(".")];
    let mut seen = BTreeSet::new();
    let mut inputs = Vec::new();
    for path in if paths.is_empty() { &here } else { paths } {
        if path.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text).map_err(|source| CliError::Unreadable { path: STDIN.into(), source })?;
            inputs.push(Input { path: STDIN.into(), text: Some(text) });
            continue;
        }
        let files = if path.is_dir() {
            walk(path)?
        } else if path.try_exists().is_ok_and(|there| there) {
            vec![path.clone()]
        } else {
            return Err(CliError::NoSuchPath { path: path.clone() });
        };
        for file in files {
            if seen.insert(std::fs::canonicalize(&file).unwrap_or_else(|_| file.clone())) {
                inputs.push(Input { path: file, text: None });
            }
        }
    }
    Ok(inputs)
}

/// The runbooks and modules of a folder, and of those in it; not what is hidden or ignored.
fn walk(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let mut found = Vec::new();
    let walk = ignore::WalkBuilder::new(folder).require_git(false).sort_by_file_path(Path::cmp).build();
    for entry in walk {
        let path = entry.map_err(|source| CliError::Walk { path: folder.to_owned(), source })?.into_path();
        if path.extension().is_some_and(|extension| extension == "rhai") && path.is_file() {
            found.push(path.strip_prefix(".").map(Path::to_owned).unwrap_or(path));
        }
    }
    if found.is_empty() {
        return Err(CliError::NoRunbooks { path: folder.to_owned() });
    }
    Ok(found)
}

/// A file whose text changes.
struct Change {
    path: PathBuf,
    /// as it was read, with its byte order mark
    before: String,
    after: String,
    applied: usize,
}

/// How often fixes are looked for again in what was fixed: a fix that met another waits for the next round.
const ROUNDS: usize = 8;

/// What the fixes make of the files.
fn fixed(inputs: &[Input], checked: &Checked, options: &check::Options) -> Result<Vec<Change>, CliError> {
    let mut now: Vec<Input> = inputs.to_vec();
    let mut changes: Vec<Change> = Vec::new();
    let mut again;
    let mut findings = &checked.findings;
    for _ in 0..ROUNDS {
        let mut any = false;
        for input in &mut now {
            let own: Vec<&Finding> = findings.iter().filter(|finding| finding.file.path.as_deref() == Some(&input.path)).collect();
            let Some(file) = own.first().map(|finding| finding.file.clone()) else { continue };
            let fix::Fixed { text, applied } = fix::apply(&file.text, &own, &compiles);
            if applied == 0 {
                continue;
            }
            any = true;
            let mark = if file.bom { "\u{feff}" } else { "" };
            let after = format!("{mark}{text}");
            input.text = Some(after.clone());
            match changes.iter_mut().find(|change| change.path == input.path) {
                Some(change) => (change.after, change.applied) = (after, change.applied + applied),
                None => changes.push(Change { path: input.path.clone(), before: format!("{mark}{}", file.text), after, applied }),
            }
        }
        if !any {
            break;
        }
        again = check::check(&now, options)?;
        findings = &again.findings;
    }
    Ok(changes)
}

/// True for a text that Rhai's parser takes.
fn compiles(text: &str) -> bool {
    engine::parser().compile_with_scope(&engine::scope(), text).is_ok()
}

/// Prints the changes as a diff; on standard error where standard output is for a program.
fn show(changes: &[Change], format: CheckFormat) {
    for change in changes {
        let name = change.path.display();
        let diff = similar::TextDiff::from_lines(&change.before, &change.after);
        let text = diff.unified_diff().header(&format!("{name}"), &format!("{name} (fixed)")).to_string();
        match format {
            CheckFormat::Human => {
                report::data(text.trim_end_matches('\n'));
            }
            _ => report::talk(text.trim_end_matches('\n')),
        }
    }
}

impl Change {
    /// Puts the new text in the file's place, whole or not at all; its permissions stay.
    fn write(&self) -> Result<(), CliError> {
        let unwritable = |source| CliError::Unwritable { path: self.path.clone(), source };
        // a link stays a link
        let path = std::fs::canonicalize(&self.path).map_err(unwritable)?;
        if std::fs::read(&path).map_err(unwritable)? != self.before.as_bytes() {
            return Err(CliError::ChangedMeanwhile { path: self.path.clone() });
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(unwritable)?;
        file.write_all(self.after.as_bytes()).map_err(unwritable)?;
        let permissions = std::fs::metadata(&path).map_err(unwritable)?.permissions();
        file.as_file().set_permissions(permissions).map_err(unwritable)?;
        file.as_file().sync_all().map_err(unwritable)?;
        file.persist(&path).map_err(|error| unwritable(error.error))?;
        Ok(())
    }
}
