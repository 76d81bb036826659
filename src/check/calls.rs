//! What rules ask of the calls of a run: each once, and where a constant stands that one of them gets.

use std::ops::Range;
use std::sync::Arc;

use super::event::{Call, Run};
use super::finding::Finding;
use super::value::{Piece, Text};

/// Every call of a run once, however many ways lead to it.
pub fn calls<'a>(run: &'a Run<'_>) -> Vec<&'a Call> {
    let mut seen = std::collections::HashSet::new();
    run.events.iter().filter(|event| seen.insert(Arc::as_ptr(&event.call))).map(|event| &*event.call).collect()
}

/// Adds a finding, unless it was found on another way already.
pub fn once(findings: &mut Vec<Finding>, finding: Finding) {
    let same = |other: &Finding| {
        other.rule == finding.rule
            && other.span == finding.span
            && Arc::ptr_eq(&other.file, &finding.file)
            && other.message == finding.message
    };
    if !findings.iter().any(same) {
        findings.push(finding);
    }
}

/// The file and bytes of a part of a text that a call gets: in the literal it comes from, else in the argument, or in what
/// the argument's key holds.
pub fn place(run: &Run<'_>, call: &Call, argument: usize, key: Option<&str>, text: &Text, range: &Range<usize>) -> (usize, Range<usize>) {
    let written = |piece: &Piece| match piece {
        Piece::Constant { origin, .. } | Piece::Data { origin, .. } => origin.is_some(),
    };
    match key {
        Some(key) if !text.pieces.iter().any(written) => (call.file, run.value_span(call, argument, key)),
        _ => run.text_span(call, argument, text, range),
    }
}

/// What to write into a literal in place of bytes of it: a double quote has to be escaped between double quotes.
pub fn in_literal(run: &Run<'_>, file: usize, span: &Range<usize>, text: &str) -> String {
    let source = &run.script.files[file];
    let literal = source.lexemes().iter().find(|l| l.span.start <= span.start && span.end <= l.span.end);
    match literal.is_some_and(|l| source.text[l.span.clone()].starts_with('"')) {
        true => text.replace('\\', "\\\\").replace('"', "\\\""),
        false => text.to_owned(),
    }
}
