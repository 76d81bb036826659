//! How many cases the property tests of whole runs try.

/// 1,000, which a change is tested with; 10,000 if `CUTOVER_CASES` is `full`.
pub fn cases() -> u32 {
    match std::env::var("CUTOVER_CASES").as_deref() {
        Ok("full") => 10_000,
        _ => 1_000,
    }
}
