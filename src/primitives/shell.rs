//! `shell`: what the management shell is.

use rhai::Dynamic;
use serde_json::{Map, Value};

use super::call::Plain;
use super::ps::cause;
use super::values::Row;
use super::{Call, Class, Primitive, Raised};
use crate::effect::{self, Outcome};
use crate::wire::bridge::Hello;

pub static SHELL: Primitive = Primitive {
    name: "shell",
    parameters: &[],
    options: &[],
    class: Class::Reads,
    returns: "a row: `ps_version`, `edition`, `language_mode`, `execution_policies`, `module`, `module_version`, `elevated`, `user`, `host`, and \
              `missing`: those of the cmdlets that the site allows which the shell does not know",
    doc: "Starts the run's management shell, unless it runs, and says what it is.",
    examples: &[
        r#"let ours = shell(); note(`${ours["module"]} in PowerShell ${ours.ps_version}, ${ours.missing.len()} cmdlets are missing`);"#,
    ],
    run,
};

impl Plain for Hello {}

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    let Some(shell) = call.run.shell.clone() else {
        return call.wrong(0, None, "the site has no management shell", "add `[powershell]` to the site file");
    };
    let effect = call.effect(&SHELL, effect::Class::Reads, None, "start the management shell".to_owned());
    let start = |_| async move { shell.session.hello().await.map_err(|failure| cause(failure, effect::Class::Reads)) };
    let hello: Hello = call.run.effects.perform(&effect, None, start)?;
    let properties: Map<String, Value> = match hello.record() {
        Value::Object(properties) => properties,
        _ => Map::new(),
    };
    Ok(Dynamic::from(Row::from_json(&properties)))
}
