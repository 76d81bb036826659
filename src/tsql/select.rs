//! Proves that a SELECT, or an expression, only reads. Called by `classify`. Two readers must agree: our own tokens, which
//! see every word whatever the grammar, and sqlparser, which must understand the whole text as one query. What sqlparser
//! cannot parse is no proof, and so counts as a change, never as a syntax error.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{Expr, ObjectName, Query, SetExpr, Statement, TableFactor, Visit, Visitor};
use sqlparser::dialect::MsSqlDialect;

use super::lex::{Token, TokenKind, lex};

/// What a piece of text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// a whole SELECT
    Query,
    /// a value, as after `SET @x =`
    Scalar,
    /// a condition, as after IF
    Condition,
}

/// Why a text is not provably a read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    pub why: String,
    pub range: Range<usize>,
}

/// Words that turn a SELECT into more than a read, or that leave locks behind.
const UNSAFE_WORDS: &[(&str, &str)] = &[
    ("INTO", "`SELECT ... INTO` creates a table"),
    ("OPENROWSET", "`OPENROWSET` runs text that only the other side knows"),
    ("OPENQUERY", "`OPENQUERY` runs text that only the other server knows"),
    ("OPENDATASOURCE", "`OPENDATASOURCE` opens a connection to another server"),
    ("UPDLOCK", "a lock hint holds other sessions up"),
    ("XLOCK", "a lock hint holds other sessions up"),
    ("TABLOCK", "a lock hint holds other sessions up"),
    ("TABLOCKX", "a lock hint holds other sessions up"),
    ("HOLDLOCK", "a lock hint holds other sessions up"),
    ("PAGLOCK", "a lock hint holds other sessions up"),
    ("ROWLOCK", "a lock hint holds other sessions up"),
    ("SERIALIZABLE", "a lock hint holds other sessions up"),
    ("REPEATABLEREAD", "a lock hint holds other sessions up"),
];

/// Functions that are reads in name only, however they are quoted.
const UNSAFE_FUNCTIONS: &[(&str, &str)] = &[("fn_dump_dblog", "`fn_dump_dblog` leaves a hidden scheduler behind with every call")];

/// Functions in a schema of somebody else that are known to read.
const READING_FUNCTIONS: &[&str] = &["msdb.dbo.agent_datetime", "dbo.agent_datetime", "msdb..agent_datetime"];

/// Table functions that are SQL Server's own without a schema before them.
const TABLE_FUNCTIONS: &[&str] = &[
    "string_split",
    "openjson",
    "openxml",
    "generate_series",
    "containstable",
    "freetexttable",
    "fn_dblog",
    "fn_get_sql",
    "fn_helpcollations",
    "fn_listextendedproperty",
    "fn_my_permissions",
    "fn_servershareddrives",
    "fn_trace_getinfo",
    "fn_trace_gettable",
    "fn_virtualfilestats",
    "fn_virtualservernodes",
];

/// True if a text reads as one query, whatever it does.
pub fn is_query(text: &str) -> bool {
    let masked = mask(text, &lex(text));
    sqlparser::parser::Parser::parse_sql(&MsSqlDialect {}, &masked)
        .is_ok_and(|statements| matches!(statements.as_slice(), [Statement::Query(_)]))
}

/// `None`: this part of the text is proven to be a read.
pub fn doubt(text: &str, range: Range<usize>, shape: Shape) -> Option<Doubt> {
    let part = &text[range.clone()];
    let tokens = lex(part);
    if let Some((why, at)) = unsafe_word(part, &tokens) {
        return Some(Doubt { why, range: range.start + at.start..range.start + at.end });
    }
    let masked = mask(part, &tokens);
    let whole = match shape {
        Shape::Query => masked,
        Shape::Scalar => format!("SELECT {masked}"),
        Shape::Condition => format!("SELECT 1 WHERE {masked}"),
    };
    let unproven = |why: String| Some(Doubt { why, range: range.clone() });
    let Ok(statements) = sqlparser::parser::Parser::parse_sql(&MsSqlDialect {}, &whole) else {
        return unproven("this text could not be read, so it is taken for a change".to_owned());
    };
    let [Statement::Query(query)] = statements.as_slice() else {
        return unproven("this is not one query".to_owned());
    };
    match query.visit(&mut Prover) {
        ControlFlow::Continue(()) => None,
        ControlFlow::Break(why) => unproven(why),
    }
}

fn unsafe_word(part: &str, tokens: &[Token]) -> Option<(String, Range<usize>)> {
    let mut before = ["", ""];
    for token in tokens.iter().filter(|token| !token.is_trivia()) {
        let text = token.text(part);
        if token.kind == TokenKind::Word {
            if let Some((_, why)) = UNSAFE_WORDS.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)) {
                return Some(((*why).to_owned(), token.range()));
            }
            let sequence = before[0].eq_ignore_ascii_case("NEXT") && before[1].eq_ignore_ascii_case("VALUE");
            if sequence && text.eq_ignore_ascii_case("FOR") {
                return Some(("`NEXT VALUE FOR` uses up a number of the sequence".to_owned(), token.range()));
            }
        }
        if let Some(name) = token.name(part)
            && let Some((_, why)) = UNSAFE_FUNCTIONS.iter().find(|(word, _)| name.eq_ignore_ascii_case(word))
        {
            return Some(((*why).to_owned(), token.range()));
        }
        before = [before[1], text];
    }
    None
}

/// The text with what sqlparser does not know put out of its way, at the same length: placeholders become names, and
/// the OPTION clause, which holds only hints for the optimizer, blanks.
fn mask(part: &str, tokens: &[Token]) -> String {
    let mut masked = String::with_capacity(part.len());
    let mut open = 0usize;
    let mut option: Option<usize> = None;
    for (n, token) in tokens.iter().enumerate() {
        let text = token.text(part);
        if option.is_none() && open == 0 && token.is_word(part, "OPTION") {
            let next = tokens[n + 1..].iter().find(|token| !token.is_trivia());
            if next.is_some_and(|next| next.is_operator(part, "(")) {
                option = Some(open);
            }
        }
        if token.is_operator(part, "(") {
            open += 1;
        }
        if token.is_operator(part, ")") {
            open = open.saturating_sub(1);
        }
        if let Some(level) = option {
            masked.extend(std::iter::repeat_n(' ', text.len()));
            if open == level && token.is_operator(part, ")") {
                option = None;
            }
        } else if token.kind == TokenKind::Placeholder {
            masked.push('_');
            masked.push_str(&text[1..text.len() - 1]);
            masked.push('_');
        } else {
            masked.push_str(text);
        }
    }
    masked
}

/// Walks a query and breaks, with the reason, at the first thing that is not proven to read.
struct Prover;

/// The name in lower case, with dots.
fn dotted(name: &ObjectName) -> String {
    let parts: Vec<String> =
        name.0.iter().map(|part| part.as_ident().map_or_else(|| part.to_string(), |ident| ident.value.clone()).to_lowercase()).collect();
    parts.join(".")
}

fn function(name: &ObjectName, table: bool) -> ControlFlow<String> {
    let name = dotted(name);
    let parts: Vec<&str> = name.split('.').collect();
    let own = match parts.as_slice() {
        [name] => !table || TABLE_FUNCTIONS.contains(name),
        [.., "sys", _] => true,
        _ => READING_FUNCTIONS.contains(&name.as_str()),
    };
    if own { ControlFlow::Continue(()) } else { ControlFlow::Break(format!("nobody here knows what `{name}` does")) }
}

impl Visitor for Prover {
    type Break = String;

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<String> {
        match statement {
            Statement::Query(_) => ControlFlow::Continue(()),
            _ => ControlFlow::Break("this is not a query".to_owned()),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        if !query.locks.is_empty() {
            return ControlFlow::Break("a lock clause holds other sessions up".to_owned());
        }
        let mut bodies = vec![query.body.as_ref()];
        while let Some(body) = bodies.pop() {
            match body {
                SetExpr::Select(select) if select.into.is_some() => {
                    return ControlFlow::Break("`SELECT ... INTO` creates a table".to_owned());
                }
                SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => {}
                SetExpr::SetOperation { left, right, .. } => bodies.extend([left.as_ref(), right.as_ref()]),
                _ => return ControlFlow::Break("this is not a query".to_owned()),
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<String> {
        match factor {
            // `FROM t (NOLOCK)` comes as an argument, and only a bare word can be a hint
            TableFactor::Table { name, args: Some(args), .. } => {
                let hints = args.args.iter().all(|argument| {
                    matches!(
                        argument.to_string().to_ascii_uppercase().as_str(),
                        "NOLOCK" | "READUNCOMMITTED" | "READCOMMITTED" | "READPAST" | "NOWAIT" | "NOEXPAND"
                    )
                });
                if hints && !args.args.is_empty() { ControlFlow::Continue(()) } else { function(name, true) }
            }
            TableFactor::Function { name, .. } => function(name, true),
            TableFactor::Table { .. }
            | TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::OpenJsonTable { .. }
            | TableFactor::Pivot { .. }
            | TableFactor::Unpivot { .. } => ControlFlow::Continue(()),
            other => ControlFlow::Break(format!("nobody here knows what `{other}` does")),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        match expr {
            Expr::Function(call) => function(&call.name, false),
            _ => ControlFlow::Continue(()),
        }
    }
}
