//! xp_dirtree, xp_fileexist and xp_fixeddrives: what the SQL Server's own account sees of folders.

use super::{Arguments, Procedure};
use crate::lab::catalog::columns;
use crate::lab::statements::Failure;
use crate::lab::statements::run::Runner;
use crate::lab::tds::Cell;

pub static PROCEDURES: &[Procedure] = &[
    Procedure { name: "xp_dirtree", home: "master", parameters: "@path nvarchar(4000)!, @depth int, @file int", run: tree },
    Procedure { name: "xp_fileexist", home: "master", parameters: "@path nvarchar(4000)!", run: exists },
    Procedure { name: "xp_fixeddrives", home: "master", parameters: "", run: drives },
];

/// One level, or as deep as asked; a folder that the server does not see has no rows and is no error, and a login that is
/// not sysadmin sees none.
fn tree(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    let path = arguments.required("@path")?;
    let depth = arguments.int("@depth").unwrap_or(0);
    let files = arguments.bit("@file").unwrap_or(false);
    let columns = columns(if files { "subdirectory nvarchar(512), depth int, file int" } else { "subdirectory nvarchar(512), depth int" });
    let mut rows = Vec::new();
    let instance = &runner.connection.instance;
    if let Some(folder) = instance.paths.resolve(&path).ok().filter(|_| instance.rights.is_sysadmin()) {
        list(&folder, 1, depth, files, &mut rows);
    }
    runner.rows(&columns, &rows);
    Ok(0)
}

fn list(folder: &std::path::Path, level: i32, depth: i32, files: bool, rows: &mut Vec<Vec<Cell>>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_folder && !files {
            continue;
        }
        let mut row = vec![Cell::Text(entry.file_name().to_string_lossy().into_owned()), Cell::Int(level)];
        if files {
            row.push(Cell::Int(i32::from(!is_folder)));
        }
        rows.push(row);
        if is_folder && (depth == 0 || level < depth) {
            list(&entry.path(), level + 1, depth, files, rows);
        }
    }
}

fn exists(runner: &mut Runner<'_>, arguments: &mut Arguments) -> Result<i32, Failure> {
    let path = arguments.required("@path")?;
    let real = runner.connection.instance.paths.resolve(&path).ok();
    let columns = columns("File_Exists int, File_is_a_Directory int, Parent_Directory_Exists int");
    let columns: Vec<_> = columns
        .into_iter()
        .zip(["File Exists", "File is a Directory", "Parent Directory Exists"])
        .map(|(mut column, name)| {
            name.clone_into(&mut column.name);
            column
        })
        .collect();
    let flag = |yes: bool| Cell::Int(i32::from(yes));
    let row = vec![
        flag(real.as_ref().is_some_and(|path| path.is_file())),
        flag(real.as_ref().is_some_and(|path| path.is_dir())),
        flag(real.as_ref().and_then(|path| path.parent()).is_some_and(std::path::Path::is_dir)),
    ];
    runner.rows(&columns, &[row]);
    Ok(0)
}

fn drives(runner: &mut Runner<'_>, _: &mut Arguments) -> Result<i32, Failure> {
    let mut columns = columns("drive char(1), free int");
    if let Some(column) = columns.get_mut(1) {
        "MB free".clone_into(&mut column.name);
    }
    let mut rows = Vec::new();
    for (name, folder) in &runner.connection.instance.paths.0 {
        let mut chars = name.chars();
        if let (Some(letter), Some(':')) = (chars.next(), chars.next()) {
            let free = fs4::available_space(folder).unwrap_or(0) / (1024 * 1024);
            let row = vec![Cell::Text(letter.to_string()), Cell::Int(i32::try_from(free).unwrap_or(i32::MAX))];
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
    }
    rows.sort_by_key(|row| format!("{row:?}"));
    runner.rows(&columns, &rows);
    Ok(0)
}
