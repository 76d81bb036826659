//! A small world inside the program: SQL Server instances that speak TDS over loopback, a backup share, a management
//! shell. Uses the leaves only and is used by cli only: nothing on our side of the wire knows that it exists.
//!
//! [`Lab::start`] sets the scene in a folder and serves it; [`Lab::stop`] closes the sockets and writes what became of the
//! world. In between clients reach it through sockets, files and a child process, as they reach a real site.

mod agent;
mod browser;
mod catalog;
mod instance;
mod media;
mod messages;
mod procedures;
mod rights;
pub mod scenario;
mod scene;
pub mod shell;
mod statements;
pub mod tds;
mod values;
mod wirelog;
mod world;

pub use messages::{MESSAGES, Row as MessageRow};
pub use scenario::{Scenario, ScenarioError};
pub use world::{FinalState, Lab, LabError, LabOptions};
