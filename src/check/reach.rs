//! Which primitives a stretch of a file can reach: by itself, through functions of its own and other files, and through the
//! closures written in it. For rules that look at one file; a call that is not found reaches everything.

use std::cell::RefCell;
use std::collections::BTreeSet;

use rhai::{Expr, FnCallExpr, Stmt};

use super::File;
use super::order::closure_index;
use crate::primitives;
use crate::script::Script;
use crate::script::walk::{self, Node};

/// True if one of these statements, or anything inside them, is such a node.
pub fn contains(statements: &[Stmt], test: &mut dyn FnMut(Node<'_>) -> bool) -> bool {
    let mut found = false;
    walk::statements(statements, &mut |node| found = found || test(node));
    found
}

/// The file of a closure that is given somewhere, and its index among the file's functions: one that is written out there, or
/// the one that a variable holds, if only one thing of the file has that name.
pub fn closure_of(file: &File<'_>, given: &Expr) -> Option<(usize, usize)> {
    let Expr::Variable(variable, ..) = given else { return closure_index(file.script, given) };
    let name = variable.1.as_str();
    let (mut others, mut found) = (0, None);
    file.file.nodes(&mut |node| match node {
        Node::Stmt(Stmt::Var(parts, ..)) if parts.0.name == name => {
            others += usize::from(found.is_some());
            found = Some(closure_index(file.script, &parts.1));
        }
        Node::Stmt(Stmt::Assignment(parts)) if matches!(&parts.1.lhs, Expr::Variable(own, ..) if own.1 == name) => others += 1,
        Node::Stmt(Stmt::For(parts, _)) if parts.0.name == name => others += 1,
        _ => {}
    });
    found.flatten().filter(|_| others == 0)
}

/// Answers for one file.
pub struct Reach<'a> {
    script: &'a Script,
    file: usize,
    /// functions that are being looked at, by file and index
    seen: RefCell<BTreeSet<(usize, usize)>>,
}

impl<'a> Reach<'a> {
    pub fn new(script: &'a Script, file: usize) -> Self {
        Self { script, file, seen: RefCell::default() }
    }

    /// True if these statements can call one of these primitives.
    pub fn calls(&self, statements: &[Stmt], names: &[&str]) -> bool {
        self.seen.borrow_mut().clear();
        self.look(self.file, statements, names)
    }

    pub fn expression_calls(&self, expr: &Expr, names: &[&str]) -> bool {
        self.seen.borrow_mut().clear();
        let mut found = false;
        walk::expression(expr, &mut |node| found = found || self.node(self.file, node, names));
        found
    }

    /// True if a call is one of these, or leads to one.
    pub fn call_reaches(&self, call: &FnCallExpr, names: &[&str]) -> bool {
        self.seen.borrow_mut().clear();
        self.call(self.file, call, names)
    }

    fn look(&self, file: usize, statements: &[Stmt], names: &[&str]) -> bool {
        contains(statements, &mut |node| self.node(file, node, names))
    }

    fn node(&self, file: usize, node: Node<'_>, names: &[&str]) -> bool {
        match node {
            Node::Stmt(Stmt::FnCall(call, at)) | Node::Expr(Expr::FnCall(call, at)) => {
                !call.is_operator_call() && (self.script.astray(*at).is_some() || self.call(file, call, names))
            }
            Node::Expr(Expr::MethodCall(call, _)) => self.function(file, &call.name, names),
            Node::Expr(expr) => closure_index(self.script, expr).is_some_and(|(file, index)| self.enter(file, index, names)),
            Node::Stmt(_) => false,
        }
    }

    fn call(&self, file: usize, call: &FnCallExpr, names: &[&str]) -> bool {
        let name = call.name.as_str();
        if !call.is_qualified() {
            return names.contains(&name) || (primitives::find(name).is_none() && self.function(file, name, names));
        }
        let alias = call.namespace.path.first().map(|alias| alias.name.as_str());
        match self.script.imports[file].iter().find(|import| Some(import.alias.as_str()) == alias) {
            Some(import) => self.function(import.file, name, names),
            None => true,
        }
    }

    fn function(&self, file: usize, name: &str, names: &[&str]) -> bool {
        let index = self.script.files[file].functions.iter().position(|function| function.name == name);
        index.is_some_and(|index| self.enter(file, index, names))
    }

    fn enter(&self, file: usize, index: usize, names: &[&str]) -> bool {
        self.seen.borrow_mut().insert((file, index)) && self.look(file, &self.script.files[file].functions[index].statements, names)
    }
}
