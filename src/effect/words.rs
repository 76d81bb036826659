//! Words of effects: what a script's error says, what an outcome shows in a line, how things stand.

use rhai::EvalAltResult;
use serde_json::Value;

use super::Failure;
use crate::journal::RaisedInstead;

/// One more clause on how things stand.
pub(super) fn add(state: &mut Option<String>, more: &str) {
    *state = Some(match state.take() {
        Some(before) => format!("{before}; {more}"),
        None => more.to_owned(),
    });
}

pub(super) fn last_read(reads: &[String]) -> String {
    match reads.last() {
        Some(read) => format!("the test read last: {read}"),
        None => "the test read nothing".to_owned(),
    }
}

/// The error itself, inside all the functions it passed.
pub fn innermost(mut error: &EvalAltResult) -> &EvalAltResult {
    while let EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) = error {
        error = inner;
    }
    error
}

/// A test's error as the record keeps it.
pub(super) fn raised(error: &EvalAltResult) -> RaisedInstead {
    match innermost(error) {
        EvalAltResult::ErrorRuntime(value, _) => match value.read_lock::<Failure>() {
            Some(failure) if failure.effect > 0 => RaisedInstead::Failure(failure.effect),
            Some(failure) => RaisedInstead::Value(failure.message.clone().into()),
            None => RaisedInstead::Value(rhai::serde::from_dynamic(value).unwrap_or_else(|_| value.to_string().into())),
        },
        other => RaisedInstead::Value(other.to_string().into()),
    }
}

/// Adds how things stand to the failure inside a script's error, if that is one.
pub(super) fn tell(mut error: &mut EvalAltResult, state: &str) {
    while let EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) = error {
        error = inner;
    }
    if let EvalAltResult::ErrorRuntime(value, _) = error
        && let Some(mut failure) = value.write_lock::<Failure>()
    {
        add(&mut failure.story.state, state);
    }
}

/// What a script's error says, without the functions it passed.
pub(super) fn in_short(error: &EvalAltResult) -> String {
    match innermost(error) {
        EvalAltResult::ErrorRuntime(value, _) => match value.read_lock::<Failure>() {
            Some(failure) => failure.message.clone(),
            None => value.to_string(),
        },
        other => other.to_string(),
    }
}

/// An outcome in at most a line: how many rows and the first of them, else as the record has it.
pub(super) fn preview(outcome: &Value) -> String {
    let text = match outcome["sets"].as_array().and_then(|sets| sets.first()) {
        Some(set) => {
            let rows = set["rows"].as_array().map_or(&[][..], Vec::as_slice);
            let columns = set["columns"].as_array().map_or(&[][..], Vec::as_slice);
            match rows {
                [] => "no rows".to_owned(),
                [first, ..] => {
                    let cells = first.as_array().map_or(&[][..], Vec::as_slice);
                    let cells = columns
                        .iter()
                        .zip(cells)
                        .map(|(column, cell)| format!("{} = {}", column.as_str().unwrap_or_default(), plain(cell)));
                    let more = if rows.len() > 1 { format!(", and {} more rows", rows.len() - 1) } else { String::new() };
                    format!("{}{more}", cells.collect::<Vec<_>>().join(", "))
                }
            }
        }
        None => plain(outcome),
    };
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A value as a person reads it; one that is recorded with its type (`{"t", "v"}`) by its value.
fn plain(value: &Value) -> String {
    let value = value.get("v").filter(|_| value.get("t").is_some()).unwrap_or(value);
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
