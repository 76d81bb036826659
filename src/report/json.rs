//! `--format json`: one versioned event a line on standard output, as the record has it; and what only passes: how far an
//! effect is, and what a resume takes from the record. docs/events.schema.json describes them all.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Seldom;
use crate::journal::{self, Event, Progress, Replayed};

/// Prints the events of one run.
pub struct Json {
    progress: Seldom,
}

/// Progress is told at most this often.
const PROGRESS: Duration = Duration::from_secs(1);

/// What is told and not recorded.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Passing {
    /// How far the effect under way is: at most once a second, and only of effects that take longer than that.
    Progress {
        effect: u64,
        /// what is being done now, in a few words
        text: String,
        /// 0 to 1, where it is known
        fraction: Option<f64>,
        /// bytes that are through, where bytes are what takes the time
        bytes: Option<u64>,
        /// all of them
        bytes_total: Option<u64>,
    },
    /// An effect that the record has, and that is not performed again.
    Replayed {
        /// its number in the record
        effect: u64,
        step: Option<String>,
        primitive: String,
        class: String,
        server: Option<String>,
        summary: String,
    },
}

/// One line: an event as the record has it, or something that only passes.
#[derive(JsonSchema)]
#[schemars(title = "cutover run, rehearse, resume: a line of --format json")]
#[expect(dead_code, reason = "its schema is all that is asked of it")]
struct Line {
    #[schemars(extend("const" = 1))]
    v: u8,
    /// when it was told, in UTC with milliseconds
    #[schemars(extend("format" = "date-time"))]
    at: String,
    #[schemars(flatten)]
    told: Told,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "its schema is all that is asked of it")]
enum Told {
    Recorded(Box<Event>),
    Passing(Passing),
}

/// The schema of a line.
pub fn schema() -> Value {
    schemars::schema_for!(Line).to_value()
}

impl Default for Json {
    fn default() -> Self {
        Self { progress: Seldom::new(PROGRESS) }
    }
}

impl Json {
    /// Prints one event.
    pub fn event(&self, event: &Event, at: jiff::Timestamp) {
        super::data(&event.to_json(at).to_string());
    }

    /// Prints what is replayed from the record: its effects, by their numbers there.
    pub fn replayed(&self, replayed: &Replayed<'_>) {
        if let Replayed::Effect(recorded) = replayed {
            Self::passing(&Passing::Replayed {
                effect: recorded.effect,
                step: recorded.step.clone(),
                primitive: recorded.primitive.clone(),
                class: recorded.class.clone(),
                server: recorded.server.clone(),
                summary: recorded.summary.clone(),
            });
        }
    }

    /// Prints how far an effect is.
    pub fn progress(&self, progress: Progress) {
        if self.progress.lets() {
            Self::passing(&Passing::Progress {
                effect: progress.effect,
                text: progress.text,
                fraction: progress.fraction,
                bytes: progress.bytes.map(|(done, _)| done),
                bytes_total: progress.bytes.map(|(_, all)| all),
            });
        }
    }

    fn passing(told: &Passing) {
        super::data(&journal::line(told, jiff::Timestamp::now()).to_string());
    }
}
