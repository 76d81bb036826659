//! What a failure says besides its one message: filled by the primitives from what their back ends know, drawn at the end of
//! a run, and kept in the record.

use crate::journal::Said;

/// The parts of a failure that a person reads one after the other.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// What failed, where the messages below say why; the diagnostic's own text unless given.
    pub title: Option<String>,
    /// Everything that the other side said, in order.
    pub messages: Vec<Said>,
    /// What the message that decides means here.
    pub means: Option<String>,
    /// What to do now, where it is another than the diagnostic's help.
    pub act: Option<String>,
    /// How things stand now.
    pub state: Option<String>,
    /// The part of the change that was made all the same.
    pub partly: Option<String>,
    /// What was done is known: what `partly` says, or nothing at all.
    pub exact: bool,
    /// Nothing left this machine, so nothing can have changed.
    pub unsent: bool,
}
