//! What a runbook may call. One file per primitive; each describes itself in a [`Primitive`], and the one slice
//! [`PRIMITIVES`] lists them all. From a description come the Rhai registration and the argument errors (`host`), the
//! reference (`cutover docs`, the README's table), and the tests that run every example.

use rhai::{Dynamic, EvalAltResult};

use crate::effect::{Ended, Failure, Stop};

pub mod arguments;
mod ask;
mod backups;
mod call;
mod closure;
mod confirm;
mod copy_backups;
mod evidence;
mod fail;
mod keep;
mod log_chain;
mod manual;
mod note;
mod ps;
mod query;
mod restore_logs;
mod shell;
mod sql;
mod step;
mod utc_now;
pub mod values;
mod wait_until;
mod warn;

pub use call::{Call, Run, Shell};
pub use sql::cause as sql_cause;

/// What a call may do to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Reads,
    Changes,
    Asks,
    /// Talks to the operator and the record only.
    Tells,
    /// Told from the T-SQL text: provably a read, else a change.
    FromText,
    /// Told from the catalogue of cmdlets: listed as a read, else a change.
    FromCmdlet,
}

/// What a parameter or an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// text
    Text,
    /// text like `90s`, `5m`, `2h`
    Duration,
    Integer,
    Boolean,
    /// a map of names to values
    Map,
    /// a map whose keys are [`Primitive::options`]
    Options,
    /// a closure with that many parameters
    Closure(usize),
    /// a list of text
    TextList,
    /// one of these words
    Word(&'static [&'static str]),
    /// rows, a list of maps, a map, or text: what an operator is shown
    Evidence,
}

/// A parameter in its place, or an option by its key.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub ty: Type,
    pub required: bool,
    /// One fragment: meaning, and unit where there is one.
    pub doc: &'static str,
}

impl Parameter {
    pub const fn required(name: &'static str, ty: Type, doc: &'static str) -> Self {
        Self { name, ty, required: true, doc }
    }
    pub const fn optional(name: &'static str, ty: Type, doc: &'static str) -> Self {
        Self { name, ty, required: false, doc }
    }
}

/// A host function that a runbook may call.
pub struct Primitive {
    pub name: &'static str,
    /// In order; optional ones last, [`Type::Options`] always the last.
    pub parameters: &'static [Parameter],
    /// Keys of the options map.
    pub options: &'static [Parameter],
    pub class: Class,
    /// What the call returns, in a fragment.
    pub returns: &'static str,
    /// First sentence is the summary; Markdown.
    pub doc: &'static str,
    /// Runbook text that a test runs in the lab, each in a runbook of its own.
    pub examples: &'static [&'static str],
    /// Called with arguments that fit the description.
    pub run: fn(&mut Call<'_, '_>) -> Result<Dynamic, Raised>,
}

/// How a primitive ends other than with a value.
#[derive(Debug)]
pub enum Raised {
    /// The effect failed: a value that a runbook may catch.
    Failure(Box<Failure>),
    /// The run stops: latched by the effects, no runbook can catch it.
    Stop(Stop),
    /// A closure that the primitive ran (a step, `done_when`) raised this.
    Script(Box<EvalAltResult>),
    /// The call itself is wrong; found before anything was done.
    Argument(ArgumentError),
}

/// A wrong argument, found before the effect starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentError {
    /// Which argument, from 0; and which key of the options, if it is one of them.
    pub argument: usize,
    pub key: Option<String>,
    /// bytes within the argument's own text, if the fault lies inside it (a `@name` in a T-SQL text)
    pub within: Option<std::ops::Range<usize>>,
    pub message: String,
    pub help: String,
}

/// Every primitive, in the order of the reference.
pub static PRIMITIVES: &[&Primitive] = &[
    &sql::SQL,
    &query::QUERY,
    &backups::BACKUPS,
    &copy_backups::COPY_BACKUPS,
    &log_chain::LOG_CHAIN,
    &restore_logs::RESTORE_LOGS,
    &ps::PS,
    &shell::SHELL,
    &utc_now::UTC_NOW,
    &confirm::CONFIRM,
    &ask::ASK,
    &manual::MANUAL,
    &step::STEP,
    &keep::KEEP,
    &note::NOTE,
    &warn::WARN,
    &fail::FAIL,
    &wait_until::WAIT_UNTIL,
];

/// A duration as runbooks write it: `500ms`, `90s`, `5m`, `2h`.
pub fn duration(text: &str) -> Option<std::time::Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let millis = match text[digits..].trim() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(std::time::Duration::from_millis(number.checked_mul(millis)?))
}

/// The primitive of that name.
pub fn find(name: &str) -> Option<&'static Primitive> {
    PRIMITIVES.iter().copied().find(|p| p.name == name)
}

impl From<Ended> for Raised {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Failure(failure) => Self::Failure(failure),
            Ended::Stop(stop) => Self::Stop(stop),
            Ended::Script(error) => Self::Script(error),
        }
    }
}

/// "did you mean `x`? ", or nothing when no candidate is near.
pub(crate) fn did_you_mean<'a>(written: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    let lower = written.to_lowercase();
    candidates
        .map(|c| (strsim::jaro_winkler(&lower, &c.to_lowercase()), c))
        .filter(|(near, _)| *near > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, c)| format!("did you mean `{c}`? "))
        .unwrap_or_default()
}

/// A class as the reference names it.
pub fn class_in_words(class: Class) -> &'static str {
    match class {
        Class::Reads => "reads",
        Class::Changes => "changes",
        Class::Asks => "asks",
        Class::Tells => "tells",
        Class::FromText => "from the text: reads or changes",
        Class::FromCmdlet => "from the cmdlet: reads or changes",
    }
}

/// A type as the reference names it.
pub fn type_in_words(ty: Type) -> String {
    match ty {
        Type::Text => "text".to_owned(),
        Type::Duration => "duration such as `90s`, `5m`, `2h`".to_owned(),
        Type::Integer => "integer".to_owned(),
        Type::Boolean => "true or false".to_owned(),
        Type::Map => "map".to_owned(),
        Type::Options => "map of options".to_owned(),
        Type::Closure(0) => "closure".to_owned(),
        Type::Closure(n) => format!("closure with {n} parameters"),
        Type::TextList => "list of text".to_owned(),
        Type::Word(words) => words.iter().map(|w| format!("`\"{w}\"`")).collect::<Vec<_>>().join(" or "),
        Type::Evidence => "rows, map, list or text".to_owned(),
    }
}
