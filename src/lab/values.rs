//! Values of the simulated server: the names of T-SQL types, conversion between them (CAST, CONVERT, implicit), and how
//! a value is kept in SQLite so that comparing and ordering there gives the server's answer. Used by the catalogue and
//! by the statements; knows nothing of databases or sessions.

use jiff::Span;
use jiff::civil::{Date, DateTime, Time};
use rusqlite::types::{Value, ValueRef};

use super::messages;
use super::tds::{Cell, ServerMessage, Type};

pub const SYSNAME: Type = Type::NVarChar(Some(128));

/// What a type is in comparisons and arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Integer,
    Approximate,
    Numeric,
    Money,
    Text,
    Binary,
    Guid,
    Date,
    Time,
    DateTime,
    Offset,
    Variant,
}

pub fn family(ty: Type) -> Family {
    match ty {
        Type::Bit | Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt => Family::Integer,
        Type::Real | Type::Float => Family::Approximate,
        Type::Numeric { .. } => Family::Numeric,
        Type::Money | Type::SmallMoney => Family::Money,
        Type::NVarChar(_) | Type::VarChar(_) | Type::NChar(_) | Type::Char(_) => Family::Text,
        Type::VarBinary(_) | Type::Binary(_) => Family::Binary,
        Type::Guid => Family::Guid,
        Type::Date => Family::Date,
        Type::Time(_) => Family::Time,
        Type::DateTime | Type::SmallDateTime | Type::DateTime2(_) => Family::DateTime,
        Type::DateTimeOffset(_) => Family::Offset,
        Type::SqlVariant => Family::Variant,
    }
}

/// Data type precedence ("Data type precedence (Transact-SQL)"): the higher one wins in an implicit conversion.
fn rank(ty: Type) -> u8 {
    match ty {
        Type::SqlVariant => 30,
        Type::DateTimeOffset(_) => 29,
        Type::DateTime2(_) => 28,
        Type::DateTime => 27,
        Type::SmallDateTime => 26,
        Type::Date => 25,
        Type::Time(_) => 24,
        Type::Float => 23,
        Type::Real => 22,
        Type::Numeric { .. } => 21,
        Type::Money => 20,
        Type::SmallMoney => 19,
        Type::BigInt => 18,
        Type::Int => 17,
        Type::SmallInt => 16,
        Type::TinyInt => 15,
        Type::Bit => 14,
        Type::Guid => 13,
        Type::NVarChar(_) => 12,
        Type::NChar(_) => 11,
        Type::VarChar(_) => 10,
        Type::Char(_) => 9,
        Type::VarBinary(_) => 8,
        Type::Binary(_) => 7,
    }
}

/// The type in which two operands meet.
pub fn common(a: Type, b: Type) -> Type {
    match (a, b) {
        (Type::SqlVariant, other) | (other, Type::SqlVariant) if other != Type::SqlVariant => other,
        (Type::Numeric { precision: p, scale: s }, Type::Numeric { precision: q, scale: t }) => {
            let scale = s.max(t);
            let whole = (p - s).max(q - t);
            Type::Numeric { precision: (whole + scale).min(38), scale }
        }
        (Type::Numeric { precision, scale }, other) | (other, Type::Numeric { precision, scale }) if family(other) == Family::Integer => {
            let digits = if other == Type::BigInt { 19 } else { 10 };
            Type::Numeric { precision: (precision - scale).max(digits).saturating_add(scale).min(38), scale }
        }
        // text takes the scale of the numeric it meets, as the server does
        (Type::Numeric { .. }, other) if family(other) == Family::Text => a,
        (other, Type::Numeric { .. }) if family(other) == Family::Text => b,
        _ if family(a) == Family::Text && family(b) == Family::Text => {
            let wide = matches!(a, Type::NVarChar(_) | Type::NChar(_)) || matches!(b, Type::NVarChar(_) | Type::NChar(_));
            let length = match (length(a), length(b)) {
                (Some(x), Some(y)) => Some(x.max(y)),
                _ => None,
            };
            if a == b {
                a
            } else if wide {
                Type::NVarChar(length.map(|l| l.min(4000)))
            } else {
                Type::VarChar(length)
            }
        }
        _ if rank(a) >= rank(b) => a,
        _ => b,
    }
}

/// Declared length of a text or binary type; `None` is `max`.
pub fn length(ty: Type) -> Option<u16> {
    match ty {
        Type::NVarChar(n) | Type::VarChar(n) | Type::VarBinary(n) => n,
        Type::NChar(n) | Type::Char(n) | Type::Binary(n) => Some(n),
        _ => None,
    }
}

/// Reads a type as T-SQL writes it. `default_length` is what `nvarchar` alone means: 1 in DECLARE, 30 in CAST.
pub fn parse_type(text: &str, default_length: u16) -> Option<Type> {
    let text = text.trim().to_ascii_lowercase();
    let (name, arguments) = match text.split_once('(') {
        Some((name, rest)) => (name.trim(), rest.trim_end().strip_suffix(')')?.trim()),
        None => (text.as_str(), ""),
    };
    let name = name.trim_start_matches("sys.").trim_matches(['[', ']']);
    let size = |limit: u16| -> Option<Option<u16>> {
        match arguments {
            "" => Some(Some(default_length)),
            "max" => Some(None),
            digits => digits.parse::<u16>().ok().filter(|n| (1..=limit).contains(n)).map(Some),
        }
    };
    let fraction = || -> Option<u8> { if arguments.is_empty() { Some(7) } else { arguments.parse::<u8>().ok().filter(|n| *n <= 7) } };
    let plain = |ty: Type| arguments.is_empty().then_some(ty);
    match name {
        "bit" => plain(Type::Bit),
        "tinyint" => plain(Type::TinyInt),
        "smallint" => plain(Type::SmallInt),
        "int" | "integer" => plain(Type::Int),
        "bigint" => plain(Type::BigInt),
        "real" => plain(Type::Real),
        "float" | "double precision" => match arguments {
            "" => Some(Type::Float),
            n => n.parse::<u8>().ok().map(|n| if n <= 24 { Type::Real } else { Type::Float }),
        },
        "numeric" | "decimal" | "dec" => {
            let mut parts = arguments.split(',').map(str::trim);
            let precision = match parts.next() {
                None | Some("") => 18,
                Some(p) => p.parse().ok().filter(|p| (1..=38).contains(p))?,
            };
            let scale = match parts.next() {
                None => 0,
                Some(s) => s.parse().ok().filter(|s| *s <= precision)?,
            };
            Some(Type::Numeric { precision, scale })
        }
        "money" => plain(Type::Money),
        "smallmoney" => plain(Type::SmallMoney),
        "sysname" => plain(SYSNAME),
        "nvarchar" | "national varchar" => size(4000).map(Type::NVarChar),
        "varchar" | "character varying" => size(8000).map(Type::VarChar),
        "nchar" => size(4000)?.map(Type::NChar),
        "char" | "character" => size(8000)?.map(Type::Char),
        "varbinary" => size(8000).map(Type::VarBinary),
        "binary" => size(8000)?.map(Type::Binary),
        "rowversion" | "timestamp" => plain(Type::Binary(8)),
        "uniqueidentifier" => plain(Type::Guid),
        "date" => plain(Type::Date),
        "time" => fraction().map(Type::Time),
        "datetime" => plain(Type::DateTime),
        "smalldatetime" => plain(Type::SmallDateTime),
        "datetime2" => fraction().map(Type::DateTime2),
        "datetimeoffset" => fraction().map(Type::DateTimeOffset),
        "sql_variant" => plain(Type::SqlVariant),
        _ => None,
    }
}

/// The type as T-SQL writes it; what [`parse_type`] reads back.
pub fn type_name(ty: Type) -> String {
    let sized = |name: &str, n: Option<u16>| match n {
        Some(n) => format!("{name}({n})"),
        None => format!("{name}(max)"),
    };
    match ty {
        Type::Bit => "bit".into(),
        Type::TinyInt => "tinyint".into(),
        Type::SmallInt => "smallint".into(),
        Type::Int => "int".into(),
        Type::BigInt => "bigint".into(),
        Type::Real => "real".into(),
        Type::Float => "float".into(),
        Type::Numeric { precision, scale } => format!("numeric({precision},{scale})"),
        Type::Money => "money".into(),
        Type::SmallMoney => "smallmoney".into(),
        Type::NVarChar(n) => sized("nvarchar", n),
        Type::VarChar(n) => sized("varchar", n),
        Type::NChar(n) => sized("nchar", Some(n)),
        Type::Char(n) => sized("char", Some(n)),
        Type::VarBinary(n) => sized("varbinary", n),
        Type::Binary(n) => sized("binary", Some(n)),
        Type::Guid => "uniqueidentifier".into(),
        Type::Date => "date".into(),
        Type::Time(n) => format!("time({n})"),
        Type::DateTime => "datetime".into(),
        Type::SmallDateTime => "smalldatetime".into(),
        Type::DateTime2(n) => format!("datetime2({n})"),
        Type::DateTimeOffset(n) => format!("datetimeoffset({n})"),
        Type::SqlVariant => "sql_variant".into(),
    }
}

// ---- SQLite ----

/// 38 digits keep every `numeric` in the order of its value when compared as text.
fn padded(value: i128) -> String {
    if value >= 0 {
        format!("{value:038}")
    } else {
        // the complement keeps negative numbers in order among themselves, and `-` sorts before digits
        let complement = 10i128.pow(38) - 1 - value.abs();
        format!("-{complement:038}")
    }
}

fn unpadded(text: &str) -> Option<i128> {
    match text.strip_prefix('-') {
        Some(digits) => Some(-(10i128.pow(38) - 1 - digits.parse::<i128>().ok()?)),
        None => text.parse().ok(),
    }
}

/// How a cell is kept in SQLite.
pub fn to_sqlite(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bit(b) => Value::Integer(i64::from(*b)),
        Cell::TinyInt(n) => Value::Integer(i64::from(*n)),
        Cell::SmallInt(n) => Value::Integer(i64::from(*n)),
        Cell::Int(n) => Value::Integer(i64::from(*n)),
        Cell::BigInt(n) | Cell::Money(n) => Value::Integer(*n),
        Cell::Real(x) => Value::Real(f64::from(*x)),
        Cell::Float(x) => Value::Real(*x),
        Cell::Numeric { value, .. } => Value::Text(padded(*value)),
        Cell::Text(text) => Value::Text(text.clone()),
        Cell::Binary(bytes) => Value::Blob(bytes.clone()),
        Cell::Guid(guid) => Value::Text(guid.to_string().to_uppercase()),
        Cell::Date(date) => Value::Text(date.strftime("%Y-%m-%d").to_string()),
        Cell::Time(time) => Value::Text(time.strftime("%H:%M:%S.%9f").to_string()),
        Cell::DateTime(at) => Value::Text(at.strftime("%Y-%m-%dT%H:%M:%S.%9f").to_string()),
        Cell::DateTimeOffset(at, minutes) => Value::Text(format!("{}{minutes:+05}", at.strftime("%Y-%m-%dT%H:%M:%S.%9f"))),
    }
}

/// Reads back what [`to_sqlite`] kept, as a value of `ty`. Integers that do not fit are the caller's mistake and become
/// NULL no more than text does: they come back as [`Cell::BigInt`].
pub fn from_sqlite(value: ValueRef<'_>, ty: Type) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(n) => match ty {
            Type::Bit => Cell::Bit(n != 0),
            Type::TinyInt => u8::try_from(n).map_or(Cell::BigInt(n), Cell::TinyInt),
            Type::SmallInt => i16::try_from(n).map_or(Cell::BigInt(n), Cell::SmallInt),
            Type::Int | Type::SqlVariant => i32::try_from(n).map_or(Cell::BigInt(n), Cell::Int),
            Type::Money | Type::SmallMoney => Cell::Money(n),
            Type::Numeric { scale, .. } => Cell::Numeric { value: i128::from(n) * 10i128.pow(u32::from(scale)), scale },
            Type::Real => Cell::Real(n as f32),
            Type::Float => Cell::Float(n as f64),
            _ if family(ty) == Family::Text => Cell::Text(n.to_string()),
            _ => Cell::BigInt(n),
        },
        ValueRef::Real(x) => match ty {
            Type::Real => Cell::Real(x as f32),
            _ => Cell::Float(x),
        },
        ValueRef::Blob(bytes) => Cell::Binary(bytes.to_vec()),
        ValueRef::Text(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let kept = match ty {
                Type::Numeric { scale, .. } => unpadded(&text).map(|value| Cell::Numeric { value, scale }),
                Type::Guid => text.parse().ok().map(Cell::Guid),
                Type::Date => text.parse().ok().map(Cell::Date),
                Type::Time(_) => text.parse().ok().map(Cell::Time),
                Type::DateTime | Type::SmallDateTime | Type::DateTime2(_) => text.parse().ok().map(Cell::DateTime),
                Type::DateTimeOffset(_) => {
                    text.rfind(['+', '-']).and_then(|at| Some(Cell::DateTimeOffset(text[..at].parse().ok()?, text[at..].parse().ok()?)))
                }
                _ => None,
            };
            kept.unwrap_or_else(|| Cell::Text(text.into_owned()))
        }
    }
}

// ---- conversion ----

type Converted = Result<Cell, Box<ServerMessage>>;

/// CAST and CONVERT: `style` as CONVERT's third argument, 0 without one. Errors: 245, 241, 8114, 8115, 8169, 529.
pub fn convert(cell: &Cell, from: Type, to: Type, style: i32) -> Converted {
    if *cell == Cell::Null {
        return Ok(Cell::Null);
    }
    match family(to) {
        Family::Variant => Ok(cell.clone()),
        Family::Text => to_text(cell, from, to, style),
        Family::Integer => to_integer(cell, from, to),
        Family::Numeric | Family::Money => to_decimal(cell, from, to),
        Family::Approximate => {
            let x = match cell {
                Cell::Text(text) => text.trim().parse::<f64>().map_err(|_| messages::converting(from, to))?,
                other => as_float(other).ok_or_else(|| messages::explicit(from, to))?,
            };
            Ok(if to == Type::Real { Cell::Real(x as f32) } else { Cell::Float(x) })
        }
        Family::Binary => to_binary(cell, from, to, style),
        Family::Guid => match cell {
            Cell::Guid(_) => Ok(cell.clone()),
            Cell::Text(text) => text.trim().parse().map(Cell::Guid).map_err(|_| messages::guid()),
            Cell::Binary(bytes) if bytes.len() == 16 => {
                let mut fixed = [0; 16];
                fixed.copy_from_slice(bytes);
                Ok(Cell::Guid(uuid::Uuid::from_bytes_le(fixed)))
            }
            _ => Err(messages::explicit(from, to)),
        },
        Family::Date | Family::Time | Family::DateTime | Family::Offset => to_moment(cell, from, to),
    }
}

fn as_float(cell: &Cell) -> Option<f64> {
    Some(match cell {
        Cell::Bit(b) => f64::from(u8::from(*b)),
        Cell::TinyInt(n) => f64::from(*n),
        Cell::SmallInt(n) => f64::from(*n),
        Cell::Int(n) => f64::from(*n),
        Cell::BigInt(n) => *n as f64,
        Cell::Real(x) => f64::from(*x),
        Cell::Float(x) => *x,
        Cell::Numeric { value, scale } => *value as f64 / 10f64.powi(i32::from(*scale)),
        Cell::Money(n) => *n as f64 / 10_000.0,
        _ => return None,
    })
}

fn as_integer(cell: &Cell) -> Option<i128> {
    Some(match cell {
        Cell::Bit(b) => i128::from(*b),
        Cell::TinyInt(n) => i128::from(*n),
        Cell::SmallInt(n) => i128::from(*n),
        Cell::Int(n) => i128::from(*n),
        Cell::BigInt(n) => i128::from(*n),
        Cell::Real(x) => x.trunc() as i128,
        Cell::Float(x) => x.trunc() as i128,
        Cell::Numeric { value, scale } => value / 10i128.pow(u32::from(*scale)),
        Cell::Money(n) => {
            let n = i128::from(*n);
            (n + if n < 0 { -5_000 } else { 5_000 }) / 10_000
        }
        _ => return None,
    })
}

fn to_integer(cell: &Cell, from: Type, to: Type) -> Converted {
    let value = match cell {
        Cell::Text(text) => {
            let trimmed = text.trim();
            match (to, trimmed.to_ascii_lowercase().as_str()) {
                (Type::Bit, "true") => 1,
                (Type::Bit, "false") => 0,
                (_, "") => 0,
                (_, digits) => {
                    digits.strip_prefix('+').unwrap_or(digits).parse::<i128>().map_err(|_| messages::conversion_failed(from, text, to))?
                }
            }
        }
        Cell::Binary(bytes) => {
            let tail = &bytes[bytes.len().saturating_sub(8)..];
            let raw = tail.iter().fold(0u64, |all, byte| (all << 8) | u64::from(*byte));
            match to {
                Type::Int => i128::from(raw as u32 as i32),
                Type::SmallInt => i128::from(raw as u16 as i16),
                Type::TinyInt => i128::from(raw as u8),
                _ => i128::from(raw as i64),
            }
        }
        Cell::DateTime(at) => i128::from(days_since_1900(at.date())) + i128::from(at.hour() >= 12),
        other => as_integer(other).ok_or_else(|| messages::explicit(from, to))?,
    };
    let cell = match to {
        Type::Bit => Some(Cell::Bit(value != 0)),
        Type::TinyInt => u8::try_from(value).ok().map(Cell::TinyInt),
        Type::SmallInt => i16::try_from(value).ok().map(Cell::SmallInt),
        Type::Int => i32::try_from(value).ok().map(Cell::Int),
        _ => i64::try_from(value).ok().map(Cell::BigInt),
    };
    cell.ok_or_else(|| messages::overflow(to))
}

fn to_decimal(cell: &Cell, from: Type, to: Type) -> Converted {
    let (precision, scale) = match to {
        Type::Numeric { precision, scale } => (precision, scale),
        Type::SmallMoney => (10, 4),
        _ => (19, 4),
    };
    let rescale = |value: i128, old: u8| -> Option<i128> {
        if old <= scale {
            value.checked_mul(10i128.checked_pow(u32::from(scale - old))?)
        } else {
            let divisor = 10i128.checked_pow(u32::from(old - scale))?;
            let half = divisor / 2 * value.signum();
            Some((value + half) / divisor)
        }
    };
    let value = match cell {
        Cell::Numeric { value, scale: old } => rescale(*value, *old),
        Cell::Money(n) => rescale(i128::from(*n), 4),
        Cell::Real(_) | Cell::Float(_) => {
            let x = as_float(cell).unwrap_or_default() * 10f64.powi(i32::from(scale));
            (x.abs() < 1e38).then_some(x.round() as i128)
        }
        Cell::Text(text) => {
            let text = text.trim().trim_start_matches('$');
            let (negative, digits) = match text.as_bytes().first() {
                Some(b'-') => (true, &text[1..]),
                Some(b'+') => (false, &text[1..]),
                _ => (false, text),
            };
            let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
            let all = format!("{whole}{part}");
            if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
                return Err(messages::converting(from, to));
            }
            let old = u8::try_from(part.len()).unwrap_or(u8::MAX);
            all.parse::<i128>().ok().and_then(|value| rescale(if negative { -value } else { value }, old))
        }
        other => as_integer(other).ok_or_else(|| messages::explicit(from, to)).map(|value| rescale(value, 0))?,
    };
    let value = value.filter(|value| value.unsigned_abs() < 10u128.pow(u32::from(precision))).ok_or_else(|| messages::overflow(to))?;
    Ok(match to {
        Type::Numeric { .. } => Cell::Numeric { value, scale },
        _ => Cell::Money(i64::try_from(value).map_err(|_| messages::overflow(to))?),
    })
}

/// A `numeric` as the server prints it.
pub fn decimal_text(value: i128, scale: u8) -> String {
    if scale == 0 {
        return value.to_string();
    }
    let digits = format!("{:0width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, part) = digits.split_at(digits.len() - usize::from(scale));
    format!("{}{whole}.{part}", if value < 0 { "-" } else { "" })
}

fn to_text(cell: &Cell, from: Type, to: Type, style: i32) -> Converted {
    let text = match cell {
        Cell::Text(text) => text.clone(),
        Cell::Bit(b) => u8::from(*b).to_string(),
        Cell::TinyInt(n) => n.to_string(),
        Cell::SmallInt(n) => n.to_string(),
        Cell::Int(n) => n.to_string(),
        Cell::BigInt(n) => n.to_string(),
        Cell::Numeric { value, scale } => decimal_text(*value, *scale),
        Cell::Money(n) if style == 2 => decimal_text(i128::from(*n), 4),
        Cell::Money(n) => decimal_text((i128::from(*n) + 50 * i128::from(n.signum())) / 100, 2),
        Cell::Real(x) => float_text(f64::from(*x)),
        Cell::Float(x) => float_text(*x),
        Cell::Guid(guid) => guid.to_string().to_uppercase(),
        Cell::Binary(bytes) if style == 1 || style == 2 => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            if style == 1 { format!("0x{hex}") } else { hex }
        }
        Cell::Binary(bytes) if matches!(to, Type::NVarChar(_) | Type::NChar(_)) => {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        Cell::Binary(bytes) => bytes.iter().map(|byte| char::from(*byte)).collect(),
        Cell::Date(date) => moment_text(date.at(0, 0, 0, 0), from, if style == 0 { 23 } else { style })?,
        Cell::Time(time) => moment_text(DateTime::from_parts(Date::constant(1900, 1, 1), *time), from, style)?,
        Cell::DateTime(at) => moment_text(*at, from, style)?,
        Cell::DateTimeOffset(at, minutes) => {
            let sign = if *minutes < 0 { '-' } else { '+' };
            let minutes = minutes.abs();
            format!("{} {sign}{:02}:{:02}", moment_text(*at, Type::DateTime2(7), style)?, minutes / 60, minutes % 60)
        }
        Cell::Null => return Ok(Cell::Null),
    };
    Ok(Cell::Text(fit(text, to)))
}

/// Cuts or pads text to the declared length.
fn fit(mut text: String, to: Type) -> String {
    if let Some(limit) = length(to) {
        let limit = usize::from(limit);
        if let Some((at, _)) = text.char_indices().nth(limit) {
            text.truncate(at);
        }
        if matches!(to, Type::NChar(_) | Type::Char(_)) {
            let have = text.chars().count();
            text.extend(std::iter::repeat_n(' ', limit.saturating_sub(have)));
        }
    }
    text
}

fn float_text(x: f64) -> String {
    if x != 0.0 && (x.abs() >= 1e6 || x.abs() < 1e-4) {
        let text = format!("{x:.5e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
        let exponent: i32 = exponent.parse().unwrap_or_default();
        format!("{mantissa}e{exponent:+04}")
    } else {
        let digits = if x == 0.0 { 5 } else { (5 - x.abs().log10().floor() as i32).max(0) as usize };
        let text = format!("{x:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    }
}

fn moment_text(at: DateTime, from: Type, style: i32) -> Result<String, Box<ServerMessage>> {
    let fraction = match from {
        Type::DateTime2(0) | Type::Time(0) => String::new(),
        Type::DateTime2(n) | Type::Time(n) => at.strftime(&format!(".%{n}f")).to_string(),
        Type::SmallDateTime => String::new(),
        _ => at.strftime(".%3f").to_string(),
    };
    let newer = matches!(from, Type::DateTime2(_) | Type::Time(_) | Type::DateTimeOffset(_));
    if let Type::Time(_) = from {
        return Ok(format!("{}{fraction}", at.strftime("%H:%M:%S")));
    }
    Ok(match style {
        0 if newer => format!("{}{fraction}", at.strftime("%Y-%m-%d %H:%M:%S")),
        0 | 100 => {
            let hour = match at.hour() % 12 {
                0 => 12,
                hour => hour,
            };
            let half = if at.hour() < 12 { "AM" } else { "PM" };
            format!("{} {:>2} {} {hour:>2}:{:02}{half}", at.strftime("%b"), at.day(), at.year(), at.minute())
        }
        101 => at.strftime("%m/%d/%Y").to_string(),
        103 => at.strftime("%d/%m/%Y").to_string(),
        104 => at.strftime("%d.%m.%Y").to_string(),
        105 => at.strftime("%d-%m-%Y").to_string(),
        8 | 108 => at.strftime("%H:%M:%S").to_string(),
        111 => at.strftime("%Y/%m/%d").to_string(),
        112 => at.strftime("%Y%m%d").to_string(),
        114 => format!("{}:{}", at.strftime("%H:%M:%S"), at.strftime("%3f")),
        20 | 120 => at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        21 | 25 | 121 => format!("{}{fraction}", at.strftime("%Y-%m-%d %H:%M:%S")),
        23 => at.strftime("%Y-%m-%d").to_string(),
        126 | 127 => format!("{}{fraction}", at.strftime("%Y-%m-%dT%H:%M:%S")),
        other => return Err(messages::style(other, from)),
    })
}

fn to_binary(cell: &Cell, from: Type, to: Type, style: i32) -> Converted {
    let mut bytes = match cell {
        Cell::Binary(bytes) => bytes.clone(),
        Cell::Text(text) if style == 1 || style == 2 => {
            let digits = if style == 1 { text.strip_prefix("0x").or(text.strip_prefix("0X")) } else { Some(text.as_str()) };
            digits.and_then(unhex).ok_or_else(|| messages::converting(from, to))?
        }
        Cell::Text(text) if matches!(from, Type::NVarChar(_) | Type::NChar(_)) => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Cell::Text(text) => text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect(),
        Cell::Guid(guid) => guid.to_bytes_le().to_vec(),
        Cell::Bit(b) => vec![u8::from(*b)],
        Cell::TinyInt(n) => vec![*n],
        Cell::SmallInt(n) => n.to_be_bytes().to_vec(),
        Cell::Int(n) => n.to_be_bytes().to_vec(),
        Cell::BigInt(n) => n.to_be_bytes().to_vec(),
        _ => return Err(messages::explicit(from, to)),
    };
    if let Some(limit) = length(to) {
        let limit = usize::from(limit);
        let number = family(from) == Family::Integer;
        if bytes.len() > limit {
            bytes = if number { bytes.split_off(bytes.len() - limit) } else { bytes[..limit].to_vec() };
        }
        if matches!(to, Type::Binary(_)) && bytes.len() < limit {
            let missing = vec![0; limit - bytes.len()];
            bytes = if number { [missing, bytes].concat() } else { [bytes, missing].concat() };
        }
    }
    Ok(Cell::Binary(bytes))
}

/// Hexadecimal digits to bytes; an odd number of digits has a leading zero, as in a binary constant.
pub fn unhex(digits: &str) -> Option<Vec<u8>> {
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let digits = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

fn days_since_1900(date: Date) -> i32 {
    date.since(Date::constant(1900, 1, 1)).map_or(0, |span| span.get_days())
}

fn to_moment(cell: &Cell, from: Type, to: Type) -> Converted {
    let midnight = Date::constant(1900, 1, 1);
    let (at, offset) = match cell {
        Cell::DateTime(at) => (*at, 0),
        Cell::DateTimeOffset(at, minutes) => (*at, *minutes),
        Cell::Date(date) => (date.at(0, 0, 0, 0), 0),
        Cell::Time(time) => (DateTime::from_parts(midnight, *time), 0),
        Cell::Text(text) => parse_moment(text).ok_or_else(messages::date)?,
        Cell::Int(days) if to == Type::DateTime => {
            (midnight.checked_add(Span::new().days(*days)).map_err(|_| messages::overflow(to))?.at(0, 0, 0, 0), 0)
        }
        _ => return Err(messages::explicit(from, to)),
    };
    Ok(match to {
        Type::Date => Cell::Date(at.date()),
        Type::Time(n) => Cell::Time(rounded(at, i64::from(n)).time()),
        Type::DateTime => Cell::DateTime(to_datetime(at)),
        Type::SmallDateTime => {
            let up = at.second() >= 30;
            let floor = at.with().second(0).subsec_nanosecond(0).build().unwrap_or(at);
            Cell::DateTime(if up { floor.saturating_add(Span::new().minutes(1)) } else { floor })
        }
        Type::DateTime2(n) => Cell::DateTime(rounded(at, i64::from(n))),
        Type::DateTimeOffset(n) => Cell::DateTimeOffset(rounded(at, i64::from(n)), offset),
        _ => cell.clone(),
    })
}

fn rounded(at: DateTime, digits: i64) -> DateTime {
    let unit = 10i64.pow(9 - u32::try_from(digits.clamp(0, 7)).unwrap_or(7));
    let nanos = i64::from(at.subsec_nanosecond());
    let target = (nanos + unit / 2) / unit * unit;
    at.saturating_add(Span::new().nanoseconds(target - nanos))
}

/// Rounds to the 1/300 s of a `datetime`, shown as .000, .003 or .007.
pub fn to_datetime(at: DateTime) -> DateTime {
    let nanos = i64::from(at.subsec_nanosecond());
    let ticks = (nanos * 3 + 5_000_000) / 10_000_000;
    let millis = (ticks * 10 + 1) / 3;
    at.saturating_add(Span::new().nanoseconds(millis * 1_000_000 - nanos))
}

/// A date, time or both, as the server's language-neutral formats have it, with the offset in minutes if there is one.
fn parse_moment(text: &str) -> Option<(DateTime, i16)> {
    let text = text.trim();
    if text.is_empty() {
        return Some((Date::constant(1900, 1, 1).at(0, 0, 0, 0), 0));
    }
    let (text, offset) = match text.strip_suffix(['Z', 'z']) {
        Some(rest) => (rest, 0),
        None => match text.rfind(['+', '-']).filter(|at| text[..*at].contains(':')) {
            Some(at) => {
                let (hours, minutes) = text[at + 1..].split_once(':')?;
                let all = hours.parse::<i16>().ok()? * 60 + minutes.parse::<i16>().ok()?;
                (text[..at].trim_end(), if text[at..].starts_with('-') { -all } else { all })
            }
            None => (text, 0),
        },
    };
    let date = |text: &str| -> Option<Date> {
        if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
            return Date::new(text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?).ok();
        }
        let mut parts = text.split(['-', '/']);
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        if year.len() != 4 || parts.next().is_some() {
            return None;
        }
        Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
    };
    let time = |text: &str| -> Option<Time> {
        let mut parts = text.split(':');
        let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
        let (second, part) = second.split_once('.').unwrap_or((second, ""));
        if parts.next().is_some() || part.len() > 9 {
            return None;
        }
        let nanos: i32 = format!("{part:0<9}").parse().ok()?;
        Time::new(hour.parse().ok()?, minute.parse().ok()?, second.parse().ok()?, nanos).ok()
    };
    let at = match text.split_once(['T', ' ']) {
        Some((day, clock)) => DateTime::from_parts(date(day)?, time(clock.trim())?),
        None if text.contains(':') => DateTime::from_parts(Date::constant(1900, 1, 1), time(text)?),
        None => date(text)?.at(0, 0, 0, 0),
    };
    Some((at, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numerics_keep_their_order_as_text() {
        let values = [-10i128.pow(30), -2, -1, 0, 1, 9, 10, 387_293_000_162_689_600_001, 10i128.pow(37)];
        for pair in values.windows(2) {
            assert!(padded(pair[0]) < padded(pair[1]), "{pair:?}");
            assert_eq!(unpadded(&padded(pair[0])), Some(pair[0]));
        }
    }

    #[test]
    fn type_names_are_read_back() {
        for name in [
            "bit",
            "tinyint",
            "smallint",
            "int",
            "bigint",
            "real",
            "float",
            "numeric(25,0)",
            "money",
            "smallmoney",
            "nvarchar(max)",
            "varchar(10)",
            "nchar(3)",
            "char(4)",
            "varbinary(max)",
            "binary(8)",
            "uniqueidentifier",
            "date",
            "time(3)",
            "datetime",
            "smalldatetime",
            "datetime2(7)",
            "datetimeoffset(7)",
            "sql_variant",
        ] {
            let ty = parse_type(name, 30).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(type_name(ty), name);
        }
        assert_eq!(parse_type("geography", 30), None);
    }

    #[test]
    fn conversions_give_what_the_server_gives() {
        let text = Type::NVarChar(Some(30));
        let check = |cell: Cell, from: Type, to: &str, style: i32, expected: Cell| {
            let to = parse_type(to, 30).unwrap();
            assert_eq!(convert(&cell, from, to, style), Ok(expected), "{cell:?} to {to:?}");
        };
        let at = Cell::DateTime("2026-01-02T15:04:05.123".parse().unwrap());
        check(at.clone(), Type::DateTime, "nvarchar(30)", 0, Cell::Text("Jan  2 2026  3:04PM".into()));
        check(at.clone(), Type::DateTime, "varchar(30)", 121, Cell::Text("2026-01-02 15:04:05.123".into()));
        check(at, Type::DateTime, "date", 0, Cell::Date("2026-01-02".parse().unwrap()));
        check(Cell::Text(" 42 ".into()), text, "int", 0, Cell::Int(42));
        check(
            Cell::Text("38876000016230900001".into()),
            text,
            "numeric(25,0)",
            0,
            Cell::Numeric { value: 38_876_000_016_230_900_001, scale: 0 },
        );
        check(Cell::Text("1.255".into()), text, "decimal(10,2)", 0, Cell::Numeric { value: 126, scale: 2 });
        check(Cell::Float(1.0 / 3.0), Type::Float, "varchar(30)", 0, Cell::Text("0.333333".into()));
        check(Cell::Int(258), Type::Int, "varbinary(4)", 0, Cell::Binary(vec![0, 0, 1, 2]));
        assert_eq!(convert(&Cell::Text("x".into()), text, Type::Int, 0).unwrap_err().number, 245);
        assert_eq!(convert(&Cell::Text("x".into()), text, Type::DateTime, 0).unwrap_err().number, 241);
        assert_eq!(convert(&Cell::Int(300), Type::Int, Type::TinyInt, 0).unwrap_err().number, 8115);
        assert_eq!(convert(&Cell::Text("x".into()), text, Type::Guid, 0).unwrap_err().number, 8169);
    }

    #[test]
    fn a_datetime_ends_in_0_3_or_7() {
        let at: DateTime = "2026-01-02T15:04:05.1234".parse().unwrap();
        assert_eq!(to_datetime(at).to_string(), "2026-01-02T15:04:05.123");
        let late: DateTime = "2026-01-02T15:04:05.9990".parse().unwrap();
        assert_eq!(to_datetime(late).to_string(), "2026-01-02T15:04:06");
    }
}
