//! Function calls of a rendered query: aggregates, dates, and the scalar functions one by one.

use sqlparser::ast::{DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, WindowType};

use super::{Renderer, Typed, cast, coerce, comparable, last_name, meeting, substring, unified, unsupported};
use crate::lab::messages::{self, Raised};
use crate::lab::statements::functions;
use crate::lab::tds::Type;
use crate::lab::values::{Family, family, length, type_name};

impl Renderer<'_> {
    pub(super) fn function(&mut self, function: &Function) -> Result<Typed, Raised> {
        let name = last_name(&function.name).to_ascii_uppercase();
        if function.name.0.len() > 1 {
            return Err(messages::no_function(&function.name.to_string()));
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
        // what 2012 brought
        if self.seat.version.0 < 11 && name == "CONCAT" {
            return Err(messages::not_a_function(&name));
        }
        if name == "IIF" {
            if self.seat.version.0 < 11 {
                return Err(messages::incorrect_syntax("="));
            }
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
                        return Err(messages::bad_operand(value.ty, &function));
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
        let part = functions::date_part(&part.value).ok_or_else(|| messages::unknown_option(&part.value, &name.to_lowercase()))?;
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
                let value = text(value);
                // only a max type goes beyond 8000 bytes
                let ty = match value.ty {
                    Type::NVarChar(None) | Type::VarChar(None) => value.ty,
                    Type::NVarChar(_) | Type::NChar(_) => Type::NVarChar(Some(4000)),
                    _ => Type::VarChar(Some(8000)),
                };
                let limit = length(ty).unwrap_or(0);
                Typed::new(format!("lab_replicate({}, {}, {limit})", value.sql, integer(count)), ty)
            }
            ("SPACE", [count]) => Typed::new(format!("lab_replicate(' ', {}, 8000)", integer(count)), Type::VarChar(Some(8000))),
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
            ("HAS_PERMS_BY_NAME", [securable, class, permission, ..]) => {
                Typed::new(format!("lab_permission({}, {}, {})", text(securable).sql, text(class).sql, text(permission).sql), Type::Int)
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
