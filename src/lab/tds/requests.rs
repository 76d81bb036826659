//! What a client asks for after login, read from its messages: a batch, procedure calls, transaction requests
//! (MS-TDS 2.2.6.7, 2.2.6.6, 2.2.6.9). What a call means is `prepared.rs`.

use super::cursor::{Bad, Cursor, utf16};
use super::{Cell, ServerMessage, Type, values};

/// One procedure call of an RPC message.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub name: String,
    /// the client has the columns of the answer already and asks that they be left out
    pub no_metadata: bool,
    /// as they were sent, or why the server refuses the call
    pub sent: Result<Vec<Sent>, ServerMessage>,
}

/// One parameter as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// with or without its `@`; empty: by position
    pub name: String,
    /// the procedure's own default is asked for
    pub default: bool,
    pub output: bool,
    pub ty: Type,
    pub value: Cell,
}

/// A transaction manager request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transaction {
    Begin,
    /// `begin`: and open the next one at once
    Commit {
        begin: bool,
    },
    Rollback {
        begin: bool,
    },
    Save,
}

/// Skips ALL_HEADERS: the lab needs neither the transaction's descriptor nor query notifications.
fn skip_headers(c: &mut Cursor<'_>) -> Result<(), Bad> {
    let total = c.size()?;
    let rest = total.checked_sub(4).ok_or(Bad::Invalid("length of ALL_HEADERS"))?;
    c.take(rest).map(drop)
}

/// Reads a batch: its text.
pub fn read_batch(body: &[u8]) -> Result<String, Bad> {
    let mut c = Cursor::new(body);
    skip_headers(&mut c)?;
    utf16(c.all())
}

/// Reads a transaction manager request; `None` for the distributed kinds, which the lab refuses.
pub fn read_transaction(body: &[u8]) -> Result<Option<Transaction>, Bad> {
    let mut c = Cursor::new(body);
    skip_headers(&mut c)?;
    let kind = c.u16()?;
    // isolation level and name follow, and for 7 and 8 a flag: begin the next one
    let mut begin = || -> Result<bool, Bad> {
        c.short_text()?;
        Ok(if c.is_empty() { 0 } else { c.u8()? } & 1 != 0)
    };
    Ok(match kind {
        5 => Some(Transaction::Begin),
        7 => Some(Transaction::Commit { begin: begin()? }),
        8 => Some(Transaction::Rollback { begin: begin()? }),
        9 => Some(Transaction::Save),
        _ => None,
    })
}

/// The procedures that RPC may name by number (MS-TDS 2.2.6.6), from 1.
const BY_NUMBER: [&str; 15] = [
    "sp_cursor",
    "sp_cursoropen",
    "sp_cursorprepare",
    "sp_cursorexecute",
    "sp_cursorprepexec",
    "sp_cursorunprepare",
    "sp_cursorfetch",
    "sp_cursoroption",
    "sp_cursorclose",
    "sp_executesql",
    "sp_prepare",
    "sp_execute",
    "sp_prepexec",
    "sp_prepexecrpc",
    "sp_unprepare",
];

/// Between two calls of one message. No parameter's name is that long.
const SEPARATOR: u8 = 0xFF;
/// The same, between calls of which one is not to be executed: no client is known to send it.
const NO_EXECUTE: u8 = 0xFE;
/// The call's option flag of that meaning (fNoMetaData).
const NO_METADATA: u16 = 0x0002;

/// Reads an RPC message: its calls, in order.
///
/// A data type that cannot be read hides what follows it, so the calls after it are lost; SQL Server answers it alike.
pub fn read_calls(body: &[u8]) -> Result<Vec<Call>, Bad> {
    let mut c = Cursor::new(body);
    skip_headers(&mut c)?;
    let mut calls = Vec::new();
    while !c.is_empty() {
        let name = match c.u16()? {
            0xFFFF => {
                let number = c.u16()?;
                let index = usize::from(number).checked_sub(1).ok_or(Bad::Invalid("procedure number"))?;
                (*BY_NUMBER.get(index).ok_or(Bad::Invalid("procedure number"))?).to_owned()
            }
            n => c.chars(n.into())?,
        };
        let no_metadata = c.u16()? & NO_METADATA != 0;
        match read_parameters(&mut c) {
            Ok(sent) => calls.push(Call { name, no_metadata, sent: Ok(sent) }),
            Err(Unread::Malformed(bad)) => return Err(bad),
            Err(Unread::Type { ordinal, code }) => {
                calls.push(Call { name, no_metadata, sent: Err(unknown_type(ordinal, code)) });
                return Ok(calls);
            }
        }
    }
    Ok(calls)
}

enum Unread {
    Malformed(Bad),
    Type { ordinal: usize, code: u8 },
}

impl From<Bad> for Unread {
    fn from(bad: Bad) -> Self {
        Self::Malformed(bad)
    }
}

fn read_parameters(c: &mut Cursor<'_>) -> Result<Vec<Sent>, Unread> {
    let mut parameters = Vec::new();
    while let Some(next) = c.peek() {
        if next == NO_EXECUTE {
            return Err(Bad::Invalid("separator of calls").into());
        }
        if next == SEPARATOR {
            c.take(1)?;
            break;
        }
        let name = c.short_text()?;
        let status = c.u8()?;
        let typed = |bad| match bad {
            Bad::Type(code) => Unread::Type { ordinal: parameters.len() + 1, code },
            bad => Unread::Malformed(bad),
        };
        let declared = values::read_type(c).map_err(typed)?;
        let value = values::read_value(c, &declared).map_err(typed)?;
        parameters.push(Sent { name, default: status & 2 != 0, output: status & 1 != 0, ty: declared.ty, value });
    }
    Ok(parameters)
}

fn unknown_type(ordinal: usize, code: u8) -> ServerMessage {
    error(
        8009,
        16,
        12,
        &format!(
            "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. \
             Parameter {ordinal} (\"\"): Data type 0x{code:02X} is unknown."
        ),
    )
}

pub(super) fn error(number: i32, severity: u8, state: u8, text: &str) -> ServerMessage {
    ServerMessage { number, severity, state, text: text.to_owned(), procedure: String::new(), line: 1 }
}
