//! Whether a list of sessions is narrowed to one database: by the T-SQL text that asks for it, by a closure that filters it, or
//! by an `if` in the loop over it. A comparison leaves in what it asks for only if it is one of equality; what cannot be told
//! counts as narrowed.

use rhai::{Expr, Position, Stmt, Token as RhaiToken};

use super::event::Reading;
use super::rules::leaves;
use crate::script::SourceFile;
use crate::script::walk::{self, Node, holds};
use crate::tsql::lex::{Token, TokenKind};

/// Columns that say which database a session is in.
const COLUMNS: &[&str] = &["DBName", "dbid", "database_id", "database_name", "db", "database"];

/// True for a T-SQL text that asks for the sessions of one database, as far as that can be told.
pub fn text(reading: &Reading) -> bool {
    let (text, tokens) = (reading.rendered.as_str(), reading.tokens.as_slice());
    let named = |token: &Token, names: &[&str]| token.name(text).is_some_and(|name| names.iter().any(|n| name.eq_ignore_ascii_case(n)));
    let condition = tokens.iter().position(|token| ["WHERE", "ON", "HAVING", "IF"].iter().any(|word| token.is_word(text, word)));
    let Some(condition) = condition else { return false };
    let by_name = tokens.iter().any(|token| named(token, &["databases", "sysdatabases"]));
    let says = |token: &Token| {
        named(token, &["dbid", "database_id", "db_id", "db_name", "dbname", "database_name", "resource_database_id"])
            || (by_name && named(token, &["name"]))
    };
    (condition..tokens.len()).filter(|at| says(&tokens[*at])).any(|at| compares(text, tokens, at))
}

/// True unless what stands there is surely compared otherwise than for equality with a value.
fn compares(text: &str, tokens: &[Token], at: usize) -> bool {
    let is = |at: usize, sign: &str| tokens.get(at).is_some_and(|token| token.is_operator(text, sign));
    let word = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is_word(text, word));
    // the whole operand: `p.dbid`, `DB_NAME(p.dbid)`, `DB_ID(@d)`
    let (mut first, mut last) = (at, at);
    loop {
        if first >= 2 && is(first - 1, ".") {
            first -= 2;
        } else if first >= 2 && is(first - 1, "(") && is(last + 1, ")") && tokens[first - 2].kind == TokenKind::Word {
            (first, last) = (first - 2, last + 1);
        } else if is(last + 1, "(") {
            let mut depth = 0_usize;
            while last + 1 < tokens.len() {
                last += 1;
                depth += usize::from(is(last, "("));
                depth -= usize::from(is(last, ")") && depth > 0);
                if depth == 0 {
                    break;
                }
            }
        } else {
            break;
        }
    }
    let before = |n: usize| first.checked_sub(n);
    let not = |n: usize| before(n).is_some_and(|at| word(at, "NOT"));
    let unequal = |at: usize| ["<>", "!=", "<", ">", "<=", ">=", "!<", "!>"].iter().any(|sign| is(at, sign)) || word(at, "NOT");
    let turned = not(1) || (not(2) && before(1).is_some_and(|at| is(at, "(")));
    if unequal(last + 1) || before(1).filter(|_| !not(1)).is_some_and(unequal) {
        return turned;
    }
    if turned || word(last + 1, "IS") {
        return false;
    }
    let other = match (is(last + 1, "="), before(1).filter(|at| is(*at, "="))) {
        (true, _) => tokens.get(last + 2).zip(tokens.get(last + 3).or(tokens.get(last + 2))),
        (false, Some(equals)) => equals.checked_sub(1).and_then(|at| tokens.get(at)).map(|token| (token, token)),
        (false, None) => return true,
    };
    // another column: a join leaves everything in
    let is_column = |token: &Token| matches!(token.kind, TokenKind::Word | TokenKind::Bracketed | TokenKind::Quoted);
    !other.is_some_and(|(token, next)| is_column(token) && !next.is_operator(text, "("))
}

/// True for a closure or a condition that keeps the rows of one database, as far as that can be told.
pub fn keeps(statements: &[Stmt]) -> bool {
    let (mut all, mut others, mut turned) = (0, 0, false);
    walk::statements(statements, &mut |node| {
        count(node, &mut all, &mut others);
        // `!(a || b)`, and `if a { return false; }`, ask for the opposite
        turned |= match node {
            Node::Expr(Expr::FnCall(call, _)) if matches!(call.op_token, Some(RhaiToken::Bang)) => {
                !matches!(call.args.first(), Some(Expr::FnCall(..)))
            }
            Node::Stmt(Stmt::Return(Some(value), ..)) => matches!(**value, Expr::BoolConstant(false, _)),
            _ => false,
        };
    });
    all > others || (all > 0 && turned)
}

/// Counts mentions of such a column, and those that only leave rows out or ask whether there is one.
fn count(node: Node<'_>, all: &mut usize, others: &mut usize) {
    let columns = |expr: &Expr| {
        let mut found = 0;
        walk::expression(expr, &mut |node| found += usize::from(is_column(node)));
        found
    };
    *all += usize::from(is_column(node));
    let Node::Expr(Expr::FnCall(call, _)) = node else { return };
    let nothing = |expr: &Expr| matches!(expr, Expr::Unit(_));
    match (&call.op_token, &*call.args) {
        (Some(RhaiToken::NotEqualsTo), args) => *others += args.iter().map(columns).sum::<usize>(),
        (Some(RhaiToken::EqualsTo), [a, b]) if nothing(a) || nothing(b) => *others += columns(a) + columns(b),
        (Some(RhaiToken::Bang), [Expr::FnCall(inner, _)]) if matches!(inner.op_token, Some(RhaiToken::EqualsTo)) => {
            *others += inner.args.iter().map(columns).sum::<usize>();
        }
        _ => {}
    }
}

fn is_column(node: Node<'_>) -> bool {
    let named = |name: &str| COLUMNS.iter().any(|column| name.eq_ignore_ascii_case(column));
    match node {
        Node::Expr(Expr::Property(parts, _)) => named(&parts.2),
        Node::Expr(Expr::Index(pair, ..)) => matches!(&pair.rhs, Expr::StringConstant(text, _) if named(text)),
        _ => false,
    }
}

/// True if a loop around a place of a file lets only turns for one database come there.
pub fn turn(file: &SourceFile, at: Position) -> bool {
    let mut found = false;
    file.nodes(&mut |node| {
        if let Node::Stmt(Stmt::For(parts, _)) = node
            && holds(parts.2.body.statements(), at)
        {
            found |= lets_in(parts.2.body.statements(), at);
        }
    });
    found
}

fn lets_in(turn: &[Stmt], at: Position) -> bool {
    let mut found = false;
    walk::statements(turn, &mut |node| {
        let Node::Stmt(Stmt::If(flow, _)) = node else { return };
        let (mut all, mut others) = (0, 0);
        walk::expression(&flow.expr, &mut |node| count(node, &mut all, &mut others));
        let (then, otherwise) = (flow.body.statements(), flow.branch.statements());
        found |= match (all, others) {
            (0, _) => false,
            // it asks for other databases
            (all, others) if all == others => holds(otherwise, at) || (leaves(then) && !holds(then, at)),
            _ => holds(then, at),
        };
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_narrowed_by_equality_with_a_value_and_by_nothing_else() {
        for condition in [
            "WHERE dbid = DB_ID(@d)",
            "WHERE DB_ID(@d) = p.dbid",
            "WHERE p.dbid = 5 AND p.spid > 50",
            "WHERE DB_NAME(p.dbid) = @d",
            "WHERE 'mgc' = DB_NAME(p.dbid)",
            "WHERE dbid IN (SELECT database_id FROM sys.databases WHERE name = @d)",
            "JOIN sys.databases d ON d.database_id = p.dbid WHERE d.name = @d",
            "WHERE ISNULL(dbid, 0) = DB_ID(@d)",
            "WHERE dbid <> 1 AND dbid = DB_ID(@d)",
        ] {
            assert!(text(&Reading::of(format!("SELECT spid FROM sys.sysprocesses p {condition}"))), "{condition}");
        }
        for condition in [
            "",
            "WHERE dbid <> DB_ID(@d)",
            "WHERE DB_NAME(dbid) != @d",
            "WHERE dbid > 4",
            "WHERE NOT dbid = DB_ID(@d)",
            "WHERE dbid NOT IN (1, 2)",
            "JOIN sys.databases d ON d.database_id = p.dbid",
            "JOIN sys.databases d ON d.database_id = p.dbid WHERE d.name <> @d",
        ] {
            assert!(!text(&Reading::of(format!("SELECT spid, DB_NAME(dbid), DB_ID() FROM sys.sysprocesses p {condition}"))), "{condition}");
        }
    }
}
