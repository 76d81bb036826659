//! Log sequence numbers in a runbook: ordered, printable, and compared only with what is one.

use std::cmp::Ordering;

use rhai::{Dynamic, Engine, EvalAltResult};

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::mistake;
use crate::wire::lsn::Lsn;

/// An integer or text that is an LSN compares exactly; anything else is the runbook's mistake, never silently false.
fn other(value: &Dynamic) -> Result<Lsn, Box<EvalAltResult>> {
    if let Some(lsn) = value.clone().try_cast::<Lsn>() {
        return Ok(lsn);
    }
    if let Ok(n) = value.as_int() {
        return u128::try_from(n).map(Lsn).or_else(|_| mistake(format!("a log sequence number cannot be compared with {n}")));
    }
    if let Some(n) = value.clone().try_cast::<Decimal>() {
        let whole = if n.is_integer() { n.to_u128() } else { None };
        return whole.map(Lsn).map_or_else(|| mistake(format!("a log sequence number cannot be compared with {n}")), Ok);
    }
    if let Ok(text) = value.clone().into_immutable_string() {
        return text.parse().or_else(|bad| mistake(format!("{bad}")));
    }
    if value.is_unit() {
        return mistake("a log sequence number cannot be compared with a missing value (NULL)".to_owned());
    }
    mistake(format!("a log sequence number cannot be compared with a value of type {}", super::type_name(value)))
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Lsn>("Lsn");
    engine.register_fn("to_string", |lsn: &mut Lsn| lsn.to_string());
    engine.register_fn("to_debug", |lsn: &mut Lsn| lsn.to_string());
    type Compare = fn(Ordering) -> bool;
    let operators: [(&str, Compare); 6] = [
        ("==", Ordering::is_eq),
        ("!=", Ordering::is_ne),
        ("<", Ordering::is_lt),
        ("<=", Ordering::is_le),
        (">", Ordering::is_gt),
        (">=", Ordering::is_ge),
    ];
    for (name, holds) in operators {
        engine.register_fn(name, move |a: Lsn, b: Lsn| holds(a.cmp(&b)));
        // `lsn == ()` asks whether it is missing, and has an answer; what comes first of a value and nothing has none
        let missing = move |value: &Dynamic| value.is_unit() && matches!(name, "==" | "!=");
        engine.register_fn(name, move |a: Lsn, b: Dynamic| match missing(&b) {
            true => Ok(name == "!="),
            false => other(&b).map(|b| holds(a.cmp(&b))),
        });
        engine.register_fn(name, move |a: Dynamic, b: Lsn| match missing(&a) {
            true => Ok(name == "!="),
            false => other(&a).map(|a| holds(a.cmp(&b))),
        });
    }
}
