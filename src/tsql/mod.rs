//! T-SQL text, as much as recovery work needs: tokens with byte ranges, statements, reads told from changes, parameters.
//! A leaf: the host, check and the lab use it. Nothing here talks to a server or decides what a statement does to one.

pub mod classify;
pub mod lex;
pub mod parameters;
pub mod quote;
mod recovery;
pub mod select;
pub mod statement;
pub mod syntax;
