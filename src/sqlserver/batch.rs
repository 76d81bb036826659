//! One batch: its text, its parameters as `sp_executesql` wants them, its limits, and who hears of it while it runs.
//! Sent by `connection.rs`; the values themselves are turned in `cells.rs`.

use std::sync::Arc;
use std::time::Duration;

use tiberius::ColumnData;
use tokio_util::sync::CancellationToken;

use super::cells;
use super::error::Failure;
use super::tap::OnMessage;
use super::value::Value;

/// How long a batch may take from being sent to the end of its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeLimit {
    /// what the site says of the server
    #[default]
    Default,
    /// as long as it takes: BACKUP and RESTORE
    None,
    Some(Duration),
}

/// How far a statement is, by `sys.dm_exec_requests` on a connection of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// `RESTORE DATABASE`, `RESTORE LOG`, `BACKUP LOG`, `KILLED/ROLLBACK`, …
    pub command: String,
    /// may stand still for long, above all at 0 and 100
    pub percent: f64,
    /// what it waits for just now
    pub wait_type: Option<String>,
    pub elapsed: Duration,
}

/// Called about twice a second while a statement runs.
pub type OnProgress = Arc<dyn Fn(&Progress) + Send + Sync>;

/// One T-SQL batch for one server.
#[derive(Clone, Default)]
pub struct Batch {
    pub text: String,
    /// name (with or without its `@`) and value, in the order in which they are declared; none: a plain batch
    pub parameters: Vec<(String, Value)>,
    pub time_limit: TimeLimit,
    /// the batch may change something: a loss after it was sent is *in doubt*, and it is never sent twice
    pub changes: bool,
    /// hears every message when it arrives
    pub on_message: Option<OnMessage>,
    /// hears how far it is; costs a second connection
    pub on_progress: Option<OnProgress>,
    /// ends the batch with an attention
    pub cancel: Option<CancellationToken>,
}

impl Batch {
    /// A batch that only reads.
    pub fn read(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A batch that may change something.
    pub fn change(text: impl Into<String>) -> Self {
        Self { changes: true, ..Self::read(text) }
    }

    /// Adds a parameter.
    pub fn bind(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    pub fn within(mut self, limit: Duration) -> Self {
        self.time_limit = TimeLimit::Some(limit);
        self
    }

    pub fn without_limit(mut self) -> Self {
        self.time_limit = TimeLimit::None;
        self
    }

    pub fn on_message(mut self, hear: impl Fn(&super::Message) + Send + Sync + 'static) -> Self {
        self.on_message = Some(Arc::new(hear));
        self
    }

    pub fn on_progress(mut self, hear: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(hear));
        self
    }

    pub fn cancelled_by(mut self, token: CancellationToken) -> Self {
        self.cancel = Some(token);
        self
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("text", &self.text)
            .field("parameters", &self.parameters)
            .field("time_limit", &self.time_limit)
            .field("changes", &self.changes)
            .finish_non_exhaustive()
    }
}

/// A batch as it is sent.
pub(super) enum Bound<'a> {
    /// SQLBatch
    Text(&'a str),
    /// RPC of sp_executesql: text, declaration list, then the values under their names with `@`
    Call { text: &'a str, declarations: String, parameters: Vec<(String, ColumnData<'a>)> },
}

/// Makes a batch ready to be sent; refuses what T-SQL cannot take.
pub(super) fn bind<'a>(server: &str, batch: &'a Batch) -> Result<Bound<'a>, Failure> {
    if batch.parameters.is_empty() {
        return Ok(Bound::Text(&batch.text));
    }
    let mut declarations = String::new();
    let mut parameters = Vec::new();
    for (name, value) in &batch.parameters {
        let name = name.trim_start_matches('@');
        let wrong = |why: &str| Failure::Parameter { server: server.into(), name: name.into(), why: why.into() };
        // the name goes into the declaration list as it is
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '#' | '$');
        if name.is_empty() || name.chars().count() > 127 || !name.chars().all(plain) {
            return Err(wrong("not a name for a T-SQL variable"));
        }
        let (ty, data) = cells::parameter(value).map_err(|why| wrong(&why))?;
        if !declarations.is_empty() {
            declarations.push_str(", ");
        }
        declarations.push_str(&format!("@{name} {ty}"));
        parameters.push((format!("@{name}"), data));
    }
    Ok(Bound::Call { text: &batch.text, declarations, parameters })
}
