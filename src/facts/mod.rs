//! Facts as data: SQL Server's error numbers and the management shell's cmdlets, each with its source. A leaf.

pub mod cmdlets;
pub mod errors;
