//! Rows: what a query, a listing or a cmdlet returned. Not a Rhai array, whose size is limited and whose every change is
//! measured; a row keeps its columns in order and answers `row.name` and `row["name"]`.

use std::sync::Arc;

use indexmap::IndexMap;
use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, ImmutableString, NativeCallContext};

use super::{mistake, names, text_of};

/// One row or object: column name to value, in order.
#[derive(Clone, Debug, Default)]
pub struct Row(pub Arc<IndexMap<ImmutableString, Dynamic>>);

/// Rows of one set, all with the same columns; or objects, whose keys may differ.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    pub columns: Arc<Vec<ImmutableString>>,
    pub rows: Arc<Vec<Row>>,
}

type Fallible<T> = Result<T, Box<EvalAltResult>>;

impl Row {
    /// The value of a column; the error names the columns that there are.
    pub fn get(&self, column: &str) -> Fallible<Dynamic> {
        match self.0.get(column) {
            Some(value) => Ok(value.clone()),
            None => self.no_column(column),
        }
    }

    fn no_column<T>(&self, column: &str) -> Fallible<T> {
        mistake(format!("there is no column `{column}`; the columns are: {}", names(self.0.keys().map(|k| k.as_str()))))
    }

    fn same(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(other.0.iter())
                .all(|((a, x), (b, y))| a == b && text_of(x) == text_of(y) && x.type_name() == y.type_name())
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("{")?;
        for (n, (name, value)) in self.0.iter().enumerate() {
            let comma = if n > 0 { ", " } else { "" };
            write!(f, "{comma}{name}: {}", text_of(value))?;
        }
        f.write_str("}")
    }
}

impl Rows {
    /// Rows from maps in order; the columns are the union of their keys.
    pub fn of(rows: Vec<Row>) -> Self {
        let mut columns: indexmap::IndexSet<ImmutableString> = indexmap::IndexSet::new();
        for row in &rows {
            columns.extend(row.0.keys().cloned());
        }
        Self { columns: Arc::new(columns.into_iter().collect()), rows: Arc::new(rows) }
    }

    fn with(&self, rows: Vec<Row>) -> Self {
        Self { columns: self.columns.clone(), rows: Arc::new(rows) }
    }

    fn at(&self, index: i64) -> Fallible<Row> {
        let found = usize::try_from(if index < 0 { index + self.rows.len() as i64 } else { index }).ok().and_then(|i| self.rows.get(i));
        match found {
            Some(row) => Ok(row.clone()),
            None => mistake(format!("there is no row {index}: there are {} rows, counted from 0", self.rows.len())),
        }
    }

    fn first(&self) -> Dynamic {
        self.rows.first().map_or(Dynamic::UNIT, |row| Dynamic::from(row.clone()))
    }

    fn column(&self, column: &str) -> Fallible<Array> {
        self.rows.iter().map(|row| row.get(column)).collect()
    }

    /// The same rows with these columns only, in this order.
    fn only(&self, columns: &Array) -> Fallible<Self> {
        let columns: Vec<ImmutableString> = columns.iter().map(|name| name.to_string().into()).collect();
        let pick = |row: &Row| columns.iter().map(|name| Ok((name.clone(), row.get(name)?))).collect::<Fallible<IndexMap<_, _>>>();
        let rows = self.rows.iter().map(|row| Ok(Row(Arc::new(pick(row)?)))).collect::<Fallible<Vec<_>>>()?;
        Ok(Self { columns: Arc::new(columns), rows: Arc::new(rows) })
    }

    fn sorted_by(&self, column: &str) -> Fallible<Self> {
        let mut keyed = self.rows.iter().map(|row| Ok((row.get(column)?, row.clone()))).collect::<Fallible<Vec<_>>>()?;
        keyed.sort_by(|(a, _), (b, _)| super::convert::compare(a, b));
        Ok(self.with(keyed.into_iter().map(|(_, row)| row).collect()))
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Row>("Row");
    engine.register_indexer_get(|row: &mut Row, column: ImmutableString| row.get(&column));
    engine.register_fn("contains", |row: &mut Row, column: ImmutableString| row.0.contains_key(&column));
    engine.register_fn("keys", |row: &mut Row| -> Array { row.0.keys().map(|k| k.clone().into()).collect() });
    engine.register_fn("values", |row: &mut Row| -> Array { row.0.values().cloned().collect() });
    engine.register_fn("get", |row: &mut Row, column: ImmutableString| row.0.get(&column).cloned().unwrap_or(Dynamic::UNIT));
    engine.register_fn("to_string", |row: &mut Row| row.to_string());
    engine.register_fn("to_debug", |row: &mut Row| row.to_string());
    engine.register_fn("==", |a: Row, b: Row| a.same(&b));
    engine.register_fn("!=", |a: Row, b: Row| !a.same(&b));

    engine.register_type_with_name::<Rows>("Rows");
    engine.register_iterator_result::<Rows, _>();
    engine.register_fn("len", |rows: &mut Rows| rows.rows.len() as i64);
    engine.register_get("len", |rows: &mut Rows| rows.rows.len() as i64);
    engine.register_fn("is_empty", |rows: &mut Rows| rows.rows.is_empty());
    engine.register_get("is_empty", |rows: &mut Rows| rows.rows.is_empty());
    engine.register_get("columns", |rows: &mut Rows| -> Array { rows.columns.iter().map(|c| c.clone().into()).collect() });
    engine.register_indexer_get(|rows: &mut Rows, index: i64| rows.at(index));
    engine.register_fn("first", |rows: &mut Rows| rows.first());
    engine.register_fn("column", |rows: &mut Rows, column: ImmutableString| rows.column(&column));
    engine.register_fn("only", |rows: &mut Rows, columns: Array| rows.only(&columns));
    engine.register_fn("sorted_by", |rows: &mut Rows, column: ImmutableString| rows.sorted_by(&column));
    engine.register_fn("to_string", |rows: &mut Rows| format!("{} rows", rows.rows.len()));
    engine.register_fn("to_debug", |rows: &mut Rows| format!("{} rows", rows.rows.len()));
    engine.register_fn("filter", |context: NativeCallContext, rows: &mut Rows, keep: FnPtr| -> Fallible<Rows> {
        let mut kept = Vec::new();
        for row in rows.rows.iter() {
            if truth(&keep.call_within_context::<Dynamic>(&context, (row.clone(),))?)? {
                kept.push(row.clone());
            }
        }
        Ok(rows.with(kept))
    });
    engine.register_fn("map", |context: NativeCallContext, rows: &mut Rows, make: FnPtr| -> Fallible<Array> {
        rows.rows.iter().map(|row| make.call_within_context::<Dynamic>(&context, (row.clone(),))).collect()
    });
    for (name, all) in [("all", true), ("some", false)] {
        engine.register_fn(name, move |context: NativeCallContext, rows: &mut Rows, test: FnPtr| -> Fallible<bool> {
            for row in rows.rows.iter() {
                if truth(&test.call_within_context::<Dynamic>(&context, (row.clone(),))?)? != all {
                    return Ok(!all);
                }
            }
            Ok(all)
        });
    }
}

fn truth(value: &Dynamic) -> Fallible<bool> {
    match value.as_bool() {
        Ok(value) => Ok(value),
        Err(other) => mistake(format!("the closure must return true or false, not {other}")),
    }
}

impl IntoIterator for Rows {
    type Item = Fallible<Dynamic>;
    type IntoIter = Box<dyn Iterator<Item = Fallible<Dynamic>>>;
    fn into_iter(self) -> Self::IntoIter {
        let rows = self.rows;
        Box::new((0..rows.len()).map(move |n| Ok(Dynamic::from(rows[n].clone()))))
    }
}
