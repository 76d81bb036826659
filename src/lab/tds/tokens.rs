//! The tokens of an answer (MS-TDS 2.2.7), written; nothing here decides when one is due.

use super::values::{self, COLLATION, Misfit};
use super::{Cell, Column, Parameter, ServerMessage, Type};

/// Bits of DONE's status (MS-TDS 2.2.7.6).
pub mod done {
    pub const MORE: u16 = 0x01;
    pub const ERROR: u16 = 0x02;
    pub const COUNT: u16 = 0x10;
    /// acknowledges an attention
    pub const ATTENTION: u16 = 0x20;
}

/// The three tokens that end something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoneKind {
    Done = 0xFD,
    InProcedure = 0xFF,
    Procedure = 0xFE,
}

/// Bytes of a DONE, all three kinds.
pub const DONE_SIZE: usize = 13;

pub fn write_done(out: &mut Vec<u8>, kind: DoneKind, status: u16, command: u16, count: u64) {
    out.push(kind as u8);
    out.extend_from_slice(&status.to_le_bytes());
    out.extend_from_slice(&command.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
}

/// Text in one byte of length, cut at 255 UTF-16 units (B_VARCHAR).
fn short_text(out: &mut Vec<u8>, text: &str) {
    let units: Vec<u16> = text.encode_utf16().take(255).collect();
    out.push(u8::try_from(units.len()).unwrap_or(u8::MAX));
    out.extend(units.into_iter().flat_map(u16::to_le_bytes));
}

/// Text in two bytes of length, cut well below what a token may hold (US_VARCHAR).
fn long_text(out: &mut Vec<u8>, text: &str) {
    let units: Vec<u16> = text.encode_utf16().take(30_000).collect();
    out.extend_from_slice(&u16::try_from(units.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend(units.into_iter().flat_map(u16::to_le_bytes));
}

/// A token whose two bytes of length come first.
fn sized(out: &mut Vec<u8>, token: u8, body: &[u8]) {
    out.push(token);
    out.extend_from_slice(&u16::try_from(body.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(body);
}

/// ERROR or, up to severity 10, INFO; 10 itself leaves as 0 ("Database Engine Error Severities").
pub fn write_message(out: &mut Vec<u8>, message: &ServerMessage, server: &str) {
    let mut body = Vec::new();
    let severity = if message.severity == 10 { 0 } else { message.severity };
    body.extend_from_slice(&message.number.to_le_bytes());
    body.extend_from_slice(&[message.state, severity]);
    long_text(&mut body, &message.text);
    short_text(&mut body, server);
    short_text(&mut body, &message.procedure);
    body.extend_from_slice(&message.line.to_le_bytes());
    sized(out, if message.severity > 10 { 0xAA } else { 0xAB }, &body);
}

/// What an ENVCHANGE changes (MS-TDS 2.2.7.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Database = 1,
    Language = 2,
    PacketSize = 4,
    Collation = 7,
    Began = 8,
    Committed = 9,
    RolledBack = 10,
    /// the connection was reset, as the request's status bit asked
    Reset = 18,
}

pub fn write_change_text(out: &mut Vec<u8>, change: Change, new: &str, old: &str) {
    let mut body = vec![change as u8];
    short_text(&mut body, new);
    short_text(&mut body, old);
    sized(out, 0xE3, &body);
}

pub fn write_change_bytes(out: &mut Vec<u8>, change: Change, new: &[u8], old: &[u8]) {
    let mut body = vec![change as u8];
    for bytes in [new, old] {
        body.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
        body.extend(bytes.iter().take(255));
    }
    sized(out, 0xE3, &body);
}

pub fn write_collation_change(out: &mut Vec<u8>) {
    write_change_bytes(out, Change::Collation, &COLLATION, &[]);
}

/// LOGINACK; `tds` is big-endian here and nowhere else. The program's version is (major, minor, build).
pub fn write_login_ack(out: &mut Vec<u8>, tds: u32, version: (u8, u8, u16)) {
    let mut body = vec![1];
    body.extend_from_slice(&tds.to_be_bytes());
    // clients expect the two NULs after the name, as the server pads it
    short_text(&mut body, "Microsoft SQL Server\0\0");
    body.extend_from_slice(&[version.0, version.1]);
    body.extend_from_slice(&version.2.to_be_bytes());
    sized(out, 0xAD, &body);
}

/// A token of a Windows login's own conversation (MS-TDS 2.2.7.22).
#[cfg(feature = "ntlm")]
pub fn write_sspi(out: &mut Vec<u8>, token: &[u8]) {
    let length = u16::try_from(token.len()).unwrap_or(u16::MAX);
    out.push(0xED);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(token.get(..length.into()).unwrap_or_default());
}

/// FEATUREEXTACK for what was asked and the lab knows of: UTF-8 support, refused.
pub fn write_features(out: &mut Vec<u8>, asked: &[u8]) {
    const UTF8: u8 = 0x0A;
    out.push(0xAE);
    if asked.contains(&UTF8) {
        out.extend_from_slice(&[UTF8, 1, 0, 0, 0, 0]);
    }
    out.push(0xFF);
}

/// COLMETADATA. Every column is nullable and of user type 0.
pub fn write_columns(out: &mut Vec<u8>, columns: &[Column]) {
    out.push(0x81);
    out.extend_from_slice(&u16::try_from(columns.len()).unwrap_or(u16::MAX).to_le_bytes());
    for column in columns.iter().take(usize::from(u16::MAX)) {
        out.extend_from_slice(&[0, 0, 0, 0, 1, 0]);
        values::write_type(out, column.ty);
        short_text(out, &column.name);
    }
}

/// COLMETADATA that says: as before.
pub fn write_known_columns(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x81, 0xFF, 0xFF]);
}

/// ROW, or NBCROW where `compressed` is allowed and there is a NULL to leave out.
pub fn write_row(out: &mut Vec<u8>, types: &[Type], cells: &[Cell], compressed: bool) -> Result<(), Misfit> {
    if types.len() != cells.len() {
        return Err(Misfit);
    }
    let start = out.len();
    let compressed = compressed && cells.contains(&Cell::Null);
    if compressed {
        out.push(0xD2);
        for eight in cells.chunks(8) {
            let bits = eight.iter().enumerate().map(|(i, cell)| u8::from(*cell == Cell::Null) << i);
            out.push(bits.fold(0, |all, bit| all | bit));
        }
    } else {
        out.push(0xD1);
    }
    for (ty, cell) in types.iter().zip(cells) {
        if compressed && *cell == Cell::Null {
            continue;
        }
        if let Err(misfit) = values::write_value(out, *ty, cell) {
            out.truncate(start);
            return Err(misfit);
        }
    }
    Ok(())
}

pub fn write_status(out: &mut Vec<u8>, status: i32) {
    out.push(0x79);
    out.extend_from_slice(&status.to_le_bytes());
}

/// RETURNVALUE of an output parameter, under the name that the client gave it.
pub fn write_output(out: &mut Vec<u8>, ordinal: u16, name: &str, parameter: &Parameter) -> Result<(), Misfit> {
    let start = out.len();
    out.push(0xAC);
    out.extend_from_slice(&ordinal.to_le_bytes());
    short_text(out, name);
    out.extend_from_slice(&[1, 0, 0, 0, 0, 1, 0]);
    values::write_type(out, parameter.ty);
    values::write_value(out, parameter.ty, &parameter.value).inspect_err(|_| out.truncate(start))
}
