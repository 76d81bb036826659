//! Values of ours in a runbook: rows, what a batch returns, log sequence numbers, times, failures. Read-only all of them:
//! what a server or a shell said is evidence.

mod convert;
mod failure;
mod lsn;
mod result;
mod rows;
mod time;

pub use convert::{from_json, from_sql, text_of, to_json, to_sql};
pub use result::SqlResult;
pub use rows::{Row, Rows};
pub use time::Time;

use std::cmp::Ordering;

use rhai::{Dynamic, Engine, EvalAltResult, Position};

/// Registers every value's properties, methods and operators.
pub fn register(engine: &mut Engine) {
    rows::register(engine);
    result::register(engine);
    lsn::register(engine);
    time::register(engine);
    failure::register(engine);
    // varbinary: as T-SQL writes it
    engine.register_fn("len", |blob: &mut rhai::Blob| blob.len() as i64);
    for name in ["to_string", "to_debug"] {
        engine.register_fn(name, |blob: &mut rhai::Blob| convert::hex(blob));
    }
}

/// Registers the six comparisons of a value of ours: with its kind, and with what `alike` can read as its kind. `value == ()`
/// asks whether it is missing, and has an answer; what comes first of a value and nothing has none.
fn register_order<T: rhai::Variant + Clone>(
    engine: &mut Engine,
    order: fn(&T, &T) -> Result<Ordering, Box<EvalAltResult>>,
    alike: fn(&T, &Dynamic) -> Result<T, Box<EvalAltResult>>,
) {
    type Holds = fn(Ordering) -> bool;
    let operators: [(&str, Holds); 6] = [
        ("==", Ordering::is_eq),
        ("!=", Ordering::is_ne),
        ("<", Ordering::is_lt),
        ("<=", Ordering::is_le),
        (">", Ordering::is_gt),
        (">=", Ordering::is_ge),
    ];
    for (name, holds) in operators {
        let missing = move |value: &Dynamic| value.is_unit() && matches!(name, "==" | "!=");
        engine.register_fn(name, move |a: T, b: T| order(&a, &b).map(holds));
        engine.register_fn(name, move |a: T, b: Dynamic| match missing(&b) {
            true => Ok(name == "!="),
            false => alike(&a, &b).and_then(|b| order(&a, &b)).map(holds),
        });
        engine.register_fn(name, move |a: Dynamic, b: T| match missing(&a) {
            true => Ok(name == "!="),
            false => alike(&b, &a).and_then(|a| order(&a, &b)).map(holds),
        });
    }
}

/// A runbook's mistake in using a value; the call's position is filled in by the engine.
fn mistake<T>(text: String) -> Result<T, Box<EvalAltResult>> {
    Err(Box::new(EvalAltResult::ErrorRuntime(text.into(), Position::NONE)))
}

/// A value's type as a runbook's `type_of` names it.
pub fn type_name(value: &rhai::Dynamic) -> &'static str {
    let name = value.type_name();
    name.rsplit("::").next().unwrap_or(name)
}

/// "a, b, c"
fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
