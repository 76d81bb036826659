//! What is wrong with a runbook or module before anything runs, shown on its text.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use super::SourceFile;

/// What is wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Problem {
    /// The runbook's file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable { path: PathBuf, source: Arc<std::io::Error> },
    /// Rhai's parser refuses the text.
    #[error("{message}")]
    Syntax { message: String, help: String },
    /// A character that word processors put in place of the one that counts.
    #[error("{} means nothing in a runbook", if written == "\u{a0}" { "a no-break space".to_owned() } else { format!("`{written}`") })]
    Typographic { written: String, plain: &'static str },
    /// Rhai itself would silently drop the rest of the file.
    #[error("a comment is opened here and never closed")]
    UnclosedComment,
    /// A word that would get around what can be checked.
    #[error("`{word}` cannot be used in a runbook")]
    ForbiddenWord { word: String, help: String },
    /// Nothing of that name may be called.
    #[error("no function `{name}`{}", if *.arity == usize::MAX { String::new() } else { format!(" with {}", count(*.arity)) })]
    UnknownCall {
        name: String,
        arity: usize,
        help: String,
        /// What was probably meant, to be written where the name stands.
        near: Option<String>,
    },
    /// A primitive reached other than by a call written out.
    #[error("`{name}` must be called by a call written out: `{name}(…)`")]
    IndirectCall { name: String },
    /// A variable that is nowhere defined.
    #[error("no variable `{name}`")]
    UnknownVariable {
        name: String,
        help: String,
        /// What was probably meant.
        near: Option<String>,
    },
    /// A name defined twice, or one that belongs to the program.
    #[error("the function name `{name}` is taken: {by}")]
    TakenName { name: String, by: String },
    /// `site` bound to something else.
    #[error("`site` holds the site's facts and cannot be bound again")]
    ShadowedSite,
    /// No module of that name.
    #[error("no module `{name}`")]
    UnknownImport { name: String, help: String },
    /// An import that is computed, nested, circular or without a name.
    #[error("{message}")]
    Import { message: String, help: String },
    /// A module holds something that would run.
    #[error("a module holds only `fn`, `const` and `import`")]
    ModuleBody { help: String },
    /// A closure crosses from one file to another, where it would see the other file's functions.
    #[error("a closure cannot be given to a module's function")]
    ClosureToModule,
    /// An array method works on the very value that its closure mentions: Rhai refuses it when it runs.
    #[error("the closure mentions `{name}`, which the method around it is working on")]
    CapturedReceiver { name: String },
    /// Too long, too deep, too many.
    #[error("over the limit: {limit}")]
    Limit { limit: String },
}

fn count(arity: usize) -> String {
    match arity {
        0 => "no arguments".to_owned(),
        1 => "1 argument".to_owned(),
        n => format!("{n} arguments"),
    }
}

impl Problem {
    /// The last part of its code.
    pub fn slug(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::Syntax { .. } | Self::Typographic { .. } => "syntax",
            Self::UnclosedComment => "unclosed_comment",
            Self::ForbiddenWord { .. } => "forbidden_word",
            Self::UnknownCall { .. } => "unknown_call",
            Self::IndirectCall { .. } => "indirect_call",
            Self::UnknownVariable { .. } => "unknown_variable",
            Self::TakenName { .. } => "taken_name",
            Self::ShadowedSite => "shadowed_site",
            Self::UnknownImport { .. } => "unknown_import",
            Self::Import { .. } => "import",
            Self::ModuleBody { .. } => "module_body",
            Self::ClosureToModule => "closure_to_module",
            Self::CapturedReceiver { .. } => "captured_receiver",
            Self::Limit { .. } => "limit",
        }
    }

    /// What to do now.
    pub fn advice(&self) -> String {
        match self {
            Self::Unreadable { source, .. } if source.kind() == std::io::ErrorKind::InvalidData => {
                "a runbook is text: save it as UTF-8".to_owned()
            }
            Self::Unreadable { .. } => "give the path of a runbook that you may read".to_owned(),
            Self::Typographic { plain: " ", .. } => "write a plain blank".to_owned(),
            Self::Typographic { plain, .. } => format!("write a plain `{plain}`"),
            Self::UnclosedComment => "write `*/` where the comment ends".to_owned(),
            Self::IndirectCall { name } => format!("write the call out, in a closure where one is wanted: `|x| {name}(x)`"),
            Self::TakenName { .. } => "give the function another name; names are unique over a runbook and its modules".to_owned(),
            Self::ShadowedSite => "use another name".to_owned(),
            Self::ClosureToModule => {
                "write the closure where it is used; pass a value to the module's function, or return one from it".to_owned()
            }
            Self::CapturedReceiver { name } => format!("copy it before: `let copy = {name};`, and let the closure use the copy"),
            Self::Limit { .. } => "make it smaller, or split it".to_owned(),
            Self::Syntax { help, .. }
            | Self::ForbiddenWord { help, .. }
            | Self::UnknownCall { help, .. }
            | Self::UnknownVariable { help, .. }
            | Self::UnknownImport { help, .. }
            | Self::Import { help, .. }
            | Self::ModuleBody { help } => help.clone(),
        }
    }

    /// What to write in place of the bytes that the problem points at, where one name was probably meant.
    pub fn near(&self) -> Option<&str> {
        match self {
            Self::UnknownCall { near, .. } | Self::UnknownVariable { near, .. } => near.as_deref(),
            // one quote of two would leave a text that is never closed
            Self::Typographic { plain, .. } => Some(*plain).filter(|plain| *plain != "\""),
            _ => None,
        }
    }

    pub fn label(&self) -> &'static str {
        match self {
            Self::UnclosedComment => "opened here",
            Self::UnknownCall { .. } | Self::UnknownVariable { .. } | Self::UnknownImport { .. } => "not found",
            Self::TakenName { .. } => "this name",
            _ => "here",
        }
    }
}

/// A problem with its place.
#[derive(Debug)]
pub struct ScriptError {
    pub problem: Box<Problem>,
    /// Nothing when the runbook could not be read at all.
    pub file: Option<Arc<SourceFile>>,
    pub span: Range<usize>,
    pub(super) source: Option<NamedSource<Arc<str>>>,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for ScriptError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.problem)
    }
}

impl Diagnostic for ScriptError {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(format!("cutover::script::{}", self.problem.slug())))
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let advice = self.problem.advice();
        (!advice.is_empty()).then(|| Box::new(advice) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|s| s as &dyn SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.source.as_ref()?;
        let label = LabeledSpan::new_primary_with_span(Some(self.problem.label().to_owned()), self.span.clone());
        Some(Box::new(std::iter::once(label)))
    }
}

/// Everything that was found; at least one.
#[derive(Debug)]
pub struct ScriptErrors(pub Vec<ScriptError>);

impl ScriptErrors {
    fn first(&self) -> &ScriptError {
        self.0.first().expect("a load fails with at least one error")
    }
}

impl fmt::Display for ScriptErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first().fmt(f)
    }
}

impl std::error::Error for ScriptErrors {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(self.first())
    }
}

impl Diagnostic for ScriptErrors {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.first().code()
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.first().help()
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.first().source_code()
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.first().labels()
    }
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        (self.0.len() > 1).then(|| Box::new(self.0[1..].iter().map(|e| e as &dyn Diagnostic)) as Box<dyn Iterator<Item = _>>)
    }
}
