//! What an operator is shown before a question, from a runbook's values.

use rhai::{Array, Dynamic, Map};

use super::values::{Row, Rows, SqlResult, Time, text_of};
use crate::operator::{Evidence, Table};

/// Evidence from the option `show`: text, rows, a map (one line a key), or a list of `[title, value]` pairs, in order.
pub fn evidence(show: Option<&Dynamic>) -> Vec<Evidence> {
    let Some(show) = show else { return Vec::new() };
    let show = show.flatten_clone();
    match show.clone().try_cast::<Array>() {
        Some(list) if !list.is_empty() && list.iter().all(is_pair) => {
            list.into_iter().filter_map(|pair| pair.try_cast::<Array>()).map(|pair| one(pair[0].to_string(), &pair[1])).collect()
        }
        _ => vec![one(String::new(), &show)],
    }
}

fn is_pair(value: &Dynamic) -> bool {
    value.read_lock::<Array>().is_some_and(|pair| pair.len() == 2 && pair[0].is_string())
}

fn one(title: String, value: &Dynamic) -> Evidence {
    let value = value.flatten_clone();
    let table = |rows: &Rows| Table {
        columns: rows.columns.iter().map(|c| c.to_string()).collect(),
        rows: rows.rows.iter().map(|row| rows.columns.iter().map(|c| row.0.get(c).map(shown_text).unwrap_or_default()).collect()).collect(),
    };
    let facts = |pairs: Vec<(String, String)>| Table { columns: Vec::new(), rows: pairs.into_iter().map(|(k, v)| vec![k, v]).collect() };
    if let Some(rows) = value.read_lock::<Rows>() {
        return shown(title, table(&rows));
    }
    if let Some(result) = value.read_lock::<SqlResult>() {
        return shown(title, table(&result.rows()));
    }
    if let Some(row) = value.read_lock::<Row>() {
        return shown(title, facts(row.0.iter().map(|(k, v)| (k.to_string(), shown_text(v))).collect()));
    }
    if let Some(map) = value.read_lock::<Map>() {
        return shown(title, facts(map.iter().filter(|(_, v)| !v.is_fnptr()).map(|(k, v)| (k.to_string(), shown_text(v))).collect()));
    }
    if let Some(list) = value.read_lock::<Array>() {
        let rows: Option<Vec<Row>> = list
            .iter()
            .map(|item| match item.read_lock::<Map>() {
                Some(map) => Some(Row(std::sync::Arc::new(map.iter().map(|(k, v)| (k.as_str().into(), v.clone())).collect()))),
                None => item.read_lock::<Row>().map(|row| row.clone()),
            })
            .collect();
        if !list.is_empty() && list.iter().all(is_pair) {
            let pair = |pair: &Dynamic| pair.read_lock::<Array>().map(|pair| vec![pair[0].to_string(), shown_text(&pair[1])]);
            return shown(title, Table { columns: Vec::new(), rows: list.iter().filter_map(pair).collect() });
        }
        return match rows {
            _ if list.is_empty() => shown(title, Table::default()),
            Some(rows) if !rows.is_empty() => shown(title, table(&Rows::of(rows))),
            _ => Evidence { title, table: None, text: list.iter().map(shown_text).collect() },
        };
    }
    Evidence { title, table: None, text: shown_text(&value).lines().map(str::to_owned).collect() }
}

/// A value as it is read at a glance: a blank between date and time, lists and maps without brackets.
fn shown_text(value: &Dynamic) -> String {
    if let Some(list) = value.read_lock::<Array>() {
        return list.iter().map(shown_text).collect::<Vec<_>>().join(", ");
    }
    if let Some(map) = value.read_lock::<Map>() {
        return map.iter().map(|(key, value)| format!("{key} {}", shown_text(value))).collect::<Vec<_>>().join(", ");
    }
    let text = text_of(value);
    if value.is::<Time>() { text.replacen('T', " ", 1) } else { text }
}

/// A table without rows says so: silence could be taken for a failure to look.
fn shown(title: String, table: Table) -> Evidence {
    if table.rows.is_empty() {
        return Evidence { title, table: None, text: vec!["(none)".to_owned()] };
    }
    Evidence { title, table: Some(table), text: Vec::new() }
}
