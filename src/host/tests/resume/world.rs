//! The world that the runbooks of these tests act on, noted at each step, and the primitives that reach it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Weak};
use std::time::Duration;

use miette::Diagnostic;
use rhai::Dynamic;
use serde_json::Value;

use crate::effect::{Cause, Class, Effect, Guard, Later, Report, Test, Unheld};
use crate::journal::{Event, FILE};
use crate::primitives::{self, Call, Parameter, Primitive, Raised, Type, find};

/// What can be known of the world.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    pub values: BTreeMap<String, i64>,
    /// every change, in order
    pub changes: Vec<String>,
    /// changes that do not show yet: the value, and how often it has to be read until it does
    pending: BTreeMap<String, (i64, u32)>,
    /// how often something was asked; no two runs agree on it
    ticks: BTreeMap<String, i64>,
}

impl Facts {
    /// A while later.
    fn settled(mut self) -> Self {
        for (key, (value, _)) in std::mem::take(&mut self.pending) {
            self.values.insert(key, value);
        }
        self.ticks.clear();
        self
    }

    fn value(&self, key: &str) -> i64 {
        self.values.get(key).copied().unwrap_or_default()
    }
}

/// How things stand after one thing that a run did.
#[derive(Clone, Debug)]
pub struct Point {
    /// bytes of the record
    pub length: u64,
    /// of those, what is on disk whatever happens
    pub flushed: u64,
    /// what lies in the run folder
    pub files: Vec<String>,
    pub facts: Facts,
}

#[derive(Default)]
struct Inner {
    facts: Facts,
    points: Vec<Point>,
    flushed: u64,
    /// work that was carried out
    performed: usize,
    replayed: usize,
    late_replay: bool,
    /// nothing can be read
    dark: bool,
    /// nothing may be changed
    barred: bool,
    /// by change: how many changes the world knew when it was begun
    before: BTreeMap<u64, usize>,
}

/// The world of one run.
pub struct World {
    pub folder: PathBuf,
    inner: Mutex<Inner>,
}

/// By run folder, as primitives know no more of a run.
static WORLDS: Mutex<BTreeMap<PathBuf, Weak<World>>> = Mutex::new(BTreeMap::new());

/// Where the runs are: in memory if there is such a place, as a record is opened with a flush.
pub fn runs() -> &'static Path {
    static RUNS: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        made.unwrap()
    });
    RUNS.path()
}

impl World {
    pub fn of(folder: &Path) -> Arc<Self> {
        let world = Arc::new(Self { folder: folder.to_owned(), inner: Mutex::default() });
        WORLDS.lock().unwrap().insert(folder.to_owned(), Arc::downgrade(&world));
        world
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn length(&self) -> u64 {
        std::fs::metadata(self.folder.join(FILE)).unwrap().len()
    }

    fn note(&self, inner: &mut Inner, flushed: bool) {
        let length = self.length();
        if flushed {
            inner.flushed = length;
        }
        let files = std::fs::read_dir(&self.folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        inner.points.push(Point { length, flushed: inner.flushed, files: files.collect(), facts: inner.facts.clone() });
    }

    /// An evaluation begins.
    pub fn begin(&self) {
        let mut inner = self.inner();
        (inner.replayed, inner.late_replay) = (0, false);
    }

    /// The record was opened, which flushes it.
    pub fn opened(&self) {
        let mut inner = self.inner();
        inner.points.clear();
        self.note(&mut inner, true);
    }

    /// A line was written.
    pub fn event(&self, event: &Event) {
        let mut inner = self.inner();
        if let Event::EffectStarted { effect, again, class, .. } = event
            && class == "changes"
        {
            let known = again.and_then(|again| inner.before.get(&again).copied());
            let before = known.unwrap_or(inner.facts.changes.len());
            inner.before.insert(*effect, before);
        }
        self.note(&mut inner, event.must_reach_disk());
    }

    /// Something was replayed, in an evaluation before which so much had been performed.
    pub fn replayed(&self, effect: bool, performed: usize) {
        let mut inner = self.inner();
        inner.replayed += usize::from(effect);
        inner.late_replay |= inner.performed != performed;
    }

    pub fn wrong_replays(&self, wanted: usize) -> Option<String> {
        let inner = self.inner();
        match (inner.replayed, inner.late_replay) {
            (_, true) => Some("something was performed before all was replayed".to_owned()),
            (replayed, _) if replayed != wanted => Some(format!("{replayed} effects were replayed of {wanted}")),
            _ => None,
        }
    }

    pub fn performed(&self) -> usize {
        self.inner().performed
    }

    pub fn points(&self) -> Vec<Point> {
        self.inner().points.clone()
    }

    /// True if the change was made that was begun under this number.
    pub fn changed_since(&self, effect: u64) -> bool {
        let inner = self.inner();
        inner.facts.changes.len() > inner.before[&effect]
    }

    /// As it was; what took a moment to show has shown by the time somebody resumes the run.
    pub fn set_back(&self, facts: &Facts, files: &[String]) {
        let ticks = facts.ticks.clone();
        self.inner().facts = Facts { ticks, ..facts.clone().settled() };
        for file in std::fs::read_dir(&self.folder).unwrap() {
            let file = file.unwrap();
            if !files.contains(&file.file_name().into_string().unwrap()) {
                std::fs::remove_file(file.path()).unwrap();
            }
        }
    }

    pub fn settled(&self) -> Facts {
        self.inner().facts.clone().settled()
    }

    /// From now on nothing can be read, or all can again.
    pub fn darken(&self, dark: bool) {
        self.inner().dark = dark;
    }

    /// From now on nothing may be changed, or all may again.
    pub fn bar(&self, barred: bool) {
        self.inner().barred = barred;
    }

    fn read(&self, key: &str) -> Result<i64, Cause> {
        let mut inner = self.inner();
        inner.performed += 1;
        if inner.dark {
            return Err(Cause::new(Broken { what: key.to_owned() }));
        }
        if let Some((value, left)) = inner.facts.pending.get(key).copied() {
            if left == 0 {
                inner.facts.pending.remove(key);
                inner.facts.values.insert(key.to_owned(), value);
            } else {
                inner.facts.pending.insert(key.to_owned(), (value, left - 1));
            }
        }
        Ok(inner.facts.value(key))
    }

    fn tick(&self, key: &str) -> i64 {
        let mut inner = self.inner();
        inner.performed += 1;
        let ticks = inner.facts.ticks.entry(key.to_owned()).or_default();
        *ticks += 1;
        *ticks
    }

    fn change(&self, key: &str, value: i64, lags: bool, fails: Option<&str>) -> Result<(), Cause> {
        let mut inner = self.inner();
        inner.performed += 1;
        if matches!(fails, None | Some("lost")) {
            inner.facts.pending.remove(key);
            match lags {
                true => inner.facts.pending.insert(key.to_owned(), (value, 1)).is_none(),
                false => inner.facts.values.insert(key.to_owned(), value).is_none(),
            };
            inner.facts.changes.push(format!("{key} = {value}"));
            self.note(&mut inner, false);
        }
        let Some(how) = fails else { return Ok(()) };
        let mut cause = Cause::new(Broken { what: format!("{key} = {value}") });
        cause.number = Some(4305);
        cause.in_doubt = matches!(how, "lost" | "doubt");
        cause.story.exact = how == "refused";
        Err(cause)
    }

    /// One at a time until there are so many.
    fn fill(&self, key: &str, to: i64) {
        let mut inner = self.inner();
        inner.performed += 1;
        inner.facts.pending.remove(key);
        while inner.facts.value(key) < to {
            *inner.facts.values.entry(key.to_owned()).or_default() += 1;
            inner.facts.changes.push(format!("{key} + 1"));
            self.note(&mut inner, false);
        }
    }
}

impl Guard for World {
    fn hold<'a>(&'a self, _: Option<&'a str>, changes: bool) -> Later<'a, Result<(), Unheld>> {
        let barred = changes && self.inner().barred;
        let held = if barred { Err(Unheld::Failed(Box::new(Cause::new(Broken { what: "a change".to_owned() })))) } else { Ok(()) };
        Box::pin(std::future::ready(held))
    }

    fn wait_out<'a>(&'a self, _: &'a str, _: Report, _: &'a (dyn Fn() -> bool + Send + Sync)) -> Later<'a, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        WORLDS.lock().unwrap().remove(&self.folder);
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{what} is refused")]
#[diagnostic(code(cutover::test::broken), help("look at it"))]
struct Broken {
    what: String,
}

const KEY: Parameter = Parameter::required("key", Type::Text, "of what");
const VALUE: Parameter = Parameter::required("value", Type::Integer, "which");
const DONE_WHEN: Parameter = Parameter::optional("done_when", Type::Closure(0), "says that it is in force");
const OPTIONS: Parameter = Parameter::optional("options", Type::Options, "how");

const fn primitive(
    name: &'static str,
    parameters: &'static [Parameter],
    options: &'static [Parameter],
    class: primitives::Class,
    run: fn(&mut Call<'_, '_>) -> Result<Dynamic, Raised>,
) -> Primitive {
    Primitive { name, parameters, options, class, returns: "", doc: "", examples: &[], run }
}

fn world(call: &Call<'_, '_>) -> Arc<World> {
    WORLDS.lock().unwrap()[&call.run.effects.folder()].upgrade().unwrap()
}

/// A read of one number.
fn reads(call: &mut Call<'_, '_>, primitive: &'static Primitive, read: fn(&World, &str) -> Result<i64, Cause>) -> Result<Dynamic, Raised> {
    let (world, key) = (world(call), call.text(0));
    let effect = call.effect(primitive, Class::Reads, None, format!("{} {key}", primitive.name));
    let value: Value = call.run.effects.perform(&effect, None, |_| async move { read(&world, &key).map(Value::from) })?;
    Ok(value.as_i64().unwrap().into())
}

/// The number of a key.
static READ: Primitive = primitive("read", &[KEY], &[], primitives::Class::Reads, |call| reads(call, &READ, World::read));

/// How often it was asked.
static TICK: Primitive =
    primitive("tick", &[KEY], &[], primitives::Class::Reads, |call| reads(call, &TICK, |world, key| Ok(world.tick(key))));

/// A read that fails.
static FAILS: Primitive = primitive("fails", &[KEY], &[], primitives::Class::Reads, |call| {
    reads(call, &FAILS, |world, key| Err(Cause::new(Broken { what: format!("{key}, which is {},", world.read(key)?) })))
});

/// Sets the number of a key.
static CHANGE: Primitive = primitive(
    "change",
    &[KEY, VALUE, OPTIONS],
    &[
        DONE_WHEN,
        Parameter::optional("within", Type::Duration, "how long"),
        Parameter::optional("already", Type::Word(&["accept", "ask"]), "what to do when it is in force already"),
        Parameter::optional("anyway", Type::Boolean, "the operator makes it also when it is in force already"),
        Parameter::optional("lags", Type::Boolean, "it does not show at once"),
        Parameter::optional("fails", Type::Word(&["refused", "unknown", "doubt", "lost"]), "how"),
    ],
    primitives::Class::Changes,
    |call| {
        let value = call.arguments[1].as_int().unwrap();
        let (lags, fails) = (call.flag("lags"), call.text_option("fails"));
        changes(call, &CHANGE, false, value, move |world, key, value| world.change(key, value, lags, fails.as_deref()))
    },
);

/// Adds to the number of a key until it is so large; finds out itself what is left to add.
static FILL: Primitive = primitive("fill", &[KEY, VALUE, OPTIONS], &[DONE_WHEN], primitives::Class::Changes, |call| {
    let value = call.arguments[1].as_int().unwrap();
    changes(call, &FILL, true, value, |world, key, value| {
        world.fill(key, value);
        Ok(())
    })
});

fn changes(
    call: &mut Call<'_, '_>,
    primitive: &'static Primitive,
    looks: bool,
    value: i64,
    change: impl FnOnce(&World, &str, i64) -> Result<(), Cause>,
) -> Result<Dynamic, Raised> {
    let (world, key) = (world(call), call.text(0));
    let anyway = if call.flag("anyway") { " (anyway)" } else { "" };
    let effect = call.effect(primitive, Class::Changes, None, format!("{} {key} to {value}{anyway}", primitive.name));
    let effect = Effect { looks, ..effect };
    let work = |test: Option<Test<'_>>| {
        let test = test.map(|test| Test { within: test.within.min(Duration::from_secs(5)), ..test });
        call.run.effects.perform(&effect, test, |_| async move { change(&world, &key, value).map(|()| Value::Null) })
    };
    call.with_test(work)?;
    // what was in force already returns nothing, so nothing else may return more
    Ok(Dynamic::UNIT)
}

/// These, and those of the program that reach no server.
pub static PRIMITIVES: LazyLock<Vec<&'static Primitive>> = LazyLock::new(|| {
    let own: [&'static Primitive; 5] = [&READ, &TICK, &FAILS, &CHANGE, &FILL];
    own.into_iter().chain(["step", "note", "wait_until", "keep", "confirm"].map(|name| find(name).unwrap())).collect()
});

/// The operator: knows of the change in doubt whether it was made, and says yes to everything else.
#[derive(Clone)]
pub struct Dialog(Arc<Mutex<Talk>>);

struct Talk {
    said: String,
    /// none: nothing is in doubt
    happened: Option<bool>,
    wrong: Option<String>,
}

impl Dialog {
    pub fn new(happened: Option<bool>) -> Self {
        Self(Arc::new(Mutex::new(Talk { said: String::new(), happened, wrong: None })))
    }

    /// A question that should not have come.
    pub fn wrong(&self) -> Option<String> {
        self.0.lock().unwrap().wrong.take()
    }
}

impl Write for Dialog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().said.push_str(std::str::from_utf8(bytes).unwrap());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Dialog {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        unreachable!("it is read by lines")
    }
}

impl BufRead for Dialog {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        // one line is one answer, so it is never read in parts
        let talk = &mut *self.0.lock().unwrap();
        let said = std::mem::take(&mut talk.said);
        let answer: &'static str = if said.contains("It happened, do it again, or stop?") {
            match talk.happened.take() {
                Some(true) => "h\n",
                Some(false) => "d\n",
                None => {
                    talk.wrong = Some(said);
                    "stop\n"
                }
            }
        } else if said.contains("Accept it, do it anyway, or stop?") {
            if said.contains("(anyway)") { "d\n" } else { "a\n" }
        } else {
            "y\n"
        };
        Ok(answer.as_bytes())
    }
    fn consume(&mut self, _: usize) {}
}
