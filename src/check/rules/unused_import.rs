//! See `unused-import.md`.

use std::collections::BTreeSet;

use rhai::{Expr, FnCallExpr, Stmt};

use crate::check::{File, Finding, Look, Rule, Severity};
use crate::script::walk::Node;

pub static UNUSED_IMPORT: Rule =
    Rule { slug: "unused-import", severity: Severity::Warning, page: include_str!("unused-import.md"), look: Look::File(check) };

fn check(file: &File<'_>, findings: &mut Vec<Finding>) {
    let mut imports = Vec::new();
    let mut used = BTreeSet::new();
    let mut visit = |node: Node<'_>| {
        let name = match node {
            Node::Expr(Expr::FnCall(call, _)) | Node::Stmt(Stmt::FnCall(call, _)) => alias(call),
            Node::Expr(Expr::Variable(parts, _, _)) => parts.2.path.first().map(|first| first.name.as_str()),
            Node::Stmt(Stmt::Import(parts, _)) => {
                imports.push((parts.1.name.to_string(), parts.1.pos));
                None
            }
            _ => None,
        };
        used.extend(name.map(str::to_owned));
    };
    file.file.nodes(&mut visit);
    for (name, at) in imports.into_iter().filter(|(name, _)| !used.contains(name) && !name.starts_with('_')) {
        let span = file.file.span_at(at);
        let help = "remove the import: the module is read, compiled and checked for nothing";
        findings.push(UNUSED_IMPORT.finding(file.file, span, format!("nothing of `{name}` is used"), "never used", help));
    }
}

fn alias(call: &FnCallExpr) -> Option<&str> {
    call.namespace.path.first().map(|first| first.name.as_str())
}
