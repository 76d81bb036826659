//! What `sql` and `query` return.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, Map};
use serde_json::Value as Json;

use super::convert::{decode, encode};
use super::{Rows, from_sql};
use crate::effect::Outcome;
use crate::sqlserver::value::{Answer, Message, ResultSet};

/// The answer to one batch: `.rows`, `.first()`, `.value()`, `.sets`, `.affected`, `.messages`.
#[derive(Clone, Debug, Default)]
pub struct SqlResult(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    sets: Vec<Rows>,
    affected: i64,
    messages: Vec<Message>,
    status: Option<i32>,
}

impl SqlResult {
    pub fn new(answer: &Answer) -> Self {
        Self(Arc::new(Inner {
            sets: answer.sets.iter().map(rows).collect(),
            affected: answer.affected.iter().fold(0i64, |sum, n| sum.saturating_add(i64::try_from(*n).unwrap_or(i64::MAX))),
            messages: answer.messages.clone(),
            status: answer.status,
        }))
    }

    /// The rows of the first result set; none when the batch returned no set.
    pub fn rows(&self) -> Rows {
        self.0.sets.first().cloned().unwrap_or_default()
    }
}

fn rows(set: &ResultSet) -> Rows {
    let columns: Vec<rhai::ImmutableString> = set.columns.iter().map(|c| c.as_str().into()).collect();
    let rows = set.rows.iter().map(|row| super::Row(Arc::new(columns.iter().cloned().zip(row.values().map(from_sql)).collect()))).collect();
    Rows { columns: Arc::new(columns), rows: Arc::new(rows) }
}

impl Outcome for SqlResult {
    fn already() -> Self {
        Self::default()
    }

    fn record(&self) -> Json {
        serde_json::json!({
            "sets": self.0.sets.iter().map(|set| serde_json::json!({
                "columns": set.columns.iter().map(|c| c.as_str()).collect::<Vec<_>>(),
                "rows": set.rows.iter().map(|row| row.0.values().map(encode).collect::<Vec<_>>()).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "affected": self.0.affected,
            "messages": self.0.messages,
            "status": self.0.status,
        })
    }

    fn replay(record: Json) -> Result<Self, String> {
        let set = |set: &Json| -> Result<Rows, String> {
            let columns = set["columns"].as_array().ok_or("a result set has no columns")?;
            let columns: Vec<rhai::ImmutableString> = columns.iter().map(|c| c.as_str().unwrap_or_default().into()).collect();
            let row = |row: &Json| -> Result<super::Row, String> {
                let cells = row.as_array().filter(|cells| cells.len() == columns.len()).ok_or("a row does not fit its columns")?;
                let cells = columns.iter().zip(cells).map(|(column, cell)| Ok((column.clone(), decode(cell)?)));
                Ok(super::Row(Arc::new(cells.collect::<Result<_, String>>()?)))
            };
            let rows = set["rows"].as_array().into_iter().flatten().map(row).collect::<Result<Vec<_>, _>>()?;
            Ok(Rows { columns: Arc::new(columns.clone()), rows: Arc::new(rows) })
        };
        Ok(Self(Arc::new(Inner {
            sets: record["sets"].as_array().into_iter().flatten().map(set).collect::<Result<_, _>>()?,
            affected: record["affected"].as_i64().unwrap_or_default(),
            messages: serde_json::from_value(record["messages"].clone())
                .map_err(|error| format!("its messages are not understood: {error}"))?,
            status: record["status"].as_i64().and_then(|status| i32::try_from(status).ok()),
        })))
    }
}

fn message(message: &Message) -> Dynamic {
    let mut map = Map::new();
    map.insert("number".into(), i64::from(message.number).into());
    map.insert("severity".into(), i64::from(message.severity).into());
    map.insert("state".into(), i64::from(message.state).into());
    map.insert("text".into(), message.text.clone().into());
    map.insert("procedure".into(), message.procedure.clone().into());
    map.insert("line".into(), i64::from(message.line).into());
    map.into()
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<SqlResult>("SqlResult");
    engine.register_get("rows", |result: &mut SqlResult| result.rows());
    engine.register_get("sets", |result: &mut SqlResult| -> Array { result.0.sets.iter().map(|s| Dynamic::from(s.clone())).collect() });
    engine.register_get("affected", |result: &mut SqlResult| result.0.affected);
    engine.register_get("messages", |result: &mut SqlResult| -> Array { result.0.messages.iter().map(message).collect() });
    engine.register_get("status", |result: &mut SqlResult| result.0.status.map_or(Dynamic::UNIT, |s| i64::from(s).into()));
    engine.register_fn("first", |result: &mut SqlResult| -> Dynamic {
        result.rows().rows.first().map_or(Dynamic::UNIT, |row| Dynamic::from(row.clone()))
    });
    engine.register_fn("value", |result: &mut SqlResult| -> Dynamic {
        result.rows().rows.first().and_then(|row| row.0.first().map(|(_, v)| v.clone())).unwrap_or(Dynamic::UNIT)
    });
    for name in ["to_string", "to_debug"] {
        engine.register_fn(name, |result: &mut SqlResult| {
            format!("{} rows in {} sets, {} messages", result.rows().rows.len(), result.0.sets.len(), result.0.messages.len())
        });
    }
}
