//! [`Effects`]: what one run's effects pass through.

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use miette::Diagnostic;
use rhai::EvalAltResult;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::guard::{Guard, Unheld};
use super::replay::{OnReplay, Turn};
use super::words::{add, in_short, last_read, raised, tell};
use super::{Cancel, Class, EffectError, Failure, Place, Stop, Story};
use crate::journal::{Change, Event, History, How, Item, Journal, Kept, Left, Level, Progress, Recorded, Resolved, StepAhead};
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
    /// It works out from the real state what is left to do: doing it once more is how it is taken up.
    pub looks: bool,
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
pub trait Outcome: Sized {
    /// What the effect returns when the change was already in force and nothing was done.
    fn already() -> Self;
    /// The value as the record keeps it: nothing that a script can see of it is lost.
    fn record(&self) -> Value;
    /// The value again; the error says what does not fit.
    fn replay(record: Value) -> Result<Self, String>;
}

impl Outcome for Value {
    fn already() -> Self {
        Self::Null
    }
    fn record(&self) -> Value {
        self.clone()
    }
    fn replay(record: Value) -> Result<Self, String> {
        Ok(record)
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

/// What the work of an effect says how far it is with; the effect's number is filled in.
pub type Report = Arc<dyn Fn(Progress) + Send + Sync>;

/// What the work of an effect is given.
#[derive(Clone)]
pub struct Work {
    pub report: Report,
    /// Cancelled when the work is to be cut off: it has [`CUT_OFF`] to end properly, then it is dropped.
    pub cancel: CancellationToken,
}

/// Told of every event, with the time in the record.
pub type OnEvent = Box<dyn Fn(&Event, jiff::Timestamp) + Send + Sync>;

/// What a run is set up with.
pub struct Setup {
    pub journal: Journal,
    pub operator: Operator,
    pub runtime: tokio::runtime::Handle,
    pub cancel: Cancel,
    /// The steps that the runbook's text has.
    pub steps: Vec<StepAhead>,
    /// Told of every event, after it is recorded.
    pub on_event: OnEvent,
    /// Told of what is replayed, in its order.
    pub on_replay: OnReplay,
    pub on_progress: Arc<dyn Fn(Progress) + Send + Sync>,
    pub guard: Arc<dyn Guard>,
}

/// What one run's effects pass through.
pub struct Effects {
    pub(super) operator: Operator,
    journal: Mutex<Journal>,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) cancel: Cancel,
    pub(super) steps: Vec<StepAhead>,
    pub(super) on_event: OnEvent,
    pub(super) on_replay: OnReplay,
    pub(super) on_progress: Arc<dyn Fn(Progress) + Send + Sync>,
    pub(super) guard: Arc<dyn Guard>,
    /// changes and questions are refused
    pub(super) only_looks: bool,
    state: Mutex<State>,
    /// how many requests to stop are recorded
    pub(super) interrupted: Mutex<u8>,
    pub(super) began: Instant,
}

/// One evaluation of the script.
#[derive(Default)]
pub(super) struct State {
    pub latch: Option<Stop>,
    pub steps: Vec<OpenStep>,
    pub titles: HashSet<String>,
    /// effects whose test is being asked, outermost first, with what the test read
    pub tests: Vec<(u64, Vec<String>)>,
    /// the change whose work is done and whose end is not recorded yet
    pub made: Option<Change>,
    /// a change was sent and comes to its end: its test is a part of it, and a first request to stop waits for it
    pub ending: bool,
    pub kept: Vec<Kept>,
    pub loss: Option<Value>,
    /// the innermost step that ended with a failure or a stop
    pub ended_in: Option<String>,
    pub replay: Replay,
}

impl State {
    /// What may or may not be made; not what is made and only has no end yet.
    pub fn in_doubt(&self, history: &History) -> Vec<Change> {
        let mut in_doubt = history.in_doubt();
        in_doubt.retain(|change| Some(change) != self.made.as_ref());
        in_doubt
    }
}

/// What is left of the record to be replayed.
#[derive(Default)]
pub(super) struct Replay {
    pub items: VecDeque<Item>,
    /// effects among the items
    pub effects: usize,
    pub taken_up: Option<(Arc<Recorded>, How)>,
}

/// A step that is open now.
pub(super) struct OpenStep {
    pub title: String,
    /// this evaluation has recorded its start
    pub recorded: bool,
    pub began: Instant,
}

/// What `begin` hands to the end of an effect.
pub(super) struct Begun {
    pub id: u64,
    pub step: Option<String>,
    pub parent: Option<u64>,
    pub began: Instant,
}

/// What a test says before its change.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    NotYet,
    /// and that is accepted
    InForce,
    /// it is in force, and the operator wants it made all the same
    Anyway,
}

/// What a failed change left behind, as far as it can be told.
enum Settled {
    /// It is in force all the same: the answer was lost, not the change.
    InForce,
    Failed {
        cause: Cause,
        made: Option<String>,
        left: Left,
    },
}

/// How often a test is asked again. The unit tests' worlds need no time.
const ASK_AGAIN: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 500 });

/// How long work that is cut off may take to end properly: an attention is answered within 5 s or never.
const CUT_OFF: Duration = Duration::from_secs(7);

impl Effects {
    /// A run with nothing done yet.
    pub fn new(setup: Setup) -> Self {
        Self {
            operator: setup.operator,
            journal: Mutex::new(setup.journal),
            runtime: setup.runtime,
            cancel: setup.cancel,
            steps: setup.steps,
            on_event: setup.on_event,
            on_replay: setup.on_replay,
            on_progress: setup.on_progress,
            guard: setup.guard,
            only_looks: false,
            state: Mutex::default(),
            interrupted: Mutex::default(),
            began: Instant::now(),
        }
    }

    /// A run that changes nothing and asks nobody: what would is refused before anything is sent.
    #[must_use]
    pub fn only_looking(self) -> Self {
        Self { only_looks: true, ..self }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Set once the run is to stop; the host ends the script at its next operation.
    pub fn stopped(&self) -> Option<Stop> {
        let mut state = self.state();
        let heeded = if state.ending { self.cancel.forced() } else { self.cancel.requested() };
        if state.latch.is_none() && heeded {
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

    /// Takes a stop back that is about to be said better.
    pub(super) fn unlatch(&self) {
        self.state().latch = None;
    }

    pub(super) fn ended(&self, stop: Stop) -> Ended {
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

    /// True if something that this run sent may have been made, or may have been made in part.
    pub fn half_done(&self) -> bool {
        let state = self.state();
        let journal = self.journal();
        !state.in_doubt(journal.history()).is_empty() || !journal.history().perhaps().is_empty()
    }

    /// Carries out one effect: announces and records it, asks its test before and after, runs the work, and can cut it off.
    /// What the record has already is not carried out but told.
    ///
    /// If the machine dies in here, the record holds the effect's start, and, flushed before anything was sent, that its
    /// test had been asked; and no end.
    pub fn perform<T, F>(&self, effect: &Effect, mut test: Option<Test<'_>>, work: impl FnOnce(Work) -> F) -> Result<T, Ended>
    where
        T: Outcome,
        F: Future<Output = Result<T, Cause>>,
    {
        let taken_up = match self.turn(effect)? {
            Turn::Replayed(recorded) => return self.replayed(effect, &recorded),
            Turn::TakenUp(recorded, how) => Some((recorded.effect, how)),
            Turn::Live => None,
        };
        let unheld = self.hold(effect)?;
        let begun = self.begin(effect, test.is_some(), taken_up.map(|(again, _)| again))?;
        if let Some(cause) = unheld {
            // what was in doubt before stays so
            let left = match taken_up {
                Some((_, How::InDoubt | How::InDoubtUntested)) => Left::InDoubt,
                _ => Left::Known,
            };
            return Err(self.failed(effect, &begun, cause, None, left));
        }
        // a test that was true before the change says nothing after it
        let mut tells = !matches!(taken_up, Some((_, How::InDoubtUntested)));
        let made = match (taken_up, &mut test) {
            (Some((_, how)), test) => self.take_up(effect, &begun, test.as_mut(), how)?.map(Some),
            (None, Some(test)) => {
                let before = self.before(effect, &begun, test)?;
                tells = before != Before::Anyway;
                (before == Before::InForce).then_some(None)
            }
            (None, None) => None,
        };
        if let Some(resolved) = made {
            let end = End { already_done: resolved.is_none(), verified: true, resolved };
            self.finished(effect, &begun, Value::Null, end)?;
            return Ok(T::already());
        }
        let worked = self.work(effect, &begun, work)?;
        // the reads of its test are effects, too, and end before it
        if effect.class != Class::Changes {
            return self.conclude(effect, &begun, (test, tells), worked);
        }
        self.state().ending = true;
        let ended = self.conclude(effect, &begun, (test, tells), worked);
        self.state().ending = false;
        ended
    }

    /// The work is over: finds out what it left, and records the end. `tells` is false if the test was true before it.
    fn conclude<T: Outcome>(
        &self,
        effect: &Effect,
        begun: &Begun,
        (mut test, tells): (Option<Test<'_>>, bool),
        worked: Result<T, Cause>,
    ) -> Result<T, Ended> {
        let outcome = match worked {
            Ok(outcome) => outcome,
            Err(cause) => match self.settle(effect, begun, test.as_mut().filter(|_| tells), cause) {
                Settled::InForce => {
                    let text = format!("`{}`: its answer was lost, and its `done_when` is true: it is in force", effect.summary);
                    self.emit(&Event::Note { step: self.step(), level: Level::Warn, text })?;
                    let end = End { already_done: false, verified: true, resolved: Some(Resolved::InForce) };
                    self.finished(effect, begun, Value::Null, end)?;
                    return Ok(T::already());
                }
                Settled::Failed { cause, made, left } => {
                    // asked to stop, the run ends as stopped, not as failed; the doubt must not go under in that
                    let doubt = (left == Left::InDoubt && self.cancel.requested())
                        .then(|| format!("`{}` failed: {}; it may or may not be in force", effect.summary, cause.diagnostic));
                    let failed = self.failed(effect, begun, cause, made, left);
                    if let (Some(doubt), Ended::Failure(_)) = (doubt, &failed) {
                        self.unlatch();
                        self.stop(Stop::InDoubt(doubt));
                    }
                    return Err(failed);
                }
            },
        };
        // whatever the test says, and also if it is never answered
        if effect.class == Class::Changes {
            self.state().made = Some(change(effect, begun));
        }
        let verified = match &mut test {
            Some(test) => self.verify(effect, begun, test)?,
            None => false,
        };
        self.finished(effect, begun, outcome.record(), End { verified, ..End::default() })?;
        Ok(outcome)
    }

    /// Asks the test before the change. Unless it counts as made, the record then says that it is about to be sent.
    fn before(&self, effect: &Effect, begun: &Begun, test: &mut Test<'_>) -> Result<Before, Ended> {
        let (done, reads) = match self.ask_test(begun, test) {
            Err(Ended::Script(error)) => {
                let message = "its `done_when` failed before the change: nothing was sent";
                return Err(self.untested(effect, begun, error, message, None, Left::Known));
            }
            asked => asked?,
        };
        self.about_to_send(effect, begun, done)?;
        match done {
            false => Ok(Before::NotYet),
            true if self.too_early(effect, begun, test, &reads)? => Ok(Before::InForce),
            true => Ok(Before::Anyway),
        }
    }

    /// Records that a change with a test is about to be sent, or was in force.
    pub(super) fn about_to_send(&self, effect: &Effect, begun: &Begun, done: bool) -> Result<(), Ended> {
        match effect.class {
            Class::Changes => self.emit(&Event::EffectTested { effect: begun.id, done }),
            _ => Ok(()),
        }
    }

    /// Nobody else is at it: asked before each question and change of the script. What keeps only this one change from
    /// being made is returned.
    pub(super) fn hold(&self, effect: &Effect) -> Result<Option<Cause>, Ended> {
        if !matches!(effect.class, Class::Changes | Class::Asks) || !self.state().tests.is_empty() || self.stopped().is_some() {
            return Ok(None);
        }
        let held = self.runtime.block_on(self.guard.hold(effect.server.as_deref(), effect.class == Class::Changes));
        match held {
            Ok(()) => Ok(None),
            Err(Unheld::Unknown(text)) => {
                self.note(Level::Warn, &text)?;
                Ok(None)
            }
            Err(Unheld::Theirs(text)) => Err(self.ended(Stop::Held(text))),
            Err(Unheld::Lost(text)) => Err(self.ended(Stop::LockLost(text))),
            Err(Unheld::Failed(cause)) => Ok(Some(*cause)),
        }
    }

    fn work<T, F>(&self, effect: &Effect, begun: &Begun, work: impl FnOnce(Work) -> F) -> Result<Result<T, Cause>, Ended>
    where
        F: Future<Output = Result<T, Cause>>,
    {
        let last = Arc::new(Mutex::new(None));
        let (noted, told) = (last.clone(), self.reporter(begun.id));
        let report: Report = Arc::new(move |progress: Progress| {
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress.text.clone());
            told(progress);
        });
        let cut = CancellationToken::new();
        let done = self.runtime.block_on(async {
            let mut work = std::pin::pin!(work(Work { report, cancel: cut.clone() }));
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = self.cancel.until_forced() => {}
            }
            if !effect.cancellable {
                return None;
            }
            cut.cancel();
            // what ended well after all is done; how it was cut off says nothing that the record needs
            tokio::time::timeout(CUT_OFF, work).await.ok().filter(Result::is_ok)
        });
        match done {
            Some(done) => Ok(done),
            None if effect.class == Class::Changes => {
                let what = if effect.cancellable { "was cut off" } else { "was left to go on by itself" };
                let last = last.lock().unwrap_or_else(PoisonError::into_inner).take();
                let when = last.map(|text| format!(" ({text})")).unwrap_or_default();
                Err(self.ended(Stop::InDoubt(format!("`{}` {what}{when}; it may or may not be in force", effect.summary))))
            }
            None => Err(self.ended(Stop::Interrupted)),
        }
    }

    /// Tells how far an effect is.
    pub(super) fn reporter(&self, effect: u64) -> Report {
        let on_progress = self.on_progress.clone();
        Arc::new(move |progress| on_progress(Progress { effect, ..progress }))
    }

    /// Finds out what a failed change left behind: waits until the server is through with it, and asks its test once more,
    /// unless nothing was sent.
    fn settle(&self, effect: &Effect, begun: &Begun, test: Option<&mut Test<'_>>, mut cause: Cause) -> Settled {
        let known = |cause| Settled::Failed { cause, made: None, left: Left::Known };
        if effect.class != Class::Changes || begun.parent.is_some() {
            return known(cause);
        }
        let over = cause.in_doubt && !effect.looks && self.wait_out(effect, begun).is_some_and(|over| over.is_ok());
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
        let made = cause.story.partly.as_ref().map(|partly| format!("{}: {partly}", effect.summary));
        match asked {
            Some(true) if cause.in_doubt => Settled::InForce,
            Some(true) => {
                add(&mut cause.story.state, "its `done_when`, asked once more, is true: the change is in force all the same");
                cause.story.act = Some(
                    "find out why it complained; then resume the run: it sees that the change is in force and goes on after it".to_owned(),
                );
                let made = Some(format!("{} (failed, and yet it is in force)", effect.summary));
                Settled::Failed { cause, made, left: Left::Known }
            }
            Some(false) => {
                cause.in_doubt &= !over;
                let later = if cause.in_doubt { ", which may still change" } else { "" };
                add(&mut cause.story.state, &format!("its `done_when`, asked once more, is not true: the change is not in force{later}"));
                let left = if cause.in_doubt { Left::InDoubt } else { Left::Known };
                Settled::Failed { cause, made, left }
            }
            None if cause.in_doubt => Settled::Failed { cause, made, left: Left::InDoubt },
            None if cause.story.exact || cause.story.unsent => Settled::Failed { cause, made, left: Left::Known },
            None => Settled::Failed { cause, made, left: Left::Unknown },
        }
    }

    /// The test itself failed: the effect is at its end, and the test's own failure goes on.
    pub(super) fn untested(
        &self,
        effect: &Effect,
        begun: &Begun,
        mut error: Box<EvalAltResult>,
        message: &str,
        made: Option<String>,
        left: Left,
    ) -> Ended {
        if effect.class == Class::Changes {
            tell(&mut error, &format!("`{}`: {message}", effect.summary));
        }
        let cause = Cause::new(Untested(message.to_owned()));
        let event = self.failure_event(effect, begun, &cause, made, left, Some(raised(&error)));
        self.emit(&event).err().unwrap_or(Ended::Script(error))
    }

    /// Asks the test once; its reads are children of the effect.
    pub(super) fn ask_test(&self, begun: &Begun, test: &mut Test<'_>) -> Result<(bool, Vec<String>), Ended> {
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
        let made = || (effect.class == Class::Changes).then(|| effect.summary.clone());
        loop {
            let (done, reads) = match self.ask_test(begun, test) {
                Err(Ended::Script(error)) => {
                    return Err(self.untested(
                        effect,
                        begun,
                        error,
                        "it was made, but its `done_when` failed: not verified",
                        made(),
                        Left::Known,
                    ));
                }
                asked => asked?,
            };
            if done {
                return Ok(true);
            }
            if began.elapsed() >= test.within {
                let within = if test.within.is_zero() { String::new() } else { format!(" within {:?}", test.within) };
                let error = EffectError::NotVerified { summary: effect.summary.clone(), within };
                return Err(self.failed(effect, begun, Cause::new(error).standing(last_read(&reads)), made(), Left::Known));
            }
            self.pause(ASK_AGAIN)?;
        }
    }

    /// Polls a test until it is true, as an effect of its own.
    pub fn wait_until(&self, effect: &Effect, what: &str, limit: Duration, every: Duration, test: &mut Test<'_>) -> Result<(), Ended> {
        if let Turn::Replayed(recorded) = self.turn(effect)? {
            return self.replayed::<Value>(effect, &recorded).map(|_| ());
        }
        let begun = self.begin(effect, false, None)?;
        let began = Instant::now();
        let report = self.reporter(begun.id);
        loop {
            let (done, reads) = match self.ask_test(&begun, test) {
                Err(Ended::Script(error)) => return Err(self.untested(effect, &begun, error, "its condition failed", None, Left::Known)),
                asked => asked?,
            };
            if done {
                return self.finished(effect, &begun, Value::Bool(true), End::default());
            }
            let left = limit.saturating_sub(began.elapsed());
            if left.is_zero() {
                let error = EffectError::WaitedInVain { what: what.to_owned(), limit: format!("{limit:?}") };
                return Err(self.failed(effect, &begun, Cause::new(error).standing(last_read(&reads)), None, Left::Known));
            }
            let waited = 1.0 - left.as_secs_f64() / limit.as_secs_f64();
            report(Progress::new(format!("waiting for {what}, {} s left", left.as_secs()), Some(waited)));
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

/// How an effect that did not fail came to its end.
#[derive(Default)]
pub(super) struct End {
    pub already_done: bool,
    pub verified: bool,
    pub resolved: Option<Resolved>,
}

/// The failure of an effect whose test failed; the script sees the test's own failure.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{0}")]
struct Untested(String);

pub(super) fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn change(effect: &Effect, begun: &Begun) -> Change {
    Change { step: begun.step.clone(), server: effect.server.clone(), summary: effect.summary.clone() }
}
