//! Keeps the map of `src/lib.rs`: which room may use which, and that names agree.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Room → rooms it may use. `facts`, `tsql` and `wire` are leaves that everybody may use.
const MAY_USE: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "backups",
            "check",
            "effect",
            "host",
            "journal",
            "lab",
            "operator",
            "powershell",
            "primitives",
            "report",
            "script",
            "site",
            "sqlserver",
        ],
    ),
    ("report", &["check", "script", "journal"]),
    // of primitives it uses descriptions only, of powershell the catalogue's judgement of parameters
    ("check", &["script", "site", "primitives", "powershell"]),
    ("host", &["script", "primitives", "effect"]),
    ("primitives", &["effect", "backups", "journal", "operator", "powershell", "sqlserver"]),
    ("effect", &["journal", "operator"]),
    ("operator", &[]),
    ("journal", &[]),
    ("site", &[]),
    ("script", &[]),
    ("sqlserver", &[]),
    ("backups", &[]),
    ("powershell", &[]),
    ("lab", &[]),
    ("wire", &[]),
    ("tsql", &[]),
    ("facts", &[]),
];
const LEAVES: &[&str] = &["facts", "tsql", "wire"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                sources(&path, found);
            }
        } else if path.file_stem().is_some_and(|stem| stem == "tests") {
            // tests beside the code may look across
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn rooms_use_only_the_rooms_they_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let table: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    let mut rooms = 0;
    for file in &files {
        let relative = file.strip_prefix(&root).unwrap();
        let Some(room) = relative.parent().and_then(|p| p.iter().next()).and_then(|r| r.to_str()) else { continue };
        rooms += 1;
        let Some(allowed) = table.get(room) else {
            wrong.push(format!("{}: the room `{room}` is not in the table", relative.display()));
            continue;
        };
        let text = std::fs::read_to_string(file).unwrap();
        // a test beside the code may look across
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for used in code.split("crate::").skip(1).filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()) {
            if table.contains_key(used) && used != room && !LEAVES.contains(&used) && !allowed.contains(&used) {
                wrong.push(format!("{}: uses `{used}`", relative.display()));
            }
        }
    }
    assert!(rooms > 20, "found {rooms} files only");
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_primitive_stands_in_a_file_of_its_name() {
    for primitive in cutover::primitives::PRIMITIVES {
        let file = format!("src/primitives/{}.rs", primitive.name);
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(text.contains(&format!("pub static {}: Primitive", primitive.name.to_uppercase())), "{file}");
    }
}
