//! Are these parameters right for this cmdlet? Asked by the `ps` primitive before anything is sent, and by `check`.
//! Only what the catalogue knows is judged; an unknown cmdlet has no problems here.

use serde_json::Value;

use crate::facts::cmdlets::{self, Cmdlet, Kind, Parameter, Resolved, SetProblem};

/// A parameter's value, as far as it is known: all of it before a call is sent, less when a runbook is only looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    Unknown,
    Null,
    Bool,
    /// true: a whole one
    Number(bool),
    /// nothing when it is known to be text, but not which
    Text(Option<String>),
    List(Vec<Known>),
    Map(Vec<(String, Known)>),
}

impl From<&Value> for Known {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Bool,
            Value::Number(number) => Self::Number(number.is_i64() || number.is_u64()),
            Value::String(text) => Self::Text(Some(text.clone())),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(map) => Self::Map(map.iter().map(|(key, value)| (key.clone(), value.into())).collect()),
        }
    }
}

/// One thing that is wrong with the parameters of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterProblem {
    /// The parameter as it was written; absent when the call as a whole is wrong.
    pub parameter: Option<String>,
    /// A lower-case fragment: what is wrong.
    pub message: String,
    /// What to do now, when there is something to say.
    pub help: Option<String>,
    /// The parameter's value is wrong, not its name.
    pub value: bool,
}

/// Everything that is wrong with `parameters` for `cmdlet`, in their order, then what is missing.
pub fn check_parameters(cmdlet: &str, parameters: &[(String, Known)]) -> Vec<ParameterProblem> {
    let Some(cmdlet) = cmdlets::find(cmdlet) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    let mut given: Vec<&'static str> = Vec::new();
    let mut all_known = true;
    for (written, value) in parameters {
        let mut wrong = false;
        let mut problem = |message: String, help: Option<String>| {
            problems.push(ParameterProblem { parameter: Some(written.clone()), message, help, value: false });
        };
        match cmdlet.resolve(written) {
            Resolved::One(parameter) => {
                if given.contains(&parameter.name) {
                    problem(format!("`{}` is given twice", parameter.name), None);
                } else {
                    given.push(parameter.name);
                    if let Some(message) = wrong_value(&parameter, value) {
                        problem(message, None);
                        wrong = true;
                    }
                }
            }
            Resolved::Ambiguous(names) => {
                all_known = false;
                problem(
                    format!("`{written}` could be {} of `{}`", names.join(" or "), cmdlet.name),
                    Some("write the whole name".to_owned()),
                );
            }
            Resolved::Unknown => {
                all_known = false;
                let help = cmdlet.suggest_parameter(written).map(|name| format!("did you mean `{name}`?"));
                problem(format!("`{}` has no parameter `{written}`", cmdlet.name), help);
            }
        }
        if wrong && let Some(last) = problems.last_mut() {
            last.value = true;
        }
    }
    // A misspelt name would make a mandatory parameter look forgotten: one fault, one message.
    if all_known {
        problems.extend(wrong_set(cmdlet, &given));
    }
    problems
}

fn wrong_set(cmdlet: &Cmdlet, given: &[&str]) -> Option<ParameterProblem> {
    let (message, help) = match cmdlet.parameter_set(given) {
        Ok(_) => return None,
        Err(SetProblem::NoSet) => (
            format!("`{}` does not take {} together", cmdlet.name, list(given)),
            "give the parameters of one way to call it only".to_owned(),
        ),
        Err(SetProblem::Missing { names, .. }) => (
            format!("`{}` needs {}", cmdlet.name, list(&names)),
            "add what is missing: a shell without a terminal cannot ask for it".to_owned(),
        ),
    };
    Some(ParameterProblem { parameter: None, message, help: Some(help), value: false })
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What is wrong with a value, as a fragment; nothing when PowerShell would take it.
fn wrong_value(parameter: &Parameter, value: &Known) -> Option<String> {
    let name = parameter.name;
    let is = |what: &str| Some(format!("`{name}` is {what}, not {}", kind_of(value)));
    match (parameter.kind, value) {
        (_, Known::Unknown) => None,
        (Kind::Object | Kind::ListModifier, Known::Null) => None,
        (Kind::Object, _) => None,
        (_, Known::Null) => Some(format!("`{name}` has no value: leave it out instead")),
        (Kind::Text, Known::Text(_) | Known::Number(_)) => None,
        (Kind::Text, _) => is("text"),
        (Kind::TextList, Known::Text(_)) => None,
        (Kind::TextList, Known::List(items)) if items.iter().all(|item| matches!(item, Known::Text(_) | Known::Unknown)) => None,
        (Kind::TextList, _) => is("a list of texts"),
        (Kind::Fqdn, Known::Text(text)) => wrong_fqdn(name, text.as_deref()),
        (Kind::Fqdn, _) => is("a fully qualified domain name"),
        (Kind::Enum(_), Known::Text(None)) => None,
        (Kind::Enum(values), Known::Text(Some(text))) => {
            let known = values.iter().any(|known| known.eq_ignore_ascii_case(text));
            (!known).then(|| format!("`{name}` is one of {}, not `{text}`", list(values)))
        }
        (Kind::Enum(values), _) => Some(format!("`{name}` is one of {}, not {}", list(values), kind_of(value))),
        (Kind::Switch | Kind::Boolean, Known::Bool) => None,
        (Kind::Switch | Kind::Boolean, _) => is("true or false"),
        (Kind::Integer, Known::Number(true)) => None,
        (Kind::Integer, _) => is("an integer"),
        (Kind::ListModifier, Known::Map(map)) => wrong_modifier(name, map),
        (Kind::ListModifier, Known::List(items)) => items.iter().find_map(|item| wrong_member(name, item)),
        (Kind::ListModifier, other) => wrong_member(name, other),
        (Kind::Hashtable, Known::Map(_)) => None,
        (Kind::Hashtable, _) => is("a map"),
        (Kind::TimeSpan | Kind::DateTime, Known::Text(_)) => None,
        (Kind::TimeSpan, _) => is("a time as text, `hh:mm:ss`"),
        (Kind::DateTime, _) => is("a date as text"),
    }
}

fn wrong_modifier(name: &str, map: &[(String, Known)]) -> Option<String> {
    let known = ["Add", "Remove", "Replace"];
    if map.is_empty() {
        return Some(format!("`{name}` is empty: give Add, Remove or Replace"));
    }
    for (key, value) in map {
        if !known.iter().any(|known| known.eq_ignore_ascii_case(key)) {
            return Some(format!("`{name}` takes Add, Remove or Replace, not `{key}`"));
        }
        let wrong = match value {
            Known::List(items) => items.iter().find_map(|item| wrong_member(name, item)),
            one => wrong_member(name, one),
        };
        if wrong.is_some() {
            return wrong;
        }
    }
    let replaces = map.iter().any(|(key, _)| key.eq_ignore_ascii_case("Replace"));
    (replaces && map.len() > 1).then(|| format!("`{name}` takes Replace alone, not beside Add or Remove"))
}

/// The only list modifier of the catalogue holds server names.
fn wrong_member(name: &str, value: &Known) -> Option<String> {
    match value {
        Known::Unknown => None,
        Known::Text(text) => wrong_fqdn(name, text.as_deref()),
        other => Some(format!("`{name}` holds server names, not {}", kind_of(other))),
    }
}

fn wrong_fqdn(name: &str, text: Option<&str>) -> Option<String> {
    let text = text.filter(|text| !cmdlets::is_fqdn(text))?;
    Some(format!("`{name}` is a fully qualified domain name, which `{text}` is not"))
}

fn kind_of(value: &Known) -> &'static str {
    match value {
        Known::Unknown | Known::Null => "nothing",
        Known::Bool => "true or false",
        Known::Number(_) => "a number",
        Known::Text(_) => "text",
        Known::List(_) => "a list",
        Known::Map(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(cmdlet: &str, parameters: Value) -> Vec<String> {
        let given: Vec<_> = parameters.as_object().unwrap().iter().map(|(key, value)| (key.clone(), Known::from(value))).collect();
        check_parameters(cmdlet, &given)
            .into_iter()
            .map(|p| match p.help {
                Some(help) => format!("{}; {help}", p.message),
                None => p.message,
            })
            .collect()
    }

    #[test]
    fn the_documented_calls_have_no_problem() {
        for (cmdlet, parameters) in [
            (
                "Set-CsPersistentChatState",
                json!({ "Identity": "service:atl-cs-001.litwareinc.com", "poolstate": "failedover", "Confirm": false }),
            ),
            (
                "Install-CsMirrorDatabase",
                json!({
                    "DatabaseType": "PersistentChat", "SqlServerFqdn": "dr-sql-01.litwareinc.com",
                    "SqlInstanceName": "RTC", "FileShare": r"\\fs\mirror", "Confirm": false, "Verbose": true
                }),
            ),
            ("Set-CsPersistentChatActiveServer", json!({ "ActiveServers": { "Add": ["a.example.com"], "Remove": "b.example.com" } })),
            ("Set-CsPersistentChatActiveServer", json!({ "ActiveServers": null })),
            ("Set-CsPersistentChatActiveServer", json!({ "Swap": true })),
            ("Get-CsService", json!({ "PersistentChatServer": true, "PoolFqdn": "a.example.com" })),
            ("Get-Process", json!({ "Whatever": [1] })),
        ] {
            assert_eq!(problems(cmdlet, parameters), Vec::<String>::new(), "{cmdlet}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_judged() {
        let given = |parameters: &[(&str, Known)]| parameters.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect::<Vec<_>>();
        let modifier = |value: Known| Known::Map(vec![("Add".to_owned(), value)]);
        for (cmdlet, parameters) in [
            ("Set-CsPersistentChatState", given(&[("PoolState", Known::Text(None)), ("Force", Known::Unknown)])),
            ("Set-CsPersistentChatActiveServer", given(&[("ActiveServers", modifier(Known::Unknown))])),
            ("Set-CsPersistentChatActiveServer", given(&[("ActiveServers", modifier(Known::List(vec![Known::Text(None)])))])),
            ("Get-CsDatabaseMirrorState", given(&[("PoolFqdn", Known::Unknown)])),
        ] {
            assert_eq!(check_parameters(cmdlet, &parameters), [], "{cmdlet}");
        }
    }

    #[test]
    fn each_mistake_is_named_once() {
        let state = "Set-CsPersistentChatState";
        let active = "Set-CsPersistentChatActiveServer";
        for (cmdlet, parameters, expected) in [
            (
                state,
                json!({ "PoolStaet": "Normal" }),
                "`Set-CsPersistentChatState` has no parameter `PoolStaet`; did you mean `PoolState`?",
            ),
            (
                state,
                json!({ "I": "x" }),
                "`I` could be Identity or Instance or InformationAction or InformationVariable of `Set-CsPersistentChatState`; write the whole name",
            ),
            (state, json!({ "PoolState": "Failed" }), "`PoolState` is one of `Normal`, `FailedOver`, not `Failed`"),
            (state, json!({ "PoolState": true }), "`PoolState` is one of `Normal`, `FailedOver`, not true or false"),
            (state, json!({ "Pool": "Normal", "PoolState": "Normal" }), "`PoolState` is given twice"),
            (state, json!({ "Identity": null }), "`Identity` has no value: leave it out instead"),
            (state, json!({ "Force": "yes" }), "`Force` is true or false, not text"),
            (
                active,
                json!({}),
                "`Set-CsPersistentChatActiveServer` needs `ActiveServers`; add what is missing: a shell without a terminal cannot ask for it",
            ),
            (
                active,
                json!({ "Swap": true, "ActiveServers": null }),
                "`Set-CsPersistentChatActiveServer` does not take `Swap`, `ActiveServers` together; give the parameters of one way to call it only",
            ),
            (active, json!({ "ActiveServers": { "Ad": "a.example.com" } }), "`ActiveServers` takes Add, Remove or Replace, not `Ad`"),
            (
                active,
                json!({ "ActiveServers": { "Replace": [], "Add": [] } }),
                "`ActiveServers` takes Replace alone, not beside Add or Remove",
            ),
            (active, json!({ "ActiveServers": ["chat01"] }), "`ActiveServers` is a fully qualified domain name, which `chat01` is not"),
        ] {
            assert_eq!(problems(cmdlet, parameters), [expected], "{cmdlet}");
        }
    }
}
