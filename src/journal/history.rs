//! What a record means for the next evaluation of its script: which effects and notes it is told instead of performing
//! them, which one is taken up because its end is not known, and what the run has changed so far. The fold of the events;
//! kept by the writer, made anew by the reader, so that a retry in one process and a resume in another are one thing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{Change, Chosen, Event, Left, Level, QuestionKind, RaisedInstead, Resolved, RunOutcome, Said};

/// One effect of the script as the record has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub effect: u64,
    pub step: Option<String>,
    pub primitive: String,
    pub class: String,
    pub server: Option<String>,
    pub summary: String,
    pub arguments: Value,
    pub file: String,
    pub line: usize,
    pub start: usize,
    pub end: usize,
    /// it has a `done_when`
    pub test: bool,
    /// it takes up another whose end was not known
    pub again: bool,
    /// it was about to be sent (false), or in force already (true)
    pub tested: Option<bool>,
    pub asked: Option<QuestionKind>,
    pub answer: Option<String>,
    /// its test was true before it, and the operator wanted it made all the same: since then the test tells nothing
    pub anyway: bool,
    /// when it began
    pub at: Timestamp,
    /// none: it was begun, and the record knows no more
    pub ended: Option<Ended>,
}

/// How an effect ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    Finished { outcome: Value, already_done: bool, verified: bool, resolved: Option<Resolved> },
    Failed(Box<Failed>),
}

/// A recorded failure: all that a script can see of it, and all that is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failed {
    pub message: String,
    pub number: Option<i32>,
    pub in_doubt: bool,
    pub code: Option<String>,
    pub messages: Vec<Said>,
    pub state: Option<String>,
    pub help: Option<String>,
    pub title: Option<String>,
    pub means: Option<String>,
    pub made: Option<String>,
    pub left: Left,
    pub stopped: bool,
    pub raised: Option<RaisedInstead>,
}

/// One thing that the script did.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Effect(Arc<Recorded>),
    Note { level: Level, text: String },
}

impl Item {
    fn effect(&self) -> Option<&Arc<Recorded>> {
        match self {
            Self::Effect(effect) => Some(effect),
            Self::Note { .. } => None,
        }
    }
}

/// What a replay tells, in its order; shown, never recorded.
#[derive(Clone, Copy, Debug)]
pub enum Replayed<'a> {
    Step(&'a str),
    Effect(&'a Recorded),
    Note(Level, &'a str),
}

/// What is known of the effect that the next evaluation takes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It may have happened: its test says so, or the operator.
    InDoubt,
    /// As before, but a test cannot tell: it was true before the change, and the operator wanted it made anyway.
    InDoubtUntested,
    /// The operator chose to have it done again, whatever it did before.
    Again,
    /// It counts as made.
    Made(Resolved),
    /// The question was answered; only its end is missing.
    Answered,
}

/// What the next evaluation of the script begins with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attempt {
    /// in the order in which the script did them
    pub replayed: Vec<Item>,
    /// what comes next must be this
    pub taken_up: Option<(Arc<Recorded>, How)>,
}

/// A change of the run, and whether it was made for certain.
#[derive(Clone, Debug, PartialEq)]
struct Open {
    change: Change,
    /// nothing was sent before its test was asked
    waits: bool,
}

/// The fold of a record's events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    items: Vec<Item>,
    /// effects under way: those of the script by number; a test's reads are not among them
    open: BTreeMap<u64, Open>,
    changed: Vec<Change>,
    perhaps: Vec<(u64, Change)>,
    in_doubt: Vec<(u64, Change)>,
    /// failures of a test's reads, which a script may have caught
    failures: HashMap<u64, (String, Failed)>,
    /// titles of the steps that came to their end
    finished_steps: Vec<String>,
    /// the last event, if it ended an evaluation
    last: Last,
    began_change: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Last {
    #[default]
    Cut,
    Failed {
        by: Option<u64>,
    },
    Stopped,
    Chosen {
        effect: Option<u64>,
        chosen: Chosen,
    },
}

/// Evidence older than this is read again before a question or a change that a resume comes to.
pub const STALE: Duration = Duration::from_secs(60);

impl History {
    /// Takes in one event.
    pub fn take(&mut self, event: &Event, at: Timestamp) {
        if !matches!(event, Event::Resumed { .. } | Event::Interrupted { .. }) {
            self.last = Last::Cut;
        }
        match event {
            Event::EffectStarted { parent: Some(_), .. } | Event::EffectFinished { parent: Some(_), .. } => {}
            Event::EffectStarted {
                effect,
                step,
                primitive,
                class,
                server,
                summary,
                arguments,
                file,
                line,
                start,
                end,
                test,
                again,
                ..
            } => {
                let taken_up = again.and_then(|again| self.items.iter().filter_map(Item::effect).find(|item| item.effect == again));
                let recorded = Recorded {
                    effect: *effect,
                    step: step.clone(),
                    primitive: primitive.clone(),
                    class: class.clone(),
                    server: server.clone(),
                    summary: summary.clone(),
                    arguments: arguments.clone(),
                    file: file.clone(),
                    line: *line,
                    start: *start,
                    end: *end,
                    test: *test,
                    again: again.is_some(),
                    tested: None,
                    asked: None,
                    answer: None,
                    anyway: taken_up.is_some_and(|before| before.anyway),
                    at,
                    ended: None,
                };
                self.items.push(Item::Effect(Arc::new(recorded)));
                if class == "changes" {
                    let change = Change { step: step.clone(), server: server.clone(), summary: summary.clone() };
                    self.open.insert(*effect, Open { change, waits: *test && again.is_none() });
                    self.began_change = true;
                }
                if let Some(again) = again {
                    self.items.retain(|item| item.effect().is_none_or(|effect| effect.effect != *again));
                    self.open.remove(again);
                    self.in_doubt.retain(|(effect, _)| effect != again);
                    self.perhaps.retain(|(effect, _)| effect != again);
                }
            }
            Event::EffectTested { effect, done } => {
                if let Some(open) = self.open.get_mut(effect) {
                    open.waits = *done;
                }
                self.last_of(*effect, |recorded| recorded.tested = Some(*done));
            }
            Event::Question { effect, kind, .. } => self.last_of(*effect, |recorded| recorded.asked = Some(*kind)),
            Event::Answer { effect, answer, .. } => {
                if let Some(open) = self.open.get_mut(effect)
                    && answer == super::DO_ANYWAY
                {
                    open.waits = false;
                }
                self.last_of(*effect, |recorded| {
                    recorded.anyway |= recorded.asked == Some(QuestionKind::TooEarly) && answer == super::DO_ANYWAY;
                    recorded.answer = Some(answer.clone());
                });
            }
            Event::EffectFinished { effect, already_done, verified, resolved, outcome, .. } => {
                if let Some(open) = self.open.remove(effect)
                    && !already_done
                {
                    self.changed.push(open.change);
                }
                let ended =
                    Ended::Finished { outcome: outcome.clone(), already_done: *already_done, verified: *verified, resolved: *resolved };
                self.last_of(*effect, |recorded| recorded.ended = Some(ended));
            }
            Event::EffectFailed { effect, primitive, parent, .. } => {
                let failed = failed(event);
                if parent.is_some() {
                    self.failures.insert(*effect, (primitive.clone(), failed));
                    return;
                }
                if let Some(Open { change, .. }) = self.open.remove(effect) {
                    if let Some(made) = &failed.made {
                        self.changed.push(Change { summary: made.clone(), ..change.clone() });
                    }
                    match failed.left {
                        Left::Known => {}
                        Left::Unknown => self.perhaps.push((*effect, change)),
                        Left::InDoubt => self.in_doubt.push((*effect, change)),
                    }
                }
                self.last_of(*effect, |recorded| recorded.ended = Some(Ended::Failed(Box::new(failed))));
            }
            Event::Note { level, text, .. } => self.items.push(Item::Note { level: *level, text: text.clone() }),
            Event::StepFinished { step, ok: true, .. } => self.finished_steps.push(step.clone()),
            Event::Resumed { replays, taken_up, .. } => self.rewind(*replays, *taken_up),
            Event::Choice { effect, chosen, replays, taken_up, .. } => {
                self.last = Last::Chosen { effect: *effect, chosen: *chosen };
                if *chosen != Chosen::Stop {
                    self.rewind(*replays, *taken_up);
                }
            }
            Event::RunFinished { outcome, ended_by, .. } => {
                self.last = match outcome {
                    RunOutcome::Failed | RunOutcome::InDoubt => Last::Failed { by: *ended_by },
                    RunOutcome::Stopped | RunOutcome::Done => Last::Stopped,
                };
            }
            Event::RunStarted { .. }
            | Event::StepQuestion { .. }
            | Event::StepAnswer { .. }
            | Event::StepStarted { .. }
            | Event::StepFinished { .. }
            | Event::Interrupted { .. } => {}
        }
    }

    /// The script is evaluated anew: what comes after the replayed items is forgotten, but for the effect that is taken up,
    /// until it is.
    fn rewind(&mut self, replays: usize, taken_up: Option<u64>) {
        let kept = self.items.drain(replays.min(self.items.len())..).find(|item| item.effect().is_some_and(|e| Some(e.effect) == taken_up));
        self.items.extend(kept);
    }

    /// Changes the effect of the script that is under way.
    fn last_of(&mut self, effect: u64, change: impl FnOnce(&mut Recorded)) {
        let found = self.items.iter_mut().rev().find_map(|item| match item {
            Item::Effect(recorded) => Some(recorded),
            Item::Note { .. } => None,
        });
        if let Some(recorded) = found.filter(|recorded| recorded.effect == effect) {
            change(Arc::make_mut(recorded));
        }
    }

    /// Changes that were made, in order.
    pub fn changed(&self) -> &[Change] {
        &self.changed
    }

    /// Changes that failed, and may have been made in part.
    pub fn perhaps(&self) -> Vec<Change> {
        self.perhaps.iter().map(|(_, change)| change.clone()).collect()
    }

    /// Changes that may or may not have been made: they failed so, or were sent and the record knows no more.
    pub fn in_doubt(&self) -> Vec<Change> {
        let open = self.open.values().filter(|open| !open.waits).map(|open| open.change.clone());
        self.in_doubt.iter().map(|(_, change)| change.clone()).chain(open).collect()
    }

    /// True once a change was begun, whatever became of it.
    pub fn began_change(&self) -> bool {
        self.began_change
    }

    /// The failure of a test's read: its primitive and the failure.
    pub fn failure(&self, effect: u64) -> Option<&(String, Failed)> {
        self.failures.get(&effect)
    }

    /// True if the step came to an end before.
    pub fn finished_step(&self, title: &str) -> bool {
        self.finished_steps.iter().any(|step| step == title)
    }

    /// What the script did so far.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// What a resume at `now` begins with.
    pub fn resume(&self, now: Timestamp) -> Attempt {
        self.attempt(Some(now), None)
    }

    /// What a retry in the same process begins with, after the operator chose so for this effect (or for none of them).
    pub fn retry(&self, effect: Option<u64>, chosen: Chosen) -> Attempt {
        self.attempt(None, Some((effect, chosen)))
    }

    /// The rules, in one place:
    /// - What is finished is replayed.
    /// - The last effect, if it has no end: a change is taken up unless it is certain that nothing was sent; all else is
    ///   done anew, but an answer that was given stays given.
    /// - The last effect, if its failure ended the run: a change that may have left something behind is taken up; all else
    ///   is done anew. A failure after which the script went on is replayed.
    /// - A refused question is asked again.
    /// - Reads at the end of the record lead to nothing that was done. They are read again if the run failed after them, or
    ///   if they are older than [`STALE`]: nobody decides on old evidence.
    fn attempt(&self, now: Option<Timestamp>, retry: Option<(Option<u64>, Chosen)>) -> Attempt {
        let retry = retry.or(match self.last {
            Last::Chosen { effect, chosen } if chosen != Chosen::Stop => Some((effect, chosen)),
            _ => None,
        });
        let (ended_by, failed) = match (retry, self.last) {
            (Some((effect, _)), _) | (None, Last::Chosen { effect, .. }) => (effect, true),
            (None, Last::Failed { by }) => (by, true),
            (None, _) => (None, false),
        };
        let mut end = self.items.len();
        // the failure is taken to be repaired: what led to it is looked at again
        let mut repaired = failed && ended_by.is_none();
        if let Some((index, last)) = self.last_effect() {
            let how = match &last.ended {
                None => {
                    end = index;
                    unfinished(last)
                }
                Some(Ended::Failed(failure)) if failure.stopped || (failed && self.led_to(ended_by, last.effect)) => {
                    end = index;
                    repaired = true;
                    let leftovers = last.class == "changes" && !(failure.made.is_none() && failure.left == Left::Known);
                    match retry {
                        Some((_, Chosen::ByHand)) => Some(How::Made(Resolved::ByHand)),
                        Some((_, Chosen::Retry)) if leftovers && !last.test => Some(How::Again),
                        _ => leftovers.then(|| in_doubt(last)),
                    }
                }
                Some(Ended::Finished { outcome, .. }) if last.class == "asks" && refused(last, outcome.as_str()) => {
                    end = index;
                    None
                }
                Some(_) => None,
            };
            if let Some(how) = how {
                return Attempt { replayed: self.items[..end].to_vec(), taken_up: Some((Arc::clone(last), how)) };
            }
        }
        end = self.without_stale_reads(end, repaired, now);
        Attempt { replayed: self.items[..end].to_vec(), taken_up: None }
    }

    /// The last effect of the script and its place among the items.
    pub fn last_effect(&self) -> Option<(usize, &Arc<Recorded>)> {
        self.items.iter().enumerate().rev().find_map(|(index, item)| Some((index, item.effect()?)))
    }

    /// A test's own failure ends the run under the number of the read that failed.
    fn led_to(&self, ended_by: Option<u64>, effect: u64) -> bool {
        ended_by.is_some_and(|by| by == effect || by > effect && self.failures.contains_key(&by))
    }

    /// How many of the first `end` items stay if reads at their end are read again.
    fn without_stale_reads(&self, end: usize, all: bool, now: Option<Timestamp>) -> usize {
        let trailing = self.items[..end].iter().rev().take_while(|item| item.effect().is_none_or(|effect| effect.class == "reads"));
        let first = end - trailing.count();
        let stale = |effect: &Recorded| all || now.is_some_and(|now| now.duration_since(effect.at).unsigned_abs() > STALE);
        let found = self.items[first..end].iter().position(|item| item.effect().is_some_and(|effect| stale(effect)));
        found.map_or(end, |found| first + found)
    }
}

/// What to do with an effect that was begun and has no end.
fn unfinished(last: &Recorded) -> Option<How> {
    let answer = last.answer.as_deref();
    match last.class.as_str() {
        "asks" => (answer.is_some() && !refused(last, answer)).then_some(How::Answered),
        "changes" => match (last.test, last.tested, answer) {
            // nothing is sent before the test was asked, or against its word
            (true, None, _) if !last.again => None,
            (true, Some(true), Some(super::ACCEPT)) => Some(How::Made(Resolved::InForce)),
            (true, Some(true), _) if !last.anyway => None,
            _ => Some(in_doubt(last)),
        },
        _ => None,
    }
}

/// How a change is taken up that may have been made.
fn in_doubt(last: &Recorded) -> How {
    if last.anyway { How::InDoubtUntested } else { How::InDoubt }
}

/// True for the answers that stop a run. A choice may be called `stop`, too; then it is one of the choices.
fn refused(asked: &Recorded, answer: Option<&str>) -> bool {
    let choices = asked.arguments["choices"].as_array();
    let is_choice = choices.is_some_and(|choices| choices.iter().any(|choice| choice.as_str() == answer));
    matches!(answer, Some("no" | "stop")) && !is_choice
}

fn failed(event: &Event) -> Failed {
    let Event::EffectFailed { message, number, in_doubt, code, messages, state, help, title, means, made, left, stopped, raised, .. } =
        event
    else {
        return Failed::default();
    };
    Failed {
        message: message.clone(),
        number: *number,
        in_doubt: *in_doubt,
        code: code.clone(),
        messages: messages.clone(),
        state: state.clone(),
        help: help.clone(),
        title: title.clone(),
        means: means.clone(),
        made: made.clone(),
        left: *left,
        stopped: *stopped,
        raised: raised.clone(),
    }
}
