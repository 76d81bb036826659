//! What `run`, `rehearse` and `resume` share: who answers, and how it is reported.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use miette::{NamedSource, SourceSpan};

use super::error::WrongAnswers;
use super::report_file::ReportFile;
use super::{CliError, Format};
use crate::operator::{By, Policy};
use crate::script::Script;

#[derive(Args, Default)]
pub struct Options {
    /// Ask nobody: confirm is yes, ask takes its default, an irreversible question needs --approve.
    #[arg(long)]
    pub yes: bool,
    /// Approve the irreversible question of this id, with --yes.
    #[arg(long, value_name = "ID")]
    pub approve: Vec<String>,
    /// Answer the questions that this TOML file names by their ids, such as `remove = "after step 4"`; the others are asked.
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// Ask before every step whether to begin it.
    #[arg(long, conflicts_with = "yes")]
    pub step: bool,
    /// Write a report of the run to this file when it ends, however it ends: HTML (`.html`) or Markdown (`.md`).
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// How to report.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

impl Options {
    /// Where the report goes; looked at before anything begins.
    ///
    /// # Errors
    /// The file's name does not say which kind it is, or nothing can be written there.
    pub(super) fn report_file(&self) -> Result<Option<ReportFile>, CliError> {
        self.report.as_deref().map(ReportFile::of).transpose()
    }

    /// What was said beforehand, once for all questions. `rehearsed`: what a scenario's operator answers; a file goes before it.
    ///
    /// # Errors
    /// The file of answers cannot be read, or an id is that of no question.
    pub(super) fn policy(&self, script: &Script, rehearsed: &BTreeMap<String, String>) -> Result<Policy, CliError> {
        // asked for only when an id was given
        let ids = std::cell::LazyCell::new(|| script.question_ids());
        let known = |id: &str| ids.others || ids.written.contains(id);
        let help = |id: &str| {
            let meant = crate::primitives::did_you_mean(id, ids.written.iter().map(String::as_str));
            let all = ids.written.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
            format!("{meant}the runbook's questions are {}", if all.is_empty() { "without ids".to_owned() } else { all })
        };
        if let Some(id) = self.approve.iter().find(|id| !known(id)) {
            return Err(CliError::NoSuchQuestion { id: id.clone(), help: help(id) });
        }
        let said = |(id, answer): (&String, &String)| (id.clone(), (answer.clone(), By::Scenario));
        let mut answers: BTreeMap<_, _> = rehearsed.iter().map(said).collect();
        if let Some(path) = &self.answers {
            let text = std::fs::read_to_string(path).map_err(|source| CliError::AnswersUnreadable { path: path.clone(), source })?;
            for (id, answer, span) in read(path, &text)? {
                if !known(&id) {
                    return Err(wrong(path, &text, format!("no question has the id `{id}`"), span, help(&id)));
                }
                answers.insert(id, (answer, By::File(path.display().to_string())));
            }
        }
        Ok(Policy { yes: self.yes, approved: self.approve.clone(), answers, step: self.step, lab: false })
    }
}

type Span = std::ops::Range<usize>;

/// The answers of a file, with where each stands in its text.
fn read(path: &Path, text: &str) -> Result<Vec<(String, String, Span)>, CliError> {
    let help = "write one answer a line: the question's id, `=`, and the answer in quotes, such as `bring-online = \"no\"`";
    let answers: BTreeMap<toml::Spanned<String>, toml::Spanned<toml::Value>> = toml::from_str(text)
        .map_err(|error| wrong(path, text, error.message().to_owned(), error.span().unwrap_or_default(), help.to_owned()))?;
    let answer = |(id, answer): (toml::Spanned<String>, toml::Spanned<toml::Value>)| {
        let (at, span) = (id.span(), answer.span());
        match answer.into_inner() {
            toml::Value::String(answer) => Ok((id.into_inner(), answer, at)),
            other => Err(wrong(path, text, format!("an answer is text, not {}", other.type_str()), span, help.to_owned())),
        }
    };
    answers.into_iter().map(answer).collect()
}

fn wrong(path: &Path, text: &str, why: String, span: Span, help: String) -> CliError {
    let text = NamedSource::new(path.display().to_string(), Arc::<str>::from(text));
    CliError::Answers(Box::new(WrongAnswers { why, text, span: SourceSpan::from(span), help }))
}
