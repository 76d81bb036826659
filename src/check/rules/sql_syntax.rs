//! See `sql-syntax.md`.

use std::ops::Range;

use super::typographic_dash::plain;
use crate::check::calls::{once, place};
use crate::check::{Finding, Look, Rule, Run, Severity, Sql};
use crate::facts::nearest;
use crate::tsql::lex::{Token, TokenKind, significant};
use crate::tsql::select::is_query;
use crate::tsql::statement::{SyntaxError, keywords_before, meant_keyword};
use crate::tsql::syntax::{DatabaseChangeKind, Options, Statement, StatementKind};

pub static SQL_SYNTAX: Rule =
    Rule { slug: "sql-syntax", severity: Severity::Error, page: include_str!("sql-syntax.md"), look: Look::Calls(check) };

/// Statements that are read to their end here: what is refused in one of them, SQL Server refuses too.
const READ_WHOLE: &[&str] = &["ALTER", "BACKUP", "EXEC", "EXECUTE", "KILL", "RESTORE"];

/// Options of RESTORE and BACKUP that recovery of a database does not need and the reader does not list ("RESTORE Statements -
/// Arguments", "BACKUP").
const OTHER_OPTIONS: &[&str] =
    &["FILESTREAM", "KEEP_TEMPORAL_RETENTION", "METADATA_ONLY", "NO_LOG", "SNAPSHOT", "SNAPSHOTRESTOREPHASE", "TRUNCATE_ONLY"];

/// What somebody probably meant who misspelt an option of RESTORE or BACKUP.
const OPTIONS: &[&str] =
    &["NORECOVERY", "RECOVERY", "STANDBY", "REPLACE", "CHECKSUM", "MOVE", "STATS", "FILE", "INIT", "FORMAT", "COPY_ONLY"];

fn check(run: &Run<'_>, findings: &mut Vec<Finding>) {
    for call in run.calls() {
        let Some(index) = call.index_of("text").filter(|_| !run.is_built_in(call)) else { continue };
        for sql in &call.sql {
            let Some((range, message, help)) = refused(sql) else { continue };
            let (file, span) = place(run, call, index, None, &sql.text, &range);
            once(findings, SQL_SYNTAX.finding(&run.script.files[file], span, message, "SQL Server refuses this", help));
        }
    }
}

type Wrong = (Range<usize>, String, String);

/// What SQL Server surely refuses in a text: where, what, and what to do.
pub(super) fn refused(sql: &Sql) -> Option<Wrong> {
    // what values are written into, and characters that mean nothing there, are other rules'
    if !sql.text.is_constant() || plain(&sql.rendered).is_some() {
        return None;
    }
    clients(sql).or_else(|| match &sql.batch {
        Ok(batch) => batch.statements.iter().enumerate().find_map(|(nth, statement)| misread(sql, nth, statement)),
        Err(error) => surely(sql, error),
    })
}

/// What is wrong with a statement that reads well.
fn misread(sql: &Sql, nth: usize, statement: &Statement) -> Option<Wrong> {
    let text = sql.rendered.as_str();
    match &statement.kind {
        StatementKind::Restore(restore) => {
            let given = ["RECOVERY", "NORECOVERY", "STANDBY"].into_iter().filter_map(|name| restore.option(name));
            let mut given: Vec<_> = given.collect();
            given.sort_by_key(|option| option.range.start);
            let [first, second, ..] = given.as_slice() else { return None };
            let message = format!("`{}` and `{}` exclude each other", first.name, second.name);
            Some((second.range.clone(), message, "write the one that is meant".to_owned()))
        }
        StatementKind::AlterDatabase(alter) => alter.changes.iter().find_map(|change| {
            let DatabaseChangeKind::Other(words) = &change.kind else { return None };
            let word = words.split(' ').next()?;
            let near = STATES.iter().find(|known| strsim::osa_distance(word, known) == 1)?;
            let message = format!("`{word}` is no option of a database");
            Some((change.range.start..change.range.start + word.len(), message, format!("write `{near}`")))
        }),
        // a procedure may be called by its name alone, first in a text
        StatementKind::Exec(exec) if nth == 0 && !exec.arguments.is_empty() => {
            let tokens = significant(&text[statement.range.clone()]);
            let word = tokens.first()?.text(&text[statement.range.clone()]).to_owned();
            let meant = meant_keyword(&word).filter(|_| exec.target.name().is_some_and(|name| name.eq_ignore_ascii_case(&word)))?;
            let range = statement.range.start..statement.range.start + word.len();
            Some((range, format!("no statement begins with `{word}`"), format!("write `{meant}`")))
        }
        StatementKind::Other { keyword } if keyword == "WITH" => {
            let tokens = significant(&text[statement.range.clone()]);
            let named = tokens.get(2).is_some_and(|third| {
                let part = &text[statement.range.clone()];
                third.is_word(part, "AS") || third.is_operator(part, "(") || third.is_operator(part, ",")
            });
            let after = significant(&text[..statement.range.start]).last().is_some_and(|last| !last.is_operator(text, ";"));
            let range = statement.range.start..statement.range.start + "WITH".len();
            (after && !named)
                .then(|| (range, "incorrect syntax near `WITH`".to_owned(), "write one `WITH`, and a comma between its options".to_owned()))
        }
        // one that reads is known to do so already
        StatementKind::Other { keyword } if keyword == "SELECT" && sql.classified().change.is_some() => query(text, &statement.range),
        _ => None,
    }
}

/// What an option of ALTER DATABASE SET is called that recovery needs.
const STATES: &[&str] =
    &["MULTI_USER", "SINGLE_USER", "RESTRICTED_USER", "READ_ONLY", "READ_WRITE", "ONLINE", "OFFLINE", "EMERGENCY", "RECOVERY", "PARTNER"];

/// Words of a SELECT that are misspelt.
const WORDS: &[&str] = &["FROM", "WHERE", "GROUP", "ORDER", "HAVING", "JOIN", "INNER", "UNION", "DISTINCT"];

/// A query that reads well as soon as a word is spelt right, or a bracket closed.
fn query(text: &str, range: &Range<usize>) -> Option<Wrong> {
    let reads = |text: &str| is_query(text);
    let part = &text[range.clone()];
    let tokens = significant(part);
    if tokens.is_empty() || reads(part) {
        return None;
    }
    let mut tries = 4_usize;
    let word = tokens.iter().filter(|token| token.kind == TokenKind::Word).find_map(|token| {
        let written = token.text(part);
        let near = WORDS.iter().find(|known| strsim::osa_distance(&written.to_ascii_uppercase(), known) == 1)?;
        // each is read once more: after some it was none of them
        tries = tries.checked_sub(1)?;
        let mended = format!("{}{near}{}", &part[..token.start], &part[token.end..]);
        reads(&mended).then(|| {
            let message = format!("this text does not parse near `{written}`");
            (range.start + token.start..range.start + token.end, message, format!("write `{near}`"))
        })
    });
    word.or_else(|| {
        let mut open = Vec::new();
        for token in &tokens {
            if token.is_operator(part, "(") {
                open.push(token);
            } else if token.is_operator(part, ")") {
                open.pop()?;
            }
        }
        let last = open.pop()?;
        let range = range.start + last.start..range.start + last.end;
        Some((range, "`(` is opened here and never closed".to_owned(), "write `)` where it ends".to_owned()))
    })
}

/// A line that holds GO alone: a word of the client tools.
fn clients(sql: &Sql) -> Option<Wrong> {
    let (text, tokens) = (sql.rendered.as_str(), sql.tokens.as_slice());
    let begins = |line: &str| line.trim_start().get(..2).is_some_and(|word| word.eq_ignore_ascii_case("GO"));
    if !text.lines().any(begins) {
        return None;
    }
    let line_of = |token: &Token| text[..token.start].matches('\n').count();
    let go = tokens.iter().enumerate().find(|(at, token)| {
        let alone = |other: Option<&Token>| other.is_none_or(|other| line_of(other) != line_of(token));
        let next = tokens.get(at + 1).filter(|next| next.kind != TokenKind::Number);
        token.is_word(text, "GO") && tokens.len() > 1 && alone(at.checked_sub(1).and_then(|b| tokens.get(b))) && alone(next)
    });
    let (_, token) = go?;
    let help = "remove it, and write a call of its own for each batch".to_owned();
    Some((token.range(), "`GO` is a word of the client tools, not of T-SQL".to_owned(), help))
}

/// What is wrong, if SQL Server surely refuses it too.
fn surely(sql: &Sql, error: &SyntaxError) -> Option<Wrong> {
    let (text, tokens) = (sql.rendered.as_str(), sql.tokens.as_slice());
    let told = |help: &str| Some((error.range(), error.to_string(), help.to_owned()));
    match error {
        SyntaxError::Unclosed { .. } => told("close it where it ends, with the character it began with"),
        SyntaxError::UnclosedComment { .. } => told("write `*/` where the comment ends"),
        SyntaxError::TooDeep { .. } => None,
        SyntaxError::UnknownOption { option, .. } => {
            if OTHER_OPTIONS.iter().any(|known| known.eq_ignore_ascii_case(option)) {
                return None;
            }
            match nearest(option, OPTIONS.iter().copied()) {
                Some(near) => told(&format!("write `{near}`")),
                None => told("correct the option, or remove it"),
            }
        }
        SyntaxError::Near { range, .. } => {
            let begins = |token: &Token| {
                let meant = meant_keyword(token.text(text)).filter(|_| token.kind == TokenKind::Word)?;
                Some((token.range(), format!("no statement begins with `{}`", token.text(text)), format!("write `{meant}`")))
            };
            let at = tokens.iter().position(|token| token.range() == *range)?;
            let is = |n: Option<usize>, sign: &str| n.and_then(|n| tokens.get(n)).is_some_and(|token| token.is_operator(text, sign));
            let after_semicolon = is(at.checked_sub(1), ";");
            let misspelt = tokens.first().and_then(begins).or_else(|| after_semicolon.then(|| begins(&tokens[at])).flatten());
            // another statement begins here, which is not read, or a label does
            if misspelt.is_some() || after_semicolon || is(Some(at + 1), ":") {
                return misspelt;
            }
            let keywords = keywords_before(text, range.end);
            let words: Vec<&str> = keywords.iter().map(String::as_str).collect();
            let keyword = match words.as_slice() {
                // words of ALTER DATABASE that begin statements elsewhere
                [.., "ALTER", "SET"] | [.., "ALTER", "SET", "ROLLBACK"] => "ALTER",
                [.., last] => last,
                [] => return None,
            };
            let read = READ_WHOLE.contains(&keyword) && (keyword != "ALTER" || is_alter_database(text, tokens));
            if read {
                told(&format!("correct the {keyword}: its page in the SQL Server documentation has the whole grammar"))
            } else {
                None
            }
        }
    }
}

fn is_alter_database(text: &str, tokens: &[Token]) -> bool {
    tokens.windows(2).any(|pair| pair[0].is_word(text, "ALTER") && pair[1].is_word(text, "DATABASE"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::value::Text;

    fn found(text: &str) -> Option<String> {
        let wrong = refused(&Sql::of(&Text::constant(text, None)));
        wrong.map(|(range, ..)| text[range].to_owned())
    }

    #[test]
    fn what_sql_server_surely_refuses_is_found() {
        for (text, near) in [
            ("RESTROE LOG mgc FROM DISK = 'x' WITH NORECOVERY", "RESTROE"),
            ("SELCET * FROM sys.databases", "SELCET"),
            ("SELECT 1; RESTOR DATABASE mgc WITH RECOVERY", "RESTOR"),
            ("RESTORE DATABASE mgc WITH RECOVRY", "RECOVRY"),
            ("RESTORE LOG mgc FROM DISK 'x'", "'x'"),
            ("KILL @id", "@id"),
            ("EXCE msdb.dbo.sp_update_job @enabled = 0", "EXCE"),
            ("ALTER DATABASE mgc SET SINGLE_USER WITH ROLLBACK IMEDIATE", "IMEDIATE"),
            ("ALTER DATABASE mgc SET PARTNER FAILOVR", "FAILOVR"),
            ("EXEC sp_who2 'a' 'b'", "'b'"),
            ("SELECT 'a", "'a"),
            ("USE master\nGO\nSELECT 1", "GO"),
            ("SELECT 1 /* x", "/* x"),
            ("RESTORE DATABASE {d} WITH RECOVERY, NORECOVERY", "NORECOVERY"),
            ("RESTORE LOG mgc FROM DISK = 'x' WITH STANDBY = 'y', NORECOVERY", "NORECOVERY"),
            ("RESTORE DATABASE {d} WITH RECOVERY WITH REPLACE", "WITH"),
            ("ALTER DATABASE {d} SET MULTIUSER", "MULTIUSER"),
            ("EXCE sp_who2", "EXCE"),
            ("SELECT name FORM sys.databases", "FORM"),
            ("SELECT name FROM sys.databases WHRE name = @d", "WHRE"),
            ("SELECT COUNT(* FROM sys.databases", "("),
        ] {
            assert_eq!(found(text).as_deref(), Some(near), "{text}");
        }
    }

    #[test]
    fn what_sql_server_takes_is_left_alone() {
        for text in [
            "EXEC sp_who2",
            "sp_helpdb 'mgc'",
            "RESTORE DATABASE mgc WITH NORECOVERY; WITH x AS (SELECT 1 AS a) SELECT * FROM x",
            "ALTER DATABASE mgc SET AUTO_CLOSE OFF",
            "SELECT a AS form FROM t",
            "SELECT * FROM OPENROWSET(BULK 'x', SINGLE_CLOB) AS f",
            "SELECT 1 GO",
            "SELECT 'GO'",
            "WITH x AS (SELECT 1 AS a) SELECT * FROM x",
            "SELECT d.name FROM sys.databases d CROSS APPLY (SELECT 1 AS one) x FOR XML PATH",
            "MERGE t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET t.b = s.b;",
            "BACKUP LOG mgc TO DISK = 'x' WITH NO_TRUNCATE, NORECOVERY",
            "RESTORE DATABASE mgc FROM DISK = 'x' WITH NORECOVERY, FILESTREAM (DIRECTORY_NAME = 'x')",
            "DBCC CHECKDB ('mgc') WITH NO_INFOMSGS",
            "ALTER LOGIN x ENABLE",
            "CREATE LOGIN x WITH SID = 0x1",
            "again: SELECT 1; GOTO again",
            "EXEC sp_who2; again: KILL 51",
            "EXEC sp_who2 'active'\nagain:\nKILL 51",
            "GRANT CONNECT ON ENDPOINT::Mirroring TO [d\\a]",
            "EXEC master.dbo.sp_delete_log_shipping_secondary_database @secondary_database = 'mgc', @ignoreremotemonitor = 1",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
