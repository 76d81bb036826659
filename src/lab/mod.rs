//! A small world inside the program: SQL Server instances that speak TDS over loopback, a backup share, a management
//! shell. Uses the leaves only and is used by cli only: nothing on our side of the wire knows that it exists.

pub mod shell;
pub mod tds;
