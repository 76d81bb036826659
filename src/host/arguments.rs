//! A call with wrong arguments, found before anything is done, and the arguments of one that is right.

use std::ops::Range;

use rhai::{Dynamic, Engine, FnPtr, Map};

use crate::effect::Place;
use crate::primitives::arguments::{self, Closure};
use crate::primitives::{ArgumentError, Primitive};

/// A call with wrong arguments, as a runbook may catch it and as the report shows it.
#[derive(Clone, Debug)]
pub struct WrongArgument {
    pub primitive: &'static str,
    pub message: String,
    pub help: String,
    pub place: Place,
    /// File and bytes of the argument.
    pub span: Option<(usize, Range<usize>)>,
}

/// Registers the type.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<WrongArgument>("WrongArgument");
    engine.register_get("message", |error: &mut WrongArgument| error.message.clone());
    engine.register_get("primitive", |error: &mut WrongArgument| error.primitive.to_owned());
    engine.register_fn("to_string", |error: &mut WrongArgument| error.message.clone());
    engine.register_fn("to_debug", |error: &mut WrongArgument| error.message.clone());
}

/// Positional arguments and options, as a primitive gets them.
#[derive(Debug)]
pub struct Checked {
    pub arguments: Vec<Dynamic>,
    pub options: Map,
}

/// Checks and sorts the arguments of one call.
pub fn check(primitive: &Primitive, mut given: Vec<Dynamic>, closure: &dyn Fn(&FnPtr) -> Closure) -> Result<Checked, ArgumentError> {
    let known = |value: &Dynamic| value.read_lock::<FnPtr>().map(|pointer| closure(&pointer));
    if let Some(wrong) = arguments::faults(primitive, &given, &known).into_iter().next() {
        return Err(wrong);
    }
    let mut options = match arguments::options_at(primitive, &given) {
        Some(at) => given.remove(at).try_cast::<Map>().unwrap_or_default(),
        None => Map::new(),
    };
    // a value that is missing stands for an option that was not given
    options.retain(|_, value| !value.is_unit());
    Ok(Checked { arguments: given, options })
}
