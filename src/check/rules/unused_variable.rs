//! See `unused-variable.md`.

use std::collections::BTreeSet;

use rhai::{ASTFlags, Expr, Stmt};

use crate::check::{File, Finding, Look, Rule, Severity};
use crate::script::walk::{self, Node};

pub static UNUSED_VARIABLE: Rule =
    Rule { slug: "unused-variable", severity: Severity::Warning, page: include_str!("unused-variable.md"), look: Look::File(check) };

fn check(file: &File<'_>, findings: &mut Vec<Finding>) {
    let top = file.file.ast.statements();
    let bodies: Vec<&[Stmt]> = std::iter::once(top).chain(file.file.functions.iter().map(|f| f.statements.as_slice())).collect();
    let mut global = BTreeSet::new();
    let mut found = Vec::new();
    for (nth, body) in bodies.iter().enumerate() {
        let mut mentioned = BTreeSet::new();
        let mut declared = Vec::new();
        walk::statements(body, &mut |node| match node {
            Node::Expr(Expr::Variable(parts, _, _)) => {
                // `global::LIMIT` names a constant of the top from anywhere
                let names = if parts.2.is_empty() { &mut mentioned } else { &mut global };
                names.insert(parts.1.as_str());
            }
            // what a closure captures
            Node::Stmt(Stmt::Share(names)) => mentioned.extend(names.iter().map(|(name, _)| name.name.as_str())),
            Node::Stmt(Stmt::Var(parts, flags, _)) => {
                declared.push((parts.0.name.as_str(), parts.0.pos, flags.intersects(ASTFlags::CONSTANT)));
            }
            _ => {}
        });
        declared.retain(|(name, ..)| !mentioned.contains(name) && !name.starts_with('_'));
        found.extend(declared.into_iter().map(|variable| (nth == 0, variable)));
    }
    // a module's constants are there for those who import it
    let module = file.script.files[file.index].module.is_some() || (file.index == 0 && file.script.does_nothing());
    for (at_top, (name, at, constant)) in found {
        if at_top && constant && (module || global.contains(name)) {
            continue;
        }
        let span = file.file.span_at(at);
        let help = format!("remove it, or name it `_{name}` if its value is not wanted");
        findings.push(UNUSED_VARIABLE.finding(file.file, span, format!("`{name}` is never used"), "never used", help));
    }
}
