//! The Rhai engine that runs a script: every primitive registered from its description, the constant `site`, limits, stops,
//! and errors turned into ours. Called by `cli`; performs no effect itself, primitives do.

mod arguments;
mod error;
mod frames;
mod functions;
mod messages;
mod modules;
mod run;
mod site;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rhai::Engine;

pub use error::RunError;
pub use run::{Ended, OnFailedStep, evaluate, examine};

use crate::primitives::{Primitive, values};
use crate::script::{Names, engine};

/// The names a script is loaded with: these primitives, and every function and method that is registered.
pub fn names(primitives: &[&'static Primitive]) -> Arc<Names> {
    Arc::new(Names { primitives: primitives.iter().map(|p| p.name).collect(), functions: functions::FUNCTIONS.iter().copied().collect() })
}

/// The compiling engine with the values a runbook handles.
fn values_engine() -> Engine {
    let mut engine = engine::new();
    values::register(&mut engine);
    site::register(&mut engine);
    arguments::register(&mut engine);
    engine
}
