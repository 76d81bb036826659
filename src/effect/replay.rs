//! Replay: what the record has is told to the script instead of being performed. Each call must be the recorded one; if it
//! is not, the run stops before it does anything, and both are shown.

use std::sync::Arc;

use miette::Diagnostic;
use rhai::{Dynamic, EvalAltResult, Position};
use serde_json::Value;

use super::perform::{Effect, Outcome};
use super::{Cause, Class, EffectError, Effects, Ended, Failure, Place, Stop, Story};
use crate::journal::{self, Attempt, Failed, How, Item, Level, RaisedInstead, Recorded, Replayed};

/// Told of what is replayed, in its order.
pub type OnReplay = Box<dyn Fn(&Replayed<'_>) + Send + Sync>;

/// Whose turn a call is.
pub(super) enum Turn {
    Live,
    /// It has its end in the record.
    Replayed(Arc<Recorded>),
    /// It was begun, and its end is not known.
    TakenUp(Arc<Recorded>, How),
}

/// A script that goes another way than the record.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// What the record goes on with.
    pub recorded: Arc<Recorded>,
    /// What the script does instead; none: it ended.
    pub now: Option<Called>,
}

/// A call that is not the recorded one.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    pub primitive: &'static str,
    pub step: Option<String>,
    pub summary: String,
    pub arguments: Value,
    pub place: Place,
}

impl Divergence {
    /// In what the two differ, one line each.
    pub fn differences(&self) -> Vec<String> {
        let Some(now) = &self.now else { return Vec::new() };
        let recorded = &self.recorded;
        let named = |step: &Option<String>| step.as_ref().map_or_else(|| "outside of the steps".to_owned(), |step| format!("`{step}`"));
        let mut lines = Vec::new();
        if now.step != recorded.step {
            lines.push(format!("step: {} in the record, {} now", named(&recorded.step), named(&now.step)));
        }
        if now.primitive != recorded.primitive {
            lines.push(format!("call: {} in the record, {} now", recorded.primitive, now.primitive));
            return lines;
        }
        let empty = serde_json::Map::new();
        let (before, after) = (recorded.arguments.as_object().unwrap_or(&empty), now.arguments.as_object().unwrap_or(&empty));
        let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let (was, is) = (before.get(key), after.get(key));
            if was != is {
                lines.push(format!("{key}: {} in the record, {} now", shown(was, is), shown(is, was)));
            }
        }
        lines
    }
}

/// A value in at most a line, from a little before where it differs from the other.
fn shown(value: Option<&Value>, other: Option<&Value>) -> String {
    const ROOM: usize = 100;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), |text| format!("{text:?}"));
    let (Some(value), other) = (value, other.map(text).unwrap_or_default()) else { return "nothing".to_owned() };
    let text = text(value);
    let same = text.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let skip = if text.chars().count() <= ROOM { 0 } else { same.saturating_sub(30) };
    let cut: String = text.chars().skip(skip).take(ROOM).collect();
    let (before, after) = (if skip > 0 { "…" } else { "" }, if text.chars().count() > skip + ROOM { "…" } else { "" });
    format!("{before}{cut}{after}")
}

/// A failure as the record has it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct RecordedFailure {
    message: String,
    code: Option<String>,
    help: Option<String>,
}

impl Diagnostic for RecordedFailure {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.code.as_ref().map(|code| Box::new(code) as Box<dyn std::fmt::Display>)
    }
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn std::fmt::Display>)
    }
}

impl Effects {
    /// Before the script is evaluated: what it is told from the record.
    pub fn begin_attempt(&self, attempt: Attempt) {
        let mut state = self.state();
        *state = super::perform::State { latch: state.latch.take(), ..Default::default() };
        state.replay.effects = attempt.replayed.iter().filter(|item| matches!(item, Item::Effect(_))).count();
        state.replay.items = attempt.replayed.into();
        state.replay.taken_up = attempt.taken_up;
    }

    /// After the script ended by itself: what the record goes on with, if it does.
    pub fn end_attempt(&self) -> Result<(), Stop> {
        let mut state = self.state();
        let left = state.replay.items.iter().find_map(|item| match item {
            Item::Effect(recorded) => Some(Arc::clone(recorded)),
            Item::Note { .. } => None,
        });
        let left = left.or_else(|| state.replay.taken_up.take().map(|(recorded, _)| recorded));
        state.replay.items.clear();
        drop(state);
        match left {
            Some(recorded) => Err(Stop::Diverged(Box::new(Divergence { recorded, now: None }))),
            None => Ok(()),
        }
    }

    /// Whose turn a call of the script is. What a test does is always done.
    pub(super) fn turn(&self, effect: &Effect) -> Result<Turn, Ended> {
        if let Some(stop) = self.stopped() {
            return Err(Ended::Stop(stop));
        }
        if self.only_looks && matches!(effect.class, Class::Changes | Class::Asks) {
            let cause = Cause::new(EffectError::OnlyLooks { summary: effect.summary.clone() });
            return Err(self.refused(0, effect.primitive, cause, &effect.place));
        }
        let turn = {
            let mut state = self.state();
            if !state.tests.is_empty() {
                return Ok(Turn::Live);
            }
            while matches!(state.replay.items.front(), Some(Item::Note { .. })) {
                state.replay.items.pop_front();
            }
            match state.replay.items.pop_front() {
                Some(Item::Effect(recorded)) => {
                    state.replay.effects -= 1;
                    state.ended_in = None;
                    Turn::Replayed(recorded)
                }
                _ => match state.replay.taken_up.take() {
                    Some((recorded, how)) => Turn::TakenUp(recorded, how),
                    None => Turn::Live,
                },
            }
        };
        if let Turn::Replayed(recorded) | Turn::TakenUp(recorded, _) = &turn {
            let step = self.step();
            let same = recorded.primitive == effect.primitive && recorded.step == step && recorded.arguments == effect.arguments;
            if !same {
                let now = Called {
                    primitive: effect.primitive,
                    step,
                    summary: effect.summary.clone(),
                    arguments: effect.arguments.clone(),
                    place: effect.place.clone(),
                };
                return Err(self.ended(Stop::Diverged(Box::new(Divergence { recorded: Arc::clone(recorded), now: Some(now) }))));
            }
            if let Turn::Replayed(recorded) = &turn {
                (self.on_replay)(&Replayed::Effect(recorded));
            }
        }
        Ok(turn)
    }

    /// True if the record has this note before its next effect: it was said.
    pub(super) fn replays_note(&self, level: Level, text: &str) -> bool {
        let mut state = self.state();
        if !state.tests.is_empty() {
            return false;
        }
        let notes = state.replay.items.iter().take_while(|item| matches!(item, Item::Note { .. }));
        let wanted = Item::Note { level, text: text.to_owned() };
        let Some(index) = notes.into_iter().position(|item| *item == wanted) else { return false };
        state.replay.items.drain(..=index);
        drop(state);
        (self.on_replay)(&Replayed::Note(level, text));
        true
    }

    /// The recorded end of an effect.
    pub(super) fn replayed<T: Outcome>(&self, effect: &Effect, recorded: &Recorded) -> Result<T, Ended> {
        match &recorded.ended {
            Some(journal::Ended::Finished { already_done: true, .. } | journal::Ended::Finished { resolved: Some(_), .. }) => {
                Ok(T::already())
            }
            Some(journal::Ended::Finished { outcome, .. }) => {
                let folder = self.folder();
                let value = journal::outcome(&folder, outcome).and_then(T::replay);
                value.map_err(|why| self.ended(Stop::BadRecord(format!("effect {}, `{}`: {why}", recorded.effect, recorded.summary))))
            }
            Some(journal::Ended::Failed(failed)) => Err(self.recorded_end(effect, recorded, failed)),
            None => Err(self.ended(Stop::BadRecord(format!("effect {} has no end", recorded.effect)))),
        }
    }

    /// What the script saw of a recorded failure.
    fn recorded_end(&self, effect: &Effect, recorded: &Recorded, failed: &Failed) -> Ended {
        let thrown = |value: Dynamic| Ended::Script(Box::new(EvalAltResult::ErrorRuntime(value, Position::NONE)));
        match &failed.raised {
            None => Ended::Failure(Box::new(self.recorded_failure(recorded.effect, &recorded.primitive, failed, &effect.place))),
            Some(RaisedInstead::Value(value)) => thrown(rhai::serde::to_dynamic(value).unwrap_or(Dynamic::UNIT)),
            Some(RaisedInstead::Failure(child)) => match self.journal().history().failure(*child).cloned() {
                Some((primitive, failed)) => thrown(Dynamic::from(self.recorded_failure(*child, &primitive, &failed, &effect.place))),
                None => thrown(failed.message.clone().into()),
            },
        }
    }

    fn recorded_failure(&self, effect: u64, primitive: &str, failed: &Failed, place: &Place) -> Failure {
        Failure {
            effect,
            primitive: primitive.to_owned(),
            message: failed.message.clone(),
            number: failed.number,
            in_doubt: failed.in_doubt,
            place: place.clone(),
            step: self.state().steps.last().map(|step| step.title.clone()),
            cause: Arc::new(RecordedFailure { message: failed.message.clone(), code: failed.code.clone(), help: failed.help.clone() }),
            story: Box::new(Story {
                title: failed.title.clone(),
                messages: failed.messages.clone(),
                means: failed.means.clone(),
                act: failed.help.clone(),
                state: failed.state.clone(),
                ..Story::default()
            }),
        }
    }
}
