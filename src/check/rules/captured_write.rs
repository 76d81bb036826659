//! See `captured-write.md`.

use rhai::{Expr, Position, Stmt};

use crate::check::order::closure_index;
use crate::check::reach::closure_of;
use crate::check::{File, Finding, Look, Rule, Severity};
use crate::script::walk::{self, Node};
use crate::script::written_call;

pub static CAPTURED_WRITE: Rule =
    Rule { slug: "captured-write", severity: Severity::Warning, page: include_str!("captured-write.md"), look: Look::File(check) };

/// Methods that add to a collection or take from it: who calls one wants the result later. What only rewrites a value in place,
/// as `trim` does, may be meant for the closure alone.
const MUTATES: &[&str] = &[
    "push",
    "append",
    "insert",
    "remove",
    "clear",
    "pop",
    "shift",
    "truncate",
    "set",
    "pad",
    "retain",
    "drain",
    "splice",
    "mixin",
    "fill_with",
];

fn check(file: &File<'_>, findings: &mut Vec<Finding>) {
    if !["done_when", "wait_until"].iter().any(|word| file.file.text.contains(word)) {
        return;
    }
    let mut closures: Vec<(&'static str, (usize, usize))> = Vec::new();
    let mut visit = |node: Node<'_>| {
        let Some((call, _)) = written_call(node) else { return };
        if call.name == "wait_until" {
            closures.extend(call.args.iter().filter_map(|arg| closure_of(file, arg)).map(|found| ("wait_until", found)));
        }
        if crate::primitives::find(&call.name).is_some() {
            for arg in &call.args {
                walk::expression(arg, &mut |node| {
                    let Node::Expr(Expr::Map(entries, _)) = node else { return };
                    let tests = entries.0.iter().filter(|(key, _)| key.name == "done_when");
                    closures.extend(tests.filter_map(|(_, value)| closure_of(file, value)).map(|found| ("done_when", found)));
                });
            }
        }
    };
    file.file.nodes(&mut visit);
    // a step's closure is an argument and a function of its own
    closures.sort_by_key(|(_, found)| *found);
    closures.dedup_by_key(|(_, found)| *found);
    for (given_to, (_, function)) in closures.into_iter().filter(|(_, (own, _))| *own == file.index) {
        let captured = &file.file.functions[function].parameters;
        for (name, position) in writes(file, function, captured) {
            findings.push(CAPTURED_WRITE.finding(
                file.file,
                file.file.span_at(position),
                format!("`{name}` is changed inside a `{given_to}` closure, which works on a copy"),
                "lost after the closure",
                format!("let the closure only tell true or false, and change `{name}` outside of it"),
            ));
        }
    }
}

/// Where a function writes to one of these names, its own closures included.
fn writes(file: &File<'_>, function: usize, captured: &[String]) -> Vec<(String, Position)> {
    let statements = &file.file.functions[function].statements;
    let mut own: Vec<&str> = captured.iter().map(String::as_str).collect();
    // a name that is declared inside is the closure's own
    walk::statements(statements, &mut |node| {
        let declared = match node {
            Node::Stmt(Stmt::Var(parts, _, _)) => Some(parts.0.name.as_str()),
            Node::Stmt(Stmt::For(parts, _)) => Some(parts.0.name.as_str()),
            _ => None,
        };
        own.retain(|name| Some(*name) != declared);
    });
    let mut found: Vec<(String, Position)> = Vec::new();
    let mut inner = Vec::new();
    walk::statements(statements, &mut |node| match node {
        Node::Stmt(Stmt::Assignment(parts)) => found.extend(root(&parts.1.lhs).filter(|(name, _)| own.contains(name)).map(owned)),
        Node::Expr(Expr::Dot(pair, _, _)) if mutates(&pair.rhs) => {
            found.extend(root(&pair.lhs).filter(|(name, _)| own.contains(name)).map(owned));
        }
        Node::Expr(expr) => inner.extend(closure_index(file.script, expr)),
        Node::Stmt(_) => {}
    });
    inner.sort_unstable();
    inner.dedup();
    for (_, closure) in inner.into_iter().filter(|(own, index)| *own == file.index && *index != function) {
        let parameters = &file.file.functions[closure].parameters;
        let passed: Vec<String> = parameters.iter().filter(|name| own.contains(&name.as_str())).cloned().collect();
        found.extend(writes(file, closure, &passed));
    }
    found
}

fn owned((name, position): (&str, Position)) -> (String, Position) {
    (name.to_owned(), position)
}

/// True if the first method of a chain changes what it is called on.
fn mutates(rest: &Expr) -> bool {
    match rest {
        Expr::MethodCall(call, _) => MUTATES.contains(&call.name.as_str()),
        Expr::Dot(pair, _, _) | Expr::Index(pair, _, _) => match &pair.lhs {
            Expr::MethodCall(..) => mutates(&pair.lhs),
            _ => mutates(&pair.rhs),
        },
        _ => false,
    }
}

fn root(expr: &Expr) -> Option<(&str, Position)> {
    match expr {
        Expr::Variable(parts, _, position) => Some((parts.1.as_str(), *position)),
        Expr::Dot(pair, _, _) | Expr::Index(pair, _, _) => root(&pair.lhs),
        _ => None,
    }
}
