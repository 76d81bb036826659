//! `note`: a word to the operator and the record.

use rhai::Dynamic;

use super::{Call, Class, Parameter, Primitive, Raised, Type};
use crate::journal::Level;

pub static NOTE: Primitive = Primitive {
    name: "note",
    parameters: &[Parameter::required("text", Type::Text, "what to say")],
    options: &[],
    class: Class::Tells,
    returns: "nothing",
    doc: "Says something to the operator and the record.",
    examples: &[r#"note("mgccomp is not failed over");"#],
    run,
};

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    call.run.effects.note(Level::Note, &call.text(0))?;
    Ok(Dynamic::UNIT)
}
