//! The SQL Server back end: connections over our own TLS, batches with all their messages, the log chain and its restore.
//! Called by primitives; knows nothing of runbooks, effects or the site file.

mod applock;
mod batch;
mod browser;
mod cells;
pub mod chain;
pub mod chain_failure;
mod connection;
pub mod error;
pub mod errors;
pub mod headers;
pub mod loss;
mod ntlm;
pub mod orphans;
mod probe;
pub mod redo;
pub mod restore;
mod servers;
mod tap;
mod tls;
pub mod value;

pub use applock::{AppLock, Holder, Lost, Taken};
pub use batch::{Batch, OnProgress, Progress, TimeLimit};
pub use connection::{Account, Connection, Instance, Password, Target};
pub use error::Failure;
pub use servers::Servers;
pub use tap::OnMessage;
pub use tls::{Hello, Security};
pub use value::{Answer, Message, ResultSet, Row, Value};
