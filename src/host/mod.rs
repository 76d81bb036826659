//! The Rhai engine that runs a script: every primitive registered from its description, the constant `site`, limits, stops,
//! and errors turned into ours. Called by `cli`; performs no effect itself, primitives do.

mod arguments;
mod error;
mod frames;
mod messages;
mod modules;
mod run;
mod site;
#[cfg(test)]
mod tests;

use rhai::Engine;

pub use error::RunError;
pub use run::{Ended, evaluate};

use crate::primitives::{Primitive, values};
use crate::script::{Names, engine};

/// The names a script is loaded with: these primitives, and every function and method that is registered.
pub fn names(primitives: &[&'static Primitive]) -> Names {
    let engine = values_engine();
    let identifier = |name: &str| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && !name.contains('$');
    let functions = engine.collect_fn_metadata(
        None,
        |info| {
            let name = info.metadata.name.as_str();
            identifier(name).then(|| name.to_owned())
        },
        true,
    );
    Names { primitives: primitives.iter().map(|p| p.name.to_owned()).collect(), functions: functions.into_iter().collect() }
}

/// The compiling engine with the values a runbook handles.
fn values_engine() -> Engine {
    let mut engine = engine::new();
    values::register(&mut engine);
    site::register(&mut engine);
    arguments::register(&mut engine);
    engine
}
