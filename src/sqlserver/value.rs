//! What a batch answers: result sets with their columns in order, counts, and every message.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::wire::lsn::Lsn;

/// One cell, or one bound parameter. T-SQL types map here without loss or are refused by name.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bit(bool),
    /// tinyint, smallint, int, bigint
    Int(i64),
    /// real, float
    Float(f64),
    /// numeric(25,0), what SQL Server uses for log sequence numbers
    Lsn(Lsn),
    /// decimal, numeric, money, smallmoney; up to 28 digits
    Decimal(rust_decimal::Decimal),
    /// char, varchar, nchar, nvarchar, text, ntext, xml, sysname
    Text(String),
    /// binary, varbinary, image, rowversion
    Blob(Vec<u8>),
    Guid(uuid::Uuid),
    Date(jiff::civil::Date),
    Time(jiff::civil::Time),
    /// datetime, smalldatetime, datetime2: no zone
    DateTime(jiff::civil::DateTime),
    /// datetimeoffset: local time and offset in minutes
    DateTimeOffset(jiff::civil::DateTime, i16),
}

/// One row: column name to value, in column order; a name that comes twice keeps both, the second as `NAME_2`.
pub type Row = Arc<IndexMap<String, Value>>;

/// One result set; columns are kept also when there are no rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResultSet {
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

/// One INFO (severity 10 or less) or ERROR of the server, as the wire carries it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Message {
    pub number: i32,
    pub severity: u8,
    pub state: u8,
    pub text: String,
    pub server: String,
    /// empty outside a procedure
    pub procedure: String,
    /// line within the batch or procedure, from 1
    pub line: u32,
}

impl Message {
    /// True from severity 11 on: what SQL Server sends as ERROR.
    pub fn is_error(&self) -> bool {
        self.severity > 10
    }
}

impl fmt::Display for Message {
    /// One line, in the order that SQL Server's own tools print it: number, level, state, procedure, line, text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // PRINT and RAISERROR WITH NOWAIT at severity 0: text for people
        if self.number == 0 {
            return f.write_str(&self.text);
        }
        let Self { number, severity, state, line, .. } = self;
        write!(f, "Msg {number}, Level {severity}, State {state}")?;
        if !self.procedure.is_empty() {
            write!(f, ", Procedure {}", self.procedure)?;
        }
        write!(f, ", Line {line}: {}", self.text)
    }
}

impl std::error::Error for Message {}

impl miette::Diagnostic for Message {
    fn severity(&self) -> Option<miette::Severity> {
        Some(if self.is_error() { miette::Severity::Error } else { miette::Severity::Advice })
    }
}

/// The whole answer to one batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub sets: Vec<ResultSet>,
    /// rows affected, one entry per statement that counted
    pub affected: Vec<u64>,
    /// every message of the batch, in order
    pub messages: Vec<Message>,
    /// the last return code of a procedure that the batch called; of `sp_executesql` itself when there were parameters
    pub status: Option<i32>,
    /// the answer held something that only half of it could be read around: numbers of messages, or counts, may be missing
    pub incomplete: bool,
}

impl Answer {
    /// The first cell of the first row of the first set.
    pub fn value(&self) -> Option<&Value> {
        self.sets.first()?.rows.first()?.first().map(|(_, value)| value)
    }

    /// [`Answer::value`] if it is an integer or a bit.
    pub fn integer(&self) -> Option<i64> {
        match self.value()? {
            Value::Int(n) => Some(*n),
            Value::Bit(b) => Some(i64::from(*b)),
            _ => None,
        }
    }

    /// Rows of the first set.
    pub fn rows(&self) -> &[Row] {
        self.sets.first().map_or(&[], |set| set.rows.as_slice())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bit(b)
    }
}

impl From<Lsn> for Value {
    fn from(lsn: Lsn) -> Self {
        Self::Lsn(lsn)
    }
}
