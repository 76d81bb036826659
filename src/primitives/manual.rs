//! `manual`: a step done by hand.

use rhai::Dynamic;

use super::evidence::evidence;
use super::{Call, Class, Parameter, Primitive, Raised, Type};
use crate::effect;
use crate::operator::Question;

pub static MANUAL: Primitive = Primitive {
    name: "manual",
    parameters: &[
        Parameter::required("title", Type::Text, "what is to be done"),
        Parameter::required("instructions", Type::Text, "how, in the operator's words"),
        Parameter::optional("options", Type::Options, ""),
    ],
    options: &[
        Parameter::optional("id", Type::Text, "names the question"),
        Parameter::optional(
            "show",
            Type::Evidence,
            "rows, a map, text, or a list of `[title, value]` pairs, shown before the instructions",
        ),
    ],
    class: Class::Asks,
    returns: "nothing; when the answer is stop, the run stops",
    doc: "Shows what to do by hand, waits for \"done\", and times it. Unattended it counts as done only in a lab.",
    examples: &[r#"manual("Two users post in a room", "Ask two users of the pool to post, and read each other's message.");"#],
    run,
};

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    let question = Question::Manual {
        id: call.text_option("id"),
        title: call.text(0),
        instructions: call.text(1),
        evidence: evidence(call.options.get("show")),
    };
    let effect = call.effect(&MANUAL, effect::Class::Asks, None, call.text(0));
    call.run.effects.ask(&effect, &question)?;
    Ok(Dynamic::UNIT)
}
