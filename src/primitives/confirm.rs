//! `confirm`: shows evidence and asks; "no" stops the run.

use rhai::Dynamic;

use super::evidence::evidence;
use super::{Call, Class, Parameter, Primitive, Raised, Type};
use crate::effect;
use crate::operator::Question;

pub static CONFIRM: Primitive = Primitive {
    name: "confirm",
    parameters: &[
        Parameter::required("question", Type::Text, "what is about to happen, as a question"),
        Parameter::optional("options", Type::Options, ""),
    ],
    options: &[
        Parameter::optional("show", Type::Evidence, "rows, a map, text, or a list of `[title, value]` pairs, shown before the question"),
        Parameter::optional("type", Type::Text, "a word that must be typed instead of `y`"),
        Parameter::optional("irreversible", Type::Boolean, "nothing after this can be undone; needs `id`"),
        Parameter::optional("id", Type::Text, "names the question for `--approve ID`"),
    ],
    class: Class::Asks,
    returns: "nothing; when the answer is no, the run stops",
    doc: "Shows evidence and asks for a yes. \"No\", which is the default, stops the run: a stop that no `catch` can catch. \
          Unattended (`--yes`) the answer is yes, typed words included; an irreversible question needs `--approve ID` besides, except in a lab.",
    examples: &[r#"confirm("Remove log shipping from mgc?", #{ show: "the server forgets these facts, the record keeps them" });"#],
    run,
};

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    let (id, irreversible) = (call.text_option("id"), call.flag("irreversible"));
    if irreversible && id.is_none() {
        return call.wrong(
            1,
            Some("irreversible"),
            "an irreversible question has no `id`",
            "add `id: \"a-short-name\"`, so that it can be approved by name with `--approve`",
        );
    }
    let question = Question::Confirm {
        id,
        text: call.text(0),
        evidence: evidence(call.options.get("show")),
        typed: call.text_option("type"),
        irreversible,
    };
    let effect = call.effect(&CONFIRM, effect::Class::Asks, None, call.text(0));
    call.run.effects.ask(&effect, &question)?;
    Ok(Dynamic::UNIT)
}
