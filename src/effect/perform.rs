//! [`Effects`]: what one run's effects pass through.

use std::collections::HashSet;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use miette::Diagnostic;
use rhai::EvalAltResult;
use serde_json::Value;

use super::{Cancel, Class, EffectError, Failure, Place, Stop, Story};
use crate::journal::{Change, Event, Journal, JournalError, Kept, Level, Progress, RunOutcome};
use crate::operator::Operator;

/// What is about to be done, in words and data; secrets never in it.
#[derive(Clone, Debug)]
pub struct Effect {
    pub primitive: &'static str,
    pub class: Class,
    /// The site's key of the server it reaches.
    pub server: Option<String>,
    /// One line: what will be done.
    pub summary: String,
    pub arguments: Value,
    pub place: Place,
    /// False for what must not be cut off half-way: a second Ctrl-C then only stops waiting.
    pub cancellable: bool,
}

/// Why the work of an effect failed.
#[derive(Clone, Debug)]
pub struct Cause {
    pub diagnostic: Arc<dyn Diagnostic + Send + Sync>,
    /// SQL Server's error number that decides.
    pub number: Option<i32>,
    /// The change may have happened all the same.
    pub in_doubt: bool,
    pub story: Box<Story>,
}

impl Cause {
    /// A cause that left nothing changed and nothing in doubt.
    pub fn new(diagnostic: impl Diagnostic + Send + Sync + 'static) -> Self {
        Self { diagnostic: Arc::new(diagnostic), number: None, in_doubt: false, story: Box::default() }
    }

    /// With words on how things stand now.
    #[must_use]
    pub fn standing(mut self, state: impl Into<String>) -> Self {
        self.story.state = Some(state.into());
        self
    }
}

/// The value of an effect.
pub trait Outcome {
    /// What the effect returns when the change was already in force and nothing was done.
    fn already() -> Self;
    /// The value as the record keeps it.
    fn record(&self) -> Value;
}

impl Outcome for Value {
    fn already() -> Self {
        Self::Null
    }
    fn record(&self) -> Value {
        self.clone()
    }
}

/// The `done_when` of a change.
pub struct Test<'a> {
    pub ask: &'a mut dyn FnMut() -> Result<bool, Box<EvalAltResult>>,
    /// How long it is asked again after the change until it is true.
    pub within: Duration,
    /// `already: "accept"`: true before the change is fine, also when nobody is asked.
    pub accept: bool,
}

/// How an effect ends other than with a value.
#[derive(Debug)]
pub enum Ended {
    Failure(Box<Failure>),
    Stop(Stop),
    /// A closure of the runbook raised this.
    Script(Box<EvalAltResult>),
}

/// What the work of an effect says how far it is with: words, and a fraction where it is known.
pub type Report = Arc<dyn Fn(String, Option<f64>) + Send + Sync>;

/// Told of every event, with the time in the record.
pub type OnEvent = Box<dyn Fn(&Event, jiff::Timestamp) + Send + Sync>;

/// What a run is set up with.
pub struct Setup {
    pub journal: Journal,
    pub operator: Operator,
    pub runtime: tokio::runtime::Handle,
    pub cancel: Cancel,
    /// Told of every event, after it is recorded.
    pub on_event: OnEvent,
    pub on_progress: Arc<dyn Fn(Progress) + Send + Sync>,
}

/// What one run's effects pass through.
pub struct Effects {
    pub(super) operator: Operator,
    journal: Mutex<Journal>,
    runtime: tokio::runtime::Handle,
    pub(super) cancel: Cancel,
    on_event: OnEvent,
    on_progress: Arc<dyn Fn(Progress) + Send + Sync>,
    state: Mutex<State>,
    began: Instant,
}

#[derive(Default)]
struct State {
    latch: Option<Stop>,
    effects: u64,
    steps: Vec<String>,
    titles: HashSet<String>,
    /// effects whose test is being asked, outermost first, with what the test read
    tests: Vec<(u64, Vec<String>)>,
    changed: Vec<Change>,
    in_doubt: Vec<Change>,
    perhaps: Vec<Change>,
    kept: Vec<Kept>,
    loss: Option<Value>,
    /// the innermost step that ended with a failure or a stop
    ended_in: Option<String>,
}

/// What `begin` hands to the end of an effect.
pub(super) struct Begun {
    pub(super) id: u64,
    step: Option<String>,
    parent: Option<u64>,
    began: Instant,
}

/// How often a test is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

impl Effects {
    /// A run with nothing done yet.
    pub fn new(setup: Setup) -> Self {
        Self {
            operator: setup.operator,
            journal: Mutex::new(setup.journal),
            runtime: setup.runtime,
            cancel: setup.cancel,
            on_event: setup.on_event,
            on_progress: setup.on_progress,
            state: Mutex::default(),
            began: Instant::now(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Set once the run is to stop; the host ends the script at its next operation.
    pub fn stopped(&self) -> Option<Stop> {
        let mut state = self.state();
        if state.latch.is_none() && self.cancel.requested() {
            state.latch = Some(Stop::Interrupted);
        }
        state.latch.clone()
    }

    /// True once the operator asked to stop: what is under way ends at its next good place.
    pub fn stop_requested(&self) -> bool {
        self.cancel.requested()
    }

    /// Latches a stop; the first one stays.
    pub fn stop(&self, stop: Stop) {
        self.state().latch.get_or_insert(stop);
    }

    fn ended(&self, stop: Stop) -> Ended {
        self.stop(stop);
        Ended::Stop(self.stopped().expect("a stop was just latched"))
    }

    /// The title of the innermost step that a failure or a stop ended, unless the run went on after it.
    pub fn ended_in(&self) -> Option<String> {
        self.state().ended_in.clone()
    }

    /// The folder of this run's record.
    pub fn folder(&self) -> PathBuf {
        self.journal().folder().to_owned()
    }

    /// The loss statement that the run's end is to carry.
    pub fn set_loss(&self, loss: Value) {
        self.state().loss = Some(loss);
    }

    /// Records an event and tells the reports; when the record cannot be written, the run stops here.
    pub(super) fn emit(&self, event: &Event) -> Result<(), Ended> {
        let now = jiff::Timestamp::now();
        let written = self.journal().append(event, now);
        (self.on_event)(event, now);
        written.map_err(|error| self.no_record(&error))
    }

    fn no_record(&self, error: &JournalError) -> Ended {
        let mut text = error.to_string();
        if let Some(source) = std::error::Error::source(error) {
            text.push_str(&format!(": {source}"));
        }
        self.ended(Stop::NoRecord(text))
    }

    /// The run's first event.
    pub fn run_started(&self, event: &Event) -> Result<(), Ended> {
        self.emit(event)
    }

    /// The run's last event.
    pub fn run_finished(&self, outcome: RunOutcome, exit: u8) {
        let event = {
            let state = self.state();
            let (loss, changed) = (state.loss.clone(), state.changed.clone());
            Event::RunFinished {
                outcome,
                exit,
                ms: millis(self.began),
                loss,
                changed,
                in_doubt: state.in_doubt.clone(),
                perhaps: state.perhaps.clone(),
                kept: state.kept.clone(),
            }
        };
        // nothing comes after this event, so a record that cannot take it changes nothing
        let _ = self.emit(&event);
    }

    /// Opens a step; its title must be new.
    pub fn step_started(&self, title: &str, place: &Place) -> Result<Instant, Ended> {
        if let Some(stop) = self.stopped() {
            return Err(Ended::Stop(stop));
        }
        if !self.state().titles.insert(title.to_owned()) {
            return Err(self.refused(0, "step", Cause::new(EffectError::DuplicateStep { title: title.to_owned() }), place));
        }
        self.state().steps.push(title.to_owned());
        self.emit(&Event::StepStarted { step: title.to_owned() })?;
        Ok(Instant::now())
    }

    /// Closes the innermost step.
    pub fn step_finished(&self, began: Instant, ok: bool) -> Result<(), Ended> {
        let step = {
            let mut state = self.state();
            let step = state.steps.pop().unwrap_or_default();
            if ok {
                state.ended_in = None;
                state.kept.retain(|kept| kept.until.as_ref() != Some(&step));
            } else {
                state.ended_in.get_or_insert_with(|| step.clone());
            }
            step
        };
        self.emit(&Event::StepFinished { step, ms: millis(began), ok })
    }

    /// The title of the innermost step.
    pub fn step(&self) -> Option<String> {
        self.state().steps.last().cloned()
    }

    /// A word to the operator and the record.
    pub fn note(&self, level: Level, text: &str) -> Result<(), Ended> {
        self.emit(&Event::Note { step: self.step(), level, text: text.to_owned() })
    }

    /// Keeps a file in the run folder, as an effect of its own; returns its path. With `about`, the run's end names it.
    pub fn keep(&self, effect: &Effect, name: &str, text: &str, about: Option<String>, until: Option<String>) -> Result<PathBuf, Ended> {
        let begun = self.begin(effect)?;
        let kept = self.journal().keep(name, text);
        let path = kept.map_err(|error| self.no_record(&error))?;
        if let Some(about) = about {
            self.state().kept.push(Kept { path: path.display().to_string(), about, until });
        }
        self.finished(effect, &begun, Value::String(path.display().to_string()), false, false)?;
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
    pub(super) fn begin(&self, effect: &Effect) -> Result<Begun, Ended> {
        if let Some(stop) = self.stopped() {
            return Err(Ended::Stop(stop));
        }
        let begun = {
            let mut state = self.state();
            let parent = state.tests.last().map(|(id, _)| *id);
            if parent.is_some() && matches!(effect.class, Class::Changes | Class::Asks) {
                drop(state);
                let cause = Cause::new(EffectError::ChangeInTest { summary: effect.summary.clone() });
                return Err(self.refused(0, effect.primitive, cause, &effect.place));
            }
            state.effects += 1;
            state.ended_in = None;
            Begun { id: state.effects, step: state.steps.last().cloned(), parent, began: Instant::now() }
        };
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
            parent: begun.parent,
        })?;
        Ok(begun)
    }

    pub(super) fn finished(&self, effect: &Effect, begun: &Begun, outcome: Value, already_done: bool, verified: bool) -> Result<(), Ended> {
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
            already_done,
            verified,
            outcome,
            parent: begun.parent,
        })
    }

    pub(super) fn failed(&self, effect: &Effect, begun: &Begun, cause: Cause) -> Ended {
        let event = Event::EffectFailed {
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
            parent: begun.parent,
        };
        match self.emit(&event) {
            Err(ended) => ended,
            Ok(()) => self.refused(begun.id, effect.primitive, cause, &effect.place),
        }
    }

    /// Carries out one effect: announces and records it, asks its test before and after, runs the work, and can cut it off.
    ///
    /// If the machine dies in here, the record holds the effect's start, flushed before a change was begun, and no end.
    pub fn perform<T, F>(&self, effect: &Effect, mut test: Option<Test<'_>>, work: impl FnOnce(Report) -> F) -> Result<T, Ended>
    where
        T: Outcome,
        F: Future<Output = Result<T, Cause>>,
    {
        let begun = self.begin(effect)?;
        if let Some(test) = &mut test {
            let (done, reads) = match self.ask_test(&begun, test) {
                Err(Ended::Script(error)) => {
                    return Err(self.untested(effect, &begun, error, "its `done_when` failed before the change: nothing was sent"));
                }
                asked => asked?,
            };
            if done && self.too_early(effect, &begun, test, &reads)? {
                self.finished(effect, &begun, Value::Null, true, true)?;
                return Ok(T::already());
            }
        }
        let outcome = match self.work(effect, &begun, work)? {
            Ok(outcome) => outcome,
            Err(cause) => {
                let cause = self.look_again(effect, &begun, test.as_mut(), cause);
                return Err(self.failed(effect, &begun, cause));
            }
        };
        // whatever the test says, and also if it is never answered
        if effect.class == Class::Changes {
            self.state().changed.push(change(effect, &begun));
        }
        let verified = match &mut test {
            Some(test) => self.verify(effect, &begun, test)?,
            None => false,
        };
        self.finished(effect, &begun, outcome.record(), false, verified)?;
        Ok(outcome)
    }

    fn work<T, F>(&self, effect: &Effect, begun: &Begun, work: impl FnOnce(Report) -> F) -> Result<Result<T, Cause>, Ended>
    where
        F: Future<Output = Result<T, Cause>>,
    {
        let (on_progress, id) = (self.on_progress.clone(), begun.id);
        let last = Arc::new(Mutex::new(None));
        let noted = last.clone();
        let report = Arc::new(move |text: String, fraction| {
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.clone());
            on_progress(Progress { effect: id, text, fraction });
        });
        let cancel = self.cancel.clone();
        let done = self.runtime.block_on(async {
            tokio::select! {
                biased;
                done = work(report) => Some(done),
                () = cancel.until_forced() => None,
            }
        });
        match done {
            Some(done) => Ok(done),
            None if effect.class == Class::Changes => {
                self.state().in_doubt.push(change(effect, begun));
                let what = if effect.cancellable { "was cut off" } else { "was left to go on by itself" };
                let last = last.lock().unwrap_or_else(PoisonError::into_inner).take();
                let when = last.map(|text| format!(" ({text})")).unwrap_or_default();
                Err(self.ended(Stop::InDoubt(format!("`{}` {what}{when}; it may or may not be in force", effect.summary))))
            }
            None => Err(self.ended(Stop::Interrupted)),
        }
    }

    /// Says what a failed change left behind: asks its test once more, unless nothing was sent.
    fn look_again(&self, effect: &Effect, begun: &Begun, test: Option<&mut Test<'_>>, mut cause: Cause) -> Cause {
        if effect.class != Class::Changes || begun.parent.is_some() {
            return cause;
        }
        let mut made = change(effect, begun);
        if let Some(partly) = &cause.story.partly {
            made.summary = format!("{}: {partly}", made.summary);
            self.state().changed.push(made.clone());
        }
        let asked = match test {
            Some(test) if !cause.story.unsent && self.stopped().is_none() => match self.ask_test(begun, test) {
                Ok((done, _)) => Some(done),
                Err(Ended::Script(error)) => {
                    let why = in_short(&error);
                    add(&mut cause.story.state, &format!("its `done_when`, asked once more, cannot tell: {why}"));
                    None
                }
                Err(_) => None,
            },
            _ => None,
        };
        match asked {
            Some(true) => {
                add(&mut cause.story.state, "its `done_when`, asked once more, is true: the change is in force all the same");
                cause.story.act = Some(
                    "find out why it complained, then go on by hand with what comes after it: the runbook would do it again".to_owned(),
                );
                made.summary.push_str(" (failed, and yet it is in force)");
                self.state().changed.push(made);
            }
            Some(false) => {
                let later = if cause.in_doubt { ", which may still change" } else { "" };
                add(&mut cause.story.state, &format!("its `done_when`, asked once more, is not true: the change is not in force{later}"));
                if cause.in_doubt {
                    self.state().in_doubt.push(made);
                }
            }
            None if cause.in_doubt => self.state().in_doubt.push(made),
            None if cause.story.exact || cause.story.unsent => {}
            None => self.state().perhaps.push(made),
        }
        cause
    }

    /// The test itself failed: the effect is at its end, and the test's own failure goes on.
    fn untested(&self, effect: &Effect, begun: &Begun, mut error: Box<EvalAltResult>, message: &str) -> Ended {
        if effect.class == Class::Changes {
            tell(&mut error, &format!("`{}`: {message}", effect.summary));
        }
        let event = Event::EffectFailed {
            effect: begun.id,
            step: begun.step.clone(),
            primitive: effect.primitive.to_owned(),
            class: effect.class.word().to_owned(),
            server: effect.server.clone(),
            ms: millis(begun.began),
            message: message.to_owned(),
            number: None,
            in_doubt: false,
            code: None,
            messages: Vec::new(),
            state: None,
            help: None,
            parent: begun.parent,
        };
        self.emit(&event).err().unwrap_or(Ended::Script(error))
    }

    /// Asks the test once; its reads are children of the effect.
    fn ask_test(&self, begun: &Begun, test: &mut Test<'_>) -> Result<(bool, Vec<String>), Ended> {
        self.state().tests.push((begun.id, Vec::new()));
        let answer = (test.ask)();
        let (_, reads) = self.state().tests.pop().unwrap_or_default();
        match answer {
            Ok(done) => Ok((done, reads)),
            Err(error) => match self.stopped() {
                Some(stop) => Err(Ended::Stop(stop)),
                None => Err(Ended::Script(error)),
            },
        }
    }

    fn verify(&self, effect: &Effect, begun: &Begun, test: &mut Test<'_>) -> Result<bool, Ended> {
        let began = Instant::now();
        loop {
            let (done, reads) = match self.ask_test(begun, test) {
                Err(Ended::Script(error)) => {
                    return Err(self.untested(effect, begun, error, "it was made, but its `done_when` failed: not verified"));
                }
                asked => asked?,
            };
            if done {
                return Ok(true);
            }
            if began.elapsed() >= test.within {
                let within = if test.within.is_zero() { String::new() } else { format!(" within {:?}", test.within) };
                let error = EffectError::NotVerified { summary: effect.summary.clone(), within };
                return Err(self.failed(effect, begun, Cause::new(error).standing(last_read(&reads))));
            }
            self.pause(ASK_AGAIN)?;
        }
    }

    /// Polls a test until it is true, as an effect of its own.
    pub fn wait_until(&self, effect: &Effect, what: &str, limit: Duration, every: Duration, test: &mut Test<'_>) -> Result<(), Ended> {
        let begun = self.begin(effect)?;
        let began = Instant::now();
        loop {
            let (done, reads) = match self.ask_test(&begun, test) {
                Err(Ended::Script(error)) => return Err(self.untested(effect, &begun, error, "its condition failed")),
                asked => asked?,
            };
            if done {
                return self.finished(effect, &begun, Value::Bool(true), false, false);
            }
            let left = limit.saturating_sub(began.elapsed());
            if left.is_zero() {
                let error = EffectError::WaitedInVain { what: what.to_owned(), limit: format!("{limit:?}") };
                return Err(self.failed(effect, &begun, Cause::new(error).standing(last_read(&reads))));
            }
            (self.on_progress)(Progress {
                effect: begun.id,
                text: format!("waiting for {what}, {} s left", left.as_secs()),
                fraction: None,
            });
            self.pause(every.min(left))?;
        }
    }

    /// Sleeps, but not past a request to stop.
    fn pause(&self, time: Duration) -> Result<(), Ended> {
        let end = Instant::now() + time;
        loop {
            if let Some(stop) = self.stopped() {
                return Err(Ended::Stop(stop));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(20)));
        }
    }
}

pub(super) fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn change(effect: &Effect, begun: &Begun) -> Change {
    Change { step: begun.step.clone(), server: effect.server.clone(), summary: effect.summary.clone() }
}

/// One more clause on how things stand.
fn add(state: &mut Option<String>, more: &str) {
    *state = Some(match state.take() {
        Some(before) => format!("{before}; {more}"),
        None => more.to_owned(),
    });
}

fn last_read(reads: &[String]) -> String {
    match reads.last() {
        Some(read) => format!("the test read last: {read}"),
        None => "the test read nothing".to_owned(),
    }
}

/// Adds how things stand to the failure inside a script's error, if that is one.
fn tell(mut error: &mut EvalAltResult, state: &str) {
    while let EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) = error {
        error = inner;
    }
    if let EvalAltResult::ErrorRuntime(value, _) = error
        && let Some(mut failure) = value.write_lock::<Failure>()
    {
        add(&mut failure.story.state, state);
    }
}

/// What a script's error says, without the functions it passed.
fn in_short(mut error: &EvalAltResult) -> String {
    while let EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) = error {
        error = inner;
    }
    match error {
        EvalAltResult::ErrorRuntime(value, _) => match value.read_lock::<Failure>() {
            Some(failure) => failure.message.clone(),
            None => value.to_string(),
        },
        other => other.to_string(),
    }
}

/// An outcome in at most a line: how many rows and the first of them, else as the record has it.
fn preview(outcome: &Value) -> String {
    let text = match outcome["sets"].as_array().and_then(|sets| sets.first()) {
        Some(set) => {
            let rows = set["rows"].as_array().map_or(&[][..], Vec::as_slice);
            let columns = set["columns"].as_array().map_or(&[][..], Vec::as_slice);
            match rows {
                [] => "no rows".to_owned(),
                [first, ..] => {
                    let cells = first.as_array().map_or(&[][..], Vec::as_slice);
                    let cells = columns
                        .iter()
                        .zip(cells)
                        .map(|(column, cell)| format!("{} = {}", column.as_str().unwrap_or_default(), plain(cell)));
                    let more = if rows.len() > 1 { format!(", and {} more rows", rows.len() - 1) } else { String::new() };
                    format!("{}{more}", cells.collect::<Vec<_>>().join(", "))
                }
            }
        }
        None => plain(outcome),
    };
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
