//! See `forced-cmdlet.md`.

use crate::check::acts::{Given, cmdlets_of, parameter};
use crate::check::value::Value;
use crate::check::{Call, Finding, Look, Rule, Run, Severity};

pub static FORCED_CMDLET: Rule =
    Rule { slug: "forced-cmdlet", severity: Severity::Warning, page: include_str!("forced-cmdlet.md"), look: Look::Calls(check) };

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    for event in &run.events {
        let call = &event.call;
        let (Some((cmdlet, key)), Some(index)) = (forced(call), call.index_of("parameters")) else { continue };
        findings.push(FORCED_CMDLET.finding(
            &run.script.files[call.file],
            run.key_span(call, index, &key),
            format!("`-Force` hides errors of `{cmdlet}`"),
            "hides what went wrong",
            "leave `Force` out and let the error stop the run",
        ));
    }
}

/// The cmdlet that is surely forced, and the key that does it, as written.
fn forced(call: &Call) -> Option<(String, String)> {
    for cmdlet in cmdlets_of(call).0 {
        for given in parameter(call, cmdlet, "Force") {
            if let Given::As(key, Value::Bool(true)) = given {
                return Some((cmdlet.name.to_owned(), key.to_owned()));
            }
        }
    }
    // the catalogue does not have every cmdlet
    let unknown = call.cmdlet().filter(|_| cmdlets_of(call).0.is_empty())?;
    let Value::Map(entries) = call.argument("parameters")? else { return None };
    let (key, _) = entries.iter().find(|(key, value)| key.eq_ignore_ascii_case("Force") && *value == Value::Bool(true))?;
    Some((unknown, key.to_string()))
}
