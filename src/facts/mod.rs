//! Facts as data: SQL Server's error numbers and the management shell's cmdlets, each with its source; and which of
//! several names was meant. A leaf.

pub mod cmdlets;
pub mod errors;
mod near;

pub use near::{differ_by_prefix, nearest};
