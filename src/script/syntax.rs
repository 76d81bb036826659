//! Rhai's syntax errors in our words.

use std::ops::Range;

use rhai::{AST, Expr, LexError, ParseError, ParseErrorType, Position, Stmt, Token};

use super::engine::{FORBIDDEN, SITE};
use super::span::Lexeme;
use super::walk::{self, Node};
use super::{Names, Problem, SourceFile, limits, nearest};

/// A function that is not at the top of its file.
const INSIDE: &str = "a function is defined inside something else";

/// What to do about errors that are mended, so that the rest of the file is understood.
const SEMICOLON: &str = "write `;`";
const EQUALS: &str = "write `==`, which compares";
const QUOTE: &str = "end it with the quote it began with, on the same line; for several lines use backticks";

/// The problem and its bytes in the file.
pub fn problem(file: &SourceFile, error: &ParseError, names: &Names) -> (Problem, Range<usize>) {
    let position = error.position();
    let problem = forbidden(file, position).or_else(|| reserved(file, error)).unwrap_or_else(|| translate(file, error.err_type(), names));
    let span = if position == Position::NONE || position.line().unwrap_or(0) <= file.first_line {
        let end = file.text.trim_end().len();
        end..end
    } else {
        file.span_at(position)
    };
    if matches!(error.err_type(), ParseErrorType::MissingToken(..)) && file.text[span.clone()] == *"=>" {
        return (translate(file, &ParseErrorType::BadInput(LexError::ImproperSymbol("=>".to_owned(), String::new())), names), span);
    }
    // at the end of the file nothing can be seen; what was opened and not closed can
    if matches!(error.err_type(), ParseErrorType::MissingToken(..))
        && span.start >= file.text.trim_end().len()
        && let Some(open) = never_closed(file)
    {
        let bracket = &file.text[open.clone()];
        let closing = match bracket {
            "(" => ")",
            "[" => "]",
            _ => "}",
        };
        return (syntax(format!("`{bracket}` is opened here and never closed"), format!("write `{closing}` where it ends")), open);
    }
    (problem, span)
}

/// The innermost bracket that is still open at the end of a file.
fn never_closed(file: &SourceFile) -> Option<Range<usize>> {
    let mut open = Vec::new();
    for lexeme in file.lexemes() {
        match lexeme.token {
            Token::LeftBrace | Token::MapStart | Token::LeftParen | Token::LeftBracket => open.push(lexeme.span.clone()),
            Token::RightBrace | Token::RightParen | Token::RightBracket => {
                open.pop();
            }
            _ => {}
        }
    }
    open.pop()
}

/// A forbidden word at that place, whatever Rhai says about it.
fn forbidden(file: &SourceFile, position: Position) -> Option<Problem> {
    let index = file.lexeme_at(position)?;
    let lexemes = file.lexemes();
    let (Token::Identifier(word) | Token::Reserved(word)) = &lexemes[index].token else { return None };
    let (word, help) = FORBIDDEN.iter().find(|(w, _)| *w == word.as_str())?;
    let before = index.checked_sub(1).map(|b| &lexemes[b].token);
    let after = lexemes.get(index + 1).map(|l| &l.token);
    let help = match (before, after) {
        (Some(Token::Period | Token::Elvis), after) if !matches!(after, Some(Token::LeftParen | Token::Unit)) => {
            format!("if it is a column or a key, write `[\"{word}\"]`")
        }
        (_, Some(Token::Colon)) => format!("if it is a key, write it as text: `\"{word}\": …`"),
        _ => (*help).to_owned(),
    };
    Some(Problem::ForbiddenWord { word: (*word).to_owned(), help })
}

/// A word of the language where a key or a property is wanted.
fn reserved(file: &SourceFile, error: &ParseError) -> Option<Problem> {
    let index = file.lexeme_at(error.position())?;
    let key = matches!(file.lexemes().get(index + 1).map(|l| &l.token), Some(Token::Colon));
    let wanted = match error.err_type() {
        ParseErrorType::PropertyExpected => true,
        ParseErrorType::MissingToken(..) => key,
        _ => false,
    };
    if !wanted {
        return None;
    }
    let word = &file.text[file.lexemes()[index].span.clone()];
    let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_word.then(|| {
        syntax(
            format!("`{word}` is a word of the language"),
            format!("as a key write it as text: `\"{word}\": …`; as a column `[\"{word}\"]`"),
        )
    })
}

fn syntax(message: impl Into<String>, help: impl Into<String>) -> Problem {
    Problem::Syntax { message: message.into(), help: help.into() }
}

fn limit(text: String) -> Problem {
    Problem::Limit { limit: text }
}

fn translate(file: &SourceFile, error: &ParseErrorType, names: &Names) -> Problem {
    match error {
        ParseErrorType::BadInput(LexError::ImproperSymbol(word, help)) if FORBIDDEN.iter().any(|(w, _)| w == word) => {
            Problem::ForbiddenWord { word: word.clone(), help: help.clone() }
        }
        ParseErrorType::BadInput(LexError::ImproperSymbol(symbol, _)) => {
            let help = match symbol.as_str() {
                "=>" => "write a closure as `|x| ..`, a function as `fn name(x) { .. }`",
                "=" => return syntax("`=` assigns, and nothing can be assigned here", EQUALS),
                "===" => "write `==`",
                "!==" => "write `!=`",
                ":=" => "write `=`",
                "# {" => "write `#{` without a blank",
                _ => "remove it",
            };
            if symbol.chars().all(|c| c.is_ascii_alphabetic()) {
                return syntax(
                    format!("`{symbol}` does not fit here"),
                    "it begins a statement, and a statement is no value: write it by itself",
                );
            }
            syntax(format!("`{symbol}` means nothing in a runbook"), help)
        }
        ParseErrorType::BadInput(LexError::UnexpectedInput(symbol)) => typographic(symbol),
        ParseErrorType::BadInput(LexError::UnterminatedString) => syntax("a text is not closed", QUOTE),
        ParseErrorType::BadInput(LexError::StringTooLong(_)) | ParseErrorType::LiteralTooLarge(..) => limit(limits::of_data("string")),
        ParseErrorType::BadInput(LexError::MalformedEscapeSequence(escape)) => {
            syntax(format!("`{escape}` is no escape in a text"), "write a backslash as `\\\\`, or the whole text between backticks")
        }
        ParseErrorType::BadInput(LexError::MalformedNumber(number)) => {
            syntax(format!("`{number}` is no number"), "write digits, with at most one point")
        }
        ParseErrorType::BadInput(LexError::MalformedChar(text)) => {
            syntax(format!("`'{text}'` is no single character"), "write a text between double quotes")
        }
        ParseErrorType::UnexpectedEOF => {
            syntax("the file ends in the middle of a statement", "finish the statement, or close what is open")
        }
        ParseErrorType::Reserved(word) => syntax(format!("`{word}` is a reserved word"), "use another name"),
        ParseErrorType::VariableUndefined(name) => variable(file, name, names),
        ParseErrorType::ModuleUndefined(name) => module(file, name),
        ParseErrorType::MissingToken(token, what) => {
            let help = match token.as_str() {
                "," => "write `,`, or close the bracket".to_owned(),
                _ => format!("write `{token}`"),
            };
            syntax(format!("`{token}` is missing {}", what.trim_end_matches('.').replace('\'', "`")), help)
        }
        ParseErrorType::DuplicatedProperty(key) => syntax(format!("the key `{key}` comes twice in a map"), "remove one"),
        ParseErrorType::DuplicatedVariable(name) => syntax(format!("the name `{name}` comes twice"), "rename one"),
        ParseErrorType::FnDuplicatedDefinition(name, _) => {
            Problem::TakenName { name: name.clone(), by: "this file defines it twice".to_owned() }
        }
        ParseErrorType::FnDuplicatedParam(_, name) => syntax(format!("the parameter `{name}` comes twice"), "rename one"),
        ParseErrorType::AssignmentToConstant(name) if name == SITE => Problem::ShadowedSite,
        ParseErrorType::AssignmentToConstant(name) => {
            syntax(format!("`{name}` is a constant and cannot be assigned"), "declare it with `let`, or use another name")
        }
        ParseErrorType::WrongFnDefinition => syntax(INSIDE, "move the `fn` to the top of the file"),
        ParseErrorType::ExprTooDeep => {
            limit(format!("expressions nested {} deep, {} in a function", limits::EXPRESSION_DEPTH, limits::FUNCTION_EXPRESSION_DEPTH))
        }
        ParseErrorType::TooManyFunctions => limit(format!("{} functions and closures in a file", limits::FUNCTIONS)),
        ParseErrorType::LoopBreak => syntax(
            "`break` or `continue` stands outside a loop",
            "put it into a loop; a closure given to `step` or to an array method is no part of the loop around it",
        ),
        other => syntax(sentence(&other.to_string()), "correct the statement"),
    }
}

/// Characters that word processors put in place of those that count.
fn typographic(symbol: &str) -> Problem {
    let plain = |plain: &'static str| Problem::Typographic { written: symbol.to_owned(), plain };
    let help = match symbol.chars().next() {
        Some('–' | '—' | '−') => return plain("-"),
        Some('“' | '”' | '„' | '‘' | '’') => return plain("\""),
        Some('\u{a0}') => return plain(" "),
        Some('\u{feff}') => "remove the byte order mark",
        Some(c) if c.is_alphabetic() => "write names with a–z, digits and `_`; other letters belong in a text",
        Some(c) if c.is_ascii() => return syntax(format!("`{symbol}` does not fit here"), "write what is missing before it, or remove it"),
        _ => "remove it",
    };
    syntax(format!("`{symbol}` means nothing in a runbook"), help)
}

fn variable(file: &SourceFile, name: &str, names: &Names) -> Problem {
    if names.primitives.contains(name) {
        return Problem::IndirectCall { name: name.to_owned() };
    }
    let bound = bound(file);
    let near = nearest(name, bound.iter().copied()).filter(|near| *near != name);
    let help = if let Some(near) = near {
        format!("did you mean `{near}`?")
    } else if is_function(file, name) || names.functions.contains(name) {
        format!("`{name}` is a function: call it, or write a closure `|x| {name}(x)`")
    } else if bound.contains(&name) {
        format!(
            "a function sees only its parameters and `site`: pass `{name}` as a parameter, or declare a `const` and write `global::{name}`"
        )
    } else {
        format!("declare it with `let {name} = …;` before it is used")
    };
    Problem::UnknownVariable { name: name.to_owned(), help, near: near.map(str::to_owned) }
}

fn is_function(file: &SourceFile, name: &str) -> bool {
    names_after(file, |t| matches!(t, Token::Fn)).contains(&name)
}

/// What `let`, `const` and `for` declare, and `site`.
fn bound(file: &SourceFile) -> Vec<&str> {
    let mut names = names_after(file, |t| matches!(t, Token::Let | Token::Const | Token::For));
    names.push(SITE);
    names
}

pub fn imports(file: &SourceFile) -> Vec<&str> {
    names_after(file, |t| matches!(t, Token::As))
}

fn names_after(file: &SourceFile, keyword: impl Fn(&Token) -> bool) -> Vec<&str> {
    file.lexemes()
        .windows(2)
        .filter(|pair| keyword(&pair[0].token))
        .filter_map(|pair| match &pair[1].token {
            Token::Identifier(name) => Some(name.as_str()),
            _ => None,
        })
        .collect()
}

/// Rhai's message as a fragment.
fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect::<String>().replace('\'', "`"),
        None => "this is no statement".to_owned(),
    }
}

/// How many syntax errors of a file are told.
const MOST: usize = 20;

/// Rhai's parser, which takes names that nothing declares: the file, or what is wrong first with a text and where.
type Parses<'a> = &'a dyn Fn(&str) -> Result<AST, (Problem, Range<usize>)>;

/// What there is of a file that Rhai's parser refuses.
pub struct Recovered {
    /// What is understood of it, if anything is; every token has its own place.
    pub ast: Option<AST>,
    pub problems: Vec<(Problem, Range<usize>)>,
    /// The text with its quotes put right, if some were wrong: as long as the file's, to be lexed in its place.
    pub requoted: Option<String>,
    /// The statements that are not among it.
    pub left_out: Vec<Range<usize>>,
}

/// The first error, and those that appear when it is mended, or when the statement that holds it is left out. What is only found
/// at the end of the file follows from what was left out, and is not told.
pub fn recover(file: &SourceFile, parse: Parses<'_>) -> Recovered {
    let mut recovered = Recovered { ast: None, problems: Vec::new(), requoted: None, left_out: Vec::new() };
    let mut text = Mended { text: file.text.to_string(), semicolons: Vec::new() };
    loop {
        let (problem, span) = match parse(&text.whole()) {
            Ok(ast) => {
                recovered.ast = Some(ast);
                return recovered;
            }
            Err(found) => found,
        };
        let before = recovered.problems.last().map(|(_, last)| last.start);
        // a bracket that was left out with its statement closes too much, or nothing any more
        let inside = matches!(&problem, Problem::Syntax { message, .. } if message == INSIDE);
        let follows = !recovered.left_out.is_empty() && (inside || span.start >= file.text.trim_end().len());
        if before.is_some_and(|before| span.start <= before) || follows {
            return recovered;
        }
        let mended = text.mend(file, &problem, &span, parse);
        if mended.is_some() && is_quote(&problem) {
            recovered.requoted = Some(text.text.clone());
        }
        let last = matches!(problem, Problem::Limit { .. } | Problem::UnclosedComment);
        recovered.problems.push((problem, mended.clone().unwrap_or_else(|| span.clone())));
        if last || recovered.problems.len() == MOST {
            return recovered;
        }
        if mended.is_none() {
            match text.leave_out(file, span.start) {
                Some(range) => recovered.left_out.push(range),
                None => return recovered,
            }
        }
    }
}

fn is_quote(problem: &Problem) -> bool {
    matches!(problem, Problem::Syntax { help, .. } if help == QUOTE)
}

/// A file's text while errors are taken out of it: every token keeps its line and column.
struct Mended {
    /// as long as the file's text
    text: String,
    /// where one is put in
    semicolons: Vec<usize>,
}

impl Mended {
    fn whole(&self) -> String {
        let mut text = self.text.clone();
        let mut places = self.semicolons.clone();
        places.sort_unstable();
        for at in places.into_iter().rev() {
            let blank = usize::from(text[at..].starts_with([' ', '\t']));
            text.replace_range(at..at + blank, ";");
        }
        text
    }

    /// Puts right what is surely meant, and returns where the error is shown; nothing if it is not known what is meant.
    fn mend(&mut self, file: &SourceFile, problem: &Problem, span: &Range<usize>, parse: Parses<'_>) -> Option<Range<usize>> {
        let Problem::Syntax { help, .. } = problem else { return None };
        match help.as_str() {
            SEMICOLON => {
                let lexemes = file.lexemes();
                let next = lexemes.iter().position(|lexeme| lexeme.span.start == span.start)?;
                let (last, next) = (&lexemes[next.checked_sub(1)?], &lexemes[next]);
                let end = last.span.end;
                if next.line <= last.line || !begins_statement(&next.token) || self.semicolons.contains(&end) {
                    return None;
                }
                self.semicolons.push(end);
                let start = file.text[..end].char_indices().next_back().map_or(end, |(at, _)| at);
                Some(start..end)
            }
            EQUALS if self.text[span.start..].starts_with("= ") && !self.text[span.end..].trim_start().starts_with('=') => {
                self.text.replace_range(span.start..span.start + 2, "==");
                Some(span.clone())
            }
            QUOTE => self.close_text(span, parse),
            _ => None,
        }
    }

    /// A text that goes on over several lines is closed by the next quote, if what follows it then reads well.
    fn close_text(&mut self, span: &Range<usize>, parse: Parses<'_>) -> Option<Range<usize>> {
        let open = span.start;
        if !self.text[open..].starts_with('"') {
            return None;
        }
        let close = open + 1 + self.text[open + 1..].find('"')?;
        let inner = &self.text[open + 1..close];
        if !inner.contains('\n') || inner.contains(['`', '$']) {
            return None;
        }
        let mut text = self.text.clone();
        text.replace_range(open..=open, "`");
        text.replace_range(close..=close, "`");
        let other = Self { text, semicolons: self.semicolons.clone() };
        let line_end = self.text[close..].find('\n').map_or(self.text.len(), |n| close + n);
        if parse(&other.whole()).is_err_and(|(_, next)| next.start < line_end) {
            return None;
        }
        *self = other;
        Some(span.clone())
    }

    /// Takes out the statement around a byte; if a bracket is wrong and not in it, the one around that.
    fn leave_out(&mut self, file: &SourceFile, at: usize) -> Option<Range<usize>> {
        let mut range = statement_around(&self.text, at)?;
        if !self.pairs(file, &(0..self.text.len())) {
            let mut wider = Some(range.clone());
            while let Some(inner) = wider.as_ref().filter(|inner| self.pairs(file, inner)) {
                wider = self.around(inner);
            }
            range = wider.unwrap_or(range);
        }
        let text = &self.text[range.clone()];
        // newlines and columns stay where they are
        let blank: String = text.chars().flat_map(|c| if c == '\n' { vec![c] } else { vec![' '; c.len_utf8()] }).collect();
        if *text == blank {
            return None;
        }
        // what it declares stays declared, or each use of it would be told, too
        let start = range.start + text.find(|c: char| !c.is_whitespace()).unwrap_or(0);
        // unless it is the name that is wrong
        let kept = declaration(text).filter(|kept| at >= start + kept.len().saturating_sub(" = ();".len())).unwrap_or_default();
        self.text.replace_range(range.clone(), &blank);
        self.text.replace_range(start..start + kept.len(), &kept);
        self.semicolons.retain(|place| !range.contains(place));
        Some(range)
    }

    /// True if every bracket in some bytes has its other half there.
    fn pairs(&self, file: &SourceFile, range: &Range<usize>) -> bool {
        let mut open = Vec::new();
        let there = |lexeme: &&Lexeme| range.start <= lexeme.span.start && lexeme.span.end <= range.end;
        // what was taken out is blank
        let left = |lexeme: &&Lexeme| self.text[lexeme.span.clone()] == file.text[lexeme.span.clone()];
        for lexeme in file.lexemes().iter().filter(there).filter(left) {
            let closes = match lexeme.token {
                Token::LeftBrace | Token::MapStart => Token::RightBrace,
                Token::LeftParen => Token::RightParen,
                Token::LeftBracket | Token::QuestionBracket => Token::RightBracket,
                Token::RightBrace | Token::RightParen | Token::RightBracket if open.pop().as_ref() == Some(&lexeme.token) => continue,
                Token::RightBrace | Token::RightParen | Token::RightBracket => return false,
                _ => continue,
            };
            open.push(closes);
        }
        open.is_empty()
    }

    /// The statement around another one: that of the nearest line before it that is less indented.
    fn around(&self, inner: &Range<usize>) -> Option<Range<usize>> {
        let indented = |line: &str| line.len() - line.trim_start().len();
        let first = self.text[inner.clone()].lines().find(|line| !line.trim().is_empty())?;
        let mut at = inner.start;
        for line in self.text[..inner.start].rsplit('\n').skip(1) {
            at = at.checked_sub(line.len() + 1)?;
            if !line.trim().is_empty() && indented(line) < indented(first) {
                let outer = statement_around(&self.text, at + indented(line))?;
                return Some(outer.start.min(inner.start)..outer.end.max(inner.end));
            }
        }
        None
    }
}

/// True for what may stand first in a statement.
fn begins_statement(token: &Token) -> bool {
    use Token::{Break, Const, Continue, Do, Fn, For, Identifier, If, Import, Let, Loop, Private, Return, Switch, Throw, Try, While};
    matches!(
        token,
        Identifier(_)
            | Let
            | Const
            | If
            | Switch
            | For
            | While
            | Loop
            | Do
            | Try
            | Return
            | Throw
            | Break
            | Continue
            | Import
            | Fn
            | Private
    )
}

/// What a file that compiles otherwise mentions and nothing declares: variables, of a closure each where it is mentioned first,
/// and modules. What `left_out` answers true for may be declared where nothing could be read.
pub fn undeclared(file: &SourceFile, names: &Names, left_out: &dyn Fn(&str) -> bool) -> Vec<(Problem, Range<usize>)> {
    let mut found = Vec::new();
    let aliases = imports(file);
    let mut look = |body: &[Stmt], parameters: &[String]| {
        walk::statements(body, &mut |node| {
            let (namespace, at) = match node {
                Node::Expr(Expr::Variable(parts, _, at)) if parts.2.is_empty() => {
                    let name = parts.1.as_str();
                    // what a closure captures is a parameter of it
                    let declared = parts.0.is_some() || name == SITE || parameters.iter().any(|own| own == name);
                    if !declared && !is_function(file, name) && !left_out(name) {
                        found.push((variable(file, name, names), file.span_at(*at)));
                    }
                    return;
                }
                Node::Expr(Expr::Variable(parts, ..)) => (&parts.2, parts.2.position()),
                Node::Expr(Expr::FnCall(call, _)) | Node::Stmt(Stmt::FnCall(call, _)) if call.is_qualified() => {
                    (&call.namespace, call.namespace.position())
                }
                _ => return,
            };
            let Some(alias) = namespace.path.first().map(|first| first.name.as_str()) else { return };
            if alias != "global" && !aliases.contains(&alias) && !left_out(alias) {
                found.push((module(file, alias), file.span_at(at)));
            }
        });
    };
    look(file.ast.statements(), &[]);
    for function in &file.functions {
        look(&function.statements, &function.parameters);
    }
    found.sort_by_key(|(_, span)| span.start);
    found.dedup_by(|later, before| later.1 == before.1);
    found
}

/// A module that is not imported.
pub fn module(file: &SourceFile, name: &str) -> Problem {
    let help = match nearest(name, imports(file)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write `import \"{name}\" as {name};` at the top of the file"),
    };
    Problem::UnknownImport { name: name.to_owned(), help }
}

/// A declaration of what a statement declares, if it fits into its first line.
fn declaration(statement: &str) -> Option<String> {
    let first = statement.trim_start().lines().next()?;
    let (word, rest) = first.split_once(' ').filter(|(word, _)| matches!(*word, "let" | "const"))?;
    let name: String = rest.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let kept = format!("{word} {name} = ();");
    (!name.is_empty() && name.starts_with(|c: char| !c.is_ascii_digit()) && kept.len() <= first.len()).then_some(kept)
}

/// The lines of the statement around a byte: from the first line after one that ends a statement, to the last line before the
/// next one at the same or a smaller indentation.
fn statement_around(text: &str, at: usize) -> Option<Range<usize>> {
    let mut starts = super::span::line_starts(text);
    starts.push(text.len() + 1);
    let line = starts.partition_point(|start| *start <= at).checked_sub(1)?.min(starts.len() - 2);
    let of = |n: usize| text.get(starts[n]..(starts[n + 1] - 1).min(text.len())).unwrap_or("");
    let indentation = |n: usize| of(n).chars().take_while(|c| c.is_whitespace()).count();
    let ends = |n: usize| of(n).trim_end().ends_with([';', '{', '}']) || of(n).trim().is_empty() || of(n).trim_start().starts_with("//");
    let mut from = line;
    while from > 0 && !ends(from - 1) && indentation(from) > indentation(from - 1).min(indentation(from).saturating_sub(1)) {
        from -= 1;
    }
    let mut to = line + 1;
    while to < starts.len() - 1 && (of(to).trim().is_empty() || indentation(to) > indentation(from)) {
        to += 1;
    }
    // a bracket that closes the statement's own block goes with it
    if to < starts.len() - 1 && indentation(to) == indentation(from) && of(to).trim_start().starts_with(['}', ')', ']']) && to > line {
        to += 1;
    }
    Some(starts[from]..(starts[to] - 1).min(text.len()))
}
