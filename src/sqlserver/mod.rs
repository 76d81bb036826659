//! The SQL Server back end: connections over our own TLS, batches with all their messages, the log chain and its restore.
//! Called by primitives; knows nothing of runbooks, effects or the site file.

pub mod chain;
pub mod value;
