//! `ask`: one of several choices.

use rhai::{Array, Dynamic};

use super::evidence::evidence;
use super::{Call, Class, Parameter, Primitive, Raised, Type};
use crate::effect;
use crate::operator::{Answer, Question};

pub static ASK: Primitive = Primitive {
    name: "ask",
    parameters: &[
        Parameter::required("question", Type::Text, "the question"),
        Parameter::required("choices", Type::TextList, "the answers that can be given"),
        Parameter::optional("options", Type::Options, ""),
    ],
    options: &[
        Parameter::optional("id", Type::Text, "names the question"),
        Parameter::optional(
            "default",
            Type::Text,
            "the choice that Enter and `--yes` take; one of the choices. The word is reserved: write it in quotes",
        ),
        Parameter::optional("show", Type::Evidence, "rows, a map, text, or a list of `[title, value]` pairs, shown before the question"),
    ],
    class: Class::Asks,
    returns: "the choice, as text",
    doc: "Asks for one of the choices. Unattended, the `default` is taken; without one the run stops.",
    examples: &[r#"let when = ask("Mirror now or later?", ["now", "later"], #{ "default": "now" }); note(when);"#],
    run,
};

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    let choices: Vec<String> =
        call.arguments[1].read_lock::<Array>().map(|list| list.iter().map(|c| c.to_string()).collect()).unwrap_or_default();
    if choices.is_empty() {
        return call.wrong(1, None, "there is nothing to choose from", "give at least one choice");
    }
    let default = call.text_option("default");
    if let Some(default) = default.as_deref().filter(|d| !choices.iter().any(|c| c == d)) {
        return call.wrong(
            2,
            Some("default"),
            format!("the default `{default}` is not one of the choices"),
            format!("write one of: {}", choices.join(", ")),
        );
    }
    let question =
        Question::Ask { id: call.text_option("id"), text: call.text(0), choices, default, evidence: evidence(call.options.get("show")) };
    let effect = call.effect(&ASK, effect::Class::Asks, None, call.text(0));
    match call.run.effects.ask(&effect, &question)? {
        Answer::Choice(choice) => Ok(choice.into()),
        _ => Ok(Dynamic::UNIT),
    }
}
