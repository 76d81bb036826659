//! A SELECT of T-SQL turned into one of SQLite: names resolved against the catalogue, each expression given its T-SQL
//! type, and conversions written out where the server would make them silently. What is not known is refused with the
//! server's own error. Renders only; running is `statements/run.rs`.

mod calls;
mod expressions;

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Value as Stored;
use sqlparser::ast::{
    Distinct, Expr, Fetch, GroupByExpr, Ident, JoinConstraint, JoinOperator, LimitClause, ObjectName, ObjectNamePart, OrderByExpr,
    OrderByKind, OrderBySort, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, TableFactor,
    TopQuantity, Value,
};

use super::Variables;
use crate::lab::catalog::{self, Table};
use crate::lab::messages::{self, Raised};
use crate::lab::rights::Rights;
use crate::lab::tds::{Cell, Column, Type};
use crate::lab::values::{Family, common, family, to_sqlite, type_name};

/// A query ready to run in SQLite.
pub struct Rendered {
    pub sql: String,
    pub columns: Vec<Column>,
    /// the variables that the columns are assigned to, if it is `SELECT @a = ...`
    pub assigned: Vec<String>,
    pub parameters: Vec<Stored>,
    pub tables: BTreeSet<&'static str>,
}

/// Where a query is asked from: what a name means, and whether it means anything, depends on it.
pub struct Seat<'a> {
    pub database: &'a str,
    pub variables: &'a Variables,
    pub version: (u8, u8, u16),
    pub rights: Rights,
}

/// Turns a whole query into SQLite's.
pub fn render(query: &Query, seat: &Seat<'_>) -> Result<Rendered, Raised> {
    let mut renderer = Renderer::new(seat);
    let (sql, columns) = renderer.query(query)?;
    let assigned = std::mem::take(&mut renderer.assigned);
    if !assigned.is_empty() && assigned.len() != columns.len() {
        return Err(messages::assign_and_retrieve());
    }
    Ok(Rendered { sql, columns, assigned, parameters: renderer.parameters, tables: renderer.tables })
}

/// The parameters that a query uses and nobody declares, with the types that they meet; text where they meet none.
pub fn undeclared(query: &Query, seat: &Seat<'_>) -> Result<Vec<(String, Type)>, Raised> {
    let mut renderer = Renderer::new(seat);
    renderer.free = Some(Vec::new());
    renderer.query(query)?;
    let found = renderer.free.unwrap_or_default();
    Ok(found.into_iter().map(|(name, ty)| (name, ty.unwrap_or(Type::NVarChar(Some(4000))))).collect())
}

/// Turns a condition (IF) into a query of one `bit`.
pub fn render_condition(expr: &Expr, seat: &Seat<'_>) -> Result<Rendered, Raised> {
    let mut renderer = Renderer::new(seat);
    let predicate = renderer.predicate(expr)?;
    Ok(Rendered {
        sql: format!("SELECT CASE WHEN {predicate} THEN 1 ELSE 0 END"),
        columns: vec![Column { name: String::new(), ty: Type::Bit }],
        assigned: Vec::new(),
        parameters: renderer.parameters,
        tables: renderer.tables,
    })
}

/// Turns an expression into a query of one value; converted to `target` if there is one.
pub fn render_expression(expr: &Expr, target: Option<Type>, seat: &Seat<'_>) -> Result<Rendered, Raised> {
    let mut renderer = Renderer::new(seat);
    let value = renderer.expr(expr)?;
    let ty = target.unwrap_or(value.ty);
    let sql = match target {
        Some(target) => cast(&value, target, "0"),
        None => value.sql,
    };
    Ok(Rendered {
        sql: format!("SELECT {sql}"),
        columns: vec![Column { name: String::new(), ty }],
        assigned: Vec::new(),
        parameters: renderer.parameters,
        tables: renderer.tables,
    })
}

struct Typed {
    sql: String,
    ty: Type,
    /// the literal NULL, which has no type of its own
    null: bool,
    /// an undeclared parameter whose type is asked for
    free: Option<String>,
}

impl Typed {
    fn new(sql: impl Into<String>, ty: Type) -> Self {
        Self { sql: sql.into(), ty, null: false, free: None }
    }

    fn is_text(&self) -> bool {
        family(self.ty) == Family::Text
    }
}

struct Source {
    /// the names that a multi-part identifier may use, last part last, lower case
    names: Vec<String>,
    /// what it is called in SQLite
    alias: String,
    columns: Vec<Column>,
}

struct Renderer<'a> {
    seat: &'a Seat<'a>,
    parameters: Vec<Stored>,
    tables: BTreeSet<&'static str>,
    scopes: Vec<Vec<Source>>,
    common_tables: BTreeMap<String, Vec<Column>>,
    assigned: Vec<String>,
    aliases: usize,
    /// undeclared parameters in the order in which they come, if they may be there, with their types as far as known
    free: Option<Vec<(String, Option<Type>)>>,
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// CAST as a call, left out where both types are kept alike in SQLite.
fn cast(value: &Typed, to: Type, style: &str) -> String {
    if value.null || (value.ty == to && style == "0") {
        return value.sql.clone();
    }
    format!("lab_cast({}, '{}', '{}', {style})", value.sql, type_name(value.ty), type_name(to))
}

/// An implicit conversion: none where values of both types compare as they are kept.
fn coerce(value: &Typed, to: Type) -> String {
    let alike = match (value.ty, to) {
        (Type::Numeric { scale: a, .. }, Type::Numeric { scale: b, .. }) => a == b,
        (a, b) if family(a) == family(b) => {
            !matches!(family(a), Family::Money) && (family(a) != Family::Integer || b != Type::Bit || a == b)
        }
        (Type::Date, _) => false,
        _ => false,
    };
    if alike { value.sql.clone() } else { cast(value, to, "0") }
}

fn comparable(value: &Typed, to: Type) -> String {
    let sql = coerce(value, to);
    if family(to) == Family::Text { format!("{sql} COLLATE NOCASE") } else { sql }
}

/// The type in which two operands are compared: two variants meet as text.
fn meeting(a: &Typed, b: &Typed) -> Type {
    match (a.null, b.null) {
        (true, _) => b.ty,
        (_, true) => a.ty,
        _ => match common(a.ty, b.ty) {
            Type::SqlVariant => Type::NVarChar(Some(4000)),
            ty => ty,
        },
    }
}

fn last_name(name: &ObjectName) -> String {
    name.0.last().and_then(ObjectNamePart::as_ident).map(|ident| ident.value.clone()).unwrap_or_default()
}

fn unsupported(near: &str) -> Raised {
    messages::keyword_syntax(near)
}

impl<'a> Renderer<'a> {
    fn new(seat: &'a Seat<'a>) -> Self {
        Self {
            seat,
            parameters: Vec::new(),
            tables: BTreeSet::new(),
            scopes: Vec::new(),
            common_tables: BTreeMap::new(),
            assigned: Vec::new(),
            aliases: 0,
            free: None,
        }
    }

    fn bind(&mut self, cell: &Cell) -> String {
        self.parameters.push(to_sqlite(cell));
        format!("?{}", self.parameters.len())
    }

    /// An undeclared parameter has this type, as far as this place tells.
    fn settle(&mut self, value: &Typed, ty: Type) {
        let Some(name) = &value.free else { return };
        let found = self.free.iter_mut().flatten().find(|(known, _)| known == name);
        if let Some((_, settled)) = found {
            settled.get_or_insert(ty);
        }
    }

    /// The type in which two operands are compared.
    fn meet(&mut self, a: &Typed, b: &Typed) -> Type {
        let ty = meeting(a, b);
        self.settle(a, ty);
        self.settle(b, ty);
        ty
    }

    // ---- queries ----

    fn query(&mut self, query: &Query) -> Result<(String, Vec<Column>), Raised> {
        if query.for_clause.is_some() {
            return Err(unsupported("FOR"));
        }
        let mut with = String::new();
        if let Some(clause) = &query.with {
            let mut parts = Vec::new();
            for table in &clause.cte_tables {
                let (sql, mut columns) = self.query(&table.query)?;
                for (column, name) in columns.iter_mut().zip(&table.alias.columns) {
                    column.name = name.name.value.clone();
                }
                let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
                parts.push(format!("{}({}) AS ({sql})", quoted(&table.alias.name.value), names.join(", ")));
                self.common_tables.insert(table.alias.name.value.to_lowercase(), columns);
            }
            with = format!("WITH {} ", parts.join(", "));
        }
        let order = match &query.order_by {
            None => &[][..],
            Some(order) => match &order.kind {
                OrderByKind::Expressions(list) => list,
                OrderByKind::All(_) => return Err(unsupported("ALL")),
            },
        };
        let (sql, columns) = self.body(&query.body, order)?;
        let part = self.offset(query, order)?;
        Ok((format!("{with}{sql}{part}"), columns))
    }

    /// OFFSET n ROWS FETCH NEXT m ROWS ONLY, which came with 2012 and needs an order.
    fn offset(&mut self, query: &Query, order: &[OrderByExpr]) -> Result<String, Raised> {
        let skipped = match &query.limit_clause {
            None if query.fetch.is_none() => return Ok(String::new()),
            Some(LimitClause::LimitOffset { limit: None, offset: Some(offset), .. }) => offset,
            _ => return Err(unsupported("FETCH")),
        };
        if self.seat.version.0 < 11 || order.is_empty() {
            return Err(messages::incorrect_syntax("OFFSET"));
        }
        if matches!(&*query.body, SetExpr::Select(select) if select.top.is_some()) {
            return Err(messages::top_and_offset());
        }
        let skipped = self.expr(&skipped.value)?;
        let count = match &query.fetch {
            None => "-1".to_owned(),
            Some(Fetch { with_ties: false, percent: false, quantity: Some(count) }) => {
                let count = self.expr(count)?;
                cast(&count, Type::BigInt, "0")
            }
            Some(_) => return Err(unsupported("FETCH")),
        };
        Ok(format!(" LIMIT {count} OFFSET {}", cast(&skipped, Type::BigInt, "0")))
    }

    fn body(&mut self, body: &SetExpr, order: &[OrderByExpr]) -> Result<(String, Vec<Column>), Raised> {
        match body {
            SetExpr::Select(select) => self.select(select, order),
            SetExpr::Query(query) => {
                let (sql, columns) = self.query(query)?;
                Ok((format!("SELECT * FROM ({sql})"), columns))
            }
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let (mut left, mut columns) = self.body(left, &[])?;
                let (mut right, others) = self.body(right, &[])?;
                if columns.len() != others.len() {
                    return Err(messages::unequal_union());
                }
                let types: Vec<Type> = columns.iter().zip(&others).map(|(a, b)| common(a.ty, b.ty)).collect();
                left = converted(&left, &columns, &types);
                right = converted(&right, &others, &types);
                for (column, ty) in columns.iter_mut().zip(types) {
                    column.ty = ty;
                }
                let word = match (op, set_quantifier) {
                    (SetOperator::Union, SetQuantifier::All) => "UNION ALL",
                    (SetOperator::Union, _) => "UNION",
                    (SetOperator::Intersect, _) => "INTERSECT",
                    (SetOperator::Except | SetOperator::Minus, _) => "EXCEPT",
                };
                let order = self.order(order, &columns, true)?;
                Ok((format!("{left} {word} {right}{order}"), columns))
            }
            SetExpr::Values(_) => Err(unsupported("VALUES")),
            _ => Err(unsupported("TABLE")),
        }
    }

    fn select(&mut self, select: &Select, order: &[OrderByExpr]) -> Result<(String, Vec<Column>), Raised> {
        if select.into.is_some() {
            return Err(messages::denied("CREATE TABLE", self.seat.database));
        }
        self.scopes.push(Vec::new());
        let mut from = String::new();
        for (position, table) in select.from.iter().enumerate() {
            if position > 0 {
                from.push_str(" CROSS JOIN ");
            }
            from.push_str(&self.factor(&table.relation)?);
            for join in &table.joins {
                from.push_str(&self.join(&join.join_operator, &join.relation)?);
            }
        }
        let mut items = Vec::new();
        let mut columns = Vec::new();
        for item in &select.projection {
            self.item(item, &mut items, &mut columns)?;
        }
        let mut sql = String::from("SELECT ");
        match &select.distinct {
            Some(Distinct::Distinct) => sql.push_str("DISTINCT "),
            Some(Distinct::On(_)) => return Err(unsupported("ON")),
            _ => {}
        }
        sql.push_str(&items.join(", "));
        if !from.is_empty() {
            sql.push_str(" FROM ");
            sql.push_str(&from);
        }
        if let Some(condition) = &select.selection {
            sql.push_str(&format!(" WHERE {}", self.predicate(condition)?));
        }
        match &select.group_by {
            GroupByExpr::All(_) => return Err(unsupported("ALL")),
            GroupByExpr::Expressions(list, _) if !list.is_empty() => {
                let mut keys = Vec::new();
                for key in list {
                    let key = self.expr(key)?;
                    keys.push(comparable(&key, key.ty));
                }
                sql.push_str(&format!(" GROUP BY {}", keys.join(", ")));
            }
            GroupByExpr::Expressions(..) => {}
        }
        if let Some(condition) = &select.having {
            sql.push_str(&format!(" HAVING {}", self.predicate(condition)?));
        }
        sql.push_str(&self.order(order, &columns, false)?);
        if let Some(top) = &select.top {
            if top.percent || top.with_ties {
                return Err(unsupported("PERCENT"));
            }
            match &top.quantity {
                Some(TopQuantity::Constant(count)) => sql.push_str(&format!(" LIMIT {count}")),
                Some(TopQuantity::Expr(count)) => {
                    let count = self.expr(count)?;
                    sql.push_str(&format!(" LIMIT {}", cast(&count, Type::BigInt, "0")));
                }
                None => return Err(unsupported("TOP")),
            }
        }
        self.scopes.pop();
        Ok((sql, columns))
    }

    fn item(&mut self, item: &SelectItem, items: &mut Vec<String>, columns: &mut Vec<Column>) -> Result<(), Raised> {
        let mut push = |sql: String, name: String, ty: Type| {
            // a derived table's columns are reached by name; at the top the name does not matter
            let alias = if name.is_empty() { format!("column {}", items.len() + 1) } else { name.clone() };
            items.push(format!("{sql} AS {}", quoted(&alias)));
            columns.push(Column { name, ty });
        };
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let value = self.expr(expr)?;
                let name = match expr {
                    Expr::Identifier(ident) if !ident.value.starts_with('@') => ident.value.clone(),
                    Expr::CompoundIdentifier(parts) => parts.last().map(|part| part.value.clone()).unwrap_or_default(),
                    _ => String::new(),
                };
                push(value.sql, name, value.ty);
            }
            SelectItem::ExprWithAlias { expr, alias } if alias.value.starts_with('@') && alias.quote_style.is_none() => {
                let variable = self.seat.variables.get(&alias.value)?;
                let value = self.expr(expr)?;
                let sql = cast(&value, variable.ty, "0");
                self.assigned.push(alias.value.clone());
                push(sql, alias.value.clone(), variable.ty);
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let value = self.expr(expr)?;
                push(value.sql, alias.value.clone(), value.ty);
            }
            SelectItem::Wildcard(_) => {
                let scope = self.scopes.last().map(Vec::as_slice).unwrap_or_default();
                if scope.is_empty() {
                    return Err(messages::no_table());
                }
                for source in scope {
                    for column in &source.columns {
                        let sql = format!("{}.{}", source.alias, quoted(&column.name));
                        push(sql, column.name.clone(), column.ty);
                    }
                }
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let wanted = last_name(name).to_lowercase();
                let scope = self.scopes.last().map(Vec::as_slice).unwrap_or_default();
                let source = scope
                    .iter()
                    .find(|source| source.names.last() == Some(&wanted))
                    .ok_or_else(|| messages::column_prefix(&name.to_string()))?;
                for column in &source.columns {
                    let sql = format!("{}.{}", source.alias, quoted(&column.name));
                    push(sql, column.name.clone(), column.ty);
                }
            }
            other => return Err(messages::incorrect_syntax(&other.to_string())),
        }
        Ok(())
    }

    fn order(&mut self, order: &[OrderByExpr], columns: &[Column], compound: bool) -> Result<String, Raised> {
        let mut keys = Vec::new();
        for key in order {
            let output = match &key.expr {
                Expr::Identifier(ident) => columns.iter().position(|column| column.name.eq_ignore_ascii_case(&ident.value)),
                Expr::Value(value) => match &value.value {
                    Value::Number(digits, _) => digits.parse::<usize>().ok().and_then(|n| n.checked_sub(1)),
                    _ => None,
                },
                _ => None,
            };
            let (sql, ty) = match output {
                Some(at) => match columns.get(at) {
                    Some(column) => ((at + 1).to_string(), column.ty),
                    None => {
                        return Err(messages::order_position(at + 1));
                    }
                },
                None if compound => return Err(messages::invalid_column(&key.expr.to_string())),
                None => {
                    let value = self.expr(&key.expr)?;
                    (value.sql, value.ty)
                }
            };
            let collation = if family(ty) == Family::Text { " COLLATE NOCASE" } else { "" };
            let direction = match key.options.sort {
                Some(OrderBySort::Desc) => " DESC",
                _ => "",
            };
            keys.push(format!("{sql}{collation}{direction}"));
        }
        Ok(if keys.is_empty() { String::new() } else { format!(" ORDER BY {}", keys.join(", ")) })
    }

    fn join(&mut self, operator: &JoinOperator, relation: &TableFactor) -> Result<String, Raised> {
        let (word, constraint) = match operator {
            JoinOperator::Join(on) | JoinOperator::Inner(on) => ("JOIN", Some(on)),
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => ("LEFT JOIN", Some(on)),
            JoinOperator::Right(on) | JoinOperator::RightOuter(on) => ("RIGHT JOIN", Some(on)),
            JoinOperator::FullOuter(on) => ("FULL JOIN", Some(on)),
            JoinOperator::CrossJoin(_) => ("CROSS JOIN", None),
            _ => return Err(unsupported("APPLY")),
        };
        let factor = self.factor(relation)?;
        match constraint {
            None => Ok(format!(" {word} {factor}")),
            Some(JoinConstraint::On(condition)) => {
                let condition = self.predicate(condition)?;
                Ok(format!(" {word} {factor} ON {condition}"))
            }
            Some(_) => Err(messages::incorrect_syntax(&last_word(&relation.to_string()))),
        }
    }

    fn factor(&mut self, factor: &TableFactor) -> Result<String, Raised> {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let parts: Vec<String> =
                    name.0.iter().map(|part| part.as_ident().map(|ident| ident.value.clone()).unwrap_or_default()).collect();
                let shown = parts.join(".");
                self.aliases += 1;
                let own = format!("t{}", self.aliases);
                let names = match alias {
                    Some(alias) => vec![alias.name.value.to_lowercase()],
                    None => parts.iter().map(|part| part.to_lowercase()).collect(),
                };
                let single = if parts.len() == 1 { self.common_tables.get(&parts[0].to_lowercase()) } else { None };
                if let Some(columns) = single.cloned() {
                    let sql = format!("{} AS {own}", quoted(&parts[0]));
                    self.source(names, own, columns);
                    return Ok(sql);
                }
                let table: &'static Table = catalog::find(&parts, self.seat.database).ok_or_else(|| messages::invalid_object(&shown))?;
                table.admits(self.seat.rights)?;
                self.tables.insert(table.name);
                let sql = format!("{} AS {own}", quoted(table.name));
                self.source(names, own, table.columns_of(self.seat.version.0));
                Ok(sql)
            }
            TableFactor::Derived { lateral: false, subquery, alias: Some(alias), .. } => {
                // a derived table does not see its neighbours
                let outer = self.scopes.pop();
                let result = self.query(subquery);
                self.scopes.extend(outer);
                let (sql, mut columns) = result?;
                self.aliases += 1;
                let own = format!("t{}", self.aliases);
                let mut names = String::new();
                if !alias.columns.is_empty() {
                    for (column, name) in columns.iter_mut().zip(&alias.columns) {
                        column.name = name.name.value.clone();
                    }
                }
                if let Some(at) = columns.iter().position(|column| column.name.is_empty()) {
                    return Err(messages::unnamed_column(at + 1, &alias.name.value));
                }
                if !alias.columns.is_empty() {
                    let list: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
                    self.aliases += 1;
                    let inner = format!("t{}", self.aliases);
                    names = format!("WITH {inner}({}) AS ({sql}) SELECT * FROM {inner}", list.join(", "));
                }
                let sql = if names.is_empty() { sql } else { names };
                self.source(vec![alias.name.value.to_lowercase()], own.clone(), columns);
                Ok(format!("({sql}) AS {own}"))
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                let mut sql = self.factor(&table_with_joins.relation)?;
                for join in &table_with_joins.joins {
                    sql.push_str(&self.join(&join.join_operator, &join.relation)?);
                }
                Ok(format!("({sql})"))
            }
            TableFactor::Table { name, .. } => Err(messages::invalid_object(&name.to_string())),
            other => Err(messages::incorrect_syntax(&last_word(&other.to_string()))),
        }
    }

    fn source(&mut self, names: Vec<String>, alias: String, columns: Vec<Column>) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(Source { names, alias, columns });
        }
    }

    // ---- names ----

    fn column(&self, parts: &[Ident]) -> Result<Typed, Raised> {
        let Some((last, prefix)) = parts.split_last() else { return Err(messages::incorrect_syntax("")) };
        let prefix: Vec<String> = prefix.iter().map(|part| part.value.to_lowercase()).collect();
        for scope in self.scopes.iter().rev() {
            let mut found = None;
            for source in scope {
                if !source.names.ends_with(&prefix) {
                    continue;
                }
                for column in source.columns.iter().filter(|column| column.name.eq_ignore_ascii_case(&last.value)) {
                    if found.is_some() {
                        return Err(messages::ambiguous_column(&last.value));
                    }
                    found = Some(Typed::new(format!("{}.{}", source.alias, quoted(&column.name)), column.ty));
                }
            }
            if let Some(found) = found {
                return Ok(found);
            }
        }
        if prefix.is_empty() {
            return Err(messages::invalid_column(&last.value));
        }
        let known = self.scopes.iter().flatten().any(|source| source.names.ends_with(&prefix));
        if known {
            return Err(messages::invalid_column(&last.value));
        }
        let whole: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
        Err(messages::multi_part(&whole.join(".")))
    }
}

/// CAST as written by the user: also to the same family, where only length or range differ.
fn explicit(value: &Typed, to: Type, style: &str) -> String {
    if value.null { "NULL".to_owned() } else { cast(value, to, style) }
}

fn substring(arguments: &[Typed]) -> Typed {
    let [value, from, count] = arguments else { return Typed::new("NULL", Type::Int) };
    let ty = if value.is_text() { value.ty } else { Type::NVarChar(Some(4000)) };
    let number = |value: &Typed| cast(value, Type::Int, "0");
    Typed::new(format!("lab_substring({}, {}, {})", cast(value, ty, "0"), number(from), number(count)), ty)
}

/// The type of a CASE or COALESCE: the highest of its branches.
fn unified<'t>(values: impl Iterator<Item = &'t Typed>) -> Type {
    values.filter(|value| !value.null).map(|value| value.ty).reduce(common).unwrap_or(Type::Int)
}

/// Wraps an arm of a UNION so that its columns have the common types.
fn converted(sql: &str, columns: &[Column], types: &[Type]) -> String {
    if columns.iter().zip(types).all(|(column, ty)| column.ty == *ty) {
        return sql.to_owned();
    }
    let names: Vec<String> = (1..=columns.len()).map(|n| format!("c{n}")).collect();
    let items: Vec<String> =
        columns.iter().zip(types).zip(&names).map(|((column, ty), name)| cast(&Typed::new(name.clone(), column.ty), *ty, "0")).collect();
    format!("SELECT {} FROM (WITH w({}) AS ({sql}) SELECT * FROM w)", items.join(", "), names.join(", "))
}

/// What the server would name as "near": the last word of what was not understood.
fn last_word(text: &str) -> String {
    text.split_whitespace().last().unwrap_or_default().trim_matches(['(', ')']).to_owned()
}
