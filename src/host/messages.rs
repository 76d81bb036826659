//! Rhai's run-time errors in our words: what failed and what to do now.

use rhai::{Dynamic, EvalAltResult, Map};

use crate::primitives::arguments::type_word;
use crate::script::{Script, limits, nearest};

/// A translated error.
pub struct Message {
    pub slug: &'static str,
    pub text: String,
    pub help: String,
    pub label: &'static str,
}

fn message(slug: &'static str, text: impl Into<String>, help: impl Into<String>) -> Message {
    Message { slug, text: text.into(), help: help.into(), label: "here" }
}

/// Translates the error itself, without the functions it passed.
pub fn translate(script: &Script, error: &EvalAltResult) -> Message {
    match error {
        EvalAltResult::ErrorRuntime(value, _) => thrown(value),
        EvalAltResult::ErrorFunctionNotFound(signature, _) => not_found(script, signature),
        EvalAltResult::ErrorVariableNotFound(name, _) if name.contains("::") => message(
            "unknown_variable",
            format!("no constant `{name}` to be seen from here"),
            "write `export const` in the module, or ask a function of it",
        ),
        EvalAltResult::ErrorVariableNotFound(name, _) => message(
            "unknown_variable",
            format!("no variable `{name}`"),
            "declare it before it is used; a function sees only its parameters, `site` and `global::NAME`",
        ),
        EvalAltResult::ErrorPropertyNotFound(name, _) => {
            message("no_such_key", format!("the map has no key `{name}`"), format!("write `.get(\"{name}\")` if it may be missing"))
        }
        EvalAltResult::ErrorIndexNotFound(index, _) => {
            message("no_such_key", format!("there is nothing at `{index}`"), "look at what is there first")
        }
        EvalAltResult::ErrorModuleNotFound(name, _) => message(
            "unknown_import",
            format!("no module imported as `{name}`"),
            format!("write `import \"{name}\" as {name};` at the top of the file"),
        ),
        EvalAltResult::ErrorArrayBounds(0, index, _) => {
            message("out_of_bounds", format!("no element {index}: the list is empty"), "look at its `.len()` first")
        }
        EvalAltResult::ErrorArrayBounds(count, index, _) => {
            message("out_of_bounds", format!("no element {index}: the list has {count}"), format!("use an index from 0 to {}", count - 1))
        }
        EvalAltResult::ErrorStringBounds(count, index, _) => {
            message("out_of_bounds", format!("no character {index}: the text has {count}"), "look at its `.len()` first")
        }
        EvalAltResult::ErrorArithmetic(text, _) => message("arithmetic", lower(text), "look at the values first"),
        EvalAltResult::ErrorDataRace(_, _) => message(
            "data_race",
            "a closure uses the value that the method around it is working on",
            "copy the value into another variable before the call, and let the closure use the copy",
        ),
        EvalAltResult::ErrorMismatchDataType(wanted, actual, _) if wanted.is_empty() => {
            message("wrong_type", format!("{} does not fit here", type_word(actual)), "look at the value's type")
        }
        EvalAltResult::ErrorMismatchDataType(wanted, actual, _) | EvalAltResult::ErrorMismatchOutputType(wanted, actual, _) => message(
            "wrong_type",
            format!("this must be {}, not {}", type_word(wanted), type_word(actual)),
            format!("give {}", type_word(wanted)),
        ),
        EvalAltResult::ErrorIndexingType(text, _) => not_indexed(text),
        EvalAltResult::ErrorDotExpr(text, _) => not_indexed(text),
        EvalAltResult::ErrorFor(_) => {
            message("wrong_type", "`for` needs a list, a map's keys, rows or a range", "give it something that has elements")
        }
        EvalAltResult::ErrorAssignmentToConstant(name, _) => {
            message("constant", format!("`{name}` cannot be changed"), "copy it with `let` and change the copy")
        }
        EvalAltResult::ErrorNonPureMethodCallOnConstant(name, _) => {
            message("constant", format!("`{name}` would change a constant"), "copy it with `let` and change the copy")
        }
        EvalAltResult::ErrorStackOverflow(_) => {
            limit(format!("{} nested calls", limits::CALL_DEPTH), "look for a function that calls itself without end")
        }
        EvalAltResult::ErrorTooManyVariables(_) => {
            limit(format!("{} variables at one time", limits::VARIABLES), "put them into a list or a map")
        }
        EvalAltResult::ErrorTooManyModules(_) => {
            limit(format!("{} imports in one run", limits::MODULES), "import at the top of the file only")
        }
        EvalAltResult::ErrorDataTooLarge(what, _) => limit(limits::of_data(what), "work on less at a time"),
        EvalAltResult::ErrorTerminated(..) => message("ended", "the run was ended", "run it again"),
        other => message("failed", lower(&other.to_string()), "look at the place that is shown"),
    }
}

fn limit(what: String, help: &str) -> Message {
    message("limit", format!("over the limit: {what}"), help)
}

/// What a runbook threw itself, or a value of ours raised.
fn thrown(value: &Dynamic) -> Message {
    if let Some(map) = value.read_lock::<Map>()
        && let Some(text) = map.get("message")
    {
        let help = map.get("help").map(ToString::to_string).unwrap_or_default();
        return message("thrown", lower(&text.to_string()), help);
    }
    let text = value.to_string();
    if text.is_empty() || value.is_unit() {
        return message("thrown", "the runbook gave up here without saying why", "read the runbook at this place");
    }
    // a value's own error ends with what was probably meant, or with what there is
    if let Some((what, meant)) = text.split_once("; did you mean ") {
        return message("no_such_key", what, format!("did you mean {meant}"));
    }
    if let Some(message) = of_a_value(&text) {
        return message;
    }
    match text.split_once("; it has ") {
        Some((what, keys)) => message("no_such_key", what, format!("use one of {keys}")),
        None => match text.strip_suffix("; it is empty") {
            Some(what) => message("no_such_key", what, "add it to the site file, or for this run alone with `--set`"),
            None => message("thrown", text, "the runbook itself gave up here: read it at this place"),
        },
    }
}

/// What rows, times, log sequence numbers and closures say of their use.
fn of_a_value(text: &str) -> Option<Message> {
    if let Some((what, columns)) = text.split_once("; the columns are: ") {
        let asked = what.split('`').nth(1).unwrap_or_default();
        let near = nearest(asked, columns.split(", "));
        let help = near.map_or_else(
            || format!("use one of the columns: {columns}"),
            |near| format!("did you mean `{near}`? The columns are: {columns}"),
        );
        return Some(message("no_such_key", what, help));
    }
    if let Some((what, found)) = text.split_once(" must return true or false, not ") {
        let found = type_word(found.trim_start_matches("a value of type "));
        let what = format!("{what} must return true or false, not {found}");
        return Some(message("wrong_type", what, "end the closure with a comparison, such as `rows.len() == 0`"));
    }
    if text.starts_with("there is no row ") {
        return Some(message("out_of_bounds", text, "look at its `.len()` first"));
    }
    text.contains(" cannot be compared").then(|| message("wrong_type", text, "compare values of one kind, and test for `()` first"))
}

/// "Function not found: name (types)" means more often that the types are wrong.
fn not_found(script: &Script, signature: &str) -> Message {
    let (name, types) = signature.split_once(" (").map_or((signature, ""), |(n, t)| (n, t.strip_suffix(')').unwrap_or(t)));
    let name = name.trim();
    let kinds: Vec<String> = types.split(", ").filter(|t| !t.is_empty()).map(|t| type_word(t.trim_start_matches("&mut "))).collect();
    let short = name.rsplit("::").next().unwrap_or(name);
    if let Some(property) = name.strip_prefix("get$").or_else(|| name.strip_prefix("set$")) {
        return no_property(property, kinds.first().map_or("this", String::as_str));
    }
    if name.starts_with("anon$") {
        return message(
            "wrong_arguments",
            format!("a closure is called with {}", kinds.len()),
            "give the closure as many parameters as the method passes to it; a closure cannot leave the file that wrote it",
        );
    }
    if name.starts_with("index$") {
        return message(
            "wrong_type",
            format!("{} has no elements to index", kinds.first().map_or("this", String::as_str)),
            "look at the value's type",
        );
    }
    let operator = !name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if operator {
        let text = match kinds.as_slice() {
            [left, right] => format!("`{name}` cannot be used between {left} and {right}"),
            [one] => format!("`{name}` cannot be used on {one}"),
            _ => format!("`{name}` cannot be used here"),
        };
        let help = if kinds.iter().any(|k| k.starts_with("nothing")) {
            "a value is missing: test it with `== ()` first"
        } else {
            "convert one side: `parse_int(text)`, `.to_string()`"
        };
        return message("wrong_type", text, help);
    }
    let known = script.names.functions.contains(short) || script.defines(short);
    let text = match kinds.as_slice() {
        _ if !known => format!("no function `{name}`"),
        [] => format!("`{name}` does not take no arguments"),
        _ => format!("`{name}` does not take {}", kinds.join(", ")),
    };
    let help = if known {
        match kinds.iter().any(|k| k.starts_with("nothing")) {
            true => "a value is missing: test it with `== ()` first".to_owned(),
            false => "look at the number and the types of its arguments".to_owned(),
        }
    } else {
        match nearest(short, script.names.functions.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "run `cutover docs` to see what may be called".to_owned(),
        }
    };
    message("wrong_arguments", text, help)
}

fn no_property(property: &str, of: &str) -> Message {
    if of.starts_with("nothing") {
        return message(
            "no_such_key",
            format!("there is no value here to take `.{property}` from"),
            "test it with `== ()` first: a query without rows has no `.first()`",
        );
    }
    message("no_such_key", format!("{of} has no `.{property}`"), "look at the value's type")
}

/// "Unknown property 'x' - a getter is not registered for type 'T'" and its kin.
fn not_indexed(text: &str) -> Message {
    let quoted: Vec<&str> = text.split('\'').skip(1).step_by(2).collect();
    match quoted.as_slice() {
        [property, of] => no_property(property, &type_word(of)),
        _ if text.contains("()") => message(
            "no_such_key",
            "there is no value here to look into",
            "test it with `== ()` first: a query without rows has no `.first()`",
        ),
        _ => message("wrong_type", lower(text), "look at the value's type"),
    }
}

/// Rhai's sentence as a fragment.
fn lower(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
