//! See `active-servers-replaced.md`.

use crate::check::acts::{Given, cmdlets_of, parameter};
use crate::check::value::{Tags, Value};
use crate::check::{Finding, Look, Rule, Run, Severity};

pub static ACTIVE_SERVERS_REPLACED: Rule = Rule {
    slug: "active-servers-replaced",
    severity: Severity::Error,
    page: include_str!("active-servers-replaced.md"),
    look: Look::Calls(check),
};

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    for event in &run.events {
        let call = &event.call;
        let Some(index) = call.index_of("parameters") else { continue };
        let mut found = |span, message, label| {
            let help = "write `#{ Add: name }` or `#{ Remove: name }`, one server at a time";
            findings.push(ACTIVE_SERVERS_REPLACED.finding(&run.script.files[call.file], span, message, label, help));
        };
        for cmdlet in cmdlets_of(call).0.into_iter().filter(|cmdlet| cmdlet.name == "Set-CsPersistentChatActiveServer") {
            for given in parameter(call, cmdlet, "ActiveServers") {
                let Given::As(key, value) = given else { continue };
                if value.alternatives().iter().any(replaces) {
                    let message = "the list of active servers is replaced: it is one list for all pools";
                    found(run.value_span(call, index, key), message, "replaces other pools' servers");
                }
            }
            for given in parameter(call, cmdlet, "Swap") {
                let Given::As(key, value) = given else { continue };
                if value.as_bool() == Some(true) {
                    let message = "the whole list of active servers is swapped: it is one list for all pools";
                    found(run.key_span(call, index, key), message, "changes other pools' servers");
                }
            }
        }
    }
}

/// True for a value that takes the place of the whole list.
fn replaces(value: &Value) -> bool {
    match value {
        Value::Text(_) | Value::Array(_) | Value::Unit => true,
        Value::Map(entries) => entries.iter().any(|(key, _)| key.eq_ignore_ascii_case("Replace")),
        // what a site file holds, and what is taken from a list of it, is text or a list
        Value::Unknown { tags, .. } => *tags == Tags::SITE,
        _ => false,
    }
}
