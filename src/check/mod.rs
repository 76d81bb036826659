//! `cutover check`: what is wrong or dangerous in a runbook, found without running anything and without touching a network.
//! One rule a file, listed in [`RULES`]; [`order`] works out in which orders effects can happen, and rules about order
//! are stated over that. Called by `cli` (`check`, `run`, `explain`); `report` shows what it returns.

pub mod acts;
mod calls;
mod driver;
pub mod event;
pub mod finding;
pub mod fix;
mod narrow;
pub mod order;
pub mod page;
mod reach;
pub mod rules;
pub mod suppress;
#[cfg(test)]
mod tests;
pub mod value;
mod ways;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::script::{Names, Script, SourceFile};
use crate::site::{Site, SiteErrors};

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
    /// What `script` refuses when it loads a file; the driver says which rule it falls under.
    Load,
    /// One file by itself, once.
    File(fn(&File<'_>, &mut Vec<Finding>)),
    /// A runbook with all that it calls.
    Run(fn(&Run<'_>, &mut Vec<Finding>)),
    /// Calls by themselves, whatever happened before: the events of the run are those of calls that were not found clean in
    /// another run.
    Calls(fn(&Run<'_>, &mut Vec<Finding>)),
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

/// What a text from standard input is called; its modules are the embedded ones.
pub const STDIN: &str = "<stdin>";

/// One file to check.
#[derive(Clone, Debug)]
pub struct Input {
    pub path: PathBuf,
    /// stands for the file's text
    pub text: Option<String>,
}

/// What the files are checked with.
#[derive(Clone, Default)]
pub struct Options {
    /// the site file that was named; else a `site.toml` beside each file counts
    pub site: Option<Arc<Site>>,
    /// what a runbook may call
    pub names: Arc<Names>,
}

/// What was found in some files.
#[derive(Debug)]
pub struct Checked {
    /// sorted by file, then place
    pub findings: Vec<Finding>,
    /// how many files were looked at, imported modules that have a path among them
    pub files: usize,
    /// what was read, the program's own modules among them
    pub read: Vec<Arc<SourceFile>>,
}

/// Why some file could not be checked at all.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum CheckError {
    /// A file that was named or found cannot be opened, or is no text in UTF-8. Nothing of it was checked.
    #[error("cannot read `{}`", path.display())]
    #[diagnostic(code(cutover::check::unreadable), help("name a runbook that you may read, saved as UTF-8"))]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// A `site.toml` lies beside the runbook, is therefore checked with, and has mistakes of its own. The runbook was not checked.
    #[error("the site file beside `{}` is wrong", path.display())]
    #[diagnostic(code(cutover::check::site), help("mend the site file, or name another with `--site FILE`"))]
    Site {
        path: PathBuf,
        #[diagnostic_source]
        source: SiteErrors,
    },
}

/// Checks files together: their modules are compiled and followed once.
///
/// # Errors
/// The first file that cannot be read, or whose site file is wrong.
pub fn check(inputs: &[Input], options: &Options) -> Result<Checked, CheckError> {
    driver::check(inputs, options)
}
