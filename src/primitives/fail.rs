//! `fail`: the runbook itself gives up.

use rhai::Dynamic;

use super::{Call, Class, Parameter, Primitive, Raised, Type};
use crate::effect::{Cause, EffectError};

pub static FAIL: Primitive = Primitive {
    name: "fail",
    parameters: &[Parameter::required("message", Type::Text, "what is wrong"), Parameter::optional("help", Type::Text, "what to do now")],
    options: &[],
    class: Class::Tells,
    returns: "never",
    doc: "Ends the run as failed, with a message and the operator's next act.",
    examples: &[r#"if site.active_servers.len() == 0 { fail("the site names no active servers", "add them to [site] active_servers"); }"#],
    run,
};

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    let help = call.text(1);
    let error = EffectError::GivenUp {
        message: call.text(0),
        help: if help.is_empty() { "look at the place in the runbook that gave up, above".to_owned() } else { help },
    };
    Err(call.run.effects.refused(0, FAIL.name, Cause::new(error), &call.place).into())
}
