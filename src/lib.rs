//! cutover runs *runbooks*: Rhai scripts that carry out a documented recovery procedure against real SQL Servers, file
//! shares and a management shell.
//!
//! A runbook is read by [`script`], evaluated by [`host`], and every call it makes of a [`primitives`] function becomes an
//! *effect* that passes through one function, [`effect::perform`]: the only place that records, asks, times, cancels and
//! reports. The work itself is done by the back ends [`sqlserver`], [`backups`], [`powershell`] and [`operator`]. The
//! [`lab`] stands on the far side of the same sockets, files and child process, so nothing is mocked on our side.
//!
//! Who may use whom (kept by `tests/rooms.rs`): cli → all · check → script, site, primitives, powershell · report → check,
//! script, journal · host → script, primitives · primitives → effect, back ends · effect → journal, operator · back ends,
//! journal, site, script → leaves · lab → leaves only, and only cli uses lab. The leaves are [`wire`], [`tsql`] and [`facts`].

pub mod backups;
#[cfg(test)]
mod cases;
pub mod check;
pub mod cli;
pub mod effect;
pub mod facts;
pub mod host;
pub mod journal;
#[cfg(feature = "lab")]
pub mod lab;
pub mod operator;
pub mod powershell;
pub mod primitives;
pub mod report;
pub mod script;
pub mod site;
pub mod sqlserver;
pub mod tsql;
pub mod wire;
