//! `--format json`: one versioned event a line on standard output, as the record has it.

use crate::journal::{Event, Replayed};

/// Prints one event.
pub fn event(event: &Event, at: jiff::Timestamp) {
    super::data(&event.to_json(at).to_string());
}

/// Prints what is replayed from the record: its effects, by their numbers there.
pub fn replayed(replayed: &Replayed<'_>) {
    if let Replayed::Effect(recorded) = replayed {
        let line = serde_json::json!({
            "v": 1, "event": "replayed", "effect": recorded.effect, "step": recorded.step, "primitive": recorded.primitive,
            "class": recorded.class, "server": recorded.server, "summary": recorded.summary,
        });
        super::data(&line.to_string());
    }
}
