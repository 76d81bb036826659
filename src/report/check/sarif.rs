//! `check --format sarif`: SARIF 2.1.0, which code hosts and editors show on the text.
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use std::ops::Range;
use std::path::Path;

use serde_json::{Value, json};

use super::{Place, sentence, slashed};
use crate::check::{Finding, RULES, Rule, Severity, page};
use crate::script::SourceFile;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// One log with one run.
pub fn render(findings: &[Finding]) -> String {
    let rules: Vec<Value> = RULES.iter().copied().map(rule).collect();
    let results: Vec<Value> = findings.iter().map(result).collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    log.to_string()
}

fn rule(rule: &Rule) -> Value {
    json!({
        "id": rule.slug,
        "shortDescription": { "text": page::summary(rule) },
        "help": { "text": format!("cutover explain {}", rule.slug), "markdown": rule.page },
        "defaultConfiguration": { "level": level(rule.severity) },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "note",
    }
}

fn result(finding: &Finding) -> Value {
    let mut result = json!({
        "ruleId": finding.rule,
        "level": level(finding.severity),
        "message": { "text": sentence(finding) },
        "locations": [{ "physicalLocation": location(&finding.file, &finding.span) }],
    });
    if let Some(index) = RULES.iter().position(|rule| rule.slug == finding.rule) {
        result["ruleIndex"] = index.into();
    }
    if !finding.related.is_empty() {
        let related = finding.related.iter().enumerate().map(|(id, related)| {
            json!({ "id": id, "physicalLocation": location(&related.file, &related.span), "message": { "text": related.label } })
        });
        result["relatedLocations"] = related.collect();
    }
    if !finding.fixes.is_empty() {
        let replacements = finding.fixes.iter().map(|edit| {
            let mut replacement = json!({ "deletedRegion": region(&finding.file, &edit.span) });
            if !edit.text.is_empty() {
                replacement["insertedContent"] = json!({ "text": edit.text });
            }
            replacement
        });
        result["fixes"] = json!([{
            "description": { "text": finding.help },
            "artifactChanges": [{
                "artifactLocation": { "uri": uri(&finding.file.name) },
                "replacements": replacements.collect::<Vec<_>>(),
            }],
        }]);
    }
    result
}

fn location(file: &SourceFile, span: &Range<usize>) -> Value {
    json!({ "artifactLocation": { "uri": uri(&file.name) }, "region": region(file, span) })
}

fn region(file: &SourceFile, span: &Range<usize>) -> Value {
    let Place { line, column, end_line, end_column } = Place::of(file, span);
    json!({ "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column })
}

/// A path as a URI reference: relative to wherever the program ran, or `file:///…`.
fn uri(name: &str) -> String {
    let slashed = slashed(name);
    let path = slashed.strip_prefix("./").unwrap_or(&slashed);
    let mut uri = match (Path::new(name).is_absolute(), path.starts_with("//")) {
        // a share: \\server\share
        (true, true) => "file:".to_owned(),
        (true, false) => format!("file://{}", if path.starts_with('/') { "" } else { "/" }),
        (false, _) => String::new(),
    };
    let absolute = !uri.is_empty();
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => uri.push(char::from(byte)),
            // in a relative reference it would end a scheme
            b':' if absolute => uri.push(':'),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_uri() {
        assert_eq!(uri("./runbooks/Fällig 1%.rhai"), "runbooks/F%C3%A4llig%201%25.rhai");
        assert_eq!(uri("a:b.rhai"), "a%3Ab.rhai");
        #[cfg(unix)]
        assert_eq!(uri("/srv/a b.rhai"), "file:///srv/a%20b.rhai");
        #[cfg(windows)]
        assert_eq!(uri(r"C:\run books\a.rhai"), "file:///C:/run%20books/a.rhai");
    }
}
