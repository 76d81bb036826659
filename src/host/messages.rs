//! Rhai's run-time errors in our words: what failed and what to do now.

use rhai::{Dynamic, EvalAltResult, Map};

use crate::primitives::arguments::type_word;
use crate::script::{Script, limits, nearest};

/// What kind of trouble a script is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name is not defined where it is used. Changes made before stay made; the script ends here.
    UnknownVariable,
    /// A map, a row or the site's facts have nothing of that name: a slip, a query without rows, or a key that this site file does
    /// not have. The script ends here; what was changed before stays changed.
    NoSuchKey,
    /// A module is called that the file does not import. The script ends here.
    UnknownImport,
    /// A list or a text is shorter than the runbook thinks: often a query that returned fewer rows. The script ends here; what was
    /// changed before stays changed.
    OutOfBounds,
    /// A number became too large, or was divided by nothing. The script ends here.
    Arithmetic,
    /// A closure uses the value that the method around it is working on. The script ends here.
    DataRace,
    /// A value has another type than the place wants, most often `()` from a query without rows. The script ends here; what was
    /// changed before stays changed.
    WrongType,
    /// A function was called with arguments that it does not take. It was not called.
    WrongArguments,
    /// An argument of a primitive is wrong; found before the primitive did anything.
    WrongArgument,
    /// A constant would be changed. The script ends here.
    Constant,
    /// A run may take so many operations, values and nested calls and no more: a loop that never ends would otherwise hold the
    /// servers. The script ends here; what was changed before stays changed.
    Limit,
    /// The runbook gave up by itself with `throw`, or a value of the program refused what was asked of it. What was changed before
    /// stays changed.
    Thrown,
    /// The run was ended from outside.
    Ended,
    /// Rhai ended the script for another reason, which the message has. What was changed before stays changed.
    Failed,
}

impl Kind {
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownVariable => "cutover::host::unknown_variable",
            Self::NoSuchKey => "cutover::host::no_such_key",
            Self::UnknownImport => "cutover::host::unknown_import",
            Self::OutOfBounds => "cutover::host::out_of_bounds",
            Self::Arithmetic => "cutover::host::arithmetic",
            Self::DataRace => "cutover::host::data_race",
            Self::WrongType => "cutover::host::wrong_type",
            Self::WrongArguments => "cutover::host::wrong_arguments",
            Self::WrongArgument => "cutover::host::wrong_argument",
            Self::Constant => "cutover::host::constant",
            Self::Limit => "cutover::host::limit",
            Self::Thrown => "cutover::host::thrown",
            Self::Ended => "cutover::host::ended",
            Self::Failed => "cutover::host::failed",
        }
    }
}

/// A translated error.
pub struct Message {
    pub kind: Kind,
    pub text: String,
    pub help: String,
    pub label: &'static str,
}

fn message(kind: Kind, text: impl Into<String>, help: impl Into<String>) -> Message {
    Message { kind, text: text.into(), help: help.into(), label: "here" }
}

/// Translates the error itself, without the functions it passed.
pub fn translate(script: &Script, error: &EvalAltResult) -> Message {
    match error {
        EvalAltResult::ErrorRuntime(value, _) => thrown(value),
        EvalAltResult::ErrorFunctionNotFound(signature, _) => not_found(script, signature),
        EvalAltResult::ErrorVariableNotFound(name, _) if name.contains("::") => message(
            Kind::UnknownVariable,
            format!("no constant `{name}` to be seen from here"),
            "write `export const` in the module, or ask a function of it",
        ),
        EvalAltResult::ErrorVariableNotFound(name, _) => message(
            Kind::UnknownVariable,
            format!("no variable `{name}`"),
            "declare it before it is used; a function sees only its parameters, `site` and `global::NAME`",
        ),
        EvalAltResult::ErrorPropertyNotFound(name, _) => {
            message(Kind::NoSuchKey, format!("the map has no key `{name}`"), format!("write `.get(\"{name}\")` if it may be missing"))
        }
        EvalAltResult::ErrorIndexNotFound(index, _) => {
            message(Kind::NoSuchKey, format!("there is nothing at `{index}`"), "look at what is there first")
        }
        EvalAltResult::ErrorModuleNotFound(name, _) => message(
            Kind::UnknownImport,
            format!("no module imported as `{name}`"),
            format!("write `import \"{name}\" as {name};` at the top of the file"),
        ),
        EvalAltResult::ErrorArrayBounds(0, index, _) => {
            message(Kind::OutOfBounds, format!("no element {index}: the list is empty"), "look at its `.len()` first")
        }
        EvalAltResult::ErrorArrayBounds(count, index, _) => {
            message(Kind::OutOfBounds, format!("no element {index}: the list has {count}"), format!("use an index from 0 to {}", count - 1))
        }
        EvalAltResult::ErrorStringBounds(count, index, _) => {
            message(Kind::OutOfBounds, format!("no character {index}: the text has {count}"), "look at its `.len()` first")
        }
        EvalAltResult::ErrorArithmetic(text, _) => message(Kind::Arithmetic, lower(text), "look at the values first"),
        EvalAltResult::ErrorDataRace(_, _) => message(
            Kind::DataRace,
            "a closure uses the value that the method around it is working on",
            "copy the value into another variable before the call, and let the closure use the copy",
        ),
        EvalAltResult::ErrorMismatchDataType(wanted, actual, _) if wanted.is_empty() => {
            message(Kind::WrongType, format!("{} does not fit here", type_word(actual)), "look at the value's type")
        }
        EvalAltResult::ErrorMismatchDataType(wanted, actual, _) | EvalAltResult::ErrorMismatchOutputType(wanted, actual, _) => message(
            Kind::WrongType,
            format!("this must be {}, not {}", type_word(wanted), type_word(actual)),
            format!("give {}", type_word(wanted)),
        ),
        EvalAltResult::ErrorIndexingType(text, _) => not_indexed(text),
        EvalAltResult::ErrorDotExpr(text, _) => not_indexed(text),
        EvalAltResult::ErrorFor(_) => {
            message(Kind::WrongType, "`for` needs a list, a map's keys, rows or a range", "give it something that has elements")
        }
        EvalAltResult::ErrorAssignmentToConstant(name, _) => {
            message(Kind::Constant, format!("`{name}` cannot be changed"), "copy it with `let` and change the copy")
        }
        EvalAltResult::ErrorNonPureMethodCallOnConstant(name, _) => {
            message(Kind::Constant, format!("`{name}` would change a constant"), "copy it with `let` and change the copy")
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
        EvalAltResult::ErrorTerminated(..) => message(Kind::Ended, "the run was ended", "run it again"),
        other => message(Kind::Failed, lower(&other.to_string()), "look at the place that is shown"),
    }
}

fn limit(what: String, help: &str) -> Message {
    message(Kind::Limit, format!("over the limit: {what}"), help)
}

/// What a runbook threw itself, or a value of ours raised.
fn thrown(value: &Dynamic) -> Message {
    if let Some(map) = value.read_lock::<Map>()
        && let Some(text) = map.get("message")
    {
        let help = map.get("help").map(ToString::to_string).unwrap_or_default();
        return message(Kind::Thrown, lower(&text.to_string()), help);
    }
    let text = value.to_string();
    if text.is_empty() || value.is_unit() {
        return message(Kind::Thrown, "the runbook gave up here without saying why", "read the runbook at this place");
    }
    // a value's own error ends with what was probably meant, or with what there is
    if let Some((what, meant)) = text.split_once("; did you mean ") {
        return message(Kind::NoSuchKey, what, format!("did you mean {meant}"));
    }
    if let Some(message) = of_a_value(&text) {
        return message;
    }
    match text.split_once("; it has ") {
        Some((what, keys)) => message(Kind::NoSuchKey, what, format!("use one of {keys}")),
        None => match text.strip_suffix("; it is empty") {
            Some(what) => message(Kind::NoSuchKey, what, "add it to the site file, or for this run alone with `--set`"),
            None => message(Kind::Thrown, text, "the runbook itself gave up here: read it at this place"),
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
        return Some(message(Kind::NoSuchKey, what, help));
    }
    if let Some((what, found)) = text.split_once(" must return true or false, not ") {
        let found = type_word(found.trim_start_matches("a value of type "));
        let what = format!("{what} must return true or false, not {found}");
        return Some(message(Kind::WrongType, what, "end the closure with a comparison, such as `rows.len() == 0`"));
    }
    if text.starts_with("there is no row ") {
        return Some(message(Kind::OutOfBounds, text, "look at its `.len()` first"));
    }
    text.contains(" cannot be compared").then(|| message(Kind::WrongType, text, "compare values of one kind, and test for `()` first"))
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
            Kind::WrongArguments,
            format!("a closure is called with {}", kinds.len()),
            "give the closure as many parameters as the method passes to it; a closure cannot leave the file that wrote it",
        );
    }
    if name.starts_with("index$") {
        return message(
            Kind::WrongType,
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
        return message(Kind::WrongType, text, help);
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
    message(Kind::WrongArguments, text, help)
}

fn no_property(property: &str, of: &str) -> Message {
    if of.starts_with("nothing") {
        return message(
            Kind::NoSuchKey,
            format!("there is no value here to take `.{property}` from"),
            "test it with `== ()` first: a query without rows has no `.first()`",
        );
    }
    message(Kind::NoSuchKey, format!("{of} has no `.{property}`"), "look at the value's type")
}

/// "Unknown property 'x' - a getter is not registered for type 'T'" and its kin.
fn not_indexed(text: &str) -> Message {
    let quoted: Vec<&str> = text.split('\'').skip(1).step_by(2).collect();
    match quoted.as_slice() {
        [property, of] => no_property(property, &type_word(of)),
        _ if text.contains("()") => message(
            Kind::NoSuchKey,
            "there is no value here to look into",
            "test it with `== ()` first: a query without rows has no `.first()`",
        ),
        _ => message(Kind::WrongType, lower(text), "look at the value's type"),
    }
}

/// Rhai's sentence as a fragment.
fn lower(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
