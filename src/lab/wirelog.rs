//! The record of what the servers of a lab received, in order of receipt, for `wire.jsonl`.

use std::io::{self, Write};
use std::sync::Mutex;

use serde_json::{Map, Value, json};

use super::instance::lock;
use super::tds::{Cell, Parameter};
use super::values::decimal_text;

struct Record {
    at: String,
    server: String,
    session: u16,
    kind: &'static str,
    text: String,
    params: Map<String, Value>,
    errors: Vec<i32>,
}

/// Of a text that a client sent, the record keeps so many bytes: it stays in memory as long as the lab serves.
const KEPT: usize = 64 * 1024;

/// All servers of one lab write to the same record.
#[derive(Default)]
pub struct WireLog(Mutex<Vec<Record>>);

impl WireLog {
    /// Adds a record and returns its number, from 1.
    pub fn received(&self, at: String, server: &str, session: u16, kind: &'static str, text: &str, parameters: &[Parameter]) -> u64 {
        let mut params = Map::new();
        for (position, parameter) in parameters.iter().enumerate() {
            let name = if parameter.name.is_empty() { format!("{}", position + 1) } else { parameter.name.clone() };
            params.insert(name, kept(cell_json(&parameter.value)));
        }
        let mut records = lock(&self.0);
        records.push(Record {
            at,
            server: server.to_owned(),
            session,
            kind,
            text: shortened(text).unwrap_or_else(|| text.to_owned()),
            params,
            errors: Vec::new(),
        });
        records.len() as u64
    }

    /// Completes record `n` with the errors of its answer.
    pub fn answered(&self, n: u64, errors: Vec<i32>) {
        let mut records = lock(&self.0);
        let at = usize::try_from(n).ok().and_then(|n| n.checked_sub(1));
        if let Some(record) = at.and_then(|at| records.get_mut(at)) {
            record.errors = errors;
        }
    }

    /// Writes one JSON object a line.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for (at, record) in lock(&self.0).iter().enumerate() {
            let line = json!({
                "n": at + 1,
                "at": record.at,
                "server": record.server,
                "session": record.session,
                "kind": record.kind,
                "text": record.text,
                "params": record.params,
                "errors": record.errors,
            });
            serde_json::to_writer(&mut *out, &line)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// A text that is too long, cut and marked.
fn shortened(text: &str) -> Option<String> {
    (text.len() > KEPT).then(|| format!("{}…", &text[..text.floor_char_boundary(KEPT)]))
}

fn kept(value: Value) -> Value {
    match value.as_str().and_then(shortened) {
        Some(text) => json!(text),
        None => value,
    }
}

/// A bound value for people and scripts: numbers as numbers where JSON keeps them, all else as text.
fn cell_json(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bit(b) => json!(b),
        Cell::TinyInt(n) => json!(n),
        Cell::SmallInt(n) => json!(n),
        Cell::Int(n) => json!(n),
        Cell::BigInt(n) => json!(n),
        Cell::Real(x) => json!(x),
        Cell::Float(x) => json!(x),
        Cell::Numeric { value, scale } => json!(decimal_text(*value, *scale)),
        Cell::Money(n) => json!(decimal_text(i128::from(*n), 4)),
        Cell::Text(text) => json!(text),
        Cell::Binary(bytes) => json!(bytes.iter().fold(String::from("0x"), |hex, byte| format!("{hex}{byte:02X}"))),
        Cell::Guid(guid) => json!(guid.to_string()),
        Cell::Date(date) => json!(date.to_string()),
        Cell::Time(time) => json!(time.to_string()),
        Cell::DateTime(at) => json!(at.to_string()),
        Cell::DateTimeOffset(at, minutes) => {
            let sign = if *minutes < 0 { '-' } else { '+' };
            json!(format!("{at}{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::tds::Type;

    #[test]
    fn of_a_long_text_or_value_the_beginning_is_kept() {
        let log = WireLog::default();
        let long = "ü".repeat(KEPT);
        let parameter = Parameter { name: "@p".into(), ty: Type::NVarChar(None), value: Cell::Text(long.clone()), output: false };
        log.received(String::new(), "backup", 51, "batch", &long, &[parameter]);
        log.received(String::new(), "backup", 51, "batch", "SELECT 1", &[]);
        let mut out = Vec::new();
        log.write(&mut out).unwrap();
        let lines: Vec<Value> = out.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let kept = format!("{}…", "ü".repeat(KEPT / 2));
        assert_eq!((&lines[0]["text"], &lines[0]["params"]["@p"]), (&json!(kept), &json!(kept)));
        assert_eq!(lines[1]["text"], "SELECT 1");
    }
}
