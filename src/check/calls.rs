//! What rules ask of the calls of a run: each once, and where a constant stands that one of them gets.

use std::ops::Range;
use std::sync::Arc;

use rhai::Token;

use super::event::{Call, Run};
use super::finding::Finding;
use super::value::{Piece, Text};

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
    if text.pieces.iter().any(written) {
        return run.text_span(call, argument, text, range);
    }
    match (passed(run, call, text, range).into_iter().next(), key) {
        (Some(place), _) => place,
        (None, Some(key)) => (call.file, run.value_span(call, argument, key)),
        (None, None) => run.text_span(call, argument, text, range),
    }
}

/// As [`place`], for every literal that a short text comes from.
pub fn places(run: &Run<'_>, call: &Call, argument: usize, key: Option<&str>, text: &Text) -> Vec<(usize, Range<usize>)> {
    let range = 0..text.rendered().len();
    let literal = match key {
        Some(key) => run
            .script
            .arguments(call.position)
            .get(argument)
            .is_some_and(|a| a.keys.iter().any(|k| k.key == key && k.value.literal.is_some())),
        None => false,
    };
    let found = if literal { Vec::new() } else { passed(run, call, text, &range) };
    if found.is_empty() { vec![place(run, call, argument, key, text, &range)] } else { found }
}

/// Where a short text stands that functions were called with on the ways to a call: it has left its place behind.
fn passed(run: &Run<'_>, call: &Call, text: &Text, range: &Range<usize>) -> Vec<(usize, Range<usize>)> {
    let Some(wanted) = text.as_constant().filter(|_| text.pieces.iter().all(|p| matches!(p, Piece::Constant { origin: None, .. }))) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for event in run.events.iter().filter(|event| std::ptr::eq(&*event.call, call)) {
        let place = event.through.iter().rev().find_map(|(file, position)| {
            let lexemes = run.script.files[*file].lexemes();
            let written = run.script.arguments(*position);
            let literal = written
                .iter()
                .filter_map(|argument| argument.literal)
                .find(|literal| matches!(&lexemes[*literal].token, Token::StringConstant(value) if value.as_str() == wanted))?;
            Some((*file, run.script.within_literal(*file, literal, range)))
        });
        if let Some(place) = place
            && !found.contains(&place)
        {
            found.push(place);
        }
    }
    found
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
