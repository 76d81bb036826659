//! `check --format json`: one object, also when nothing was found. `docs/check.schema.json` describes it.

use serde_json::{Value, json};

use super::slashed;
use crate::check::Finding;
use crate::script::SourceFile;

/// One line.
pub fn render(findings: &[Finding], files: usize) -> String {
    let findings: Vec<Value> = findings.iter().map(finding).collect();
    json!({ "v": 1, "findings": findings, "files": files }).to_string()
}

fn finding(finding: &Finding) -> Value {
    let file = &finding.file;
    let (line, column) = file.line_and_column(finding.span.start);
    let fixes: Vec<Value> = finding
        .fixes
        .iter()
        .map(|edit| json!({ "start": on_disk(file, edit.span.start), "end": on_disk(file, edit.span.end), "text": edit.text }))
        .collect();
    json!({
        "rule": finding.rule,
        "severity": finding.severity.word(),
        "file": slashed(&file.name),
        "span": { "start": on_disk(file, finding.span.start), "end": on_disk(file, finding.span.end), "line": line, "column": column },
        "message": finding.message,
        "help": finding.help,
        "fixes": fixes,
    })
}

/// A byte of the text as a byte of the file, which may begin with a byte order mark.
fn on_disk(file: &SourceFile, byte: usize) -> usize {
    if file.bom { byte + '\u{feff}'.len_utf8() } else { byte }
}
