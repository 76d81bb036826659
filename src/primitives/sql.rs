//! `sql`: one batch on a named server. What `query` shares stands here too: preparing the text, sending it, and the failure.

use std::collections::BTreeMap;

use rhai::{Dynamic, Map};

use super::values::{SqlResult, to_json, to_sql};
use super::{ArgumentError, Call, Class, Parameter, Primitive, Raised, Type};
use crate::effect::{self, Cause, Story, Work};
use crate::journal::{Progress, Said};
use crate::sqlserver::errors::{deciding, meaning};
use crate::sqlserver::{Batch, Failure, Message, TimeLimit, Value};
use crate::tsql::classify::{self, NoReturn, classify, is_restore_or_backup, points_of_no_return};
use crate::tsql::parameters::{NameError, PlaceholderValue, names};

pub(super) const SERVER: Parameter = Parameter::required("server", Type::Text, "the site's name of the server: `\"backup\"`");
pub(super) const TEXT: Parameter =
    Parameter::required("text", Type::Text, "T-SQL; `@name` is bound from `params`, `{name}` is written as a quoted name or an integer");
pub(super) const PARAMS: Parameter = Parameter::optional("params", Type::Map, "values for the names in the text");
pub(super) const DONE_WHEN: Parameter =
    Parameter::optional("done_when", Type::Closure(0), "reads only; true when the change is in force. Asked before and after it");
pub(super) const WITHIN: Parameter =
    Parameter::optional("within", Type::Duration, "how long `done_when` is asked again after the change; once unless given");
pub(super) const ALREADY: Parameter = Parameter::optional(
    "already",
    Type::Word(&["accept"]),
    "`\"accept\"`: a `done_when` that is true before the change is fine; otherwise the operator is asked",
);
pub(super) const TIMEOUT: Parameter =
    Parameter::optional("timeout", Type::Duration, "the longest that it may take; RESTORE and BACKUP have no limit unless given");

pub static SQL: Primitive = Primitive {
    name: "sql",
    parameters: &[SERVER, TEXT, PARAMS, Parameter::optional("options", Type::Options, "")],
    options: &[DONE_WHEN, WITHIN, ALREADY, TIMEOUT],
    class: Class::FromText,
    returns: "a result: `.rows`, `.first()`, `.value()`, `.sets`, `.affected`, `.messages`",
    doc: "Runs one batch on a named server, in autocommit, in `master` unless the site says otherwise. Whether it reads or changes is told from the text; \
          what cannot be told is a change. `@name` is bound as a typed parameter, in a scope of its own. USE, SET and #temp tables end with the call, and so does an open transaction. \
          `{name}` is for what T-SQL cannot bind. A change is sent once and never retried.",
    examples: &[r#"sql("backup", "EXEC msdb.dbo.sp_update_job @job_name = @job, @enabled = 0", #{ job: "LSCopy_PCHAT-SQL-01_mgc" },
    #{ done_when: || query("backup", "SELECT 1 AS off FROM msdb.dbo.sysjobs WHERE name = @job AND enabled = 0", #{ job: "LSCopy_PCHAT-SQL-01_mgc" }).rows.len() == 1 });"#],
    run,
};

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    let prepared = prepare(call)?;
    let class = match prepared.class.class {
        classify::Class::Reads => effect::Class::Reads,
        classify::Class::Changes => effect::Class::Changes,
    };
    perform(call, &SQL, class, prepared)
}

/// A batch whose names are filled and bound.
pub(super) struct Prepared {
    server: String,
    text: String,
    parameters: Vec<(String, Value)>,
    /// what is bound, for people
    shown: Vec<String>,
    pub(super) class: classify::Classified,
}

/// Fills `{name}`, binds `@name`, and finds what is wrong with either before anything is sent.
pub(super) fn prepare(call: &Call<'_, '_>) -> Result<Prepared, Raised> {
    let (server, text) = (server(call)?, call.text(1));
    let params = call.arguments.get(2).and_then(|v| v.clone().try_cast::<Map>()).unwrap_or_default();
    let keys: Vec<&str> = params.keys().map(|k| k.as_str()).collect();
    let wrong = |errors: Vec<NameError>| {
        let error = errors.into_iter().next().expect("an error list is not empty");
        let argument = if error.range().is_some() { 1 } else { 2 };
        Raised::Argument(ArgumentError { argument, key: None, within: error.range(), message: error.to_string(), help: error.help() })
    };
    let holes: BTreeMap<String, PlaceholderValue> = params.iter().map(|(k, v)| (k.to_string(), placeholder(v))).collect();
    let names = names(&text);
    let (bound, rendered) = match (names.bindings(&keys), names.render(&text, &holes)) {
        (Ok(bound), Ok(rendered)) => (bound, rendered),
        (bound, rendered) => {
            let mut errors: Vec<_> = bound.err().into_iter().chain(rendered.err()).flatten().collect();
            // what is wrong in the text comes before what the text lacks
            errors.sort_by_key(|error| error.range().is_none());
            return Err(wrong(errors));
        }
    };
    let (mut parameters, mut shown) = (Vec::new(), Vec::new());
    for name in bound {
        match to_sql(&params[name.as_str()]) {
            Ok(value) => {
                shown.push(format!("@{name} = {}", short(&to_json(&params[name.as_str()]))));
                parameters.push((name, value));
            }
            Err(why) => {
                return call.wrong(2, None, format!("`@{name}`: {why}"), "bind text, a number, a boolean, a time, an LSN, a blob or ()");
            }
        }
    }
    Ok(Prepared { server, class: classify(&rendered.text), text: rendered.text, parameters, shown })
}

/// The server argument: one that the site has.
pub(super) fn server(call: &Call<'_, '_>) -> Result<String, Raised> {
    let server = call.text(0);
    let known: Vec<&str> = call.run.servers.keys().collect();
    if known.contains(&server.as_str()) {
        return Ok(server);
    }
    let meant = super::did_you_mean(&server, known.iter().copied());
    call.wrong(0, None, format!("the site has no server `{server}`"), format!("{meant}the site's servers are: {}", known.join(", ")))
}

fn placeholder(value: &Dynamic) -> PlaceholderValue {
    match (value.as_int(), value.clone().into_immutable_string()) {
        (Ok(number), _) => PlaceholderValue::Integer(number),
        (_, Ok(text)) => PlaceholderValue::Text(text.to_string()),
        _ if value.is_unit() => PlaceholderValue::Unfit("a missing value, `()`".to_owned()),
        _ => PlaceholderValue::Unfit(format!("a value of type {}", super::values::type_name(value))),
    }
}

/// Sends a prepared batch as an effect.
pub(super) fn perform(
    call: &Call<'_, '_>,
    primitive: &'static Primitive,
    class: effect::Class,
    prepared: Prepared,
) -> Result<Dynamic, Raised> {
    let Prepared { server, text, parameters, shown, .. } = prepared;
    let summary =
        if class == effect::Class::Changes && !shown.is_empty() { format!("{text} [{}]", shown.join(", ")) } else { text.clone() };
    let mut effect = call.effect(primitive, class, Some(server.clone()), summary);
    effect.cancellable = !points_of_no_return(&text).iter().any(|point| point.kind == NoReturn::Recovery);
    let long = is_restore_or_backup(&text);
    let time_limit = match call.duration_option("timeout") {
        Some(limit) => TimeLimit::Some(limit),
        None if long => TimeLimit::None,
        None => TimeLimit::Default,
    };
    let batch = Batch { text, parameters, time_limit, changes: class == effect::Class::Changes, ..Batch::default() };
    let servers = call.run.servers.clone();
    let result = call.with_test(|test| {
        call.run.effects.perform(&effect, test, |Work { report, cancel }| async move {
            let batch = batch.cancelled_by(cancel);
            let batch = if long {
                let hear = report.clone();
                batch
                    .on_progress(move |progress| report(Progress::new(&progress.command, Some(progress.percent / 100.0))))
                    .on_message(move |message| hear(Progress::new(format!("{}: {}", message.number, message.text), None)))
            } else {
                batch
            };
            let answer = servers.run(&server, &batch).await.map_err(cause)?;
            Ok(SqlResult::new(&answer))
        })
    })?;
    Ok(Dynamic::from(result))
}

/// A bound value in at most half a line.
fn short(value: &serde_json::Value) -> String {
    let text = match value {
        serde_json::Value::String(text) => format!("'{text}'"),
        serde_json::Value::Null => "NULL".to_owned(),
        other => other.to_string(),
    };
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A SQL failure as an effect's.
pub fn cause(failure: Failure) -> Cause {
    Cause {
        number: failure.number(),
        in_doubt: failure.in_doubt(),
        story: Box::new(Story {
            title: failure.title(),
            state: failure.state(),
            unsent: failure.unsent(),
            exact: failure.not_begun(),
            ..told(failure.messages())
        }),
        diagnostic: std::sync::Arc::new(failure),
    }
}

/// What a server's messages say: each of them, and the meaning of the one that decides.
pub(super) fn told(messages: &[Message]) -> Story {
    Story {
        messages: messages.iter().map(said).collect(),
        means: deciding(messages).and_then(|m| Some(format!("{}: {}", m.number, meaning(m)?))),
        ..Story::default()
    }
}

fn said(message: &Message) -> Said {
    let parts = match serde_json::to_value(message) {
        Ok(serde_json::Value::Object(parts)) => parts,
        _ => serde_json::Map::new(),
    };
    Said { shown: message.to_string(), parts }
}
