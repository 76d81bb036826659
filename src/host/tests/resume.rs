//! Random small runbooks, killed at random points and resumed: the world afterwards is the one that the run would have left
//! had nobody killed it, and every change was made exactly once.
//!
//! A process that dies leaves a beginning of what it would have done: of the record's bytes, and of what it did to the world
//! between them. So an evaluation goes to its end here, the world is noted at each step of it, and the kill is chosen
//! afterwards: record and world are set back to it. If the power fails, the record also loses what was not flushed.

mod book;
mod world;

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{TestError, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use self::book::book;
use self::world::{Dialog, Facts, PRIMITIVES, World};
use crate::effect::{Cancel, Effects, Ending, Setup};
use crate::host::{Ended, evaluate, names};
use crate::journal::{self, Attempt, Event, FILE, How, Item, Journal, Level, Phase, Read, Replayed, RunOutcome};
use crate::operator::{Operator, Policy};
use crate::primitives::Run;
use crate::script::{Names, Options, Script, Source, limits};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());

static NAMES: LazyLock<Arc<Names>> = LazyLock::new(|| names(&PRIMITIVES));

/// Where and how one evaluation is killed, and when it is resumed.
#[derive(Clone, Debug)]
struct Kill {
    place: Spot,
    /// how much of the line that comes next is there
    torn: Torn,
    /// the machine died, not only the process: of the lines that were not flushed, this much is there
    power: Option<Index>,
    /// a file that was kept is there, the line that says so is not
    late: bool,
    /// somebody resumes it after so long that the evidence is old
    stale: bool,
}

/// After which of the things that an evaluation did it is killed.
#[derive(Clone, Debug)]
enum Spot {
    Any(Index),
    /// soon after it began, so that a second kill meets what the first one left
    Soon(usize),
    /// between a change and its record
    Made(Index),
}

#[derive(Clone, Debug)]
enum Torn {
    Nothing,
    Part(Index),
    /// all but the line's end
    Line,
}

fn kill() -> impl Strategy<Value = Kill> {
    let torn = prop_oneof![3 => Just(Torn::Nothing), 2 => any::<Index>().prop_map(Torn::Part), 1 => Just(Torn::Line)];
    let power = prop_oneof![2 => Just(None), 1 => any::<Index>().prop_map(Some)];
    let place = prop_oneof![
        3 => any::<Index>().prop_map(Spot::Any),
        2 => (0..8usize).prop_map(Spot::Soon),
        2 => any::<Index>().prop_map(Spot::Made),
    ];
    (place, torn, power, any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(place, torn, power, late, stale)| Kill {
        place,
        torn,
        power,
        late,
        stale,
    })
}

/// What a finished run tells, if it was never killed or if it was.
#[derive(Debug, PartialEq)]
struct Told {
    facts: Facts,
    /// what the script did, in its order
    did: Vec<String>,
    /// steps that came to their end
    steps: Vec<String>,
}

/// One run of one script, in a folder of its own.
struct Scene {
    script: Arc<Script>,
    world: Arc<World>,
}

impl Scene {
    fn new(text: &str) -> Result<(Self, Journal), String> {
        let options = Options { site_stdlib: None, names: NAMES.clone() };
        let script = Script::load(Source::Text { name: "book.rhai", text }, &options).map_err(|errors| super::render(&errors))?;
        let journal = Journal::create(world::runs(), "book", jiff::Timestamp::now()).unwrap().without_flush();
        let world = World::of(journal.folder());
        Ok((Self { script: Arc::new(script), world }, journal))
    }

    fn folder(&self) -> &Path {
        &self.world.folder
    }

    /// One evaluation to its end.
    fn evaluate(&self, journal: Journal, attempt: Attempt, first: &Event, happened: Option<bool>) -> Result<(), String> {
        let dialog = Dialog::new(happened);
        let (heard, replayed) = (self.world.clone(), self.world.clone());
        let performed = self.world.performed();
        let effects = Effects::new(Setup {
            journal,
            operator: Operator::scripted(Policy::default(), dialog.clone(), dialog.clone(), 200),
            runtime: RUNTIME.handle().clone(),
            cancel: Cancel::default(),
            steps: Vec::new(),
            on_event: Box::new(move |event, _| heard.event(event)),
            on_replay: Box::new(move |what| replayed.replayed(matches!(what, Replayed::Effect(_)), performed)),
            on_progress: Arc::new(|_| {}),
            guard: self.world.clone(),
        });
        let run = Arc::new(Run { effects, servers: crate::sqlserver::Servers::new([]), shell: None, headers: Arc::default() });
        let replays = attempt.replayed.iter().filter(|item| matches!(item, Item::Effect(_))).count();
        self.world.begin();
        run.effects.begin_attempt(attempt);
        run.effects.run_started(first).map_err(|ended| format!("{ended:?}"))?;
        match evaluate(&self.script, run.clone(), Value::Null, &PRIMITIVES) {
            Ended::Finished => {}
            Ended::Failed(error) => {
                let by = error.failure.as_ref().map(|failure| failure.effect);
                run.effects.run_finished(Ending { ended_by: by, ..Ending::new(RunOutcome::Failed, 1) }, |kept| kept);
                return Err(super::render(&*error));
            }
            Ended::Stopped(stop, place) => return Err(format!("stopped: {stop:?} at {place:?}")),
        }
        run.effects.end_attempt().map_err(|stop| format!("stopped: {stop:?}"))?;
        run.effects.run_finished(Ending::new(RunOutcome::Done, 0), |kept| kept);
        if let Some(question) = dialog.wrong() {
            return Err(format!("asked without need: {question}"));
        }
        match self.world.wrong_replays(replays) {
            Some(why) => Err(why),
            None => Ok(()),
        }
    }

    /// Sets record and world back to where the kill met the evaluation.
    fn strike(&self, kill: &Kill) {
        let points = self.world.points();
        // the last one is the end of the run, and the end is too late
        let last = points.len() - 2;
        let made: Vec<usize> = (1..=last).filter(|at| points[*at].length == points[at - 1].length).collect();
        let at = match &kill.place {
            Spot::Made(which) if !made.is_empty() => made[which.index(made.len())],
            Spot::Any(which) | Spot::Made(which) => which.index(last + 1),
            Spot::Soon(at) => *at.min(&last),
        };
        let (point, next) = (&points[at], &points[at + 1]);
        let line = next.length - point.length;
        let length = match (&kill.power, &kill.torn) {
            (Some(lost), _) => point.flushed + lost.index((point.length - point.flushed) as usize + 1) as u64,
            (None, Torn::Part(part)) if line > 0 => point.length + part.index(line as usize) as u64,
            (None, Torn::Line) if line > 0 => point.length + line - 1,
            _ => point.length,
        };
        OpenOptions::new().write(true).open(self.folder().join(FILE)).unwrap().set_len(length).unwrap();
        let files = if kill.late { &next.files } else { &point.files };
        self.world.set_back(&point.facts, files);
    }

    /// Resumes what is left; false if it was done all the same.
    fn resume(&self, stale: bool) -> Result<bool, String> {
        let read = self.read()?;
        if read.state.phase == Phase::Ended(RunOutcome::Done) {
            return Ok(false);
        }
        let cut = read.torn;
        let journal = Journal::open(self.folder(), read).unwrap().without_flush();
        let problems = journal::problems(self.folder(), &self.read()?);
        if !problems.is_empty() {
            return Err(format!("the record has problems after a resume: {problems:?}"));
        }
        self.world.opened();
        let later = if stale { 2 * journal::STALE } else { Duration::ZERO };
        let attempt = journal.history().resume(jiff::Timestamp::now() + later);
        let taken_up = attempt.taken_up.as_ref();
        // a test can tell, and so can what looks at the real state; the operator is asked in no other case
        let happened = taken_up.filter(|(recorded, how)| match how {
            How::InDoubt => recorded.class == "changes" && !recorded.test && recorded.primitive != "fill",
            How::InDoubtUntested => true,
            How::Again | How::Made(_) | How::Answered => false,
        });
        let happened = happened.map(|(recorded, _)| self.world.changed_since(recorded.effect));
        let first = resumed(attempt.replayed.len(), taken_up.map(|(recorded, _)| recorded.effect), cut);
        self.evaluate(journal, attempt, &first, happened)?;
        Ok(true)
    }

    fn read(&self) -> Result<Read, String> {
        let read = journal::read(self.folder()).unwrap();
        match &read.bad {
            Some(bad) => Err(format!("the record is refused: {bad:?}")),
            None => Ok(read),
        }
    }

    /// The record in short.
    fn record(&self) -> String {
        let Ok(read) = self.read() else { return String::new() };
        let line = |line: &journal::Line| match &line.event {
            Event::EffectStarted { effect, summary, again, parent, .. } => {
                format!("{effect} {summary}, again {again:?}, part of {parent:?}\n")
            }
            Event::EffectTested { effect, done } => format!("{effect} tested {done}\n"),
            Event::EffectFinished { effect, resolved, already_done, .. } => format!("{effect} finished {already_done} {resolved:?}\n"),
            Event::EffectFailed { effect, message, left, made, .. } => format!("{effect} failed: {message} ({left:?}, {made:?})\n"),
            Event::Resumed { replays, taken_up, .. } => format!("resumed, replays {replays}, takes up {taken_up:?}\n"),
            Event::Question { effect, kind, .. } => format!("{effect} asks {kind:?}\n"),
            Event::Answer { effect, answer, .. } => format!("{effect} answered {answer}\n"),
            Event::Note { text, .. } => format!("note {text}\n"),
            Event::StepStarted { step } => format!("step {step}\n"),
            Event::StepFinished { step, ok, .. } => format!("end of step {step} {ok}\n"),
            other => format!("{other:?}\n"),
        };
        read.lines.iter().map(line).collect()
    }

    fn told(&self) -> Result<(Told, Vec<String>), String> {
        let read = self.read()?;
        let did = read.history.items().iter().filter_map(|item| match item {
            Item::Effect(effect) => Some(format!("{:?} {} {}", effect.step, effect.primitive, effect.arguments)),
            Item::Note { level: Level::Note, text } => Some(text.clone()),
            // said of what happened to the run, not by the script
            Item::Note { .. } => None,
        });
        let mut steps: Vec<String> = read
            .lines
            .iter()
            .filter_map(|line| match &line.event {
                Event::StepFinished { step, ok: true, .. } => Some(step.clone()),
                _ => None,
            })
            .collect();
        steps.sort_unstable();
        steps.dedup();
        let notes = read.lines.iter().filter_map(|line| match &line.event {
            Event::Note { level: Level::Note, text, .. } => Some(text.clone()),
            _ => None,
        });
        Ok((Told { facts: self.world.settled(), did: did.collect(), steps }, notes.collect()))
    }
}

fn started() -> Event {
    let event = json!({
        "event": "run_started", "run": "r", "folder": "", "runbook": "book.rhai", "site": "s", "program": "", "operator": "anna",
        "host": "h", "lab": false, "unattended": false, "weak": [],
    });
    serde_json::from_value(event).unwrap()
}

fn resumed(replays: usize, taken_up: Option<u64>, cut: u64) -> Event {
    Event::Resumed {
        program: String::new(),
        operator: "ben".to_owned(),
        host: "h".to_owned(),
        folder: String::new(),
        unattended: false,
        replays,
        taken_up,
        differs: Vec::new(),
        cut,
        arguments: Vec::new(),
        steps: Vec::new(),
    }
}

/// Runs a text to its end, and again with these kills; the error says what differs.
fn survives(text: &str, kills: &[Kill]) -> Result<(), String> {
    let (scene, journal) = Scene::new(text)?;
    scene.evaluate(journal, Attempt::default(), &started(), None)?;
    let (wanted, said) = scene.told()?;
    let mut killed = 0;
    for kill in kills {
        scene.strike(kill);
        killed += 1;
        let went_on = scene.resume(kill.stale).map_err(|why| format!("{why}\n━━ the record\n{}", scene.record()))?;
        if !went_on {
            break;
        }
    }
    let (told, notes) = scene.told()?;
    if told != wanted {
        return Err(format!("it ends otherwise.\n━━ uninterrupted: {wanted:#?}\n━━ killed: {told:#?}\n━━ the record\n{}", scene.record()));
    }
    let times = |notes: &[String], text: &String| notes.iter().filter(|note| *note == text).count();
    for text in &notes {
        let (before, after) = (times(&said, text), times(&notes, text));
        if after < before || after > before * (1 + killed) {
            return Err(format!("the note `{text}` was said {before} times, and {after} times with {killed} kills"));
        }
    }
    Ok(())
}

/// A failure, for whoever looks into it.
fn shown(text: &str, kills: &[Kill], why: &str) -> String {
    let kills: Vec<String> = kills.iter().map(|kill| format!("{kill:?}\n")).collect();
    format!("{why}\n━━ the runbook\n{text}━━ killed\n{}", kills.concat())
}

#[test]
fn a_run_that_is_killed_and_resumed_ends_as_if_nobody_had_killed_it() {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(4);
    let cases = crate::cases::cases(10_000).div_ceil(threads) as u32;
    let config = || ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 3_000, ..ProptestConfig::default() };
    let tried = || {
        let kills = prop::collection::vec(kill(), 1..=3);
        TestRunner::new(config()).run(&(book(), kills), |(book, kills)| {
            let text = book.text();
            survives(&text, &kills).map_err(|why| TestCaseError::fail(shown(&text, &kills, &why)))
        })
    };
    let failure = std::thread::scope(|scope| {
        // a strategy that nests, and a script that is compiled, need more of a stack than a test has
        let start = |_| std::thread::Builder::new().stack_size(limits::STACK).spawn_scoped(scope, tried).unwrap();
        let threads: Vec<_> = (0..threads).map(start).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap().err()).next()
    });
    if let Some(TestError::Fail(why, _)) = &failure {
        panic!("{why}");
    }
    assert!(failure.is_none(), "{failure:?}");
}

#[test]
fn a_change_in_doubt_whose_test_fails_stays_in_doubt() {
    let (scene, journal) = Scene::new("change(\"a\", 1, #{ done_when: || read(\"a\") == 1 });").unwrap();
    scene.evaluate(journal, Attempt::default(), &started(), None).unwrap();
    let (wanted, _) = scene.told().unwrap();
    // after the start of the run and of the change, its test's read and that it is about to be sent: made, and not recorded
    scene.strike(&Kill { place: Spot::Soon(5), torn: Torn::Nothing, power: None, late: false, stale: false });
    scene.world.darken(true);
    assert!(scene.resume(false).is_err());
    assert_eq!(scene.read().unwrap().history.in_doubt().len(), 1, "nobody knows whether it was made");
    scene.world.darken(false);
    assert_eq!(scene.resume(false), Ok(true));
    assert_eq!(scene.told().unwrap().0, wanted);
    let asked = |event: &Event| matches!(event, Event::Question { .. });
    assert!(!scene.read().unwrap().lines.iter().any(|line| asked(&line.event)), "it is this run's own, not made too early");
}

#[test]
fn a_test_that_was_true_before_the_change_does_not_settle_what_became_of_it() {
    let change = "change(\"a\", 1, #{ done_when: || read(\"a\") == 1, anyway: true, fails: \"doubt\" });";
    let text = format!("change(\"a\", 1);\ntry {{\n    {change}\n    note(\"made\");\n}} catch {{\n    note(\"nobody knows\");\n}}");
    let (scene, journal) = Scene::new(&text).unwrap();
    scene.evaluate(journal, Attempt::default(), &started(), None).unwrap();
    assert_eq!(scene.told().unwrap().1, ["nobody knows"]);
    assert_eq!(scene.read().unwrap().history.in_doubt().len(), 1);
}

#[test]
fn a_change_in_doubt_that_may_not_be_made_now_stays_in_doubt() {
    let (scene, journal) = Scene::new("change(\"a\", 1);").unwrap();
    scene.evaluate(journal, Attempt::default(), &started(), None).unwrap();
    let (wanted, _) = scene.told().unwrap();
    // after the start of the run and of the change: made, and not recorded
    scene.strike(&Kill { place: Spot::Soon(2), torn: Torn::Nothing, power: None, late: false, stale: false });
    scene.world.bar(true);
    assert!(scene.resume(false).is_err());
    assert_eq!(scene.read().unwrap().history.in_doubt().len(), 1);
    scene.world.bar(false);
    assert_eq!(scene.resume(false), Ok(true), "the operator says that it happened");
    assert_eq!(scene.told().unwrap().0, wanted);
}
