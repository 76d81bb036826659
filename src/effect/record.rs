//! What is written down of a run and its effects, and told to the reports: one event each, in the record before anybody hears
//! of it.

use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::Instant;

use serde_json::Value;

use super::perform::{Begun, Effect, End, State, millis};
use super::replay::Turn;
use super::words::preview;
use super::{Cause, Class, EffectError, Effects, Ended, Failure, Place, Stop};
use crate::journal::{Change, Event, History, JournalError, Kept, Left, Level, RaisedInstead, RunOutcome};

/// How a run ended, and why.
#[derive(Clone, Debug)]
pub struct Ending {
    pub outcome: RunOutcome,
    pub exit: u8,
    /// the effect whose failure ended it
    pub ended_by: Option<u64>,
    /// what ended it, as it is told; none if it is done
    pub why: Option<String>,
    /// the operator's next act
    pub help: Option<String>,
}

impl Ending {
    /// An end of which no more is told.
    pub fn new(outcome: RunOutcome, exit: u8) -> Self {
        Self { outcome, exit, ended_by: None, why: None, help: None }
    }
}

impl Effects {
    /// Records an event and tells the reports; when the record cannot be written, the run stops here.
    pub(super) fn emit(&self, event: &Event) -> Result<(), Ended> {
        let now = jiff::Timestamp::now();
        let written = self.journal().append(event, now);
        (self.on_event)(event, now);
        written.map_err(|error| self.no_record(&error))
    }

    pub(super) fn no_record(&self, error: &JournalError) -> Ended {
        let mut text = error.to_string();
        if let Some(source) = std::error::Error::source(error) {
            text.push_str(&format!(": {source}"));
        }
        self.ended(Stop::NoRecord(text))
    }

    /// The run's first event: its start, or that it was resumed.
    pub fn run_started(&self, event: &Event) -> Result<(), Ended> {
        self.emit(event)
    }

    /// Records that the run was asked to stop, as often as it was. Called by whoever hears signals, while the run goes on,
    /// and before its end: what is cut off may end the run before the signal is recorded.
    pub fn interrupted(&self) {
        let mut recorded = self.interrupted.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = u8::from(self.cancel.requested()) + u8::from(self.cancel.forced());
        while *recorded < asked {
            *recorded += 1;
            // when the record cannot take it, the run stops all the same
            let _ = self.emit(&Event::Interrupted { times: *recorded });
        }
    }

    /// The run's last event. `kept` finds the command that runs a kept script.
    pub fn run_finished(&self, ending: Ending, kept: impl Fn(Kept) -> Kept) {
        let Ending { outcome, exit, ended_by, why, help } = ending;
        self.interrupted();
        let event = {
            let state = self.state();
            let journal = self.journal();
            let history = journal.history();
            Event::RunFinished {
                outcome,
                exit,
                ms: millis(self.began),
                loss: state.loss.clone(),
                changed: changed(history, &state),
                in_doubt: state.in_doubt(history),
                perhaps: history.perhaps(),
                kept: state.kept.iter().cloned().map(kept).collect(),
                ended_by,
                why,
                help,
            }
        };
        // nothing comes after this event, so a record that cannot take it changes nothing
        let _ = self.emit(&event);
    }

    /// What the run has changed for certain, in order.
    pub(super) fn changed(&self) -> Vec<Change> {
        let state = self.state();
        changed(self.journal().history(), &state)
    }

    /// A word to the operator and the record.
    pub fn note(&self, level: Level, text: &str) -> Result<(), Ended> {
        if self.replays_note(level, text) {
            return Ok(());
        }
        self.open_steps_are_recorded()?;
        self.emit(&Event::Note { step: self.step(), level, text: text.to_owned() })
    }

    /// Keeps a file in the run folder, as an effect of its own; returns its path. With `about`, the run's end names it.
    pub fn keep(&self, effect: &Effect, name: &str, text: &str, kept: Option<Kept>) -> Result<PathBuf, Ended> {
        let path = match self.turn(effect)? {
            Turn::Replayed(recorded) => PathBuf::from(self.replayed::<Value>(effect, &recorded)?.as_str().unwrap_or_default()),
            Turn::Live | Turn::TakenUp(..) => {
                let begun = self.begin(effect, false, None)?;
                let written = self.journal().keep(name, text);
                let path = written.map_err(|error| self.no_record(&error))?;
                self.finished(effect, &begun, Value::String(path.display().to_string()), End::default())?;
                path
            }
        };
        if let Some(kept) = kept {
            // the folder may have been moved since
            let here = path.file_name().map_or_else(|| path.clone(), |name| self.folder().join(name));
            self.state().kept.push(Kept { path: here.display().to_string(), ..kept });
        }
        Ok(path)
    }

    /// A failure without an effect of its own.
    pub fn refused(&self, effect: u64, primitive: &str, cause: Cause, place: &Place) -> Ended {
        Ended::Failure(Box::new(Failure {
            effect,
            primitive: primitive.to_owned(),
            message: cause.diagnostic.to_string(),
            number: cause.number,
            in_doubt: cause.in_doubt,
            place: place.clone(),
            step: self.step(),
            cause: cause.diagnostic,
            story: cause.story,
        }))
    }

    /// Numbers and announces an effect.
    pub(super) fn begin(&self, effect: &Effect, test: bool, again: Option<u64>) -> Result<Begun, Ended> {
        if let Some(stop) = self.stopped() {
            return Err(Ended::Stop(stop));
        }
        let parent = self.state().tests.last().map(|(id, _)| *id);
        if parent.is_some() && matches!(effect.class, Class::Changes | Class::Asks) {
            let cause = Cause::new(EffectError::ChangeInTest { summary: effect.summary.clone() });
            return Err(self.refused(0, effect.primitive, cause, &effect.place));
        }
        if parent.is_none() {
            self.open_steps_are_recorded()?;
        }
        self.state().ended_in = None;
        let id = self.journal().effects() + 1;
        let begun = Begun { id, step: self.step(), parent, began: Instant::now() };
        let frame = effect.place.frames.first();
        self.emit(&Event::EffectStarted {
            effect: begun.id,
            step: begun.step.clone(),
            primitive: effect.primitive.to_owned(),
            class: effect.class.word().to_owned(),
            server: effect.server.clone(),
            summary: effect.summary.clone(),
            arguments: effect.arguments.clone(),
            file: frame.map(|f| f.name.clone()).unwrap_or_default(),
            line: frame.map_or(0, |f| f.line),
            start: frame.map_or(0, |f| f.start),
            end: frame.map_or(0, |f| f.end),
            test,
            again,
            parent: begun.parent,
        })?;
        Ok(begun)
    }

    pub(super) fn finished(&self, effect: &Effect, begun: &Begun, outcome: Value, end: End) -> Result<(), Ended> {
        {
            let mut state = self.state();
            if let Some((_, reads)) = state.tests.last_mut() {
                reads.push(format!("{}: {}", effect.summary, preview(&outcome)));
            }
        }
        self.emit(&Event::EffectFinished {
            effect: begun.id,
            step: begun.step.clone(),
            primitive: effect.primitive.to_owned(),
            class: effect.class.word().to_owned(),
            server: effect.server.clone(),
            ms: millis(begun.began),
            already_done: end.already_done,
            verified: end.verified,
            resolved: end.resolved,
            outcome,
            parent: begun.parent,
        })?;
        self.settled(begun);
        Ok(())
    }

    pub(super) fn failed(&self, effect: &Effect, begun: &Begun, cause: Cause, made: Option<String>, left: Left) -> Ended {
        let event = self.failure_event(effect, begun, &cause, made, left, None);
        match self.emit(&event) {
            Err(ended) => ended,
            Ok(()) => {
                self.settled(begun);
                self.refused(begun.id, effect.primitive, cause, &effect.place)
            }
        }
    }

    /// The end of an effect is recorded; that of a read in its test is not its own.
    fn settled(&self, begun: &Begun) {
        if begun.parent.is_none() {
            self.state().made = None;
        }
    }

    pub(super) fn failure_event(
        &self,
        effect: &Effect,
        begun: &Begun,
        cause: &Cause,
        made: Option<String>,
        left: Left,
        raised: Option<RaisedInstead>,
    ) -> Event {
        Event::EffectFailed {
            effect: begun.id,
            step: begun.step.clone(),
            primitive: effect.primitive.to_owned(),
            class: effect.class.word().to_owned(),
            server: effect.server.clone(),
            ms: millis(begun.began),
            message: cause.diagnostic.to_string(),
            number: cause.number,
            in_doubt: cause.in_doubt,
            code: cause.diagnostic.code().map(|code| code.to_string()),
            messages: cause.story.messages.clone(),
            state: cause.story.state.clone(),
            help: cause.story.act.clone().or_else(|| cause.diagnostic.help().map(|help| help.to_string())),
            title: cause.story.title.clone(),
            means: cause.story.means.clone(),
            made,
            left,
            stopped: begun.parent.is_none() && self.cancel.requested(),
            raised,
            parent: begun.parent,
        }
    }
}

fn changed(history: &History, state: &State) -> Vec<Change> {
    history.changed().iter().chain(&state.made).cloned().collect()
}
