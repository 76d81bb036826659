//! A TOML document as a tree of our own, in which every key and value knows its place, also when `--set` put it there.
//! Called by `read.rs` only.

use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;
use miette::NamedSource;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{At, Problem, ProblemKind, Source};

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    pub data: Data,
    pub at: At,
}

#[derive(Clone, Debug)]
pub enum Data {
    Text(String),
    Integer(Option<i64>),
    Float(f64),
    Bool(bool),
    /// a date or a time, as written
    Time(String),
    List(Vec<Node>),
    Table(Table),
}

/// Keys in the order of the text.
pub type Table = IndexMap<String, Entry>;

/// A key's place and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: At,
    pub value: Node,
}

impl Data {
    /// For "must be ..., not ...".
    pub fn kind(&self) -> &'static str {
        match self {
            Data::Text(_) => "text",
            Data::Integer(_) => "an integer",
            Data::Float(_) => "a number with a fraction",
            Data::Bool(_) => "true or false",
            Data::Time(_) => "a date or time",
            Data::List(_) => "a list",
            Data::Table(_) => "a table",
        }
    }

    /// As a runbook gets it.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Data::Text(text) | Data::Time(text) => text.clone().into(),
            Data::Integer(number) => (*number).into(),
            Data::Float(number) => (*number).into(),
            Data::Bool(yes) => (*yes).into(),
            Data::List(items) => items.iter().map(|item| item.data.json()).collect(),
            Data::Table(table) => table.iter().map(|(key, entry)| (key.clone(), entry.value.data.json())).collect(),
        }
    }
}

/// The tree of the site file, with `overrides` laid over it, and what could not be read as TOML.
pub struct Document {
    pub root: Node,
    /// the text, with stars in place of what must not be shown
    pub shown: Arc<str>,
    pub problems: Vec<Problem>,
    /// something is not closed, so that what follows stands in the wrong table
    pub torn: bool,
}

/// Reads file and overrides.
pub fn document(name: &str, text: &str, overrides: &[String]) -> Document {
    let (table, errors) = DeTable::parse_recoverable(text);
    let (shown, source) = show(name, text, table.get_ref());
    let is_double = |error: &toml::de::Error| error.message().starts_with("duplicate key");
    let first_is_double = errors.first().is_some_and(is_double);
    // after the first error the parser stumbles on lines that are in order: those would only hide it
    let worth_telling =
        |(n, error): &(usize, &toml::de::Error)| *n == 0 || broken_alone(line_of(text, error)) || first_is_double && is_double(error);
    let mut problems: Vec<Problem> =
        errors.iter().enumerate().filter(worth_telling).map(|(_, error)| syntax(&source, text, error)).collect();
    let mut root = Node { data: Data::Table(convert_table(&source, table.get_ref())), at: At::new(&source, 0..0) };
    for over in overrides {
        match override_tree(over) {
            Ok(table) => {
                if let Data::Table(under) = &mut root.data {
                    lay_over(under, table);
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    let torn = !first_is_double && errors.first().is_some_and(|error| !broken_alone(line_of(text, error)));
    Document { root, shown: shown.into(), problems, torn }
}

/// A text as errors may show it: a password that was written into it is starred out.
fn show(name: &str, text: &str, table: &DeTable<'_>) -> (String, Source) {
    let mut hidden = Vec::new();
    hide(table, &mut Vec::new(), &mut hidden);
    let mut shown = text.to_owned();
    for range in hidden {
        let stars: String = text[range.clone()]
            .chars()
            .map(|c| if matches!(c, '\n' | '\r' | '"' | '\'') { c.to_string() } else { "*".repeat(c.len_utf8()) })
            .collect();
        shown.replace_range(range, &stars);
    }
    let source = Arc::new(NamedSource::new(name, shown.clone()));
    (shown, source)
}

/// Ranges of text that somebody may have written as a password: in `auth` all but the user, and anything called so.
fn hide(table: &DeTable<'_>, path: &mut Vec<String>, hidden: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let key = key.get_ref().to_string();
        let auth = path.last().is_some_and(|parent| parent == "auth");
        let secret = auth && key != "user" || key.to_ascii_lowercase().starts_with("passw") || key == "pwd";
        path.push(key);
        match value.get_ref() {
            DeValue::Table(inner) => hide(inner, path, hidden),
            DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) if secret => hidden.push(value.span()),
            _ => {}
        }
        path.pop();
    }
}

/// The line that an error was found on.
fn line_of<'a>(text: &'a str, error: &toml::de::Error) -> &'a str {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    text[start..].lines().next().unwrap_or_default()
}

/// True if a line is no TOML even by itself.
fn broken_alone(line: &str) -> bool {
    !DeTable::parse_recoverable(line).1.is_empty()
}

fn syntax(source: &Source, text: &str, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let line = line_of(text, error);
    let windows_path = line.contains("\"") && line.contains('\\');
    let help = if windows_path {
        r"Write Windows paths in single quotes: '\\server\share' or 'D:\folder'."
    } else if error.message().starts_with("duplicate key") {
        "Keep one of the two."
    } else if !broken_alone(line) {
        "Look at the lines before this one: a brace, a bracket or a quote that was opened there is not closed."
    } else {
        "Correct the text at this place; keys are `name = value`, text stands in quotes."
    };
    Problem { kind: ProblemKind::Syntax(error.message().to_owned()), at: Some(At::new(source, span)), help: help.to_owned() }
}

fn override_tree(over: &str) -> Result<Table, Problem> {
    let parsed = DeTable::parse_recoverable(over);
    let (_, source) = show("--set", over, parsed.0.get_ref());
    if parsed.1.is_empty() && over.contains('=') && !over.trim_start().starts_with(['[', '#']) {
        return Ok(convert_table(&source, parsed.0.get_ref()));
    }
    // not TOML: the value is taken as text, as it comes from a shell that ate the quotes
    let wrong = |help: &str| Problem {
        kind: ProblemKind::BadOverride(over.to_owned()),
        at: Some(At::new(&source, 0..over.len())),
        help: help.to_owned(),
    };
    let Some((keys, value)) = over.split_once('=') else {
        return Err(wrong("Write it as `--set vars.name=value`."));
    };
    let plain = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    let mut places = Vec::new();
    let mut start = 0;
    for part in keys.split('.') {
        let name = part.trim();
        if !plain(name) {
            return Err(wrong("Write the key as names with dots between, as in `vars.name`."));
        }
        let lead = part.len() - part.trim_start().len();
        places.push((name.to_owned(), start + lead..start + lead + name.len()));
        start += part.len() + 1;
    }
    let mut node = Node { data: Data::Text(value.to_owned()), at: At::new(&source, keys.len() + 1..over.len()) };
    while let Some((name, range)) = places.pop() {
        let key = At::new(&source, range);
        let table = Table::from([(name, Entry { key: key.clone(), value: node })]);
        if places.is_empty() {
            return Ok(table);
        }
        node = Node { data: Data::Table(table), at: key };
    }
    Err(wrong("Write it as `--set vars.name=value`."))
}

fn lay_over(under: &mut Table, over: Table) {
    for (key, entry) in over {
        match (under.get_mut(&key).map(|old| &mut old.value.data), entry.value.data) {
            (Some(Data::Table(old)), Data::Table(new)) => lay_over(old, new),
            (_, data) => {
                let value = Node { data, at: entry.value.at };
                under.insert(key, Entry { key: entry.key, value });
            }
        }
    }
}

fn convert_table(source: &Source, table: &DeTable<'_>) -> Table {
    let mut entries: Vec<(String, Entry)> = table
        .iter()
        .map(|(key, value)| {
            let at = At::new(source, key.span());
            (key.get_ref().to_string(), Entry { key: at, value: convert(source, value) })
        })
        .collect();
    entries.sort_by_key(|(_, entry)| entry.key.span.offset());
    entries.into_iter().collect()
}

fn convert(source: &Source, value: &Spanned<DeValue<'_>>) -> Node {
    let data = match value.get_ref() {
        DeValue::String(text) => Data::Text(text.to_string()),
        DeValue::Integer(number) => Data::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()),
        DeValue::Float(number) => Data::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(yes) => Data::Bool(*yes),
        DeValue::Datetime(time) => Data::Time(time.to_string()),
        DeValue::Array(items) => Data::List(items.iter().map(|item| convert(source, item)).collect()),
        DeValue::Table(table) => Data::Table(convert_table(source, table)),
    };
    Node { data, at: At::new(source, value.span()) }
}
