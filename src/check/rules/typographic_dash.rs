//! See `typographic-dash.md`.

use std::ops::Range;

use crate::check::calls::{in_literal, once, place};
use crate::check::value::{Text, Value};
use crate::check::{Call, Edit, Finding, Look, Rule, Run, Severity};
use crate::tsql::lex::{TokenKind, lex};

pub static TYPOGRAPHIC_DASH: Rule =
    Rule { slug: "typographic-dash", severity: Severity::Warning, page: include_str!("typographic-dash.md"), look: Look::Calls(check) };

/// The character that was meant by one that word processors put in its place.
fn meant(ch: char) -> Option<&'static str> {
    Some(match ch {
        '–' | '—' | '‐' | '‑' | '‒' | '―' | '−' => "-",
        '“' | '”' | '„' | '‟' => "\"",
        '‘' | '’' | '‚' | '‛' => "'",
        '\u{a0}' => " ",
        _ => return None,
    })
}

/// A name in plain characters, if it has others.
pub(in crate::check) fn plain(name: &str) -> Option<String> {
    if name.is_ascii() {
        return None;
    }
    let mut found = false;
    let plain = name
        .chars()
        .map(|ch| match meant(ch) {
            Some(plain) => {
                found = true;
                plain.to_owned()
            }
            None => ch.to_string(),
        })
        .collect();
    found.then_some(plain)
}

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    for call in run.calls() {
        if call.name() == "ps" {
            cmdlet(run, call, findings);
            parameters(run, call, findings);
        }
        for sql in call.sql.iter().filter(|sql| !sql.rendered.is_ascii()) {
            let mut at = Vec::new();
            for token in lex(&sql.rendered) {
                let data = matches!(
                    token.kind,
                    TokenKind::Text
                        | TokenKind::NationalText
                        | TokenKind::UnterminatedText
                        | TokenKind::Bracketed
                        | TokenKind::Quoted
                        | TokenKind::UnterminatedName
                        | TokenKind::LineComment
                        | TokenKind::BlockComment
                        | TokenKind::UnterminatedComment
                );
                if !data {
                    at.extend(marks(&sql.rendered[token.range()]).map(|mark| token.start + mark.start..token.start + mark.end));
                }
            }
            text(run, call, "text", "T-SQL", &sql.text, &at, findings);
        }
    }
}

fn cmdlet(run: &Run<'_>, call: &Call, findings: &mut Vec<Finding>) {
    let names = call.argument("cmdlet").map_or(&[][..], Value::alternatives);
    for name in names {
        let Value::Text(name) = name else { continue };
        let at: Vec<Range<usize>> = marks(&name.rendered()).collect();
        text(run, call, "cmdlet", "the cmdlet's name", name, &at, findings);
    }
}

/// One finding for a text, at the first such character; the fix replaces all of them.
fn text(run: &Run<'_>, call: &Call, argument: &str, what: &str, text: &Text, at: &[Range<usize>], findings: &mut Vec<Finding>) {
    let (Some(index), Some(first)) = (call.index_of(argument), at.first()) else { return };
    let rendered = text.rendered();
    let mark = &rendered[first.clone()];
    let (file, span) = place(run, call, index, None, text, first);
    let mut finding = of(run, file, span, mark, what);
    for range in at {
        let (in_file, span) = place(run, call, index, None, text, range);
        let written = &rendered[range.clone()];
        if in_file != file || run.script.files[file].text[span.clone()] != *written {
            finding.fixes.clear();
            break;
        }
        let plain = written.chars().filter_map(meant).collect::<String>();
        finding.fixes.push(Edit { text: in_literal(run, file, &span, &plain), span });
    }
    once(findings, finding);
}

fn parameters(run: &Run<'_>, call: &Call, findings: &mut Vec<Finding>) {
    let (Some(at), Some(Value::Map(entries))) = (call.index_of("parameters"), call.argument("parameters")) else { return };
    for (key, _) in entries.iter() {
        let Some(mark) = marks(key).next() else { continue };
        let span = run.key_span(call, at, key);
        let written = &run.script.files[call.file].text[span.clone()];
        let mut finding = of(run, call.file, span.clone(), &key[mark], "a parameter's name");
        if let Some(text) = plain(key).filter(|_| written == format!("\"{key}\"")) {
            finding.fixes.push(Edit { span, text: format!("\"{}\"", text.replace('"', "\\\"")) });
        }
        once(findings, finding);
    }
}

fn of(run: &Run<'_>, file: usize, span: Range<usize>, mark: &str, what: &str) -> Finding {
    let plain = mark.chars().next().and_then(meant).unwrap_or("-");
    let (shown, wanted) = match mark {
        "\u{a0}" => ("a no-break space".to_owned(), "a plain blank".to_owned()),
        mark => (format!("`{mark}`"), format!("a plain `{plain}`")),
    };
    let message = format!("{shown} stands in {what} in place of {wanted}");
    TYPOGRAPHIC_DASH.finding(&run.script.files[file], span, message, "not a plain character", format!("write {wanted}"))
}

/// Where such characters stand.
fn marks(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    text.char_indices().filter(|(_, ch)| meant(*ch).is_some()).map(|(at, ch)| at..at + ch.len_utf8())
}
