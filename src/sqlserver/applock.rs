//! The lock that keeps two operators on two machines from failing over the same database: an application lock on the server
//! that is being changed, held by a connection of its own. It is nobody's but ours: it cannot stop a person in SSMS or the
//! Agent. If this machine dies, the server frees it with the session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::DateTime;
use tokio::sync::Mutex;

use super::batch::Batch;
use super::connection::{Connection, Target};
use super::error::Failure;
use super::headers::{datetime, int, text};
use super::servers::Servers;
use super::value::Row;
use crate::tsql::quote::like_literal;

/// How long a session of this same run, killed a moment ago, is waited for.
const PATIENCE_MS: i64 = 5_000;
/// The wait, and the way there and back.
const TAKING: Duration = Duration::from_secs(20);
/// How long one proof, or one look at who holds it, may take.
const PROOF: Duration = Duration::from_secs(5);
/// `sp_getapplock` silently cuts a longer resource off.
const RESOURCE_LENGTH: usize = 255;
/// LOGIN7 takes no longer program name.
const PROGRAM_LENGTH: usize = 128;
/// That much of a resource `sys.dm_tran_locks` shows.
const SHOWN_LENGTH: usize = 32;

// the resource is compared byte for byte, whatever the collation: both names are taken as the server writes them
const NAMES: &str = "SELECT CAST(SERVERPROPERTY('ServerName') AS nvarchar(128)) AS server_name, \
                     COALESCE((SELECT name FROM sys.databases WHERE name = @database), @database) AS database_name;";

const TAKE: &str = "DECLARE @result int; \
                    EXEC @result = sp_getapplock @Resource = @resource, @LockMode = 'Exclusive', @LockOwner = 'Session', \
                    @LockTimeout = @patience; SELECT @result AS result;";

const MODE: &str = "SELECT APPLOCK_MODE('public', @resource, 'Session') AS mode;";

const TEST: &str = "SELECT APPLOCK_TEST('public', @resource, 'Exclusive', 'Session') AS free;";

const RELEASE: &str = "EXEC sp_releaseapplock @Resource = @resource, @LockOwner = 'Session';";

const HOLDER: &str = "SELECT s.session_id, s.login_name, s.host_name, s.program_name, s.login_time FROM sys.dm_tran_locks AS l \
                      JOIN sys.dm_exec_sessions AS s ON s.session_id = l.request_session_id \
                      WHERE l.resource_type = 'APPLICATION' AND l.resource_database_id = DB_ID() AND l.request_mode = 'X' \
                      AND l.request_status LIKE 'GRANT%' AND l.resource_description LIKE @pattern AND s.session_id <> @@SPID \
                      ORDER BY s.login_time;";

// those who take a lock say who they are; our own run's other connections carry its bare name
const SESSIONS: &str = "SELECT session_id, login_name, host_name, program_name, login_time FROM sys.dm_exec_sessions \
                        WHERE program_name LIKE 'cutover %' AND program_name <> @run AND session_id <> @@SPID \
                        ORDER BY CASE WHEN program_name LIKE 'cutover % by %' THEN 0 ELSE 1 END, login_time;";

/// An application lock that is ours, until it is released, dropped or lost.
pub struct AppLock {
    server: String,
    resource: String,
    /// behind an `Arc`, so that a proof runs to its end although nobody waits for it: a batch that is dropped takes its
    /// connection along, and this connection is the lock
    held: Arc<Mutex<Held>>,
}

struct Held {
    connection: Connection,
    /// once lost, it is not found again
    lost: Option<Lost>,
}

/// What came of asking for the lock.
#[derive(Debug)]
pub enum Taken {
    Ours(AppLock),
    Theirs(Holder),
}

/// Who holds it, as far as the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// 0: unknown
    pub session: i64,
    pub login: String,
    pub host: String,
    /// `cutover <run> by <operator>@<host>` if it is a run of this program
    pub program: String,
    /// when its session logged in, the server's local time
    pub since: Option<DateTime>,
}

/// The lock is not ours any more, or nobody can say that it is. Somebody else may work on the database now.
#[derive(Clone, Debug, thiserror::Error, miette::Diagnostic)]
pub enum Lost {
    /// The run holds an application lock on the server so that two operators do not fail the same database over. The connection
    /// that held it did not answer, and a server frees a lock with its session: somebody else may work on the database now. The
    /// next change was not begun.
    #[error("the lock `{resource}` on `{server}` is lost: {source}")]
    #[diagnostic(
        code(cutover::sqlserver::lock_lost),
        help("find out whether the server restarted and whether somebody else works on this database now; then resume the run")
    )]
    Connection {
        server: String,
        resource: String,
        #[source]
        source: Box<Failure>,
    },

    /// The server says that the lock is not ours any more, although the session still is.
    #[error("the lock `{resource}` on `{server}` is lost: the server says `{mode}` of it, not `Exclusive`")]
    #[diagnostic(
        code(cutover::sqlserver::lock_lost),
        help("find out who released it and whether somebody else works on this database now; then resume the run")
    )]
    NotHeld { server: String, resource: String, mode: String },
}

impl AppLock {
    /// Asks the server for the lock on one of its databases. `who` is shown to whoever comes second: `operator@host`.
    ///
    /// Another's is not waited for: what was looked at before it was free would be old by then. Only a session of this same
    /// run, killed a moment ago, is.
    pub async fn take(servers: &Servers, key: &str, database: &str, who: &str) -> Result<Taken, Failure> {
        let target = servers.target(key)?;
        let program = cut(&format!("{} by {who}", target.program), PROGRAM_LENGTH);
        // the lock lives in the database it is taken in: everybody's must be the same
        let own = Target { program, database: "master".into(), ..Target::clone(target) };
        let mut connection = Connection::open(&Arc::new(own)).await?;
        let unreadable = |detail: String| Failure::Unreadable { server: key.into(), detail, in_doubt: false };
        let resource = resource_of(&mut connection, key, database).await?;
        let mut patience = 0;
        loop {
            let take = Batch::read(TAKE).bind("resource", resource.as_str()).bind("patience", patience).within(TAKING);
            match connection.run(&take).await?.integer() {
                // at once, or after our own dead session ended
                Some(0 | 1) => {
                    let held = Arc::new(Mutex::new(Held { connection, lost: None }));
                    return Ok(Taken::Ours(Self { server: key.into(), resource, held }));
                }
                Some(-1) => {
                    let holder = Holder::find(&mut connection, &resource, &target.program).await;
                    if patience > 0 || !holder.is_of(&target.program) {
                        return Ok(Taken::Theirs(holder));
                    }
                    patience = PATIENCE_MS;
                }
                Some(other) => return Err(unreadable(format!("sp_getapplock gave {other}"))),
                None => return Err(unreadable("sp_getapplock gave nothing".into())),
            }
        }
    }

    /// Who else holds the lock on a database now, without asking for it; none if it is free or of this run. Only reads.
    pub async fn look(servers: &Servers, key: &str, database: &str) -> Result<Option<Holder>, Failure> {
        let run = &servers.target(key)?.program;
        let mut connection = servers.open(key).await?;
        let resource = resource_of(&mut connection, key, database).await?;
        let test = Batch::read(TEST).bind("resource", resource.as_str()).within(PROOF);
        match connection.run(&test).await?.integer() {
            Some(0) => Ok(Some(Holder::find(&mut connection, &resource, run).await).filter(|holder| !holder.is_of(run))),
            _ => Ok(None),
        }
    }

    /// What is locked, as the server knows it: `cutover: mgc on DR-SQL-01\RTC`.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Proves on the lock's own connection, within seconds, that it is still ours. May be called from several tasks, and
    /// dropped: the proof ends by itself. Once it failed it fails for ever.
    pub async fn check(&self) -> Result<(), Lost> {
        let (server, resource, held) = (self.server.clone(), self.resource.clone(), Arc::clone(&self.held));
        let proof = tokio::spawn(async move {
            let mut held = held.lock().await;
            if let Some(lost) = &held.lost {
                return Err(lost.clone());
            }
            let ask = Batch::read(MODE).bind("resource", resource.as_str()).within(PROOF);
            let lost = match held.connection.run(&ask).await {
                Ok(answer) => match answer.rows().first().and_then(|row| text(row, "mode")).unwrap_or("NULL") {
                    "Exclusive" => return Ok(()),
                    mode => Lost::NotHeld { server, resource, mode: mode.to_owned() },
                },
                Err(failure) => Lost::Connection { server, resource, source: Box::new(failure) },
            };
            held.lost = Some(lost.clone());
            Err(lost)
        });
        proof.await.unwrap_or_else(|error| {
            let failure = Failure::Unreadable { server: self.server.clone(), detail: error.to_string(), in_doubt: false };
            Err(Lost::Connection { server: self.server.clone(), resource: self.resource.clone(), source: Box::new(failure) })
        })
    }

    /// Gives it back and closes its connection. Dropping does it too, but then the server hears of it a moment later.
    pub async fn release(self) {
        let mut held = self.held.lock().await;
        let release = Batch::read(RELEASE).bind("resource", self.resource.as_str()).within(PROOF);
        if held.lost.is_none()
            && let Err(error) = held.connection.run(&release).await
        {
            // it ends with the session, which is closed next
            tracing::debug!(server = self.server, %error, "the lock was not released in words");
        }
    }
}

/// The name of the lock, made of the names that the server itself uses.
async fn resource_of(connection: &mut Connection, key: &str, database: &str) -> Result<String, Failure> {
    let names = connection.run(&Batch::read(NAMES).bind("database", database).within(PROOF)).await?;
    let row = names.rows().first();
    match (row.and_then(|row| text(row, "server_name")), row.and_then(|row| text(row, "database_name"))) {
        (Some(server_name), Some(database)) => Ok(cut(&format!("cutover: {database} on {server_name}"), RESOURCE_LENGTH)),
        _ => Err(Failure::Unreadable { server: key.into(), detail: "the server does not say its name".into(), in_doubt: false }),
    }
}

impl fmt::Debug for AppLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppLock").field("server", &self.server).field("resource", &self.resource).finish_non_exhaustive()
    }
}

impl Holder {
    const UNKNOWN: Self = Self { session: 0, login: String::new(), host: String::new(), program: String::new(), since: None };

    /// Who holds it. The view shows the resource's beginning only, so that of two long names the wrong holder may be told.
    async fn find(connection: &mut Connection, resource: &str, run: &str) -> Self {
        // principal 0 is public; then the beginning in brackets, then a hash
        let pattern = format!("0:[[]{}]:%", like_literal(&cut(resource, SHOWN_LENGTH)));
        let asked = [Batch::read(HOLDER).bind("pattern", pattern), Batch::read(SESSIONS).bind("run", run)];
        for batch in asked {
            // who may not see the locks, or other sessions, is told nothing or an error: both mean unknown
            match connection.run(&batch.within(PROOF)).await {
                Ok(answer) => {
                    if let Some(row) = answer.rows().first() {
                        return Self::from_row(row);
                    }
                }
                Err(error) => tracing::debug!(server = connection.server(), %error, "the lock's holder"),
            }
        }
        Self::UNKNOWN
    }

    /// True if it is a session of that run: its program name, or the beginning of one that was too long.
    fn is_of(&self, run: &str) -> bool {
        let own = cut(&format!("{run} by "), PROGRAM_LENGTH);
        self.program == run || self.program.starts_with(&own)
    }

    fn from_row(row: &Row) -> Self {
        let words = |column: &str| text(row, column).unwrap_or_default().trim_end().to_owned();
        Self {
            session: int(row, "session_id").unwrap_or_default(),
            login: words("login_name"),
            host: words("host_name"),
            program: words("program_name"),
            since: datetime(row, "login_time"),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.session == 0 {
            return f.write_str("somebody whom this login may not see");
        }
        write!(f, "`{}`", self.program)?;
        if !self.login.is_empty() {
            write!(f, ", login `{}`", self.login)?;
        }
        if !self.host.is_empty() {
            write!(f, ", from `{}`", self.host)?;
        }
        write!(f, ", session {}", self.session)?;
        match self.since {
            Some(since) => write!(f, ", since {} (the server's time)", since.strftime("%Y-%m-%d %H:%M:%S")),
            None => Ok(()),
        }
    }
}

/// The beginning of a text, in the units in which the server counts.
fn cut(text: &str, length: usize) -> String {
    let mut units = 0;
    let fits = |c: &char| {
        units += c.len_utf16();
        units <= length
    };
    text.chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_told_in_words() {
        let holder = Holder {
            session: 57,
            login: "LITWAREINC\\anna".into(),
            host: "LAPTOP-7".into(),
            program: "cutover 20260304-1 by anna@laptop-7".into(),
            since: Some(jiff::civil::date(2026, 3, 4).at(10, 20, 30, 123_000_000)),
        };
        assert_eq!(
            holder.to_string(),
            "`cutover 20260304-1 by anna@laptop-7`, login `LITWAREINC\\anna`, from `LAPTOP-7`, session 57, since 2026-03-04 10:20:30 \
             (the server's time)"
        );
        assert_eq!(Holder::UNKNOWN.to_string(), "somebody whom this login may not see");
    }

    #[test]
    fn names_are_cut_where_the_server_would_cut_them() {
        assert_eq!(cut("cutover", 7), "cutover");
        assert_eq!(cut("cutover", 3), "cut");
        // a character of two units is never halved
        assert_eq!(cut("ab\u{1F600}c", 3), "ab");
    }
}
