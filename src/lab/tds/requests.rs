//! What a client asks for after login, read from its messages: a batch, procedure calls, transaction requests
//! (MS-TDS 2.2.6.7, 2.2.6.6, 2.2.6.9). `sp_executesql` is unpacked here, so that a session only ever sees text.

use super::cursor::{Bad, Cursor, utf16};
use super::{Cell, Parameter, Request, ServerMessage, Type, values};
use crate::lab::values::{convert, parse_type};

/// One procedure call of an RPC message.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// what a session gets, or why the server refuses before asking it
    pub request: Result<Request, ServerMessage>,
    /// what a record of the call shows: the T-SQL inside `sp_executesql`, else `EXEC name`
    pub text: String,
    /// the output parameters' names as RETURNVALUE must repeat them
    pub given: Vec<Given>,
}

/// How a client named a parameter, and where it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// as [`Parameter::name`] has it
    pub name: String,
    pub as_sent: String,
    pub ordinal: u16,
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
/// The same, after a call that only wants its metadata.
const NO_EXECUTE: u8 = 0xFE;

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
        c.take(2)?; // options: recompile, no metadata, reuse metadata
        match read_parameters(&mut c) {
            Ok(values) => calls.push(call(name, values)),
            Err(Unread::Malformed(bad)) => return Err(bad),
            Err(Unread::Type { ordinal, code }) => {
                calls.push(Call { request: Err(unknown_type(ordinal, code)), text: format!("EXEC {name}"), given: Vec::new() });
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

/// One parameter as it was sent.
struct Sent {
    name: String,
    /// the procedure's own default is asked for
    default: bool,
    output: bool,
    ty: Type,
    value: Cell,
}

fn read_parameters(c: &mut Cursor<'_>) -> Result<Vec<Sent>, Unread> {
    let mut parameters = Vec::new();
    while let Some(next) = c.peek() {
        if next == NO_EXECUTE || next == SEPARATOR {
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

fn call(name: String, sent: Vec<Sent>) -> Call {
    let given = |sent: &[Sent]| {
        sent.iter()
            .enumerate()
            .map(|(i, one)| Given { name: with_at(&one.name), as_sent: one.name.clone(), ordinal: u16::try_from(i).unwrap_or(u16::MAX) })
            .collect::<Vec<_>>()
    };
    if plain_name(&name).eq_ignore_ascii_case("sp_executesql") {
        return execute_sql(sent);
    }
    let text = format!("EXEC {name}");
    let given = given(&sent);
    let parameters = sent.into_iter().filter(|one| !one.default).map(|one| parameter(with_at(&one.name), one)).collect();
    Call { request: Ok(Request::Procedure { name, parameters }), text, given }
}

fn parameter(name: String, sent: Sent) -> Parameter {
    Parameter { name, ty: sent.ty, value: sent.value, output: sent.output }
}

fn with_at(name: &str) -> String {
    match name {
        "" => String::new(),
        name if name.starts_with('@') => name.to_owned(),
        name => format!("@{name}"),
    }
}

/// The last part of a procedure's name, without brackets: `[sys].sp_tables` is `sp_tables`.
fn plain_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name).trim_start_matches('[').trim_end_matches(']')
}

/// `sp_executesql`: the text, its declarations, then the values, by name or in the order of the declarations.
fn execute_sql(sent: Vec<Sent>) -> Call {
    let mut sent = sent.into_iter().enumerate();
    let mut text_of_next = || match sent.next() {
        Some((_, Sent { value: Cell::Text(text), .. })) => Some(text),
        _ => None,
    };
    let text = text_of_next();
    let declarations = text_of_next().unwrap_or_default();
    let Some(text) = text else {
        let message = error(214, 16, 2, "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'.");
        let request = Err(ServerMessage { procedure: "sp_executesql".into(), line: 1, ..message });
        return Call { request, text: "EXEC sp_executesql".into(), given: Vec::new() };
    };
    let declared = declared(&declarations);
    let mut in_order = declared.iter().map(|(name, _)| name);
    let mut given = Vec::new();
    let mut parameters = Vec::new();
    let mut too_many = false;
    let mut unfit = None;
    for (i, one) in sent {
        let name = match one.name.as_str() {
            "" => in_order.next().cloned(),
            name => Some(with_at(name)),
        };
        let Some((_, ty)) = name.as_ref().and_then(|name| declared.iter().find(|(d, _)| d.eq_ignore_ascii_case(name))) else {
            too_many = true;
            continue;
        };
        let name = name.unwrap_or_default();
        given.push(Given { name: name.clone(), as_sent: one.name.clone(), ordinal: u16::try_from(i).unwrap_or(u16::MAX) });
        let mut one = parameter(name, one);
        // a declared type decides, whatever type the value came in
        if let Some(ty) = parse_type(ty, 1) {
            match convert(&one.value, one.ty, ty, 0) {
                Ok(value) => (one.value, one.ty) = (value, ty),
                Err(message) => unfit = unfit.or(Some(*message)),
            }
        }
        parameters.push(one);
    }
    let missing = declared.iter().map(|(name, _)| name).find(|d| !parameters.iter().any(|p| p.name.eq_ignore_ascii_case(d)));
    let request = match missing {
        _ if too_many => Err(error(8144, 16, 2, "Procedure or function  has too many arguments specified.")),
        Some(name) => Err(error(
            8178,
            16,
            1,
            &format!("The parameterized query '({declarations}){text}' expects the parameter '{name}', which was not supplied."),
        )),
        None => match unfit {
            Some(message) => Err(message),
            None => Ok(Request::Batch { text: text.clone(), parameters }),
        },
    };
    Call { request, text, given }
}

/// Names and types in `@a int, @b AS numeric(25,0) OUTPUT`.
fn declared(declarations: &str) -> Vec<(String, &str)> {
    let mut depth = 0u32;
    declarations
        .split(move |c| {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ',' && depth == 0
        })
        .filter_map(|one| one.trim().split_once(char::is_whitespace))
        .filter(|(name, _)| name.starts_with('@'))
        .map(|(name, ty)| {
            let ty = [" OUTPUT", " OUT", " READONLY"].iter().fold(ty.trim(), |ty, word| {
                let at = ty.len().saturating_sub(word.len());
                if ty.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(word)) { ty[..at].trim_end() } else { ty }
            });
            let ty = if ty.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("AS ")) { ty[3..].trim_start() } else { ty };
            (name.to_owned(), ty)
        })
        .collect()
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
