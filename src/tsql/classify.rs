//! Tells reads from changes. Called before a text is sent, and by `check`. A text reads only if every statement in it is
//! proven to; everything else changes, and the answer says which words made it so. Being wrong on one side costs a
//! question too many, on the other a site: when in doubt, it changes.

use std::ops::Range;

use super::lex::{TokenKind, significant};
use super::select::{Doubt, Shape, doubt};
use super::statement::parse;
use super::syntax::{
    DatabaseChangeKind, Exec, ExecTarget, Expression, Restore, RestoreKind, SetOption, Statement,
    StatementKind, Value,
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
        Change {
            why: why.into(),
            range: range.clone(),
        }
    }
}

/// The class of a batch, rendered or with its `{placeholders}` still in it.
pub fn classify(text: &str) -> Classified {
    let change = match parse(text) {
        Ok(batch) => first_change(text, &batch.statements),
        Err(error) => Some(Change::at(
            format!("this text could not be read ({error}), so it is taken for a change"),
            &error.range(),
        )),
    };
    let class = if change.is_some() {
        Class::Changes
    } else {
        Class::Reads
    };
    Classified { class, change }
}

fn first_change(text: &str, statements: &[Statement]) -> Option<Change> {
    statements
        .iter()
        .find_map(|statement| change_in(text, statement))
}

fn change_in(text: &str, statement: &Statement) -> Option<Change> {
    let range = &statement.range;
    let because = |why: &str| Some(Change::at(why, range));
    let expression =
        |expression: &Expression, shape| doubted(doubt(text, expression.range.clone(), shape));
    match &statement.kind {
        StatementKind::Restore(restore) => restore_change(restore, range),
        StatementKind::Backup(_) => {
            because("`BACKUP` writes a file, and may change the database or the log chain")
        }
        StatementKind::Kill(kill) if kill.status_only => None,
        StatementKind::Kill(_) => because("`KILL` ends a session"),
        StatementKind::AlterDatabase(_) => because("`ALTER DATABASE` changes a database"),
        StatementKind::DropDatabase(_) => {
            because("`DROP DATABASE` deletes a database and its files")
        }
        StatementKind::Use(_) => None,
        StatementKind::Exec(exec) => exec_change(exec, range),
        StatementKind::SetOption(option) if harmless(option) => None,
        StatementKind::SetOption(option) => Some(Change::at(
            format!("`SET {}` is not one of the harmless options", option.name),
            range,
        )),
        StatementKind::SetVariable { value, .. } => expression(value, Shape::Scalar),
        StatementKind::Declare(declarations) => declarations
            .iter()
            .filter_map(|d| d.value.as_ref())
            .find_map(|value| expression(value, Shape::Scalar)),
        StatementKind::If {
            condition,
            then,
            otherwise,
        } => expression(condition, Shape::Condition)
            .or_else(|| change_in(text, then))
            .or_else(|| {
                otherwise
                    .as_ref()
                    .and_then(|otherwise| change_in(text, otherwise))
            }),
        StatementKind::While { condition, body } => {
            expression(condition, Shape::Condition).or_else(|| change_in(text, body))
        }
        StatementKind::Block(body) => first_change(text, body),
        StatementKind::Try { body, catch } => {
            first_change(text, body).or_else(|| first_change(text, catch))
        }
        StatementKind::Print(value) => expression(value, Shape::Scalar),
        StatementKind::WaitDelay(_) | StatementKind::WaitTime(_) | StatementKind::Jump(_) => None,
        StatementKind::BeginTransaction | StatementKind::Commit | StatementKind::Rollback => {
            because("a transaction may hold locks or keep changes")
        }
        StatementKind::Raiserror(raiserror)
            if raiserror.options.iter().any(|option| option == "LOG") =>
        {
            because("`RAISERROR ... WITH LOG` writes to the server's log")
        }
        StatementKind::Raiserror(raiserror) => raiserror
            .arguments
            .iter()
            .find_map(|argument| expression(argument, Shape::Scalar)),
        StatementKind::Other { keyword } if matches!(keyword.as_str(), "SELECT" | "WITH" | "(") => {
            doubted(doubt(text, range.clone(), Shape::Query))
        }
        StatementKind::Other { keyword } => Some(Change::at(
            format!("`{keyword}` is not known to be a read"),
            range,
        )),
    }
}

fn doubted(doubt: Option<Doubt>) -> Option<Change> {
    doubt.map(|doubt| Change {
        why: doubt.why,
        range: doubt.range,
    })
}

fn restore_change(restore: &Restore, range: &Range<usize>) -> Option<Change> {
    let why = match restore.kind {
        RestoreKind::HeaderOnly | RestoreKind::FileListOnly | RestoreKind::LabelOnly => {
            return None;
        }
        RestoreKind::Log => "`RESTORE LOG` rolls a database forward",
        RestoreKind::Database => "`RESTORE DATABASE` changes a database",
        RestoreKind::VerifyOnly => {
            "`RESTORE VERIFYONLY` reads the whole backup and may write to msdb"
        }
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
            return Some(Change::at(
                "`EXEC` of a text: only the server knows what it does",
                range,
            ));
        }
        ExecTarget::Variable(name) => {
            return Some(Change::at(
                format!(
                    "only the server knows which procedure `{}` names",
                    name.text
                ),
                range,
            ));
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
        "sp_spaceused" => {
            exec.arguments.len() < 2
                && exec
                    .arguments
                    .iter()
                    .all(|argument| argument.name.is_none())
        }
        _ => false,
    };
    if schema_known && (few_arguments || READING_PROCEDURES.binary_search(&procedure).is_ok()) {
        None
    } else {
        Some(Change::at(
            format!("`{name}` is not one of the procedures known to read only"),
            range,
        ))
    }
}

/// Session options that change nothing outside the session and nothing about what runs.
fn harmless(option: &SetOption) -> bool {
    const HARMLESS: &[&str] = &[
        "ANSI_DEFAULTS",
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
            matches!(
                option.value.as_str(),
                "READ UNCOMMITTED" | "READ COMMITTED" | "SNAPSHOT"
            )
        }
        // ANSI_DEFAULTS turns IMPLICIT_TRANSACTIONS on as well ("SET ANSI_DEFAULTS")
        "ANSI_DEFAULTS" => false,
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
        const OBJECTS: [&str; 9] = [
            "DATABASE",
            "LOG",
            "TRAN",
            "TRANSACTION",
            "HEADERONLY",
            "FILELISTONLY",
            "LABELONLY",
            "VERIFYONLY",
            "REWINDONLY",
        ];
        verb && OBJECTS.iter().any(|object| pair[1].is_word(text, object))
    });
    pair || into_strings
        && tokens
            .iter()
            .filter(|token| matches!(token.kind, TokenKind::Text | TokenKind::NationalText))
            .filter_map(|token| token.string(text))
            .any(|inner| mentions_restore(&inner, false))
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
    let mut points = Vec::new();
    if let Ok(batch) = parse(text) {
        batch
            .statements
            .iter()
            .for_each(|statement| collect(statement, &mut points));
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
                points.push(PointOfNoReturn {
                    kind,
                    database: database.clone(),
                    range: option.range.clone(),
                });
            }
            let said = restore
                .options
                .iter()
                .any(|option| option.name == "RECOVERY");
            if restore.recovers() && !said {
                points.push(PointOfNoReturn {
                    kind: NoReturn::Recovery,
                    database,
                    range: statement.range.clone(),
                });
            }
        }
        StatementKind::DropDatabase(drop) => {
            points.extend(drop.databases.iter().map(|database| PointOfNoReturn {
                kind: NoReturn::Drop,
                database: database.literal().map(str::to_owned),
                range: statement.range.clone(),
            }))
        }
        StatementKind::AlterDatabase(alter) => {
            for change in &alter.changes {
                let kind = match &change.kind {
                    DatabaseChangeKind::PartnerAction(action)
                        if action == "FORCE_SERVICE_ALLOW_DATA_LOSS" =>
                    {
                        NoReturn::ForceService
                    }
                    DatabaseChangeKind::Recovery(model) if model == "SIMPLE" => {
                        NoReturn::SimpleRecovery
                    }
                    _ => continue,
                };
                points.push(PointOfNoReturn {
                    kind,
                    database: name(&alter.database),
                    range: change.range.clone(),
                });
            }
        }
        StatementKind::If {
            then, otherwise, ..
        } => {
            collect(then, points);
            if let Some(otherwise) = otherwise {
                collect(otherwise, points);
            }
        }
        StatementKind::While { body, .. } => collect(body, points),
        StatementKind::Block(body) => body.iter().for_each(|statement| collect(statement, points)),
        StatementKind::Try { body, catch } => {
            body.iter()
                .chain(catch)
                .for_each(|statement| collect(statement, points));
        }
        _ => {}
    }
}
