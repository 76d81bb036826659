//! What can be wrong with a site file: one error that holds them all, each with its place in the file (or in `--set`) and
//! what to write instead. `report` shows them; nothing here holds a secret.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceSpan};

/// A text that errors point into: the site file, or one `--set`.
pub type Source = Arc<NamedSource<String>>;

/// A place in a text.
#[derive(Clone, Debug)]
pub struct At {
    pub source: Source,
    pub span: SourceSpan,
}

impl At {
    pub fn new(source: &Source, range: std::ops::Range<usize>) -> Self {
        At { source: Arc::clone(source), span: range.into() }
    }
}

/// The site file has mistakes, which are drawn one by one below it with their own codes. Nothing was begun: no server was asked.
/// `runbooks/site.example.toml` shows every key.
#[derive(Debug)]
pub struct SiteErrors {
    path: PathBuf,
    problems: Vec<Problem>,
}

impl SiteErrors {
    /// `problems` must not be empty.
    pub fn new(path: &Path, problems: Vec<Problem>) -> Self {
        SiteErrors { path: path.to_owned(), problems }
    }

    /// In the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl Display for SiteErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.problems.len() {
            1 => write!(f, "the site file `{path}` cannot be used"),
            n => write!(f, "the site file `{path}` cannot be used: {n} errors"),
        }
    }
}

impl std::error::Error for SiteErrors {}

impl Diagnostic for SiteErrors {
    fn code<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        Some(Box::new("cutover::site::unusable"))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

/// One mistake.
#[derive(Debug)]
pub struct Problem {
    pub kind: ProblemKind,
    /// `None`: there is no text to point into
    pub at: Option<At>,
    /// what to do now, one sentence
    pub help: String,
}

/// What the mistake is. Keys are given in full: `sql.backup.port`.
#[derive(Debug, thiserror::Error)]
pub enum ProblemKind {
    /// The site file is not there, or this account may not read it. Nothing was begun.
    #[error("the site file cannot be read: {0}")]
    Unreadable(#[source] std::io::Error),
    /// The site file, or what follows `--set KEY=`, is not valid TOML. Text needs quotation marks; so a shell wants `--set
    /// vars.ticket='"INC-7"'`. Nothing was begun.
    #[error("this is not valid TOML: {0}")]
    Syntax(String),
    /// A key that the site file does not have: most often a slip, and a slip that is ignored would be found at the worst time. What
    /// a site's runbooks want besides goes under `[vars]`. Nothing was begun.
    #[error("the key `{key}` is unknown")]
    UnknownKey { key: String },
    /// A key that the site file must have. Nothing was begun.
    #[error("the key `{key}` is missing")]
    MissingKey { key: String },
    /// The key has a value of another type, such as a number where text is wanted. Nothing was begun.
    #[error("`{key}` must be {wanted}, not {found}")]
    WrongType { key: String, wanted: &'static str, found: &'static str },
    /// The value has the right type and says nothing that this program knows. Nothing was begun.
    #[error("`{key}` must be {wanted}")]
    BadValue { key: String, wanted: String },
    /// Certificates, Kerberos and the topology name machines in full, such as `dr-sql-01.litwareinc.com`. Nothing was begun.
    #[error("`{key}` must be a fully qualified name: {why}")]
    BadName { key: String, why: String },
    /// Shares and folders are written in full: a relative path would mean another folder on each machine and for each account.
    /// Nothing was begun.
    #[error("`{key}` must be an absolute path")]
    NotAbsolute { key: String },
    /// The value needs another operating system, or another build of this program. Nothing was begun.
    #[error("`{key}` cannot be used here: {why}")]
    NotHere { key: String, why: String },
    /// What the site file asks for would send a password in clear, or trust anybody. Nothing was begun.
    #[error("{0}")]
    Unsafe(String),
    /// The password is a reference (an environment variable, a file, the platform's store, a prompt), and what it refers to is not
    /// there. Nothing was begun. The message never holds a secret.
    #[error("the password of `{server}` cannot be had: {why}")]
    Secret { server: String, why: String },
    /// `--set` takes a key of the site file and a value in TOML. Nothing was begun.
    #[error("`--set {0}` is not KEY=VALUE")]
    BadOverride(String),
}

impl Problem {
    /// Its reason alone, for whoever says the rest.
    pub fn why(&self) -> String {
        match &self.kind {
            ProblemKind::Secret { why, .. } => why.clone(),
            kind => kind.to_string(),
        }
    }
}

impl ProblemKind {
    fn code(&self) -> &'static str {
        match self {
            ProblemKind::Unreadable(_) => "cutover::site::unreadable",
            ProblemKind::Syntax(_) => "cutover::site::syntax",
            ProblemKind::UnknownKey { .. } => "cutover::site::unknown_key",
            ProblemKind::MissingKey { .. } => "cutover::site::missing_key",
            ProblemKind::WrongType { .. } => "cutover::site::wrong_type",
            ProblemKind::BadValue { .. } => "cutover::site::bad_value",
            ProblemKind::BadName { .. } => "cutover::site::bad_name",
            ProblemKind::NotAbsolute { .. } => "cutover::site::not_absolute",
            ProblemKind::NotHere { .. } => "cutover::site::not_here",
            ProblemKind::Unsafe(_) => "cutover::site::unsafe",
            ProblemKind::Secret { .. } => "cutover::site::secret",
            ProblemKind::BadOverride(_) => "cutover::site::bad_override",
        }
    }

    /// Where, in five words at most.
    fn label(&self) -> &'static str {
        match self {
            ProblemKind::Unreadable(_) => "this file",
            ProblemKind::Syntax(_) | ProblemKind::BadOverride(_) => "here",
            ProblemKind::UnknownKey { .. } => "unknown",
            ProblemKind::MissingKey { .. } => "missing in here",
            ProblemKind::WrongType { found, .. } => found,
            ProblemKind::BadValue { .. } => "not this",
            ProblemKind::BadName { .. } => "not a fully qualified name",
            ProblemKind::NotAbsolute { .. } => "not absolute",
            ProblemKind::NotHere { .. } => "not here",
            ProblemKind::Unsafe(_) => "unsafe",
            ProblemKind::Secret { .. } => "looked for here",
        }
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}

impl Diagnostic for Problem {
    fn code<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        Some(Box::new(self.kind.code()))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        (!self.help.is_empty()).then(|| Box::new(&self.help) as Box<dyn Display + 'a>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.at.as_ref().map(|at| &at.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let at = self.at.as_ref()?;
        let label = LabeledSpan::new_with_span(Some(self.kind.label().to_owned()), at.span);
        Some(Box::new(std::iter::once(label)))
    }
}
