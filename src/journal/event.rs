//! What is written down, and what every report is made from. Version 1; a field is added, never renamed or reused. A record
//! without the fields that a resume needs (the copies of its scripts) can be read and shown, not resumed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    Done,
    Failed,
    /// By the operator, or for want of an answer.
    Stopped,
    /// Something may have happened that the record cannot tell.
    InDoubt,
}

impl RunOutcome {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::InDoubt => "in doubt",
        }
    }
}

/// How loud a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Note,
    Warn,
}

/// What kind of answer a question wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    Confirm,
    Ask,
    Manual,
    /// A `done_when` was true before the change.
    TooEarly,
    /// The record cannot tell whether a change was made, and neither can a test.
    InDoubt,
}

/// What the operator chose when the run failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Chosen {
    /// The effect is performed again; without one, what was read since the last change is read again.
    Retry,
    /// The operator made the change, or says that it is made.
    ByHand,
    Stop,
}

impl Chosen {
    /// The words for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::ByHand => "marked as done by hand",
            Self::Stop => "stop",
        }
    }
}

/// What a failed change left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// What is known to be changed is all that is.
    #[default]
    Known,
    /// It may have been made in part.
    Unknown,
    /// It may have been made, or may still be.
    InDoubt,
}

/// How a change whose end was not known came to be taken as made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resolved {
    /// its `done_when` is true
    InForce,
    /// the operator says that it happened
    SaidSo,
    /// the operator did it by hand
    ByHand,
}

/// A failed test's own error, as the script saw it instead of the effect's failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RaisedInstead {
    /// the failure of this effect, a read of the test
    Failure(u64),
    /// what was thrown
    Value(Value),
}

/// A text that the run was begun with: its runbook, a module, the site file. The copy lies in the run folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// as it was shown to people
    pub name: String,
    /// path within the run folder, with `/`
    pub copy: String,
    /// digest of the text
    pub blake3: String,
    /// as an import writes it; none for the runbook and the site file
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}

/// One message or error record of a server or shell: as its own tools print it, and its parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Said {
    pub shown: String,
    #[serde(flatten)]
    pub parts: serde_json::Map<String, Value>,
}

/// One change that a run made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    pub step: Option<String>,
    pub server: Option<String>,
    pub summary: String,
}

/// A file in the run folder that a runbook kept for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    pub path: String,
    /// what it is for
    pub about: String,
    /// the site's server that it is run on, if it is a script
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// the command that runs it there
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// what running it does not undo
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves: Option<String>,
    /// title of the step after which it is of no use any more
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// A step that the runbook's text has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepAhead {
    pub title: String,
    /// it stands under a condition, in a loop or in a function: it may not come
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub perhaps: bool,
}

/// One event of a run. `effect` numbers the effects of a run from 1; `ms` are milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
        /// tells this run from one of the same name on another machine, begun in the same second
        #[serde(default)]
        id: String,
        /// digest of the site's name and its servers' addresses: the same in each copy of its file
        #[serde(default)]
        site_id: String,
        /// absolute
        #[serde(default)]
        site_file: String,
        /// absolute; none for the runbook that is built into the program
        #[serde(default)]
        runbook_file: Option<String>,
        /// the runbook first, then its modules, then the site file
        #[serde(default)]
        sources: Vec<Source>,
        /// `--set`, each
        #[serde(default)]
        set: Vec<String>,
        /// the command line without the program's name
        #[serde(default)]
        arguments: Vec<String>,
        /// unfinished runs of the same site that this one was begun in spite of (`--new`)
        #[serde(default)]
        instead_of: Vec<String>,
        /// the recovery time that the site file promises, in milliseconds
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recovery_time_target_ms: Option<u64>,
        /// in the order of the runbook's text; titles that are put together at run time are not known
        #[serde(default)]
        steps: Vec<StepAhead>,
    },
    /// The run goes on, perhaps on another machine: what the record has is replayed, not performed.
    Resumed {
        program: String,
        operator: String,
        host: String,
        folder: String,
        unattended: bool,
        /// how many effects and notes of the record stay as they are; what came after them is taken anew
        replays: usize,
        /// the effect whose end is not known and which is taken up
        taken_up: Option<u64>,
        /// what is not as it was when the run began: files, the program's version
        differs: Vec<String>,
        /// bytes that a crash left of a line, and that were cut
        cut: u64,
        #[serde(default)]
        arguments: Vec<String>,
        /// as in `run_started`: the runbook may have been edited
        #[serde(default)]
        steps: Vec<StepAhead>,
    },
    /// A signal asked the run to stop: once after the effect in flight, twice at once.
    Interrupted {
        times: u8,
    },
    /// The run failed, and the operator at the terminal chose what to do.
    Choice {
        /// the effect that failed; none if the runbook itself gave up
        effect: Option<u64>,
        chosen: Chosen,
        /// why a change counts as made by hand
        reason: Option<String>,
        by: String,
        /// as in `resumed`
        replays: usize,
        taken_up: Option<u64>,
    },
    /// The operator is asked before a step (`--step`).
    StepQuestion {
        step: String,
    },
    StepAnswer {
        step: String,
        /// `yes` or `no`
        answer: String,
        by: String,
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
        /// the call's bytes in that file
        #[serde(default)]
        start: usize,
        #[serde(default)]
        end: usize,
        /// it has a `done_when`
        #[serde(default)]
        test: bool,
        /// the effect whose end is not known and which this one takes up
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again: Option<u64>,
        /// the effect whose test (`done_when`, `wait_until`) this one is part of
        parent: Option<u64>,
    },
    /// The `done_when` was asked before the change, or need not be. Nothing was sent before this line was on disk.
    EffectTested {
        effect: u64,
        /// the change was in force
        done: bool,
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
        /// its end was not known, and this settled it; the outcome is that of a change that was in force already
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resolved: Option<Resolved>,
        /// large ones lie in a file of their own: `{"file", "blake3", "bytes"}`
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
        /// what failed, where the messages say why
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// what the message that decides means here
        #[serde(default, skip_serializing_if = "Option::is_none")]
        means: Option<String>,
        /// what was changed for certain
        #[serde(default, skip_serializing_if = "Option::is_none")]
        made: Option<String>,
        #[serde(default)]
        left: Left,
        /// it gave up because the run was asked to stop
        #[serde(default)]
        stopped: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raised: Option<RaisedInstead>,
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
        /// `terminal`, `--yes`, `--approve ID`, `--answers FILE`, `scenario`
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
        /// the effect whose failure ended the run
        #[serde(default)]
        ended_by: Option<u64>,
        /// what ended it, as it was told; none if it is done
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
        /// the operator's next act
        #[serde(default, skip_serializing_if = "Option::is_none")]
        help: Option<String>,
    },
}

impl Event {
    /// True for events after which a machine may die only with the line on disk: the word before and after a change.
    pub fn must_reach_disk(&self) -> bool {
        match self {
            Self::EffectStarted { class, .. } | Self::EffectFinished { class, .. } | Self::EffectFailed { class, .. } => class == "changes",
            Self::RunStarted { .. }
            | Self::Resumed { .. }
            | Self::Choice { .. }
            | Self::Answer { .. }
            | Self::StepAnswer { .. }
            | Self::EffectTested { .. }
            | Self::RunFinished { .. } => true,
            Self::StepStarted { .. }
            | Self::StepFinished { .. }
            | Self::Question { .. }
            | Self::StepQuestion { .. }
            | Self::Note { .. }
            | Self::Interrupted { .. } => false,
        }
    }

    /// The event as one versioned JSON object, as the record and `--format json` carry it.
    pub fn to_json(&self, at: jiff::Timestamp) -> Value {
        line(self, at)
    }
}

/// What is told as one versioned JSON object: its version, its word and its time first.
pub fn line(told: &impl Serialize, at: jiff::Timestamp) -> Value {
    let mut object = serde_json::Map::new();
    object.insert("v".into(), 1.into());
    let fields = serde_json::to_value(told).expect("what is told is plain data");
    let Value::Object(mut fields) = fields else { return Value::Object(object) };
    object.insert("event".into(), fields.shift_remove("event").unwrap_or_default());
    object.insert("at".into(), Value::String(format!("{at:.3}")));
    object.extend(fields);
    Value::Object(object)
}

/// How far the effect in flight is; told to reports, never recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    pub effect: u64,
    /// what is being done now, in a few words
    pub text: String,
    /// 0 to 1, where it is known
    pub fraction: Option<f64>,
    /// bytes that are through, and all of them, where bytes are what takes the time
    pub bytes: Option<(u64, u64)>,
}

impl Progress {
    /// Of an effect that the hearer knows.
    pub fn new(text: impl Into<String>, fraction: Option<f64>) -> Self {
        Self { effect: 0, text: text.into(), fraction, bytes: None }
    }
}
