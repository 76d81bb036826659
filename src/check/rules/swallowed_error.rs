//! See `swallowed-error.md`.

use std::collections::BTreeSet;

use rhai::{ASTFlags, Expr, FnCallExpr, Position, Stmt, Token};

use crate::check::reach::{Reach, contains};
use crate::check::{File, Finding, Look, Rule, Severity};
use crate::script::walk::{self, Node};

pub static SWALLOWED_ERROR: Rule =
    Rule { slug: "swallowed-error", severity: Severity::Warning, page: include_str!("swallowed-error.md"), look: Look::File(check) };

/// What tells somebody: a person, or the record.
const TELLS: &[&str] = &["fail", "warn", "note", "ask", "confirm", "manual", "keep"];

/// What reaches the world: an error of anything else is no effect's.
const EFFECTS: &[&str] = &[
    "sql",
    "query",
    "ps",
    "shell",
    "backups",
    "copy_backups",
    "log_chain",
    "restore_logs",
    "confirm",
    "ask",
    "manual",
    "keep",
    "wait_until",
    "fail",
];

fn check(file: &File<'_>, findings: &mut Vec<Finding>) {
    let mut bodies = vec![file.file.ast.statements()];
    bodies.extend(file.file.functions.iter().map(|function| function.statements.as_slice()));
    for body in bodies {
        walk::statements(body, &mut |node| {
            let Node::Stmt(Stmt::TryCatch(flow, position)) = node else { return };
            let reach = Reach::new(file.script, file.index);
            if !reach.calls(flow.body.statements(), EFFECTS) && !throws(flow.body.statements()) {
                return;
            }
            let handler = flow.branch.statements();
            let caught = match &flow.expr {
                Expr::Variable(parts, _, _) => Some(parts.1.as_str()),
                _ => None,
            };
            let used = caught.is_some_and(|name| uses(handler, &[name]));
            if used || throws(handler) || reach.calls(handler, TELLS) || told_later(body, handler, *position, &reach) {
                return;
            }
            let span = catch_span(file, flow.branch.position()).unwrap_or_else(|| file.file.span_at(*position));
            findings.push(SWALLOWED_ERROR.finding(
                file.file,
                span,
                "an error is caught here, and nobody is told",
                "swallows what went wrong",
                "tell it with `warn(`${failure}`)`, or `throw` it again",
            ));
        });
    }
}

fn throws(statements: &[Stmt]) -> bool {
    contains(statements, &mut |node| matches!(node, Node::Stmt(Stmt::Return(_, flags, _)) if flags.intersects(ASTFlags::BREAK)))
}

fn uses(statements: &[Stmt], names: &[&str]) -> bool {
    contains(statements, &mut |node| matches!(node, Node::Expr(Expr::Variable(parts, _, _)) if names.contains(&parts.1.as_str())))
}

/// True if the handler leaves a mark in a variable that is tested, or told, further on.
fn told_later(body: &[Stmt], handler: &[Stmt], at: Position, reach: &Reach<'_>) -> bool {
    let mut marks = BTreeSet::new();
    walk::statements(handler, &mut |node| {
        if let Node::Stmt(Stmt::Assignment(parts)) = node
            && let Some(name) = root(&parts.1.lhs)
        {
            marks.insert(name);
        }
        if let Node::Expr(Expr::Dot(pair, _, _)) = node
            && matches!(pair.rhs, Expr::MethodCall(..))
            && let Some(name) = root(&pair.lhs)
        {
            marks.insert(name);
        }
    });
    if marks.is_empty() {
        return false;
    }
    let names: Vec<&str> = marks.into_iter().collect();
    let after = |position: Position| walk::place(position) > walk::place(at);
    let mentions = |expr: &Expr| {
        let mut found = false;
        walk::expression(expr, &mut |node| {
            found |= matches!(node, Node::Expr(Expr::Variable(parts, _, _)) if names.contains(&parts.1.as_str()))
        });
        found
    };
    contains(body, &mut |node| match node {
        Node::Stmt(Stmt::If(flow, position) | Stmt::While(flow, position)) => after(*position) && mentions(&flow.expr),
        Node::Stmt(Stmt::FnCall(call, position)) | Node::Expr(Expr::FnCall(call, position)) => {
            after(*position) && told(call, reach) && call.args.iter().any(&mentions)
        }
        Node::Stmt(Stmt::Return(Some(expr), _, position)) => after(*position) && mentions(expr),
        _ => false,
    })
}

fn told(call: &FnCallExpr, reach: &Reach<'_>) -> bool {
    !call.is_operator_call() && reach.call_reaches(call, TELLS)
}

fn root(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Variable(parts, _, _) => Some(parts.1.as_str()),
        Expr::Dot(pair, _, _) | Expr::Index(pair, _, _) => root(&pair.lhs),
        _ => None,
    }
}

/// The word `catch` before a handler's block.
fn catch_span(file: &File<'_>, block: Position) -> Option<std::ops::Range<usize>> {
    let start = file.file.span_at(block).start;
    let before = file.file.lexemes().iter().take_while(|lexeme| lexeme.span.start < start);
    before.filter(|lexeme| matches!(lexeme.token, Token::Catch)).last().map(|lexeme| lexeme.span.clone())
}
