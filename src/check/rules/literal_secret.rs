//! See `literal-secret.md`.

use std::ops::Range;

use rhai::{Expr, Stmt};

use crate::check::{File, Finding, Look, Rule, Severity};
use crate::script::walk::Node;

pub static LITERAL_SECRET: Rule =
    Rule { slug: "literal-secret", severity: Severity::Warning, page: include_str!("literal-secret.md"), look: Look::File(check) };

/// How names of secrets end.
const NAMES: &[&str] = &["password", "passwd", "pwd", "passphrase", "secret", "token", "apikey", "accesskey", "privatekey"];

/// What stands before a secret in a connection string, and in T-SQL (`WITH PASSWORD = '…'`, `@rmtpassword = '…'`).
const BEFORE: &[&str] = &["password", "pwd", "accountkey", "sharedaccesskey"];

fn check(file: &File<'_>, findings: &mut Vec<Finding>) {
    let mut found: Vec<(Range<usize>, String)> = Vec::new();
    let mut visit = |node: Node<'_>| match node {
        Node::Stmt(Stmt::Var(parts, _, _)) => named(file, &parts.0.name, &parts.1, &mut found),
        Node::Stmt(Stmt::Assignment(parts)) => {
            if let Some(name) = last_name(&parts.1.lhs) {
                named(file, name, &parts.1.rhs, &mut found);
            }
        }
        Node::Expr(Expr::Map(parts, _)) => {
            for (key, value) in &parts.0 {
                named(file, &key.name, value, &mut found);
            }
        }
        Node::Expr(Expr::StringConstant(text, at)) => {
            if let Some((range, name)) = within(text) {
                let within = file.script.span_in_literal(file.index, *at, 0, text, &range);
                let span = within.map_or_else(|| file.file.span_at(*at), |(_, span)| span);
                found.push((span, format!("the value of `{name}` stands in the text")));
            } else if text.contains("-----BEGIN") && text.contains("PRIVATE KEY-----") {
                found.push((file.file.span_at(*at), "a private key stands in the text".to_owned()));
            }
        }
        _ => {}
    };
    file.file.nodes(&mut visit);
    for (span, message) in found {
        let help = "take it out and change it: keep secrets out of runbooks, in the site file's `auth` as a reference";
        findings.push(LITERAL_SECRET.finding(file.file, span, message, "readable by everyone", help));
    }
}

/// The last name of `a.b.password`.
fn last_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Variable(parts, _, _) => Some(&parts.1),
        Expr::Property(parts, _) => Some(&parts.2),
        Expr::StringConstant(text, _) => Some(text),
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => last_name(&pair.rhs),
        _ => None,
    }
}

fn named(file: &File<'_>, name: &str, value: &Expr, found: &mut Vec<(Range<usize>, String)>) {
    let Expr::StringConstant(text, at) = value else { return };
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    // a sentence, a path or a thing to be filled in is no secret, and what holds one is told by itself
    let sentence = text.split_whitespace().count() > 2;
    if NAMES.iter().any(|end| plain.ends_with(end)) && is_secret(text) && !sentence && within(text).is_none() {
        found.push((file.file.span_at(*at), format!("`{name}` is a secret, and its value stands here")));
    }
}

/// True for what could be a secret and is not a thing to be filled in.
fn is_secret(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && !text.starts_with(['@', '{', '$', '<', '%', '*']) && !text.contains("${")
}

/// The secret in `…;Password=abc;…`, `PASSWORD = N'abc'`, and the name before it.
fn within(text: &str) -> Option<(Range<usize>, &'static str)> {
    if !text.contains('=') {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    for name in BEFORE {
        for (at, _) in lower.match_indices(name) {
            let after = at + name.len();
            let rest = &text[after..];
            let Some(value) = rest.trim_start().strip_prefix('=') else { continue };
            let mut start = text.len() - value.trim_start().len();
            let value = &text[start..];
            let opening = ["N'", "n'", "'", "\""].into_iter().find(|quote| value.starts_with(quote));
            start += opening.map_or(0, str::len);
            let value = &text[start..];
            let end = match opening {
                Some(quote) => value.find(&quote[quote.len() - 1..]),
                None => value.find(|c: char| c == ';' || c == ',' || c == '\'' || c == '"' || c.is_whitespace()),
            };
            let value = &value[..end.unwrap_or(value.len())];
            if is_secret(value) && (opening.is_some() || !value.starts_with('(')) {
                return Some((start..start + value.len(), name));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_from_names_of_them() {
        let found = |text: &str| within(text).map(|(range, _)| text[range].to_owned());
        assert_eq!(found("Server=a;User Id=sa;Password=S3cret!;"), Some("S3cret!".to_owned()));
        assert_eq!(found("ALTER LOGIN x WITH PASSWORD = N'S3c''ret'").as_deref(), Some("S3c"));
        assert_eq!(found("uid=sa;PWD = abc").as_deref(), Some("abc"));
        for text in
            ["Password=;", "WITH PASSWORD = @p", "PASSWORD = '{p}'", "the password is asked", "Password=${p}", "@password", "PASSWORD = ''"]
        {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
