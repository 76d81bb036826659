//! `cutover runs`: what was run, one run as a timeline, and whether its record is as it was written.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::report_file::{self, Kind};
use super::{CliError, Format, exit, resume};
use crate::journal::{self, FILE, Read, Summary};
use crate::report::{self, Style};

#[derive(Args)]
#[command(
    after_help = "Examples:\n  cutover runs\n  cutover runs report 2026-01-02T03-04-05Z-pchat-failover --html report.html\n  cutover runs show 2026-01-02T03-04-05Z-pchat-failover\n  \
                  cutover runs verify 2026-01-02T03-04-05Z-pchat-failover --format json"
)]
pub struct RunsArgs {
    #[command(subcommand)]
    pub command: Option<RunsCommand>,
    /// Where the record of runs is kept; else the site file says, else the platform's state folder.
    #[arg(long, value_name = "DIR", global = true)]
    pub journal: Option<PathBuf>,
    /// The site file that says where; `site.toml` here if there is one.
    #[arg(long, value_name = "FILE", global = true)]
    pub site: Option<PathBuf>,
    /// How to report; both on standard output.
    #[arg(long, value_enum, default_value_t, global = true)]
    pub format: Format,
}

#[derive(Subcommand)]
pub enum RunsCommand {
    /// List the runs: when, runbook, site, outcome, duration, resumable.
    #[command(
        after_help = "Examples:\n  cutover runs list\n  cutover runs list --journal /srv/cutover/runs\n  cutover runs list --format json"
    )]
    List,
    /// Show one run: its steps, changes, questions and failures, and what was lost.
    #[command(after_help = "Examples:\n  cutover runs show 2026-01-02T03-04-05Z-pchat-failover\n  \
                            cutover runs show /mnt/handover/2026-01-02T03-04-05Z-pchat-failover --format json")]
    Show {
        /// Name of the run, or its folder.
        run: String,
    },
    /// Report on one run for those who were not there: times, changes and their proof, answers, failures, what was lost.
    #[command(
        after_help = "Without --html and --markdown the Markdown is printed. An earlier file of that name is replaced.\n\nExamples:\n  \
                            cutover runs report 2026-01-02T03-04-05Z-pchat-failover\n  \
                            cutover runs report 2026-01-02T03-04-05Z-pchat-failover --html report.html"
    )]
    Report {
        /// Name of the run, or its folder.
        run: String,
        /// Write one HTML file that needs nothing else; `-` is standard output.
        #[arg(long, value_name = "FILE", conflicts_with = "markdown")]
        html: Option<PathBuf>,
        /// Write Markdown; `-` is standard output.
        #[arg(long, value_name = "FILE")]
        markdown: Option<PathBuf>,
    },
    /// Prove that a record is as it was written; names the first line that is not. Exit 1 if there is one.
    #[command(after_help = "Examples:\n  cutover runs verify 2026-01-02T03-04-05Z-pchat-failover\n  \
                            cutover runs verify /mnt/handover/2026-01-02T03-04-05Z-pchat-failover --format json")]
    Verify {
        /// Name of the run, or its folder.
        run: String,
    },
}

pub fn main(arguments: &RunsArgs) -> Result<u8, CliError> {
    let RunsArgs { command, journal, site, format } = arguments;
    match command {
        None | Some(RunsCommand::List) => {
            let runs = journal::list(&resume::runs(journal.as_ref(), site.as_ref())?)?;
            report::data(&match format {
                Format::Human => report::runs::list(&runs, &Style::of_stdout()),
                Format::Json => json!({ "v": 1, "runs": runs }).to_string(),
            });
            Ok(exit::DONE)
        }
        Some(RunsCommand::Show { run }) => {
            let (folder, read) = read(&resume::find(run, journal.as_ref(), site.as_ref())?)?;
            let Some(mut summary) = Summary::of(&folder, &read) else {
                return Err(CliError::NothingToResume { folder, why: "its record has no whole line".to_owned() });
            };
            summary.look(&folder);
            report::data(&match format {
                Format::Human => report::runs::timeline(&report_file::account(&folder)?, &read, &summary, &Style::of_stdout()),
                Format::Json => {
                    let events: Vec<_> = read.lines.iter().map(|line| line.event.to_json(line.at)).collect();
                    json!({ "v": 1, "run": summary, "events": events }).to_string()
                }
            });
            Ok(exit::DONE)
        }
        Some(RunsCommand::Report { run, html, markdown }) => {
            if *format == Format::Json {
                return Err(CliError::NoJson);
            }
            let (folder, _) = read(&resume::find(run, journal.as_ref(), site.as_ref())?)?;
            let account = report_file::account(&folder)?;
            let (kind, file) = match (html, markdown) {
                (Some(file), _) => (Kind::Html, file.as_path()),
                (None, file) => (Kind::Markdown, file.as_deref().unwrap_or(Path::new("-"))),
            };
            let text = kind.render(&account);
            if file == Path::new("-") {
                report::data(text.trim_end());
            } else {
                report_file::write(file, &text)?;
                report::talk(&format!("report: {}", file.display()));
            }
            Ok(exit::DONE)
        }
        Some(RunsCommand::Verify { run }) => {
            let (folder, read) = read(&resume::find(run, journal.as_ref(), site.as_ref())?)?;
            let problems = journal::problems(&folder, &read);
            report::data(&match format {
                Format::Human if problems.is_empty() => {
                    format!("{} lines, each as it was written, and so is every file that they name", read.lines.len())
                }
                Format::Human => {
                    let lines = problems.iter().map(|bad| format!("line {}: {}", bad.line, bad.why));
                    lines.chain([format!("{} lines before are as they were written", read.lines.len())]).collect::<Vec<_>>().join("\n")
                }
                Format::Json => {
                    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
                    json!({ "v": 1, "run": name, "lines": read.lines.len(), "ok": problems.is_empty(), "problems": problems }).to_string()
                }
            });
            Ok(if problems.is_empty() { exit::DONE } else { exit::FAILED })
        }
    }
}

fn read(folder: &Path) -> Result<(PathBuf, Read), CliError> {
    if !folder.join(FILE).is_file() {
        return Err(CliError::NothingToResume { folder: folder.to_owned(), why: format!("there is no `{FILE}` in it") });
    }
    Ok((folder.to_owned(), journal::read(folder)?))
}
