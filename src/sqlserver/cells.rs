//! Values between tiberius and us, both ways, without loss or with a refusal that names the column or parameter.
//! Pure: no connection, no clock.

use std::borrow::Cow;
use std::sync::Arc;

use indexmap::IndexMap;
use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, ToSpan};
use rust_decimal::Decimal;
use tds_protocol::types::TypeId;
use tiberius::numeric::Numeric;
use tiberius::{Column, ColumnData, ColumnType, time};

use super::error::Failure;
use super::tap::Declared;
use super::value::{ResultSet, Row, Value};
use crate::wire::lsn::Lsn;

/// A result set as tiberius gives it; turned when the whole answer is there, since the tap may know its types later.
pub(super) struct RawSet {
    columns: Vec<(String, ColumnType)>,
    rows: Vec<Vec<ColumnData<'static>>>,
}

impl RawSet {
    pub(super) fn new(columns: &[Column]) -> Self {
        let columns = columns.iter().map(|c| (c.name().to_owned(), c.column_type())).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Puts a row into the last set.
    pub(super) fn push(sets: &mut [RawSet], row: tiberius::Row) {
        if let Some(set) = sets.last_mut() {
            set.rows.push(row.into_iter().collect());
        }
    }
}

/// The first column whose type we refuse, by the tap's account: for when tiberius could not even read it.
pub(super) fn unsupported(server: &str, declared: &[Vec<Declared>]) -> Option<Failure> {
    declared.iter().flatten().enumerate().find_map(|(i, d)| {
        let what = match d.ty {
            TypeId::Variant => refused(ColumnType::SSVariant),
            TypeId::Udt => refused(ColumnType::Udt),
            _ => None,
        }?;
        Some(Failure::Unsupported { server: server.into(), column: format!("column_{}", i + 1), what: what.into() })
    })
}

/// What is said of types that we do not hold.
fn refused(ty: ColumnType) -> Option<&'static str> {
    match ty {
        ColumnType::SSVariant => Some("type sql_variant is not supported"),
        ColumnType::Udt => Some("CLR types (geometry, geography, hierarchyid, …) are not supported"),
        _ => None,
    }
}

/// Result sets with our values. A name that comes twice gets `_2`, a column without one is `column_1`, by its place.
pub(super) fn sets(server: &str, raw: Vec<RawSet>, declared: &[Vec<Declared>]) -> Result<Vec<ResultSet>, Failure> {
    let mut declared = declared.iter();
    let mut out = Vec::with_capacity(raw.len());
    for RawSet { columns, rows } in raw {
        // NoMetaData sets have no columns in either account
        let types = if columns.is_empty() { None } else { declared.next().filter(|d| d.len() == columns.len()) };
        let names = names(&columns);
        let failure = |i: usize, what: String| Failure::Unsupported {
            server: server.into(),
            column: names.get(i).cloned().unwrap_or_default(),
            what,
        };
        for (i, (_, ty)) in columns.iter().enumerate() {
            if let Some(what) = refused(*ty) {
                return Err(failure(i, what.into()));
            }
        }
        let mut set = ResultSet { columns: names.clone(), rows: Vec::with_capacity(rows.len()) };
        for row in rows {
            let mut cells = IndexMap::with_capacity(columns.len());
            for (i, data) in row.into_iter().enumerate() {
                let Some((name, ty)) = columns.get(i) else { break };
                let lsn = match types.and_then(|t| t.get(i)) {
                    Some(d) => d.precision == Some(25) && d.scale == Some(0),
                    // without the tap: by its name
                    None => name.to_ascii_lowercase().ends_with("lsn"),
                };
                let value = cell(data, *ty, lsn).map_err(|what| failure(i, what))?;
                cells.insert(names.get(i).cloned().unwrap_or_default(), value);
            }
            set.rows.push(Row::from(Arc::new(cells)));
        }
        out.push(set);
    }
    Ok(out)
}

fn names(columns: &[(String, ColumnType)]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(columns.len());
    for (i, (name, _)) in columns.iter().enumerate() {
        let base = if name.is_empty() { format!("column_{}", i + 1) } else { name.clone() };
        let mut unique = base.clone();
        let mut n = 2;
        while names.contains(&unique) || (n > 2 || unique != base) && columns.iter().any(|(other, _)| *other == unique) {
            unique = format!("{base}_{n}");
            n += 1;
        }
        names.push(unique);
    }
    names
}

/// `datetime`'s day 0 (MS-TDS 2.2.5.5.1.8).
const DATETIME_EPOCH: Date = jiff::civil::date(1900, 1, 1);
/// `date`'s day 0.
const DATE_EPOCH: Date = jiff::civil::date(1, 1, 1);

/// One cell; the error says what is wrong with it.
fn cell(data: ColumnData<'static>, ty: ColumnType, lsn: bool) -> Result<Value, String> {
    let value = match data {
        ColumnData::U8(v) => v.map(|n| Value::Int(n.into())),
        ColumnData::I16(v) => v.map(|n| Value::Int(n.into())),
        ColumnData::I32(v) => v.map(|n| Value::Int(n.into())),
        ColumnData::I64(v) => v.map(Value::Int),
        ColumnData::F32(v) => v.map(|n| Value::Float(n.into())),
        ColumnData::F64(Some(n)) if matches!(ty, ColumnType::Money | ColumnType::Money4) => Some(money(n)?),
        ColumnData::F64(v) => v.map(Value::Float),
        ColumnData::Bit(v) => v.map(Value::Bit),
        ColumnData::String(v) => v.map(|t| Value::Text(t.into_owned())),
        ColumnData::Guid(v) => v.map(Value::Guid),
        ColumnData::Binary(v) => v.map(|b| Value::Blob(b.into_owned())),
        ColumnData::Numeric(v) => v.map(|n| numeric(n, lsn)).transpose()?,
        ColumnData::Xml(v) => v.map(|x| Value::Text(x.into_owned().into_string())),
        ColumnData::DateTime(v) => v.map(datetime).transpose()?,
        ColumnData::SmallDateTime(v) => v
            .map(|d| moment(DATETIME_EPOCH, d.days().into(), i64::from(d.seconds_fragments()) * 60_000_000_000))
            .transpose()?
            .map(Value::DateTime),
        ColumnData::Date(v) => v.map(|d| day(DATE_EPOCH, d.days().into())).transpose()?.map(Value::Date),
        ColumnData::Time(v) => v.map(|t| moment(DATE_EPOCH, 0, nanoseconds(t)?)).transpose()?.map(|m| Value::Time(m.time())),
        ColumnData::DateTime2(v) => v.map(datetime2).transpose()?.map(Value::DateTime),
        ColumnData::DateTimeOffset(v) => v
            .map(|d| {
                // the wire holds UTC (MS-TDS 2.2.5.5.1.8)
                let utc = datetime2(d.datetime2())?;
                let local = utc.checked_add(i64::from(d.offset()).minutes()).map_err(|e| e.to_string())?;
                Ok::<_, String>(Value::DateTimeOffset(local, d.offset()))
            })
            .transpose()?,
    };
    Ok(value.unwrap_or(Value::Null))
}

fn numeric(n: Numeric, lsn: bool) -> Result<Value, String> {
    if lsn
        && n.scale() == 0
        && let Ok(value) = u128::try_from(n.value())
    {
        return Ok(Value::Lsn(Lsn(value)));
    }
    Decimal::try_from_i128_with_scale(n.value(), n.scale().into())
        .map(Value::Decimal)
        .map_err(|_| "a decimal of more than 28 digits does not fit".to_owned())
}

/// tiberius gives money as a float: exact as long as its ten-thousandths are.
fn money(n: f64) -> Result<Value, String> {
    let parts = (n * 10_000.0).round();
    if parts.abs() >= 9_007_199_254_740_992.0 {
        return Err("money beyond 900 billion loses digits on its way".into());
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
    let parts = parts as i64;
    Ok(Value::Decimal(Decimal::new(parts, 4)))
}

fn day(epoch: Date, days: i64) -> Result<Date, String> {
    epoch.checked_add(Span::new().try_days(days).map_err(|e| e.to_string())?).map_err(|e| e.to_string())
}

fn moment(epoch: Date, days: i64, nanoseconds: i64) -> Result<DateTime, String> {
    let midnight = day(epoch, days)?.at(0, 0, 0, 0);
    midnight.checked_add(nanoseconds.nanoseconds()).map_err(|e| e.to_string())
}

/// 1/300 s, shown by SQL Server in milliseconds that end in 0, 3 or 7.
fn datetime(d: time::DateTime) -> Result<Value, String> {
    let milliseconds = (i64::from(d.seconds_fragments()) * 10 + 1) / 3;
    moment(DATETIME_EPOCH, d.days().into(), milliseconds * 1_000_000).map(Value::DateTime)
}

fn datetime2(d: time::DateTime2) -> Result<DateTime, String> {
    moment(DATE_EPOCH, d.date().days().into(), nanoseconds(d.time())?)
}

fn nanoseconds(t: time::Time) -> Result<i64, String> {
    let unit = 9_u32.checked_sub(t.scale().into()).map(|digits| 10_i64.pow(digits));
    let total = unit.and_then(|unit| i64::try_from(t.increments()).ok()?.checked_mul(unit));
    total.ok_or_else(|| "a time that is none".to_owned())
}

/// T-SQL type for the declaration list, and the value for the wire.
pub(super) fn parameter(value: &Value) -> Result<(Cow<'static, str>, ColumnData<'_>), String> {
    Ok(match value {
        Value::Null => ("nvarchar(4000)".into(), ColumnData::String(None)),
        Value::Bit(b) => ("bit".into(), ColumnData::Bit(Some(*b))),
        Value::Int(n) => match i32::try_from(*n) {
            Ok(n) => ("int".into(), ColumnData::I32(Some(n))),
            Err(_) => ("bigint".into(), ColumnData::I64(Some(*n))),
        },
        Value::Float(f) if !f.is_finite() => return Err("SQL Server has no NaN and no infinity".into()),
        Value::Float(f) => ("float".into(), ColumnData::F64(Some(*f))),
        Value::Lsn(lsn) => {
            let n = i128::try_from(lsn.0).map_err(|_| "too large for a numeric(25,0)")?;
            ("numeric(25,0)".into(), ColumnData::Numeric(Some(Numeric::new_with_scale(n, 0))))
        }
        Value::Decimal(d) => {
            // a Decimal's scale ends at 28
            let scale = u8::try_from(d.scale()).map_err(|e| e.to_string())?;
            let n = Numeric::new_with_scale(d.mantissa(), scale);
            (format!("decimal(38,{scale})").into(), ColumnData::Numeric(Some(n)))
        }
        Value::Text(t) => {
            let long = t.encode_utf16().count() > 4000;
            let ty = if long { "nvarchar(max)" } else { "nvarchar(4000)" };
            (ty.into(), ColumnData::String(Some(Cow::Borrowed(t))))
        }
        Value::Blob(b) => {
            let ty = if b.len() > 8000 { "varbinary(max)" } else { "varbinary(8000)" };
            (ty.into(), ColumnData::Binary(Some(Cow::Borrowed(b))))
        }
        Value::Guid(g) => ("uniqueidentifier".into(), ColumnData::Guid(Some(*g))),
        Value::Date(d) => ("date".into(), ColumnData::Date(Some(wire_date(*d)?))),
        Value::Time(t) => ("time(7)".into(), ColumnData::Time(Some(wire_time(*t)))),
        Value::DateTime(d) => ("datetime2(7)".into(), ColumnData::DateTime2(Some(wire_datetime2(*d)?))),
        Value::DateTimeOffset(local, offset) => {
            let utc = local.checked_sub(i64::from(*offset).minutes()).map_err(|e| e.to_string())?;
            let data = time::DateTimeOffset::new(wire_datetime2(utc)?, *offset);
            ("datetimeoffset(7)".into(), ColumnData::DateTimeOffset(Some(data)))
        }
    })
}

fn wire_date(d: Date) -> Result<time::Date, String> {
    let days = d.since((jiff::Unit::Day, DATE_EPOCH)).map_err(|e| e.to_string())?.get_days();
    let days = u32::try_from(days).map_err(|_| "before year 1")?;
    Ok(time::Date::new(days))
}

/// In steps of 100 ns, as datetime2(7) counts; what is finer is cut.
fn wire_time(t: Time) -> time::Time {
    let seconds = i64::from(t.hour()) * 3600 + i64::from(t.minute()) * 60 + i64::from(t.second());
    let steps = seconds * 10_000_000 + i64::from(t.subsec_nanosecond()) / 100;
    time::Time::new(u64::try_from(steps).unwrap_or(0), 7)
}

fn wire_datetime2(d: DateTime) -> Result<time::DateTime2, String> {
    Ok(time::DateTime2::new(wire_date(d.date())?, wire_time(d.time())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(value: &Value, ty: ColumnType) -> Value {
        let (_, data) = parameter(value).unwrap();
        let data = match data {
            ColumnData::String(v) => ColumnData::String(v.map(|t| Cow::Owned(t.into_owned()))),
            ColumnData::Binary(v) => ColumnData::Binary(v.map(|t| Cow::Owned(t.into_owned()))),
            ColumnData::Numeric(v) => ColumnData::Numeric(v),
            ColumnData::Date(v) => ColumnData::Date(v),
            ColumnData::Time(v) => ColumnData::Time(v),
            ColumnData::DateTime2(v) => ColumnData::DateTime2(v),
            ColumnData::DateTimeOffset(v) => ColumnData::DateTimeOffset(v),
            ColumnData::F64(v) => ColumnData::F64(v),
            ColumnData::I32(v) => ColumnData::I32(v),
            ColumnData::I64(v) => ColumnData::I64(v),
            ColumnData::Bit(v) => ColumnData::Bit(v),
            ColumnData::Guid(v) => ColumnData::Guid(v),
            other => panic!("{other:?}"),
        };
        cell(data, ty, matches!(value, Value::Lsn(_))).unwrap()
    }

    #[test]
    fn every_value_comes_back_from_the_form_in_which_it_is_sent() {
        let when = jiff::civil::date(2024, 2, 29).at(23, 59, 59, 123_456_700);
        for value in [
            Value::Null,
            Value::Bit(true),
            Value::Int(-1),
            Value::Int(i64::MAX),
            Value::Float(0.1),
            Value::Lsn(Lsn(9_999_999_999_999_999_999_999_999)),
            Value::Decimal("-79228162514264337593543950335".parse().unwrap()),
            Value::Decimal("0.0000000000000000000000000001".parse().unwrap()),
            Value::Text("Größe '".into()),
            Value::Blob(vec![0, 255]),
            Value::Guid(uuid::Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff)),
            Value::Date(jiff::civil::date(1, 1, 1)),
            Value::Date(jiff::civil::date(9999, 12, 31)),
            Value::Time(jiff::civil::time(0, 0, 0, 100)),
            Value::DateTime(when),
            Value::DateTimeOffset(when, -210),
        ] {
            assert_eq!(back(&value, ColumnType::Null), value);
        }
    }

    #[test]
    fn integers_are_declared_as_narrow_as_they_are_and_long_text_as_max() {
        let ty = |v: Value| parameter(&v).unwrap().0.into_owned();
        assert_eq!(ty(Value::Int(7)), "int");
        assert_eq!(ty(Value::Int(1 << 40)), "bigint");
        assert_eq!(ty(Value::Text("x".repeat(4000))), "nvarchar(4000)");
        assert_eq!(ty(Value::Text("x".repeat(4001))), "nvarchar(max)");
        assert_eq!(ty(Value::Blob(vec![0; 8001])), "varbinary(max)");
        assert_eq!(ty(Value::Decimal("1.50".parse().unwrap())), "decimal(38,2)");
        assert!(parameter(&Value::Float(f64::NAN)).is_err());
    }

    #[test]
    fn datetime_shows_the_milliseconds_that_sql_server_shows() {
        let shown = |fragments| match datetime(time::DateTime::new(0, fragments)).unwrap() {
            Value::DateTime(d) => d.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(shown(1), "1900-01-01T00:00:00.003");
        assert_eq!(shown(2), "1900-01-01T00:00:00.007");
        assert_eq!(shown(3), "1900-01-01T00:00:00.01");
        assert_eq!(shown(25_919_999), "1900-01-01T23:59:59.997");
    }

    #[test]
    fn values_that_do_not_fit_are_refused_in_words() {
        let wide = Numeric::new_with_scale(10_i128.pow(30), 0);
        assert_eq!(numeric(wide, false), Err("a decimal of more than 28 digits does not fit".into()));
        assert!(money(922_337_203_685_477.0).is_err());
        assert_eq!(money(-0.0001), Ok(Value::Decimal("-0.0001".parse().unwrap())));
    }

    #[test]
    fn a_name_that_comes_twice_keeps_both_and_a_column_without_one_is_named_by_its_place() {
        let columns: Vec<(String, ColumnType)> =
            ["SPID", "Status", "SPID", "", "SPID_2", ""].map(|n| (n.to_owned(), ColumnType::Int4)).into();
        assert_eq!(names(&columns), ["SPID", "Status", "SPID_3", "column_4", "SPID_2", "column_6"]);
        let who: Vec<(String, ColumnType)> = ["SPID", "SPID"].map(|n| (n.to_owned(), ColumnType::Int4)).into();
        assert_eq!(names(&who), ["SPID", "SPID_2"]);
    }
}
