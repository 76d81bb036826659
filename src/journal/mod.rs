//! The record of a run: what was about to be done and what came of it, one JSON object a line, each line carrying the hash
//! of the one before. Written by `effect`, shown by `report`. One folder a run, named so that a listing sorts by time.

mod error;
mod event;
mod file;

pub use error::JournalError;
pub use event::{Change, Event, Kept, Level, Progress, QuestionKind, RunOutcome, Said};
pub use file::{Journal, runs_folder};
