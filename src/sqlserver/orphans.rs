//! Statements that a server still carries out for a connection that is gone: it was lost, or the process was killed. They are
//! found by the program name and waited for; only then does the server's state say what became of them. Ends nobody.

use std::time::Duration;

use super::error::Failure;
use super::headers::{float, int, text};
use super::restore::{Instance, OnServer};
use super::servers::Servers;
use super::value::{Answer, Row, Value};
use crate::tsql::quote::like_literal;

/// How often what is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long one look may take.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// A RESTORE that any run of this program started: connections carry the program name `cutover <run>`.
const RESTORES: &str = "SELECT r.session_id, r.command, s.program_name, r.percent_complete, r.total_elapsed_time \
                        FROM sys.dm_exec_requests AS r JOIN sys.dm_exec_sessions AS s ON s.session_id = r.session_id \
                        WHERE r.command IN ('RESTORE LOG', 'RESTORE DATABASE') AND s.program_name LIKE 'cutover%' \
                        ORDER BY r.session_id";

/// Whatever one run started.
const OF_RUN: &str = "SELECT r.session_id, r.command, s.program_name, r.percent_complete, r.total_elapsed_time \
                      FROM sys.dm_exec_requests AS r JOIN sys.dm_exec_sessions AS s ON s.session_id = r.session_id \
                      WHERE (s.program_name = @program OR s.program_name LIKE @pattern) AND r.session_id <> @@SPID \
                      ORDER BY r.session_id";

/// A running statement that nobody waits for any more.
#[derive(Clone, Debug, PartialEq)]
pub struct Orphan {
    pub session: i64,
    /// `RESTORE DATABASE`, `RESTORE LOG`, `KILLED/ROLLBACK`, …
    pub command: String,
    /// `cutover <run>`, perhaps with more behind it
    pub program: String,
    /// may stand still for long, above all at 0 and 100
    pub percent: f64,
    pub elapsed_ms: i64,
}

/// Waits until the server carries nothing out any more for the run, whose connections are gone or rest. Each look, about
/// once a second, is heard, one call an orphan. True if there was something; early, if `stop` says so. A login that may not
/// see other sessions (VIEW SERVER STATE) finds nothing.
pub async fn wait_out(
    servers: &Servers,
    key: &str,
    run: &str,
    stop: &(dyn Fn() -> bool + Send + Sync),
    hear: &(dyn Fn(&Orphan) + Send + Sync),
) -> Result<bool, Failure> {
    let server = OnServer { servers: servers.clone(), key: key.to_owned(), cancel: None, on_message: None };
    let end = until_none(&server, &Whose::Run(run), stop, &|orphans| orphans.iter().for_each(hear)).await?;
    Ok(end != End::None)
}

/// What is looked for.
pub(super) enum Whose<'a> {
    /// a RESTORE of whichever run of this program
    AnyRestore,
    /// anything of one run
    Run(&'a str),
}

/// How the waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// there was nothing to wait for
    None,
    Over,
    Stopped,
}

/// Looks until there are none; each look that finds some is heard.
pub(super) async fn until_none<I: Instance>(
    instance: &I,
    whose: &Whose<'_>,
    stop: &(dyn Fn() -> bool + Send + Sync),
    hear: &(dyn Fn(&[Orphan]) + Send + Sync),
) -> Result<End, Failure> {
    let mut end = End::None;
    loop {
        let (statement, params) = whose.question();
        let orphans = found(&instance.read(statement, params, LOOK_LIMIT).await?);
        if orphans.is_empty() {
            return Ok(end);
        }
        if stop() {
            return Ok(End::Stopped);
        }
        end = End::Over;
        hear(&orphans);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Whose<'_> {
    fn question(&self) -> (&'static str, Vec<(&'static str, Value)>) {
        match self {
            Self::AnyRestore => (RESTORES, Vec::new()),
            // a blank must follow: run 1 is not run 12
            Self::Run(run) => (
                OF_RUN,
                vec![
                    ("program", Value::Text(format!("cutover {run}"))),
                    ("pattern", Value::Text(format!("cutover {} %", like_literal(run)))),
                ],
            ),
        }
    }
}

fn found(answer: &Answer) -> Vec<Orphan> {
    let orphan = |row: &Row| {
        let words = |column: &str| text(row, column).unwrap_or_default().trim_end().to_owned();
        Orphan {
            session: int(row, "session_id").unwrap_or_default(),
            command: words("command"),
            program: words("program_name"),
            percent: float(row, "percent_complete").unwrap_or_default(),
            elapsed_ms: int(row, "total_elapsed_time").unwrap_or_default(),
        }
    };
    answer.rows().iter().map(orphan).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_runs_name_mean_themselves() {
        let (_, params) = Whose::Run("2026_03%[1]").question();
        assert_eq!(
            params,
            [("program", Value::Text("cutover 2026_03%[1]".into())), ("pattern", Value::Text("cutover 2026[_]03[%][[]1] %".into())),]
        );
    }
}
