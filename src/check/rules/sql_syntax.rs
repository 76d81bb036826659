//! See `sql-syntax.md`.

use std::ops::Range;

use super::typographic_dash::plain;
use crate::check::calls::{calls, once, place};
use crate::check::{Finding, Look, Rule, Run, Severity};
use crate::facts::nearest;
use crate::tsql::lex::{Token, TokenKind, significant};
use crate::tsql::statement::{SyntaxError, keywords_before, meant_keyword};

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
    for call in calls(run) {
        let Some(index) = call.index_of("text").filter(|_| !run.is_built_in(call)) else { continue };
        for sql in &call.sql {
            // what values are written into, and characters that mean nothing there, are other rules'
            let Some(text) = sql.text.as_constant().filter(|text| plain(text).is_none()) else { continue };
            let wrong = clients(&text).or_else(|| sql.batch.as_ref().err().and_then(|error| surely(&text, error)));
            let Some((range, message, help)) = wrong else { continue };
            let (file, span) = place(run, call, index, None, &sql.text, &range);
            once(findings, SQL_SYNTAX.finding(&run.script.files[file], span, message, "SQL Server refuses this", help));
        }
    }
}

type Wrong = (Range<usize>, String, String);

/// A line that holds GO alone: a word of the client tools.
fn clients(text: &str) -> Option<Wrong> {
    let begins = |line: &str| line.trim_start().get(..2).is_some_and(|word| word.eq_ignore_ascii_case("GO"));
    if !text.lines().any(begins) {
        return None;
    }
    let tokens = significant(text);
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
fn surely(text: &str, error: &SyntaxError) -> Option<Wrong> {
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
            let tokens = significant(text);
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
            let read = READ_WHOLE.contains(&keyword) && (keyword != "ALTER" || is_alter_database(text, &tokens));
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
    use crate::tsql::statement::parse;

    fn found(text: &str) -> Option<String> {
        let wrong = clients(text).or_else(|| parse(text).err().and_then(|error| surely(text, &error)));
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
        ] {
            assert_eq!(found(text).as_deref(), Some(near), "{text}");
        }
    }

    #[test]
    fn what_sql_server_takes_is_left_alone() {
        for text in [
            "EXEC sp_who2",
            "sp_helpdb 'mgc'",
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
