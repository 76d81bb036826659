//! `wait_until`: polls a condition, always with a limit.

use std::time::Duration;

use rhai::{Dynamic, EvalAltResult};

use super::{Call, Class, Parameter, Primitive, Raised, Type, closure, duration};
use crate::effect::{self, Test};

pub static WAIT_UNTIL: Primitive = Primitive {
    name: "wait_until",
    parameters: &[
        Parameter::required("what", Type::Text, "what is waited for, in words"),
        Parameter::required("limit", Type::Duration, "the longest wait: `90s`, `5m`, `2h`"),
        Parameter::required("condition", Type::Closure(0), "reads only; true ends the wait"),
        Parameter::optional("options", Type::Options, ""),
    ],
    options: &[Parameter::optional("every", Type::Duration, "pause between two looks; 1s unless given")],
    class: Class::Reads,
    returns: "nothing; when the limit passes, the effect fails",
    doc: "Asks a read-only condition again and again until it is true. The closure works on copies of what it captures.",
    examples: &[
        r#"wait_until("mgc to be known", "10s", || query("backup", "SELECT name FROM sys.databases WHERE name = @db", #{ db: site.database }).rows.len() == 1);"#,
    ],
    run,
};

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    let limit = duration(&call.text(1)).unwrap_or_default();
    let every = call.duration_option("every").unwrap_or(Duration::from_secs(1));
    let (closure, context) = (call.closure(2), call.context);
    let mut ask = || -> Result<bool, Box<EvalAltResult>> { closure::test(context, &closure, "wait_until") };
    let what = call.text(0);
    let effect = call.effect(&WAIT_UNTIL, effect::Class::Reads, None, format!("wait for {what}"));
    call.run.effects.wait_until(&effect, &what, limit, every, &mut Test { ask: &mut ask, within: Duration::ZERO, accept: false })?;
    Ok(Dynamic::UNIT)
}
