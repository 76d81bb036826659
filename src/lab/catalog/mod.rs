//! The catalogue views and msdb tables of a simulated server, in SQLite. A table is created when a query first names it
//! and filled from the instance's state before each query that names it; nothing is kept in SQLite alone. Column names,
//! order and types are those of the views' documentation pages ("sys.databases", "backupset (Transact-SQL)", ...).

mod jobs;
mod msdb;
mod server;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use jiff::civil::DateTime;
use rusqlite::Connection;
use uuid::Uuid;

pub use jobs::{clock as run_clock, day as run_day};
pub use server::status as session_status;

use super::instance::{Instance, State, lock, same};
use super::messages::{self, Raised};
use super::rights::Rights;
use super::statements::functions::{Context, install, raised};
use super::statements::query::Rendered;
use super::tds::{Cell, Column, Type};
use super::values::{SYSNAME, from_sqlite, parse_type, to_sqlite};
use crate::wire::lsn::Lsn;

/// One view or table: where it lies, what it has, and how its rows come about.
pub struct Table {
    /// `sys.databases`, `msdb.dbo.backupset`: also its name in SQLite
    pub name: &'static str,
    /// `name type` pairs, comma-separated
    definition: &'static str,
    /// rows are only ever added, so that those already there stay
    grows: bool,
    fill: fn(&Source<'_>, &mut Rows<'_>),
}

impl Table {
    fn columns(&self) -> Vec<Column> {
        columns(self.definition)
    }

    /// The columns that a server of this major version has.
    pub fn columns_of(&self, major: u8) -> Vec<Column> {
        dated(self.definition).into_iter().filter(|(_, since)| *since <= major).map(|(column, _)| column).collect()
    }

    /// Database, schema and name.
    pub fn parts(&self) -> (&'static str, &'static str, &'static str) {
        match self.name.split_once(".dbo.") {
            Some((database, name)) => (database, "dbo", name),
            None => ("mssqlsystemresource", "sys", self.name.trim_start_matches("sys.")),
        }
    }

    /// Whether a login may read it at all: msdb lets everybody see what was backed up and restored. Error 229.
    pub fn admits(&self, rights: Rights) -> Result<(), Raised> {
        const PUBLIC: [&str; 5] = ["backupset", "backupmediaset", "backupmediafamily", "restorehistory", "syscategories"];
        let (database, schema, name) = self.parts();
        if rights.is_sysadmin() || database != "msdb" || PUBLIC.contains(&name) {
            return Ok(());
        }
        Err(messages::not_granted("SELECT", name, database, schema))
    }
}

/// True of views that need VIEW SERVER STATE; others show a login without it no more than itself.
pub fn shows_the_server(table: &str) -> bool {
    matches!(table, "sys.dm_exec_connections" | "sys.dm_tran_locks" | "sys.dm_os_sys_info" | "sys.dm_server_services")
}

/// Reads `name type, name type`; commas inside parentheses belong to the type.
pub fn columns(definition: &str) -> Vec<Column> {
    dated(definition).into_iter().map(|(column, _)| column).collect()
}

/// The same, with the major version that brought each column: `name type @11`.
fn dated(definition: &str) -> Vec<(Column, u8)> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in definition.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&definition[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&definition[start..]);
    let read = |part: &str| -> Option<(Column, u8)> {
        let (part, since) = part.split_once(" @").map_or((part, 0), |(part, since)| (part, since.trim().parse().unwrap_or(0)));
        let (name, ty) = part.trim().split_once(' ')?;
        Some((Column { name: name.to_owned(), ty: parse_type(ty, 1)? }, since))
    };
    parts
        .into_iter()
        .filter(|part| !part.trim().is_empty())
        .map(|part| read(part).unwrap_or((Column { name: part.trim().to_owned(), ty: SYSNAME }, 0)))
        .collect()
}

/// What a fill may look at.
pub struct Source<'a> {
    pub instance: &'a Instance,
    pub state: &'a State,
    pub session: u16,
    /// rows of a growing table that are there already
    pub skip: usize,
}

/// Where a fill puts its rows: cells by column name; what is not named is NULL.
pub struct Rows<'a> {
    columns: &'a [Column],
    insert: rusqlite::CachedStatement<'a>,
    count: usize,
    failed: Option<rusqlite::Error>,
}

impl Rows<'_> {
    pub fn row(&mut self, cells: &[(&str, Cell)]) {
        debug_assert!(
            cells.iter().all(|(name, _)| self.columns.iter().any(|column| column.name == *name)),
            "a cell for a column that is not there"
        );
        let values = self.columns.iter().map(|column| {
            cells.iter().find(|(name, _)| *name == column.name).map_or(rusqlite::types::Value::Null, |(_, cell)| to_sqlite(cell))
        });
        self.count += 1;
        if let Err(error) = self.insert.execute(rusqlite::params_from_iter(values)) {
            self.failed.get_or_insert(error);
        }
    }
}

/// What a cell is made of.
pub trait IntoCell {
    fn cell(self) -> Cell;
}

macro_rules! into_cell {
    ($($ty:ty => |$value:ident| $cell:expr;)*) => {
        $(impl IntoCell for $ty { fn cell(self) -> Cell { let $value = self; $cell } })*
    };
}

into_cell! {
    &str => |value| Cell::Text(value.to_owned());
    &String => |value| Cell::Text(value.clone());
    String => |value| Cell::Text(value);
    bool => |value| Cell::Bit(value);
    u8 => |value| Cell::TinyInt(value);
    i16 => |value| Cell::SmallInt(value);
    i32 => |value| Cell::Int(value);
    u16 => |value| Cell::Int(i32::from(value));
    u32 => |value| Cell::BigInt(i64::from(value));
    i64 => |value| Cell::BigInt(value);
    f32 => |value| Cell::Real(value);
    Uuid => |value| Cell::Guid(value);
    DateTime => |value| Cell::DateTime(super::values::to_datetime(value));
    Lsn => |value| Cell::Numeric { value: i128::try_from(value.0).unwrap_or(0), scale: 0 };
    Cell => |value| value;
}

impl<T: IntoCell> IntoCell for Option<T> {
    fn cell(self) -> Cell {
        self.map_or(Cell::Null, T::cell)
    }
}

/// A `numeric(20,0)`, as sizes are given.
pub fn size(bytes: u64) -> Cell {
    Cell::Numeric { value: i128::from(bytes), scale: 0 }
}

fn all() -> impl Iterator<Item = &'static Table> {
    server::TABLES.iter().chain(msdb::TABLES).chain(jobs::TABLES)
}

/// The names of all views and tables.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(|table| table.name)
}

/// The table that a name of one to three parts means, seen from `database`.
pub fn find(parts: &[String], database: &str) -> Option<&'static Table> {
    let (object, prefix) = parts.split_last()?;
    let (owner, schema) = match prefix {
        [] => (database, ""),
        [schema] => (database, schema.as_str()),
        [owner, schema] => (owner.as_str(), schema.as_str()),
        _ => return None,
    };
    let named = |name: String| all().find(|table| same(table.name, &name));
    let is_old = |table: &&Table| matches!(table.name, "sys.sysprocesses");
    match schema.to_ascii_lowercase().as_str() {
        "sys" => named(format!("sys.{object}")),
        "" | "dbo" => {
            let user = if same(owner, "msdb") { named(format!("msdb.dbo.{object}")) } else { None };
            user.or_else(|| named(format!("sys.{object}")).filter(is_old))
        }
        _ => None,
    }
}

/// The SQLite side of one instance.
pub struct Catalog {
    connection: Connection,
    context: Arc<Mutex<Context>>,
    /// rows that are there, by table
    filled: HashMap<&'static str, usize>,
}

/// The rows of one answer.
pub type Answer = Vec<Vec<Cell>>;

impl Catalog {
    pub fn new() -> rusqlite::Result<Self> {
        let connection = Connection::open_in_memory()?;
        connection.set_prepared_statement_cache_capacity(256);
        let context = Arc::new(Mutex::new(Context::default()));
        install(&connection, &context)?;
        Ok(Self { connection, context, filled: HashMap::new() })
    }

    /// Brings the tables that a query names up to date.
    pub fn refresh(&mut self, names: &BTreeSet<&'static str>, instance: &Instance, state: &State, session: u16) -> Result<(), Raised> {
        if names.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction().map_err(|error| internal(&error))?;
        for table in all().filter(|table| names.contains(table.name)) {
            let columns = table.columns();
            if !self.filled.contains_key(table.name) {
                let list: Vec<String> = columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
                let sql = format!("CREATE TABLE \"{}\" ({})", table.name, list.join(", "));
                transaction.execute_batch(&sql).map_err(|error| internal(&error))?;
                self.filled.insert(table.name, 0);
            }
            let skip = if table.grows { self.filled.get(table.name).copied().unwrap_or(0) } else { 0 };
            if skip == 0 {
                let sql = format!("DELETE FROM \"{}\"", table.name);
                transaction.prepare_cached(&sql).and_then(|mut delete| delete.execute([])).map_err(|error| internal(&error))?;
            }
            let marks = vec!["?"; columns.len()].join(", ");
            let sql = format!("INSERT INTO \"{}\" VALUES ({marks})", table.name);
            let insert = transaction.prepare_cached(&sql).map_err(|error| internal(&error))?;
            let mut rows = Rows { columns: &columns, insert, count: skip, failed: None };
            (table.fill)(&Source { instance, state, session, skip }, &mut rows);
            let (count, failed) = (rows.count, rows.failed.take());
            drop(rows);
            if let Some(error) = failed {
                return Err(internal(&error));
            }
            self.filled.insert(table.name, count);
        }
        transaction.commit().map_err(|error| internal(&error))
    }

    /// Runs a rendered query over tables that are up to date.
    pub fn run(&mut self, query: &Rendered, context: Context) -> Result<Answer, Raised> {
        *lock(&self.context) = context;
        let failed = |error: rusqlite::Error| raised(&error).unwrap_or_else(|| internal(&error));
        let mut statement = self.connection.prepare_cached(&query.sql).map_err(failed)?;
        let mut rows = statement.query(rusqlite::params_from_iter(&query.parameters)).map_err(failed)?;
        let mut answer = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let cells = query
                .columns
                .iter()
                .enumerate()
                .map(|(at, column)| row.get_ref(at).map(|value| from_sqlite(value, column.ty)).map_err(failed));
            let mut cells = cells.collect::<Result<Vec<_>, _>>()?;
            for (cell, column) in cells.iter_mut().zip(&query.columns) {
                whole_int(cell, column.ty)?;
            }
            answer.push(cells);
        }
        Ok(answer)
    }
}

/// An integer that outgrew its type (a SUM) is the server's overflow.
fn whole_int(cell: &mut Cell, ty: Type) -> Result<(), Raised> {
    if let Cell::BigInt(_) = cell
        && matches!(ty, Type::TinyInt | Type::SmallInt | Type::Int)
    {
        return Err(messages::overflow(ty));
    }
    Ok(())
}

/// What SQLite refused although the server would have run it: said as the server says that a query is too much for it.
fn internal(error: &rusqlite::Error) -> Raised {
    tracing::debug!(%error, "the lab's catalogue refused a query");
    messages::no_plan()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_of_every_table_has_a_type_and_a_name_of_its_own() {
        for table in all() {
            for part in table.columns() {
                assert!(!part.name.contains(' '), "{}: {}", table.name, part.name);
            }
            let mut names: Vec<String> = table.columns().into_iter().map(|column| column.name).collect();
            names.sort();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{}", table.name);
        }
    }

    #[test]
    fn tables_are_found_by_every_name_the_server_takes() {
        let name = |text: &str, database: &str| {
            let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
            find(&parts, database).map(|table| table.name)
        };
        assert_eq!(name("sys.databases", "master"), Some("sys.databases"));
        assert_eq!(name("master.sys.Databases", "msdb"), Some("sys.databases"));
        assert_eq!(name("msdb.dbo.backupset", "master"), Some("msdb.dbo.backupset"));
        assert_eq!(name("msdb..backupset", "master"), Some("msdb.dbo.backupset"));
        assert_eq!(name("backupset", "msdb"), Some("msdb.dbo.backupset"));
        assert_eq!(name("backupset", "master"), None);
        assert_eq!(name("master..sysprocesses", "msdb"), Some("sys.sysprocesses"));
        assert_eq!(name("databases", "master"), None);
    }
}
