//! Every limit of a runbook, in one place. Rhai's own differ between builds, so each is set explicitly by `engine` (or
//! counted by `host`). They catch mistakes, not malice: total memory is not among them.

/// Operations in one run, counted by the host; Rhai's own count does not hold through closures.
pub const OPERATIONS: u64 = 20_000_000;
/// Nested calls of functions and closures.
pub const CALL_DEPTH: usize = 64;
/// Nesting of an expression at the top of a file.
pub const EXPRESSION_DEPTH: usize = 96;
/// Nesting of an expression in a function or closure; a step with a `done_when` uses a dozen.
pub const FUNCTION_EXPRESSION_DEPTH: usize = 64;
/// Bytes of one text.
pub const TEXT: usize = 16 * 1024 * 1024;
/// Elements of one array.
pub const ARRAY: usize = 10_000;
/// Keys of one map.
pub const MAP: usize = 10_000;
/// Variables alive at one time.
pub const VARIABLES: usize = 1_000;
/// Functions and closures in one file.
pub const FUNCTIONS: usize = 1_000;
/// Imports in one run.
pub const MODULES: usize = 200;
/// Lines of a runbook and all its modules; Rhai's positions saturate at 65,535.
pub const LINES: usize = 60_000;
/// Bytes of one line, for the same reason.
pub const LINE: usize = 60_000;
/// Bytes of the stack a script runs on.
pub const STACK: usize = 64 * 1024 * 1024;

/// What to call the limit that Rhai names by a type: "Length of string", "Size of array", ...
pub fn of_data(what: &str) -> String {
    let what = what.to_ascii_lowercase();
    if what.contains("string") {
        format!("text of at most {} MiB", TEXT / 1024 / 1024)
    } else if what.contains("array") {
        format!("at most {ARRAY} elements in an array")
    } else if what.contains("map") {
        format!("at most {MAP} keys in a map")
    } else {
        format!("the size of a value ({what})")
    }
}
