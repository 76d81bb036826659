//! The named servers of a run: one connection each, kept alive, proven before it is used again after a rest, opened anew
//! when it broke between statements. A batch that changes something is sent at most once.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use tokio::sync::Mutex;

use super::batch::{Batch, OnProgress, Progress};
use super::connection::{Connection, Target};
use super::error::Failure;
use super::value::{Answer, Value};
use crate::tsql::classify::outlasts;

/// A connection that rested longer is asked for a sign of life before a batch is trusted to it.
const RESTED: Duration = Duration::from_secs(15);
/// How long that sign may take.
const PROOF: Duration = Duration::from_secs(5);
/// How often a running statement is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long one look may take.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

struct Server {
    target: Arc<Target>,
    /// waits here between batches; taken out while one runs, so that a batch that is dropped takes its connection along
    idle: Mutex<Option<Connection>>,
}

/// All servers of the site, by key. Cheap to clone; nothing is connected before it is needed.
#[derive(Clone)]
pub struct Servers(Arc<IndexMap<String, Server>>);

impl Servers {
    pub fn new(targets: impl IntoIterator<Item = Target>) -> Self {
        let server = |target: Target| (target.key.clone(), Server { target: Arc::new(target), idle: Mutex::new(None) });
        Self(Arc::new(targets.into_iter().map(server).collect()))
    }

    /// Keys in the site's order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn target(&self, key: &str) -> Result<&Arc<Target>, Failure> {
        self.server(key).map(|s| &s.target)
    }

    fn server(&self, key: &str) -> Result<&Server, Failure> {
        self.0.get(key).ok_or_else(|| Failure::UnknownServer { server: key.into(), known: self.keys().map(str::to_owned).collect() })
    }

    /// Runs one batch on the server's connection; batches for one server wait for each other.
    pub async fn run(&self, key: &str, batch: &Batch) -> Result<Answer, Failure> {
        let server = self.server(key)?;
        let mut idle = server.idle.lock().await;
        let kept = match idle.take().filter(Connection::is_open) {
            Some(connection) if connection.idle() > RESTED => prove(connection).await,
            other => other,
        };
        let reused = kept.is_some();
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::open(&server.target).await?,
        };
        let mut result = watched(&mut connection, &server.target, batch).await;
        // a connection that died unnoticed while it rested: a read may simply be asked again
        if reused && !batch.changes && matches!(&result, Err(Failure::Lost { messages, .. }) if messages.is_empty()) {
            connection = Connection::open(&server.target).await?;
            result = watched(&mut connection, &server.target, batch).await;
        }
        // every batch begins in the site's database with the same options, whatever the one before said
        if connection.is_open() && !outlasts(&batch.text) {
            *idle = Some(connection);
        }
        result
    }

    /// A connection of its own, which the caller keeps: an application lock, a second pair of eyes.
    pub async fn open(&self, key: &str) -> Result<Connection, Failure> {
        Connection::open(&self.server(key)?.target).await
    }

    /// Looks about twice a second at what a session of the server is doing, on a connection of its own, until dropped.
    /// Returns only if that connection cannot be had.
    pub async fn watch_progress(&self, key: &str, session: u16, hear: OnProgress) -> Result<(), Failure> {
        watch(&self.server(key)?.target, session, &hear).await
    }

    /// Closes every connection that rests.
    pub async fn close(&self) {
        for server in self.0.values() {
            server.idle.lock().await.take();
        }
    }
}

/// A connection that still answers, or none.
async fn prove(mut connection: Connection) -> Option<Connection> {
    let proof = Batch::read("SELECT 1 AS alive;").within(PROOF);
    match connection.run(&proof).await {
        Ok(_) => Some(connection),
        Err(error) => {
            tracing::debug!(server = connection.server(), %error, "a resting connection is gone");
            None
        }
    }
}

/// Runs a batch, with somebody watching its progress if it says so.
async fn watched(connection: &mut Connection, target: &Arc<Target>, batch: &Batch) -> Result<Answer, Failure> {
    let Some(hear) = &batch.on_progress else {
        return connection.run(batch).await;
    };
    let session = connection.session_id();
    let eyes = async {
        // progress is a courtesy: without it the batch runs all the same
        if let Err(error) = watch(target, session, hear).await {
            tracing::debug!(server = target.key, %error, "no progress");
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        result = connection.run(batch) => result,
        never = eyes => never,
    }
}

async fn watch(target: &Arc<Target>, session: u16, hear: &OnProgress) -> Result<(), Failure> {
    // short statements are over before anybody has to look
    tokio::time::sleep(LOOK_EVERY).await;
    let mut eyes = Connection::open(target).await?;
    let look = Batch::read(
        "SELECT command, percent_complete, wait_type, total_elapsed_time \
         FROM sys.dm_exec_requests WHERE session_id = @session_id;",
    )
    .bind("session_id", Value::Int(session.into()))
    .within(LOOK_LIMIT);
    loop {
        let answer = eyes.run(&look).await?;
        if let Some(progress) = answer.sets.first().and_then(|s| s.rows.first()).map(|row| {
            let text = |name: &str| match row.get(name) {
                Some(Value::Text(text)) => Some(text.trim_end().to_owned()),
                _ => None,
            };
            Progress {
                command: text("command").unwrap_or_default(),
                percent: match row.get("percent_complete") {
                    Some(Value::Float(percent)) => *percent,
                    _ => 0.0,
                },
                wait_type: text("wait_type"),
                elapsed: match row.get("total_elapsed_time") {
                    Some(Value::Int(ms)) => Duration::from_millis(u64::try_from(*ms).unwrap_or(0)),
                    _ => Duration::ZERO,
                },
            }
        }) {
            hear(&progress);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
