//! `step`: groups effects under the title that the documented procedure gives them.

use rhai::Dynamic;

use super::{Call, Class, Parameter, Primitive, Raised, Type, closure};

pub static STEP: Primitive = Primitive {
    name: "step",
    parameters: &[
        Parameter::required("title", Type::Text, "the step as the procedure calls it; unique in a runbook"),
        Parameter::required("body", Type::Closure(0), "what the step does"),
    ],
    options: &[],
    class: Class::Tells,
    returns: "what the closure returns",
    doc: "Groups effects under a title. `return` inside leaves the closure only; a `let` inside is gone afterwards: pass facts on by an outer `let` or by the step's value.",
    examples: &[r#"let rows = step("Look", || query("backup", "SELECT name FROM sys.databases").rows); note(`${rows.len()} databases`);"#],
    run,
};

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    call.run.effects.step_started(&call.text(0), &call.place)?;
    let value = closure::run(call.context, &call.closure(1), false);
    call.run.effects.step_finished(value.is_ok() && call.run.effects.stopped().is_none())?;
    value.map_err(Raised::Script)
}
