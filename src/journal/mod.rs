//! The record of a run: what was about to be done and what came of it, one JSON object a line, each line carrying the hash
//! of the one before. Written by `effect`, shown by `report`. One folder a run, named so that a listing sorts by time.

mod die;
mod error;
mod event;
mod file;
mod history;
mod lock;
mod read;
mod runs;
mod state;
#[cfg(test)]
mod tests;

pub use error::JournalError;
pub use event::{
    Change, Chosen, Event, Kept, Left, Level, Progress, QuestionKind, RaisedInstead, Resolved, RunOutcome, Said, Source, StepAhead, line,
};
pub use file::{FILE, Journal, LARGE, runs_folder};
pub use history::{Attempt, Ended, Failed, History, How, Item, Recorded, Replayed, STALE};
pub use lock::{Holder, Lock};
pub use read::{Bad, Line, Read, of_bytes, outcome, problems, read};
pub use runs::{Summary, list};
pub use state::{Flight, Illegal, Phase, State, next};

/// The answer that takes a change which was in force too early as made.
pub const ACCEPT: &str = "accept";
/// The answer that makes such a change all the same.
pub const DO_ANYWAY: &str = "do it anyway";
