//! `warn`: a word to the operator and the record.

use rhai::Dynamic;

use super::{Call, Class, Parameter, Primitive, Raised, Type};
use crate::journal::Level;

pub static WARN: Primitive = Primitive {
    name: "warn",
    parameters: &[Parameter::required("text", Type::Text, "what to say")],
    options: &[],
    class: Class::Tells,
    returns: "nothing",
    doc: "Says something that the operator must not miss; the report repeats it.",
    examples: &[r#"warn("mgccomp is not failed over");"#],
    run,
};

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    call.run.effects.note(Level::Warn, &call.text(0))?;
    Ok(Dynamic::UNIT)
}
