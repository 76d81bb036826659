//! A SELECT of T-SQL turned into one of SQLite: names resolved against the catalogue, each expression given its T-SQL
//! type, and conversions written out where the server would make them silently. What is not known is refused with the
//! server's own error. Renders only; running is `statements/run_query.rs`.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Value as Stored;
use sqlparser::ast::{
    BinaryOperator, Distinct, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident,
    JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, OrderByExpr, OrderByKind, OrderBySort, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, TableFactor, TopQuantity, UnaryOperator, Value, WindowType,
};

use super::Variables;
use crate::lab::catalog::{self, Table};
use crate::lab::messages::{self, Raised};
use crate::lab::tds::{Cell, Column, Type};
use crate::lab::values::{Family, common, family, length, parse_type, to_sqlite, type_name, unhex};

/// A query ready to run in SQLite.
pub struct Rendered {
    pub sql: String,
    pub columns: Vec<Column>,
    /// the variables that the columns are assigned to, if it is `SELECT @a = ...`
    pub assigned: Vec<String>,
    pub parameters: Vec<Stored>,
    pub tables: BTreeSet<&'static str>,
}

/// Turns a whole query into SQLite's.
pub fn render(query: &Query, database: &str, variables: &Variables) -> Result<Rendered, Raised> {
    let mut renderer = Renderer::new(database, variables);
    let (sql, columns) = renderer.query(query)?;
    let assigned = std::mem::take(&mut renderer.assigned);
    if !assigned.is_empty() && assigned.len() != columns.len() {
        return Err(messages::assign_and_retrieve());
    }
    Ok(Rendered { sql, columns, assigned, parameters: renderer.parameters, tables: renderer.tables })
}

/// Turns a condition (IF) into a query of one `bit`.
pub fn render_condition(expr: &Expr, database: &str, variables: &Variables) -> Result<Rendered, Raised> {
    let mut renderer = Renderer::new(database, variables);
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
pub fn render_expression(expr: &Expr, target: Option<Type>, database: &str, variables: &Variables) -> Result<Rendered, Raised> {
    let mut renderer = Renderer::new(database, variables);
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
}

impl Typed {
    fn new(sql: impl Into<String>, ty: Type) -> Self {
        Self { sql: sql.into(), ty, null: false }
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
    database: &'a str,
    variables: &'a Variables,
    parameters: Vec<Stored>,
    tables: BTreeSet<&'static str>,
    scopes: Vec<Vec<Source>>,
    common_tables: BTreeMap<String, Vec<Column>>,
    assigned: Vec<String>,
    aliases: usize,
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
    fn new(database: &'a str, variables: &'a Variables) -> Self {
        Self {
            database,
            variables,
            parameters: Vec::new(),
            tables: BTreeSet::new(),
            scopes: Vec::new(),
            common_tables: BTreeMap::new(),
            assigned: Vec::new(),
            aliases: 0,
        }
    }

    fn bind(&mut self, cell: &Cell) -> String {
        self.parameters.push(to_sqlite(cell));
        format!("?{}", self.parameters.len())
    }

    // ---- queries ----

    fn query(&mut self, query: &Query) -> Result<(String, Vec<Column>), Raised> {
        if query.fetch.is_some() || query.limit_clause.is_some() {
            return Err(unsupported("FETCH"));
        }
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
        Ok((format!("{with}{sql}"), columns))
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
                    return Err(messages::message(
                        205,
                        16,
                        1,
                        "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists.",
                    ));
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
            return Err(messages::message(262, 14, 1, format!("CREATE TABLE permission denied in database '{}'.", self.database)));
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
                let variable = self.variables.get(&alias.value)?;
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
                    return Err(messages::message(263, 16, 1, "Must specify table to select from."));
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
                let source = scope.iter().find(|source| source.names.last() == Some(&wanted)).ok_or_else(|| {
                    messages::message(
                        107,
                        15,
                        1,
                        format!("The column prefix '{name}' does not match with a table name or alias name used in the query."),
                    )
                })?;
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
                        let text =
                            format!("The ORDER BY position number {} is out of range of the number of items in the select list.", at + 1);
                        return Err(messages::message(108, 16, 1, text));
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
                let table: &'static Table = catalog::find(&parts, self.database).ok_or_else(|| messages::invalid_object(&shown))?;
                self.tables.insert(table.name);
                let sql = format!("{} AS {own}", quoted(table.name));
                self.source(names, own, table.columns());
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
                    let text = format!("No column name was specified for column {} of '{}'.", at + 1, alias.name.value);
                    return Err(messages::message(8155, 16, 2, text));
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

    // ---- predicates ----

    fn predicate(&mut self, expr: &Expr) -> Result<String, Raised> {
        match expr {
            Expr::Nested(inner) => Ok(format!("({})", self.predicate(inner)?)),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(format!("NOT ({})", self.predicate(expr)?)),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                Ok(format!("({} AND {})", self.predicate(left)?, self.predicate(right)?))
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                Ok(format!("({} OR {})", self.predicate(left)?, self.predicate(right)?))
            }
            Expr::BinaryOp { left, op, right } if comparison(op).is_some() => {
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                let ty = meeting(&left, &right);
                let word = comparison(op).unwrap_or("=");
                Ok(format!("({} {word} {})", comparable(&left, ty), comparable(&right, ty)))
            }
            Expr::IsNull(inner) => Ok(format!("({} IS NULL)", self.expr(inner)?.sql)),
            Expr::IsNotNull(inner) => Ok(format!("({} IS NOT NULL)", self.expr(inner)?.sql)),
            Expr::Between { expr, negated, low, high } => {
                let (value, low, high) = (self.expr(expr)?, self.expr(low)?, self.expr(high)?);
                let (first, second) = (meeting(&value, &low), meeting(&value, &high));
                let inside = format!(
                    "({} >= {} AND {} <= {})",
                    comparable(&value, first),
                    comparable(&low, first),
                    comparable(&value, second),
                    comparable(&high, second)
                );
                Ok(if *negated { format!("(NOT {inside})") } else { inside })
            }
            Expr::InList { expr, list, negated } => {
                let value = self.expr(expr)?;
                let members = list.iter().map(|member| self.expr(member)).collect::<Result<Vec<_>, _>>()?;
                let ty = members.iter().fold(value.ty, |ty, member| if member.null { ty } else { meeting(&Typed::new("", ty), member) });
                let members: Vec<String> = members.iter().map(|member| coerce(member, ty)).collect();
                let word = if *negated { "NOT IN" } else { "IN" };
                Ok(format!("({} {word} ({}))", comparable(&value, ty), members.join(", ")))
            }
            Expr::InSubquery { expr, subquery, negated } => {
                let value = self.expr(expr)?;
                let (sql, columns) = self.query(subquery)?;
                let [column] = columns.as_slice() else {
                    return Err(messages::message(
                        116,
                        16,
                        1,
                        "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.",
                    ));
                };
                let word = if *negated { "NOT IN" } else { "IN" };
                let ty = common(value.ty, column.ty);
                let sql = if family(ty) == family(column.ty) { sql } else { converted(&sql, &columns, &[ty]) };
                Ok(format!("({} {word} ({sql}))", comparable(&value, ty)))
            }
            Expr::Exists { subquery, negated } => {
                let (sql, _) = self.query(subquery)?;
                Ok(if *negated { format!("(NOT EXISTS ({sql}))") } else { format!("EXISTS ({sql})") })
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                let text = Type::NVarChar(None);
                let (value, pattern) = (self.expr(expr)?, self.expr(pattern)?);
                let escape = match escape_char {
                    Some(escape) => self.expr(escape)?.sql,
                    None => "''".to_owned(),
                };
                let word = if *negated { "NOT " } else { "" };
                Ok(format!("({word}lab_like({}, {}, {escape}))", coerce(&value, text), coerce(&pattern, text)))
            }
            other => Err(messages::not_a_condition(&last_word(&other.to_string()))),
        }
    }

    // ---- expressions ----

    fn expr(&mut self, expr: &Expr) -> Result<Typed, Raised> {
        match expr {
            Expr::Nested(inner) => {
                let inner = self.expr(inner)?;
                Ok(Typed { sql: format!("({})", inner.sql), ..inner })
            }
            Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.starts_with("@@") => self.global(&ident.value),
            Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.starts_with('@') => {
                let variable = self.variables.get(&ident.value)?;
                let (ty, sql) = (variable.ty, self.bind(&variable.value));
                Ok(Typed::new(sql, ty))
            }
            Expr::Identifier(ident) => self.column(std::slice::from_ref(ident)),
            Expr::CompoundIdentifier(parts) => self.column(parts),
            Expr::Value(value) => self.literal(&value.value),
            Expr::Collate { expr, .. } => self.expr(expr),
            Expr::Cast { expr, data_type, .. } => {
                let value = self.expr(expr)?;
                let name = data_type.to_string();
                let ty = parse_type(&name, 30).ok_or_else(|| messages::unknown_type(&name))?;
                Ok(Typed::new(explicit(&value, ty, "0"), ty))
            }
            Expr::Convert { is_try, expr, data_type: Some(data_type), styles, target_before_value: true, .. } => {
                let value = self.expr(expr)?;
                let name = data_type.to_string();
                let ty = parse_type(&name, 30).ok_or_else(|| messages::unknown_type(&name))?;
                let style = match styles.as_slice() {
                    [] => "0".to_owned(),
                    [style] => cast(&self.expr(style)?, Type::Int, "0"),
                    _ => return Err(messages::arguments_needed("convert", 3)),
                };
                let sql = explicit(&value, ty, &style);
                Ok(Typed::new(if *is_try { sql.replacen("lab_cast(", "lab_try_cast(", 1) } else { sql }, ty))
            }
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
                let value = self.expr(expr)?;
                self.arithmetic("-", Typed::new("0", Type::TinyInt), value)
            }
            Expr::UnaryOp { op: UnaryOperator::Plus, expr } => self.expr(expr),
            Expr::BinaryOp { left, op, right } => {
                let word = match op {
                    BinaryOperator::Plus => "+",
                    BinaryOperator::Minus => "-",
                    BinaryOperator::Multiply => "*",
                    BinaryOperator::Divide => "/",
                    BinaryOperator::Modulo => "%",
                    BinaryOperator::BitwiseAnd => "&",
                    BinaryOperator::BitwiseOr => "|",
                    other => return Err(messages::incorrect_syntax(&other.to_string())),
                };
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                self.arithmetic(word, left, right)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let mut arms = Vec::new();
                let operand = operand.as_deref().map(|operand| self.expr(operand)).transpose()?;
                for arm in conditions {
                    let condition = match &operand {
                        None => self.predicate(&arm.condition)?,
                        Some(operand) => {
                            let value = self.expr(&arm.condition)?;
                            let ty = meeting(operand, &value);
                            format!("{} = {}", comparable(operand, ty), comparable(&value, ty))
                        }
                    };
                    arms.push((condition, self.expr(&arm.result)?));
                }
                let otherwise = else_result.as_deref().map(|result| self.expr(result)).transpose()?;
                let ty = unified(arms.iter().map(|(_, value)| value).chain(&otherwise));
                let mut sql = String::from("CASE");
                for (condition, value) in &arms {
                    sql.push_str(&format!(" WHEN {condition} THEN {}", coerce(value, ty)));
                }
                if let Some(value) = &otherwise {
                    sql.push_str(&format!(" ELSE {}", coerce(value, ty)));
                }
                Ok(Typed::new(format!("({sql} END)"), ty))
            }
            Expr::Subquery(query) => {
                let (sql, columns) = self.query(query)?;
                let [column] = columns.as_slice() else {
                    return Err(messages::message(
                        116,
                        16,
                        1,
                        "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.",
                    ));
                };
                Ok(Typed::new(format!("({sql})"), column.ty))
            }
            Expr::Function(function) => self.function(function),
            Expr::Substring { expr, substring_from: Some(from), substring_for: Some(count), .. } => {
                let arguments = [self.expr(expr)?, self.expr(from)?, self.expr(count)?];
                Ok(substring(&arguments))
            }
            Expr::Trim { expr, trim_what: None, trim_characters: None, .. } => {
                let value = self.text(expr)?;
                Ok(Typed::new(format!("trim({})", value.sql), value.ty))
            }
            Expr::Floor { .. } => Err(messages::not_a_function("floor")),
            Expr::Ceil { .. } => Err(messages::not_a_function("ceiling")),
            Expr::Exists { .. } | Expr::Like { .. } | Expr::IsNull(_) | Expr::Between { .. } | Expr::InList { .. } => {
                Err(messages::incorrect_syntax(&last_word(&expr.to_string())))
            }
            other => Err(messages::incorrect_syntax(&last_word(&other.to_string()))),
        }
    }

    fn text(&mut self, expr: &Expr) -> Result<Typed, Raised> {
        let value = self.expr(expr)?;
        if value.is_text() {
            return Ok(value);
        }
        let ty = Type::NVarChar(Some(4000));
        Ok(Typed::new(cast(&value, ty, "0"), ty))
    }

    fn literal(&mut self, value: &Value) -> Result<Typed, Raised> {
        let size = |text: &str, limit: usize| u16::try_from(text.encode_utf16().count().clamp(1, limit)).ok();
        Ok(match value {
            Value::Null => Typed { sql: "NULL".into(), ty: Type::Int, null: true },
            Value::SingleQuotedString(text) => {
                let sql = self.bind(&Cell::Text(text.clone()));
                Typed::new(sql, Type::VarChar(size(text, 8000)))
            }
            Value::NationalStringLiteral(text) => {
                let sql = self.bind(&Cell::Text(text.clone()));
                Typed::new(sql, Type::NVarChar(size(text, 4000)))
            }
            Value::HexStringLiteral(digits) => {
                let bytes = unhex(digits).ok_or_else(|| messages::incorrect_syntax(digits))?;
                let ty = Type::VarBinary(u16::try_from(bytes.len().clamp(1, 8000)).ok());
                Typed::new(self.bind(&Cell::Binary(bytes)), ty)
            }
            Value::Number(text, _) => self.number(text)?,
            Value::Boolean(_) => return Err(messages::invalid_column(&value.to_string())),
            other => return Err(messages::incorrect_syntax(&other.to_string())),
        })
    }

    fn number(&mut self, text: &str) -> Result<Typed, Raised> {
        if text.contains(['e', 'E']) {
            let x = text.parse::<f64>().map_err(|_| messages::incorrect_syntax(text))?;
            return Ok(Typed::new(self.bind(&Cell::Float(x)), Type::Float));
        }
        if let Ok(n) = text.parse::<i32>() {
            return Ok(Typed::new(n.to_string(), Type::Int));
        }
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{part}");
        let value = digits.parse::<i128>().ok().filter(|_| digits.len() <= 38);
        let value = value.ok_or_else(|| {
            messages::message(
                1007,
                15,
                1,
                format!("The number '{text}' is out of the range for numeric representation (maximum precision 38)."),
            )
        })?;
        let scale = u8::try_from(part.len()).unwrap_or(38);
        let precision = u8::try_from(digits.trim_start_matches('0').len().max(part.len()).max(1)).unwrap_or(38);
        Ok(Typed::new(self.bind(&Cell::Numeric { value, scale }), Type::Numeric { precision, scale }))
    }

    fn global(&mut self, name: &str) -> Result<Typed, Raised> {
        let (field, ty) = match name.to_ascii_uppercase().as_str() {
            "@@SPID" => ("spid", Type::SmallInt),
            "@@SERVERNAME" => ("server", Type::NVarChar(Some(128))),
            "@@SERVICENAME" => ("service", Type::NVarChar(Some(128))),
            "@@VERSION" => ("version", Type::NVarChar(Some(300))),
            "@@TRANCOUNT" => ("trancount", Type::Int),
            "@@ERROR" => ("error", Type::Int),
            "@@ROWCOUNT" => ("rowcount", Type::Int),
            "@@LANGUAGE" => ("language", Type::NVarChar(Some(128))),
            "@@MAX_PRECISION" => ("max_precision", Type::TinyInt),
            "@@LOCK_TIMEOUT" => ("lock_timeout", Type::Int),
            _ => return Err(messages::undeclared(name)),
        };
        Ok(Typed::new(format!("lab_global('{field}')"), ty))
    }

    fn arithmetic(&mut self, word: &str, left: Typed, right: Typed) -> Result<Typed, Raised> {
        if left.null || right.null {
            return Ok(Typed { sql: "NULL".into(), ty: if left.null { right.ty } else { left.ty }, null: false });
        }
        if word == "+" && left.is_text() && right.is_text() {
            let wide = matches!(common(left.ty, right.ty), Type::NVarChar(_))
                || left.ty == right.ty && matches!(left.ty, Type::NVarChar(_) | Type::NChar(_));
            let sum = match (length(left.ty), length(right.ty)) {
                (Some(a), Some(b)) => Some((a + b).min(if wide { 4000 } else { 8000 })),
                _ => None,
            };
            let ty = if wide { Type::NVarChar(sum) } else { Type::VarChar(sum) };
            return Ok(Typed::new(format!("({} || {})", left.sql, right.sql), ty));
        }
        let moment = |value: &Typed| family(value.ty) == Family::DateTime;
        if (moment(&left) && family(right.ty) == Family::Integer) && matches!(word, "+" | "-") {
            let sign = if word == "-" { "-" } else { "" };
            return Ok(Typed::new(format!("lab_dateadd('day', {sign}({}), {}, '{}')", right.sql, left.sql, type_name(left.ty)), left.ty));
        }
        let ty = common(left.ty, right.ty);
        match family(ty) {
            Family::Integer => {
                let ty = if matches!(ty, Type::Bit | Type::TinyInt | Type::SmallInt) { Type::Int } else { ty };
                let (left, right) = (cast_in(&left, ty), cast_in(&right, ty));
                Ok(Typed::new(format!("lab_integer('{word}', {left}, {right}, '{}')", type_name(ty)), ty))
            }
            Family::Numeric | Family::Money => {
                let numeric = |value: &Typed| match value.ty {
                    Type::Numeric { precision, scale } => (precision, scale),
                    Type::BigInt => (19, 0),
                    Type::Money | Type::SmallMoney => (19, 4),
                    _ if value.is_text() => (38, 0),
                    _ => (10, 0),
                };
                let ((p, s), (q, t)) = (numeric(&left), numeric(&right));
                let scale = match word {
                    "+" | "-" | "%" => s.max(t),
                    "*" => (s + t).min(30),
                    "/" => (s + q + 1).clamp(6, 20),
                    _ => return Err(messages::operand_type(word)),
                };
                let (a, b) = (
                    cast(&left, Type::Numeric { precision: p, scale: s }, "0"),
                    cast(&right, Type::Numeric { precision: q, scale: t }, "0"),
                );
                let out = Type::Numeric { precision: 38.min(p.max(q) + scale + 1), scale };
                Ok(Typed::new(format!("lab_numeric('{word}', {a}, {s}, {b}, {t}, {scale})"), out))
            }
            Family::Approximate => {
                let (left, right) = (cast(&left, Type::Float, "0"), cast(&right, Type::Float, "0"));
                Ok(Typed::new(format!("lab_float('{word}', {left}, {right})"), ty))
            }
            _ => Err(messages::operand_type(match word {
                "+" => "add",
                "-" => "subtract",
                "*" => "multiply",
                "/" => "divide",
                other => other,
            })),
        }
    }

    // ---- functions ----

    fn function(&mut self, function: &Function) -> Result<Typed, Raised> {
        let name = last_name(&function.name).to_ascii_uppercase();
        if function.name.0.len() > 1 {
            return Err(messages::message(
                4121,
                16,
                1,
                format!(
                    "Cannot find either column or the user-defined function or aggregate \"{}\", or the name is ambiguous.",
                    function.name
                ),
            ));
        }
        let (list, distinct) = match &function.args {
            FunctionArguments::None => (&[][..], false),
            FunctionArguments::List(list) => (list.args.as_slice(), list.duplicate_treatment == Some(DuplicateTreatment::Distinct)),
            FunctionArguments::Subquery(_) => return Err(messages::keyword_syntax("select")),
        };
        if let Some(window) = &function.over {
            return self.window(&name, list, window);
        }
        if matches!(name.as_str(), "COUNT" | "COUNT_BIG" | "MIN" | "MAX" | "SUM" | "AVG") {
            return self.aggregate(&name, list, distinct);
        }
        if matches!(name.as_str(), "DATEADD" | "DATEDIFF" | "DATEPART" | "DATENAME") {
            return self.date_function(&name, list);
        }
        if name == "IIF" {
            let [FunctionArg::Unnamed(FunctionArgExpr::Expr(condition)), yes, no] = list else {
                return Err(messages::arguments_needed("iif", 3));
            };
            let condition = self.predicate(condition)?;
            let (yes, no) = (self.argument(yes)?, self.argument(no)?);
            let ty = unified([&yes, &no].into_iter());
            return Ok(Typed::new(format!("(CASE WHEN {condition} THEN {} ELSE {} END)", coerce(&yes, ty), coerce(&no, ty)), ty));
        }
        let arguments = list.iter().map(|argument| self.argument(argument)).collect::<Result<Vec<_>, _>>()?;
        self.scalar(&name, &arguments)
    }

    fn argument(&mut self, argument: &FunctionArg) -> Result<Typed, Raised> {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => self.expr(expr),
            other => Err(messages::incorrect_syntax(&other.to_string())),
        }
    }

    fn window(&mut self, name: &str, list: &[FunctionArg], window: &WindowType) -> Result<Typed, Raised> {
        let WindowType::WindowSpec(window) = window else { return Err(unsupported("WINDOW")) };
        if !matches!(name, "ROW_NUMBER" | "RANK" | "DENSE_RANK") || !list.is_empty() || window.window_frame.is_some() {
            return Err(messages::not_a_function(name));
        }
        let mut parts = Vec::new();
        for key in &window.partition_by {
            let key = self.expr(key)?;
            parts.push(comparable(&key, key.ty));
        }
        let partition = if parts.is_empty() { String::new() } else { format!("PARTITION BY {}", parts.join(", ")) };
        let order = self.order(&window.order_by, &[], false)?;
        Ok(Typed::new(format!("{}() OVER ({partition}{order})", name.to_lowercase()), Type::BigInt))
    }

    fn aggregate(&mut self, name: &str, list: &[FunctionArg], distinct: bool) -> Result<Typed, Raised> {
        let count = if name == "COUNT_BIG" { Type::BigInt } else { Type::Int };
        if let [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] = list {
            return match name {
                "COUNT" | "COUNT_BIG" => Ok(Typed::new("count(*)", count)),
                _ => Err(messages::incorrect_syntax("*")),
            };
        }
        let [argument] = list else { return Err(messages::arguments_needed(&name.to_lowercase(), 1)) };
        let value = self.argument(argument)?;
        let word = if distinct { "DISTINCT " } else { "" };
        let inner = comparable(&value, value.ty);
        Ok(match name {
            "COUNT" | "COUNT_BIG" => Typed::new(format!("count({word}{inner})"), count),
            "MIN" | "MAX" => Typed::new(format!("{}({inner})", name.to_lowercase()), value.ty),
            _ => {
                let function = name.to_lowercase();
                match family(value.ty) {
                    Family::Integer => {
                        let ty = if value.ty == Type::BigInt { Type::BigInt } else { Type::Int };
                        Typed::new(format!("CAST({function}({word}{inner}) AS INTEGER)"), ty)
                    }
                    Family::Approximate => Typed::new(format!("{function}({word}{inner})"), Type::Float),
                    // no catalogue column holds a numeric that does not fit here once summed
                    Family::Numeric => {
                        let scale = if let Type::Numeric { scale, .. } = value.ty { scale } else { 0 };
                        let sum = format!("CAST({function}({word}CAST({inner} AS INTEGER)) AS INTEGER)");
                        Typed::new(format!("lab_unscaled({sum})"), Type::Numeric { precision: 38, scale })
                    }
                    _ => {
                        let text = format!("Operand data type {} is invalid for {function} operator.", type_name(value.ty));
                        return Err(messages::message(8117, 16, 1, text));
                    }
                }
            }
        })
    }

    fn date_function(&mut self, name: &str, list: &[FunctionArg]) -> Result<Typed, Raised> {
        let Some((FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(part))), rest)) = list.split_first() else {
            return Err(messages::arguments_needed(
                &name.to_lowercase(),
                if name.starts_with("DATEP") || name == "DATENAME" { 2 } else { 3 },
            ));
        };
        let part = super::functions::date_part(&part.value).ok_or_else(|| {
            messages::message(155, 15, 1, format!("'{}' is not a recognized {} option.", part.value, name.to_lowercase()))
        })?;
        let arguments = rest.iter().map(|argument| self.argument(argument)).collect::<Result<Vec<_>, _>>()?;
        let moment = |value: &Typed| -> Typed {
            let keep = matches!(family(value.ty), Family::DateTime | Family::Date | Family::Time | Family::Offset);
            let ty = if keep { value.ty } else { Type::DateTime };
            Typed::new(cast(value, ty, "0"), ty)
        };
        match (name, arguments.as_slice()) {
            ("DATEADD", [count, at]) => {
                let at = moment(at);
                let count = cast(count, Type::Int, "0");
                Ok(Typed::new(format!("lab_dateadd('{part}', {count}, {}, '{}')", at.sql, type_name(at.ty)), at.ty))
            }
            ("DATEDIFF", [from, to]) => {
                let wide = Type::DateTime2(7);
                let (from, to) = (cast(&moment(from), wide, "0"), cast(&moment(to), wide, "0"));
                Ok(Typed::new(format!("lab_datediff('{part}', {from}, {to})"), Type::Int))
            }
            ("DATEPART" | "DATENAME", [at]) => {
                let at = cast(&moment(at), Type::DateTime2(7), "0");
                if name == "DATEPART" {
                    Ok(Typed::new(format!("lab_datepart('{part}', {at})"), Type::Int))
                } else {
                    Ok(Typed::new(format!("CAST(lab_datepart('{part}', {at}) AS TEXT)"), Type::NVarChar(Some(30))))
                }
            }
            _ => Err(messages::arguments_needed(&name.to_lowercase(), 3)),
        }
    }

    fn scalar(&mut self, name: &str, arguments: &[Typed]) -> Result<Typed, Raised> {
        let lower = name.to_lowercase();
        let wrong = |count: usize| Err(messages::arguments_needed(&lower, count));
        let text = |value: &Typed| -> Typed {
            if value.is_text() {
                Typed::new(value.sql.clone(), value.ty)
            } else {
                Typed::new(cast(value, Type::NVarChar(Some(4000)), "0"), Type::NVarChar(Some(4000)))
            }
        };
        let integer = |value: &Typed| cast(value, Type::Int, "0");
        let name128 = Type::NVarChar(Some(128));
        Ok(match (name, arguments) {
            ("GETDATE" | "CURRENT_TIMESTAMP", []) => Typed::new("lab_now('local')", Type::DateTime),
            ("GETUTCDATE", []) => Typed::new("lab_now('utc')", Type::DateTime),
            ("SYSDATETIME", []) => Typed::new("lab_now('local')", Type::DateTime2(7)),
            ("SYSUTCDATETIME", []) => Typed::new("lab_now('utc')", Type::DateTime2(7)),
            ("SYSDATETIMEOFFSET", []) => Typed::new("lab_now('offset')", Type::DateTimeOffset(7)),
            ("YEAR" | "MONTH" | "DAY", [at]) => {
                let at = cast(at, Type::DateTime2(7), "0");
                Typed::new(format!("lab_datepart('{lower}', {at})"), Type::Int)
            }
            ("ISNULL", [value, other]) => {
                let ty = if value.null { other.ty } else { value.ty };
                Typed::new(format!("ifnull({}, {})", value.sql, cast(other, ty, "0")), ty)
            }
            ("ISNULL", _) => return wrong(2),
            ("COALESCE", list) if list.len() >= 2 => {
                let ty = unified(list.iter());
                let parts: Vec<String> = list.iter().map(|value| coerce(value, ty)).collect();
                Typed::new(format!("coalesce({})", parts.join(", ")), ty)
            }
            ("NULLIF", [a, b]) => {
                let ty = meeting(a, b);
                Typed::new(format!("(CASE WHEN {} = {} THEN NULL ELSE {} END)", comparable(a, ty), comparable(b, ty), a.sql), a.ty)
            }
            ("LEN", [value]) => Typed::new(format!("length(rtrim({}))", text(value).sql), Type::Int),
            ("DATALENGTH", [value]) => Typed::new(format!("lab_datalength({}, '{}')", value.sql, type_name(value.ty)), Type::Int),
            ("UPPER" | "LOWER" | "LTRIM" | "RTRIM", [value]) => {
                let value = text(value);
                Typed::new(format!("{lower}({})", value.sql), value.ty)
            }
            ("REPLACE", [value, from, to]) => {
                Typed::new(format!("lab_replace({}, {}, {})", text(value).sql, text(from).sql, text(to).sql), Type::NVarChar(Some(4000)))
            }
            ("SUBSTRING", [_, _, _]) => substring(arguments),
            ("LEFT", [value, count]) => {
                let value = text(value);
                Typed::new(format!("substr({}, 1, max(0, {}))", value.sql, integer(count)), value.ty)
            }
            ("RIGHT", [value, count]) => {
                let value = text(value);
                Typed::new(format!("substr({0}, max(1, length({0}) - {1} + 1), {1})", value.sql, integer(count)), value.ty)
            }
            ("CHARINDEX", [part, value]) => Typed::new(format!("instr(upper({}), upper({}))", text(value).sql, text(part).sql), Type::Int),
            ("CHARINDEX", [part, value, start]) => {
                Typed::new(format!("lab_charindex({}, {}, {})", text(part).sql, text(value).sql, integer(start)), Type::Int)
            }
            ("REVERSE", [value]) => {
                let value = text(value);
                Typed::new(format!("lab_reverse({})", value.sql), value.ty)
            }
            ("REPLICATE", [value, count]) => {
                Typed::new(format!("lab_replicate({}, {})", text(value).sql, integer(count)), Type::VarChar(Some(8000)))
            }
            ("SPACE", [count]) => Typed::new(format!("lab_replicate(' ', {})", integer(count)), Type::VarChar(Some(8000))),
            ("CONCAT", list) if list.len() >= 2 => {
                let parts: Vec<String> = list.iter().map(|value| format!("ifnull({}, '')", text(value).sql)).collect();
                Typed::new(format!("({})", parts.join(" || ")), Type::NVarChar(Some(4000)))
            }
            ("QUOTENAME", [value]) => {
                Typed::new(format!("('[' || replace({}, ']', ']]') || ']')", text(value).sql), Type::NVarChar(Some(258)))
            }
            ("CHAR" | "NCHAR", [value]) => Typed::new(format!("char({})", integer(value)), Type::NChar(1)),
            ("ASCII" | "UNICODE", [value]) => Typed::new(format!("unicode({})", text(value).sql), Type::Int),
            ("ABS", [value]) => Typed::new(format!("abs({})", value.sql), value.ty),
            ("ROUND", [value, digits]) => {
                let x = cast(value, Type::Float, "0");
                Typed::new(format!("round({x}, {})", integer(digits)), Type::Float)
            }
            ("DB_ID", []) => Typed::new("lab_db_id(lab_global('database'))", Type::SmallInt),
            ("DB_ID", [value]) => Typed::new(format!("lab_db_id({})", text(value).sql), Type::SmallInt),
            ("DB_NAME", []) => Typed::new("lab_global('database')", name128),
            ("DB_NAME", [id]) => Typed::new(format!("lab_db_name({})", integer(id)), name128),
            ("DATABASEPROPERTYEX", [database, property]) => {
                Typed::new(format!("lab_database_property({}, {})", text(database).sql, text(property).sql), Type::SqlVariant)
            }
            ("SERVERPROPERTY", [property]) => Typed::new(format!("lab_server_property({})", text(property).sql), Type::SqlVariant),
            ("HOST_NAME", []) => Typed::new("lab_global('host')", name128),
            ("APP_NAME" | "PROGRAM_NAME", []) => Typed::new("lab_global('program')", name128),
            ("SUSER_SNAME" | "SUSER_NAME" | "ORIGINAL_LOGIN" | "SYSTEM_USER", []) => Typed::new("lab_global('login')", name128),
            ("SUSER_SNAME", [sid]) => Typed::new(format!("(CASE WHEN {} = x'01' THEN 'sa' END)", sid.sql), name128),
            ("USER_NAME" | "CURRENT_USER", []) => Typed::new("'dbo'", name128),
            ("SCHEMA_NAME", []) => Typed::new("'dbo'", name128),
            ("IS_SRVROLEMEMBER", [role]) | ("IS_SRVROLEMEMBER", [role, _]) => {
                Typed::new(format!("lab_role({})", text(role).sql), Type::Int)
            }
            ("HAS_PERMS_BY_NAME", [_, _, permission]) | ("HAS_PERMS_BY_NAME", [_, _, permission, ..]) => {
                Typed::new(format!("(CASE WHEN {} IS NULL THEN NULL ELSE 1 END)", permission.sql), Type::Int)
            }
            ("HAS_DBACCESS", [database]) => Typed::new(format!("lab_access({})", text(database).sql), Type::Int),
            ("APPLOCK_MODE", [principal, resource, owner]) => Typed::new(
                format!("lab_applock_mode({}, {}, {})", text(principal).sql, text(resource).sql, text(owner).sql),
                Type::NVarChar(Some(32)),
            ),
            ("APPLOCK_TEST", [principal, resource, mode, owner]) => Typed::new(
                format!("lab_applock_test({}, {}, {}, {})", text(principal).sql, text(resource).sql, text(mode).sql, text(owner).sql),
                Type::SmallInt,
            ),
            ("OBJECT_ID", [value]) | ("OBJECT_ID", [value, _]) => Typed::new(format!("lab_object_id({})", text(value).sql), Type::Int),
            ("ERROR_NUMBER" | "ERROR_SEVERITY" | "ERROR_STATE" | "ERROR_LINE", []) => {
                Typed::new(format!("lab_global('{lower}')"), Type::Int)
            }
            ("ERROR_MESSAGE" | "ERROR_PROCEDURE", []) => Typed::new(format!("lab_global('{lower}')"), Type::NVarChar(Some(4000))),
            _ => return Err(messages::not_a_function(name)),
        })
    }
}

fn cast_in(value: &Typed, ty: Type) -> String {
    if family(value.ty) == Family::Integer { value.sql.clone() } else { cast(value, ty, "0") }
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

fn comparison(op: &BinaryOperator) -> Option<&'static str> {
    Some(match op {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        _ => return None,
    })
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
