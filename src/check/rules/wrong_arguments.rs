//! See `wrong-arguments.md`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use crate::check::calls::{once, place};
use crate::check::value::{Tags, Value};
use crate::check::{Call, Edit, Finding, Look, Rule, Run, Severity};
use crate::facts::nearest;
use crate::primitives::arguments::{Closure, Given, Is, MISSING, faults, found_text, type_word};
use crate::primitives::{ArgumentError, Type};
use crate::tsql::parameters::{NameError, PlaceholderValue};

pub static WRONG_ARGUMENTS: Rule =
    Rule { slug: "wrong-arguments", severity: Severity::Error, page: include_str!("wrong-arguments.md"), look: Look::Calls(check) };

impl Given for Value {
    fn is(&self, what: Is) -> Option<bool> {
        let one = |value: &Value| match (value, what) {
            (Value::Unknown { tags, .. }, what) if tags.has(Tags::TRUTH) => Some(matches!(what, Is::Boolean)),
            (Value::Unknown { .. } | Value::OneOf(_), _) => None,
            (Value::Array(items), Is::TextList) => {
                let texts: Vec<Option<bool>> = items.iter().map(|item| item.is(Is::Text)).collect();
                if texts.contains(&Some(false)) { Some(false) } else { texts.iter().all(Option::is_some).then_some(true) }
            }
            (value, what) => Some(matches!(
                (value, what),
                (Value::Text(_), Is::Text)
                    | (Value::Int(_), Is::Integer)
                    | (Value::Bool(_), Is::Boolean)
                    | (Value::Map(_), Is::Map)
                    | (Value::Closure(_), Is::Closure)
                    | (Value::Unit, Is::Unit)
            )),
        };
        let mut answers = self.alternatives().iter().map(one);
        let first = answers.next()?;
        if answers.all(|answer| answer == first) { first } else { None }
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        self.as_constant().map(Cow::Owned)
    }

    fn entries(&self) -> Option<Vec<(String, Self)>> {
        match self {
            Value::Map(entries) => Some(entries.iter().map(|(key, value)| (key.to_string(), value.clone())).collect()),
            _ => None,
        }
    }

    fn found(&self) -> String {
        match self {
            Value::Unit => MISSING.to_owned(),
            Value::Int(n) => format!("`{n}`"),
            Value::Bool(b) => format!("`{b}`"),
            Value::OneOf(values) => values.first().map(Given::found).unwrap_or_default(),
            value => value.as_constant().map_or_else(|| value.kind(), |text| found_text(&text)),
        }
    }

    fn kind(&self) -> String {
        type_word(match self {
            Value::Text(_) => "string",
            Value::Int(_) => "i64",
            Value::Bool(_) => "bool",
            Value::Unknown { tags, .. } if tags.has(Tags::TRUTH) => "bool",
            Value::Array(_) => "array",
            Value::Map(_) => "map",
            Value::Closure(_) => "Fn",
            Value::Unit => "()",
            Value::OneOf(values) => return values.first().map(Given::kind).unwrap_or_default(),
            Value::Unknown { .. } => "value",
        })
    }
}

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    let closure = |value: &Value| match value {
        Value::Closure(closure) => Some(Closure { takes: closure.takes, foreign: None }),
        _ => None,
    };
    for call in run.calls() {
        let faults = faults(call.primitive, &call.given, &closure);
        if faults.is_empty() {
            for (argument, key, message, help) in own(call) {
                let span = match key {
                    Some(key) => run.value_span(call, argument, key),
                    None => run.argument_span(call, argument),
                };
                once(findings, WRONG_ARGUMENTS.finding(&run.script.files[call.file], span, message, "wrong argument", help));
            }
            names(run, call, findings);
        }
        for fault in faults {
            once(findings, finding(run, call, fault));
        }
    }
}

fn finding(run: &Run<'_>, call: &Call, fault: ArgumentError) -> Finding {
    let source = &run.script.files[call.file];
    let option = fault.key.as_deref().and_then(|key| call.primitive.options.iter().find(|o| o.name == key));
    let (span, label) = match (&fault.key, option) {
        (Some(key), Some(_)) => (run.value_span(call, fault.argument, key), "wrong value"),
        (Some(key), None) => (run.key_span(call, fault.argument, key), "no such option"),
        (None, _) => (run.argument_span(call, fault.argument), "wrong argument"),
    };
    let mut finding = WRONG_ARGUMENTS.finding(source, span.clone(), fault.message, label, fault.help);
    let written = &source.text[span.clone()];
    let instead = match (fault.key, option) {
        // only where the option that was meant is not given already
        (Some(key), None) if written == key || written == format!("\"{key}\"") => {
            nearest(&key, call.primitive.options.iter().map(|o| o.name))
                .filter(|near| call.given[fault.argument].key(near).is_none())
                .map(str::to_owned)
        }
        (Some(key), Some(option)) => match (option.ty, call.given[fault.argument].key(&key).and_then(Value::as_constant)) {
            (Type::Word(words), Some(text)) if written == format!("\"{text}\"") => {
                nearest(&text, words.iter().copied()).map(|word| format!("\"{word}\""))
            }
            _ => None,
        },
        _ => None,
    };
    finding.fixes.extend(instead.map(|text| Edit { span, text }));
    finding
}

type Fault = (usize, Option<&'static str>, String, String);

/// What a primitive itself refuses of arguments that fit its description, before it does anything.
fn own(call: &Call) -> Vec<Fault> {
    let mut faults = Vec::new();
    let at = call.options_at().unwrap_or(0);
    let given = |key: &str| call.option(key).filter(|value| **value != Value::Unit);
    match call.name() {
        "confirm" if call.options_known() && given("irreversible").and_then(Value::as_bool) == Some(true) && given("id").is_none() => {
            let help = "add `id: \"a-short-name\"`, so that it can be approved by name with `--approve`".to_owned();
            faults.push((at, Some("irreversible"), "an irreversible question has no `id`".to_owned(), help));
        }
        "log_chain" | "restore_logs"
            if call.options_known()
                && given("keep").and_then(Value::as_constant).as_deref() == Some("standby")
                && given("undo_file").is_none() =>
        {
            let help = "add `undo_file: \"...\"`, a path as the SQL Server sees it".to_owned();
            faults.push((at, Some("keep"), "standby needs an undo file".to_owned(), help));
        }
        "ask" => {
            let choices: Option<Vec<String>> = match call.argument("choices") {
                Some(Value::Array(choices)) => choices.iter().map(Value::as_constant).collect(),
                _ => None,
            };
            match (choices, given("default").and_then(Value::as_constant)) {
                (Some(choices), _) if choices.is_empty() => {
                    faults.push((1, None, "there is nothing to choose from".to_owned(), "give at least one choice".to_owned()));
                }
                (Some(choices), Some(default)) if !choices.contains(&default) => {
                    let message = format!("the default `{default}` is not one of the choices");
                    faults.push((at, Some("default"), message, format!("write one of: {}", choices.join(", "))));
                }
                _ => {}
            }
        }
        "copy_backups" => {
            if let Some(Value::Int(workers)) = given("workers").filter(|w| !matches!(w, Value::Int(1..=16))) {
                faults.push((at, Some("workers"), format!("{workers} workers are not possible"), "give a number from 1 to 16".to_owned()));
            }
            for key in ["from", "to"] {
                faults.extend(given(key).and_then(relative).map(|(message, help)| (at, Some(key), message, help)));
            }
        }
        _ => {}
    }
    if let (Some(index), Some(folder)) = (call.index_of("folder"), call.argument("folder")) {
        faults.extend(relative(folder).map(|(message, help)| (index, None, message, help)));
    }
    faults
}

/// A folder that is absolute on no system.
fn relative(folder: &Value) -> Option<(String, String)> {
    let text = folder.as_constant()?;
    let drive = text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && text[1..].starts_with([':']) && text.len() > 2;
    let absolute = text.starts_with('/') || text.starts_with(r"\\") || drive;
    (!absolute).then(|| (format!("`{text}` is not an absolute path"), "write the whole path, from its root or share on".to_owned()))
}

/// `@name` and `{name}` in a T-SQL text against the map that is given for them; nothing where either is not known.
fn names(run: &Run<'_>, call: &Call, findings: &mut Vec<Finding>) {
    let (Some(index), false) = (call.index_of("text"), call.sql.is_empty()) else { return };
    let entries = match call.argument("params") {
        None => &[][..],
        Some(Value::Map(entries)) => entries.as_slice(),
        Some(_) => return,
    };
    let keys: Vec<&str> = entries.iter().map(|(key, _)| &**key).collect();
    let values: BTreeMap<String, PlaceholderValue> = entries.iter().map(|(key, value)| (key.to_string(), placeholder(value))).collect();
    let params = call.index_of("params");
    for sql in call.sql.iter().filter(|sql| sql.text.is_constant()) {
        if keys.is_empty() && !sql.rendered.contains(['@', '{']) {
            continue;
        }
        let (bound, rendered) = (sql.names().bindings(&keys), sql.names().render(&sql.rendered, &values));
        let errors: Vec<_> = bound.as_ref().err().into_iter().chain(rendered.as_ref().err()).flatten().collect();
        // a name that is not given most likely is one that is given and not mentioned
        let in_text = errors.iter().any(|error| error.range().is_some());
        for error in errors.into_iter().filter(|error| error.range().is_some() == in_text) {
            let (file, span) = match error.range() {
                Some(range) => place(run, call, index, None, &sql.text, &range),
                None => (call.file, never_mentioned(run, call, params.unwrap_or(index), error)),
            };
            once(findings, WRONG_ARGUMENTS.finding(&run.script.files[file], span, error.to_string(), "this name", fragment(&error.help())));
        }
        for name in bound.iter().flatten() {
            let value = entries.iter().find(|(key, _)| **key == **name).map(|(_, value)| value);
            if let (Some(value @ (Value::Array(_) | Value::Map(_) | Value::Closure(_))), Some(params)) = (value, params) {
                let span = run.value_span(call, params, name);
                let message = format!("`@{name}`: {} cannot be bound", value.kind());
                let help = "bind text, a number, a boolean, a time, an LSN, a blob or ()";
                once(findings, WRONG_ARGUMENTS.finding(&run.script.files[call.file], span, message, "wrong value", help));
            }
        }
    }
}

/// A sentence as other helps are written.
fn fragment(sentence: &str) -> String {
    let mut chars = sentence.trim_end_matches('.').chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// The key that a text never mentions.
fn never_mentioned(run: &Run<'_>, call: &Call, params: usize, error: &NameError) -> Range<usize> {
    match error {
        NameError::NeverMentioned { name } => run.key_span(call, params, name),
        _ => run.argument_span(call, params),
    }
}

fn placeholder(value: &Value) -> PlaceholderValue {
    match value {
        Value::Int(number) => PlaceholderValue::Integer(*number),
        Value::Text(text) => text.as_constant().map_or(PlaceholderValue::Unknown, PlaceholderValue::Text),
        Value::Unit => PlaceholderValue::Unfit("a missing value, `()`".to_owned()),
        Value::Unknown { .. } | Value::OneOf(_) => PlaceholderValue::Unknown,
        other => PlaceholderValue::Unfit(other.kind()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::primitives::find;

    fn messages(name: &str, given: &[Value]) -> Vec<String> {
        let primitive = find(name).unwrap();
        let takes = |value: &Value| match value {
            Value::Closure(closure) => Some(Closure { takes: closure.takes, foreign: None }),
            _ => None,
        };
        faults(primitive, given, &takes).into_iter().map(|fault| fault.message).collect()
    }

    fn map(entries: &[(&str, Value)]) -> Value {
        Value::Map(Arc::new(entries.iter().map(|(key, value)| ((*key).into(), value.clone())).collect()))
    }

    #[test]
    fn what_is_surely_wrong_is_told_and_what_is_not_known_is_not() {
        let unknown = Value::unknown(Tags::QUERY);
        let text = Value::text("SELECT 1");
        let backup = Value::text("backup");
        assert!(messages("query", &[unknown.clone(), unknown.clone(), unknown.clone()]).is_empty());
        assert!(messages("sql", &[backup.clone(), text.clone(), map(&[("within", Value::text("1m"))])]).is_empty());
        assert!(messages("copy_backups", std::slice::from_ref(&unknown)).is_empty());
        assert_eq!(messages("query", std::slice::from_ref(&backup)).len(), 1);
        assert_eq!(messages("query", &[backup.clone(), Value::Int(5)]), ["`text` must be text, not `5`"]);
        let some = |value: Value| Value::OneOf(Arc::new(vec![text.clone(), value]));
        assert!(messages("query", &[backup.clone(), some(Value::Int(5))]).is_empty());
        assert_eq!(
            messages("sql", &[backup, text, map(&[("wihtin", Value::text("1m")), ("already", Value::text("acept"))])]),
            Vec::<String>::new(),
            "a map that is no options' is taken for the params"
        );
        assert_eq!(
            messages("copy_backups", &[map(&[("from", Value::text("/a")), ("too", unknown)])]),
            ["`copy_backups` has no option `too`"]
        );
        assert_eq!(messages("copy_backups", &[map(&[("from", Value::text("/a"))])]).len(), 1);
        assert_eq!(
            messages("wait_until", &[Value::text("x"), Value::text("5 minutes"), Value::unknown(Tags::default())]),
            ["`limit` must be a duration, not `5 minutes`"]
        );
    }
}
