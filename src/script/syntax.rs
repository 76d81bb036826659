//! Rhai's syntax errors in our words.

use std::ops::Range;

use rhai::{LexError, ParseError, ParseErrorType, Position, Token};

use super::engine::{FORBIDDEN, SITE};
use super::{Names, Problem, SourceFile, limits, nearest};

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
        ParseErrorType::BadInput(LexError::UnterminatedString) => {
            syntax("a text is not closed", "end it with the quote it began with, on the same line; for several lines use backticks")
        }
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
        ParseErrorType::ModuleUndefined(name) => {
            let aliases: Vec<&str> = imports(file);
            let help = match nearest(name, aliases) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write `import \"{name}\" as {name};` at the top of the file"),
            };
            Problem::UnknownImport { name: name.clone(), help }
        }
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
        ParseErrorType::WrongFnDefinition => syntax("a function is defined inside something else", "move the `fn` to the top of the file"),
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

fn imports(file: &SourceFile) -> Vec<&str> {
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

/// Rhai's parser: what is wrong first with a text, and where.
type Parses<'a> = &'a dyn Fn(&str) -> Result<(), (Problem, Range<usize>)>;

/// The first error, and those that appear when each statement that holds one is left out. What is only found at the end of the
/// file follows from what was left out, and is not told.
pub fn all(file: &SourceFile, first: (Problem, Range<usize>), parse: Parses<'_>) -> Vec<(Problem, Range<usize>)> {
    let mut found = vec![first];
    if matches!(found[0].0, Problem::Limit { .. } | Problem::UnclosedComment) {
        return found;
    }
    let mut text = file.text.to_string();
    while found.len() < MOST {
        let at = found.last().map_or(0, |(_, span)| span.start);
        let Some(range) = statement_around(&text, at) else { break };
        // newlines and columns stay where they are
        let blank: String = text[range.clone()].chars().flat_map(|c| if c == '\n' { vec![c] } else { vec![' '; c.len_utf8()] }).collect();
        if text[range.clone()] == blank {
            break;
        }
        // what it declares stays declared, or each use of it would be told, too
        let start = range.start + text[range.clone()].find(|c: char| !c.is_whitespace()).unwrap_or(0);
        // unless it is the name that is wrong
        let kept = declaration(&text[range.clone()]).filter(|kept| at >= start + kept.len().saturating_sub(" = ();".len()));
        let (kept, at) = (kept.unwrap_or_default(), start);
        text.replace_range(range, &blank);
        text.replace_range(at..at + kept.len(), &kept);
        match parse(&text) {
            Ok(()) => break,
            Err((problem, span)) => {
                let at_end = span.start >= text.trim_end().len();
                let before = found.last().map_or(0, |(_, last)| last.start);
                if at_end || span.start <= before {
                    break;
                }
                found.push((problem, span));
            }
        }
    }
    found
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
