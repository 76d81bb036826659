//! See `duplicate-step.md`.

use std::collections::BTreeMap;

use rhai::{Position, Stmt};

use crate::check::calls::{once, place};
use crate::check::value::{Piece, Value};
use crate::check::{Event, Finding, Look, Related, Rule, Run, Severity};
use crate::script::SourceFile;
use crate::script::walk::{self, Node, holds, place as at};

pub static DUPLICATE_STEP: Rule =
    Rule { slug: "duplicate-step", severity: Severity::Error, page: include_str!("duplicate-step.md"), look: Look::Run(check) };

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    let mut titles: BTreeMap<String, Vec<&Event>> = BTreeMap::new();
    for event in run.events.iter().filter(|event| event.call.name() == "step") {
        let Some(title) = event.call.argument("title").and_then(title) else { continue };
        let same = titles.entry(title.clone()).or_default();
        let here = |event: &Event| (event.call.file, at(event.call.position));
        let first = same.iter().find(|first| here(first) != here(event) && both_run(run, first, event));
        if let Some(first) = first {
            findings_of(run, first, event, &title, findings);
        }
        same.push(event);
    }
}

/// A title as far as it stays the same: constant text, and what has a name in the site.
fn title(value: &Value) -> Option<String> {
    let Value::Text(text) = value else { return None };
    let part = |piece: &Piece| match piece {
        Piece::Constant { text, .. } => Some(text.to_string()),
        Piece::Data { path, .. } => path.as_ref().map(|path| format!("${{{path}}}")),
    };
    text.pieces.iter().map(part).collect()
}

fn findings_of(run: &Run<'_>, first: &Event, event: &Event, title: &str, findings: &mut Vec<Finding>) {
    let Some(Value::Text(text)) = event.call.argument("title") else { return };
    let (file, span) = place(run, &event.call, 0, None, text, &(0..text.rendered().len()));
    let mut finding = DUPLICATE_STEP.finding(
        &run.script.files[file],
        span,
        format!("two steps have the title `{title}`"),
        "the same title again",
        "give it a title of its own: a record and a resumed run tell steps apart by their titles",
    );
    let span = run.argument_span(&first.call, 0);
    finding.related.push(Related { file: run.script.files[first.call.file].clone(), span, label: "the first one".to_owned() });
    once(findings, finding);
}

/// True if one way through the run leads to both, as far as the function shows in which their ways part.
fn both_run(run: &Run<'_>, one: &Event, other: &Event) -> bool {
    let way = |event: &Event| {
        let mut way: Vec<(usize, Position)> = event.through.to_vec();
        way.push((event.call.file, event.call.position));
        way
    };
    let (one, other) = (way(one), way(other));
    let Some(((file, p), (other_file, q))) = one.into_iter().zip(other).find(|(a, b)| a != b) else { return false };
    let source = &run.script.files[file];
    file == other_file && bodies(source).any(|body| holds(body, p) && holds(body, q) && !apart(body, p, q))
}

fn bodies(file: &SourceFile) -> impl Iterator<Item = &[Stmt]> {
    std::iter::once(file.ast.statements()).chain(file.functions.iter().map(|function| function.statements.as_slice()))
}

/// True if no way leads to both: they stand in two branches, or one stands in a branch that does not go on to the other.
fn apart(list: &[Stmt], p: Position, q: Position) -> bool {
    let mut apart = false;
    walk::statements(list, &mut |node| {
        let Node::Stmt(stmt) = node else { return };
        let branches: Vec<&[Stmt]> = match stmt {
            Stmt::If(flow, _) => vec![flow.body.statements(), flow.branch.statements()],
            Stmt::Switch(..) => {
                apart |= cases_apart(stmt, p, q);
                return;
            }
            _ => return,
        };
        let [has_p, has_q] = [p, q].map(|position| branches.iter().position(|branch| holds(branch, position)));
        apart |= match (has_p, has_q) {
            (Some(a), Some(b)) => a != b,
            (Some(branch), None) | (None, Some(branch)) => super::unreachable_code::leaves(branches[branch]),
            (None, None) => false,
        };
    });
    apart
}

fn cases_apart(stmt: &Stmt, p: Position, q: Position) -> bool {
    let Stmt::Switch(parts, _) = stmt else { return false };
    let case_of = |position: Position| {
        parts.1.expressions.iter().position(|case| {
            let mut found = false;
            walk::expression(&case.rhs, &mut |node| {
                let here = match node {
                    Node::Stmt(stmt) => stmt.position(),
                    Node::Expr(expr) => expr.position(),
                };
                found |= at(here) == at(position);
            });
            found
        })
    };
    matches!((case_of(p), case_of(q)), (Some(a), Some(b)) if a != b)
}
