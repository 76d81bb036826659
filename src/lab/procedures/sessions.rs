//! sp_who and sp_who2, and sp_executesql.

use super::{Arguments, Procedure, execute_sql};
use crate::lab::catalog::columns;
use crate::lab::instance::{SessionRow, same};
use crate::lab::messages;
use crate::lab::statements::Failure;
use crate::lab::statements::run::Runner;
use crate::lab::tds::Cell;

pub static PROCEDURES: &[Procedure] = &[
    Procedure { name: "sp_who", home: "master", parameters: "@loginame sysname", run: who },
    Procedure { name: "sp_who2", home: "master", parameters: "@loginame sysname", run: who2 },
    Procedure { name: "sp_executesql", home: "master", parameters: "", run: execute_sql },
];

/// The sessions that the argument names: all, those that are active, those of a login, or one.
fn chosen(runner: &Runner<'_>, arguments: &Arguments) -> Result<Vec<SessionRow>, Failure> {
    let instance = &runner.connection.instance;
    let (own, all) = (runner.connection.id, instance.rights.is_sysadmin());
    let state = instance.lock();
    // without VIEW SERVER STATE a login sees itself
    let sessions = state.sessions.values().filter(|row| all || row.id == own);
    let Some(wanted) = arguments.text("@loginame") else { return Ok(sessions.cloned().collect()) };
    if same(&wanted, "active") {
        return Ok(sessions.filter(|row| row.running.is_some() || !row.user).cloned().collect());
    }
    if let Ok(id) = wanted.trim().parse::<u16>() {
        return Ok(sessions.filter(|row| row.id == id).cloned().collect());
    }
    let known =
        same(&wanted, "sa") || same(&wanted, &instance.credentials.user) || state.sessions.values().any(|row| same(&row.login, &wanted));
    if !known {
        return Err(messages::no_such_login(&wanted).into());
    }
    Ok(sessions.filter(|row| same(&row.login, &wanted)).cloned().collect())
}

fn shown(row: &SessionRow) -> (&'static str, &'static str) {
    let command = match &row.running {
        Some(_) if row.killed => "KILLED/ROLLBACK",
        Some(running) => running.command,
        None => row.command,
    };
    (crate::lab::catalog::session_status(row), command)
}

fn who(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    let columns = columns(
        "spid smallint, ecid smallint, status nchar(30), loginame nchar(128), hostname nchar(128), blk char(5), \
         dbname nchar(128), cmd nchar(16), request_id int",
    );
    let rows: Vec<Vec<Cell>> = chosen(runner, arguments)?
        .iter()
        .map(|row| {
            let (status, command) = shown(row);
            vec![
                Cell::SmallInt(i16::try_from(row.id).unwrap_or(i16::MAX)),
                Cell::SmallInt(0),
                Cell::Text(format!("{status:<30}")),
                Cell::Text(format!("{:<128}", row.login)),
                Cell::Text(format!("{:<128}", row.host)),
                Cell::Text("0    ".into()),
                if row.user { Cell::Text(format!("{:<128}", row.database)) } else { Cell::Null },
                Cell::Text(format!("{command:<16.16}")),
                Cell::Int(0),
            ]
        })
        .collect();
    runner.rows(&columns, &rows);
    Ok(0)
}

/// Thirteen columns, the SPID as padded text and twice; what is unknown is shown as `  .`.
fn who2(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    let columns = columns(
        "SPID char(5), Status nvarchar(30), Login nvarchar(128), HostName nvarchar(128), BlkBy char(5), DBName nvarchar(128), \
         Command nvarchar(32), CPUTime varchar(30), DiskIO varchar(30), LastBatch varchar(30), ProgramName nvarchar(128), \
         SPID char(5), REQUESTID char(5)",
    );
    let rows: Vec<Vec<Cell>> = chosen(runner, arguments)?
        .iter()
        .map(|row| {
            let (status, command) = shown(row);
            let id = format!("{:<5}", row.id);
            let known = |text: &str| if text.is_empty() { "  .".to_owned() } else { text.to_owned() };
            let status = if row.user { status.to_owned() } else { "BACKGROUND".to_owned() };
            vec![
                Cell::Text(id.clone()),
                Cell::Text(if status == "running" { "RUNNABLE".to_owned() } else { status }),
                Cell::Text(row.login.clone()),
                Cell::Text(known(&row.host)),
                Cell::Text("  .  ".into()),
                if row.user { Cell::Text(row.database.clone()) } else { Cell::Null },
                Cell::Text(command.to_owned()),
                Cell::Text("15".into()),
                Cell::Text("0".into()),
                Cell::Text(row.last_start.strftime("%m/%d %H:%M:%S").to_string()),
                Cell::Text(row.program.clone()),
                Cell::Text(id),
                Cell::Text("0    ".into()),
            ]
        })
        .collect();
    runner.rows(&columns, &rows);
    Ok(0)
}
