//! See `unreachable-code.md`.

use rhai::{ASTFlags, Expr, Position, Stmt, Token};

use crate::check::reach::contains;
use crate::check::{File, Finding, Look, Rule, Severity};
use crate::script::walk::{self, Function, Node};

pub static UNREACHABLE_CODE: Rule =
    Rule { slug: "unreachable-code", severity: Severity::Warning, page: include_str!("unreachable-code.md"), look: Look::File(check) };

fn check(file: &File<'_>, findings: &mut Vec<Finding>) {
    let ends = |stmt: &Stmt| called(file, stmt).is_some_and(never_returns);
    let mut look = |list: &[Stmt]| {
        if let Some((stmt, why)) = first_unreachable(list, &ends) {
            let span = file.file.span_at(start_of(stmt));
            let help = "remove it, or put what must happen before what leaves";
            findings.push(UNREACHABLE_CODE.finding(file.file, span, format!("this is never reached: {why}"), "never reached", help));
        }
    };
    let bodies = std::iter::once(file.file.ast.statements()).chain(file.file.functions.iter().map(|f| f.statements.as_slice()));
    let mut never = Vec::new();
    for body in bodies {
        look(body);
        walk::statements(body, &mut |node| match node {
            Node::Stmt(Stmt::If(flow, _) | Stmt::While(flow, _)) => {
                if is_false(file, &flow.expr) {
                    never.push(leftmost(&flow.expr));
                }
                look(flow.body.statements());
                look(flow.branch.statements());
            }
            Node::Stmt(Stmt::Do(flow, ..)) => look(flow.body.statements()),
            Node::Stmt(Stmt::For(parts, _)) => look(parts.2.body.statements()),
            Node::Stmt(Stmt::TryCatch(flow, _)) => {
                look(flow.body.statements());
                look(flow.branch.statements());
            }
            Node::Stmt(Stmt::Block(block)) => look(block.statements()),
            Node::Expr(Expr::Stmt(block)) => look(block.statements()),
            _ => {}
        });
    }
    for at in never {
        let message = "this is never reached: the condition is always false";
        let help = "remove the branch, or write the condition that was meant";
        findings.push(UNREACHABLE_CODE.finding(file.file, file.file.span_at(at), message, "always false", help));
    }
}

/// True for a condition that is false whatever happens.
fn is_false(file: &File<'_>, condition: &Expr) -> bool {
    constant(file, condition) == Some(false)
}

/// What a condition of constants is.
fn constant(file: &File<'_>, condition: &Expr) -> Option<bool> {
    match condition {
        Expr::BoolConstant(value, _) => Some(*value),
        Expr::FnCall(call, _) if matches!(call.op_token, Some(Token::Bang)) => constant(file, call.args.first()?).map(|value| !value),
        Expr::And(parts, _) => {
            let mut parts = parts.iter().map(|part| constant(file, part));
            // what stands before it is asked all the same
            let first = parts.next()?;
            if first == Some(false) { first } else { None }
        }
        Expr::Variable(parts, ..) if parts.2.path.first().is_some_and(|first| first.name.as_str() == "global") => {
            file.file.ast.statements().iter().find_map(|stmt| match stmt {
                Stmt::Var(own, flags, _) if flags.intersects(ASTFlags::CONSTANT) && own.0.name == parts.1 => match &own.1 {
                    Expr::BoolConstant(value, _) => Some(*value),
                    _ => None,
                },
                _ => None,
            })
        }
        _ => None,
    }
}

/// The body of the function that a statement calls, of this file or of one that it imports.
fn called<'a>(file: &'a File<'_>, stmt: &Stmt) -> Option<&'a [Stmt]> {
    let call = match stmt {
        Stmt::FnCall(call, _) => call,
        Stmt::Expr(expr) => match &**expr {
            Expr::FnCall(call, _) if !call.is_operator_call() => call,
            _ => return None,
        },
        _ => return None,
    };
    let source = match call.namespace.path.first() {
        Some(alias) => file.script.imports[file.index].iter().find(|import| import.alias == alias.name.as_str())?.file,
        None => file.index,
    };
    let fits = |function: &&Function| function.name == call.name.as_str() && function.parameters.len() == call.args.len();
    file.script.files[source].functions.iter().find(fits).map(|function| function.statements.as_slice())
}

/// True for a body that always fails, and does not return before.
fn never_returns(body: &[Stmt]) -> bool {
    let returns = |node: Node<'_>| matches!(node, Node::Stmt(Stmt::Return(_, flags, _)) if !flags.intersects(ASTFlags::BREAK));
    leaves(body) && !contains(body, &mut |node| returns(node))
}

/// The first statement of a list that nothing leads to, and why.
fn first_unreachable<'a>(list: &'a [Stmt], ends: &dyn Fn(&Stmt) -> bool) -> Option<(&'a Stmt, &'static str)> {
    let real = |stmt: &&Stmt| !matches!(stmt, Stmt::Noop(_));
    let why = |stmt: &Stmt| leaving(stmt).or_else(|| ends(stmt).then_some("the function called before it always fails"));
    let (at, why) = list.iter().enumerate().find_map(|(at, stmt)| Some((at, why(stmt)?)))?;
    let next = list[at + 1..].iter().find(real)?;
    Some((next, why))
}

/// True if what stands after a list is not reached from within it.
pub(in crate::check) fn leaves(list: &[Stmt]) -> bool {
    list.iter().any(|stmt| leaving(stmt).is_some())
}

/// Why nothing after a statement is reached.
fn leaving(stmt: &Stmt) -> Option<&'static str> {
    match stmt {
        Stmt::Return(_, flags, _) if flags.intersects(ASTFlags::BREAK) => Some("`throw` stands before it"),
        Stmt::Return(..) => Some("`return` stands before it"),
        Stmt::BreakLoop(_, flags, _) if flags.intersects(ASTFlags::BREAK) => Some("`break` stands before it"),
        Stmt::BreakLoop(..) => Some("`continue` stands before it"),
        Stmt::FnCall(call, _) if call.name.as_str() == "fail" && !call.is_qualified() => Some("`fail` ends the run before it"),
        Stmt::Expr(expr) if gives_up(expr) => Some("`fail` ends the run before it"),
        Stmt::Block(block) if leaves(block.statements()) => Some("the block before it does not go on"),
        Stmt::If(flow, _) if leaves(flow.body.statements()) && leaves(flow.branch.statements()) => {
            Some("both branches before it do not go on")
        }
        Stmt::Switch(parts, _) if parts.1.def_case.is_some() && parts.1.expressions.iter().all(|case| gives_up(&case.rhs)) => {
            Some("no case of the `switch` before it goes on")
        }
        Stmt::While(flow, _) if is_endless(&flow.expr) && !breaks(flow.body.statements()) => Some("the loop before it has no `break`"),
        _ => None,
    }
}

/// True for a value that is none: `fail(..)`, or a block that does not go on.
fn gives_up(expr: &Expr) -> bool {
    match expr {
        Expr::FnCall(call, _) => call.name.as_str() == "fail" && !call.is_qualified(),
        Expr::Stmt(block) => leaves(block.statements()),
        _ => false,
    }
}

fn is_endless(condition: &Expr) -> bool {
    matches!(condition, Expr::Unit(_) | Expr::BoolConstant(true, _))
}

/// True if a loop's body has a `break` of its own.
fn breaks(body: &[Stmt]) -> bool {
    body.iter().any(|stmt| match stmt {
        Stmt::BreakLoop(_, flags, _) => flags.intersects(ASTFlags::BREAK),
        // their own loops
        Stmt::While(..) | Stmt::Do(..) | Stmt::For(..) => false,
        Stmt::If(flow, _) | Stmt::TryCatch(flow, _) => breaks(flow.body.statements()) || breaks(flow.branch.statements()),
        Stmt::Block(block) => breaks(block.statements()),
        other => {
            // in a value: `let x = if y { break };`
            let mut found = false;
            walk::statements(std::slice::from_ref(other), &mut |node| {
                found |= matches!(node, Node::Stmt(Stmt::BreakLoop(_, flags, _)) if flags.intersects(ASTFlags::BREAK));
            });
            found
        }
    })
}

/// Where a statement starts.
fn start_of(stmt: &Stmt) -> Position {
    match stmt {
        Stmt::Expr(expr) => leftmost(expr),
        Stmt::Assignment(parts) => leftmost(&parts.1.lhs),
        stmt => stmt.position(),
    }
}

fn leftmost(expr: &Expr) -> Position {
    match expr {
        Expr::FnCall(call, _) if call.is_operator_call() && call.args.len() > 1 => leftmost(&call.args[0]),
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => leftmost(&pair.lhs),
        Expr::And(parts, _) | Expr::Or(parts, _) | Expr::Coalesce(parts, _) => parts.first().map_or(expr.position(), leftmost),
        other => other.start_position(),
    }
}
