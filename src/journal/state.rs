//! The legal order of events. [`next`] is used by the writer before a line is written, by the reader when a record is read,
//! and by the tests: a record that it refuses was not written by this program, or not in this order.

use super::{Chosen, Event, RunOutcome};

/// Where a record stands: the fold of its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub phase: Phase,
    /// titles of the open steps, outermost first
    pub steps: Vec<String>,
    /// effects under way, each a part of the test of the one before it
    pub flight: Vec<Flight>,
    /// the number of the last effect
    pub effects: u64,
}

/// The large parts of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// nothing is written yet
    #[default]
    New,
    Running,
    Ended(RunOutcome),
}

/// An effect under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    pub effect: u64,
    /// a question about it waits for its answer
    pub asked: bool,
}

/// An event that cannot come there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{event}` cannot come {place}")]
pub struct Illegal {
    pub event: String,
    pub place: String,
}

/// The state after an event; the one match of what may follow what.
pub fn next(state: &State, event: &Event) -> Result<State, Illegal> {
    let mut after = state.clone();
    let innermost = state.flight.last();
    let in_flight = |effect: u64| innermost.is_some_and(|flight| flight.effect == effect);
    let legal = match (state.phase, event) {
        (Phase::New, Event::RunStarted { .. }) => {
            after.phase = Phase::Running;
            true
        }
        (Phase::Running, Event::StepStarted { step }) => {
            after.steps.push(step.clone());
            state.flight.is_empty() && !state.steps.contains(step)
        }
        // a stop leaves its steps with an effect under way
        (Phase::Running, Event::StepFinished { step, ok, .. }) => {
            after.steps.pop();
            state.steps.last() == Some(step) && (state.flight.is_empty() || !ok)
        }
        (Phase::Running, Event::EffectStarted { effect, parent, .. }) => {
            after.effects = *effect;
            after.flight.push(Flight { effect: *effect, asked: false });
            *effect == state.effects + 1 && *parent == innermost.map(|flight| flight.effect)
        }
        (Phase::Running, Event::EffectTested { effect, .. }) => in_flight(*effect),
        (Phase::Running, Event::EffectFinished { effect, .. } | Event::EffectFailed { effect, .. }) => {
            after.flight.pop();
            innermost.is_some_and(|flight| flight.effect == *effect && !flight.asked)
        }
        (Phase::Running, Event::Question { effect, .. }) => {
            ask(&mut after, true);
            innermost.is_some_and(|flight| flight.effect == *effect && !flight.asked)
        }
        (Phase::Running, Event::Answer { effect, .. }) => {
            ask(&mut after, false);
            innermost.is_some_and(|flight| flight.effect == *effect && flight.asked)
        }
        (Phase::Running, Event::Note { .. } | Event::Interrupted { .. }) => true,
        (Phase::Running, Event::StepQuestion { .. } | Event::StepAnswer { .. }) => state.flight.is_empty(),
        (Phase::Running, Event::Choice { chosen, .. }) => {
            if *chosen != Chosen::Stop {
                rewind(&mut after);
            }
            state.flight.is_empty()
        }
        (Phase::Running, Event::RunFinished { outcome, .. }) => {
            after.phase = Phase::Ended(*outcome);
            true
        }
        (Phase::Running | Phase::Ended(RunOutcome::Failed | RunOutcome::Stopped | RunOutcome::InDoubt), Event::Resumed { .. }) => {
            after.phase = Phase::Running;
            rewind(&mut after);
            true
        }
        _ => false,
    };
    if legal { Ok(after) } else { Err(Illegal { event: name(event), place: place(state) }) }
}

/// The script is evaluated from its start again: nothing is open.
fn rewind(state: &mut State) {
    state.steps.clear();
    state.flight.clear();
}

fn ask(state: &mut State, asked: bool) {
    if let Some(flight) = state.flight.last_mut() {
        flight.asked = asked;
    }
}

/// The event's name as the record has it.
fn name(event: &Event) -> String {
    let value = serde_json::to_value(event).unwrap_or_default();
    value["event"].as_str().unwrap_or_default().to_owned()
}

fn place(state: &State) -> String {
    match state.phase {
        Phase::New => "first".to_owned(),
        Phase::Ended(_) => "after the end of the run".to_owned(),
        Phase::Running => match (state.flight.last(), state.steps.last()) {
            (Some(flight), _) => format!("while effect {} is under way", flight.effect),
            (None, Some(step)) => format!("after effect {} in the step `{step}`", state.effects),
            (None, None) => format!("after effect {} outside of the steps", state.effects),
        },
    }
}
