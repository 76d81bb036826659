//! `keep`: a file in the run folder.

use rhai::Dynamic;

use super::{Call, Class, Parameter, Primitive, Raised, Type};
use crate::effect;
use crate::journal::Kept;

pub static KEEP: Primitive = Primitive {
    name: "keep",
    parameters: &[
        Parameter::required("name", Type::Text, "a file name, without folders"),
        Parameter::required("text", Type::Text, "what to keep"),
        Parameter::optional("options", Type::Options, ""),
    ],
    options: &[
        Parameter::optional("about", Type::Text, "what it is for, in a fragment: the run's end then names the file"),
        Parameter::optional("expires_after", Type::Text, "with `about`: the title of the step after which the file is of no use any more"),
        Parameter::optional(
            "run_on",
            Type::Text,
            "with `about`: the site's server that the file is a T-SQL script for; the command that runs it is named too",
        ),
        Parameter::optional("leaves", Type::Text, "with `run_on`: what running it does not undo"),
    ],
    class: Class::Tells,
    returns: "the file's path",
    doc: "Keeps a file in the run folder, beside the record: a script that undoes a step, a capture of what a step destroys. With `about` the end of the run names it, for whoever goes on from there.",
    examples: &[r#"let path = keep("capture.txt", "what the server knew"); note(path);"#],
    run,
};

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    let name = call.text(0);
    let plain = !name.is_empty()
        && !name.eq_ignore_ascii_case("journal.jsonl")
        && !name.starts_with(['.', ' '])
        && !name.ends_with(['.', ' '])
        && !is_device(&name)
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_. ".contains(c));
    if !plain {
        return call.wrong(0, None, format!("`{name}` is not a plain file name"), "use letters, digits, `-`, `_` and `.`, without folders");
    }
    let mut effect = call.effect(&KEEP, effect::Class::Tells, None, format!("keep {name}"));
    // the text is in the file; the record holds its digest
    let text = call.text(1);
    effect.arguments = serde_json::json!({ "name": name, "bytes": text.len(), "blake3": blake3::hash(text.as_bytes()).to_hex().as_str() });
    let kept = call.text_option("about").map(|about| Kept {
        path: String::new(),
        about,
        server: call.text_option("run_on"),
        command: None,
        leaves: call.text_option("leaves"),
        until: call.text_option("expires_after"),
    });
    let path = call.run.effects.keep(&effect, &name, &text, kept)?;
    Ok(path.display().to_string().into())
}

/// A name that Windows gives to a device, with any extension ("Naming Files, Paths, and Namespaces").
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    let numbered = |word: &str| stem.strip_prefix(word).is_some_and(|n| n.len() == 1 && n.as_bytes()[0].is_ascii_digit());
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
}
