//! Dates and times as SQL Server gives them: without a zone unless the type has one; ordered, and printed as ISO 8601 text.

use std::cmp::Ordering;

use rhai::{Dynamic, Engine, EvalAltResult};

use super::{mistake, register_order};

/// A date, time, datetime, datetime2, smalldatetime or datetimeoffset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Time {
    Date(jiff::civil::Date),
    Time(jiff::civil::Time),
    DateTime(jiff::civil::DateTime),
    /// local time and its offset from UTC in minutes
    Offset(jiff::civil::DateTime, i16),
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Date(date) => date.fmt(f),
            Self::Time(time) => time.fmt(f),
            Self::DateTime(at) => at.fmt(f),
            Self::Offset(at, minutes) => {
                let sign = if *minutes < 0 { '-' } else { '+' };
                write!(f, "{at}{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        }
    }
}

impl Time {
    /// A datetimeoffset from its text.
    pub(super) fn offset(text: &str) -> Option<Self> {
        let at = text.len().checked_sub(6)?;
        let (local, offset) = (text.get(..at)?, text.get(at..)?);
        let (sign, rest) = offset.split_at_checked(1)?;
        let (hours, minutes) = rest.split_once(':')?;
        let minutes = hours.parse::<i16>().ok()?.checked_mul(60)?.checked_add(minutes.parse::<i16>().ok()?)?;
        Some(Self::Offset(local.parse().ok()?, if sign == "-" { -minutes } else { minutes }))
    }

    /// The order of two times of one kind.
    pub fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Date(a), Self::Date(b)) => Some(a.cmp(&b)),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(&b)),
            (Self::DateTime(a), Self::DateTime(b)) => Some(a.cmp(&b)),
            (Self::Date(a), Self::DateTime(b)) => Some(a.to_datetime(jiff::civil::Time::midnight()).cmp(&b)),
            (Self::DateTime(a), Self::Date(b)) => Some(a.cmp(&b.to_datetime(jiff::civil::Time::midnight()))),
            (Self::Offset(a, x), Self::Offset(b, y)) => {
                let utc = |at: jiff::civil::DateTime, minutes: i16| at.saturating_sub(jiff::Span::new().minutes(minutes));
                Some(utc(a, x).cmp(&utc(b, y)))
            }
            _ => None,
        }
    }
}

/// Text as a time of the same kind as another, so that a runbook may write times as ISO 8601 text; anything else is the
/// runbook's mistake, never silently false.
fn alike(kind: Time, value: &Dynamic) -> Result<Time, Box<EvalAltResult>> {
    let Ok(text) = value.clone().into_immutable_string() else {
        let found =
            if value.is_unit() { "a missing value (NULL)".to_owned() } else { format!("a value of type {}", super::type_name(value)) };
        return mistake(format!("the time {kind} cannot be compared with {found}"));
    };
    let read = match kind {
        Time::Date(_) => text.parse().ok().map(Time::Date),
        Time::Time(_) => text.parse().ok().map(Time::Time),
        Time::DateTime(_) => text.parse().ok().map(Time::DateTime),
        Time::Offset(..) => text.parse::<jiff::Timestamp>().ok().map(|at| Time::Offset(jiff::tz::Offset::UTC.to_datetime(at), 0)),
    };
    read.map_or_else(|| mistake(format!("the time {kind} cannot be compared with the text \"{text}\"")), Ok)
}

fn order(a: Time, b: Time) -> Result<Ordering, Box<EvalAltResult>> {
    match a.order(b) {
        Some(order) => Ok(order),
        None => mistake(format!("{a} and {b} are times of different kinds and cannot be compared")),
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Time>("Time");
    engine.register_fn("to_string", |time: &mut Time| time.to_string());
    engine.register_fn("to_debug", |time: &mut Time| time.to_string());
    register_order(engine, |a: &Time, b| order(*a, *b), |kind, value| alike(*kind, value));
}
