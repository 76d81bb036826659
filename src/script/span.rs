//! Byte spans. Rhai gives positions only (line and column, where something starts), so a file that something must be shown
//! in is lexed a second time by Rhai's own lexer, over a stream that counts bytes.

use std::ops::Range;

use rhai::{InputStream, LexError, Position, Token, TokenizeState, get_next_token};

/// One token with its bytes.
#[derive(Clone, Debug)]
pub struct Lexeme {
    pub token: Token,
    /// As Rhai counts, in the file's own lines; column 0 where Rhai gives none.
    pub line: usize,
    pub column: usize,
    pub span: Range<usize>,
}

/// A file's tokens, and where a comment starts that is never closed.
#[derive(Clone, Debug, Default)]
pub struct Lexed {
    pub lexemes: Vec<Lexeme>,
    pub unclosed_comment: Option<usize>,
}

/// Characters of a text, counting bytes.
struct Counting<'a> {
    text: &'a str,
    at: usize,
    /// characters given back; Rhai gives back at most two
    back: Vec<char>,
}

impl InputStream for Counting<'_> {
    fn unget(&mut self, ch: char) {
        self.back.push(ch);
        self.at -= ch.len_utf8();
    }
    fn get_next(&mut self) -> Option<char> {
        let ch = match self.back.pop() {
            Some(ch) => ch,
            None => self.text[self.at..].chars().next()?,
        };
        self.at += ch.len_utf8();
        Some(ch)
    }
    fn peek_next(&mut self) -> Option<char> {
        self.back.last().copied().or_else(|| self.text[self.at..].chars().next())
    }
}

/// Where each line starts.
pub fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// The byte of a line and column, both from 1; saturates at the end of the line.
pub fn byte_at(text: &str, starts: &[usize], line: usize, column: usize) -> usize {
    let Some(start) = line.checked_sub(1).and_then(|l| starts.get(l)).copied() else { return text.len() };
    let end = starts.get(line).copied().unwrap_or(text.len());
    text[start..end].char_indices().nth(column.saturating_sub(1)).map_or(end, |(at, _)| start + at)
}

/// As [`byte_at`], for places in the order of the text: a long line is counted once, not once for each token.
struct Places<'a> {
    text: &'a str,
    starts: &'a [usize],
    /// line, column and byte of the last place
    last: (usize, usize, usize),
}

impl Places<'_> {
    fn byte_at(&mut self, line: usize, column: usize) -> usize {
        let (last_line, last_column, last_byte) = self.last;
        let byte = if line == last_line && column >= last_column && last_column > 0 {
            let end = self.starts.get(line).copied().unwrap_or(self.text.len());
            self.text[last_byte..end].char_indices().nth(column - last_column).map_or(end, |(at, _)| last_byte + at)
        } else {
            byte_at(self.text, self.starts, line, column)
        };
        self.last = (line, column, byte);
        byte
    }
}

/// Lexes a file; ends at the first token that is wrong, single characters excepted.
pub fn lex(text: &str, starts: &[usize]) -> Lexed {
    let mut stream = Counting { text, at: 0, back: Vec::new() };
    let mut state = TokenizeState::default();
    let mut position = Position::new(1, 0);
    let mut lexed = Lexed::default();
    // braces open inside each interpolation
    let mut interpolations: Vec<usize> = Vec::new();
    let mut opening = false;
    let mut places = Places { text, starts, last: (0, 0, 0) };
    loop {
        let before = stream.at;
        let (token, at) = get_next_token(&mut stream, &mut state, &mut position);
        match &token {
            // what means nothing is one character: what follows is read on
            Token::LexError(error) if matches!(**error, LexError::UnexpectedInput(_)) && stream.at > before => continue,
            Token::EOF | Token::LexError(_) => break,
            // a text that is still open where the file ends: Rhai would return it again and again
            Token::StringConstant(_) if state.is_within_text_terminated_by.is_some() => break,
            Token::Comment(_) => continue,
            Token::InterpolatedString(_) => opening = true,
            Token::LeftBrace if opening => {
                interpolations.push(0);
                opening = false;
            }
            Token::LeftBrace | Token::MapStart => {
                if let Some(depth) = interpolations.last_mut() {
                    *depth += 1;
                }
            }
            Token::RightBrace => match interpolations.last_mut() {
                Some(0) => {
                    interpolations.pop();
                    // the lexer must be told that the text goes on here
                    state.is_within_text_terminated_by = Some("`".into());
                }
                Some(depth) => *depth -= 1,
                None => {}
            },
            _ => {}
        }
        let continued = matches!(lexed.lexemes.last(), Some(Lexeme { token: Token::RightBrace, .. }))
            && matches!(token, Token::StringConstant(_) | Token::InterpolatedString(_))
            && !text[before..].trim_start().starts_with(['"', '`', '#']);
        let (line, column) = (at.line().unwrap_or(0), at.position().unwrap_or(0));
        let start = if continued || line == 0 { before } else { places.byte_at(line, column) };
        lexed.lexemes.push(Lexeme { token, line, column, span: start.min(stream.at)..stream.at });
    }
    if state.comment_level > 0 {
        lexed.unclosed_comment = unclosed(text, lexed.lexemes.last().map_or(0, |l| l.span.end));
    }
    lexed
}

/// Where the comment starts that is open at the end; only blanks and comments follow `from`.
fn unclosed(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut open) = (from, 0_usize, None);
    while at < bytes.len() {
        match &bytes[at..bytes.len().min(at + 2)] {
            b"//" if depth == 0 => at = text[at..].find('\n').map_or(bytes.len(), |n| at + n),
            b"/*" => {
                if depth == 0 {
                    open = Some(at);
                }
                depth += 1;
                at += 2;
            }
            b"*/" if depth > 0 => {
                depth -= 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    open.filter(|_| depth > 0)
}

/// For each byte of a text literal's value its byte in the literal, and one more for the end; `None` where the two do not
/// map exactly. `column` is where the literal starts, from 1: a line that is continued loses its indentation up to there.
pub fn literal_map(raw: &str, value: &str, column: usize) -> Option<Vec<usize>> {
    let (decoded, map) = match raw.as_bytes().first()? {
        b'"' => decode_quoted(raw, column)?,
        b'`' => decode_backtick(raw, 1)?,
        b'#' => {
            let hashes = raw.bytes().take_while(|b| *b == b'#').count();
            let inner = raw.get(hashes + 1..raw.len().checked_sub(hashes + 1)?)?;
            (inner.to_owned(), (0..=inner.len()).map(|i| i + hashes + 1).collect())
        }
        _ => return None,
    };
    (decoded == value).then_some(map)
}

/// As [`literal_map`], for the constant part that follows a value in a text with values in it.
pub fn rest_map(raw: &str, value: &str) -> Option<Vec<usize>> {
    let (decoded, map) = decode_backtick(raw, 0)?;
    (decoded == value).then_some(map)
}

fn push(decoded: &mut String, map: &mut Vec<usize>, ch: char, at: usize) {
    decoded.push(ch);
    // a character that stands for itself maps byte by byte; an escape maps to where it starts
    map.extend(std::iter::repeat_n(at, ch.len_utf8()));
}

fn decode_quoted(raw: &str, column: usize) -> Option<(String, Vec<usize>)> {
    let (mut decoded, mut map) = (String::new(), Vec::new());
    let mut chars = raw.char_indices().skip(1).peekable();
    while let Some((at, ch)) = chars.next() {
        match ch {
            '"' => match chars.next() {
                Some((_, '"')) => push(&mut decoded, &mut map, '"', at),
                Some(_) => return None,
                None => {
                    map.push(at);
                    return Some((decoded, map));
                }
            },
            '\r' if chars.peek().is_some_and(|(_, c)| *c == '\n') => {}
            '\\' => match chars.next()?.1 {
                'n' => push(&mut decoded, &mut map, '\n', at),
                't' => push(&mut decoded, &mut map, '\t', at),
                'r' => push(&mut decoded, &mut map, '\r', at),
                '\\' => push(&mut decoded, &mut map, '\\', at),
                '"' => push(&mut decoded, &mut map, '"', at),
                kind @ ('x' | 'u' | 'U') => {
                    let length = match kind {
                        'x' => 2,
                        'u' => 4,
                        _ => 8,
                    };
                    let mut code = 0;
                    for _ in 0..length {
                        code = code * 16 + chars.next()?.1.to_digit(16)?;
                    }
                    push(&mut decoded, &mut map, char::from_u32(code)?, at);
                }
                '\r' | '\n' => {
                    if raw[..at + 2].ends_with('\r') {
                        chars.next_if(|(_, c)| *c == '\n')?;
                    }
                    let mut on = 1;
                    while on <= column && chars.next_if(|(_, c)| *c != '\n' && c.is_whitespace()).is_some() {
                        on += 1;
                    }
                }
                _ => return None,
            },
            ch => push(&mut decoded, &mut map, ch, at),
        }
    }
    None
}

/// A text in backticks, or a part of one with values in it; `opening` is the length of what opens it.
fn decode_backtick(raw: &str, opening: usize) -> Option<(String, Vec<usize>)> {
    let (mut decoded, mut map) = (String::new(), Vec::new());
    let mut chars = raw.char_indices().skip(opening).peekable();
    if opening > 0 {
        // a line end right after the backtick is not part of the text
        let _ = chars.next_if(|(_, c)| *c == '\r');
        let _ = chars.next_if(|(_, c)| *c == '\n');
    }
    while let Some((at, ch)) = chars.next() {
        match ch {
            '`' => match chars.next() {
                Some((_, '`')) => push(&mut decoded, &mut map, '`', at),
                Some(_) => return None,
                None => {
                    map.push(at);
                    return Some((decoded, map));
                }
            },
            '$' if matches!(&raw[at..], "$" | "${") => {
                map.push(at);
                return Some((decoded, map));
            }
            '\r' if chars.peek().is_some_and(|(_, c)| *c == '\n') => {}
            '\\' if raw[at..].starts_with("\\${") => {}
            ch => push(&mut decoded, &mut map, ch, at),
        }
    }
    map.push(raw.len());
    Some((decoded, map))
}

/// The tokens of the constant parts of a text literal that begins with a token: itself, or each stretch between values.
pub fn constant_parts(lexemes: &[Lexeme], first: usize) -> Vec<usize> {
    let mut parts = Vec::new();
    let mut at = first;
    loop {
        match lexemes.get(at).map(|l| &l.token) {
            Some(Token::StringConstant(_)) => {
                parts.push(at);
                return parts;
            }
            Some(Token::InterpolatedString(_)) => parts.push(at),
            _ => return parts,
        }
        // past the value in braces
        let mut depth = 0_usize;
        loop {
            at += 1;
            match lexemes.get(at).map(|l| &l.token) {
                Some(Token::LeftBrace | Token::MapStart) => depth += 1,
                Some(Token::RightBrace) if depth <= 1 => break,
                Some(Token::RightBrace) => depth -= 1,
                None => return parts,
                _ => {}
            }
        }
        at += 1;
    }
}

/// The span of one argument of a call, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentSpan {
    pub span: Range<usize>,
    /// When the argument is one text literal without interpolation: index of its token.
    pub literal: Option<usize>,
    /// When it is a map literal: each key and its value.
    pub keys: Vec<KeySpan>,
}

/// A key of a map literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpan {
    pub key: String,
    pub span: Range<usize>,
    pub value: ArgumentValue,
}

/// What a key holds, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentValue {
    pub span: Range<usize>,
    pub literal: Option<usize>,
}

/// The arguments of the call whose name is the token `name`, from the tokens alone.
pub fn arguments(lexemes: &[Lexeme], name: usize) -> Vec<ArgumentSpan> {
    if !matches!(lexemes.get(name + 1).map(|l| &l.token), Some(Token::LeftParen)) {
        return Vec::new();
    }
    split(lexemes, name + 2)
        .into_iter()
        .map(|tokens| ArgumentSpan {
            span: lexemes[tokens.start].span.start..lexemes[tokens.end - 1].span.end,
            literal: literal(lexemes, &tokens),
            keys: match lexemes[tokens.start].token {
                Token::MapStart => split(lexemes, tokens.start + 1).into_iter().filter_map(|k| key(lexemes, k)).collect(),
                _ => Vec::new(),
            },
        })
        .collect()
}

fn literal(lexemes: &[Lexeme], tokens: &Range<usize>) -> Option<usize> {
    (tokens.len() == 1 && matches!(lexemes[tokens.start].token, Token::StringConstant(_))).then_some(tokens.start)
}

fn key(lexemes: &[Lexeme], tokens: Range<usize>) -> Option<KeySpan> {
    let first = &lexemes[tokens.start];
    let name = match &first.token {
        Token::Identifier(name) | Token::Reserved(name) => name.to_string(),
        Token::StringConstant(name) => name.to_string(),
        token => token.literal_syntax().to_owned(),
    };
    let value = tokens.start + 2..tokens.end;
    if value.is_empty() {
        return None;
    }
    Some(KeySpan {
        key: name,
        span: first.span.clone(),
        value: ArgumentValue { span: lexemes[value.start].span.start..lexemes[value.end - 1].span.end, literal: literal(lexemes, &value) },
    })
}

/// Ranges of tokens between the commas of one bracket, from just after it opens until it closes.
fn split(lexemes: &[Lexeme], from: usize) -> Vec<Range<usize>> {
    let (mut parts, mut depth, mut start, mut at) = (Vec::new(), 0_usize, from, from);
    while at < lexemes.len() {
        let operand = at == start || matches!(lexemes[at - 1].token, Token::Colon);
        match lexemes[at].token {
            // parameters of a closure: their commas separate nothing here
            Token::Pipe if depth == 0 && operand => {
                at += 1;
                while at < lexemes.len() && !matches!(lexemes[at].token, Token::Pipe) {
                    at += 1;
                }
            }
            Token::LeftParen | Token::LeftBracket | Token::QuestionBracket | Token::LeftBrace | Token::MapStart => depth += 1,
            Token::RightParen | Token::RightBracket | Token::RightBrace if depth == 0 => break,
            Token::RightParen | Token::RightBracket | Token::RightBrace => depth -= 1,
            Token::Comma if depth == 0 => {
                parts.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    if start < at {
        parts.push(start..at.min(lexemes.len()));
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lexed(text: &str) -> Vec<Lexeme> {
        lex(text, &line_starts(text)).lexemes
    }

    /// Every token as written, between bars.
    fn tokens(text: &str) -> String {
        lexed(text).iter().map(|l| &text[l.span.clone()]).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn tokens_have_the_bytes_they_were_written_with() {
        assert_eq!(tokens("let ä = 1;\r\n\tsql(\"b\", /* x */ `t`)"), "let|=|1|;|sql|(|\"b\"|,|`t`|)");
        assert_eq!(
            tokens("let a = -1.5e3; // ü\r\n\tsql(\"ü\", /* x\n */ `t\nü`) ?? #{ k: 1..2 }"),
            "let|a|=|-1.5e3|;|sql|(|\"ü\"|,|`t\nü`|)|??|#{|k|:|1|..|2|}"
        );
        assert_eq!(tokens("`a${f(`x${1}y`) + #{ k: 2 }.k}b` + c"), "`a$|{|f|(|`x$|{|1|}|y`|)|+|#{|k|:|2|}|.|k|}|b`|+|c");
        assert_eq!(tokens("#\"a \" b\"# + ##\"x\"# y\"##"), "#\"a \" b\"#|+|##\"x\"# y\"##");
    }

    #[test]
    fn a_comment_that_is_never_closed_is_found_where_it_opens() {
        let open = |text: &str| lex(text, &line_starts(text)).unclosed_comment;
        assert_eq!(open("let a = \"/*\"; // /*\n/* x */ /* y /* z */"), Some(28));
        assert_eq!(open("a /* /* */ */"), None);
    }

    /// The bytes of the literal that hold `wanted` of its value.
    fn within(raw: &str, wanted: &str) -> Option<String> {
        let text = format!("  {raw}");
        let lexeme = lexed(&text).remove(0);
        let Token::StringConstant(value) = &lexeme.token else { return None };
        let map = literal_map(raw, value, lexeme.column)?;
        let start = value.find(wanted)?;
        raw.get(map[start]..map[start + wanted.len()]).map(str::to_owned)
    }

    #[test]
    fn a_range_of_a_texts_value_is_found_in_its_literal() {
        for raw in [
            "\"ab@cd\"",
            "\"\\\"ü\\n\\t\\\\ @cd \"",
            "\"\\x41\\u00e4\\U0001F600@cd\"",
            "\"say \"\"hi\"\" @cd\"",
            "`a\n``b`` @cd`",
            "`\n  @cd`",
            "`\r\n  x\r\n @cd`",
            "#\"a\" @cd\"#",
            "\"one \\\n   two @cd\"",
            "\"one \\\r\n   two @cd\"",
            "`\\${x} @cd`",
            "`\\n @cd`",
        ] {
            assert_eq!(within(raw, "@cd").as_deref(), Some("@cd"), "{raw}");
        }
        assert_eq!(within("\"a\\tb\"", "\tb").as_deref(), Some("\\tb"));
    }

    /// Arguments and keys, as written.
    fn split_up(text: &str) -> String {
        let lexemes = lexed(text);
        let shown = |span: &Range<usize>| text[span.clone()].to_owned();
        let parts = arguments(&lexemes, 0).into_iter().map(|a| {
            let keys: Vec<String> = a.keys.iter().map(|k| format!("{}={}", k.key, shown(&k.value.span))).collect();
            format!(
                "{}{}{}",
                shown(&a.span),
                if a.literal.is_some() { "!" } else { "" },
                if keys.is_empty() { String::new() } else { format!(" {keys:?}") }
            )
        });
        parts.collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn arguments_and_keys_are_split_as_written() {
        assert_eq!(split_up("f()"), "");
        assert_eq!(split_up("f(\"a\", b + (c, d), [1, 2],)"), "\"a\"! | b + (c, d) | [1, 2]");
        assert_eq!(split_up("f(|a, b| a + b, || x, `t ${[1, 2]}`)"), "|a, b| a + b | || x | `t ${[1, 2]}`");
        assert_eq!(
            split_up("f(#{ a: 1, \"b c\": |x, y| x, d: { e; g(1, 2) }, in: \"t\" })"),
            "#{ a: 1, \"b c\": |x, y| x, d: { e; g(1, 2) }, in: \"t\" } [\"a=1\", \"b c=|x, y| x\", \"d={ e; g(1, 2) }\", \"in=\\\"t\\\"\"]"
        );
    }

    proptest! {
        #[test]
        fn no_span_lies_outside_the_text(text in "[ -~\n\r\t`\"${}#/*ü“]{0,80}") {
            for lexeme in lexed(&text) {
                prop_assert!(text.get(lexeme.span.clone()).is_some(), "{:?}", lexeme);
                if let Token::StringConstant(value) = &lexeme.token {
                    let raw = &text[lexeme.span.clone()];
                    if let Some(map) = literal_map(raw, value, lexeme.column) {
                        prop_assert_eq!(map.len(), value.len() + 1);
                        prop_assert!(map.iter().all(|at| *at <= raw.len()));
                    }
                }
            }
            for at in 0..lexed(&text).len() {
                arguments(&lexed(&text), at);
            }
        }
    }
}
