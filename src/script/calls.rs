//! The table of call sites: every place where a primitive is called by a call written out in the text. A primitive runs only
//! from there. Filled at load, read by `host` on every call.

use std::collections::{BTreeSet, HashMap};

use rhai::{Expr, FnCallExpr, Position, Stmt};

use super::walk::{self, Node};

/// Call sites by line and column of the run's one line space.
#[derive(Clone, Debug, Default)]
pub struct Calls(HashMap<(usize, usize), String>);

impl Calls {
    /// Adds the call that a node is, if it is one of a primitive.
    pub fn see(&mut self, node: Node<'_>, primitives: &BTreeSet<&'static str>) {
        if let Some((call, position)) = written_call(node)
            && primitives.contains(call.name.as_str())
        {
            self.0.insert(walk::place(position), call.name.to_string());
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
