//! `cutover docs`: the reference of what a runbook may call, from the descriptions of the primitives; the functions of the
//! modules in `stdlib`, from their own comments; and the pages of the rules as one document.

use std::path::PathBuf;

use clap::Args;

use super::execute::load_site;
use super::{CliError, exit};
use crate::check::page;
use crate::primitives::{self, PRIMITIVES, Parameter, Primitive};
use crate::report;
use crate::script::{Options, nearest, stdlib};

/// What names the document of the rules; no primitive is called so.
const RULES: &str = "rules";
/// What names the schema of `--format json`.
const EVENTS: &str = "events";

#[derive(Args)]
#[command(after_help = "Examples:\n  cutover docs\n  cutover docs restore_logs\n  cutover docs databases\n  \
                  cutover docs databases::bring_online\n  cutover docs done_when\n  cutover docs log_shipping --site site.toml\n  \
                  cutover docs --table\n  cutover docs rules\n  cutover docs events")]
pub struct DocsArgs {
    /// A primitive, an option, a module of `stdlib`, one of its functions, `rules` for all rules of `check`, or `events` for
    /// the schema of `--format json`; all primitives unless given.
    pub name: Option<String>,
    /// Only the table of all primitives.
    #[arg(long, conflicts_with = "name")]
    pub table: bool,
    /// The site whose own `stdlib` goes before the modules that are built in.
    #[arg(long, value_name = "FILE")]
    pub site: Option<PathBuf>,
}

pub fn main(arguments: &DocsArgs) -> Result<u8, CliError> {
    let text = match &arguments.name {
        Some(name) => {
            let site = arguments.site.as_ref().map(|file| load_site(file, &[])).transpose()?;
            let modules = Module::all(&Options { site_stdlib: site.and_then(|site| site.stdlib), ..Options::default() });
            named(name, &modules).map_err(|help| CliError::NoSuchName { name: name.clone(), help })?
        }
        None if arguments.table => table(),
        None => reference(),
    };
    report::data(text.trim_end());
    Ok(exit::DONE)
}

/// The page of a word, or what to do for want of one.
fn named(name: &str, modules: &[Module]) -> Result<String, String> {
    if name == RULES {
        return Ok(page::document());
    }
    if name == EVENTS {
        return Ok(format!("{:#}", report::json::schema()));
    }
    if let Some(primitive) = primitives::find(name) {
        return Ok(page_of(primitive));
    }
    if let Some(module) = modules.iter().find(|module| module.name == name) {
        return Ok(module.page());
    }
    let functions = modules.iter().flat_map(|module| module.functions.iter().map(move |function| (module, function)));
    let meant = |(module, function): &(&Module, &Function)| match name.split_once("::") {
        Some((of, name)) => module.name == of && function.name == name,
        None => function.name == name,
    };
    let pages: Vec<String> = functions.clone().filter(meant).map(|(module, function)| module.page_of(function)).collect();
    if !pages.is_empty() {
        return Ok(pages.join("\n"));
    }
    let options = of_option(name);
    if !options.is_empty() {
        return Ok(options);
    }
    let known = PRIMITIVES.iter().map(|primitive| primitive.name.to_owned()).chain(modules.iter().map(|module| module.name.clone()));
    let known: Vec<String> = known
        .chain(functions.flat_map(|(module, function)| [function.name.clone(), format!("{}::{}", module.name, function.name)]))
        .chain(PRIMITIVES.iter().flat_map(|primitive| primitive.options.iter().map(|option| option.name.to_owned())))
        .chain([RULES, EVENTS].map(str::to_owned))
        .collect();
    let meant = nearest(name, known.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    let primitives: Vec<&str> = PRIMITIVES.iter().map(|primitive| primitive.name).collect();
    let modules: Vec<&str> = modules.iter().map(|module| module.name.as_str()).collect();
    Err(format!("{meant}There are {}; and the modules {}", primitives.join(", "), modules.join(", ")))
}

/// What an option means, in each primitive that takes it.
fn of_option(name: &str) -> String {
    let mut text = String::new();
    for primitive in PRIMITIVES {
        for option in primitive.options.iter().filter(|option| option.name == name) {
            let title = if text.is_empty() { format!("## {name}\n\nAn option of a call.\n\n") } else { String::new() };
            text.push_str(&format!("{title}- in `{}`: {}", signature(primitive), item(option)));
        }
    }
    text
}

/// A module of `stdlib`: what its comments say. A function without one is for its module alone and has no page.
struct Module {
    name: String,
    /// its file, none if it is built in
    file: Option<PathBuf>,
    about: String,
    functions: Vec<Function>,
}

struct Function {
    name: String,
    /// as it is called: `name(a, b)`
    call: String,
    about: String,
}

impl Module {
    /// The modules that an import finds without a file beside the runbook: the site's own, then those that are built in.
    fn all(options: &Options) -> Vec<Self> {
        let mut names = stdlib::names();
        let own = options.site_stdlib.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
        let own = own.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.extension().is_some_and(|e| e == "rhai"));
        names.extend(own.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())));
        names.sort();
        names.dedup();
        names.into_iter().filter_map(|name| Self::read(options, name)).collect()
    }

    fn read(options: &Options, name: String) -> Option<Self> {
        let (file, text) = options.module(None, &name)?;
        let comment = |lines: &[&str]| {
            let lines = lines.iter().map(|line| line.trim_start_matches('/').trim());
            lines.collect::<Vec<_>>().join("\n")
        };
        let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().collect();
        let head = lines.iter().take_while(|line| line.starts_with("//")).count();
        let functions = lines.iter().enumerate().filter_map(|(n, line)| {
            let rest = line.strip_prefix("fn ")?;
            let call = rest.split_inclusive(')').next()?.trim().to_owned();
            let above = lines[..n].iter().rev().take_while(|line| line.starts_with("//")).count();
            (above > 0).then_some(Function { name: call.split('(').next()?.to_owned(), call, about: comment(&lines[n - above..n]) })
        });
        Some(Self { about: comment(&lines[..head]), functions: functions.collect(), name, file })
    }

    /// Where it was found, for whoever wonders which of several is used.
    fn found(&self) -> String {
        let found = match &self.file {
            Some(file) => format!("The site's own: `{}`", file.display()),
            None => "Built into the program".to_owned(),
        };
        format!("{found}; a `{}.rhai` beside the runbook goes before it.", self.name)
    }

    fn page(&self) -> String {
        let Self { name, about, .. } = self;
        let mut text = format!("# {name}\n\n{about}\n\n{}\n\n```rhai\nimport \"{name}\" as {name};\n```\n", self.found());
        for function in &self.functions {
            text.push_str(&format!("\n## {name}::{}\n\n{}\n", function.call, function.about));
        }
        text
    }

    fn page_of(&self, function: &Function) -> String {
        format!("## {}::{}\n\n{}\n\n{}\n", self.name, function.call, function.about, self.found())
    }
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
            text.push_str(&format!("- {}", item(parameter)));
        }
    };
    list("Parameters", primitive.parameters);
    list("Options", primitive.options);
    for example in primitive.examples {
        text.push_str(&format!("\n```rhai\n{example}\n```\n"));
    }
    text
}

fn item(parameter: &Parameter) -> String {
    let required = if parameter.required { ", required" } else { "" };
    format!("`{}` ({}{required}): {}\n", parameter.name, primitives::type_in_words(parameter.ty), parameter.doc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_and_each_of_its_functions_has_a_page() {
        let modules = Module::all(&Options::default());
        assert_eq!(modules.len(), stdlib::names().len());
        for module in &modules {
            assert!(!module.about.is_empty() && !module.functions.is_empty(), "{}", module.name);
            let page = named(&module.name, &modules).expect("a page");
            for function in &module.functions {
                assert!(page.contains(&format!("\n## {}::{}\n", module.name, function.call)));
                let own = named(&format!("{}::{}", module.name, function.name), &modules).expect("a page");
                assert!(own.contains(&function.about) && named(&function.name, &modules).expect("a page").contains(&own));
            }
        }
    }

    #[test]
    fn what_runbooks_and_other_modules_call_has_a_comment() {
        let modules = Module::all(&Options::default());
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let scripts = ["runbooks", "stdlib"].into_iter().flat_map(|folder| std::fs::read_dir(root.join(folder)).expect("a folder"));
        let scripts = scripts.map(|entry| entry.expect("an entry").path()).filter(|path| path.extension().is_some_and(|e| e == "rhai"));
        let mut calls = 0;
        for script in scripts {
            let text = std::fs::read_to_string(&script).expect("a script is text");
            let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            for module in &modules {
                for rest in code.join("\n").split(&format!("{}::", module.name)).skip(1) {
                    let called = rest.split('(').next().unwrap_or_default();
                    calls += 1;
                    let known = module.functions.iter().any(|function| function.name == called);
                    assert!(
                        known || called.chars().any(|c| c.is_uppercase()),
                        "{}: {}::{called} has no comment",
                        script.display(),
                        module.name
                    );
                }
            }
        }
        assert!(calls > 50, "{calls}");
    }

    #[test]
    fn a_word_that_is_not_known_says_what_was_meant() {
        let modules = Module::all(&Options::default());
        let help = |word: &str| named(word, &modules).expect_err("no page");
        assert!(help("restore_log").starts_with("did you mean `restore_logs`? "));
        assert!(help("databses").starts_with("did you mean `databases`? "));
        assert!(help("databases::bring_onlin").starts_with("did you mean `databases::bring_online`? "));
        assert!(help("done_wen").starts_with("did you mean `done_when`? "));
        assert!(named("done_when", &modules).expect("a page").contains("- in `sql("));
    }

    #[test]
    fn the_module_of_the_site_goes_before_the_one_that_is_built_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("databases.rhai");
        std::fs::write(&file, "// Ours.\n\n// Says so.\nfn ours(server) {\n    server\n}\n").expect("it is written");
        let modules = Module::all(&Options { site_stdlib: Some(folder.path().to_owned()), ..Options::default() });
        let page = named("databases", &modules).expect("a page");
        assert!(page.contains(&format!("The site's own: `{}`", file.display())) && page.contains("## databases::ours(server)\n\nSays so."));
        assert!(!page.contains("bring_online"));
        assert!(named("pchat", &modules).expect("a page").contains("Built into the program"));
    }
}
