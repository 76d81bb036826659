//! `cutover docs`: the reference of what a runbook may call, from the descriptions of the primitives; and the pages of the
//! rules as one document.

use clap::Args;

use super::{CliError, exit};
use crate::check::page;
use crate::primitives::{self, PRIMITIVES, Primitive};
use crate::report;

/// What names the document of the rules; no primitive is called so.
const RULES: &str = "rules";
/// What names the schema of `--format json`.
const EVENTS: &str = "events";

#[derive(Args)]
#[command(
    after_help = "Examples:\n  cutover docs\n  cutover docs restore_logs\n  cutover docs --table\n  cutover docs rules\n  cutover docs events"
)]
pub struct DocsArgs {
    /// One primitive, `rules` for all rules of `check`, or `events` for the schema of `--format json`; all primitives unless given.
    pub name: Option<String>,
    /// Only the table of all primitives.
    #[arg(long, conflicts_with = "name")]
    pub table: bool,
}

pub fn main(arguments: &DocsArgs) -> Result<u8, CliError> {
    let text = match &arguments.name {
        Some(name) if name == RULES => page::document(),
        Some(name) if name == EVENTS => format!("{:#}", report::json::schema()),
        Some(name) => match primitives::find(name) {
            Some(primitive) => page_of(primitive),
            None => {
                let names = PRIMITIVES.iter().map(|p| p.name);
                let meant = primitives::did_you_mean(name, names.clone());
                let help = format!("{meant}there are: {}", names.collect::<Vec<_>>().join(", "));
                return Err(CliError::NoSuchName { name: name.clone(), help });
            }
        },
        None if arguments.table => table(),
        None => reference(),
    };
    report::data(text.trim_end());
    Ok(exit::DONE)
}

/// The whole reference, as `docs/reference.md` has it.
pub fn reference() -> String {
    let mut text = "# What a runbook may call\n\nWritten by `cutover docs`; a test compares.\n\n".to_owned();
    text.push_str(&table());
    for primitive in PRIMITIVES {
        text.push('\n');
        text.push_str(&page_of(primitive));
    }
    text
}

/// One line a primitive, as the README has it.
pub fn table() -> String {
    let mut text = "| call | class | what it does |\n|---|---|---|\n".to_owned();
    for primitive in PRIMITIVES {
        let summary = primitive.doc.split_inclusive(". ").next().unwrap_or_default().trim();
        text.push_str(&format!(
            "| `{}` | {} | {summary} |\n",
            signature(primitive).replace('|', "\\|"),
            primitives::class_in_words(primitive.class)
        ));
    }
    text
}

fn signature(primitive: &Primitive) -> String {
    let mut text = format!("{}(", primitive.name);
    let mut open = 0;
    for (n, parameter) in primitive.parameters.iter().enumerate() {
        let comma = if n > 0 { ", " } else { "" };
        if parameter.required {
            text.push_str(&format!("{comma}{}", parameter.name));
        } else {
            text.push_str(&format!("{}{comma}{}", if n > 0 { " [" } else { "[" }, parameter.name));
            open += 1;
        }
    }
    text.push_str(&"]".repeat(open));
    text.push(')');
    text
}

fn page_of(primitive: &Primitive) -> String {
    let mut text = format!(
        "## {}\n\n`{}`: {}.\n\n{}\n\nReturns {}.\n",
        primitive.name,
        signature(primitive),
        primitives::class_in_words(primitive.class),
        primitive.doc,
        primitive.returns
    );
    let mut list = |title: &str, parameters: &[primitives::Parameter]| {
        let parameters: Vec<_> = parameters.iter().filter(|p| p.ty != primitives::Type::Options).collect();
        if !parameters.is_empty() {
            text.push_str(&format!("\n{title}:\n\n"));
        }
        for parameter in parameters {
            let required = if parameter.required { ", required" } else { "" };
            text.push_str(&format!("- `{}` ({}{required}): {}\n", parameter.name, primitives::type_in_words(parameter.ty), parameter.doc));
        }
    };
    list("Parameters", primitive.parameters);
    list("Options", primitive.options);
    for example in primitive.examples {
        text.push_str(&format!("\n```rhai\n{example}\n```\n"));
    }
    text
}
