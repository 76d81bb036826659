//! What can go wrong with the management shell, split by what the operator does next.

use std::io;

use miette::Diagnostic;
use thiserror::Error;

use crate::facts::records;
use crate::wire::bridge::{ErrorRecord, Unsendable};

/// A shell that could not be used, or a cmdlet that failed in it.
#[derive(Debug, Error, Diagnostic)]
pub enum ShellFailure {
    /// The program that the site file names for the management shell is not there, or this account may not run it. No cmdlet was
    /// called.
    #[error("cannot start the management shell `{program}`")]
    #[diagnostic(
        code(cutover::powershell::cannot_start),
        help("correct `program` and `arguments` under [powershell] in the site file, or run on the machine that has the management shell")
    )]
    CannotStart {
        program: String,
        #[source]
        source: io::Error,
    },
    /// The script that the shell runs is written into the run folder first, and could not be. No cmdlet was called.
    #[error("cannot write the bridge script `{path}`")]
    #[diagnostic(code(cutover::powershell::no_bridge), help("make room in that folder, or let this account write there"))]
    NoBridge {
        path: String,
        #[source]
        source: io::Error,
    },
    /// The shell started, and the module that has the cmdlets did not load: most often the management tools are not installed on
    /// this machine, or the module is that of the other version. No cmdlet was called.
    #[error("the management shell could not load module `{module}`: {}", records_in_words(.records))]
    #[diagnostic(
        code(cutover::powershell::module),
        help(
            "install the management tools on this machine, or correct `module` under [powershell] in the site file (`Lync` for 2013, `SkypeForBusiness` later)"
        )
    )]
    Module { module: String, records: Vec<ErrorRecord> },
    /// The cmdlet reported errors, terminating or not: one that went on may have done part of its work. `cutover explain` knows the
    /// cmdlet by its name and common error ids, such as `CommandNotFoundException`.
    #[error("`{cmdlet}` failed: {}", records_in_words(.records))]
    #[diagnostic(code(cutover::powershell::cmdlet), help("{}", advice(.records)))]
    Cmdlet { cmdlet: String, records: Vec<ErrorRecord> },
    /// The time limit passed, and the shell was ended with whatever it was doing. A read did no harm. A change may have happened or
    /// still be under way on the servers: a cmdlet that is ended here does not end its work there.
    #[error("`{doing}` was not done after {limit}; the management shell was ended{}", doubt(*.in_doubt))]
    #[diagnostic(
        code(cutover::powershell::time_limit),
        help(
            "read the state back with the matching Get- cmdlet before anything else; if it only needs longer, give the call a longer `timeout`"
        )
    )]
    TimeLimit { doing: String, limit: String, in_doubt: bool },
    /// The shell ended by itself while it was used. If that was during a change, the change may have happened.
    #[error("the management shell ended during `{doing}` ({status}){}{}", tail(.stderr), doubt(*.in_doubt))]
    #[diagnostic(code(cutover::powershell::died), help("{}", death_advice(.stderr)))]
    Died { doing: String, status: String, stderr: String, in_doubt: bool },
    /// A line came from the shell that is not one of the bridge's messages: a profile or a program writes to the same output. The
    /// shell was ended; if that was during a change, the change may have happened.
    #[error("the management shell answered `{doing}` with something that is no message: {why}: `{line}`{}", doubt(*.in_doubt))]
    #[diagnostic(
        code(cutover::powershell::protocol),
        help("look for a profile or a program that writes to this shell's output; the shell was ended and the next call starts a new one")
    )]
    Protocol { doing: String, why: String, line: String, in_doubt: bool },
    /// The name is a path, or not of the form `Verb-Noun`. Nothing was called: only cmdlets that the site file allows by name are.
    #[error("`{name}` is not the name of a cmdlet")]
    #[diagnostic(code(cutover::powershell::name), help("give the name alone, as in `Get-CsPool`, and its parameters in the map"))]
    Name { name: String },
    /// A value would lose something on its way to the shell, such as a number that is too large. Nothing was called.
    #[error("a parameter of `{cmdlet}` cannot be sent: {why}")]
    #[diagnostic(code(cutover::powershell::unsendable), help("give the value as text"))]
    Unsendable {
        cmdlet: String,
        #[source]
        why: Unsendable,
    },
}

impl ShellFailure {
    /// True when the change may have happened although the call failed.
    pub fn in_doubt(&self) -> bool {
        match self {
            Self::TimeLimit { in_doubt, .. } | Self::Died { in_doubt, .. } | Self::Protocol { in_doubt, .. } => *in_doubt,
            _ => false,
        }
    }

    /// What failed, without what the error records say: for a report that lists them below.
    pub fn title(&self) -> Option<String> {
        match self {
            _ if self.records().is_empty() => None,
            Self::Cmdlet { cmdlet, .. } => Some(format!("`{cmdlet}` failed")),
            Self::Module { module, .. } => Some(format!("the management shell could not load module `{module}`")),
            _ => None,
        }
    }

    /// True if no cmdlet was called.
    pub fn unsent(&self) -> bool {
        matches!(self, Self::CannotStart { .. } | Self::NoBridge { .. } | Self::Module { .. } | Self::Name { .. } | Self::Unsendable { .. })
    }

    /// The error records of the shell, in the order they came.
    pub fn records(&self) -> &[ErrorRecord] {
        match self {
            Self::Cmdlet { records, .. } | Self::Module { records, .. } => records,
            _ => &[],
        }
    }
}

fn doubt(in_doubt: bool) -> &'static str {
    if in_doubt { "; the change may have happened" } else { "" }
}

fn tail(stderr: &str) -> String {
    match stderr.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

/// One record on one line, in the order that the shell prints it: message, then category, target and id.
pub fn shown(record: &ErrorRecord) -> String {
    let ErrorRecord { category, error_id, message, target, terminating, .. } = record;
    let mut about: Vec<String> = Vec::new();
    about.extend(Some(category.clone()).filter(|c| !c.is_empty()));
    about.extend(Some(format!("({target})")).filter(|_| !target.is_empty()));
    about.extend(Some(error_id.clone()).filter(|id| !id.is_empty()));
    let went_on = if *terminating { "" } else { "; the cmdlet went on" };
    format!("{message} [{}{went_on}]", about.join(" "))
}

/// Every record, because the one that explains is not always the first.
fn records_in_words(records: &[ErrorRecord]) -> String {
    if records.is_empty() {
        return "it gave no reason".to_owned();
    }
    let words = |r: &ErrorRecord| match r.error_id.as_str() {
        "" => r.message.clone(),
        id => format!("{} [{id}]", r.message),
    };
    records.iter().map(words).collect::<Vec<_>>().join(" · ")
}

/// What to do after an error record.
fn advice(records: &[ErrorRecord]) -> &'static str {
    let id = records.first().map_or("", |r| r.error_id.as_str());
    match records::find(id) {
        Some(fact) => fact.act,
        None if id.split(',').next() == Some("InvalidOperation") && records.iter().any(|r| r.message.contains("NonInteractive")) => {
            "the cmdlet asked a question: give `Confirm: false` in its parameters after your own `confirm`"
        }
        None => {
            "read the state back with the matching Get- cmdlet, remove the cause, and go on from here: by hand, or with a runbook of the steps that are left"
        }
    }
}

fn death_advice(stderr: &str) -> &'static str {
    if stderr.contains("running scripts is disabled") || stderr.contains("PSSecurityException") {
        "the execution policy forbids the bridge script: allow it for this account, or give `arguments` under [powershell] in the site file"
    } else {
        "read the state back with the matching Get- cmdlet before anything else, and go on from here: by hand, or with a runbook of the steps that are left"
    }
}
