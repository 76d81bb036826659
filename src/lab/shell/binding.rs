//! PowerShell's parameter binder, as far as a call by splatting meets it: names in any case or abbreviated, values
//! converted or refused, one parameter set, nothing asked. Its errors carry PowerShell's words and ids.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::facts::cmdlets::{self, Cmdlet, Kind, Parameter, Resolved, SetProblem};
use crate::wire::bridge::ErrorRecord;

/// A call that may be made.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub cmdlet: &'static Cmdlet,
    pub set: &'static str,
    /// By the parameter's full name; enumeration values in their own spelling.
    values: IndexMap<&'static str, Value>,
    pub error_action: ErrorAction,
    pub verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorAction {
    Continue,
    Silent,
    Stop,
}

impl Bound {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(Value::as_str)
    }
    /// A switch that is not given is off.
    pub fn is_set(&self, name: &str) -> bool {
        self.values.get(name).and_then(Value::as_bool).unwrap_or(false)
    }
}

/// Binds the parameters, or says why not. Every one of these errors ends the call before it begins.
pub(super) fn bind(name: &str, parameters: &Map<String, Value>) -> Result<Bound, Box<ErrorRecord>> {
    let Some(cmdlet) = cmdlets::find(name) else {
        return Err(Box::new(ErrorRecord {
            category: "ObjectNotFound".to_owned(),
            error_id: "CommandNotFoundException".to_owned(),
            message: format!(
                "The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program. \
                 Check the spelling of the name, or if a path was included, verify that the path is correct and try again."
            ),
            target: name.to_owned(),
            terminating: true,
            exception: "System.Management.Automation.CommandNotFoundException".to_owned(),
        }));
    };
    let refuse = |id: &str, category: &str, message: String| Box::new(record(cmdlet, id, category, message));
    let mut values = IndexMap::new();
    for (written, value) in parameters {
        let parameter = match cmdlet.resolve(written) {
            Resolved::One(parameter) => parameter,
            Resolved::Unknown => {
                let message = format!("A parameter cannot be found that matches parameter name '{written}'.");
                return Err(refuse("NamedParameterNotFound", "InvalidArgument", message));
            }
            Resolved::Ambiguous(names) => {
                let matches: Vec<String> = names.iter().map(|name| format!("-{name}")).collect();
                let message = format!(
                    "Parameter cannot be processed because the parameter name '{written}' is ambiguous. Possible matches include: {}.",
                    matches.join(" ")
                );
                return Err(refuse("AmbiguousParameter", "InvalidArgument", message));
            }
        };
        if values.contains_key(parameter.name) {
            let message = format!(
                "Cannot bind parameter because parameter '{}' is specified more than once. To provide multiple values to \
                 parameters that can accept multiple values, use the array syntax.",
                parameter.name
            );
            return Err(refuse("ParameterAlreadyBound", "InvalidArgument", message));
        }
        let value = convert(&parameter, value).map_err(|wrong| refuse(wrong.id, wrong.category, wrong.message))?;
        values.insert(parameter.name, value);
    }
    let given: Vec<&str> = values.keys().copied().collect();
    let set = cmdlet.parameter_set(&given).map_err(|problem| match problem {
        SetProblem::NoSet => refuse(
            "AmbiguousParameterSet",
            "InvalidArgument",
            "Parameter set cannot be resolved using the specified named parameters.".to_owned(),
        ),
        SetProblem::Missing { names, .. } => refuse(
            "MissingMandatoryParameter",
            "InvalidArgument",
            format!("Cannot process command because of one or more missing mandatory parameters: {}.", names.join(" ")),
        ),
    })?;
    let error_action = match values.get("ErrorAction").and_then(Value::as_str) {
        Some("SilentlyContinue" | "Ignore") => ErrorAction::Silent,
        Some("Stop") => ErrorAction::Stop,
        _ => ErrorAction::Continue,
    };
    let verbose = values.get("Verbose").and_then(Value::as_bool).unwrap_or(false);
    Ok(Bound { cmdlet, set, values, error_action, verbose })
}

/// An error of the shell itself about a call of this cmdlet.
pub(super) fn record(cmdlet: &Cmdlet, id: &str, category: &str, message: String) -> ErrorRecord {
    ErrorRecord {
        category: category.to_owned(),
        error_id: format!("{id},{}", cmdlet.name),
        message,
        target: String::new(),
        terminating: true,
        exception: "System.Management.Automation.ParameterBindingException".to_owned(),
    }
}

struct Wrong {
    id: &'static str,
    category: &'static str,
    message: String,
}

/// A value as the parameter's type takes it.
fn convert(parameter: &Parameter, value: &Value) -> Result<Value, Wrong> {
    let name = parameter.name;
    let cannot = |type_name: &str, error: &str| Wrong {
        id: "CannotConvertArgumentNoMessage",
        category: "InvalidArgument",
        message: format!(
            "Cannot bind parameter '{name}'. Cannot convert value \"{}\" to type \"{type_name}\". Error: \"{error}\"",
            shown(value)
        ),
    };
    let empty = |what: &str, id: &'static str| Wrong {
        id,
        category: "InvalidData",
        message: format!("Cannot bind argument to parameter '{name}' because it is {what}."),
    };
    let is_mandatory = !parameter.mandatory.is_empty();
    match (parameter.kind, value) {
        (Kind::ListModifier, value) => modifier(name, value),
        (Kind::Object, value) => Ok(value.clone()),
        (_, Value::Null) if is_mandatory => Err(empty("null", "ParameterArgumentValidationErrorNullNotAllowed")),
        (Kind::Text | Kind::Fqdn, Value::String(text)) if is_mandatory && text.is_empty() => {
            Err(empty("an empty string", "ParameterArgumentValidationErrorEmptyStringNotAllowed"))
        }
        (Kind::Text, Value::Null) => Ok(json!("")),
        (Kind::Text | Kind::TimeSpan | Kind::DateTime, value) => Ok(json!(shown(value))),
        (Kind::TextList, Value::Array(items)) => Ok(items.iter().map(|item| json!(shown(item))).collect()),
        (Kind::TextList, value) => Ok(json!([shown(value)])),
        (Kind::Fqdn, value) => {
            let text = shown(value);
            if cmdlets::is_fqdn(&text) {
                Ok(json!(text))
            } else {
                Err(cannot("Microsoft.Rtc.Management.Deploy.Fqdn", "The value is not a fully qualified domain name."))
            }
        }
        (Kind::Enum(known), value) => {
            let text = shown(value);
            let begins = |name: &&&str| !text.is_empty() && name.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(&text));
            let exact = known.iter().find(|name| name.eq_ignore_ascii_case(&text));
            let mut abbreviated = known.iter().filter(begins);
            match (exact, abbreviated.next(), abbreviated.next()) {
                (Some(one), _, _) | (None, Some(one), None) => Ok(json!(one)),
                _ => {
                    let error = format!(
                        "Unable to match the identifier name {text} to a valid enumerator name. Specify one of the following \
                         enumerator names and try again: {}",
                        known.join(", ")
                    );
                    Err(cannot(name, &error))
                }
            }
        }
        (Kind::Switch | Kind::Boolean, Value::Bool(_)) => Ok(value.clone()),
        (Kind::Switch | Kind::Boolean, Value::Number(number)) => Ok(json!(number.as_f64() != Some(0.0))),
        (Kind::Switch | Kind::Boolean, _) => Err(cannot(
            "System.Management.Automation.SwitchParameter",
            "Boolean parameters accept only Boolean values and numbers, such as $True, $False, 1 or 0.",
        )),
        (Kind::Integer, value) => match shown(value).parse::<i32>() {
            Ok(number) => Ok(json!(number)),
            Err(_) => Err(cannot("System.Int32", "Input string was not in a correct format.")),
        },
        (Kind::Hashtable, Value::Object(_)) => Ok(value.clone()),
        (Kind::Hashtable, _) => Err(cannot("System.Collections.Hashtable", "Cannot convert the value to a hashtable.")),
    }
}

/// A list modifier as `{"Add": [..], "Remove": [..]}`, `{"Replace": [..]}`, or null.
fn modifier(name: &str, value: &Value) -> Result<Value, Wrong> {
    let wrong = |error: String| Wrong {
        id: "CannotConvertArgumentNoMessage",
        category: "InvalidArgument",
        message: format!(
            "Cannot bind parameter '{name}'. Cannot convert value to type \
             \"System.Management.Automation.PSListModifier`1[Microsoft.Rtc.Management.Deploy.Fqdn]\". Error: \"{error}\""
        ),
    };
    let members = |value: &Value| -> Result<Value, Wrong> {
        let items = match value {
            Value::Array(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        items
            .iter()
            .map(|item| match item.as_str() {
                Some(text) if cmdlets::is_fqdn(text) => Ok(json!(text)),
                _ => Err(wrong(format!("\"{}\" is not a fully qualified domain name.", shown(item)))),
            })
            .collect()
    };
    match value {
        Value::Null => Ok(Value::Null),
        Value::Object(map) => {
            let mut modifier = Map::new();
            for (key, value) in map {
                let known = ["Add", "Remove", "Replace"].into_iter().find(|known| known.eq_ignore_ascii_case(key));
                let Some(known) = known else {
                    return Err(wrong(format!("The hash table key '{key}' is not valid. Only Add, Remove and Replace are valid.")));
                };
                modifier.insert(known.to_owned(), members(value)?);
            }
            if modifier.contains_key("Replace") && modifier.len() > 1 {
                return Err(wrong("Replace cannot be used together with Add or Remove.".to_owned()));
            }
            Ok(Value::Object(modifier))
        }
        // A plain list is the new list.
        list => Ok(json!({ "Replace": members(list)? })),
    }
}

/// A value as PowerShell makes text of it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::Object(_) => "System.Collections.Hashtable".to_owned(),
    }
}
