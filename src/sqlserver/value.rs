//! What a batch answers: result sets with their columns in order, counts, and every message.

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

/// The whole answer to one batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub sets: Vec<ResultSet>,
    /// rows affected, one entry per statement that counted
    pub affected: Vec<u64>,
    /// every message of the batch, in order
    pub messages: Vec<Message>,
    /// return code of a procedure, when one was called by RPC
    pub status: Option<i32>,
}
