//! `--format json`: one versioned event a line on standard output, as the record has it.

use crate::journal::Event;

/// Prints one event.
pub fn event(event: &Event, at: jiff::Timestamp) {
    super::data(&event.to_json(at).to_string());
}
