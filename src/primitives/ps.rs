//! `ps`: one cmdlet in the management shell.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rhai::{Dynamic, Map};
use serde_json::{Value, json};

use super::sql::{ALREADY, DONE_WHEN, TIMEOUT, WITHIN};
use super::values::{Row, Rows, from_json, to_json};
use super::{ArgumentError, Call, Class, Parameter, Primitive, Raised, Type};
use crate::effect::{self, Cause, EffectError, Outcome, Story, Work};
use crate::facts::cmdlets;
use crate::journal::{Progress, Said};
use crate::powershell::{self, Known, ShellFailure, check_parameters, shown};
use crate::wire::bridge::{Answer, ErrorRecord};

/// A cmdlet that reaches for a dead site takes minutes before it gives up.
const TIME_LIMIT: Duration = Duration::from_secs(600);

pub static PS: Primitive = Primitive {
    name: "ps",
    parameters: &[
        Parameter::required("cmdlet", Type::Text, "one cmdlet, without arguments"),
        Parameter::optional(
            "parameters",
            Type::Map,
            "its parameters: text, numbers, booleans (switches), lists, maps, () and list modifiers such as `#{ Add: \"fqdn\" }`",
        ),
        Parameter::optional("options", Type::Options, ""),
    ],
    options: &[DONE_WHEN, WITHIN, ALREADY, TIMEOUT],
    class: Class::FromCmdlet,
    returns: "rows: one an object, its properties by name; enumerations as text, dates as ISO 8601 text",
    doc: "Calls one cmdlet in the run's one management shell. Parameters are bound by splatting typed values, never by text. Only cmdlets that the site allows \
          (`[powershell] allow`), or that the catalogue knows as reads. Any error record fails the effect; warnings are noted.",
    examples: &[r#"for pool in ps("Get-CsPersistentChatState") { note(`${pool.Identity} is ${pool.PoolState}`); }"#],
    run,
};

impl Outcome for powershell::Reply {
    fn already() -> Self {
        Self::default()
    }
    fn record(&self) -> Value {
        match self.warnings.is_empty() {
            true => Value::Array(self.objects.clone()),
            false => json!({ "objects": self.objects, "warnings": self.warnings }),
        }
    }
    fn replay(record: Value) -> Result<Self, String> {
        match record {
            Value::Array(objects) => Ok(Self { objects, ..Self::default() }),
            other => {
                let warnings = other["warnings"].as_array().into_iter().flatten().filter_map(|w| w.as_str().map(str::to_owned)).collect();
                let objects = other["objects"].as_array().cloned().ok_or("its outcome is not a list of objects")?;
                Ok(Self { objects, warnings, ..Self::default() })
            }
        }
    }
}

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    let cmdlet = call.text(0);
    let Some(shell) = call.run.shell.clone() else {
        return call.wrong(0, None, "the site has no management shell", "add `[powershell]` to the site file");
    };
    let known = cmdlets::find(&cmdlet);
    let reads = known.is_some_and(|known| known.class == cmdlets::Class::Reads);
    if !reads && !shell.allow.iter().any(|allowed| allowed.eq_ignore_ascii_case(&cmdlet)) {
        let meant = if known.is_none() {
            cmdlets::suggest(&cmdlet).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default()
        } else {
            String::new()
        };
        // a name that is nearly one that is known is a slip more often than a cmdlet to allow
        let message = match meant.is_empty() {
            true => format!("the site does not allow `{cmdlet}`"),
            false => format!("no cmdlet `{cmdlet}` is known, and the site does not allow it"),
        };
        return call.wrong(
            0,
            None,
            message,
            format!("{meant}cmdlets that change something must be named in `[powershell] allow` of the site file"),
        );
    }
    let parameters: serde_json::Map<String, Value> = call
        .arguments
        .get(1)
        .and_then(|v| v.clone().try_cast::<Map>())
        .map(|map| map.iter().map(|(k, v)| (k.to_string(), to_json(v))).collect())
        .unwrap_or_default();
    let given: Vec<(String, Known)> = parameters.iter().map(|(key, value)| (key.clone(), value.into())).collect();
    if let Some(problem) = check_parameters(&cmdlet, &given).into_iter().next() {
        let usual = if problem.value { "correct the value in the runbook" } else { "correct the parameters in the runbook" };
        return Err(Raised::Argument(ArgumentError {
            argument: 1,
            key: problem.parameter,
            // beyond any text: the whole value
            within: problem.value.then_some(0..usize::MAX),
            message: problem.message,
            help: problem.help.unwrap_or_else(|| format!("{usual}, as the reference page of `{cmdlet}` has it")),
        }));
    }
    let class = if reads { effect::Class::Reads } else { effect::Class::Changes };
    let effect = call.effect(&PS, class, None, command(&cmdlet, &parameters));
    let request = powershell::Call::new(cmdlet, parameters, call.duration_option("timeout").unwrap_or(TIME_LIMIT));
    let session = shell.session.clone();
    let warnings: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = warnings.clone();
    let reply = call.with_test(|test| {
        call.run.effects.perform(&effect, test, |Work { report, cancel }| async move {
            let mut hear = |record: &Answer| {
                if let Answer::Warning { message } = record {
                    heard.lock().unwrap_or_else(PoisonError::into_inner).push(message.clone());
                }
                if let Answer::Warning { message } | Answer::Verbose { message } = record {
                    report(Progress::new(message.clone(), None));
                }
            };
            let invoke = session.invoke(&request, &mut hear);
            tokio::select! {
                biased;
                reply = invoke => reply.map_err(|failure| cause(failure, class)),
                // dropped, the call ends its shell
                () = cancel.cancelled() => Err(Cause { in_doubt: true, ..Cause::new(EffectError::CutOff) }),
            }
        })
    });
    // of a call that failed, too: they often say why
    let warnings = match &reply {
        Ok(reply) => reply.warnings.clone(),
        Err(_) => std::mem::take(&mut *warnings.lock().unwrap_or_else(PoisonError::into_inner)),
    };
    for warning in warnings {
        call.run.effects.note(crate::journal::Level::Warn, &warning)?;
    }
    let reply = reply?;
    Ok(Dynamic::from(Rows::of(reply.objects.iter().map(row).collect())))
}

/// A failure of the shell as an effect's.
pub(super) fn cause(failure: ShellFailure, class: effect::Class) -> Cause {
    let said = |record: &ErrorRecord| {
        let parts = match serde_json::to_value(record) {
            Ok(Value::Object(parts)) => parts,
            _ => serde_json::Map::new(),
        };
        Said { shown: shown(record), parts }
    };
    Cause {
        number: None,
        in_doubt: class == effect::Class::Changes && failure.in_doubt(),
        story: Box::new(Story {
            title: failure.title(),
            messages: failure.records().iter().map(said).collect(),
            // its own advice is for a change
            act: (class == effect::Class::Reads && matches!(failure, ShellFailure::Cmdlet { .. } | ShellFailure::Died { .. }))
                .then(|| "remove the cause, then run the runbook again: this call only read".to_owned()),
            state: failure.unsent().then(|| "nothing was called".to_owned()),
            unsent: failure.unsent(),
            ..Story::default()
        }),
        diagnostic: std::sync::Arc::new(failure),
    }
}

/// An object by its properties; anything else as one column, `Value`.
fn row(object: &Value) -> Row {
    match object {
        Value::Object(map) => Row::from_json(map),
        other => Row(std::sync::Arc::new([("Value".into(), from_json(other))].into_iter().collect())),
    }
}

/// The call as an administrator would write it, for people; what is sent is never this text.
fn command(cmdlet: &str, parameters: &serde_json::Map<String, Value>) -> String {
    fn shown(value: &Value) -> String {
        match value {
            Value::String(text) if text.chars().all(|c| c.is_ascii_alphanumeric() || "-._:\\".contains(c)) && !text.is_empty() => {
                text.clone()
            }
            Value::String(text) => format!("'{}'", text.replace('\'', "''")),
            Value::Null => "$null".to_owned(),
            Value::Array(list) => list.iter().map(shown).collect::<Vec<_>>().join(","),
            Value::Object(map) => format!("@{{{}}}", map.iter().map(|(k, v)| format!("{k}={}", shown(v))).collect::<Vec<_>>().join("; ")),
            other => other.to_string(),
        }
    }
    let mut text = cmdlet.to_owned();
    for (name, value) in parameters {
        match value {
            Value::Bool(true) => text.push_str(&format!(" -{name}")),
            Value::Bool(false) => text.push_str(&format!(" -{name}:$false")),
            other => text.push_str(&format!(" -{name} {}", shown(other))),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_shown_as_an_administrator_would_write_it() {
        let parameters = serde_json::json!({ "Identity": "service:atl-cs-001.litwareinc.com", "ActiveServers": { "Add": ["a b", "c"] }, "Confirm": false, "Swap": true, "Filter": null });
        let Value::Object(parameters) = parameters else { panic!() };
        assert_eq!(
            command("Set-X", &parameters),
            "Set-X -Identity service:atl-cs-001.litwareinc.com -ActiveServers @{Add='a b',c} -Confirm:$false -Swap -Filter $null"
        );
    }
}
