//! What a run asks of its servers around its changes, besides the changes: that nobody else is at it, and that the server is
//! through with what a lost connection left behind. `cli` hands it in; the servers are not known here.

use std::future::Future;
use std::pin::Pin;

use super::{Cause, perform::Report};

/// A future of a trait's method.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// See the module.
pub trait Guard: Send + Sync {
    /// Before a question (`changes` is false) or a change; `server` is the one that it reaches, if it is a SQL Server.
    fn hold<'a>(&'a self, server: Option<&'a str>, changes: bool) -> Later<'a, Result<(), Unheld>>;

    /// Waits until a server is through with statements that this run sent over connections which are gone. The error says
    /// why that cannot be known. Ends early once `stop` is true.
    fn wait_out<'a>(&'a self, server: &'a str, report: Report, stop: &'a (dyn Fn() -> bool + Send + Sync))
    -> Later<'a, Result<(), String>>;
}

/// Why a run may not go on, or may only with a word.
#[derive(Debug)]
pub enum Unheld {
    /// Another run holds it; the text says who.
    Theirs(String),
    /// It was held, and is not any more.
    Lost(String),
    /// It cannot be told, and the run may go on; said once.
    Unknown(String),
    /// This change must not be made.
    Failed(Box<Cause>),
}

/// A run that is alone in the world: for scripts that reach no server.
#[derive(Debug)]
pub struct Alone;

impl Guard for Alone {
    fn hold<'a>(&'a self, _: Option<&'a str>, _: bool) -> Later<'a, Result<(), Unheld>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn wait_out<'a>(&'a self, _: &'a str, _: Report, _: &'a (dyn Fn() -> bool + Send + Sync)) -> Later<'a, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
