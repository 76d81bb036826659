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

use rhai::{Engine, EvalAltResult, Position};

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
