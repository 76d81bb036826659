//! Data types and values on the wire, in both directions: TYPE_INFO and what follows it (MS-TDS 2.2.5.4 to 2.2.5.6).
//! Parameters are read, columns and output values written; what a value means is nobody's business here.

use jiff::civil;

use super::cursor::{Bad, Cursor, utf16};
use super::{Cell, Type};

/// SQL_Latin1_General_CP1_CI_AS, as COLLATION carries it.
pub const COLLATION: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x34];

/// How a value's length is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// by the type; never NULL
    Fixed(usize),
    /// one byte; 0 is NULL
    Byte,
    /// two bytes; 0xFFFF is NULL
    Short,
    /// four bytes; 0xFFFFFFFF is NULL
    Long,
    /// partially length-prefixed chunks
    Chunks,
    /// always NULL, no bytes at all
    Nothing,
    /// four bytes, then a type of its own
    Variant,
}

/// A parameter's declared type with what is needed to read its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    pub ty: Type,
    form: Form,
}

/// Reads TYPE_INFO.
pub fn read_type(c: &mut Cursor<'_>) -> Result<Declared, Bad> {
    let code = c.u8()?;
    let fixed = |ty, n| Ok(Declared { ty, form: Form::Fixed(n) });
    let byte = |ty| Ok(Declared { ty, form: Form::Byte });
    match code {
        0x1F => Ok(Declared { ty: Type::Int, form: Form::Nothing }),
        0x30 => fixed(Type::TinyInt, 1),
        0x32 => fixed(Type::Bit, 1),
        0x34 => fixed(Type::SmallInt, 2),
        0x38 => fixed(Type::Int, 4),
        0x3A => fixed(Type::SmallDateTime, 4),
        0x3B => fixed(Type::Real, 4),
        0x3C => fixed(Type::Money, 8),
        0x3D => fixed(Type::DateTime, 8),
        0x3E => fixed(Type::Float, 8),
        0x7A => fixed(Type::SmallMoney, 4),
        0x7F => fixed(Type::BigInt, 8),
        0x24 => match c.u8()? {
            16 => byte(Type::Guid),
            _ => Err(Bad::Invalid("length of uniqueidentifier")),
        },
        0x26 => match c.u8()? {
            1 => byte(Type::TinyInt),
            2 => byte(Type::SmallInt),
            4 => byte(Type::Int),
            8 => byte(Type::BigInt),
            _ => Err(Bad::Invalid("length of an integer")),
        },
        0x68 => match c.u8()? {
            1 => byte(Type::Bit),
            _ => Err(Bad::Invalid("length of bit")),
        },
        0x6D => match c.u8()? {
            4 => byte(Type::Real),
            8 => byte(Type::Float),
            _ => Err(Bad::Invalid("length of float")),
        },
        0x6E => match c.u8()? {
            4 => byte(Type::SmallMoney),
            8 => byte(Type::Money),
            _ => Err(Bad::Invalid("length of money")),
        },
        0x6F => match c.u8()? {
            4 => byte(Type::SmallDateTime),
            8 => byte(Type::DateTime),
            _ => Err(Bad::Invalid("length of datetime")),
        },
        0x6A | 0x6C | 0x37 | 0x3F => {
            c.take(1)?;
            let (precision, scale) = (c.u8()?, c.u8()?);
            if !(1..=38).contains(&precision) || scale > precision {
                return Err(Bad::Invalid("precision of numeric"));
            }
            byte(Type::Numeric { precision, scale })
        }
        0x28 => byte(Type::Date),
        0x29 => byte(Type::Time(read_scale(c)?)),
        0x2A => byte(Type::DateTime2(read_scale(c)?)),
        0x2B => byte(Type::DateTimeOffset(read_scale(c)?)),
        0xE7 | 0xEF | 0xA7 | 0xAF => {
            let bytes = c.u16()?;
            c.take(COLLATION.len())?;
            let ty = match (code, bytes) {
                (0xE7, 0xFFFF) => Type::NVarChar(None),
                (0xE7, n) => Type::NVarChar(Some(n / 2)),
                (0xEF, n) => Type::NChar(n / 2),
                (0xA7, 0xFFFF) => Type::VarChar(None),
                (0xA7, n) => Type::VarChar(Some(n)),
                (_, n) => Type::Char(n),
            };
            let form = if bytes == 0xFFFF { Form::Chunks } else { Form::Short };
            Ok(Declared { ty, form })
        }
        0xA5 => match c.u16()? {
            0xFFFF => Ok(Declared { ty: Type::VarBinary(None), form: Form::Chunks }),
            n => Ok(Declared { ty: Type::VarBinary(Some(n)), form: Form::Short }),
        },
        0xAD => Ok(Declared { ty: Type::Binary(c.u16()?), form: Form::Short }),
        0x23 | 0x63 => {
            c.take(4 + COLLATION.len())?;
            let ty = if code == 0x23 { Type::VarChar(None) } else { Type::NVarChar(None) };
            Ok(Declared { ty, form: Form::Long })
        }
        0x22 => {
            c.take(4)?;
            Ok(Declared { ty: Type::VarBinary(None), form: Form::Long })
        }
        0xF1 => {
            // XML_INFO: a schema's three names, if there is one
            if c.u8()? != 0 {
                c.short_text()?;
                c.short_text()?;
                let n = c.u16()?;
                c.chars(n.into())?;
            }
            Ok(Declared { ty: Type::NVarChar(None), form: Form::Chunks })
        }
        0x62 => {
            c.take(4)?;
            Ok(Declared { ty: Type::SqlVariant, form: Form::Variant })
        }
        other => Err(Bad::Type(other)),
    }
}

fn read_scale(c: &mut Cursor<'_>) -> Result<u8, Bad> {
    match c.u8()? {
        scale @ 0..=7 => Ok(scale),
        _ => Err(Bad::Invalid("scale of a time")),
    }
}

/// Reads a value of a type.
pub fn read_value(c: &mut Cursor<'_>, declared: &Declared) -> Result<Cell, Bad> {
    let Declared { ty, form } = declared;
    let data = match form {
        Form::Nothing => return Ok(Cell::Null),
        Form::Fixed(n) => c.take(*n)?,
        Form::Byte => match c.u8()? {
            0 => return Ok(Cell::Null),
            n => c.take(n.into())?,
        },
        Form::Short => match c.u16()? {
            0xFFFF => return Ok(Cell::Null),
            n => c.take(n.into())?,
        },
        Form::Long => match c.u32()? {
            0xFFFF_FFFF => return Ok(Cell::Null),
            n => c.take(usize::try_from(n).unwrap_or(usize::MAX))?,
        },
        Form::Chunks => {
            return match read_chunks(c)? {
                None => Ok(Cell::Null),
                Some(data) => from_bytes(*ty, &data),
            };
        }
        Form::Variant => {
            let total = c.size()?;
            if total == 0 {
                return Ok(Cell::Null);
            }
            return read_variant(Cursor::new(c.take(total)?));
        }
    };
    from_bytes(*ty, data)
}

/// The chunks of a PLP value joined; `None` is NULL. The total that it announces may be a lie or unknown: not used.
fn read_chunks(c: &mut Cursor<'_>) -> Result<Option<Vec<u8>>, Bad> {
    if c.u64()? == u64::MAX {
        return Ok(None);
    }
    let mut data = Vec::new();
    loop {
        match c.size()? {
            0 => return Ok(Some(data)),
            n => data.extend_from_slice(c.take(n)?),
        }
    }
}

/// What lies inside a sql_variant, if it is one of the types without properties.
fn read_variant(mut c: Cursor<'_>) -> Result<Cell, Bad> {
    let code = c.u8()?;
    let properties = c.u8()?;
    let ty = match code {
        0x30 => Type::TinyInt,
        0x32 => Type::Bit,
        0x34 => Type::SmallInt,
        0x38 => Type::Int,
        0x3B => Type::Real,
        0x3C => Type::Money,
        0x3D => Type::DateTime,
        0x3E => Type::Float,
        0x7F => Type::BigInt,
        0x24 => Type::Guid,
        0xE7 => Type::NVarChar(None),
        0xA7 => Type::VarChar(None),
        other => return Err(Bad::Type(other)),
    };
    c.take(properties.into())?;
    from_bytes(ty, c.all())
}

fn from_bytes(ty: Type, data: &[u8]) -> Result<Cell, Bad> {
    let mut c = Cursor::new(data);
    let cell = match ty {
        Type::Bit => Cell::Bit(c.u8()? != 0),
        Type::TinyInt => Cell::TinyInt(c.u8()?),
        Type::SmallInt => Cell::SmallInt(c.u16()?.cast_signed()),
        Type::Int => Cell::Int(c.u32()?.cast_signed()),
        Type::BigInt => Cell::BigInt(c.u64()?.cast_signed()),
        Type::Real => Cell::Real(f32::from_bits(c.u32()?)),
        Type::Float => Cell::Float(f64::from_bits(c.u64()?)),
        Type::Numeric { scale, .. } => {
            let positive = c.u8()? != 0;
            let digits = c.all();
            let mut magnitude = [0; 16];
            magnitude.get_mut(..digits.len()).ok_or(Bad::Invalid("length of numeric"))?.copy_from_slice(digits);
            let value = i128::try_from(u128::from_le_bytes(magnitude)).map_err(|_| Bad::Invalid("value of numeric"))?;
            Cell::Numeric { value: if positive { value } else { -value }, scale }
        }
        Type::Money => {
            let (high, low) = (c.u32()?, c.u32()?);
            Cell::Money((u64::from(high) << 32 | u64::from(low)).cast_signed())
        }
        Type::SmallMoney => Cell::Money(c.u32()?.cast_signed().into()),
        Type::NVarChar(_) | Type::NChar(_) => Cell::Text(utf16(c.all())?),
        Type::VarChar(_) | Type::Char(_) => Cell::Text(c.all().iter().map(|byte| from_cp1252(*byte)).collect()),
        Type::VarBinary(_) | Type::Binary(_) => Cell::Binary(c.all().to_vec()),
        Type::Guid => {
            let bytes = c.all().try_into().map_err(|_| Bad::Invalid("length of uniqueidentifier"))?;
            Cell::Guid(uuid::Uuid::from_bytes_le(bytes))
        }
        Type::Date => Cell::Date(read_date(&mut c)?),
        Type::Time(scale) => Cell::Time(read_time(&mut c, data.len(), scale)?),
        Type::DateTime => {
            let days = i64::from(c.u32()?.cast_signed());
            let ticks = u64::from(c.u32()?);
            // three ticks are ten milliseconds; the server shows whole ones
            let time = time_of(ticks.saturating_mul(10).saturating_add(1) / 3 * 1_000_000)?;
            Cell::DateTime(date_of(days, EPOCH_1900)?.to_datetime(time))
        }
        Type::SmallDateTime => {
            let days = i64::from(c.u16()?);
            let minutes = u64::from(c.u16()?);
            Cell::DateTime(date_of(days, EPOCH_1900)?.to_datetime(time_of(minutes * 60_000_000_000)?))
        }
        Type::DateTime2(scale) => {
            let time = read_time(&mut c, data.len().saturating_sub(3), scale)?;
            Cell::DateTime(read_date(&mut c)?.to_datetime(time))
        }
        Type::DateTimeOffset(scale) => {
            let time = read_time(&mut c, data.len().saturating_sub(5), scale)?;
            let utc = read_date(&mut c)?.to_datetime(time);
            let minutes = c.u16()?.cast_signed();
            let local = utc.checked_add(jiff::SignedDuration::from_mins(minutes.into())).map_err(|_| Bad::Invalid("datetimeoffset"))?;
            Cell::DateTimeOffset(local, minutes)
        }
        Type::SqlVariant => return Err(Bad::Invalid("sql_variant")),
    };
    match c.is_empty() {
        true => Ok(cell),
        false => Err(Bad::Invalid("length of a value")),
    }
}

const EPOCH_1: civil::Date = civil::date(1, 1, 1);
const EPOCH_1900: civil::Date = civil::date(1900, 1, 1);
const DAY: u64 = 86_400_000_000_000;

fn date_of(days: i64, epoch: civil::Date) -> Result<civil::Date, Bad> {
    let span = jiff::Span::new().try_days(days).map_err(|_| Bad::Invalid("date"))?;
    match epoch.checked_add(span) {
        Ok(date) if date >= EPOCH_1 => Ok(date),
        _ => Err(Bad::Invalid("date")),
    }
}

fn time_of(nanoseconds: u64) -> Result<civil::Time, Bad> {
    if nanoseconds >= DAY {
        return Err(Bad::Invalid("time of day"));
    }
    let seconds = nanoseconds / 1_000_000_000;
    let part = |n: u64| i8::try_from(n).map_err(|_| Bad::Invalid("time of day"));
    let fraction = i32::try_from(nanoseconds % 1_000_000_000).map_err(|_| Bad::Invalid("time of day"))?;
    civil::Time::new(part(seconds / 3600)?, part(seconds / 60 % 60)?, part(seconds % 60)?, fraction)
        .map_err(|_| Bad::Invalid("time of day"))
}

fn read_date(c: &mut Cursor<'_>) -> Result<civil::Date, Bad> {
    let mut days = 0;
    for (i, byte) in c.take(3)?.iter().enumerate() {
        days |= i64::from(*byte) << (8 * i);
    }
    date_of(days, EPOCH_1)
}

/// Units of 10^-scale seconds in three to five bytes.
fn read_time(c: &mut Cursor<'_>, bytes: usize, scale: u8) -> Result<civil::Time, Bad> {
    if bytes != time_bytes(scale) {
        return Err(Bad::Invalid("length of a time"));
    }
    let mut units = 0;
    for (i, byte) in c.take(bytes)?.iter().enumerate() {
        units |= u64::from(*byte) << (8 * i);
    }
    time_of(units.saturating_mul(10u64.pow(9 - u32::from(scale.min(7)))))
}

fn time_bytes(scale: u8) -> usize {
    match scale {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    }
}

/// A cell does not fit the type of its column: the lab's own mistake, answered as SQL Server answers a failed conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit;

/// Writes TYPE_INFO; every type in its nullable form.
pub fn write_type(out: &mut Vec<u8>, ty: Type) {
    let text = |out: &mut Vec<u8>, code: u8, bytes: u16| {
        out.push(code);
        out.extend_from_slice(&bytes.to_le_bytes());
        out.extend_from_slice(&COLLATION);
    };
    match ty {
        Type::Bit => out.extend_from_slice(&[0x68, 1]),
        Type::TinyInt => out.extend_from_slice(&[0x26, 1]),
        Type::SmallInt => out.extend_from_slice(&[0x26, 2]),
        Type::Int => out.extend_from_slice(&[0x26, 4]),
        Type::BigInt => out.extend_from_slice(&[0x26, 8]),
        Type::Real => out.extend_from_slice(&[0x6D, 4]),
        Type::Float => out.extend_from_slice(&[0x6D, 8]),
        Type::Numeric { precision, scale } => {
            let bytes = u8::try_from(numeric_bytes(precision) + 1).unwrap_or(17);
            out.extend_from_slice(&[0x6C, bytes, precision, scale]);
        }
        Type::Money => out.extend_from_slice(&[0x6E, 8]),
        Type::SmallMoney => out.extend_from_slice(&[0x6E, 4]),
        Type::NVarChar(None) => text(out, 0xE7, 0xFFFF),
        Type::NVarChar(Some(n)) => text(out, 0xE7, n.clamp(1, 4000) * 2),
        Type::NChar(n) => text(out, 0xEF, n.clamp(1, 4000) * 2),
        Type::VarChar(None) => text(out, 0xA7, 0xFFFF),
        Type::VarChar(Some(n)) => text(out, 0xA7, n.clamp(1, 8000)),
        Type::Char(n) => text(out, 0xAF, n.clamp(1, 8000)),
        Type::VarBinary(None) => out.extend_from_slice(&[0xA5, 0xFF, 0xFF]),
        Type::VarBinary(Some(n)) => {
            out.push(0xA5);
            out.extend_from_slice(&n.clamp(1, 8000).to_le_bytes());
        }
        Type::Binary(n) => {
            out.push(0xAD);
            out.extend_from_slice(&n.clamp(1, 8000).to_le_bytes());
        }
        Type::Guid => out.extend_from_slice(&[0x24, 16]),
        Type::Date => out.push(0x28),
        Type::Time(scale) => out.extend_from_slice(&[0x29, scale.min(7)]),
        Type::DateTime => out.extend_from_slice(&[0x6F, 8]),
        Type::SmallDateTime => out.extend_from_slice(&[0x6F, 4]),
        Type::DateTime2(scale) => out.extend_from_slice(&[0x2A, scale.min(7)]),
        Type::DateTimeOffset(scale) => out.extend_from_slice(&[0x2B, scale.min(7)]),
        Type::SqlVariant => out.extend_from_slice(&[0x62, 0x49, 0x1F, 0, 0]),
    }
}

/// Writes a value as its column's type wants it; nothing is written if it does not fit.
pub fn write_value(out: &mut Vec<u8>, ty: Type, cell: &Cell) -> Result<(), Misfit> {
    let data = match cell {
        Cell::Null => None,
        cell => Some(to_bytes(ty, cell)?),
    };
    match ty {
        Type::NVarChar(None) | Type::VarChar(None) | Type::VarBinary(None) => match data {
            None => out.extend_from_slice(&u64::MAX.to_le_bytes()),
            Some(data) => {
                let length = u32::try_from(data.len()).map_err(|_| Misfit)?;
                out.extend_from_slice(&u64::from(length).to_le_bytes());
                if length > 0 {
                    out.extend_from_slice(&length.to_le_bytes());
                    out.extend_from_slice(&data);
                }
                out.extend_from_slice(&0u32.to_le_bytes());
            }
        },
        Type::NVarChar(_) | Type::NChar(_) | Type::VarChar(_) | Type::Char(_) | Type::VarBinary(_) | Type::Binary(_) => match data {
            None => out.extend_from_slice(&0xFFFFu16.to_le_bytes()),
            Some(data) => {
                out.extend_from_slice(&u16::try_from(data.len()).map_err(|_| Misfit)?.to_le_bytes());
                out.extend_from_slice(&data);
            }
        },
        Type::SqlVariant => {
            let data = data.unwrap_or_default();
            out.extend_from_slice(&u32::try_from(data.len()).map_err(|_| Misfit)?.to_le_bytes());
            out.extend_from_slice(&data);
        }
        _ => {
            let data = data.unwrap_or_default();
            out.push(u8::try_from(data.len()).map_err(|_| Misfit)?);
            out.extend_from_slice(&data);
        }
    }
    Ok(())
}

/// The value's own bytes, without their length.
fn to_bytes(ty: Type, cell: &Cell) -> Result<Vec<u8>, Misfit> {
    let integer = || integer_of(cell).ok_or(Misfit);
    Ok(match ty {
        Type::Bit => vec![u8::from(integer()? != 0)],
        Type::TinyInt => vec![u8::try_from(integer()?).map_err(|_| Misfit)?],
        Type::SmallInt => i16::try_from(integer()?).map_err(|_| Misfit)?.to_le_bytes().into(),
        Type::Int => i32::try_from(integer()?).map_err(|_| Misfit)?.to_le_bytes().into(),
        Type::BigInt => i64::try_from(integer()?).map_err(|_| Misfit)?.to_le_bytes().into(),
        #[expect(clippy::cast_possible_truncation, reason = "real is the narrower of the two by declaration")]
        Type::Real => (float_of(cell).ok_or(Misfit)? as f32).to_le_bytes().into(),
        Type::Float => float_of(cell).ok_or(Misfit)?.to_le_bytes().into(),
        Type::Numeric { precision, scale } => {
            let value = scaled(cell, scale).ok_or(Misfit)?;
            let magnitude = value.unsigned_abs();
            if 10u128.checked_pow(precision.into()).is_none_or(|limit| magnitude >= limit) {
                return Err(Misfit);
            }
            let mut bytes = vec![u8::from(value >= 0)];
            bytes.extend(magnitude.to_le_bytes().iter().take(numeric_bytes(precision)));
            bytes
        }
        Type::Money => {
            let value = money_of(cell).ok_or(Misfit)?.to_le_bytes();
            let (low, high) = value.split_at(4);
            [high, low].concat()
        }
        Type::SmallMoney => i32::try_from(money_of(cell).ok_or(Misfit)?).map_err(|_| Misfit)?.to_le_bytes().into(),
        Type::NVarChar(_) | Type::NChar(_) => {
            let mut bytes: Vec<u8> = text_of(cell).ok_or(Misfit)?.encode_utf16().flat_map(u16::to_le_bytes).collect();
            match ty {
                Type::NVarChar(Some(n)) if bytes.len() > usize::from(n.clamp(1, 4000)) * 2 => {
                    return Err(Misfit);
                }
                Type::NChar(n) => {
                    let width = usize::from(n.clamp(1, 4000)) * 2;
                    if bytes.len() > width {
                        return Err(Misfit);
                    }
                    while bytes.len() < width {
                        bytes.extend_from_slice(&[0x20, 0]);
                    }
                }
                _ => {}
            }
            bytes
        }
        Type::VarChar(_) | Type::Char(_) => {
            let bytes = text_of(cell).ok_or(Misfit)?.chars().map(to_cp1252).collect();
            match ty {
                Type::VarChar(Some(n)) => fitted(bytes, n, None)?,
                Type::Char(n) => fitted(bytes, n, Some(b' '))?,
                _ => bytes,
            }
        }
        Type::VarBinary(_) | Type::Binary(_) => {
            let Cell::Binary(bytes) = cell else {
                return Err(Misfit);
            };
            match ty {
                Type::VarBinary(Some(n)) => fitted(bytes.clone(), n, None)?,
                Type::Binary(n) => fitted(bytes.clone(), n, Some(0))?,
                _ => bytes.clone(),
            }
        }
        Type::Guid => match cell {
            Cell::Guid(guid) => guid.to_bytes_le().into(),
            Cell::Text(text) => uuid::Uuid::parse_str(text).map_err(|_| Misfit)?.to_bytes_le().into(),
            _ => return Err(Misfit),
        },
        Type::Date => write_date(datetime_of(cell)?.date())?,
        Type::Time(scale) => {
            let time = match cell {
                Cell::Time(time) => *time,
                cell => datetime_of(cell)?.time(),
            };
            // a time has no next day to round into
            let units = units_of(time, scale).min(10u64.pow(u32::from(scale.min(7))) * 86_400 - 1);
            write_units(units, scale)
        }
        Type::DateTime => {
            let at = datetime_of(cell)?;
            let milliseconds = nanoseconds_of(at.time()) / 1_000_000;
            let ticks = (milliseconds * 3 + 5) / 10;
            let days = days_since(at.date(), EPOCH_1900)? + i64::from(ticks >= 25_920_000);
            let ticks = u32::try_from(ticks % 25_920_000).map_err(|_| Misfit)?;
            [i32::try_from(days).map_err(|_| Misfit)?.to_le_bytes(), ticks.to_le_bytes()].concat()
        }
        Type::SmallDateTime => {
            let at = datetime_of(cell)?;
            let minutes = (nanoseconds_of(at.time()) / 1_000_000_000 + 30) / 60;
            let days = days_since(at.date(), EPOCH_1900)? + i64::from(minutes >= 1440);
            let minutes = u16::try_from(minutes % 1440).map_err(|_| Misfit)?;
            [u16::try_from(days).map_err(|_| Misfit)?.to_le_bytes(), minutes.to_le_bytes()].concat()
        }
        Type::DateTime2(scale) => write_datetime2(datetime_of(cell)?, scale)?,
        Type::DateTimeOffset(scale) => {
            let (local, minutes) = match cell {
                Cell::DateTimeOffset(local, minutes) => (*local, *minutes),
                cell => (datetime_of(cell)?, 0),
            };
            let utc = local.checked_sub(jiff::SignedDuration::from_mins(minutes.into())).map_err(|_| Misfit)?;
            let mut bytes = write_datetime2(utc, scale)?;
            bytes.extend_from_slice(&minutes.to_le_bytes());
            bytes
        }
        Type::SqlVariant => {
            let (code, inside) = match cell {
                Cell::Bit(_) => (0x32, Type::Bit),
                Cell::TinyInt(_) => (0x30, Type::TinyInt),
                Cell::SmallInt(_) => (0x34, Type::SmallInt),
                Cell::Int(_) => (0x38, Type::Int),
                Cell::BigInt(_) => (0x7F, Type::BigInt),
                Cell::Float(_) => (0x3E, Type::Float),
                Cell::Text(text) => {
                    let mut bytes = vec![0xE7, 7];
                    bytes.extend_from_slice(&COLLATION);
                    bytes.extend_from_slice(&8000u16.to_le_bytes());
                    bytes.extend(text.encode_utf16().take(4000).flat_map(u16::to_le_bytes));
                    return Ok(bytes);
                }
                _ => return Err(Misfit),
            };
            let mut bytes = vec![code, 0];
            bytes.extend(to_bytes(inside, cell)?);
            bytes
        }
    })
}

fn fitted(mut bytes: Vec<u8>, n: u16, padding: Option<u8>) -> Result<Vec<u8>, Misfit> {
    let width = usize::from(n.clamp(1, 8000));
    if bytes.len() > width {
        return Err(Misfit);
    }
    if let Some(padding) = padding {
        bytes.resize(width, padding);
    }
    Ok(bytes)
}

fn numeric_bytes(precision: u8) -> usize {
    match precision {
        0..=9 => 4,
        10..=19 => 8,
        20..=28 => 12,
        _ => 16,
    }
}

fn integer_of(cell: &Cell) -> Option<i128> {
    match cell {
        Cell::Bit(value) => Some((*value).into()),
        Cell::TinyInt(value) => Some((*value).into()),
        Cell::SmallInt(value) => Some((*value).into()),
        Cell::Int(value) => Some((*value).into()),
        Cell::BigInt(value) => Some((*value).into()),
        Cell::Numeric { value, scale: 0 } => Some(*value),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "float is what the column declares")]
fn float_of(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Real(value) => Some((*value).into()),
        Cell::Float(value) => Some(*value),
        Cell::Numeric { value, scale } => Some(*value as f64 / 10f64.powi((*scale).into())),
        Cell::Money(value) => Some(*value as f64 / 10_000.0),
        cell => integer_of(cell).map(|value| value as f64),
    }
}

/// The value in units of 10^-scale, rounded away from zero as SQL Server does.
fn scaled(cell: &Cell, scale: u8) -> Option<i128> {
    let (value, from) = match cell {
        Cell::Numeric { value, scale } => (*value, *scale),
        Cell::Money(value) => (i128::from(*value), 4),
        cell => (integer_of(cell)?, 0),
    };
    if from <= scale {
        return value.checked_mul(10i128.checked_pow((scale - from).into())?);
    }
    let unit = 10i128.checked_pow((from - scale).into())?;
    Some(value / unit + if (value % unit).abs() * 2 >= unit { value.signum() } else { 0 })
}

fn money_of(cell: &Cell) -> Option<i64> {
    i64::try_from(scaled(cell, 4)?).ok()
}

fn text_of(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Text(text) => Some(text.clone()),
        Cell::Guid(guid) => Some(guid.to_string().to_uppercase()),
        _ => None,
    }
}

fn datetime_of(cell: &Cell) -> Result<civil::DateTime, Misfit> {
    match cell {
        Cell::DateTime(at) | Cell::DateTimeOffset(at, _) => Ok(*at),
        Cell::Date(date) => Ok(date.to_datetime(civil::Time::midnight())),
        _ => Err(Misfit),
    }
}

fn days_since(date: civil::Date, epoch: civil::Date) -> Result<i64, Misfit> {
    if date < EPOCH_1 {
        return Err(Misfit);
    }
    Ok(date.duration_since(epoch).as_hours() / 24)
}

fn nanoseconds_of(time: civil::Time) -> u64 {
    let nanoseconds = time.duration_since(civil::Time::midnight()).as_nanos();
    u64::try_from(nanoseconds).unwrap_or(0)
}

fn write_date(date: civil::Date) -> Result<Vec<u8>, Misfit> {
    let days = u32::try_from(days_since(date, EPOCH_1)?).map_err(|_| Misfit)?;
    Ok(days.to_le_bytes().into_iter().take(3).collect())
}

fn units_of(time: civil::Time, scale: u8) -> u64 {
    let unit = 10u64.pow(9 - u32::from(scale.min(7)));
    (nanoseconds_of(time) + unit / 2) / unit
}

fn write_units(units: u64, scale: u8) -> Vec<u8> {
    units.to_le_bytes().into_iter().take(time_bytes(scale)).collect()
}

fn write_datetime2(at: civil::DateTime, scale: u8) -> Result<Vec<u8>, Misfit> {
    let day = 10u64.pow(u32::from(scale.min(7))) * 86_400;
    let units = units_of(at.time(), scale);
    let date = match units >= day {
        true => at.date().tomorrow().map_err(|_| Misfit)?,
        false => at.date(),
    };
    let mut bytes = write_units(units % day, scale);
    bytes.extend(write_date(date)?);
    Ok(bytes)
}

/// The part of code page 1252 that is not Latin-1, from 0x80; U+FFFD where it has no character.
const CP1252: [char; 32] = [
    '€', '\u{FFFD}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{FFFD}', 'Ž', '\u{FFFD}', //
    '\u{FFFD}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{FFFD}', 'ž', 'Ÿ',
];

fn from_cp1252(byte: u8) -> char {
    match byte {
        0x80..=0x9F => CP1252.get(usize::from(byte - 0x80)).copied().unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => byte.into(),
    }
}

fn to_cp1252(c: char) -> u8 {
    match u8::try_from(c) {
        Ok(byte) if !(0x80..=0x9F).contains(&byte) => byte,
        _ => CP1252
            .iter()
            .position(|special| *special == c && c != char::REPLACEMENT_CHARACTER)
            .and_then(|i| u8::try_from(i + 0x80).ok())
            .unwrap_or(b'?'),
    }
}
