//! The functions of T-SQL that SQLite does not have, added to the catalogue's connection under names that begin with
//! `lab_`. `statements/query.rs` writes the calls, types included; here they are carried out.

use std::sync::{Arc, Mutex};

use jiff::civil::DateTime;
use jiff::{Span, Unit};
use rusqlite::functions::{Context as Call, FunctionFlags};
use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, Error};

use crate::lab::catalog;
use crate::lab::instance::{AppLock, lock, same};
use crate::lab::messages::{self, Raised, message};
use crate::lab::rights::Rights;
use crate::lab::tds::{Cell, Type};
use crate::lab::values::{convert, from_sqlite, parse_type, to_datetime, to_sqlite};

/// What a query may ask of its session and its server; set before each query.
#[derive(Clone, Debug, Default)]
pub struct Context {
    pub session: u16,
    pub database: String,
    pub login: String,
    pub host: String,
    pub program: String,
    pub server: String,
    pub machine: String,
    pub instance: String,
    pub version: (u8, u8, u16),
    pub local: DateTime,
    pub utc: DateTime,
    pub offset_minutes: i32,
    pub transactions: i32,
    pub error: i32,
    pub rows: i64,
    /// the error that a CATCH block handles
    pub caught: Option<crate::lab::tds::ServerMessage>,
    /// name, id, open
    pub databases: Vec<(String, i32, bool)>,
    pub locks: Vec<AppLock>,
    pub rights: Rights,
}

/// A server message on its way through SQLite, which keeps only the text of a function's error.
const MARK: &str = "\u{1}lab\u{1}";

#[expect(clippy::boxed_local, reason = "messages are raised in boxes everywhere")]
fn raise(raised: Raised) -> Error {
    let text = format!("{MARK}{}\u{1}{}\u{1}{}\u{1}{}", raised.number, raised.severity, raised.state, raised.text);
    Error::UserFunctionError(text.into())
}

/// Reads a server message back out of an error of SQLite.
pub fn raised(error: &Error) -> Option<Raised> {
    let text = match error {
        Error::SqliteFailure(_, Some(text)) => text.as_str(),
        _ => return None,
    };
    let mut parts = text.split(MARK).nth(1)?.splitn(4, '\u{1}');
    let number = parts.next()?.parse().ok()?;
    let severity = parts.next()?.parse().ok()?;
    let state = parts.next()?.parse().ok()?;
    Some(message(number, severity, state, parts.next()?))
}

/// The standard name of a date part, from any of its spellings.
pub fn date_part(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "year" | "yy" | "yyyy" => "year",
        "quarter" | "qq" | "q" => "quarter",
        "month" | "mm" | "m" => "month",
        "dayofyear" | "dy" | "y" => "dayofyear",
        "day" | "dd" | "d" => "day",
        "week" | "wk" | "ww" => "week",
        "weekday" | "dw" => "weekday",
        "hour" | "hh" => "hour",
        "minute" | "mi" | "n" => "minute",
        "second" | "ss" | "s" => "second",
        "millisecond" | "ms" => "millisecond",
        "microsecond" | "mcs" => "microsecond",
        "nanosecond" | "ns" => "nanosecond",
        _ => return None,
    })
}

type Answer = Result<Stored, Error>;
/// A function's name, its number of arguments, and itself.
type Plain = (&'static str, i32, fn(&Call<'_>) -> Answer);
/// The same for one that looks at the session; nothing is NULL.
type Asking = (&'static str, i32, fn(&Context, &Call<'_>) -> Option<Stored>);

fn text(call: &Call<'_>, at: usize) -> Option<String> {
    match call.get_raw(at) {
        ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Integer(n) => Some(n.to_string()),
        ValueRef::Real(x) => Some(x.to_string()),
        _ => None,
    }
}

fn integer(call: &Call<'_>, at: usize) -> Option<i64> {
    call.get_raw(at).as_i64().ok()
}

fn moment(call: &Call<'_>, at: usize) -> Option<DateTime> {
    text(call, at).and_then(|text| text.get(..29).unwrap_or(&text).parse().ok())
}

fn named_type(call: &Call<'_>, at: usize) -> Type {
    text(call, at).and_then(|name| parse_type(&name, 30)).unwrap_or(Type::Int)
}

/// Adds every function to a connection. Functions that look at the session read `context`.
pub fn install(connection: &Connection, context: &Arc<Mutex<Context>>) -> rusqlite::Result<()> {
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let plain: [Plain; 15] = [
        ("lab_cast", 4, |call| cast(call)),
        ("lab_try_cast", 4, |call| Ok(cast(call).unwrap_or(Stored::Null))),
        ("lab_like", 3, like),
        ("lab_integer", 4, whole),
        ("lab_float", 3, float),
        ("lab_numeric", 6, numeric),
        ("lab_unscaled", 1, unscaled),
        ("lab_dateadd", 4, date_add),
        ("lab_datediff", 3, date_diff),
        ("lab_datepart", 2, date_part_of),
        ("lab_datalength", 2, data_length),
        ("lab_replace", 3, replace),
        ("lab_substring", 3, substring),
        ("lab_charindex", 3, char_index),
        ("lab_replicate", 3, replicate),
    ];
    for (name, count, function) in plain {
        connection.create_scalar_function(name, count, pure, move |call| function(call))?;
    }
    connection.create_scalar_function("lab_reverse", 1, pure, |call| {
        Ok(text(call, 0).map_or(Stored::Null, |text| Stored::Text(text.chars().rev().collect())))
    })?;
    let asking: [Asking; 12] = [
        ("lab_global", 1, global),
        ("lab_now", 1, now),
        ("lab_db_id", 1, db_id),
        ("lab_db_name", 1, db_name),
        ("lab_server_property", 1, server_property),
        ("lab_database_property", 2, database_property),
        ("lab_role", 1, role),
        ("lab_access", 1, access),
        ("lab_permission", 3, permission),
        ("lab_applock_mode", 3, applock_mode),
        ("lab_applock_test", 4, applock_test),
        ("lab_object_id", 1, object_id),
    ];
    for (name, count, function) in asking {
        let context = Arc::clone(context);
        connection.create_scalar_function(name, count, FunctionFlags::SQLITE_UTF8, move |call| {
            Ok(function(&lock(&context), call).unwrap_or(Stored::Null))
        })?;
    }
    Ok(())
}

fn cast(call: &Call<'_>) -> Answer {
    let (from, to) = (named_type(call, 1), named_type(call, 2));
    let style = integer(call, 3).and_then(|style| i32::try_from(style).ok()).unwrap_or(0);
    let cell = from_sqlite(call.get_raw(0), from);
    convert(&cell, from, to, style).map(|cell| to_sqlite(&cell)).map_err(raise)
}

fn like(call: &Call<'_>) -> Answer {
    let (Some(value), Some(pattern)) = (text(call, 0), text(call, 1)) else { return Ok(Stored::Null) };
    let escape = text(call, 2).and_then(|text| text.chars().next());
    Ok(Stored::Integer(i64::from(is_like(&value, &pattern, escape))))
}

/// Whether a text is LIKE a pattern, without regard to case.
pub fn is_like(value: &str, pattern: &str, escape: Option<char>) -> bool {
    let chars = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    matches_like(&chars(value), &chars(pattern), escape)
}

/// T-SQL's LIKE: `%`, `_`, `[a-f]`, `[^x]` and an escape character; both sides already in lower case.
fn matches_like(value: &[char], pattern: &[char], escape: Option<char>) -> bool {
    let Some((&first, rest)) = pattern.split_first() else { return value.is_empty() };
    if Some(first) == escape {
        return match rest.split_first() {
            Some((literal, rest)) => value.first() == Some(literal) && matches_like(&value[1..], rest, escape),
            None => false,
        };
    }
    match first {
        '%' => (0..=value.len()).any(|skip| matches_like(&value[skip..], rest, escape)),
        '_' => !value.is_empty() && matches_like(&value[1..], rest, escape),
        '[' if rest.contains(&']') => {
            let end = rest.iter().position(|c| *c == ']').unwrap_or(0);
            let (negated, set) = match rest[..end].split_first() {
                Some(('^', set)) => (true, set),
                _ => (false, &rest[..end]),
            };
            let Some(&c) = value.first() else { return false };
            let mut inside = false;
            let mut at = 0;
            while at < set.len() {
                if at + 2 < set.len() && set[at + 1] == '-' {
                    inside |= (set[at]..=set[at + 2]).contains(&c);
                    at += 3;
                } else {
                    inside |= set[at] == c;
                    at += 1;
                }
            }
            inside != negated && matches_like(&value[1..], &rest[end + 1..], escape)
        }
        literal => value.first() == Some(&literal) && matches_like(&value[1..], rest, escape),
    }
}

fn whole(call: &Call<'_>) -> Answer {
    let (Some(word), Some(a), Some(b)) = (text(call, 0), integer(call, 1), integer(call, 2)) else {
        return Ok(Stored::Null);
    };
    let ty = named_type(call, 3);
    let result = match word.as_str() {
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        "*" => a.checked_mul(b),
        "/" | "%" if b == 0 => return Err(raise(messages::divide_by_zero())),
        "/" => a.checked_div(b),
        "%" => a.checked_rem(b),
        "&" => Some(a & b),
        _ => Some(a | b),
    };
    let fits = result.filter(|value| ty == Type::BigInt || i32::try_from(*value).is_ok());
    fits.map(Stored::Integer).ok_or_else(|| raise(messages::overflow(ty)))
}

fn float(call: &Call<'_>) -> Answer {
    let number = |at: usize| match call.get_raw(at) {
        ValueRef::Real(x) => Some(x),
        ValueRef::Integer(n) => Some(n as f64),
        _ => None,
    };
    let (Some(word), Some(a), Some(b)) = (text(call, 0), number(1), number(2)) else { return Ok(Stored::Null) };
    Ok(Stored::Real(match word.as_str() {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        _ if b == 0.0 => return Err(raise(messages::divide_by_zero())),
        "/" => a / b,
        _ => a % b,
    }))
}

fn numeric(call: &Call<'_>) -> Answer {
    let scale = |at: usize| integer(call, at).and_then(|scale| u8::try_from(scale).ok()).unwrap_or(0);
    let value = |at: usize, scale: u8| match from_sqlite(call.get_raw(at), Type::Numeric { precision: 38, scale }) {
        Cell::Numeric { value, .. } => Some(value),
        _ => None,
    };
    let (s, t, out) = (scale(2), scale(4), scale(5));
    let (Some(word), Some(a), Some(b)) = (text(call, 0), value(1, s), value(3, t)) else { return Ok(Stored::Null) };
    let ten = |digits: u8| 10i128.checked_pow(u32::from(digits));
    let level = |value: i128, from: u8| value.checked_mul(ten(out.checked_sub(from)?)?);
    let result = match word.as_str() {
        "+" => level(a, s).zip(level(b, t)).and_then(|(a, b)| a.checked_add(b)),
        "-" => level(a, s).zip(level(b, t)).and_then(|(a, b)| a.checked_sub(b)),
        "*" => a.checked_mul(b).and_then(|product| product.checked_div(ten((s + t).saturating_sub(out))?)),
        _ if b == 0 => return Err(raise(messages::divide_by_zero())),
        "%" => level(a, s).zip(level(b, t)).map(|(a, b)| a % b),
        _ => ten((out + t).saturating_sub(s)).and_then(|factor| a.checked_mul(factor)).map(|a| a / b),
    };
    let ty = Type::Numeric { precision: 38, scale: out };
    let value = result.ok_or_else(|| raise(messages::overflow(ty)))?;
    Ok(to_sqlite(&Cell::Numeric { value, scale: out }))
}

fn unscaled(call: &Call<'_>) -> Answer {
    Ok(integer(call, 0).map_or(Stored::Null, |n| to_sqlite(&Cell::Numeric { value: i128::from(n), scale: 0 })))
}

fn date_add(call: &Call<'_>) -> Answer {
    let ty = named_type(call, 3);
    let (Some(part), Some(count)) = (text(call, 0), integer(call, 1)) else { return Ok(Stored::Null) };
    let at = match from_sqlite(call.get_raw(2), ty) {
        Cell::DateTime(at) => at,
        Cell::Date(date) => date.at(0, 0, 0, 0),
        _ => return Ok(Stored::Null),
    };
    let span = match part.as_str() {
        "year" => Span::new().try_years(count),
        "quarter" => Span::new().try_months(count.saturating_mul(3)),
        "month" => Span::new().try_months(count),
        "week" => Span::new().try_weeks(count),
        "hour" => Span::new().try_hours(count),
        "minute" => Span::new().try_minutes(count),
        "second" => Span::new().try_seconds(count),
        "millisecond" => Span::new().try_milliseconds(count),
        "microsecond" => Span::new().try_microseconds(count),
        "nanosecond" => Span::new().try_nanoseconds(count),
        _ => Span::new().try_days(count),
    };
    let moved = span.and_then(|span| at.checked_add(span)).map_err(|_| raise(messages::date_overflow()))?;
    Ok(to_sqlite(&match ty {
        Type::Date => Cell::Date(moved.date()),
        Type::DateTime => Cell::DateTime(to_datetime(moved)),
        _ => Cell::DateTime(moved),
    }))
}

/// The number of boundaries of `part` between two moments, as DATEDIFF counts them.
fn date_diff(call: &Call<'_>) -> Answer {
    let (Some(part), Some(from), Some(to)) = (text(call, 0), moment(call, 1), moment(call, 2)) else {
        return Ok(Stored::Null);
    };
    let months = |at: DateTime| i64::from(at.year()) * 12 + i64::from(at.month()) - 1;
    let days = to.date().since(from.date()).map_or(0, |span| i64::from(span.get_days()));
    let in_unit = |unit: Unit, nanos: i64| -> i64 {
        let floor = |at: DateTime| {
            let within = i64::from(at.hour()) * 3_600_000_000_000
                + i64::from(at.minute()) * 60_000_000_000
                + i64::from(at.second()) * 1_000_000_000
                + i64::from(at.subsec_nanosecond());
            within / nanos
        };
        let _ = unit;
        days.saturating_mul(86_400_000_000_000 / nanos) + floor(to) - floor(from)
    };
    let count = match part.as_str() {
        "year" => i64::from(to.year()) - i64::from(from.year()),
        "quarter" => months(to) / 3 - months(from) / 3,
        "month" => months(to) - months(from),
        "week" => {
            let sunday = |at: DateTime| i64::from(at.date().weekday().to_sunday_zero_offset());
            (days + sunday(from) - sunday(to)) / 7
        }
        "hour" => in_unit(Unit::Hour, 3_600_000_000_000),
        "minute" => in_unit(Unit::Minute, 60_000_000_000),
        "second" => in_unit(Unit::Second, 1_000_000_000),
        "millisecond" => in_unit(Unit::Millisecond, 1_000_000),
        "microsecond" => in_unit(Unit::Microsecond, 1_000),
        "nanosecond" => in_unit(Unit::Nanosecond, 1),
        _ => days,
    };
    if i32::try_from(count).is_err() {
        return Err(raise(messages::datediff_overflow()));
    }
    Ok(Stored::Integer(count))
}

fn date_part_of(call: &Call<'_>) -> Answer {
    let (Some(part), Some(at)) = (text(call, 0), moment(call, 1)) else { return Ok(Stored::Null) };
    Ok(Stored::Integer(match part.as_str() {
        "year" => i64::from(at.year()),
        "quarter" => (i64::from(at.month()) + 2) / 3,
        "month" => i64::from(at.month()),
        "dayofyear" => i64::from(at.day_of_year()),
        "day" => i64::from(at.day()),
        "week" => (i64::from(at.day_of_year()) + 6) / 7,
        "weekday" => i64::from(at.date().weekday().to_sunday_one_offset()),
        "hour" => i64::from(at.hour()),
        "minute" => i64::from(at.minute()),
        "second" => i64::from(at.second()),
        "millisecond" => i64::from(at.millisecond()),
        "microsecond" => i64::from(at.subsec_nanosecond()) / 1_000,
        _ => i64::from(at.subsec_nanosecond()),
    }))
}

fn data_length(call: &Call<'_>) -> Answer {
    let bytes = match (from_sqlite(call.get_raw(0), named_type(call, 1)), named_type(call, 1)) {
        (Cell::Null, _) => return Ok(Stored::Null),
        (Cell::Text(text), Type::NVarChar(_) | Type::NChar(_)) => text.encode_utf16().count() * 2,
        (Cell::Text(text), _) => text.chars().count(),
        (Cell::Binary(bytes), _) => bytes.len(),
        (Cell::Bit(_) | Cell::TinyInt(_), _) => 1,
        (Cell::SmallInt(_), _) => 2,
        (Cell::Int(_) | Cell::Real(_), _) => 4,
        (Cell::Guid(_), _) => 16,
        (Cell::Numeric { .. }, Type::Numeric { precision, .. }) => match precision {
            0..=9 => 5,
            10..=19 => 9,
            20..=28 => 13,
            _ => 17,
        },
        _ => 8,
    };
    Ok(Stored::Integer(i64::try_from(bytes).unwrap_or(i64::MAX)))
}

/// REPLACE without regard to case, as under the server's collation.
fn replace(call: &Call<'_>) -> Answer {
    let (Some(value), Some(from), Some(to)) = (text(call, 0), text(call, 1), text(call, 2)) else {
        return Ok(Stored::Null);
    };
    if from.is_empty() {
        return Ok(Stored::Text(value));
    }
    let (low, wanted) = (value.to_ascii_lowercase(), from.to_ascii_lowercase());
    let mut out = String::new();
    let mut at = 0;
    while let Some(found) = low[at..].find(&wanted) {
        out.push_str(&value[at..at + found]);
        out.push_str(&to);
        at += found + wanted.len();
    }
    out.push_str(&value[at..]);
    Ok(Stored::Text(out))
}

fn substring(call: &Call<'_>) -> Answer {
    let (Some(value), Some(from), Some(count)) = (text(call, 0), integer(call, 1), integer(call, 2)) else {
        return Ok(Stored::Null);
    };
    if count < 0 {
        return Err(raise(messages::bad_length()));
    }
    let end = from.saturating_add(count).max(1);
    let start = from.max(1);
    let skip = usize::try_from(start - 1).unwrap_or(usize::MAX);
    let take = usize::try_from(end - start).unwrap_or(0);
    Ok(Stored::Text(value.chars().skip(skip).take(take).collect()))
}

fn char_index(call: &Call<'_>) -> Answer {
    let (Some(part), Some(value), Some(start)) = (text(call, 0), text(call, 1), integer(call, 2)) else {
        return Ok(Stored::Null);
    };
    let value: Vec<char> = value.to_lowercase().chars().collect();
    let part: Vec<char> = part.to_lowercase().chars().collect();
    let skip = usize::try_from(start.max(1) - 1).unwrap_or(usize::MAX).min(value.len());
    let found = value[skip..].windows(part.len().max(1)).position(|window| window == part.as_slice());
    Ok(Stored::Integer(found.map_or(0, |at| i64::try_from(at + skip + 1).unwrap_or(0))))
}

/// As far as the lab goes with a `max` type.
const MOST_CHARACTERS: usize = 16 << 20;

fn replicate(call: &Call<'_>) -> Answer {
    let (Some(value), Some(count)) = (text(call, 0), integer(call, 1)) else { return Ok(Stored::Null) };
    let Ok(count) = usize::try_from(count) else { return Ok(Stored::Null) };
    let limit = match integer(call, 2) {
        Some(limit @ 1..) => usize::try_from(limit).unwrap_or(8000),
        _ => MOST_CHARACTERS,
    };
    let count = count.min(limit / value.encode_utf16().count().max(1) + 1);
    let all = value.repeat(count);
    Ok(Stored::Text(match all.char_indices().nth(limit) {
        Some((at, _)) => all[..at].to_owned(),
        None => all,
    }))
}

// ---- what the session and the server answer ----

fn some(value: impl Into<String>) -> Option<Stored> {
    Some(Stored::Text(value.into()))
}

fn number(value: impl Into<i64>) -> Option<Stored> {
    Some(Stored::Integer(value.into()))
}

/// `@@VERSION`.
pub fn version_text(version: (u8, u8, u16)) -> String {
    let (major, minor, build) = version;
    let product = match (major, minor) {
        (10, 50) => "2008 R2",
        (11, _) => "2012",
        (12, _) => "2014",
        (13, _) => "2016",
        _ => "",
    };
    format!("Microsoft SQL Server {product} - {major}.{minor}.{build}.0 (X64) (cutover lab: a simulation, not SQL Server)")
}

fn global(context: &Context, call: &Call<'_>) -> Option<Stored> {
    let caught = context.caught.as_ref();
    match text(call, 0)?.as_str() {
        "spid" => number(context.session),
        "server" => some(&context.server),
        "service" => some(if context.instance.is_empty() { "MSSQLSERVER" } else { &context.instance }),
        "version" => some(version_text(context.version)),
        "trancount" => number(context.transactions),
        "error" => number(context.error),
        "rowcount" => number(context.rows),
        "language" => some("us_english"),
        "max_precision" => number(38),
        "lock_timeout" => number(-1),
        "database" => some(&context.database),
        "login" => some(&context.login),
        "host" => some(&context.host),
        "program" => some(&context.program),
        "error_number" => number(caught?.number),
        "error_severity" => number(caught?.severity),
        "error_state" => number(caught?.state),
        "error_line" => number(caught?.line),
        "error_message" => some(&caught?.text),
        "error_procedure" => some(&caught?.procedure).filter(|_| caught.is_some_and(|error| !error.procedure.is_empty())),
        _ => None,
    }
}

fn now(context: &Context, call: &Call<'_>) -> Option<Stored> {
    let cell = match text(call, 0)?.as_str() {
        "utc" => Cell::DateTime(to_datetime(context.utc)),
        "offset" => Cell::DateTimeOffset(context.local, i16::try_from(context.offset_minutes).unwrap_or(0)),
        _ => Cell::DateTime(to_datetime(context.local)),
    };
    Some(to_sqlite(&cell))
}

fn db_id(context: &Context, call: &Call<'_>) -> Option<Stored> {
    let name = text(call, 0)?;
    context.databases.iter().find(|(known, ..)| same(known, &name)).and_then(|(_, id, _)| number(*id))
}

fn db_name(context: &Context, call: &Call<'_>) -> Option<Stored> {
    let id = integer(call, 0)?;
    context.databases.iter().find(|(_, known, _)| i64::from(*known) == id).and_then(|(name, ..)| some(name))
}

fn server_property(context: &Context, call: &Call<'_>) -> Option<Stored> {
    let (major, minor, build) = context.version;
    match text(call, 0)?.to_ascii_lowercase().as_str() {
        "servername" => some(&context.server),
        "machinename" | "computernamephysicalnetbios" => some(&context.machine),
        "instancename" => some(&context.instance).filter(|_| !context.instance.is_empty()),
        "productversion" | "resourceversion" => some(format!("{major}.{minor}.{build}.0")),
        "productlevel" => some("SP3"),
        "productmajorversion" => some(major.to_string()),
        "edition" => some("cutover lab"),
        "engineedition" => number(3),
        "collation" => some(crate::lab::instance::COLLATION),
        "isclustered" | "ishadrenabled" | "issingleuser" | "isintegratedsecurityonly" => number(0),
        "isfulltextinstalled" => number(0),
        "processid" => number(1840),
        "lcid" => number(1033),
        _ => None,
    }
}

fn database_property(context: &Context, call: &Call<'_>) -> Option<Stored> {
    let (name, property) = (text(call, 0)?, text(call, 1)?);
    let (_, _, open) = context.databases.iter().find(|(known, ..)| same(known, &name))?;
    match property.to_ascii_lowercase().as_str() {
        "status" => some(if *open { "ONLINE" } else { "RESTORING" }),
        "collation" if *open => some(crate::lab::instance::COLLATION),
        _ => None,
    }
}

fn role(context: &Context, call: &Call<'_>) -> Option<Stored> {
    context.rights.in_role(&text(call, 0)?).and_then(|is_in| number(i64::from(is_in)))
}

/// HAS_PERMS_BY_NAME: of the server if securable and class are NULL; NULL for what the lab does not know.
fn permission(context: &Context, call: &Call<'_>) -> Option<Stored> {
    let permission = text(call, 2)?;
    let granted = match (text(call, 0), text(call, 1)) {
        (None, None) => context.rights.on_server(&permission)?,
        (Some(name), Some(class)) if same(&class, "DATABASE") => {
            let known = context.databases.iter().any(|(known, ..)| same(known, &name));
            let own = match permission.to_ascii_uppercase().as_str() {
                "CONNECT" => context.rights.enters(&name),
                "ALTER" | "CREATE DATABASE" => context.rights.over_databases(),
                _ => context.rights.is_sysadmin(),
            };
            known && own
        }
        _ => return context.rights.is_sysadmin().then_some(Stored::Integer(1)),
    };
    number(i64::from(granted))
}

fn access(context: &Context, call: &Call<'_>) -> Option<Stored> {
    let name = text(call, 0)?;
    context
        .databases
        .iter()
        .find(|(known, ..)| same(known, &name))
        .and_then(|(name, _, open)| number(i64::from(*open && context.rights.enters(name))))
}

fn applock_mode(context: &Context, call: &Call<'_>) -> Option<Stored> {
    let (principal, resource, owner) = (text(call, 0)?, text(call, 1)?, text(call, 2)?);
    if !same(&owner, "session") {
        return some("NoLock");
    }
    let held = context.locks.iter().find(|lock| {
        lock.session == context.session
            && lock.resource == resource
            && same(&lock.principal, &principal)
            && same(&lock.database, &context.database)
    });
    some(held.map_or("NoLock", |lock| lock.mode.as_str()))
}

fn applock_test(context: &Context, call: &Call<'_>) -> Option<Stored> {
    let (principal, resource, mode) = (text(call, 0)?, text(call, 1)?, text(call, 2)?);
    let blocked = context.locks.iter().any(|lock| {
        lock.session != context.session
            && lock.resource == resource
            && same(&lock.principal, &principal)
            && same(&lock.database, &context.database)
            && !crate::lab::procedures::compatible(&lock.mode, &mode)
    });
    number(i64::from(!blocked))
}

fn object_id(context: &Context, call: &Call<'_>) -> Option<Stored> {
    let name = text(call, 0)?.replace(['[', ']'], "");
    let parts: Vec<String> = name.split('.').map(str::to_owned).collect();
    let known = catalog::find(&parts, &context.database).map(|table| table.name.to_owned()).or_else(|| {
        let (database, procedure) = crate::lab::procedures::find(&parts, &context.database)?;
        Some(format!("{database}.{procedure}"))
    })?;
    // any number that is stable and not zero will do
    let hash = known.bytes().fold(2_166_136_261u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    number(i64::from(hash >> 1) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_knows_sets_and_escapes() {
        let check = |value: &str, pattern: &str, escape: Option<char>| {
            let value: Vec<char> = value.chars().collect();
            let pattern: Vec<char> = pattern.chars().collect();
            matches_like(&value, &pattern, escape)
        };
        assert!(check("mgc_20260102.trn", "mgc[_]%.trn", None));
        assert!(!check("mgcx20260102.trn", "mgc[_]%.trn", None));
        assert!(check("mgcx", "mgc_", None));
        assert!(check("50%", "50!%", Some('!')));
        assert!(check("b5", "[a-c][^0-4]", None));
        assert!(!check("d5", "[a-c][^0-4]", None));
        assert!(check("", "%", None));
    }
}
