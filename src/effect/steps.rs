//! Steps: their titles are the places of a run. While the record is replayed, a step is recorded anew only once something
//! new happens in it.

use std::time::Instant;

use super::perform::{OpenStep, millis};
use super::{Cause, EffectError, Effects, Ended, Place};
use crate::journal::{Event, Replayed};

impl Effects {
    /// Opens a step; its title must be new.
    pub fn step_started(&self, title: &str, place: &Place) -> Result<(), Ended> {
        if let Some(stop) = self.stopped() {
            return Err(Ended::Stop(stop));
        }
        let refused = |error| Err(self.refused(0, "step", Cause::new(error), place));
        if !self.state().tests.is_empty() {
            return refused(EffectError::StepInTest { title: title.to_owned() });
        }
        if !self.state().titles.insert(title.to_owned()) {
            return refused(EffectError::DuplicateStep { title: title.to_owned() });
        }
        if self.state().replay.effects == 0 {
            self.may_begin(title)?;
        }
        let replays = {
            let mut state = self.state();
            state.steps.push(OpenStep { title: title.to_owned(), recorded: false, began: Instant::now() });
            state.replay.effects > 0
        };
        match replays {
            true => {
                (self.on_replay)(&Replayed::Step(title));
                Ok(())
            }
            false => self.open_steps_are_recorded(),
        }
    }

    /// Closes the innermost step.
    pub fn step_finished(&self, ok: bool) -> Result<(), Ended> {
        let (title, recorded, began, replays) = {
            let mut state = self.state();
            let Some(OpenStep { title, recorded, began }) = state.steps.pop() else { return Ok(()) };
            if ok {
                state.ended_in = None;
                state.kept.retain(|kept| kept.until.as_ref() != Some(&title));
            } else {
                state.ended_in.get_or_insert_with(|| title.clone());
            }
            (title, recorded, began, state.replay.effects > 0)
        };
        if !recorded {
            // it ended in the record, or it will never have been
            if replays || self.stopped().is_some() || self.journal().history().finished_step(&title) {
                return Ok(());
            }
            self.open_steps_are_recorded()?;
            self.emit(&Event::StepStarted { step: title.clone() })?;
        }
        self.emit(&Event::StepFinished { step: title, ms: millis(began), ok })
    }

    /// The title of the innermost step.
    pub fn step(&self) -> Option<String> {
        self.state().steps.last().map(|step| step.title.clone())
    }

    /// Before anything new is recorded: the steps that it is part of.
    pub(super) fn open_steps_are_recorded(&self) -> Result<(), Ended> {
        loop {
            let next = self.state().steps.iter_mut().find(|step| !step.recorded).map(|step| {
                step.recorded = true;
                step.title.clone()
            });
            let Some(step) = next else { return Ok(()) };
            self.emit(&Event::StepStarted { step })?;
        }
    }
}
