//! Facts as data: SQL Server's error numbers, the management shell's cmdlets and its error ids, each with its source; and which of
//! several names was meant. A leaf.

pub mod cmdlets;
pub mod errors;
mod near;
pub mod records;

pub use near::{differ_by_prefix, nearest};
