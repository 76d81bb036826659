//! How many cases the tests try that take random ones; the tests of the built program use this file, too.

/// A tenth of `all`, with which a change is tested; all of them if `CUTOVER_CASES` is `full`.
pub fn cases(all: usize) -> usize {
    if std::env::var("CUTOVER_CASES").is_ok_and(|cases| cases == "full") { all } else { all.div_ceil(10) }
}
