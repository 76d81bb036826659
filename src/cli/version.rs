//! What `--version` says: the version and the commit; with the long form also how it was built.

/// `0.1.0 (66d7f62 2026-11-27)`
pub const SHORT: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("CUTOVER_COMMIT"), ")");

/// What a report of a mistake needs to know.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("CUTOVER_COMMIT"),
    ")\ntarget: ",
    env!("CUTOVER_TARGET"),
    "\nprofile: ",
    env!("CUTOVER_PROFILE"),
    "\nfeatures: ",
    env!("CUTOVER_FEATURES"),
    "\ncompiler: ",
    env!("CUTOVER_RUSTC"),
);
