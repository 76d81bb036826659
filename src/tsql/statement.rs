//! Splits a batch into statements and reads those that recovery work needs. Called by `classify`, by `check` and by the
//! lab's server, which is why an error names SQL Server's own number. What it cannot split it refuses; it never guesses
//! that something is harmless.

use std::ops::Range;

use super::lex::{Token, TokenKind, significant};
use super::syntax::{
    Argument, Batch, Declaration, Exec, ExecTarget, Expression, Kill, Name, Raiserror, SetOption, Statement, StatementKind, Value,
    ValueKind,
};

/// Why a text is no batch of ours. The range is what SQL Server would call the near token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    #[error("incorrect syntax near `{near}`")]
    Near { near: String, range: Range<usize> },
    #[error("`{option}` is not a recognized {statement} option")]
    UnknownOption { option: String, statement: &'static str, range: Range<usize> },
    #[error("a string or name that begins here is never closed")]
    Unclosed { range: Range<usize> },
    #[error("a comment that begins here is never closed")]
    UnclosedComment { range: Range<usize> },
    #[error("statements are nested too deeply")]
    TooDeep { range: Range<usize> },
}

impl SyntaxError {
    /// SQL Server's number for it.
    pub fn number(&self) -> i32 {
        match self {
            SyntaxError::Near { .. } => 102,
            SyntaxError::UnknownOption { .. } => 155,
            SyntaxError::Unclosed { .. } => 105,
            SyntaxError::UnclosedComment { .. } => 113,
            SyntaxError::TooDeep { .. } => 191,
        }
    }

    /// Where, in bytes of the batch.
    pub fn range(&self) -> Range<usize> {
        match self {
            SyntaxError::Near { range, .. }
            | SyntaxError::UnknownOption { range, .. }
            | SyntaxError::Unclosed { range }
            | SyntaxError::UnclosedComment { range }
            | SyntaxError::TooDeep { range } => range.clone(),
        }
    }
}

/// The words before a byte of a batch that begin statements, in upper case and in order.
pub fn keywords_before(text: &str, byte: usize) -> Vec<String> {
    let words = significant(text).into_iter().filter(|token| token.kind == TokenKind::Word && token.start < byte);
    words.map(|token| token.text(text).to_ascii_uppercase()).filter(|word| begins_statement(word)).collect()
}

/// The word that begins a statement and was probably meant by another one: one or two letters away.
pub fn meant_keyword(word: &str) -> Option<&'static str> {
    if word.len() < 4 || begins_statement(word) {
        return None;
    }
    let word = word.to_ascii_uppercase();
    let near = |known: &&str| strsim::osa_distance(&word, known) <= if known.len() > 4 { 2 } else { 1 };
    ["ALTER", "BACKUP", "DECLARE", "DELETE", "DROP", "EXEC", "EXECUTE", "INSERT", "KILL", "RESTORE", "SELECT", "TRUNCATE", "UPDATE"]
        .into_iter()
        .find(near)
}

/// Reads a batch. `GO` is not T-SQL and gets no special meaning here.
pub fn parse(text: &str) -> Result<Batch, SyntaxError> {
    parse_tokens(text, &significant(text))
}

/// As [`parse`], of a text whose significant tokens are known.
pub fn parse_tokens(text: &str, tokens: &[Token]) -> Result<Batch, SyntaxError> {
    for token in tokens {
        match token.kind {
            TokenKind::UnterminatedText | TokenKind::UnterminatedName => {
                return Err(SyntaxError::Unclosed { range: token.range() });
            }
            TokenKind::UnterminatedComment => {
                return Err(SyntaxError::UnclosedComment { range: token.range() });
            }
            _ => {}
        }
    }
    let mut parser = Parser { text, tokens, at: 0, depth: 0 };
    let statements = parser.statements(&[])?;
    Ok(Batch { statements })
}

/// Reserved words that begin a statement wherever they stand outside parentheses.
pub(super) fn begins_statement(word: &str) -> bool {
    const WORDS: [&str; 52] = [
        "ALTER",
        "BACKUP",
        "BEGIN",
        "BREAK",
        "BULK",
        "CHECKPOINT",
        "CLOSE",
        "COMMIT",
        "CONTINUE",
        "CREATE",
        "DBCC",
        "DEALLOCATE",
        "DECLARE",
        "DELETE",
        "DENY",
        "DROP",
        "DUMP",
        "ELSE",
        "END",
        "EXEC",
        "EXECUTE",
        "FETCH",
        "GOTO",
        "GRANT",
        "IF",
        "INSERT",
        "KILL",
        "LINENO",
        "LOAD",
        "MERGE",
        "OPEN",
        "PRINT",
        "RAISERROR",
        "READTEXT",
        "RECONFIGURE",
        "RESTORE",
        "RETURN",
        "REVERT",
        "REVOKE",
        "ROLLBACK",
        "SAVE",
        "SELECT",
        "SET",
        "SETUSER",
        "SHUTDOWN",
        "TRUNCATE",
        "UPDATE",
        "UPDATETEXT",
        "USE",
        "WAITFOR",
        "WHILE",
        "WRITETEXT",
    ];
    WORDS.binary_search_by(|known| known.bytes().cmp(word.bytes().map(|byte| byte.to_ascii_uppercase()))).is_ok()
}

const DEPTH_LIMIT: usize = 64;

pub(super) struct Parser<'t> {
    pub(super) text: &'t str,
    tokens: &'t [Token],
    pub(super) at: usize,
    depth: usize,
}

pub(super) type Parsed<T> = Result<T, SyntaxError>;

impl Parser<'_> {
    pub(super) fn peek(&self) -> Option<Token> {
        self.tokens.get(self.at).copied()
    }

    fn ahead(&self, n: usize) -> Option<Token> {
        self.tokens.get(self.at + n).copied()
    }

    pub(super) fn word_at(&self, n: usize, word: &str) -> bool {
        self.ahead(n).is_some_and(|token| token.is_word(self.text, word))
    }

    pub(super) fn operator_at(&self, n: usize, operator: &str) -> bool {
        self.ahead(n).is_some_and(|token| token.is_operator(self.text, operator))
    }

    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.word_at(0, word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn eat_operator(&mut self, operator: &str) -> bool {
        let found = self.operator_at(0, operator);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.eat_word(word) { Ok(()) } else { Err(self.near()) }
    }

    pub(super) fn expect_operator(&mut self, operator: &str) -> Parsed<()> {
        if self.eat_operator(operator) { Ok(()) } else { Err(self.near()) }
    }

    /// The error at the current token; at the end of the batch, at the last one, as SQL Server does.
    pub(super) fn near(&self) -> SyntaxError {
        match self.peek().or(self.tokens.last().copied()) {
            Some(token) => SyntaxError::Near { near: token.text(self.text).to_owned(), range: token.range() },
            None => SyntaxError::Near { near: String::new(), range: 0..0 },
        }
    }

    /// The upper-case text of the bare word at hand.
    pub(super) fn word(&self) -> Option<String> {
        let token = self.peek()?;
        (token.kind == TokenKind::Word).then(|| token.text(self.text).to_ascii_uppercase())
    }

    pub(super) fn take_word(&mut self) -> Parsed<String> {
        let word = self.word().ok_or_else(|| self.near())?;
        self.at += 1;
        Ok(word)
    }

    pub(super) fn start(&self) -> usize {
        self.peek().map_or(self.text.len(), |token| token.start)
    }

    /// From a start to the end of the last token taken.
    pub(super) fn since(&self, start: usize) -> Range<usize> {
        let end = self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(start, |token| token.end);
        start..end.max(start)
    }

    fn begins_statement_here(&self) -> bool {
        self.peek().is_some_and(|token| token.kind == TokenKind::Word && begins_statement(token.text(self.text)))
    }

    /// Statements up to the end of the batch, or up to one of these words (left standing).
    fn statements(&mut self, until: &[&str]) -> Parsed<Vec<Statement>> {
        let mut statements = Vec::new();
        loop {
            while self.eat_operator(";") {}
            if self.peek().is_none() {
                if until.is_empty() {
                    return Ok(statements);
                }
                return Err(self.near());
            }
            if until.iter().any(|word| self.word_at(0, word)) {
                return Ok(statements);
            }
            statements.push(self.statement()?);
        }
    }

    fn statement(&mut self) -> Parsed<Statement> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            let range = self.peek().map_or(0..0, |token| token.range());
            return Err(SyntaxError::TooDeep { range });
        }
        let start = self.start();
        let kind = self.statement_kind()?;
        let range = self.since(start);
        self.depth -= 1;
        Ok(Statement { kind, range })
    }

    fn statement_kind(&mut self) -> Parsed<StatementKind> {
        let first = self.at == 0;
        let Some(token) = self.peek() else {
            return Err(self.near());
        };
        let keyword = match token.kind {
            TokenKind::Word => token.text(self.text).to_ascii_uppercase(),
            TokenKind::Bracketed | TokenKind::Quoted if first => return self.bare_procedure(),
            TokenKind::Operator if token.is_operator(self.text, "(") => return self.other("("),
            _ => return Err(self.near()),
        };
        match keyword.as_str() {
            "RESTORE" => self.restore(),
            "BACKUP" => self.backup(),
            "KILL" => self.kill(),
            "ALTER" if self.word_at(1, "DATABASE") => self.alter_database(),
            "DROP" if self.word_at(1, "DATABASE") => self.drop_database(),
            "USE" => {
                self.at += 1;
                Ok(StatementKind::Use(self.name_value()?))
            }
            "EXEC" | "EXECUTE" if self.word_at(1, "AS") => self.other(&keyword),
            "EXEC" | "EXECUTE" => {
                self.at += 1;
                self.exec()
            }
            "SET" => self.set(),
            "DECLARE" if self.ahead(1).is_some_and(|token| token.kind == TokenKind::Variable) => self.declare(),
            "IF" => self.if_else(),
            "WHILE" => {
                self.at += 1;
                let condition = self.expression(false)?;
                let body = Box::new(self.statement()?);
                Ok(StatementKind::While { condition, body })
            }
            "BEGIN" => self.begin(),
            "PRINT" => {
                self.at += 1;
                Ok(StatementKind::Print(self.expression(false)?))
            }
            "WAITFOR" => self.waitfor(),
            "COMMIT" | "ROLLBACK" => {
                self.at += 1;
                let _ = self.eat_word("TRANSACTION") || self.eat_word("TRAN") || self.eat_word("WORK");
                if !self.begins_statement_here() && !self.operator_at(0, ";") && self.peek().is_some() {
                    self.name_value()?;
                }
                Ok(if keyword == "COMMIT" { StatementKind::Commit } else { StatementKind::Rollback })
            }
            "RAISERROR" => self.raiserror(),
            "RETURN" => {
                self.at += 1;
                if !self.ends_here() {
                    self.expression(false)?;
                }
                Ok(StatementKind::Jump("RETURN"))
            }
            "BREAK" => {
                self.at += 1;
                Ok(StatementKind::Jump("BREAK"))
            }
            "CONTINUE" => {
                self.at += 1;
                Ok(StatementKind::Jump("CONTINUE"))
            }
            "END" | "ELSE" => Err(self.near()),
            word if begins_statement(word) || matches!(word, "WITH") => self.other(&keyword),
            // not reserved: statements only after a semicolon or at the start, else an alias of what came before
            "THROW" | "SEND" | "RECEIVE" | "ENABLE" | "DISABLE" | "MOVE" | "GET" | "ADD" | "TRY" => self.other(&keyword),
            _ if first => self.bare_procedure(),
            _ => Err(self.near()),
        }
    }

    pub(super) fn ends_here(&self) -> bool {
        self.peek().is_none() || self.operator_at(0, ";") || self.begins_statement_here()
    }

    fn bare_procedure(&mut self) -> Parsed<StatementKind> {
        let (parts, range) = self.dotted()?;
        let arguments = self.arguments()?;
        Ok(StatementKind::Exec(Exec { target: ExecTarget::Procedure { parts, range }, status: None, arguments }))
    }

    /// Skips to the end of a statement that we do not read.
    pub(super) fn other(&mut self, keyword: &str) -> Parsed<StatementKind> {
        let ddl = matches!(keyword, "CREATE" | "ALTER");
        let routine =
            ddl && (1..4).any(|n| ["PROC", "PROCEDURE", "FUNCTION", "TRIGGER", "VIEW", "SCHEMA"].iter().any(|word| self.word_at(n, word)));
        // one body statement that belongs to the one at hand
        let mut body = match keyword {
            "INSERT" => ["SELECT", "EXEC", "EXECUTE"].as_slice(),
            "WITH" => &["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"],
            "UPDATE" => &["SET"],
            "DECLARE" => &["SELECT"],
            "EXEC" | "EXECUTE" | "(" => &[],
            _ => &[],
        };
        let to_semicolon = matches!(keyword, "MERGE" | "GRANT" | "DENY" | "REVOKE");
        if keyword != "(" {
            self.at += 1;
        }
        let (mut parentheses, mut cases) = (0usize, 0usize);
        while let Some(token) = self.peek() {
            let text = token.text(self.text);
            match token.kind {
                _ if routine => {}
                TokenKind::Operator if text == "(" => parentheses += 1,
                TokenKind::Operator if text == ")" => {
                    parentheses = parentheses.checked_sub(1).ok_or_else(|| self.near())?;
                }
                TokenKind::Operator if text == ";" && parentheses == 0 => break,
                TokenKind::Word if parentheses == 0 && !to_semicolon => {
                    let word = text.to_ascii_uppercase();
                    match word.as_str() {
                        "CASE" => cases += 1,
                        "END" if cases > 0 => cases -= 1,
                        "ELSE" if cases > 0 => {}
                        _ if body.contains(&word.as_str()) => {
                            body = match word.as_str() {
                                "INSERT" => &["SELECT", "EXEC", "EXECUTE"],
                                "UPDATE" => &["SET"],
                                "MERGE" => &["INSERT", "UPDATE", "DELETE", "SET"],
                                _ => &[],
                            };
                        }
                        "SELECT" if self.after_any(&["UNION", "ALL", "EXCEPT", "INTERSECT", "AS", "FOR"]) => {}
                        "FETCH" if self.after_any(&["ROW", "ROWS"]) => {}
                        "UPDATE" | "DELETE" | "INSERT" if self.after_any(&["ON", "FOR", "AFTER", "OF"]) => {}
                        "SET" if self.after_any(&["DELETE", "UPDATE"]) && ddl => {}
                        "IF" if keyword == "DROP" => {}
                        word if begins_statement(word) => break,
                        _ => {}
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        Ok(StatementKind::Other { keyword: keyword.to_owned() })
    }

    fn after_any(&self, words: &[&str]) -> bool {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        before.is_some_and(|token| words.iter().any(|word| token.is_word(self.text, word)))
    }

    /// An expression: up to a semicolon, a word that begins a statement, or (if asked) a comma; not empty.
    fn expression(&mut self, until_comma: bool) -> Parsed<Expression> {
        let start = self.start();
        let first = self.at;
        let (mut parentheses, mut cases) = (0usize, 0usize);
        while let Some(token) = self.peek() {
            let text = token.text(self.text);
            match token.kind {
                TokenKind::Operator if text == "(" => parentheses += 1,
                TokenKind::Operator if text == ")" => match parentheses.checked_sub(1) {
                    Some(fewer) => parentheses = fewer,
                    None => break,
                },
                TokenKind::Operator if text == ";" && parentheses == 0 => break,
                TokenKind::Operator if text == "," && parentheses == 0 && until_comma => break,
                TokenKind::Word if parentheses == 0 => {
                    let word = text.to_ascii_uppercase();
                    match word.as_str() {
                        "CASE" => cases += 1,
                        "END" if cases > 0 => cases -= 1,
                        "ELSE" if cases > 0 => {}
                        word if begins_statement(word) => break,
                        _ => {}
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        if self.at == first || parentheses > 0 {
            return Err(self.near());
        }
        Ok(Expression { range: self.since(start) })
    }

    /// A literal, a variable, a bare word or a placeholder.
    pub(super) fn value(&mut self) -> Parsed<Value> {
        let start = self.start();
        let sign = self.operator_at(0, "-") || self.operator_at(0, "+");
        let minus = self.operator_at(0, "-");
        self.at += usize::from(sign);
        let Some(token) = self.peek() else {
            return Err(self.near());
        };
        let text = token.text(self.text);
        let kind = match token.kind {
            TokenKind::Number if minus => ValueKind::Number(format!("-{text}")),
            TokenKind::Number => ValueKind::Number(text.to_owned()),
            _ if sign => return Err(self.near()),
            TokenKind::Binary => ValueKind::Binary(text.to_owned()),
            TokenKind::Text | TokenKind::NationalText => ValueKind::Text(token.string(self.text).unwrap_or_default()),
            TokenKind::Variable if text.len() > 1 => ValueKind::Variable(text.to_owned()),
            TokenKind::Global if text.len() > 2 => ValueKind::Global(text.to_owned()),
            TokenKind::Placeholder => ValueKind::Placeholder(text[1..text.len() - 1].to_owned()),
            TokenKind::Word if text.eq_ignore_ascii_case("NULL") => ValueKind::Null,
            TokenKind::Word if text.eq_ignore_ascii_case("DEFAULT") => ValueKind::Default,
            TokenKind::Word if begins_statement(text) => return Err(self.near()),
            TokenKind::Word | TokenKind::Bracketed | TokenKind::Quoted => ValueKind::Word(token.name(self.text).unwrap_or_default()),
            _ => return Err(self.near()),
        };
        self.at += 1;
        Ok(Value { kind, range: self.since(start) })
    }

    /// A name: an identifier, a variable or a placeholder, no literal.
    pub(super) fn name_value(&mut self) -> Parsed<Value> {
        let at = self.at;
        let value = self.value()?;
        match value.kind {
            ValueKind::Word(_) | ValueKind::Variable(_) | ValueKind::Placeholder(_) => Ok(value),
            _ => {
                self.at = at;
                Err(self.near())
            }
        }
    }

    fn name_of_variable(&mut self) -> Parsed<Name> {
        match self.peek() {
            Some(token) if token.kind == TokenKind::Variable && token.end - token.start > 1 => {
                self.at += 1;
                Ok(Name { text: token.text(self.text).to_owned(), range: token.range() })
            }
            _ => Err(self.near()),
        }
    }

    fn dotted(&mut self) -> Parsed<(Vec<Value>, Range<usize>)> {
        let start = self.start();
        let mut parts = vec![self.dotted_part()?];
        while self.eat_operator(".") {
            if self.operator_at(0, ".") {
                let here = self.start();
                parts.push(Value { kind: ValueKind::Word(String::new()), range: here..here });
            } else {
                parts.push(self.dotted_part()?);
            }
        }
        Ok((parts, self.since(start)))
    }

    fn dotted_part(&mut self) -> Parsed<Value> {
        let at = self.at;
        let value = self.value()?;
        match value.kind {
            ValueKind::Word(_) | ValueKind::Placeholder(_) => Ok(value),
            _ => {
                self.at = at;
                Err(self.near())
            }
        }
    }

    fn exec(&mut self) -> Parsed<StatementKind> {
        if self.operator_at(0, "(") {
            let expression = self.expression(false)?;
            // what follows is AT server, which the expression has swallowed: also known only to the server
            return Ok(StatementKind::Exec(Exec { target: ExecTarget::Text(expression), status: None, arguments: Vec::new() }));
        }
        let mut status = None;
        if self.peek().is_some_and(|token| token.kind == TokenKind::Variable) {
            let name = self.name_of_variable()?;
            if !self.eat_operator("=") {
                let arguments = self.arguments()?;
                return Ok(StatementKind::Exec(Exec { target: ExecTarget::Variable(name), status: None, arguments }));
            }
            status = Some(name);
            if self.peek().is_some_and(|token| token.kind == TokenKind::Variable) {
                let name = self.name_of_variable()?;
                let arguments = self.arguments()?;
                return Ok(StatementKind::Exec(Exec { target: ExecTarget::Variable(name), status, arguments }));
            }
        }
        let (parts, range) = self.dotted()?;
        if self.eat_operator(";") {
            // `;2`, a numbered procedure, or only the end of the statement
            if self.peek().is_some_and(|token| token.kind == TokenKind::Number) {
                self.at += 1;
            } else {
                self.at -= 1;
            }
        }
        let arguments = self.arguments()?;
        Ok(StatementKind::Exec(Exec { target: ExecTarget::Procedure { parts, range }, status, arguments }))
    }

    fn arguments(&mut self) -> Parsed<Vec<Argument>> {
        let mut arguments = Vec::new();
        if self.ends_here() || self.word_at(0, "WITH") {
            self.exec_with()?;
            return Ok(arguments);
        }
        loop {
            let start = self.start();
            let mut name = None;
            if self.peek().is_some_and(|token| token.kind == TokenKind::Variable) && self.operator_at(1, "=") {
                name = Some(self.name_of_variable()?);
                self.at += 1;
            }
            let value = self.value()?;
            let output = self.eat_word("OUTPUT") || self.eat_word("OUT");
            arguments.push(Argument { name, value, output, range: self.since(start) });
            if !self.eat_operator(",") {
                break;
            }
        }
        self.exec_with()?;
        if self.ends_here() { Ok(arguments) } else { Err(self.near()) }
    }

    /// WITH RECOMPILE, WITH RESULT SETS ...
    fn exec_with(&mut self) -> Parsed<()> {
        if self.eat_word("WITH") {
            while !self.ends_here() {
                if self.operator_at(0, "(") {
                    self.skip_parentheses()?;
                } else {
                    self.at += 1;
                }
            }
        }
        Ok(())
    }

    pub(super) fn skip_parentheses(&mut self) -> Parsed<()> {
        let mut open = 0usize;
        while let Some(token) = self.peek() {
            if token.is_operator(self.text, "(") {
                open += 1;
            } else if token.is_operator(self.text, ")") {
                open = open.checked_sub(1).ok_or_else(|| self.near())?;
            }
            self.at += 1;
            if open == 0 {
                return Ok(());
            }
        }
        Err(self.near())
    }

    fn set(&mut self) -> Parsed<StatementKind> {
        self.at += 1;
        if self.peek().is_some_and(|token| token.kind == TokenKind::Variable) {
            let name = self.name_of_variable()?;
            let Some(operator) = self.peek() else {
                return Err(self.near());
            };
            if !matches!(operator.text(self.text), "=" | "+=" | "-=" | "*=" | "/=" | "%=" | "&=" | "|=" | "^=") {
                return Err(self.near());
            }
            self.at += 1;
            let value = self.expression(false)?;
            return Ok(StatementKind::SetVariable { name, value });
        }
        let mut name = self.take_word()?;
        match name.as_str() {
            "TRANSACTION" => {
                self.expect_word("ISOLATION")?;
                self.expect_word("LEVEL")?;
                name = "TRANSACTION ISOLATION LEVEL".to_owned();
            }
            "STATISTICS" => name = format!("STATISTICS {}", self.take_word()?),
            _ => {
                // SET ANSI_NULLS, QUOTED_IDENTIFIER ON
                while self.eat_operator(",") {
                    name = format!("{name}, {}", self.take_word()?);
                }
            }
        }
        let mut value = Vec::new();
        while !self.ends_here() {
            if let Some(token) = self.peek() {
                value.push(token.text(self.text).to_ascii_uppercase());
            }
            self.at += 1;
        }
        if value.is_empty() {
            return Err(self.near());
        }
        Ok(StatementKind::SetOption(SetOption { name, value: value.join(" ") }))
    }

    fn declare(&mut self) -> Parsed<StatementKind> {
        self.at += 1;
        let mut declarations = Vec::new();
        loop {
            let name = self.name_of_variable()?;
            self.eat_word("AS");
            let start = self.start();
            let first = self.at;
            loop {
                if self.ends_here() || self.operator_at(0, ",") || self.operator_at(0, "=") {
                    break;
                }
                if self.operator_at(0, "(") {
                    self.skip_parentheses()?;
                } else {
                    self.at += 1;
                }
            }
            if self.at == first {
                return Err(self.near());
            }
            let ty = Expression { range: self.since(start) };
            let value = if self.eat_operator("=") { Some(self.expression(true)?) } else { None };
            declarations.push(Declaration { name, ty, value });
            if !self.eat_operator(",") {
                return Ok(StatementKind::Declare(declarations));
            }
        }
    }

    fn if_else(&mut self) -> Parsed<StatementKind> {
        self.at += 1;
        let condition = self.expression(false)?;
        let then = Box::new(self.statement()?);
        // `IF a SELECT 1; ELSE SELECT 2`: one semicolon may stand before ELSE
        let at = self.at;
        self.eat_operator(";");
        let otherwise = if self.eat_word("ELSE") {
            Some(Box::new(self.statement()?))
        } else {
            self.at = at;
            None
        };
        Ok(StatementKind::If { condition, then, otherwise })
    }

    fn begin(&mut self) -> Parsed<StatementKind> {
        if self.word_at(1, "DIALOG") || self.word_at(1, "CONVERSATION") || self.word_at(1, "DISTRIBUTED") {
            return self.other("BEGIN");
        }
        self.at += 1;
        if self.eat_word("TRANSACTION") || self.eat_word("TRAN") {
            if !self.ends_here() && !self.word_at(0, "WITH") {
                self.name_value()?;
            }
            if self.eat_word("WITH") {
                self.expect_word("MARK")?;
                if !self.ends_here() {
                    self.value()?;
                }
            }
            return Ok(StatementKind::BeginTransaction);
        }
        if self.eat_word("TRY") {
            let body = self.statements(&["END"])?;
            self.at += 1;
            self.expect_word("TRY")?;
            self.eat_operator(";");
            self.expect_word("BEGIN")?;
            self.expect_word("CATCH")?;
            let catch = self.statements(&["END"])?;
            self.at += 1;
            self.expect_word("CATCH")?;
            return Ok(StatementKind::Try { body, catch });
        }
        let body = self.statements(&["END"])?;
        self.at += 1;
        if body.is_empty() {
            self.at -= 1;
            return Err(self.near());
        }
        Ok(StatementKind::Block(body))
    }

    fn waitfor(&mut self) -> Parsed<StatementKind> {
        if self.operator_at(1, "(") {
            return self.other("WAITFOR");
        }
        self.at += 1;
        if self.eat_word("DELAY") {
            Ok(StatementKind::WaitDelay(self.value()?))
        } else if self.eat_word("TIME") {
            Ok(StatementKind::WaitTime(self.value()?))
        } else {
            Err(self.near())
        }
    }

    fn raiserror(&mut self) -> Parsed<StatementKind> {
        self.at += 1;
        self.expect_operator("(")?;
        let mut arguments = vec![self.expression(true)?];
        while self.eat_operator(",") {
            arguments.push(self.expression(true)?);
        }
        self.expect_operator(")")?;
        let mut options = Vec::new();
        if self.eat_word("WITH") {
            options.push(self.take_word()?);
            while self.eat_operator(",") {
                options.push(self.take_word()?);
            }
        }
        Ok(StatementKind::Raiserror(Raiserror { arguments, options }))
    }

    fn kill(&mut self) -> Parsed<StatementKind> {
        if self.word_at(1, "QUERY") || self.word_at(1, "STATS") {
            return self.other("KILL");
        }
        self.at += 1;
        let at = self.at;
        let session = self.value()?;
        if !matches!(session.kind, ValueKind::Number(_) | ValueKind::Text(_) | ValueKind::Placeholder(_)) {
            self.at = at;
            return Err(self.near());
        }
        let mut status_only = false;
        if self.eat_word("WITH") {
            match self.word().as_deref() {
                Some("STATUSONLY") => status_only = true,
                Some("COMMIT" | "ROLLBACK") => {}
                _ => return Err(self.near()),
            }
            self.at += 1;
        }
        Ok(StatementKind::Kill(Kill { session, status_only }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::syntax::{DatabaseChangeKind, Options, RestoreKind, Termination};
    use super::*;
    use proptest::prelude::{ProptestConfig, proptest};

    fn one(text: &str) -> StatementKind {
        let mut batch = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(batch.statements.len(), 1, "{text}: {:?}", batch.statements);
        batch.statements.remove(0).kind
    }

    fn pieces(text: &str) -> Vec<&str> {
        let batch = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        batch.statements.into_iter().map(|statement| &text[statement.range]).collect()
    }

    #[test]
    fn the_words_that_begin_statements_can_be_searched() {
        for word in ["ALTER", "RESTORE", "RETURN", "REVERT", "REVOKE", "SELECT", "WAITFOR", "USE", "while", "kill"] {
            assert!(begins_statement(word), "{word}");
        }
        assert!(!begins_statement("FROM"));
    }

    #[test]
    fn statements_need_no_semicolons() {
        assert_eq!(
            pieces(
                "USE master ALTER DATABASE mgc SET SINGLE_USER WITH ROLLBACK IMMEDIATE \
                 RESTORE DATABASE mgc WITH RECOVERY ;; SELECT 1"
            ),
            ["USE master", "ALTER DATABASE mgc SET SINGLE_USER WITH ROLLBACK IMMEDIATE", "RESTORE DATABASE mgc WITH RECOVERY", "SELECT 1",]
        );
        assert_eq!(
            pieces("INSERT INTO t SELECT 1 UPDATE t SET a = 2 DELETE t"),
            ["INSERT INTO t SELECT 1", "UPDATE t SET a = 2", "DELETE t"]
        );
        assert_eq!(
            pieces("SELECT CASE WHEN a = 1 THEN 2 ELSE 3 END FROM t ORDER BY a OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY PRINT 'x'"),
            ["SELECT CASE WHEN a = 1 THEN 2 ELSE 3 END FROM t ORDER BY a OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY", "PRINT 'x'"]
        );
    }

    #[test]
    fn restore_keeps_everything_that_is_said() {
        let StatementKind::Restore(restore) =
            one("restore log [mgc] from disk = N'D:\\a b.trn', disk = @p with file = 2, norecovery, stats = 5, \
             move 'mgc' to 'E:\\x.mdf', stopat = '2014-02-05', medianame = 'm', checksum")
        else {
            panic!("a RESTORE")
        };
        assert_eq!(restore.kind, RestoreKind::Log);
        assert_eq!(restore.database.as_ref().and_then(Value::literal), Some("mgc"));
        assert_eq!(restore.from[0].place.literal(), Some("D:\\a b.trn"));
        assert_eq!(restore.from[1].place.variable(), Some("@p"));
        assert_eq!(restore.value("FILE").and_then(Value::integer), Some(2));
        assert!(restore.has("NORECOVERY") && restore.has("CHECKSUM") && !restore.recovers());
        let moved = restore.option("MOVE").expect("MOVE is given");
        assert_eq!(moved.value.as_ref().and_then(Value::literal), Some("mgc"));
        assert_eq!(moved.to.as_ref().and_then(Value::literal), Some("E:\\x.mdf"));
        let StatementKind::Restore(restore) = one("RESTORE LOG @db FROM DISK = @path") else { panic!("a RESTORE") };
        assert_eq!(restore.database.as_ref().and_then(Value::variable), Some("@db"));
        assert!(restore.recovers());
        let StatementKind::Restore(restore) = one("RESTORE DATABASE mgc WITH STANDBY = 'x.tuf'") else { panic!("a RESTORE") };
        assert!(!restore.recovers() && restore.from.is_empty());
    }

    #[test]
    fn backup_kill_alter_and_drop_are_read() {
        let StatementKind::Backup(backup) = one("BACKUP LOG mgc TO DISK = 'x' WITH NORECOVERY, NO_TRUNCATE, COMPRESSION, STATS") else {
            panic!("a BACKUP")
        };
        assert!(backup.log && backup.has("NO_TRUNCATE") && backup.has("STATS"));
        let StatementKind::Kill(kill) = one("kill 57 with statusonly") else { panic!("a KILL") };
        assert!(kill.status_only && kill.session.integer() == Some(57));
        let StatementKind::AlterDatabase(alter) =
            one("ALTER DATABASE [mgc] SET RESTRICTED_USER, RECOVERY FULL WITH ROLLBACK AFTER 30 SECONDS")
        else {
            panic!("an ALTER DATABASE")
        };
        assert_eq!(alter.changes[0].kind, DatabaseChangeKind::RestrictedUser);
        assert_eq!(alter.changes[1].kind, DatabaseChangeKind::Recovery("FULL".to_owned()));
        assert_eq!(alter.termination, Some(Termination::RollbackAfter(Some(30))));
        let StatementKind::AlterDatabase(alter) = one("ALTER DATABASE mgc SET PARTNER = 'TCP://a:5022'") else {
            panic!("an ALTER DATABASE")
        };
        assert!(matches!(&alter.changes[0].kind, DatabaseChangeKind::Partner(v) if v.literal() == Some("TCP://a:5022")));
        let StatementKind::DropDatabase(drop) = one("DROP DATABASE IF EXISTS a, [b]") else { panic!("a DROP DATABASE") };
        assert!(drop.if_exists && drop.databases.len() == 2);
    }

    #[test]
    fn procedures_are_called_in_every_documented_way() {
        let exec = |text: &str| match one(text) {
            StatementKind::Exec(exec) => exec,
            other => panic!("{text}: {other:?}"),
        };
        let call = exec("exec sp_delete_log_shipping_secondary_database mgc");
        assert_eq!(call.target.name().as_deref(), Some("sp_delete_log_shipping_secondary_database"));
        assert_eq!(call.arguments[0].value.literal(), Some("mgc"));
        let call = exec("EXECUTE @rc = [msdb]..[sp_x] N'a', @b = -1, @c = @d OUTPUT, @e = NULL WITH RECOMPILE");
        assert_eq!(call.status.as_ref().map(|name| name.text.as_str()), Some("@rc"));
        assert_eq!(call.target.name().as_deref(), Some("msdb..sp_x"));
        assert_eq!(call.arguments[1].value.integer(), Some(-1));
        assert!(call.arguments[2].output && call.arguments[3].value.kind == ValueKind::Null);
        assert_eq!(exec("sp_who2").target.name().as_deref(), Some("sp_who2"));
        assert_eq!(exec("[sp_who2] 'active'").arguments.len(), 1);
        assert!(matches!(exec("EXEC ('a' + @b) AT srv").target, ExecTarget::Text(_)));
        assert!(matches!(exec("EXEC @p 1").target, ExecTarget::Variable(_)));
    }

    #[test]
    fn blocks_hold_their_statements() {
        let StatementKind::If { then, otherwise, .. } =
            one("IF (SELECT COUNT(*) FROM t) > 0 BEGIN EXEC a; KILL 5 END ELSE IF 1 = 2 PRINT 'x' ELSE SELECT 3")
        else {
            panic!("an IF")
        };
        assert!(matches!(then.kind, StatementKind::Block(body) if body.len() == 2));
        assert!(matches!(otherwise.map(|s| s.kind), Some(StatementKind::If { .. })));
        assert_eq!(pieces("DECLARE @a int = 1, @t TABLE (a int, b int) SET @a += 1 SET LOCK_TIMEOUT 5000").len(), 3);
        assert!(matches!(one("WAITFOR DELAY '00:00:05'"), StatementKind::WaitDelay(_)));
        assert!(matches!(one("COMMIT TRAN"), StatementKind::Commit));
    }

    #[test]
    fn errors_name_the_near_token_as_sql_server_does() {
        let table: &[(&str, i32, &str)] = &[
            ("RESTORE LOG mgc FROM", 102, "FROM"),
            ("RESTORE mgc", 102, "mgc"),
            ("RESTORE LOG mgc FROM DISK = x", 102, "x"),
            ("RESTORE DATABASE mgc", 102, "mgc"),
            ("RESTORE LOG mgc FROM DISK = 'x' WITH NORECOVRY", 155, "NORECOVRY"),
            ("KILL @spid", 102, "@spid"),
            ("SELECT 1; sp_who2", 102, "sp_who2"),
            ("BEGIN SELECT 1", 102, "1"),
            ("SELECT 1 END", 102, "END"),
            ("SELECT 'a", 105, "'a"),
            ("SELECT [a", 105, "[a"),
            ("SELECT 1 /* x", 113, "/* x"),
            ("ALTER DATABASE mgc SET PARTNER NONSENSE", 102, "NONSENSE"),
            ("EXEC p 1 2", 102, "2"),
        ];
        for (text, number, near) in table {
            let error = parse(text).expect_err(text);
            assert_eq!((error.number(), &text[error.range()]), (*number, *near), "{text}");
        }
    }

    #[test]
    fn endless_nesting_is_refused_before_the_stack_ends() {
        let text = "IF 1 = 1 ".repeat(10_000);
        assert_eq!(parse(&text).expect_err("too deep").number(), 191);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]
        #[test]
        fn no_text_makes_it_panic(
            text in "((RESTORE|LOG|DATABASE|FROM|DISK|WITH|MOVE|TO|FILE|BACKUP|KILL|EXEC|SET|ALTER|PARTNER|IF|ELSE|BEGIN|\
                     END|TRY|CATCH|DECLARE|SELECT|CASE|DROP|@a|@|'x'|[(),;=.-]|[a-z]|5|.) ?){0,25}",
        ) {
            if let Err(error) = parse(&text) {
                let _ = &text[error.range()];
            }
            let classified = crate::tsql::classify::classify(&text);
            if let Some(change) = classified.change {
                let _ = &text[change.range];
            }
            crate::tsql::classify::points_of_no_return(&text);
        }
    }
}
