//! What is written down, and what every report is made from. Version 1; a field is added, never renamed or reused.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    Done,
    Failed,
    /// By the operator, or for want of an answer.
    Stopped,
    /// Something may have happened that the record cannot tell.
    InDoubt,
}

/// How loud a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Note,
    Warn,
}

/// What kind of answer a question wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    Confirm,
    Ask,
    Manual,
    /// A `done_when` was true before the change.
    TooEarly,
}

/// One message or error record of a server or shell: as its own tools print it, and its parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    pub shown: String,
    #[serde(flatten)]
    pub parts: serde_json::Map<String, Value>,
}

/// One change that a run made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub step: Option<String>,
    pub server: Option<String>,
    pub summary: String,
}

/// A file in the run folder that a runbook kept for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub path: String,
    /// what it is for
    pub about: String,
    /// title of the step after which it is of no use any more
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// One event of a run. `effect` numbers the effects of a run from 1; `ms` are milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    RunStarted {
        /// name of the run folder
        run: String,
        folder: String,
        runbook: String,
        site: String,
        program: String,
        operator: String,
        host: String,
        lab: bool,
        unattended: bool,
        /// connections weaker than verified TLS 1.2, each in one sentence
        weak: Vec<String>,
    },
    StepStarted {
        step: String,
    },
    EffectStarted {
        effect: u64,
        step: Option<String>,
        primitive: String,
        class: String,
        server: Option<String>,
        summary: String,
        arguments: Value,
        file: String,
        line: usize,
        /// the effect whose test (`done_when`, `wait_until`) this one is part of
        parent: Option<u64>,
    },
    EffectFinished {
        effect: u64,
        step: Option<String>,
        primitive: String,
        class: String,
        server: Option<String>,
        ms: u64,
        /// the change was in force before it was made, and that was accepted
        already_done: bool,
        /// a `done_when` said so after the change
        verified: bool,
        outcome: Value,
        parent: Option<u64>,
    },
    EffectFailed {
        effect: u64,
        step: Option<String>,
        primitive: String,
        class: String,
        server: Option<String>,
        ms: u64,
        message: String,
        number: Option<i32>,
        in_doubt: bool,
        /// the diagnostic's code, such as `cutover::sqlserver::gap`
        #[serde(default)]
        code: Option<String>,
        /// everything that the server or the shell said, in order
        #[serde(default)]
        messages: Vec<Said>,
        /// how things stand now
        #[serde(default)]
        state: Option<String>,
        /// the operator's next act
        #[serde(default)]
        help: Option<String>,
        parent: Option<u64>,
    },
    Question {
        effect: u64,
        step: Option<String>,
        id: Option<String>,
        kind: QuestionKind,
        text: String,
        choices: Vec<String>,
        typed: Option<String>,
        irreversible: bool,
    },
    Answer {
        effect: u64,
        step: Option<String>,
        id: Option<String>,
        answer: String,
        /// `terminal`, `--yes`, `--approve ID`
        by: String,
    },
    Note {
        step: Option<String>,
        level: Level,
        text: String,
    },
    StepFinished {
        step: String,
        ms: u64,
        ok: bool,
    },
    RunFinished {
        outcome: RunOutcome,
        exit: u8,
        ms: u64,
        /// the loss statement of the last restore, if there was one
        loss: Option<Value>,
        /// changes that were made, in order
        changed: Vec<Change>,
        /// changes that may or may not have been made
        #[serde(default)]
        in_doubt: Vec<Change>,
        /// changes that failed, and may have been made in part
        #[serde(default)]
        perhaps: Vec<Change>,
        /// files that the runbook kept for whoever goes on from here
        #[serde(default)]
        kept: Vec<Kept>,
    },
}

impl Event {
    /// True for events after which a machine may die only with the line on disk: the word before and after a change.
    pub fn must_reach_disk(&self) -> bool {
        match self {
            Self::EffectStarted { class, .. } | Self::EffectFinished { class, .. } | Self::EffectFailed { class, .. } => class == "changes",
            Self::RunStarted { .. } | Self::Answer { .. } | Self::RunFinished { .. } => true,
            Self::StepStarted { .. } | Self::StepFinished { .. } | Self::Question { .. } | Self::Note { .. } => false,
        }
    }

    /// The event as one versioned JSON object, as the record and `--format json` carry it.
    pub fn to_json(&self, at: jiff::Timestamp) -> Value {
        let mut object = serde_json::Map::new();
        object.insert("v".into(), 1.into());
        let fields = serde_json::to_value(self).expect("an event is plain data");
        let Value::Object(mut fields) = fields else { return Value::Object(object) };
        object.insert("event".into(), fields.shift_remove("event").unwrap_or_default());
        object.insert("at".into(), Value::String(format!("{at:.3}")));
        object.extend(fields);
        Value::Object(object)
    }
}

/// How far the effect in flight is; shown, never recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    pub effect: u64,
    /// what is being done now, in a few words
    pub text: String,
    /// 0 to 1, where it is known
    pub fraction: Option<f64>,
}
