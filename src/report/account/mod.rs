//! What a record tells of a run, in one value: everything that a report says comes from here, and every format says the same.
//! Made from the record and the files beside it alone, so that it can be made again years later.

mod evidence;
mod files;
mod fold;
mod sentences;
mod text;

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::journal::{self, Chosen, Left, Level, QuestionKind, Read, Resolved, RunOutcome, Summary};

pub use evidence::Evidence;
pub use files::{Applied, Copied, CopiedFile, Restored};
pub(super) use sentences::{promised, utc};
pub use text::Text;

/// How a run ended, as far as its record and the lock beside it tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Done,
    Failed,
    Stopped,
    InDoubt,
    /// It is under way now.
    Running,
    /// Its record has no end: the program or the machine died.
    Died,
    /// A line of its record is not as it was written.
    Damaged,
}

impl Ending {
    pub fn of(summary: &Summary) -> Self {
        match summary.outcome {
            _ if summary.bad_line.is_some() => Self::Damaged,
            _ if summary.running => Self::Running,
            None => Self::Died,
            Some(RunOutcome::Done) => Self::Done,
            Some(RunOutcome::Failed) => Self::Failed,
            Some(RunOutcome::Stopped) => Self::Stopped,
            Some(RunOutcome::InDoubt) => Self::InDoubt,
        }
    }

    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => RunOutcome::Done.word(),
            Self::Failed => RunOutcome::Failed.word(),
            Self::Stopped => RunOutcome::Stopped.word(),
            Self::InDoubt => RunOutcome::InDoubt.word(),
            Self::Running => "running",
            Self::Died => "died",
            Self::Damaged => "damaged record",
        }
    }
}

/// Where the time went, in milliseconds: `total` is the sum of the other three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// from the first line of the record to its last
    pub total: u64,
    /// reading, changing, and waiting for servers
    pub working: u64,
    /// a question or a choice waited for a person
    pub asked: u64,
    /// nothing ran: from a stop, a failure or a crash to the resume
    pub away: u64,
}

/// A process that carried the run, and who started it.
#[derive(Clone, Debug)]
pub struct Shift {
    pub at: Timestamp,
    pub operator: Text,
    pub host: Text,
    pub program: Text,
    pub unattended: bool,
    /// what was not as it was when the run began
    pub differs: Vec<Text>,
    /// bytes of an unfinished line that were cut
    pub cut: u64,
}

impl Shift {
    /// One that found everything as it was.
    fn of(at: Timestamp, operator: &str, host: &str, program: &str, unattended: bool) -> Self {
        let (operator, host, program) = (Text::of(operator), Text::of(host), Text::of(program));
        Self { at, operator, host, program, unattended, differs: Vec::new(), cut: 0 }
    }

    pub fn who(&self) -> String {
        format!("{} on {}", self.operator, self.host)
    }
}

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    Done,
    /// It was left before its end.
    EndedEarly,
    /// It has no end in the record.
    Open,
}

impl Stand {
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::EndedEarly => "ended early",
            Self::Open => "not finished",
        }
    }
}

/// One step; with a retry or a resume it has several periods.
#[derive(Clone, Debug)]
pub struct Step {
    /// none: what is done outside of the steps
    pub title: Option<Text>,
    /// milliseconds since the run began, from and to
    pub periods: Vec<(u64, u64)>,
    pub stand: Stand,
    pub reads: usize,
    pub changes: usize,
    pub questions: usize,
    pub failures: usize,
}

impl Step {
    pub fn title(&self) -> &str {
        self.title.as_ref().map_or("outside of the steps", Text::as_str)
    }

    pub fn ms(&self) -> u64 {
        self.periods.iter().map(|(from, to)| to - from).sum()
    }

    pub fn began(&self) -> u64 {
        self.periods.first().map_or(0, |(from, _)| *from)
    }
}

/// What a stretch of time was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Read,
    Change,
    /// for something to become true
    Wait,
    /// for an answer
    Person,
    Failure,
}

/// One effect or question on the time axis; milliseconds since the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// index into the steps
    pub step: usize,
    pub kind: Kind,
    pub from: u64,
    pub to: u64,
}

/// How it is known that a change is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Verified,
    /// It was carried out without an error; no test was asked.
    Unverified,
    InForceBefore,
    Resolved(Resolved),
    /// It was made before the effect failed.
    BeforeFailure,
}

impl Proof {
    /// The words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unverified => "done",
            Self::InForceBefore => "was in force already",
            Self::Resolved(Resolved::InForce) => "found in force",
            Self::Resolved(Resolved::SaidSo) => "it happened, says the operator",
            Self::Resolved(Resolved::ByHand) => "made by hand",
            Self::BeforeFailure => "made before the failure",
        }
    }

    /// True if a test said that the change is in force.
    pub fn is_tested(self) -> bool {
        matches!(self, Self::Verified | Self::InForceBefore | Self::Resolved(Resolved::InForce))
    }
}

/// One change that was made, or found made.
#[derive(Clone, Debug)]
pub struct Change {
    pub step: Option<Text>,
    pub server: Option<Text>,
    pub what: Text,
    pub at: Timestamp,
    pub ms: u64,
    pub proof: Proof,
}

/// A change of which it is not known whether it was made, or whether in whole.
#[derive(Clone, Debug)]
pub struct Unsure {
    pub step: Option<Text>,
    pub what: Text,
    pub why: &'static str,
}

/// One question and what came of it.
#[derive(Clone, Debug)]
pub struct Question {
    pub step: Option<Text>,
    pub id: Option<Text>,
    pub kind: QuestionKind,
    pub text: Text,
    pub choices: Vec<Text>,
    /// the word that had to be typed
    pub typed: Option<Text>,
    pub irreversible: bool,
    pub at: Timestamp,
    /// until the answer, or until the run ended without one
    pub waited_ms: u64,
    /// what was shown before the answer
    pub shown: Vec<Evidence>,
    /// what had to be done by hand
    pub instructions: Option<Text>,
    /// none: nobody answered
    pub answer: Option<Text>,
    /// who answered, and how
    pub by: Text,
}

/// What came of a failure.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// The runbook went on.
    WentOn,
    /// It ended the run, or this part of it.
    Ended,
    /// The operator chose.
    Chosen { chosen: Chosen, reason: Option<Text>, by: Text },
}

/// One failure.
#[derive(Clone, Debug)]
pub struct Failure {
    pub effect: u64,
    pub step: Option<Text>,
    pub server: Option<Text>,
    /// what failed
    pub what: Text,
    pub changes: bool,
    pub at: Timestamp,
    pub ms: u64,
    pub message: Text,
    pub number: Option<i32>,
    pub code: Option<Text>,
    pub title: Option<Text>,
    pub means: Option<Text>,
    pub state: Option<Text>,
    pub help: Option<Text>,
    pub said: Vec<Text>,
    pub left: Left,
    pub fate: Fate,
    /// when the same came to a good end later
    pub done_later: Option<Timestamp>,
}

/// A word of the runbook to the operator.
#[derive(Clone, Debug)]
pub struct Note {
    pub step: Option<Text>,
    pub level: Level,
    pub text: Text,
    pub at: Timestamp,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Step,
    /// so many reads since the moment before
    Reads(usize),
    Change,
    Failed,
    Asked,
    Answer,
    Choice,
    Note,
    Warning,
    Signal,
    Resumed,
    Differs,
    End,
}

/// Something that happened, in the order of the record.
#[derive(Clone, Debug)]
pub struct Moment {
    pub at: Timestamp,
    /// milliseconds since the run began
    pub since: u64,
    pub what: What,
    pub text: Text,
}

/// The loss statement of the last restore.
#[derive(Clone, Debug)]
pub struct Loss {
    pub lines: Vec<Text>,
    /// the same in one sentence
    pub sentence: Text,
    /// work that is lost at most, in seconds
    pub at_most: Option<u64>,
}

/// A file in the run folder.
#[derive(Clone, Debug)]
pub struct Kept {
    pub name: Text,
    pub about: Option<Text>,
    /// the command that runs it
    pub command: Option<Text>,
    /// what running it does not undo
    pub leaves: Option<Text>,
    pub bytes: Option<u64>,
    pub blake3: Option<Text>,
}

/// A server that told its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// the site's name for it
    pub key: Text,
    pub name: Text,
    pub version: Text,
    pub edition: Text,
}

/// A text that the run was begun with.
#[derive(Clone, Debug)]
pub struct Source {
    pub name: Text,
    pub blake3: Text,
}

/// Whether the record is as it was written.
#[derive(Clone, Debug)]
pub struct Seal {
    pub lines: usize,
    /// blake3 of the last whole line; the digest of the whole record, as each line has that of the one before
    pub last: String,
    /// what is wrong; empty: all is as it was written
    pub problems: Vec<Text>,
}

/// Everything that a report tells of a run.
#[derive(Clone, Debug)]
pub struct Account {
    pub run: Text,
    /// where the record is; none: it goes away with the rehearsal
    pub folder: Option<Text>,
    pub runbook: Text,
    pub site: Text,
    pub lab: bool,
    pub ending: Ending,
    pub exit: Option<u8>,
    /// the command that goes on with it, if it can be gone on with
    pub resume: Option<Text>,
    pub began: Timestamp,
    /// the last line of the record
    pub ended: Timestamp,
    /// where the report is made; times are told in UTC and there
    pub zone: TimeZone,
    pub times: Times,
    pub target_ms: Option<u64>,
    /// the first began the run, each other resumed it
    pub shifts: Vec<Shift>,
    /// connections weaker than verified TLS 1.2
    pub weak: Vec<Text>,
    pub steps: Vec<Step>,
    /// titles of the steps that were not begun, and whether they may not come
    pub ahead: Vec<(Text, bool)>,
    pub stretches: Vec<Stretch>,
    /// when nothing ran; milliseconds since the run began
    pub pauses: Vec<(u64, u64)>,
    pub moments: Vec<Moment>,
    pub loss: Option<Loss>,
    pub changes: Vec<Change>,
    pub unsure: Vec<Unsure>,
    pub questions: Vec<Question>,
    pub failures: Vec<Failure>,
    pub notes: Vec<Note>,
    pub copied: Vec<Copied>,
    pub restored: Vec<Restored>,
    pub kept: Vec<Kept>,
    pub servers: Vec<Server>,
    pub sources: Vec<Source>,
    pub seal: Seal,
    /// what ended it, and the operator's next act
    pub why: Option<Text>,
    pub help: Option<Text>,
}

impl Account {
    /// Of a record; none if it has no whole line. `folder` holds it, and the large outcomes beside it.
    pub fn of(folder: &Path, read: &Read, zone: &TimeZone) -> Option<Self> {
        let mut summary = Summary::of(folder, read)?;
        summary.look(folder);
        let mut account = fold::fold(folder, read, &summary, zone);
        let problems = journal::problems(folder, read);
        account.seal = Seal {
            lines: read.lines.len(),
            last: read.last_digest().to_owned(),
            problems: problems.iter().map(|bad| Text::of(&format!("line {}: {}", bad.line, bad.why))).collect(),
        };
        Some(account)
    }

    /// How many of the changes a test found in force.
    pub fn tested(&self) -> usize {
        self.changes.iter().filter(|change| change.proof.is_tested()).count()
    }

    /// Failures after which the runbook did not simply go on.
    pub fn grave(&self) -> impl Iterator<Item = &Failure> {
        self.failures.iter().filter(|failure| failure.fate != Fate::WentOn)
    }

    pub fn warnings(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter().filter(|note| note.level == Level::Warn)
    }

    /// True if the promised recovery time was kept; none if nothing was promised, or the run is not done.
    pub fn in_time(&self) -> Option<bool> {
        self.target_ms.filter(|_| self.ending == Ending::Done).map(|target| self.times.total <= target)
    }
}
