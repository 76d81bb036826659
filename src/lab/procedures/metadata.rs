//! What drivers ask about the catalogue and about their own texts: sp_tables, sp_describe_undeclared_parameters.

use super::{Arguments, Procedure};
use crate::lab::catalog;
use crate::lab::instance::same;
use crate::lab::messages;
use crate::lab::statements::functions::is_like;
use crate::lab::statements::run::Runner;
use crate::lab::statements::{Failure, Variables};
use crate::lab::tds::{Cell, Type};
use crate::lab::values::{length, type_name};

pub static PROCEDURES: &[Procedure] = &[
    Procedure {
        name: "sp_tables",
        home: "master",
        parameters: "@table_name nvarchar(384), @table_owner nvarchar(384), @table_qualifier sysname, @table_type varchar(100), \
            @fUsePattern bit",
        run: tables,
    },
    Procedure {
        name: "sp_describe_undeclared_parameters",
        home: "master",
        parameters: "@tsql nvarchar(max)!, @params nvarchar(max)",
        run: undeclared,
    },
];

/// The views and tables of the current database, by patterns of LIKE unless `@fUsePattern` is 0.
fn tables(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    let database = arguments.context.clone();
    if arguments.text("@table_qualifier").is_some_and(|qualifier| !qualifier.is_empty() && !same(&qualifier, &database)) {
        return Err(messages::other_qualifier().into());
    }
    let patterns = arguments.bit("@fUsePattern").unwrap_or(true);
    let fits = |value: &str, wanted: Option<String>| match wanted {
        None => true,
        Some(wanted) if patterns => is_like(value, &wanted, Some('\\')) || is_like(value, &wanted, None),
        Some(wanted) => same(value, &wanted),
    };
    let types = arguments.text("@table_type").map(|types| types.replace(['\'', '"'], ""));
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for name in catalog::names() {
        let (owner, table, kind) = match name.strip_prefix("msdb.dbo.") {
            Some(table) if same(&database, "msdb") => ("dbo", table, "TABLE"),
            Some(_) => continue,
            None => ("sys", name.trim_start_matches("sys."), "VIEW"),
        };
        let asked = types.as_ref().is_none_or(|types| types.split(',').any(|one| one.trim() == kind || one.trim() == "%"));
        if asked && fits(table, arguments.text("@table_name")) && fits(owner, arguments.text("@table_owner")) {
            let cells = [&database, owner, table, kind].map(|text| Cell::Text(text.to_owned()));
            rows.push(cells.into_iter().chain([Cell::Null]).collect());
        }
    }
    // by type, qualifier, owner and name, as its page says
    let key = |row: &Vec<Cell>| [3, 1, 2].map(|at| row.get(at).map(|cell| format!("{cell:?}").to_lowercase()));
    rows.sort_by_key(key);
    let columns =
        catalog::columns("TABLE_QUALIFIER sysname, TABLE_OWNER sysname, TABLE_NAME sysname, TABLE_TYPE varchar(32), REMARKS varchar(254)");
    runner.rows(&columns, &rows);
    Ok(0)
}

/// One row for each parameter that a text uses and nobody declares, with the type that it seems to have.
fn undeclared(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    // it came with SQL Server 2012
    if runner.connection.instance.version.0 < 11 {
        return Err(messages::no_such_procedure("sp_describe_undeclared_parameters").into());
    }
    let text = arguments.required("@tsql")?;
    let mut variables = Variables::default();
    for column in catalog::columns(&arguments.text("@params").unwrap_or_default()) {
        variables.declare(&column.name, column.ty, Cell::Null)?;
    }
    let columns = catalog::columns(
        "parameter_ordinal int, name sysname, suggested_system_type_id int, suggested_system_type_name nvarchar(256), \
         suggested_max_length smallint, suggested_precision tinyint, suggested_scale tinyint, suggested_user_type_id int, \
         suggested_user_type_database sysname, suggested_user_type_schema sysname, suggested_user_type_name sysname, \
         suggested_assembly_qualified_type_name nvarchar(4000), suggested_xml_collection_id int, \
         suggested_xml_collection_database sysname, suggested_xml_collection_schema sysname, \
         suggested_xml_collection_name sysname, suggested_is_xml_document bit, suggested_is_case_sensitive bit, \
         suggested_is_fixed_length_clr_type bit, suggested_is_input bit, suggested_is_output bit, formal_parameter_name sysname, \
         suggested_tds_type_id int, suggested_tds_length int",
    );
    let mut rows = Vec::new();
    for (position, (name, ty)) in (1..).zip(runner.undeclared(&text, variables)?) {
        let described = described(ty);
        let mut row = vec![
            Cell::Int(position),
            Cell::Text(name),
            Cell::Int(described.system),
            Cell::Text(type_name(ty)),
            Cell::SmallInt(described.bytes),
            Cell::TinyInt(described.precision),
            Cell::TinyInt(described.scale),
        ];
        row.resize(16, Cell::Null);
        row.extend([false, false, false, true, false].map(Cell::Bit));
        row.extend([Cell::Null, Cell::Int(described.tds), Cell::Int(described.bytes.into())]);
        rows.push(row);
    }
    runner.rows(&columns, &rows);
    Ok(0)
}

/// A type as `sys.types` and the wire number it.
struct Described {
    system: i32,
    /// of the nullable form
    tds: i32,
    /// -1: `max`
    bytes: i16,
    precision: u8,
    scale: u8,
}

fn described(ty: Type) -> Described {
    let sized = |unit: i16| length(ty).map_or(-1, |length| i16::try_from(length).unwrap_or(i16::MAX) * unit);
    let of = |system, tds, bytes, precision, scale| Described { system, tds, bytes, precision, scale };
    match ty {
        Type::Bit => of(104, 104, 1, 1, 0),
        Type::TinyInt => of(48, 38, 1, 3, 0),
        Type::SmallInt => of(52, 38, 2, 5, 0),
        Type::Int => of(56, 38, 4, 10, 0),
        Type::BigInt => of(127, 38, 8, 19, 0),
        Type::Real => of(59, 109, 4, 24, 0),
        Type::Float => of(62, 109, 8, 53, 0),
        Type::Numeric { precision, scale } => {
            let bytes = match precision {
                0..=9 => 5,
                10..=19 => 9,
                20..=28 => 13,
                _ => 17,
            };
            of(108, 108, bytes, precision, scale)
        }
        Type::Money => of(60, 110, 8, 19, 4),
        Type::SmallMoney => of(122, 110, 4, 10, 4),
        Type::NVarChar(_) => of(231, 231, sized(2), 0, 0),
        Type::VarChar(_) => of(167, 167, sized(1), 0, 0),
        Type::NChar(_) => of(239, 239, sized(2), 0, 0),
        Type::Char(_) => of(175, 175, sized(1), 0, 0),
        Type::VarBinary(_) => of(165, 165, sized(1), 0, 0),
        Type::Binary(_) => of(173, 173, sized(1), 0, 0),
        Type::Guid => of(36, 36, 16, 0, 0),
        Type::Date => of(40, 40, 3, 10, 0),
        Type::Time(scale) => of(41, 41, 5, 8 + scale + u8::from(scale > 0), scale),
        Type::DateTime => of(61, 111, 8, 23, 3),
        Type::SmallDateTime => of(58, 111, 4, 16, 0),
        Type::DateTime2(scale) => of(42, 42, 8, 19 + scale + u8::from(scale > 0), scale),
        Type::DateTimeOffset(scale) => of(43, 43, 10, 26 + scale + u8::from(scale > 0), scale),
        Type::SqlVariant => of(98, 98, 8016, 0, 0),
    }
}
