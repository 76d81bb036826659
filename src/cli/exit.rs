//! The exit codes, in one table; the README and `--help` repeat it and a test compares.

/// The run is done; nothing to complain of.
pub const DONE: u8 = 0;
/// The run failed; `check` found something.
pub const FAILED: u8 = 1;
/// The command line, the site file or the runbook is wrong; nothing was begun.
pub const USAGE: u8 = 2;
/// Stopped by the operator, or for want of an answer.
pub const STOPPED: u8 = 3;
/// Something may have happened that the record cannot tell.
pub const IN_DOUBT: u8 = 4;

/// Code and meaning, as shown to people.
pub const TABLE: &[(u8, &str)] = &[
    (DONE, "done"),
    (FAILED, "the run failed, or `check` found something"),
    (USAGE, "usage, site file or runbook wrong; nothing was begun"),
    (STOPPED, "stopped by the operator or for want of an answer"),
    (IN_DOUBT, "in doubt: something may have happened that the record cannot tell"),
];

/// A line each, as `--help` has them.
pub fn lines() -> String {
    TABLE.iter().map(|(code, meaning)| format!("  {code}  {meaning}\n")).collect()
}
