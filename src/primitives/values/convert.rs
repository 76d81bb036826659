//! Between SQL Server's values, JSON and a runbook's values: without loss, or refused.

use std::cmp::Ordering;
use std::fmt::Write;
use std::sync::Arc;

use rhai::{Array, Dynamic, Map};
use rust_decimal::Decimal;
use serde_json::Value as Json;

use super::{Row, Rows, SqlResult, Time};
use crate::sqlserver::value::Value;
use crate::wire::lsn::Lsn;

/// A cell as a runbook sees it; NULL is `()`.
pub fn from_sql(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bit(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Lsn(value) => Dynamic::from(*value),
        Value::Decimal(value) => Dynamic::from(*value),
        Value::Text(value) => value.as_str().into(),
        Value::Blob(value) => Dynamic::from_blob(value.clone()),
        Value::Guid(value) => value.hyphenated().to_string().to_uppercase().into(),
        Value::Date(value) => Dynamic::from(Time::Date(*value)),
        Value::Time(value) => Dynamic::from(Time::Time(*value)),
        Value::DateTime(value) => Dynamic::from(Time::DateTime(*value)),
        Value::DateTimeOffset(value, minutes) => Dynamic::from(Time::Offset(*value, *minutes)),
    }
}

/// A runbook's value as a bound parameter; the error names what has no T-SQL type here.
pub fn to_sql(value: &Dynamic) -> Result<Value, String> {
    let value = value.flatten_clone();
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(value) = value.as_bool() {
        return Ok(Value::Bit(value));
    }
    if let Ok(value) = value.as_int() {
        return Ok(Value::Int(value));
    }
    if let Ok(value) = value.as_float() {
        return Ok(Value::Float(value));
    }
    if let Ok(value) = value.as_char() {
        return Ok(Value::Text(value.to_string()));
    }
    if let Some(value) = value.clone().try_cast::<Decimal>() {
        return Ok(Value::Decimal(value));
    }
    if let Some(value) = value.clone().try_cast::<Lsn>() {
        return Ok(Value::Lsn(value));
    }
    if let Some(value) = value.clone().try_cast::<Time>() {
        return Ok(match value {
            Time::Date(value) => Value::Date(value),
            Time::Time(value) => Value::Time(value),
            Time::DateTime(value) => Value::DateTime(value),
            Time::Offset(value, minutes) => Value::DateTimeOffset(value, minutes),
        });
    }
    if let Ok(value) = value.clone().into_immutable_string() {
        return Ok(Value::Text(value.to_string()));
    }
    if let Ok(value) = value.clone().into_blob() {
        return Ok(Value::Blob(value));
    }
    Err(format!("a value of type {} cannot be bound", super::type_name(&value)))
}

/// JSON as a runbook sees it: objects in a list become rows, an object elsewhere a map.
pub fn from_json(value: &Json) -> Dynamic {
    match value {
        Json::Null => Dynamic::UNIT,
        Json::Bool(value) => (*value).into(),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => value.into(),
            (None, Some(value)) => value.into(),
            (None, None) => number.to_string().into(),
        },
        Json::String(value) => value.as_str().into(),
        Json::Array(values) => Dynamic::from_array(values.iter().map(from_json).collect()),
        Json::Object(map) => Dynamic::from_map(map.iter().map(|(k, v)| (k.as_str().into(), from_json(v))).collect()),
    }
}

impl Row {
    /// An object of JSON as a row, its keys in order.
    pub fn from_json(map: &serde_json::Map<String, Json>) -> Self {
        Self(Arc::new(map.iter().map(|(k, v)| (k.as_str().into(), from_json(v))).collect()))
    }
}

/// A runbook's value as the record keeps it. Text of a closure is left out: it is not data.
pub fn to_json(value: &Dynamic) -> Json {
    let value = value.flatten_clone();
    if value.is_unit() || value.is_fnptr() {
        return Json::Null;
    }
    if let Ok(value) = value.as_bool() {
        return value.into();
    }
    if let Ok(value) = value.as_int() {
        return value.into();
    }
    if let Ok(value) = value.as_float() {
        return serde_json::Number::from_f64(value).map_or_else(|| value.to_string().into(), Json::Number);
    }
    if let Ok(value) = value.clone().into_blob() {
        return hex(&value).into();
    }
    if let Some(value) = value.read_lock::<Array>() {
        return value.iter().map(to_json).collect();
    }
    if let Some(value) = value.read_lock::<Map>() {
        return value
            .iter()
            .filter(|(_, v)| !v.is_fnptr())
            .map(|(k, v)| (k.to_string(), to_json(v)))
            .collect::<serde_json::Map<_, _>>()
            .into();
    }
    if let Some(value) = value.read_lock::<Row>() {
        return value.0.iter().map(|(k, v)| (k.to_string(), to_json(v))).collect::<serde_json::Map<_, _>>().into();
    }
    if let Some(value) = value.read_lock::<Rows>() {
        return value.rows.iter().map(|row| to_json(&Dynamic::from(row.clone()))).collect();
    }
    if let Some(value) = value.read_lock::<SqlResult>() {
        return to_json(&Dynamic::from(value.rows()));
    }
    text_of(&value).into()
}

/// A cell as the record keeps it, without loss: what JSON has no type for is `{"t": type, "v": text}`.
pub(super) fn encode(value: &Dynamic) -> Json {
    let tagged = |t: &str, v: String| serde_json::json!({ "t": t, "v": v });
    if let Ok(value) = value.as_float() {
        return serde_json::Number::from_f64(value).map_or_else(|| tagged("float", value.to_string()), Json::Number);
    }
    if let Some(value) = value.read_lock::<Decimal>() {
        return tagged("decimal", value.to_string());
    }
    if let Some(value) = value.read_lock::<Lsn>() {
        return tagged("lsn", value.to_string());
    }
    if let Some(value) = value.read_lock::<rhai::Blob>() {
        return tagged("blob", hex(&value));
    }
    if let Some(value) = value.read_lock::<Time>() {
        let t = match *value {
            Time::Date(_) => "date",
            Time::Time(_) => "time",
            Time::DateTime(_) => "datetime",
            Time::Offset(..) => "datetimeoffset",
        };
        return tagged(t, value.to_string());
    }
    to_json(value)
}

/// Such a cell again; the error says what is not understood.
pub(super) fn decode(json: &Json) -> Result<Dynamic, String> {
    let Some(map) = json.as_object() else { return Ok(from_json(json)) };
    let (Some(t), Some(v)) = (map.get("t").and_then(Json::as_str), map.get("v").and_then(Json::as_str)) else {
        return Err(format!("`{json}` is no cell"));
    };
    let bad = || format!("`{v}` is no {t}");
    Ok(match t {
        "float" => v.parse::<f64>().map_err(|_| bad())?.into(),
        "decimal" => Dynamic::from(v.parse::<Decimal>().map_err(|_| bad())?),
        "lsn" => Dynamic::from(v.parse::<Lsn>().map_err(|_| bad())?),
        "blob" => Dynamic::from_blob(unhex(v).ok_or_else(bad)?),
        "date" => Dynamic::from(Time::Date(v.parse().map_err(|_| bad())?)),
        "time" => Dynamic::from(Time::Time(v.parse().map_err(|_| bad())?)),
        "datetime" => Dynamic::from(Time::DateTime(v.parse().map_err(|_| bad())?)),
        "datetimeoffset" => Dynamic::from(Time::offset(v).ok_or_else(bad)?),
        _ => return Err(format!("`{t}` is no type of a cell")),
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    let pairs = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?, 16).ok());
    pairs.collect()
}

/// `0xDEADBEEF`
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("0x"), |mut text, byte| {
        // writing to a String cannot fail
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// A value as a person reads it; a missing one (NULL) is empty.
pub fn text_of(value: &Dynamic) -> String {
    if value.is_unit() {
        return String::new();
    }
    if let Some(lsn) = value.clone().try_cast::<Lsn>() {
        return lsn.to_string();
    }
    if let Some(time) = value.clone().try_cast::<Time>() {
        return time.to_string();
    }
    if let Some(row) = value.clone().try_cast::<Row>() {
        return row.to_string();
    }
    if let Some(blob) = value.read_lock::<rhai::Blob>() {
        return hex(&blob);
    }
    if value.is_array() || value.is_map() {
        return to_json(value).to_string();
    }
    value.to_string()
}

/// A total order for sorting: missing values first, numbers by value, times and LSNs as such, the rest by text.
pub(super) fn compare(a: &Dynamic, b: &Dynamic) -> Ordering {
    if a.is_unit() || b.is_unit() {
        return b.is_unit().cmp(&a.is_unit());
    }
    if let (Ok(a), Ok(b)) = (a.as_int(), b.as_int()) {
        return a.cmp(&b);
    }
    if let (Ok(a), Ok(b)) = (a.as_float(), b.as_float()) {
        return a.total_cmp(&b);
    }
    if let (Some(a), Some(b)) = (a.clone().try_cast::<Decimal>(), b.clone().try_cast::<Decimal>()) {
        return a.cmp(&b);
    }
    if let (Some(a), Some(b)) = (a.clone().try_cast::<Lsn>(), b.clone().try_cast::<Lsn>()) {
        return a.cmp(&b);
    }
    if let (Some(a), Some(b)) = (a.clone().try_cast::<Time>(), b.clone().try_cast::<Time>())
        && let Some(order) = a.order(b)
    {
        return order;
    }
    text_of(a).cmp(&text_of(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bit),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_map(Value::Float),
            (0u128..10u128.pow(25)).prop_map(|n| Value::Lsn(Lsn(n))),
            (any::<i64>(), 0u32..28).prop_map(|(n, scale)| Value::Decimal(Decimal::from_i128_with_scale(n.into(), scale))),
            any::<String>().prop_map(Value::Text),
            any::<Vec<u8>>().prop_map(Value::Blob),
            any::<u128>().prop_map(|n| Value::Guid(uuid::Uuid::from_u128(n))),
            (1i16..9999, 1i8..13, 1i8..29).prop_map(|(y, m, d)| Value::Date(jiff::civil::date(y, m, d))),
            (0i8..24, 0i8..60, 0i8..60, 0i32..1_000_000_000).prop_map(|(h, m, s, n)| Value::Time(jiff::civil::time(h, m, s, n))),
            (1i16..9999, 1i8..13, 1i8..29, 0i8..24, 0i32..1_000_000_000)
                .prop_map(|(y, m, d, h, n)| Value::DateTime(jiff::civil::date(y, m, d).at(h, 1, 2, n))),
            (1i16..9999, 1i8..13, 1i8..29, -840i16..=840)
                .prop_map(|(y, m, d, o)| Value::DateTimeOffset(jiff::civil::date(y, m, d).at(1, 2, 3, 700), o)),
        ]
    }

    proptest! {
        #[test]
        fn a_cell_survives_the_record(value in cells()) {
            let cell = from_sql(&value);
            let text = encode(&cell).to_string();
            let again = decode(&serde_json::from_str(&text).unwrap()).unwrap();
            prop_assert_eq!(cell.type_name(), again.type_name());
            // as the script could compare them
            match to_sql(&cell).unwrap() {
                Value::Float(f) if f.is_nan() => prop_assert!(again.as_float().unwrap().is_nan()),
                before => prop_assert_eq!(before, to_sql(&again).unwrap()),
            }
        }
    }
}
