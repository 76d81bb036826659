//! What `cutover check` found: for people, and as the formats that other programs read. Each renderer makes one text of all
//! findings; `cli` prints it.

pub mod github;
pub mod human;
pub mod json;
pub mod sarif;

use std::ops::Range;

use crate::check::{Finding, Severity};
use crate::script::SourceFile;

use super::human::plural;

/// How many of each severity there are: `2 errors, 1 warning`.
fn counts<'a>(findings: impl Iterator<Item = &'a Finding> + Clone) -> String {
    let of = |severity| findings.clone().filter(|finding| finding.severity == severity).count();
    let advice = of(Severity::Advice);
    let parts = [
        (of(Severity::Error), plural(of(Severity::Error), "error")),
        (of(Severity::Warning), plural(of(Severity::Warning), "warning")),
        (advice, format!("{advice} advice")),
    ];
    parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, words)| words).collect::<Vec<_>>().join(", ")
}

/// Line and column of both ends of a span, from 1, in characters; the end is the first character after it.
struct Place {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

impl Place {
    fn of(file: &SourceFile, span: &Range<usize>) -> Self {
        let (line, column) = file.line_and_column(span.start);
        let (end_line, end_column) = file.line_and_column(span.end);
        Self { line, column, end_line, end_column }
    }
}

/// What was found and what to do, in one line.
fn sentence(finding: &Finding) -> String {
    format!("{}. {}", finding.message, finding.help)
}

/// A file's name with `/`, as other programs want it.
fn slashed(name: &str) -> String {
    if cfg!(windows) { name.replace('\\', "/") } else { name.to_owned() }
}
