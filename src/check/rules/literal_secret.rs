//! See `literal-secret.md`.

use std::ops::Range;

use rhai::{Expr, Stmt};

use crate::check::{File, Finding, Look, Rule, Severity};
use crate::script::walk::Node;
use crate::tsql::lex::{Token, significant};

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
            } else if let Some(range) = known(text) {
                let within = file.script.span_in_literal(file.index, *at, 0, text, &range);
                let span = within.map_or_else(|| file.file.span_at(*at), |(_, span)| span);
                found.push((span, "a secret stands in the text".to_owned()));
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
    // a token is anything that is handed on: `now` is none that is secret
    let word = plain.ends_with("token") && text.chars().all(char::is_alphabetic);
    // `pass: "yes"` is none either
    let pass = plain == "pass" && text.chars().any(|c| !c.is_alphabetic() && c != ' ');
    let names = pass || NAMES.iter().any(|end| plain.ends_with(end));
    if names && is_secret(text) && !sentence && !word && within(text).is_none() {
        found.push((file.file.span_at(*at), format!("`{name}` is a secret, and its value stands here")));
    }
}

/// True for what could be a secret and is not a thing to be filled in.
fn is_secret(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && !text.starts_with(['@', '{', '$', '<', '%', '*']) && !text.contains("${")
}

/// A secret that is known by its looks: a token of GitHub, a bearer's JWT, the password of OPENROWSET.
fn known(text: &str) -> Option<Range<usize>> {
    let word = |start: usize| {
        start..start + text[start..].find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(text.len() - start)
    };
    let github = text.find("ghp_").map(word).filter(|range| range.len() == "ghp_".len() + 36);
    let jwt = || text.find("Bearer eyJ").map(|at| word(at + "Bearer ".len())).filter(|range| range.len() > 20);
    let provider = || {
        // OPENROWSET('provider', 'server'; 'user'; 'password', ..)
        let upper = text.to_ascii_uppercase();
        let call = upper.find("OPENROWSET")?;
        let tokens: Vec<_> = significant(text).into_iter().filter(|token| token.start >= call).collect();
        let semicolon = |token: &Token| token.is_operator(text, ";");
        let found = tokens.windows(4).find(|four| semicolon(&four[0]) && semicolon(&four[2]) && four[3].string(text).is_some())?;
        let secret = &text[found[3].range()];
        let inner = found[3].start + secret.find('\'')? + 1..found[3].end - 1;
        is_secret(text.get(inner.clone())?).then_some(inner)
    };
    github.or_else(jwt).or_else(provider)
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
            let rest = end.map_or("", |end| &value[end..]);
            let value = &value[..end.unwrap_or(value.len())];
            // in a sentence it is no setting
            if opening.is_none() && rest.starts_with(char::is_whitespace) && rest.contains(char::is_alphabetic) {
                continue;
            }
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
        assert_eq!(found("Take the account from the vault: password = see safe 3"), None);
        let looks = |text: &str| known(text).map(|range| text[range].to_owned());
        assert_eq!(looks("x ghp_0123456789abcdefghijABCDEFGHIJ456789").as_deref(), Some("ghp_0123456789abcdefghijABCDEFGHIJ456789"));
        assert_eq!(looks("SELECT * FROM OPENROWSET('SQLNCLI', 'srv'; 'sa'; 'Hunter2!', 'SELECT 1')").as_deref(), Some("Hunter2!"));
        assert_eq!(looks("SELECT * FROM OPENROWSET(BULK 'x', SINGLE_CLOB) f; SELECT 'a'"), None);
        for text in
            ["Password=;", "WITH PASSWORD = @p", "PASSWORD = '{p}'", "the password is asked", "Password=${p}", "@password", "PASSWORD = ''"]
        {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
