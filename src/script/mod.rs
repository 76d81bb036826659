//! Runbooks and their modules: read, compiled and checked before anything runs. [`Script::load`] is called by `cli`; `host`
//! evaluates what it returns, `check` looks at it. Never runs anything and touches nothing but the files of the script.
//!
//! All files share one line space: the modules' lines come first, then the runbook's, so a line alone names its file.

mod calls;
mod checks;
pub mod engine;
mod error;
pub mod limits;
mod load;
mod outline;
pub mod parallel;
pub mod span;
pub mod stdlib;
mod syntax;
#[cfg(test)]
mod tests;
pub mod walk;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use miette::{MietteError, MietteSpanContents, NamedSource, SourceCode, SourceSpan, SpanContents};
use rhai::{AST, Position, Token};

pub use crate::facts::nearest;
pub use calls::{Calls, written_call};
pub use engine::seed;
pub use error::{Problem, ScriptError, ScriptErrors};
pub use load::{Library, Loaded, Options, Source};
pub use outline::{PlannedStep, QuestionIds};
use span::{ArgumentSpan, Lexed, Lexeme};
use walk::{Function, Node};

/// What a runbook may call besides its own functions.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Called only by calls written out.
    pub primitives: BTreeSet<&'static str>,
    /// Registered functions and methods.
    pub functions: BTreeSet<&'static str>,
}

/// Where a file of a script was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Runbook,
    /// A module in the runbook's folder.
    Beside,
    /// A module in the site's `stdlib`.
    Site,
    /// A module built into the program, or the embedded runbook's.
    Embedded,
}

/// An import at the top of a file.
#[derive(Clone, Debug)]
pub struct Import {
    pub alias: String,
    /// As written.
    pub module: String,
    /// Index of the file it found.
    pub file: usize,
}

/// One file of a script, compiled.
#[derive(Debug)]
pub struct SourceFile {
    /// As shown to people.
    pub name: String,
    pub path: Option<PathBuf>,
    pub kind: Kind,
    /// The text that imports it; nothing for the runbook.
    pub module: Option<String>,
    /// Without a byte order mark.
    pub text: Arc<str>,
    /// True if the file begins with a byte order mark: its bytes lie three further on.
    pub bom: bool,
    /// Lines of the run before this file's first.
    pub first_line: usize,
    pub ast: AST,
    /// Its functions and closures, by their place in the text.
    pub functions: Vec<Function>,
    /// Its calls of primitives.
    pub calls: Calls,
    /// False if Rhai's parser refuses it: statements that hold an error are left out of what is here.
    pub whole: bool,
    /// Where the file begins in [`Script`]'s own space of bytes.
    base: usize,
    line_starts: Arc<[usize]>,
    lexed: OnceLock<Lexed>,
}

impl SourceFile {
    /// The text with its name, for a diagnostic.
    pub fn named(&self) -> NamedSource<Arc<str>> {
        NamedSource::new(&self.name, self.text.clone())
    }

    /// Visits every node of the file: its top level, then its functions.
    pub fn nodes<'a>(&'a self, visit: &mut dyn FnMut(Node<'a>)) {
        walk::statements(self.ast.statements(), visit);
        for function in &self.functions {
            walk::statements(&function.statements, visit);
        }
    }

    /// True if the text defines a function of that name, also where the parser refuses it.
    fn defines(&self, function: &str) -> bool {
        let named = |pair: &[Lexeme]| matches!(&pair[1].token, Token::Identifier(name) if name.as_str() == function);
        self.functions.iter().any(|own| own.name == function)
            || (!self.whole && self.lexemes().windows(2).any(|pair| matches!(pair[0].token, Token::Fn) && named(pair)))
    }

    /// The file's tokens with their bytes; lexed when first asked for.
    pub fn lexemes(&self) -> &[Lexeme] {
        &self.lexed().lexemes
    }

    fn lexed(&self) -> &Lexed {
        self.lexed.get_or_init(|| span::lex(&self.text, &self.line_starts))
    }

    /// Line and column, from 1, of a byte.
    pub fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= byte).max(1);
        let start = self.line_starts[line - 1];
        let column = self.text.get(start..byte).map_or(0, |t| t.chars().count());
        (line, column + 1)
    }

    /// The token that starts at a position of the run, by its index.
    fn lexeme_at(&self, position: Position) -> Option<usize> {
        let line = position.line()?.checked_sub(self.first_line)?;
        let at = (line, position.position()?);
        let lexemes = self.lexemes();
        lexemes.iter().position(|l| (l.line, l.column) == at)
    }

    /// The bytes of the token at a position, or of one character if there is none.
    pub fn span_at(&self, position: Position) -> Range<usize> {
        if let Some(index) = self.lexeme_at(position) {
            let lexemes = self.lexemes();
            // Rhai gives a property's error the place of its dot
            return match (&lexemes[index].token, lexemes.get(index + 1)) {
                (Token::Period | Token::Elvis, Some(property)) => property.span.clone(),
                _ => lexemes[index].span.clone(),
            };
        }
        let line = position.line().unwrap_or(0).saturating_sub(self.first_line);
        let start = span::byte_at(&self.text, &self.line_starts, line, position.position().unwrap_or(1));
        let width = self.text[start..].chars().next().map_or(0, char::len_utf8);
        start..start + width
    }
}

/// Bytes in one file of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    pub file: usize,
    pub span: Range<usize>,
    /// From 1.
    pub line: usize,
    pub column: usize,
}

/// A runbook with every module it imports, ready to run.
#[derive(Debug)]
pub struct Script {
    /// The runbook first.
    pub files: Vec<Arc<SourceFile>>,
    /// What each file imports at its top.
    pub imports: Vec<Vec<Import>>,
    /// What it was loaded with.
    pub names: Arc<Names>,
    /// Every closure: its file, and its index among the file's functions.
    closures: HashMap<String, (usize, usize)>,
    functions: BTreeSet<String>,
    /// Calls of what nothing defines, by their place, each with what it most likely means.
    astray: HashMap<(usize, usize), Option<String>>,
}

impl Script {
    /// The runbook itself.
    pub fn runbook(&self) -> &SourceFile {
        &self.files[0]
    }

    /// True if the text calls that primitive there.
    pub fn calls(&self, primitive: &str, position: Position) -> bool {
        self.file_of(position).is_some_and(|file| self.files[file].calls.contains(primitive, position))
    }

    /// For a call of what nothing defines what it most likely means, if that is known; nothing for any other call.
    pub fn astray(&self, call: Position) -> Option<Option<&str>> {
        self.astray.get(&walk::place(call)).map(Option::as_deref)
    }

    /// True if it calls what nothing defines, and nobody knows what was meant.
    pub fn goes_astray(&self) -> bool {
        let imported = |file: &SourceFile| file.ast.statements().iter().filter(|stmt| matches!(stmt, rhai::Stmt::Import(..))).count();
        self.astray.values().any(Option::is_none) || self.files.iter().zip(&self.imports).any(|(file, own)| imported(file) > own.len())
    }

    /// True if Rhai's parser takes all of it.
    pub fn is_whole(&self) -> bool {
        self.files.iter().all(|file| file.whole)
    }

    /// True if the runbook's top level only defines things: an empty file, or a module taken for a runbook.
    pub fn does_nothing(&self) -> bool {
        self.runbook().ast.statements().iter().all(|stmt| match stmt {
            rhai::Stmt::Import(..) | rhai::Stmt::Noop(_) => true,
            rhai::Stmt::Var(_, flags, _) => flags.intersects(rhai::ASTFlags::CONSTANT),
            _ => false,
        })
    }

    /// The file that wrote a closure, and how many parameters it has, captured values among them.
    pub fn closure(&self, name: &str) -> Option<(usize, usize)> {
        let (file, at) = self.function_of(name)?;
        Some((file, self.files[file].functions[at].parameters.len()))
    }

    /// The file that wrote a closure, and its index among the file's functions.
    pub fn function_of(&self, closure: &str) -> Option<(usize, usize)> {
        self.closures.get(closure).copied()
    }

    /// True if a file of the script defines a function of that name.
    pub fn defines(&self, function: &str) -> bool {
        self.functions.contains(function)
    }

    /// The file that a line of the run belongs to.
    pub fn file_of(&self, position: Position) -> Option<usize> {
        let line = position.line()?;
        (0..self.files.len()).filter(|f| self.files[*f].first_line < line).max_by_key(|f| self.files[*f].first_line)
    }

    /// Where a position of the run lies.
    pub fn spot(&self, position: Position) -> Option<Spot> {
        let file = self.file_of(position)?;
        let span = self.files[file].span_at(position);
        Some(self.spot_of(file, span))
    }

    /// The place of some bytes of a file.
    pub fn spot_of(&self, file: usize, span: Range<usize>) -> Spot {
        let (line, column) = self.files[file].line_and_column(span.start);
        Spot { file, span, line, column }
    }

    /// The arguments of the call at a position, as written.
    pub fn arguments(&self, call: Position) -> Vec<ArgumentSpan> {
        let Some(file) = self.file_of(call).map(|f| &self.files[f]) else { return Vec::new() };
        file.lexeme_at(call).map_or_else(Vec::new, |name| span::arguments(file.lexemes(), name))
    }

    /// The bytes in the file of a range of a text literal's value; the whole literal where the two do not map exactly.
    pub fn within_literal(&self, file: usize, literal: usize, range: &Range<usize>) -> Range<usize> {
        let file = &self.files[file];
        let lexeme = &file.lexemes()[literal];
        let raw = &file.text[lexeme.span.clone()];
        let Token::StringConstant(value) = &lexeme.token else { return lexeme.span.clone() };
        let map = span::literal_map(raw, value, lexeme.column);
        match map.as_ref().and_then(|m| Some((m.get(range.start)?, m.get(range.end)?))) {
            Some((start, end)) => lexeme.span.start + start..lexeme.span.start + end,
            None => lexeme.span.clone(),
        }
    }

    /// The file and bytes of a range of a constant text: the whole text of a literal, or the nth constant part of one with
    /// values in it. `value` is that part's value. Nothing if the literal is not found.
    pub fn span_in_literal(
        &self,
        file: usize,
        literal: Position,
        part: usize,
        value: &str,
        range: &Range<usize>,
    ) -> Option<(usize, Range<usize>)> {
        let source = self.files.get(file)?;
        let first = source.lexeme_at(literal)?;
        let lexeme = span::constant_parts(source.lexemes(), first).get(part).map(|at| &source.lexemes()[*at])?;
        let raw = &source.text[lexeme.span.clone()];
        let map = if part == 0 { span::literal_map(raw, value, lexeme.column) } else { span::rest_map(raw, value) };
        Some(match map.as_ref().and_then(|m| Some((m.get(range.start)?, m.get(range.end)?))) {
            Some((start, end)) => (file, lexeme.span.start + start..lexeme.span.start + end),
            None => (file, lexeme.span.clone()),
        })
    }

    /// A span of a file in the space of bytes that this script is as a [`SourceCode`].
    pub fn label(&self, file: usize, span: &Range<usize>) -> SourceSpan {
        let base = self.files[file].base;
        (base + span.start..base + span.end).into()
    }
}

/// All files as one source, so that one diagnostic can label several; each snippet names its own file.
impl SourceCode for Script {
    fn read_span<'a>(&'a self, span: &SourceSpan, before: usize, after: usize) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let here = (0..self.files.len()).filter(|f| self.files[*f].base <= span.offset());
        let index = here.max_by_key(|f| self.files[*f].base).ok_or(MietteError::OutOfBounds)?;
        let file = &self.files[index];
        let inner = SourceSpan::new((span.offset() - file.base).into(), span.len());
        let found = file.text.read_span(&inner, before, after)?;
        let outer = SourceSpan::new((found.span().offset() + file.base).into(), found.span().len());
        Ok(Box::new(MietteSpanContents::new_named(
            file.name.clone(),
            found.data(),
            outer,
            found.line(),
            found.column(),
            // miette joins two snippets that are this close; its own count takes the lines before for near ones
            found.data().split(|byte| *byte == b'\n').count().saturating_sub(1),
        )))
    }
}
