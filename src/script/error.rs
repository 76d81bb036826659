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
    /// The runbook's file cannot be opened, or is no text in UTF-8. Nothing was begun.
    #[error("cannot read `{}`", path.display())]
    Unreadable { path: PathBuf, source: Arc<std::io::Error> },
    /// Rhai's parser refuses the text. Everything is compiled before anything runs, so nothing was begun.
    #[error("{message}")]
    Syntax { message: String, help: String },
    /// A character that word processors put in place of the one that counts, such as a long dash or a curly quotation mark. Nothing
    /// was begun.
    #[error("{} means nothing in a runbook", if written == "\u{a0}" { "a no-break space".to_owned() } else { format!("`{written}`") })]
    Typographic { written: String, plain: &'static str },
    /// A comment is opened and never closed: Rhai itself would silently drop the rest of the file, and its steps with it. Nothing
    /// was begun.
    #[error("a comment is opened here and never closed")]
    UnclosedComment,
    /// A word that would get around what can be checked and recorded, such as `eval`, or a clock that a resume could not tell
    /// again. Nothing was begun.
    #[error("`{word}` cannot be used in a runbook")]
    ForbiddenWord { word: String, help: String },
    /// Nothing of that name, with that number of arguments, may be called here: it is no primitive, no function of the file or of a
    /// module that it imports. Nothing was begun.
    #[error("no function `{name}`{}", if *.arity == usize::MAX { String::new() } else { format!(" with {}", count(*.arity)) })]
    UnknownCall {
        name: String,
        arity: usize,
        help: String,
        /// What was probably meant, to be written where the name stands.
        near: Option<String>,
    },
    /// A primitive runs only from a call that is written out, so that everything a runbook can do is seen in its text. Nothing was
    /// begun.
    #[error("`{name}` must be called by a call written out: `{name}(…)`")]
    IndirectCall { name: String },
    /// A name that is not defined where it is used. A function sees its parameters, `site` and `global::NAME`, not the variables
    /// around it. Nothing was begun.
    #[error("no variable `{name}`")]
    UnknownVariable {
        name: String,
        help: String,
        /// What was probably meant.
        near: Option<String>,
    },
    /// Function names are unique over a runbook and all its modules, and never a primitive's or a method's, so that a name says
    /// what runs. Nothing was begun.
    #[error("the function name `{name}` is taken: {by}")]
    TakenName { name: String, by: String },
    /// `site` holds the site's facts everywhere in a runbook; a second one would hide them. Nothing was begun.
    #[error("`site` holds the site's facts and cannot be bound again")]
    ShadowedSite,
    /// A module is looked for beside the runbook, then in the site's own `stdlib`, then among those built in. Nothing was begun.
    #[error("no module `{name}`")]
    UnknownImport { name: String, help: String },
    /// Imports are literal names at the top of a file, each once and never in a circle, so that what runs is known before it runs.
    /// Nothing was begun.
    #[error("{message}")]
    Import { message: String, help: String },
    /// A module holds only functions, constants and imports: what stands outside of them would run at the import, before any step.
    /// Nothing was begun.
    #[error("a module holds only `fn`, `const` and `import`")]
    ModuleBody { help: String },
    /// A closure sees the functions of the file that wrote it; called from another file it would find others of the same name.
    /// Nothing was begun.
    #[error("a closure cannot be given to a module's function")]
    ClosureToModule,
    /// An array's method holds the array while it works, and Rhai refuses a closure that mentions it meanwhile, when it runs.
    /// Nothing was begun.
    #[error("the closure mentions `{name}`, which the method around it is working on")]
    CapturedReceiver { name: String },
    /// The text is longer, deeper or larger than a runbook may be. The limits keep a mistake from taking the machine down; no
    /// procedure comes near them.
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
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "cutover::script::unreadable",
            Self::Syntax { .. } | Self::Typographic { .. } => "cutover::script::syntax",
            Self::UnclosedComment => "cutover::script::unclosed_comment",
            Self::ForbiddenWord { .. } => "cutover::script::forbidden_word",
            Self::UnknownCall { .. } => "cutover::script::unknown_call",
            Self::IndirectCall { .. } => "cutover::script::indirect_call",
            Self::UnknownVariable { .. } => "cutover::script::unknown_variable",
            Self::TakenName { .. } => "cutover::script::taken_name",
            Self::ShadowedSite => "cutover::script::shadowed_site",
            Self::UnknownImport { .. } => "cutover::script::unknown_import",
            Self::Import { .. } => "cutover::script::import",
            Self::ModuleBody { .. } => "cutover::script::module_body",
            Self::ClosureToModule => "cutover::script::closure_to_module",
            Self::CapturedReceiver { .. } => "cutover::script::captured_receiver",
            Self::Limit { .. } => "cutover::script::limit",
        }
    }

    /// The last part of its code.
    pub fn slug(&self) -> &'static str {
        self.code().trim_start_matches("cutover::script::")
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
        Some(Box::new(self.problem.code()))
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
