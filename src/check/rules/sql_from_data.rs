//! See `sql-from-data.md`.

use std::ops::Range;

use rhai::Token;

use crate::check::acts::{meant, run_texts};
use crate::check::value::{Piece, Tags, Text, Value};
use crate::check::{Call, Finding, Look, Rule, Run, Severity};
use crate::script::SourceFile;

pub static SQL_FROM_DATA: Rule =
    Rule { slug: "sql-from-data", severity: Severity::Error, page: include_str!("sql-from-data.md"), look: Look::Calls(check) };

/// Where data is known to come from; a parameter of a function by itself may be anything.
const DATA: Tags = Tags(Tags::QUERY.0 | Tags::CHAIN.0 | Tags::BACKUPS.0 | Tags::PS.0 | Tags::ASK.0 | Tags::SITE.0 | Tags::CAUGHT.0);

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    for event in &run.events {
        let call = &event.call;
        if !matches!(call.name(), "sql" | "query") {
            continue;
        }
        for sql in &call.sql {
            for name in run_texts(sql) {
                let Some(value) = meant(call, sql, &name).filter(|value| value.tags().has(DATA)) else { continue };
                let written = name.variable().unwrap_or_default().trim_start_matches('@');
                let span = call.index_of("params").map_or_else(|| run.name_span(call), |index| run.value_span(call, index, written));
                findings.push(finding(run, call, call.file, span, value.tags()));
            }
        }
        for text in call.argument("text").map_or(&[][..], Value::alternatives) {
            match text {
                Value::Text(text) => built(run, call, text, findings),
                Value::Unknown { tags, .. } if tags.has(DATA) => {
                    findings.push(finding(run, call, call.file, run.argument_span(call, 1), *tags));
                }
                _ => {}
            }
        }
    }
}

/// A text that values were put into.
fn built(run: &Run<'_>, call: &Call, text: &Text, findings: &mut Vec<Finding>) {
    let written = text.pieces.iter().any(|piece| matches!(piece, Piece::Constant { text, .. } if !text.trim().is_empty()));
    let mut at = 0;
    for piece in text.pieces.iter() {
        match piece {
            Piece::Constant { text, .. } => at += text.len(),
            Piece::Data { tags, .. } => {
                let hole = at..at + Text::HOLE.len();
                at = hole.end;
                if tags.has(DATA) || (written && tags.has(Tags::PARAMETER)) {
                    let (file, span) = run.text_span(call, 1, text, &hole);
                    let span = whole(&run.script.files[file], &span).unwrap_or(span);
                    findings.push(finding(run, call, file, span, *tags));
                }
            }
        }
    }
}

fn finding(run: &Run<'_>, call: &Call, file: usize, span: Range<usize>, tags: Tags) -> Finding {
    let from = [
        (Tags::QUERY, "what a server answered"),
        (Tags::CHAIN, "what a backup's header says"),
        (Tags::BACKUPS, "the name of a file"),
        (Tags::PS, "what the management shell answered"),
        (Tags::ASK, "what the operator answered"),
        (Tags::SITE, "a value of the site"),
        (Tags::CAUGHT, "an error's text"),
    ];
    let from = from.iter().find(|(tag, _)| tags.has(*tag)).map_or("a value that is not known here", |(_, words)| *words);
    SQL_FROM_DATA.finding(
        &run.script.files[file],
        span,
        format!("the text of this `{}` is built from {from}", call.name()),
        "read as T-SQL",
        "write `@name` for a value, or `{name}` where T-SQL wants a name or a number, and give it in the map after the text",
    )
}

/// The whole expression that a token begins, or of the `${..}` that it stands in.
fn whole(file: &SourceFile, token: &Range<usize>) -> Option<Range<usize>> {
    interpolated(file, token).or_else(|| {
        let lexemes = file.lexemes();
        let first = lexemes.iter().position(|lexeme| lexeme.span.start == token.start)?;
        let mut last = first;
        loop {
            last = match (&lexemes.get(last + 1)?.token, lexemes.get(last + 2).map(|next| &next.token)) {
                (Token::Period | Token::Elvis | Token::DoubleColon, Some(Token::Identifier(_))) => last + 2,
                (Token::LeftParen | Token::LeftBracket, _) => closing(file, last + 1)?,
                (Token::Unit, _) => last + 1,
                _ => return Some(lexemes[first].span.start..lexemes[last].span.end),
            };
        }
    })
}

/// The token that closes a bracket.
fn closing(file: &SourceFile, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    file.lexemes().iter().enumerate().skip(open).find_map(|(at, lexeme)| {
        match lexeme.token {
            Token::LeftParen | Token::LeftBracket | Token::LeftBrace | Token::MapStart => depth += 1,
            Token::RightParen | Token::RightBracket | Token::RightBrace => depth = depth.saturating_sub(1),
            _ => {}
        }
        (depth == 0).then_some(at)
    })
}

/// The whole expression of the `${..}` that a token stands in.
fn interpolated(file: &SourceFile, token: &Range<usize>) -> Option<Range<usize>> {
    let lexemes = file.lexemes();
    let at = lexemes.iter().position(|lexeme| lexeme.span.start == token.start)?;
    let opens = |token: &Token| matches!(token, Token::LeftParen | Token::LeftBracket | Token::LeftBrace | Token::MapStart);
    let closes = |token: &Token| matches!(token, Token::RightParen | Token::RightBracket | Token::RightBrace);
    // a value's place may be its opening brace
    let (mut depth, mut open) = (0_usize, at + 1);
    loop {
        open = open.checked_sub(1)?;
        let token = &lexemes[open].token;
        if closes(token) && open < at {
            depth += 1;
        } else if opens(token) && depth > 0 {
            depth -= 1;
        } else if matches!(token, Token::LeftBrace) && open > 0 && matches!(lexemes[open - 1].token, Token::InterpolatedString(_)) {
            break;
        } else if opens(token) && open < at || matches!(token, Token::SemiColon) && depth == 0 {
            return None;
        }
    }
    let mut depth = 0_usize;
    for index in open + 1..lexemes.len() {
        let token = &lexemes[index].token;
        if opens(token) {
            depth += 1;
        } else if closes(token) && depth == 0 {
            return Some(lexemes[open + 1].span.start..lexemes[index - 1].span.end);
        } else if closes(token) {
            depth -= 1;
        }
    }
    None
}
