//! A failed effect as a runbook catches it: `.message`, `.number`, `.messages`, `.primitive`.

use rhai::{Dynamic, Engine};

use super::from_json;
use crate::effect::Failure;

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Failure>("Failure");
    engine.register_get("message", |failure: &mut Failure| failure.message.clone());
    engine.register_get("number", |failure: &mut Failure| failure.number.map_or(Dynamic::UNIT, |n| i64::from(n).into()));
    engine.register_get("messages", |failure: &mut Failure| {
        let messages = failure.story.messages.iter().map(|said| from_json(&said.parts.clone().into()));
        messages.collect::<rhai::Array>()
    });
    engine.register_get("primitive", |failure: &mut Failure| failure.primitive.clone());
    engine.register_fn("to_string", |failure: &mut Failure| failure.message.clone());
    engine.register_fn("to_debug", |failure: &mut Failure| failure.message.clone());
}
