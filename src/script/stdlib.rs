//! The modules built into the program.

use include_dir::{Dir, include_dir};

/// Name and text of the runbook that `rehearse` runs when none is named.
pub const STOCK_RUNBOOK: (&str, &str) = ("pchat-failover.rhai", include_str!("../../runbooks/pchat-failover.rhai"));

/// Name and text of the runbook that `doctor` runs when the site has none of its own.
pub const STOCK_DOCTOR: (&str, &str) = ("doctor.rhai", include_str!("../../runbooks/doctor.rhai"));

static STDLIB: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/stdlib");

/// The text of the embedded module of that name, as an import writes it.
pub fn text(module: &str) -> Option<&'static str> {
    STDLIB.get_file(format!("{module}.rhai"))?.contents_utf8()
}

/// The embedded modules' names, sorted.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = STDLIB
        .files()
        .filter(|f| f.path().extension().is_some_and(|e| e == "rhai"))
        .filter_map(|f| Some(f.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}
