//! `cutover check`: what is wrong or dangerous in a runbook, found without running anything and without touching a network.
//! One rule a file, listed in [`RULES`]; [`order`] works out in which orders effects can happen, and rules about order
//! are stated over that. Called by `cli` (`check`, `run`, `explain`); `report` shows what it returns.

pub mod event;
pub mod finding;
pub mod fix;
pub mod page;
pub mod rules;
pub mod suppress;
pub mod value;

use std::ops::Range;
use std::sync::Arc;

use crate::script::{Script, SourceFile};
use crate::site::Site;

pub use event::{Call, Event, Facts, Inside, Run, Sql};
pub use finding::{Edit, Finding, Related, Severity};

/// One lint.
pub struct Rule {
    /// kebab-case; named for what it finds
    pub slug: &'static str,
    pub severity: Severity,
    /// Markdown: what, why, wrong, right
    pub page: &'static str,
    pub look: Look,
}

/// What a rule looks at.
pub enum Look {
    /// What `script` refuses when it loads a file; [`load`] says which rule it falls under.
    Load,
    /// One file by itself, once.
    File(fn(&File<'_>, &mut Vec<Finding>)),
    /// A runbook with all that it calls.
    Run(fn(&Run<'_>, &mut Vec<Finding>)),
    /// All files that are checked together, once.
    Set(fn(&Set<'_>, &mut Vec<Finding>)),
    /// The comments that suppress findings.
    Comments,
}

/// A file that compiled, by itself.
pub struct File<'a> {
    pub script: &'a Script,
    /// index into the script's files
    pub index: usize,
    pub file: &'a Arc<SourceFile>,
    pub site: Option<&'a Site>,
}

/// All that is checked together.
pub struct Set<'a> {
    /// every runbook and module that compiled, each with the script it was loaded as
    pub scripts: &'a [Arc<Script>],
}

impl Rule {
    /// A finding of this rule. `label` has five words at most, `help` is one imperative sentence.
    pub fn finding(
        &self,
        file: &Arc<SourceFile>,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) -> Finding {
        Finding {
            rule: self.slug,
            severity: self.severity,
            file: file.clone(),
            span,
            message: message.into(),
            label: label.into(),
            help: help.into(),
            related: Vec::new(),
            fixes: Vec::new(),
        }
    }
}

pub use rules::RULES;

/// The rule of that slug.
pub fn find(slug: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.slug == slug)
}

/// What the checked files are checked with.
#[derive(Default)]
pub struct Options {
    /// the site file that was named; else a `site.toml` beside each file counts
    pub site: Option<Arc<Site>>,
    /// what a runbook may call
    pub names: crate::script::Names,
}

/// What a text from standard input is called; its modules are the embedded ones.
pub const STDIN: &str = "<stdin>";

/// A file to check.
#[derive(Clone, Debug)]
pub struct Input {
    pub path: std::path::PathBuf,
    /// stands for the file's own
    pub text: Option<String>,
}

/// What was found in some files.
pub struct Checked {
    /// sorted by file, then place
    pub findings: Vec<Finding>,
    /// how many files were looked at, imported modules that have a path among them
    pub files: usize,
}

/// Why some file could not be checked at all.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum CheckError {
    #[error("cannot read `{}`", path.display())]
    #[diagnostic(code(cutover::check::unreadable), help("name a runbook that you may read, saved as UTF-8"))]
    Unreadable { path: std::path::PathBuf, source: std::io::Error },
    #[error("the site file beside `{}` is wrong", path.display())]
    #[diagnostic(code(cutover::check::site), help("mend the site file, or name another with `--site FILE`"))]
    Site {
        path: std::path::PathBuf,
        #[diagnostic_source]
        source: crate::site::SiteErrors,
    },
}

/// STUB until the driver is there: what `script` refuses, and nothing more.
pub fn check(inputs: &[Input], options: &Options) -> Result<Checked, CheckError> {
    use crate::script::{self, Problem, Source};
    let (mut findings, mut files) = (Vec::new(), Vec::new());
    let load = script::Options { site_stdlib: options.site.as_ref().and_then(|site| site.stdlib.clone()), names: options.names.clone() };
    for Input { path, text } in inputs {
        let source = match text {
            Some(text) if path.as_os_str() == STDIN => Source::Text { name: STDIN, text },
            Some(text) => Source::Instead { path, text },
            None => Source::Path(path),
        };
        let beside = path.with_file_name("site.toml");
        if options.site.is_none() && text.is_none() && beside.is_file() {
            Site::read(&beside, &[]).map_err(|source| CheckError::Site { path: path.clone(), source })?;
        }
        match Script::load(source, &load) {
            Ok(script) => files.extend(script.files),
            Err(errors) => {
                for error in errors.0 {
                    let Some(file) = error.file.clone() else {
                        let Problem::Unreadable { path, source } = *error.problem else { continue };
                        return Err(CheckError::Unreadable { path, source: std::io::Error::new(source.kind(), source.to_string()) });
                    };
                    let slug = error.problem.slug().replace('_', "-");
                    let rule = find(&slug).unwrap_or(RULES[0]);
                    let (message, label, help) = (error.to_string(), error.problem.label(), error.problem.advice());
                    findings.push(rule.finding(&file, error.span, message, label, help));
                    files.push(file);
                }
            }
        }
    }
    files.dedup_by(|a, b| Arc::ptr_eq(a, b));
    let findings = suppress::apply(&files, findings, &|_, slug| find(slug).is_some_and(|rule| matches!(rule.look, Look::Load)));
    Ok(Checked { findings, files: inputs.len() })
}
