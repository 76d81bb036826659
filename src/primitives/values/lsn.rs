//! Log sequence numbers in a runbook: ordered, printable, and compared only with what is one.

use rhai::{Dynamic, Engine, EvalAltResult};

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::{mistake, register_order};
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
    register_order(engine, |a: &Lsn, b| Ok(a.cmp(b)), |_, value| other(value));
}
