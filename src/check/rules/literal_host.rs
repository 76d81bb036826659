//! See `literal-host.md`.

use std::ops::Range;
use std::sync::Arc;

use crate::check::calls::{once, place};
use crate::check::value::{Piece, Text, Value};
use crate::check::{Call, Finding, Look, Rule, Run, Severity};
use crate::facts::cmdlets::is_fqdn;
use crate::script::{Kind, SourceFile};
use crate::tsql::lex::{Token, TokenKind};

pub static LITERAL_HOST: Rule =
    Rule { slug: "literal-host", severity: Severity::Warning, page: include_str!("literal-host.md"), look: Look::Calls(check) };

/// Last labels of names that are hosts, and of no file, table or version.
const DOMAINS: &[&str] = &[
    "ad",
    "biz",
    "com",
    "corp",
    "domain",
    "edu",
    "example",
    "gov",
    "home",
    "info",
    "int",
    "internal",
    "intra",
    "intranet",
    "invalid",
    "io",
    "lan",
    "local",
    "localdomain",
    "mil",
    "net",
    "org",
    "priv",
    "private",
    "test",
];
/// Of these, those under which a machine stands directly.
const INNER: &[&str] = &["ad", "corp", "home", "internal", "intra", "intranet", "lan", "local", "localdomain", "priv"];

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    for file in run.script.files.iter().filter(|file| file.kind != Kind::Embedded) {
        compared(file, findings);
    }
    for call in run.calls() {
        match call.name() {
            "sql" | "query" => {
                server(run, call, findings);
                for sql in call.sql.iter().filter(|_| !run.is_built_in(call)) {
                    statement(run, call, sql, findings);
                }
                argument(run, call, "params", findings);
            }
            "log_chain" | "restore_logs" => {
                server(run, call, findings);
                for name in ["folder", "options"] {
                    argument(run, call, name, findings);
                }
            }
            "backups" => argument(run, call, "folder", findings),
            "copy_backups" => argument(run, call, "options", findings),
            "ps" => argument(run, call, "parameters", findings),
            _ => {}
        }
    }
}

/// A host that something is compared with in the text of a file.
fn compared(file: &Arc<SourceFile>, findings: &mut Vec<Finding>) {
    for (at, sign) in ["== \"", "!= \""].iter().flat_map(|sign| file.text.match_indices(sign)) {
        let start = at + sign.len();
        // `Microsoft.Rtc.Internal` is a program
        let program =
            |range: &Range<usize>| file.text[start..][range.clone()].rsplit('.').next().is_some_and(|l| l.starts_with(char::is_uppercase));
        let Some(range) = file.text[start..].split('"').next().and_then(host).filter(|range| !program(range)) else { continue };
        // in a comment or another text it compares nothing
        let literal = file.lexemes().windows(2).any(|pair| {
            let compares = matches!(pair[0].token, rhai::Token::EqualsTo | rhai::Token::NotEqualsTo);
            compares && pair[1].span.start == start - 1 && matches!(pair[1].token, rhai::Token::StringConstant(_))
        });
        if literal {
            let span = start + range.start..start + range.end;
            let shown = file.text[span.clone()].to_owned();
            once(findings, finding(file, span, &shown));
        }
    }
}

fn argument(run: &Run<'_>, call: &Call, name: &str, findings: &mut Vec<Finding>) {
    if let (Some(index), Some(value)) = (call.index_of(name), call.argument(name)) {
        value_of(run, call, index, None, value, findings);
    }
}

/// A server is named by the site's name for it; without a site nobody else says that this is none.
fn server(run: &Run<'_>, call: &Call, findings: &mut Vec<Finding>) {
    if run.site.is_none() {
        argument(run, call, "server", findings);
    }
}

fn value_of(run: &Run<'_>, call: &Call, index: usize, key: Option<&str>, value: &Value, findings: &mut Vec<Finding>) {
    match value {
        Value::Text(text) => {
            let mut at = 0;
            // constants that stand side by side are one
            for pieces in text.pieces.chunk_by(|a, b| [a, b].iter().all(|piece| matches!(piece, Piece::Constant { .. }))) {
                let part = Text { pieces: pieces.into() }.rendered();
                if let Some(range) = host(&part).filter(|_| matches!(pieces[0], Piece::Constant { .. })) {
                    report(run, call, index, key, text, &(at + range.start..at + range.end), &part[range], findings);
                }
                at += part.len();
            }
        }
        Value::Array(values) | Value::OneOf(values) => values.iter().for_each(|value| value_of(run, call, index, key, value, findings)),
        Value::Map(entries) => entries.iter().for_each(|(name, value)| value_of(run, call, index, key.or(Some(name)), value, findings)),
        _ => {}
    }
}

/// Text literals and delimited names of a statement.
fn statement(run: &Run<'_>, call: &Call, sql: &crate::check::Sql, findings: &mut Vec<Finding>) {
    let Some(index) = call.index_of("text").filter(|_| sql.rendered.contains(['\'', '['])) else { return };
    // `[server]` of a linked server stands among them
    let literal = |token: &&Token| matches!(token.kind, TokenKind::Text | TokenKind::NationalText | TokenKind::Bracketed);
    for token in sql.tokens.iter().filter(literal) {
        let literal = token.text(&sql.rendered);
        // `[server].database.schema.name`; by itself it names a table or a column
        let behind = sql.rendered[token.end..].split(|c: char| c.is_whitespace() || c == ',').next().unwrap_or_default();
        let server = behind.matches('.').count() >= 3 && !sql.rendered[..token.start].ends_with('.');
        if token.kind == TokenKind::Bracketed && !server {
            continue;
        }
        // what a text is compared with may be a pattern
        if let Some(range) = host(literal).filter(|_| !literal.contains('%')) {
            let whole = token.start + range.start..token.start + range.end;
            report(run, call, index, None, &sql.text, &whole, &literal[range], findings);
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one place in one argument of one call")]
fn report(
    run: &Run<'_>,
    call: &Call,
    index: usize,
    key: Option<&str>,
    text: &Text,
    range: &Range<usize>,
    shown: &str,
    findings: &mut Vec<Finding>,
) {
    let (file, span) = place(run, call, index, key, text, range);
    once(findings, finding(&run.script.files[file], span, shown));
}

fn finding(file: &Arc<SourceFile>, span: Range<usize>, shown: &str) -> Finding {
    let what = if shown.starts_with(['\\', '/']) { "share" } else { "host" };
    let message = format!("the {what} `{shown}` is written into the runbook");
    let help = "put it into the site file and write `site.…` here: the next failover is from another place";
    LITERAL_HOST.finding(file, span, message, "belongs in the site", help)
}

/// The first share or fully qualified host name of a text.
fn host(text: &str) -> Option<Range<usize>> {
    share(text).or_else(|| fqdn(text))
}

/// `\\server\share` or `//server/share` at the beginning, without what follows; in T-SQL after the quote.
fn share(text: &str) -> Option<Range<usize>> {
    let start = text.len() - text.trim_start_matches(['N', 'n', '\'']).len();
    let slash = |c: char| c == '\\' || c == '/';
    let rest = text[start..].strip_prefix(r"\\").or_else(|| text[start..].strip_prefix("//"))?;
    let name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || "-_.$ ".contains(c));
    let (server, rest) = rest.split_once(slash)?;
    let share = rest.split(|c: char| slash(c) || c == '\'').next()?;
    (name(server) && name(share)).then(|| start..start + 2 + server.len() + 1 + share.len())
}

fn fqdn(text: &str) -> Option<Range<usize>> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let mut at = 0;
    while let Some(begin) = text[at..].find(part).map(|n| at + n) {
        let end = text[begin..].find(|c: char| !part(c)).map_or(text.len(), |n| begin + n);
        let word = text[begin..end].trim_end_matches('.');
        let labels: Vec<&str> = word.split('.').collect();
        let last = labels.last().copied().unwrap_or_default().to_ascii_lowercase();
        let inner = INNER.contains(&last.as_str());
        // `user@domain.com` names nobody's machine; `x.y.com\z` and `x.y.com_old` are no names of their own
        let mailbox = text[..begin].ends_with('@');
        let glued = text[..begin].ends_with('_') || text[end..].starts_with('_');
        if is_fqdn(word) && DOMAINS.contains(&last.as_str()) && (labels.len() > 2 || inner) && !mailbox && !glued {
            return Some(begin..begin + word.len());
        }
        at = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_shares_are_told_from_files_tables_and_versions() {
        let found = |text: &str| host(text).map(|range| text[range].to_owned());
        for (text, shown) in [
            (r"\\dr-files-01\LogShip$", r"\\dr-files-01\LogShip$"),
            (r"\\dr-files-01\LogShip$\mgc", r"\\dr-files-01\LogShip$"),
            (r"N'\\dr-sql-01.litwareinc.com\LogShip\a.trn'", r"\\dr-sql-01.litwareinc.com\LogShip"),
            ("dr-sql-01.litwareinc.com", "dr-sql-01.litwareinc.com"),
            ("service:atl-cs-001.litwareinc.com", "atl-cs-001.litwareinc.com"),
            ("'TCP://dr-sql-02.litwareinc.com:5022'", "dr-sql-02.litwareinc.com"),
            ("sql01.corp", "sql01.corp"),
        ] {
            assert_eq!(found(text).as_deref(), Some(shown), "{text}");
        }
        for text in [
            "mgc",
            "a.trn",
            "mgc_20140205.trn",
            "msdb.dbo.sysjobs",
            "sys.databases",
            "11.0.2100.60",
            "backup",
            r"D:\LogShip",
            r"\\",
            "//",
            "/srv/logs/x",
            "chat-oncall@litwareinc.com",
            "*.trn",
            "litwareinc.com",
            "LSCopy_PCHAT-SQL-01_mgc",
            "RESTORE%",
            "http",
            "readme.com.txt",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
