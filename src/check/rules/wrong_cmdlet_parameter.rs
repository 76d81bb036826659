//! See `wrong-cmdlet-parameter.md`.

use super::typographic_dash::plain;
use crate::check::calls::once;
use crate::check::value::Value;
use crate::check::{Call, Edit, Finding, Look, Rule, Run, Severity};
use crate::facts::cmdlets::{self, Kind, Resolved};
use crate::facts::nearest;
use crate::powershell::{Known, ParameterProblem, check_parameters};

pub static WRONG_CMDLET_PARAMETER: Rule = Rule {
    slug: "wrong-cmdlet-parameter",
    severity: Severity::Error,
    page: include_str!("wrong-cmdlet-parameter.md"),
    look: Look::Calls(check),
};

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    for call in run.calls() {
        let Some(cmdlet) = call.cmdlet() else { continue };
        let given: Vec<(String, Known)> = match call.argument("parameters") {
            None => Vec::new(),
            Some(Value::Map(entries)) => entries.iter().map(|(key, value)| (key.to_string(), known(value))).collect(),
            Some(_) => continue,
        };
        if given.iter().any(|(key, _)| plain(key).is_some()) {
            continue;
        }
        for problem in check_parameters(&cmdlet, &given) {
            once(findings, finding(run, call, &cmdlet, problem));
        }
    }
}

fn known(value: &Value) -> Known {
    match value {
        Value::Unknown { .. } | Value::OneOf(_) | Value::Closure(_) => Known::Unknown,
        Value::Text(text) => Known::Text(text.as_constant()),
        Value::Bool(_) => Known::Bool,
        Value::Int(_) => Known::Number(true),
        Value::Unit => Known::Null,
        Value::Array(items) => Known::List(items.iter().map(known).collect()),
        Value::Map(entries) => Known::Map(entries.iter().map(|(key, value)| (key.to_string(), known(value))).collect()),
    }
}

fn finding(run: &Run<'_>, call: &Call, cmdlet: &str, problem: ParameterProblem) -> Finding {
    let source = &run.script.files[call.file];
    let at = call.index_of("parameters");
    let (span, label) = match (&problem.parameter, at) {
        (Some(key), Some(at)) if problem.value => (run.value_span(call, at, key), "wrong value"),
        (Some(key), Some(at)) => (run.key_span(call, at, key), "wrong parameter"),
        (None, Some(at)) => (run.argument_span(call, at), "these parameters"),
        (_, None) => (run.argument_span(call, 0), "called without parameters"),
    };
    let help = problem.help.unwrap_or_else(|| format!("correct the value, as the reference page of `{cmdlet}` has it"));
    let mut finding = WRONG_CMDLET_PARAMETER.finding(source, span.clone(), problem.message, label, help);
    let (Some(known), Some(key)) = (cmdlets::find(cmdlet), problem.parameter) else { return finding };
    let written = &source.text[span.clone()];
    let instead = match known.resolve(&key) {
        Resolved::Unknown if written == key => known.suggest_parameter(&key).map(str::to_owned),
        Resolved::Unknown if written == format!("\"{key}\"") => known.suggest_parameter(&key).map(|name| format!("\"{name}\"")),
        Resolved::One(parameter) if problem.value => match (parameter.kind, at.and_then(|at| call.given.get(at)?.key(&key)?.as_constant()))
        {
            (Kind::Enum(values), Some(text)) if written == format!("\"{text}\"") => {
                nearest(&text, values.iter().copied()).map(|value| format!("\"{value}\""))
            }
            _ => None,
        },
        _ => None,
    };
    finding.fixes.extend(instead.map(|text| Edit { span, text }));
    finding
}
