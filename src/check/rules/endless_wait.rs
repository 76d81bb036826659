//! See `endless-wait.md`.

use rhai::{ASTFlags, Expr, FnCallExpr, Stmt, Token};

use crate::check::reach::{Reach, contains};
use crate::check::{File, Finding, Look, Rule, Severity};
use crate::primitives;
use crate::script::walk::{self, Node};
use crate::script::written_call;
use crate::tsql::lex::significant;
use crate::tsql::statement::parse;
use crate::tsql::syntax::{Statement, StatementKind};

pub static ENDLESS_WAIT: Rule =
    Rule { slug: "endless-wait", severity: Severity::Warning, page: include_str!("endless-wait.md"), look: Look::File(check) };

/// What a loop that waits looks at.
const LOOKS: &[&str] = &["query", "ps", "backups", "log_chain"];

/// Each turn of a loop with one of these is a person's, or has a limit of its own.
const BOUNDED: &[&str] = &["ask", "confirm", "manual", "wait_until"];

/// Methods that take from a list.
const TAKES: &[&str] = &["pop", "shift", "remove", "splice", "drain", "truncate", "clear"];

fn check(file: &File<'_>, findings: &mut Vec<Finding>) {
    let reach = Reach::new(file.script, file.index);
    let mut bodies = vec![file.file.ast.statements()];
    bodies.extend(file.file.functions.iter().map(|function| function.statements.as_slice()));
    for body in bodies {
        walk::statements(body, &mut |node| {
            let (flow, position) = match node {
                Node::Stmt(Stmt::While(flow, position) | Stmt::Do(flow, _, position)) => (flow, *position),
                node => return in_sql(file, node, findings),
            };
            let turns = flow.body.statements();
            let condition = || std::iter::once(&flow.expr);
            let looks = reach.calls(turns, LOOKS) || condition().any(|expr| reach.expression_calls(expr, LOOKS));
            let bounded = reach.calls(turns, BOUNDED) || runs_once(turns) || counted(turns, &flow.expr) || takes(turns, &flow.expr);
            if looks && !bounded {
                findings.push(ENDLESS_WAIT.finding(
                    file.file,
                    file.file.span_at(position),
                    "this loop may never end: nothing limits how often it looks",
                    "waits without a limit",
                    "use `wait_until(what, limit, || ..)`, which always has a limit",
                ));
            }
        });
    }
}

/// True if the body always leaves the loop at its end.
fn runs_once(turns: &[Stmt]) -> bool {
    let leaves = |stmt: &Stmt| match stmt {
        Stmt::Return(..) => true,
        Stmt::BreakLoop(_, flags, _) => flags.intersects(ASTFlags::BREAK),
        Stmt::FnCall(call, _) => call.name == "fail",
        _ => false,
    };
    turns.last().is_some_and(leaves)
        && !contains(turns, &mut |node| matches!(node, Node::Stmt(Stmt::BreakLoop(_, flags, _)) if !flags.intersects(ASTFlags::BREAK)))
}

/// True for what gives a value to a variable that the condition asks for.
fn assigns(node: Node<'_>, condition: &Expr) -> bool {
    let Node::Stmt(Stmt::Assignment(parts)) = node else { return false };
    matches!(&parts.1.lhs, Expr::Variable(variable, _, _) if mentions(condition, &[variable.1.as_str()]))
}

/// True if a variable moves by a constant at each turn, and a test of it ends the loop.
fn counted(turns: &[Stmt], condition: &Expr) -> bool {
    let mut counters = Vec::new();
    walk::statements(turns, &mut |node| {
        let Node::Stmt(Stmt::Assignment(parts)) = node else { return };
        let Expr::Variable(variable, _, _) = &parts.1.lhs else { return };
        let name = variable.1.as_str();
        let steps = match &parts.1.rhs {
            value if is_constant(value) => parts.0.get_op_assignment_info().is_some(),
            Expr::FnCall(call, _) if parts.0.get_op_assignment_info().is_none() => moves(call, name),
            _ => false,
        };
        if steps {
            counters.push(name);
        }
    });
    if counters.is_empty() {
        return false;
    }
    mentions(condition, &counters)
        || contains(turns, &mut |node| {
            let Node::Stmt(Stmt::If(flow, _)) = node else { return false };
            let mut ends_here = |node: Node<'_>| ends(node) || assigns(node, condition);
            mentions(&flow.expr, &counters) && [&flow.body, &flow.branch].iter().any(|side| contains(side.statements(), &mut ends_here))
        })
        || contains(turns, &mut |node| match node {
            Node::Stmt(Stmt::Assignment(parts)) => assigns(node, condition) && mentions(&parts.1.rhs, &counters),
            _ => false,
        })
}

/// What ends a loop.
fn ends(node: Node<'_>) -> bool {
    match node {
        Node::Stmt(Stmt::BreakLoop(_, flags, _)) => flags.intersects(ASTFlags::BREAK),
        Node::Stmt(Stmt::Return(..)) => true,
        // one of the file's own may fail
        Node::Stmt(Stmt::FnCall(call, _)) | Node::Expr(Expr::FnCall(call, _)) => {
            !call.is_operator_call() && primitives::find(&call.name).is_none_or(|primitive| primitive.name == "fail")
        }
        _ => false,
    }
}

/// `n + 1`, `n - 1`
fn moves(call: &FnCallExpr, name: &str) -> bool {
    let operator = matches!(call.op_token, Some(Token::Plus | Token::Minus));
    operator
        && call.args.iter().any(is_constant)
        && call.args.iter().any(|arg| matches!(arg, Expr::Variable(parts, _, _) if parts.1.as_str() == name))
}

fn is_constant(expr: &Expr) -> bool {
    matches!(expr, Expr::IntegerConstant(..) | Expr::FloatConstant(..))
}

/// True if the condition asks a list that the body takes from: `while left.len() > 0 { let next = left.shift(); .. }`
fn takes(turns: &[Stmt], condition: &Expr) -> bool {
    contains(turns, &mut |node| {
        let Node::Expr(Expr::Dot(pair, _, _)) = node else { return false };
        let Expr::Variable(list, _, _) = &pair.lhs else { return false };
        let name = [list.1.as_str()];
        let taken = matches!(&pair.rhs, Expr::MethodCall(call, _) if TAKES.contains(&call.name.as_str()));
        taken
            && (mentions(condition, &name)
                || contains(turns, &mut |node| matches!(node, Node::Stmt(Stmt::If(flow, _)) if mentions(&flow.expr, &name))))
    })
}

fn mentions(expr: &Expr, names: &[&str]) -> bool {
    let mut found = false;
    walk::expression(expr, &mut |node| {
        found |= matches!(node, Node::Expr(Expr::Variable(parts, _, _)) if names.contains(&parts.1.as_str()));
    });
    found
}

/// A WHILE inside a T-SQL text that waits and counts nothing.
fn in_sql(file: &File<'_>, node: Node<'_>, findings: &mut Vec<Finding>) {
    let Some((call, _)) = written_call(node).filter(|(call, _)| matches!(call.name.as_str(), "sql" | "query")) else { return };
    let Some(Expr::StringConstant(text, at)) = call.args.get(1) else { return };
    if !text.to_ascii_uppercase().contains("WAITFOR") {
        return;
    }
    let Ok(batch) = parse(text) else { return };
    let Some(range) = batch.statements.iter().find_map(|statement| endless(text, statement)) else { return };
    let span = file.script.span_in_literal(file.index, *at, 0, text, &range).map_or_else(|| file.file.span_at(*at), |(_, span)| span);
    findings.push(ENDLESS_WAIT.finding(
        file.file,
        span,
        "this `WHILE` may never end: it waits and counts nothing",
        "waits without a limit",
        "use `wait_until(what, limit, || ..)` around a query, which always has a limit",
    ));
}

/// The first WHILE that waits, sets nothing, and tests no time.
fn endless(text: &str, statement: &Statement) -> Option<std::ops::Range<usize>> {
    match &statement.kind {
        StatementKind::While { condition, body } => {
            let clock = significant(&text[condition.range.clone()])
                .iter()
                .filter_map(|token| token.name(&text[condition.range.clone()]))
                .any(|name| name.to_ascii_lowercase().contains("date") || name.eq_ignore_ascii_case("CURRENT_TIMESTAMP"));
            let (waits, ends) = (
                any(body, &|kind| matches!(kind, StatementKind::WaitDelay(_))),
                any(body, &|kind| {
                    matches!(kind, StatementKind::SetVariable { .. } | StatementKind::Jump(_) | StatementKind::Raiserror(_))
                        || matches!(kind, StatementKind::Other { keyword } if keyword == "THROW" || keyword == "SELECT" || keyword == "FETCH")
                }),
            );
            (waits && !ends && !clock).then(|| statement.range.start..statement.range.start + "WHILE".len())
        }
        StatementKind::Block(body) => body.iter().find_map(|statement| endless(text, statement)),
        StatementKind::If { then, otherwise, .. } => {
            endless(text, then).or_else(|| otherwise.as_ref().and_then(|otherwise| endless(text, otherwise)))
        }
        _ => None,
    }
}

fn any(statement: &Statement, test: &dyn Fn(&StatementKind) -> bool) -> bool {
    test(&statement.kind)
        || match &statement.kind {
            StatementKind::Block(body) => body.iter().any(|statement| any(statement, test)),
            StatementKind::If { then, otherwise, .. } => {
                any(then, test) || otherwise.as_ref().is_some_and(|otherwise| any(otherwise, test))
            }
            StatementKind::While { body, .. } => any(body, test),
            StatementKind::Try { body, catch } => body.iter().chain(catch).any(|statement| any(statement, test)),
            _ => false,
        }
}
