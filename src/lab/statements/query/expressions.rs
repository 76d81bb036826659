//! Predicates and expressions of a rendered query.

use sqlparser::ast::{BinaryOperator, CastKind, Expr, UnaryOperator, Value};

use super::{Renderer, Typed, cast, coerce, comparable, converted, explicit, last_word, meeting, substring, unified};
use crate::lab::messages::{self, Raised};
use crate::lab::tds::{Cell, Type};
use crate::lab::values::{Family, common, family, length, parse_type, type_name, unhex};

impl Renderer<'_> {
    pub(super) fn predicate(&mut self, expr: &Expr) -> Result<String, Raised> {
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
                let ty = self.meet(&left, &right);
                let word = comparison(op).unwrap_or("=");
                Ok(format!("({} {word} {})", comparable(&left, ty), comparable(&right, ty)))
            }
            Expr::IsNull(inner) => Ok(format!("({} IS NULL)", self.expr(inner)?.sql)),
            Expr::IsNotNull(inner) => Ok(format!("({} IS NOT NULL)", self.expr(inner)?.sql)),
            Expr::Between { expr, negated, low, high } => {
                let (value, low, high) = (self.expr(expr)?, self.expr(low)?, self.expr(high)?);
                let (first, second) = (self.meet(&value, &low), self.meet(&value, &high));
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
                members.iter().chain([&value]).for_each(|one| self.settle(one, ty));
                let members: Vec<String> = members.iter().map(|member| coerce(member, ty)).collect();
                let word = if *negated { "NOT IN" } else { "IN" };
                Ok(format!("({} {word} ({}))", comparable(&value, ty), members.join(", ")))
            }
            Expr::InSubquery { expr, subquery, negated } => {
                let value = self.expr(expr)?;
                let (sql, columns) = self.query(subquery)?;
                let [column] = columns.as_slice() else {
                    return Err(messages::one_expression());
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

    pub(super) fn expr(&mut self, expr: &Expr) -> Result<Typed, Raised> {
        match expr {
            Expr::Nested(inner) => {
                let inner = self.expr(inner)?;
                Ok(Typed { sql: format!("({})", inner.sql), ..inner })
            }
            Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.starts_with("@@") => self.global(&ident.value),
            Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.starts_with('@') => {
                let variable = match (self.seat.variables.get(&ident.value), &mut self.free) {
                    (Err(_), Some(free)) => {
                        free.push((ident.value.clone(), None));
                        let text = Type::NVarChar(Some(4000));
                        return Ok(Typed { sql: "NULL".into(), ty: text, null: true, free: Some(ident.value.clone()) });
                    }
                    (variable, _) => variable?,
                };
                let (ty, sql) = (variable.ty, self.bind(&variable.value));
                Ok(Typed::new(sql, ty))
            }
            Expr::Identifier(ident) => {
                let column = self.column(std::slice::from_ref(ident));
                let name = Type::NVarChar(Some(128));
                match ident.value.to_ascii_uppercase().as_str() {
                    // functions that are called without parentheses
                    "SYSTEM_USER" if column.is_err() => Ok(Typed::new("lab_global('login')", name)),
                    "CURRENT_USER" | "SESSION_USER" | "USER" if column.is_err() => Ok(Typed::new("'dbo'", name)),
                    _ => column,
                }
            }
            Expr::CompoundIdentifier(parts) => self.column(parts),
            Expr::Value(value) => self.literal(&value.value),
            Expr::Collate { expr, .. } => self.expr(expr),
            Expr::Cast { kind, expr, data_type, .. } => {
                let tried = *kind == CastKind::TryCast;
                if tried && self.seat.version.0 < 11 {
                    return Err(messages::keyword_syntax("as"));
                }
                let value = self.expr(expr)?;
                let name = data_type.to_string();
                let ty = parse_type(&name, 30).ok_or_else(|| messages::unknown_type(&name))?;
                self.settle(&value, ty);
                Ok(Typed::new(attempted(explicit(&value, ty, "0"), tried), ty))
            }
            Expr::Convert { is_try, expr, data_type: Some(data_type), styles, target_before_value: true, .. } => {
                if *is_try && self.seat.version.0 < 11 {
                    return Err(messages::not_a_function("TRY_CONVERT"));
                }
                let value = self.expr(expr)?;
                let name = data_type.to_string();
                let ty = parse_type(&name, 30).ok_or_else(|| messages::unknown_type(&name))?;
                let style = match styles.as_slice() {
                    [] => "0".to_owned(),
                    [style] => cast(&self.expr(style)?, Type::Int, "0"),
                    _ => return Err(messages::arguments_needed("convert", 3)),
                };
                Ok(Typed::new(attempted(explicit(&value, ty, &style), *is_try), ty))
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
                    return Err(messages::one_expression());
                };
                Ok(Typed::new(format!("({sql})"), column.ty))
            }
            Expr::Function(function) => self.function(function),
            Expr::Substring { expr, substring_from: Some(from), substring_for: Some(count), .. } => {
                let arguments = [self.expr(expr)?, self.expr(from)?, self.expr(count)?];
                Ok(substring(&arguments))
            }
            // TRIM came after 2014
            Expr::Trim { .. } => Err(messages::not_a_function("TRIM")),
            Expr::Floor { .. } => Err(messages::not_a_function("floor")),
            Expr::Ceil { .. } => Err(messages::not_a_function("ceiling")),
            Expr::Exists { .. } | Expr::Like { .. } | Expr::IsNull(_) | Expr::Between { .. } | Expr::InList { .. } => {
                Err(messages::incorrect_syntax(&last_word(&expr.to_string())))
            }
            other => Err(messages::incorrect_syntax(&last_word(&other.to_string()))),
        }
    }

    fn literal(&mut self, value: &Value) -> Result<Typed, Raised> {
        // what is longer than its type can be is `max`
        let size = |length: usize, limit: u16| u16::try_from(length.max(1)).ok().filter(|length| *length <= limit);
        let units = |text: &str| text.encode_utf16().count();
        Ok(match value {
            Value::Null => Typed { sql: "NULL".into(), ty: Type::Int, null: true, free: None },
            Value::SingleQuotedString(text) => {
                let sql = self.bind(&Cell::Text(text.clone()));
                Typed::new(sql, Type::VarChar(size(units(text), 8000)))
            }
            Value::NationalStringLiteral(text) => {
                let sql = self.bind(&Cell::Text(text.clone()));
                Typed::new(sql, Type::NVarChar(size(units(text), 4000)))
            }
            Value::HexStringLiteral(digits) => {
                let bytes = unhex(digits).ok_or_else(|| messages::incorrect_syntax(digits))?;
                let ty = Type::VarBinary(size(bytes.len(), 8000));
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
        let value = value.ok_or_else(|| messages::number_too_long(text))?;
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
            let ty = self.meet(&left, &right);
            return Ok(Typed::new("NULL", ty));
        }
        if word == "+" && left.is_text() && right.is_text() {
            let wide = matches!(common(left.ty, right.ty), Type::NVarChar(_))
                || left.ty == right.ty && matches!(left.ty, Type::NVarChar(_) | Type::NChar(_));
            let most = if wide { 4000 } else { 8000 };
            let sum = match (length(left.ty), length(right.ty)) {
                (Some(a), Some(b)) => Some(a + b),
                _ => None,
            };
            let joined = format!("({} || {})", left.sql, right.sql);
            // without a max type the rest is cut off
            let (sql, sum) = match sum {
                Some(sum) if sum > most => (format!("substr({joined}, 1, {most})"), Some(most)),
                sum => (joined, sum),
            };
            return Ok(Typed::new(sql, if wide { Type::NVarChar(sum) } else { Type::VarChar(sum) }));
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
}

/// TRY_CAST and TRY_CONVERT: NULL instead of an error.
fn attempted(sql: String, tried: bool) -> String {
    if tried { sql.replacen("lab_cast(", "lab_try_cast(", 1) } else { sql }
}

fn cast_in(value: &Typed, ty: Type) -> String {
    if family(value.ty) == Family::Integer { value.sql.clone() } else { cast(value, ty, "0") }
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
