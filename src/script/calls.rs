//! The table of call sites: every place where a primitive is called by a call written out in the text. A primitive runs only
//! from there. Filled at load, read by `host` on every call.

use std::collections::HashMap;

use rhai::{AST, Expr, FnCallExpr, Position, Stmt};

use super::walk::{self, Function, Node};

/// Call sites by line and column of the run's one line space.
#[derive(Clone, Debug, Default)]
pub struct Calls(HashMap<(usize, usize), String>);

impl Calls {
    /// Adds what one file calls.
    pub fn add(&mut self, ast: &AST, functions: &[Function], is_primitive: &dyn Fn(&str) -> bool) {
        let mut visit = |node: Node<'_>| {
            if let Some((call, position)) = written_call(node)
                && is_primitive(&call.name)
            {
                self.0.insert(walk::place(position), call.name.to_string());
            }
        };
        walk::statements(ast.statements(), &mut visit);
        for function in functions {
            walk::statements(&function.statements, &mut visit);
        }
    }

    /// True if the text calls that name there.
    pub fn contains(&self, name: &str, position: Position) -> bool {
        self.0.get(&walk::place(position)).is_some_and(|n| n == name)
    }

    /// True if no primitive is called.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The call `name(…)` that a node is: unqualified, no operator, no `!`.
pub fn written_call<'a>(node: Node<'a>) -> Option<(&'a FnCallExpr, Position)> {
    let (call, position) = match node {
        Node::Expr(Expr::FnCall(call, position)) | Node::Stmt(Stmt::FnCall(call, position)) => (call, *position),
        _ => return None,
    };
    (!call.is_qualified() && !call.is_operator_call() && !call.capture_parent_scope).then_some((call, position))
}
