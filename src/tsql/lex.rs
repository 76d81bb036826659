//! Tokens of T-SQL with their byte ranges. The ranges tile the text: nothing is lost, so that every later stage can point
//! into what the author wrote. Never fails: what SQL Server would refuse is a token kind of its own.
//! `"x"` is an identifier, because every client of this program leaves QUOTED_IDENTIFIER on.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    Space,
    /// `-- to the end of the line`, without the line end
    LineComment,
    /// `/* ... */`, nested as SQL Server nests them
    BlockComment,
    /// a keyword or a plain identifier, `#temp` included
    Word,
    /// `[name]`
    Bracketed,
    /// `"name"`
    Quoted,
    /// `'text'`
    Text,
    /// `N'text'`
    NationalText,
    /// `12`, `1.5`, `1e3`, `$2.50`
    Number,
    /// `0x1F`
    Binary,
    /// `@name`
    Variable,
    /// `@@NAME`
    Global,
    /// `{name}`, a hole that the host fills before the text is sent
    Placeholder,
    /// punctuation, the longest that T-SQL knows: `<>`, `+=`, `::`
    Operator,
    /// a string that runs to the end of the text (error 105)
    UnterminatedText,
    /// `[name` or `"name` that runs to the end of the text (error 105)
    UnterminatedName,
    /// `/*` without its `*/` (error 113)
    UnterminatedComment,
    /// a character that T-SQL has no use for
    Unknown,
}

/// One token: what it is, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    /// bytes, from the start of the text
    pub start: usize,
    /// bytes, exclusive
    pub end: usize,
}

impl Token {
    /// The bytes it covers.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Its text.
    pub fn text<'t>(&self, text: &'t str) -> &'t str {
        &text[self.start..self.end]
    }

    /// True for white space and comments.
    pub fn is_trivia(&self) -> bool {
        matches!(self.kind, TokenKind::Space | TokenKind::LineComment | TokenKind::BlockComment)
    }

    /// True if it is this bare word, in any case. A delimited `[word]` is never a keyword.
    pub fn is_word(&self, text: &str, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text(text).eq_ignore_ascii_case(word)
    }

    /// True if it is this punctuation.
    pub fn is_operator(&self, text: &str, operator: &str) -> bool {
        self.kind == TokenKind::Operator && self.text(text) == operator
    }

    /// The name it means, if it is an identifier: delimiters taken off, doubled ones undone.
    pub fn name(&self, text: &str) -> Option<String> {
        let inner = |quote: char| {
            let body = &text[self.start + 1..self.end - 1];
            let doubled: String = [quote, quote].iter().collect();
            body.replace(&doubled, quote.encode_utf8(&mut [0; 4]))
        };
        match self.kind {
            TokenKind::Word => Some(self.text(text).to_owned()),
            TokenKind::Bracketed => Some(inner(']')),
            TokenKind::Quoted => Some(inner('"')),
            _ => None,
        }
    }

    /// The text it means, if it is a string literal.
    pub fn string(&self, text: &str) -> Option<String> {
        let skip = match self.kind {
            TokenKind::Text => 1,
            TokenKind::NationalText => 2,
            _ => return None,
        };
        Some(text[self.start + skip..self.end - 1].replace("''", "'"))
    }
}

/// All tokens of a text, white space and comments included; their ranges tile it.
pub fn lex(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::with_capacity(text.len() / 3);
    while lexer.at < text.len() {
        let start = lexer.at;
        let kind = lexer.next();
        debug_assert!(lexer.at > start, "the lexer must move");
        tokens.push(Token { kind, start, end: lexer.at });
    }
    tokens
}

/// The tokens that mean something: no white space, no comments.
pub fn significant(text: &str) -> Vec<Token> {
    let mut tokens = lex(text);
    tokens.retain(|token| !token.is_trivia());
    tokens
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

fn starts_word(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '#'
}

fn continues_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '#' | '@' | '$')
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) {
        if let Some(c) = self.peek() {
            self.at += c.len_utf8();
        }
    }

    fn skip_while(&mut self, test: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !test(c)).unwrap_or(rest.len());
    }

    fn next(&mut self) -> TokenKind {
        let rest = self.rest();
        let mut chars = rest.chars();
        let first = chars.next().unwrap_or(' ');
        let second = chars.next();
        match first {
            c if c.is_whitespace() || c == '\u{feff}' => {
                self.skip_while(|c| c.is_whitespace() || c == '\u{feff}');
                TokenKind::Space
            }
            '-' if second == Some('-') => {
                self.skip_while(|c| c != '\n' && c != '\r');
                TokenKind::LineComment
            }
            '/' if second == Some('*') => self.block_comment(),
            '\'' => self.delimited(1, '\'', TokenKind::Text, TokenKind::UnterminatedText),
            'N' | 'n' if second == Some('\'') => self.delimited(2, '\'', TokenKind::NationalText, TokenKind::UnterminatedText),
            '[' => self.delimited(1, ']', TokenKind::Bracketed, TokenKind::UnterminatedName),
            '"' => self.delimited(1, '"', TokenKind::Quoted, TokenKind::UnterminatedName),
            '@' => {
                self.bump();
                let kind = if second == Some('@') { TokenKind::Global } else { TokenKind::Variable };
                self.skip_while(continues_word);
                kind
            }
            '{' => self.placeholder(),
            '0' if matches!(second, Some('x' | 'X')) => {
                self.at += 2;
                self.skip_while(|c| c.is_ascii_hexdigit());
                TokenKind::Binary
            }
            c if c.is_ascii_digit() => self.number(),
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => self.number(),
            '$' if second.is_some_and(|c| c.is_ascii_digit()) => {
                self.bump();
                self.number()
            }
            '$' if second.is_some_and(starts_word) => {
                self.skip_while(continues_word);
                TokenKind::Word
            }
            c if starts_word(c) => {
                self.skip_while(continues_word);
                TokenKind::Word
            }
            _ => self.operator(),
        }
    }

    /// A string or a delimited name: its closing mark doubled means the mark itself.
    fn delimited(&mut self, skip: usize, close: char, closed: TokenKind, open: TokenKind) -> TokenKind {
        self.at += skip;
        loop {
            match self.rest().find(close) {
                None => {
                    self.at = self.text.len();
                    return open;
                }
                Some(offset) => {
                    self.at += offset + close.len_utf8();
                    if self.peek() == Some(close) {
                        self.bump();
                    } else {
                        return closed;
                    }
                }
            }
        }
    }

    fn block_comment(&mut self) -> TokenKind {
        let bytes = self.text.as_bytes();
        let mut depth = 0usize;
        let mut at = self.at;
        while at + 1 < bytes.len() {
            match &bytes[at..at + 2] {
                b"/*" => {
                    depth += 1;
                    at += 2;
                }
                b"*/" => {
                    depth -= 1;
                    at += 2;
                    if depth == 0 {
                        self.at = at;
                        return TokenKind::BlockComment;
                    }
                }
                _ => at += 1,
            }
        }
        self.at = self.text.len();
        TokenKind::UnterminatedComment
    }

    fn placeholder(&mut self) -> TokenKind {
        let body = &self.rest()[1..];
        let length = body.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(body.len());
        let named = body.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
        if named && body[length..].starts_with('}') {
            self.at += length + 2;
            TokenKind::Placeholder
        } else {
            self.bump();
            TokenKind::Operator
        }
    }

    fn number(&mut self) -> TokenKind {
        self.skip_while(|c| c.is_ascii_digit());
        if self.peek() == Some('.') {
            self.bump();
            self.skip_while(|c| c.is_ascii_digit());
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            let mut after = self.rest()[1..].chars();
            let next = after.next();
            let signed = matches!(next, Some('+' | '-')) && after.next().is_some_and(|c| c.is_ascii_digit());
            if signed || next.is_some_and(|c| c.is_ascii_digit()) {
                self.at += 2;
                self.skip_while(|c| c.is_ascii_digit());
            }
        }
        TokenKind::Number
    }

    fn operator(&mut self) -> TokenKind {
        const PAIRS: [&[u8; 2]; 15] =
            [b"<>", b"!=", b"<=", b">=", b"!<", b"!>", b"+=", b"-=", b"*=", b"/=", b"%=", b"&=", b"|=", b"^=", b"::"];
        const SINGLES: &str = "()+-*/%=<>!&|^~,;.:{}]\\?";
        if self.rest().as_bytes().first_chunk().is_some_and(|two| PAIRS.contains(&two)) {
            self.at += 2;
            return TokenKind::Operator;
        }
        let known = self.peek().is_some_and(|c| SINGLES.contains(c));
        self.bump();
        if known { TokenKind::Operator } else { TokenKind::Unknown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TokenKind::*;
    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

    fn kinds(text: &str) -> Vec<(TokenKind, &str)> {
        significant(text).iter().map(|token| (token.kind, token.text(text))).collect()
    }

    #[test]
    fn each_kind_of_token_is_told_from_its_neighbours() {
        assert_eq!(
            kinds("RESTORE LOG [a]]b] FROM DISK=N'x''y' WITH FILE = {n}, STATS=5 -- 'no'\n,\"q\"\"r\""),
            [
                (Word, "RESTORE"),
                (Word, "LOG"),
                (Bracketed, "[a]]b]"),
                (Word, "FROM"),
                (Word, "DISK"),
                (Operator, "="),
                (NationalText, "N'x''y'"),
                (Word, "WITH"),
                (Word, "FILE"),
                (Operator, "="),
                (Placeholder, "{n}"),
                (Operator, ","),
                (Word, "STATS"),
                (Operator, "="),
                (Number, "5"),
                (Operator, ","),
                (Quoted, "\"q\"\"r\""),
            ]
        );
        assert_eq!(
            kinds("@a @@SPID 0x1F 1.5e-3 .5 $2.5 #t a$b <> += :: @"),
            [
                (Variable, "@a"),
                (Global, "@@SPID"),
                (Binary, "0x1F"),
                (Number, "1.5e-3"),
                (Number, ".5"),
                (Number, "$2.5"),
                (Word, "#t"),
                (Word, "a$b"),
                (Operator, "<>"),
                (Operator, "+="),
                (Operator, "::"),
                (Variable, "@"),
            ]
        );
    }

    #[test]
    fn block_comments_nest_and_hide_what_is_inside() {
        assert_eq!(kinds("a /* @x /* {y} */ 'z */ b"), [(Word, "a"), (Word, "b")]);
        assert_eq!(kinds("a /* /* */ b"), [(Word, "a"), (UnterminatedComment, "/* /* */ b")]);
    }

    #[test]
    fn what_is_never_closed_runs_to_the_end() {
        assert_eq!(kinds("a 'b ''c"), [(Word, "a"), (UnterminatedText, "'b ''c")]);
        assert_eq!(kinds("n'b"), [(UnterminatedText, "n'b")]);
        assert_eq!(kinds("[a]]"), [(UnterminatedName, "[a]]")]);
    }

    #[test]
    fn odbc_escapes_are_not_placeholders() {
        assert_eq!(kinds("{d '2020-01-01'}")[0], (Operator, "{"));
        assert_eq!(kinds("{1a}")[0], (Operator, "{"));
        assert_eq!(kinds("'{a}' [{b}] {c_1}").last(), Some(&(Placeholder, "{c_1}")));
    }

    #[test]
    fn names_and_strings_lose_their_delimiters() {
        let text = "[a]]b] \"c\"\"d\" N'e''f' g";
        let tokens = significant(text);
        assert_eq!(tokens[0].name(text).as_deref(), Some("a]b"));
        assert_eq!(tokens[1].name(text).as_deref(), Some("c\"d"));
        assert_eq!(tokens[2].string(text).as_deref(), Some("e'f"));
        assert_eq!(tokens[2].name(text), None);
        assert_eq!(tokens[3].name(text).as_deref(), Some("g"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn ranges_tile_any_text(text in "(?s)([\\[\\]'\"{}@/*\\-Nn0x.$#;=é ]|[a-z]|.){0,60}") {
            let mut at = 0;
            for token in lex(&text) {
                prop_assert_eq!(token.start, at);
                at = token.end;
                token.name(&text);
                token.string(&text);
            }
            prop_assert_eq!(at, text.len());
        }
    }
}
