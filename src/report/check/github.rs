//! `check --format github`: workflow commands that GitHub shows on the lines of a change.
//! <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>

use super::{Place, sentence, slashed};
use crate::check::{Finding, Severity};

/// One line a finding; nothing when there is none.
pub fn render(findings: &[Finding]) -> String {
    findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn line(finding: &Finding) -> String {
    let command = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "notice",
    };
    let Place { line, column, end_line, end_column } = Place::of(&finding.file, &finding.span);
    format!(
        "::{command} file={},line={line},col={column},endLine={end_line},endColumn={end_column},title={}::{}",
        property(&slashed(&finding.file.name)),
        property(finding.rule),
        message(&sentence(finding)),
    )
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
