//! Effects: one call of a primitive in one run. [`Effects::perform`] is the one function that every effect passes through:
//! the only place that records, asks, times, cancels and reports. A primitive describes the effect and hands over the work;
//! only `perform` runs it. Used by `primitives`; knows nothing of Rhai but the error of a closure that it was given.

mod cancel;
mod doubt;
mod error;
mod guard;
mod perform;
mod place;
mod question;
mod record;
mod replay;
mod steps;
mod story;
mod words;

pub use cancel::Cancel;
pub use error::EffectError;
pub use guard::{Alone, Guard, Later, Unheld};
pub use perform::{Cause, Effect, Effects, Ended, OnEvent, Outcome, Report, Setup, Test, Work};
pub use place::{Frame, Place};
pub use record::Ending;
pub use replay::{Called, Divergence, OnReplay};
pub use story::Story;
pub use words::innermost;

/// What an effect does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Reads,
    Changes,
    Asks,
    /// Talks to the operator and the record only.
    Tells,
}

impl Class {
    /// The word in records and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Changes => "changes",
            Self::Asks => "asks",
            Self::Tells => "tells",
        }
    }
}

/// Why a run stops other than by failing. Latched: no runbook can catch it.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// The operator said no or stop; the text says to what.
    Refused(String),
    /// An answer was needed and there was nobody to give it; the text says to what and how to give it.
    NoAnswer(String),
    /// Ctrl-C or SIGTERM, after the effect in flight was finished.
    Interrupted,
    /// A second Ctrl-C cut off a change: it may or may not have happened.
    InDoubt(String),
    /// A primitive was called other than by a call written out in the text.
    IndirectCall(String),
    /// The record cannot be written; the text says why.
    NoRecord(String),
    /// The record cannot be replayed; the text says what does not fit.
    BadRecord(String),
    /// The runbook goes another way than the record.
    Diverged(Box<Divergence>),
    /// Another run changes the same servers; the text says who.
    Held(String),
    /// What kept others away is lost; the text says how.
    LockLost(String),
}

/// A failed effect, as a runbook may catch it and as the report shows it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The effect that failed.
    pub effect: u64,
    pub primitive: String,
    pub message: String,
    /// SQL Server's error number that decides, if there is one.
    pub number: Option<i32>,
    /// The change may have happened although it failed.
    pub in_doubt: bool,
    pub place: Place,
    /// The title of the step it was part of.
    pub step: Option<String>,
    /// Its diagnostic, for the report.
    pub cause: std::sync::Arc<dyn miette::Diagnostic + Send + Sync>,
    /// What else is to be told of it.
    pub story: Box<Story>,
}
