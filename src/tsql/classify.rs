//! Tells reads from changes. Called before a text is sent, and by `check`. A text reads only if every statement in it is
//! proven to; everything else changes, and the answer says which words made it so. Being wrong on one side costs a
//! question too many, on the other a site: when in doubt, it changes.

use std::ops::Range;

use super::lex::{TokenKind, significant};
use super::select::{Doubt, Shape, doubt};
use super::statement::{SyntaxError, parse};
use super::syntax::{
    Batch, DatabaseChangeKind, Exec, ExecTarget, Expression, Restore, RestoreKind, SetOption, Statement, StatementKind, Value,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Reads,
    Changes,
}

/// A text's class, and for a change the first thing that made it one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classified {
    pub class: Class,
    /// `Some` exactly if it changes
    pub change: Option<Change>,
}

/// What made a text a change, in words for the administrator, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub why: String,
    pub range: Range<usize>,
}

impl Change {
    fn at(why: impl Into<String>, range: &Range<usize>) -> Self {
        Change { why: why.into(), range: range.clone() }
    }
}

/// The class of a batch, rendered or with its `{placeholders}` still in it.
pub fn classify(text: &str) -> Classified {
    classify_parsed(text, &parse(text))
}

/// As [`classify`], of a batch that was read already.
pub fn classify_parsed(text: &str, batch: &Result<Batch, SyntaxError>) -> Classified {
    let change = match batch {
        Ok(batch) => first_change(text, &batch.statements),
        Err(error) => Some(Change::at(format!("this text could not be read ({error}), so it is taken for a change"), &error.range())),
    };
    let class = if change.is_some() { Class::Changes } else { Class::Reads };
    Classified { class, change }
}

fn first_change(text: &str, statements: &[Statement]) -> Option<Change> {
    statements.iter().find_map(|statement| change_in(text, statement))
}

fn change_in(text: &str, statement: &Statement) -> Option<Change> {
    let range = &statement.range;
    let because = |why: &str| Some(Change::at(why, range));
    let expression = |expression: &Expression, shape| doubted(doubt(text, expression.range.clone(), shape));
    match &statement.kind {
        StatementKind::Restore(restore) => restore_change(restore, range),
        StatementKind::Backup(_) => because("`BACKUP` writes a file, and may change the database or the log chain"),
        StatementKind::Kill(kill) if kill.status_only => None,
        StatementKind::Kill(_) => because("`KILL` ends a session"),
        StatementKind::AlterDatabase(_) => because("`ALTER DATABASE` changes a database"),
        StatementKind::DropDatabase(_) => because("`DROP DATABASE` deletes a database and its files"),
        StatementKind::Use(_) => None,
        StatementKind::Exec(exec) => exec_change(exec, range),
        StatementKind::SetOption(option) if harmless(option) => None,
        StatementKind::SetOption(option) => Some(Change::at(format!("`SET {}` is not one of the harmless options", option.name), range)),
        StatementKind::SetVariable { value, .. } => expression(value, Shape::Scalar),
        StatementKind::Declare(declarations) => {
            declarations.iter().filter_map(|d| d.value.as_ref()).find_map(|value| expression(value, Shape::Scalar))
        }
        StatementKind::If { condition, then, otherwise } => expression(condition, Shape::Condition)
            .or_else(|| change_in(text, then))
            .or_else(|| otherwise.as_ref().and_then(|otherwise| change_in(text, otherwise))),
        StatementKind::While { condition, body } => expression(condition, Shape::Condition).or_else(|| change_in(text, body)),
        StatementKind::Block(body) => first_change(text, body),
        StatementKind::Try { body, catch } => first_change(text, body).or_else(|| first_change(text, catch)),
        StatementKind::Print(value) => expression(value, Shape::Scalar),
        StatementKind::WaitDelay(_) | StatementKind::WaitTime(_) | StatementKind::Jump(_) => None,
        StatementKind::BeginTransaction | StatementKind::Commit | StatementKind::Rollback => {
            because("a transaction may hold locks or keep changes")
        }
        StatementKind::Raiserror(raiserror) if raiserror.options.iter().any(|option| option == "LOG") => {
            because("`RAISERROR ... WITH LOG` writes to the server's log")
        }
        StatementKind::Raiserror(raiserror) => raiserror.arguments.iter().find_map(|argument| expression(argument, Shape::Scalar)),
        StatementKind::Other { keyword } if matches!(keyword.as_str(), "SELECT" | "WITH" | "(") => {
            doubted(doubt(text, range.clone(), Shape::Query))
        }
        StatementKind::Other { keyword } => Some(Change::at(format!("`{keyword}` is not known to be a read"), range)),
    }
}

fn doubted(doubt: Option<Doubt>) -> Option<Change> {
    doubt.map(|doubt| Change { why: doubt.why, range: doubt.range })
}

fn restore_change(restore: &Restore, range: &Range<usize>) -> Option<Change> {
    let why = match restore.kind {
        RestoreKind::HeaderOnly | RestoreKind::FileListOnly | RestoreKind::LabelOnly => {
            return None;
        }
        RestoreKind::Log => "`RESTORE LOG` rolls a database forward",
        RestoreKind::Database => "`RESTORE DATABASE` changes a database",
        RestoreKind::VerifyOnly => "`RESTORE VERIFYONLY` reads the whole backup and may write to msdb",
        RestoreKind::RewindOnly => "`RESTORE REWINDONLY` moves a tape",
    };
    Some(Change::at(why, range))
}

/// Procedures that Microsoft documents as reporting only; sp_who2, xp_dirtree, xp_fixeddrives, xp_fileexist, xp_subdirs,
/// xp_readerrorlog and xp_instance_regread are undocumented and well known. Sorted.
const READING_PROCEDURES: &[&str] = &[
    "sp_columns",
    "sp_databases",
    "sp_datatype_info",
    "sp_dbmmonitorhelpalert",
    "sp_dbmmonitorhelpmonitoring",
    "sp_describe_first_result_set",
    "sp_enumerrorlogs",
    "sp_fkeys",
    "sp_help",
    "sp_help_alert",
    "sp_help_category",
    "sp_help_job",
    "sp_help_jobactivity",
    "sp_help_jobcount",
    "sp_help_jobhistory",
    "sp_help_jobs_in_schedule",
    "sp_help_jobschedule",
    "sp_help_jobserver",
    "sp_help_jobstep",
    "sp_help_jobsteplog",
    "sp_help_log_shipping_alert_job",
    "sp_help_log_shipping_monitor",
    "sp_help_log_shipping_monitor_primary",
    "sp_help_log_shipping_monitor_secondary",
    "sp_help_log_shipping_primary_database",
    "sp_help_log_shipping_primary_secondary",
    "sp_help_log_shipping_secondary_database",
    "sp_help_log_shipping_secondary_primary",
    "sp_help_notification",
    "sp_help_operator",
    "sp_help_proxy",
    "sp_help_schedule",
    "sp_helpconstraint",
    "sp_helpdb",
    "sp_helpdbfixedrole",
    "sp_helpdevice",
    "sp_helpfile",
    "sp_helpfilegroup",
    "sp_helpindex",
    "sp_helplanguage",
    "sp_helplinkedsrvlogin",
    "sp_helplogins",
    "sp_helpntgroup",
    "sp_helprole",
    "sp_helprolemember",
    "sp_helprotect",
    "sp_helpserver",
    "sp_helpsort",
    "sp_helpsrvrole",
    "sp_helpsrvrolemember",
    "sp_helpstats",
    "sp_helptext",
    "sp_helptrigger",
    "sp_helpuser",
    "sp_linkedservers",
    "sp_lock",
    "sp_pkeys",
    "sp_readerrorlog",
    "sp_server_info",
    "sp_statistics",
    "sp_stored_procedures",
    "sp_tables",
    "sp_who",
    "sp_who2",
    "xp_dirtree",
    "xp_enumerrorlogs",
    "xp_fileexist",
    "xp_fixeddrives",
    "xp_instance_regread",
    "xp_loginconfig",
    "xp_logininfo",
    "xp_msver",
    "xp_readerrorlog",
    "xp_regread",
    "xp_sqlagent_enum_jobs",
    "xp_subdirs",
];

fn exec_change(exec: &Exec, range: &Range<usize>) -> Option<Change> {
    let name = match &exec.target {
        ExecTarget::Text(_) => {
            return Some(Change::at("`EXEC` of a text: only the server knows what it does", range));
        }
        ExecTarget::Variable(name) => {
            return Some(Change::at(format!("only the server knows which procedure `{}` names", name.text), range));
        }
        ExecTarget::Procedure { .. } => exec.target.name(),
    };
    let Some(name) = name else {
        return Some(Change::at("the procedure's name is not written out", range));
    };
    let parts: Vec<&str> = name.split('.').collect();
    // system procedures are found from every database; a schema other than these is somebody's own
    let (schema_known, procedure) = match parts.as_slice() {
        [procedure] => (true, *procedure),
        ["dbo" | "sys", procedure] => (true, *procedure),
        [_, "dbo" | "sys" | "", procedure] => (true, *procedure),
        [.., procedure] => (false, *procedure),
        [] => (false, ""),
    };
    let few_arguments = match procedure {
        // one argument shows a setting, two set it
        "sp_configure" => exec.arguments.len() < 2,
        // the second one, @updateusage, writes
        "sp_spaceused" => exec.arguments.len() < 2 && exec.arguments.iter().all(|argument| argument.name.is_none()),
        _ => false,
    };
    if schema_known && (few_arguments || READING_PROCEDURES.binary_search(&procedure).is_ok()) {
        None
    } else {
        Some(Change::at(format!("`{name}` is not one of the procedures known to read only"), range))
    }
}

/// Session options that change nothing outside the session and nothing about what runs.
fn harmless(option: &SetOption) -> bool {
    const HARMLESS: &[&str] = &[
        "ANSI_NULLS",
        "ANSI_NULL_DFLT_ON",
        "ANSI_PADDING",
        "ANSI_WARNINGS",
        "ARITHABORT",
        "ARITHIGNORE",
        "CONCAT_NULL_YIELDS_NULL",
        "DATEFIRST",
        "DATEFORMAT",
        "DEADLOCK_PRIORITY",
        "LANGUAGE",
        "LOCK_TIMEOUT",
        "NOCOUNT",
        "NUMERIC_ROUNDABORT",
        "QUOTED_IDENTIFIER",
        "ROWCOUNT",
        "STATISTICS IO",
        "STATISTICS TIME",
        "TEXTSIZE",
        "XACT_ABORT",
    ];
    match option.name.as_str() {
        "TRANSACTION ISOLATION LEVEL" => {
            matches!(option.value.as_str(), "READ UNCOMMITTED" | "READ COMMITTED" | "SNAPSHOT")
        }
        // not among them: ANSI_DEFAULTS, which turns IMPLICIT_TRANSACTIONS on as well ("SET ANSI_DEFAULTS")
        names => names.split(", ").all(|name| HARMLESS.contains(&name)),
    }
}

/// True if the text holds a RESTORE or a BACKUP: such a text gets no time limit. Looks at words, also inside string
/// literals, since `EXEC('RESTORE ...')` takes as long.
pub fn is_restore_or_backup(text: &str) -> bool {
    mentions_restore(text, true)
}

fn mentions_restore(text: &str, into_strings: bool) -> bool {
    let tokens = significant(text);
    let pair = tokens.windows(2).any(|pair| {
        let verb = pair[0].is_word(text, "RESTORE") || pair[0].is_word(text, "BACKUP");
        const OBJECTS: [&str; 9] =
            ["DATABASE", "LOG", "TRAN", "TRANSACTION", "HEADERONLY", "FILELISTONLY", "LABELONLY", "VERIFYONLY", "REWINDONLY"];
        verb && OBJECTS.iter().any(|object| pair[1].is_word(text, object))
    });
    pair || into_strings
        && tokens
            .iter()
            .filter(|token| matches!(token.kind, TokenKind::Text | TokenKind::NationalText))
            .filter_map(|token| token.string(text))
            .any(|inner| mentions_restore(&inner, false))
}

/// True if the text changes what later batches of its connection meet: another database, other SET options, an open
/// transaction, #temp tables. A text that cannot be read is judged by its words.
pub fn outlasts(text: &str) -> bool {
    fn any(statements: &[Statement]) -> bool {
        statements.iter().any(one)
    }
    fn one(statement: &Statement) -> bool {
        match &statement.kind {
            StatementKind::Use(_) | StatementKind::SetOption(_) | StatementKind::BeginTransaction => true,
            StatementKind::If { then, otherwise, .. } => one(then) || otherwise.as_deref().is_some_and(one),
            StatementKind::While { body, .. } => one(body),
            StatementKind::Block(body) => any(body),
            StatementKind::Try { body, catch } => any(body) || any(catch),
            _ => false,
        }
    }
    let tokens = significant(text);
    if tokens.iter().any(|token| token.kind == TokenKind::Word && token.text(text).starts_with('#')) {
        return true;
    }
    match parse(text) {
        Ok(batch) => any(&batch.statements),
        Err(_) => tokens.iter().any(|token| ["USE", "SET", "BEGIN"].iter().any(|word| token.is_word(text, word))),
    }
}

/// After this there is no way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReturn {
    /// the restore sequence ends: no later log backup can be applied
    Recovery,
    /// a database is overwritten whatever it is
    Replace,
    /// a database and its files are deleted
    Drop,
    /// a mirror takes over without the principal, losing what it has not received
    ForceService,
    /// the log chain ends
    SimpleRecovery,
}

/// One point of no return in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointOfNoReturn {
    pub kind: NoReturn,
    /// the database's name, if the text writes it out
    pub database: Option<String>,
    /// of the statement, or of the option that makes it one
    pub range: Range<usize>,
}

/// The points of no return that the text shows, in order. A text that cannot be read shows none; it is a change anyway.
pub fn points_of_no_return(text: &str) -> Vec<PointOfNoReturn> {
    points_of_batch(&parse(text))
}

/// As [`points_of_no_return`], of a batch that was read already.
pub fn points_of_batch(batch: &Result<Batch, SyntaxError>) -> Vec<PointOfNoReturn> {
    let mut points = Vec::new();
    if let Ok(batch) = batch {
        batch.statements.iter().for_each(|statement| collect(statement, &mut points));
    }
    points
}

fn collect(statement: &Statement, points: &mut Vec<PointOfNoReturn>) {
    let name = |value: &Option<Value>| value.as_ref().and_then(Value::literal).map(str::to_owned);
    match &statement.kind {
        StatementKind::Restore(restore) => {
            let database = name(&restore.database);
            for option in &restore.options {
                let kind = match option.name.as_str() {
                    "RECOVERY" => NoReturn::Recovery,
                    "REPLACE" => NoReturn::Replace,
                    _ => continue,
                };
                points.push(PointOfNoReturn { kind, database: database.clone(), range: option.range.clone() });
            }
            let said = restore.options.iter().any(|option| option.name == "RECOVERY");
            if restore.recovers() && !said {
                points.push(PointOfNoReturn { kind: NoReturn::Recovery, database, range: statement.range.clone() });
            }
        }
        StatementKind::DropDatabase(drop) => points.extend(drop.databases.iter().map(|database| PointOfNoReturn {
            kind: NoReturn::Drop,
            database: database.literal().map(str::to_owned),
            range: statement.range.clone(),
        })),
        StatementKind::AlterDatabase(alter) => {
            for change in &alter.changes {
                let kind = match &change.kind {
                    DatabaseChangeKind::PartnerAction(action) if action == "FORCE_SERVICE_ALLOW_DATA_LOSS" => NoReturn::ForceService,
                    DatabaseChangeKind::Recovery(model) if model == "SIMPLE" => NoReturn::SimpleRecovery,
                    _ => continue,
                };
                points.push(PointOfNoReturn { kind, database: name(&alter.database), range: change.range.clone() });
            }
        }
        StatementKind::If { then, otherwise, .. } => {
            collect(then, points);
            if let Some(otherwise) = otherwise {
                collect(otherwise, points);
            }
        }
        StatementKind::While { body, .. } => collect(body, points),
        StatementKind::Block(body) => body.iter().for_each(|statement| collect(statement, points)),
        StatementKind::Try { body, catch } => {
            body.iter().chain(catch).for_each(|statement| collect(statement, points));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READS: &[&str] = &[
        "",
        "-- nothing",
        "SELECT 1",
        "SELECT name, state_desc FROM sys.databases WHERE name = @db ORDER BY name",
        "select top (5) * from msdb.dbo.restorehistory with (nolock) order by restore_date desc option (recompile)",
        "SELECT TOP ({n}) name FROM {db}.sys.tables",
        "SELECT * FROM sys.dm_exec_requests r CROSS APPLY sys.dm_exec_sql_text(r.sql_handle) t",
        "SELECT CASE WHEN a = 1 THEN 'x' ELSE 'y' END FROM t; SELECT 2",
        "SELECT 1 SELECT 2 UNION ALL SELECT 3",
        "WITH x AS (SELECT 1 AS a) SELECT a FROM x",
        "SELECT HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE'), IS_SRVROLEMEMBER('sysadmin')",
        "SELECT @@SPID, @@SERVERNAME, GETDATE(), CONVERT(varchar(30), SERVERPROPERTY('Edition'))",
        "SELECT MIN(redo_start_lsn) AS lsn, redo_start_fork_guid FROM sys.master_files WHERE database_id = DB_ID(@db) GROUP BY redo_start_fork_guid",
        "SELECT DATEDIFF(second, a, b) FROM t WHERE c LIKE 'LS%' AND EXISTS (SELECT 1 FROM u WHERE u.i = t.i)",
        "SELECT msdb.dbo.agent_datetime(run_date, run_time) FROM msdb.dbo.sysjobhistory",
        "SELECT * FROM sys.fn_my_permissions(NULL, 'SERVER')",
        "SELECT 'INTO OPENROWSET' AS [into]",
        "RESTORE HEADERONLY FROM DISK = N'D:\\LogShip\\a.trn' WITH NOUNLOAD",
        "restore filelistonly from disk = @path with file = 2",
        "RESTORE LABELONLY FROM DISK = 'x'",
        "sp_who2",
        "exec sp_who2 'active'",
        "EXEC msdb.dbo.sp_help_job @job_name = N'x'",
        "EXEC master..xp_fixeddrives",
        "exec master.dbo.xp_dirtree @path, 1, 1",
        "EXEC [master].[sys].[sp_help_log_shipping_secondary_database] @secondary_database = @db",
        "EXEC @rc = sp_lock",
        "EXEC sp_configure 'remote access'",
        "USE master; SET NOCOUNT ON; SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; SELECT 1",
        "DECLARE @a int = 1, @b datetime = GETDATE(); SET @a = (SELECT COUNT(*) FROM sys.databases); PRINT @a",
        "IF EXISTS (SELECT 1 FROM sys.databases) SELECT 1; ELSE SELECT 2",
        "IF @a = 1 BEGIN SELECT 1 END ELSE BEGIN PRINT 'no' END",
        "WHILE @i < 3 BEGIN WAITFOR DELAY '00:00:01'; SET @i += 1 END",
        "KILL 57 WITH STATUSONLY",
        "RAISERROR('x', 10, 1) WITH NOWAIT",
        "BEGIN TRY SELECT 1 END TRY BEGIN CATCH SELECT ERROR_MESSAGE() END CATCH",
    ];

    const CHANGES: &[(&str, &str)] = &[
        ("RESTORE DATABASE mgc WITH RECOVERY", "RESTORE DATABASE mgc WITH RECOVERY"),
        ("RESTORE LOG mgc FROM DISK = @p WITH NORECOVERY", "RESTORE LOG mgc FROM DISK = @p WITH NORECOVERY"),
        ("RESTORE VERIFYONLY FROM DISK = 'x'", "RESTORE VERIFYONLY FROM DISK = 'x'"),
        ("SELECT * INTO t FROM u", "INTO"),
        ("SELECT 1; KILL {spid}", "KILL {spid}"),
        ("SELECT * FROM OPENQUERY(s, 'DROP TABLE x')", "OPENQUERY"),
        ("SELECT * FROM OPENROWSET(BULK 'x', SINGLE_CLOB) a", "OPENROWSET"),
        ("SELECT * FROM OPENDATASOURCE('a', 'b').c.d.e", "OPENDATASOURCE"),
        ("SELECT * FROM [fn_dump_dblog](NULL)", "[fn_dump_dblog]"),
        ("SELECT * FROM t WITH (UPDLOCK)", "UPDLOCK"),
        ("SELECT * FROM t (holdlock)", "holdlock"),
        ("SELECT NEXT VALUE FOR s", "FOR"),
        ("SELECT dbo.f(1)", "SELECT dbo.f(1)"),
        ("SELECT * FROM f(1)", "SELECT * FROM f(1)"),
        ("SELECT 1 DROP TABLE t", "DROP TABLE t"),
        ("SELECT 1 EXEC sp_x", "EXEC sp_x"),
        ("SELECT this is no (", "SELECT this is no ("),
        ("EXEC sp_delete_log_shipping_secondary_database mgc", "EXEC sp_delete_log_shipping_secondary_database mgc"),
        ("sp_configure 'x', 1", "sp_configure 'x', 1"),
        ("EXEC sp_spaceused @updateusage = 'true'", "EXEC sp_spaceused @updateusage = 'true'"),
        ("EXEC mine.sp_who", "EXEC mine.sp_who"),
        ("EXEC sp_who2 EXEC sp_x", "EXEC sp_x"),
        ("EXEC ('SELECT 1')", "EXEC ('SELECT 1')"),
        ("EXEC @p", "EXEC @p"),
        ("EXEC sp_executesql N'SELECT 1'", "EXEC sp_executesql N'SELECT 1'"),
        ("EXEC xp_cmdshell 'dir'", "EXEC xp_cmdshell 'dir'"),
        ("INSERT INTO t EXEC sp_who", "INSERT INTO t EXEC sp_who"),
        ("WITH x AS (SELECT 1 AS a) DELETE FROM x", "WITH x AS (SELECT 1 AS a) DELETE FROM x"),
        ("IF EXISTS (SELECT 1) DROP DATABASE mgc", "DROP DATABASE mgc"),
        ("IF dbo.f() = 1 SELECT 1", "dbo.f() = 1"),
        ("SELECT 1 BEGIN TRAN", "BEGIN TRAN"),
        ("SET IMPLICIT_TRANSACTIONS ON", "SET IMPLICIT_TRANSACTIONS ON"),
        ("SET IDENTITY_INSERT t ON", "SET IDENTITY_INSERT t ON"),
        ("ALTER DATABASE mgc SET MULTI_USER", "ALTER DATABASE mgc SET MULTI_USER"),
        ("DBCC CHECKDB", "DBCC CHECKDB"),
        ("SELECT 'unclosed", "'unclosed"),
        ("WAITFOR (RECEIVE * FROM q)", "WAITFOR (RECEIVE * FROM q)"),
        ("SELECT 1; RECEIVE * FROM q", "RECEIVE * FROM q"),
        ("RAISERROR('x', 20, 1) WITH LOG", "RAISERROR('x', 20, 1) WITH LOG"),
        ("SELECT 1 /* never closed", "/* never closed"),
    ];

    #[test]
    fn what_outlasts_its_batch_is_known() {
        for text in [
            "USE mgc",
            "SELECT 1; SET ROWCOUNT 1",
            "IF 1 = 1 BEGIN USE mgc END",
            "BEGIN TRAN SELECT 1",
            "CREATE TABLE #t (a int)",
            "USE mgc )(",
        ] {
            assert!(outlasts(text), "{text}");
        }
        for text in [
            "SELECT 'USE mgc'",
            "SELECT 1 -- SET x",
            "UPDATE t SET a = 1",
            "ALTER DATABASE mgc SET ONLINE",
            "DECLARE @a int; SET @a = 1",
            "SELECT '#t'",
        ] {
            assert!(!outlasts(text), "{text}");
        }
    }

    #[test]
    fn what_is_proven_to_read_reads() {
        for text in READS {
            assert_eq!(classify(text), Classified { class: Class::Reads, change: None }, "{text}");
        }
    }

    #[test]
    fn everything_else_changes_and_says_where() {
        for (text, place) in CHANGES {
            let classified = classify(text);
            assert_eq!(classified.class, Class::Changes, "{text}");
            let change = classified.change.expect("a change says what made it one");
            assert_eq!(&text[change.range], *place, "{text}: {}", change.why);
        }
    }

    #[test]
    fn the_list_of_reading_procedures_is_sorted() {
        assert!(READING_PROCEDURES.is_sorted());
    }

    #[test]
    fn a_restore_or_backup_is_seen_wherever_it_hides() {
        for text in [
            "RESTORE DATABASE mgc WITH RECOVERY",
            "select 1 backup log mgc to disk = 'x'",
            "EXEC ('restore log [x] from disk = ''y''')",
            "RESTORE HEADERONLY FROM DISK = @p",
        ] {
            assert!(is_restore_or_backup(text), "{text}");
        }
        for text in ["SELECT 'restored database'", "SELECT 1 -- RESTORE DATABASE", "SELECT backup_set FROM restore_log"] {
            assert!(!is_restore_or_backup(text), "{text}");
        }
    }

    #[test]
    fn points_of_no_return_are_named_with_their_database() {
        let found = |text: &str| -> Vec<(NoReturn, Option<String>, String)> {
            points_of_no_return(text).into_iter().map(|p| (p.kind, p.database, text[p.range].to_owned())).collect()
        };
        let mgc = || Some("mgc".to_owned());
        assert_eq!(
            found("RESTORE DATABASE [mgc] WITH RECOVERY, REPLACE"),
            [(NoReturn::Recovery, mgc(), "RECOVERY".to_owned()), (NoReturn::Replace, mgc(), "REPLACE".to_owned())]
        );
        assert_eq!(
            found("IF 1 = 1 RESTORE LOG @db FROM DISK = 'x' WITH STATS = 5"),
            [(NoReturn::Recovery, None, "RESTORE LOG @db FROM DISK = 'x' WITH STATS = 5".to_owned())]
        );
        assert_eq!(found("RESTORE LOG mgc FROM DISK = 'x' WITH NORECOVERY"), []);
        assert_eq!(found("DROP DATABASE mgc"), [(NoReturn::Drop, mgc(), "DROP DATABASE mgc".to_owned())]);
        assert_eq!(found("ALTER DATABASE mgc SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS")[0].0, NoReturn::ForceService);
    }
}
