//! What the record costs: an effect with it beside its work alone, a run of 10,000 reads through the host at 10,000 a second
//! or better, and going on with that run. `cargo bench --bench journal`. The work is one round trip over loopback, less than
//! any server takes; `JOURNAL_BENCH_DIR` names a folder on the disk to measure (default: the build folder's).
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cutover::effect::{Alone, Cancel, Cause, Class, Effect, Effects, Place, Setup};
use cutover::host::{self, Ended, evaluate};
use cutover::journal::{self, Event, Journal};
use cutover::operator::{Operator, Policy};
use cutover::primitives::{self, Call, Parameter, Primitive, Raised, Run, Type};
use cutover::script::{Options, Script, Source};
use rhai::Dynamic;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Mutex;

const READS: u64 = 10_000;
const READS_PER_SECOND: f64 = 10_000.0;
const RESUME: Duration = Duration::from_secs(1);
const ROUNDS: usize = 5;

/// Reads that were performed, not replayed.
static PERFORMED: AtomicU64 = AtomicU64::new(0);

static LOOK: Primitive = Primitive {
    name: "look",
    parameters: &[Parameter::required("n", Type::Integer, "what to look at")],
    options: &[],
    class: primitives::Class::Reads,
    returns: "what it was given",
    doc: "Reads something that costs nothing.",
    examples: &[],
    run: look,
};

static PRIMITIVES: &[&Primitive] = &[&LOOK];

fn look(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    let n = call.arguments.first().and_then(|n| n.as_int().ok()).unwrap_or_default();
    let effect = call.effect(&LOOK, Class::Reads, None, format!("look at {n}"));
    let seen = call.run.effects.perform(&effect, None, |_| async move {
        PERFORMED.fetch_add(1, Ordering::Relaxed);
        Ok(json!({ "columns": ["n"], "rows": [[n]] }))
    })?;
    Ok(seen["rows"][0][0].as_i64().unwrap_or_default().into())
}

fn main() -> ExitCode {
    let base = std::env::var_os("JOURNAL_BENCH_DIR").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    std::fs::create_dir_all(&base).expect("the folder to measure can be made");
    let dir = tempfile::tempdir_in(base).expect("a temporary folder");
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");

    one_effect(dir.path(), &runtime);
    let good = many_effects(dir.path(), runtime.handle());
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// An effect with and without its record.
fn one_effect(dir: &Path, runtime: &Runtime) {
    let server = Arc::new(Server::start(runtime));
    println!("one effect whose work is a round trip over loopback; median of {ROUNDS} rounds");
    let alone = median((0..ROUNDS).map(|_| {
        each(2_000, |_| {
            runtime.block_on(server.ask());
        })
    }));
    println!("  its work alone                       {:9.1} µs", micros(alone));
    for (class, flush, times) in [(Class::Reads, false, 2_000), (Class::Changes, false, 2_000), (Class::Changes, true, 200)] {
        let time = median((0..ROUNDS).map(|_| {
            let journal = create(dir);
            let run = run(if flush { journal } else { journal.without_flush() }, runtime.handle());
            each(times, |n| {
                let effect = effect(class, n);
                let server = server.clone();
                let done: Value =
                    run.effects.perform(&effect, None, |_| async move { Ok::<_, Cause>(server.ask().await) }).expect("the work is done");
                assert_eq!(done, 1);
            })
        }));
        let what = match (class, flush) {
            (Class::Changes, true) => "a change, flushed before and after",
            (Class::Changes, false) => "a change, without flush",
            _ => "a read, which is not flushed",
        };
        println!("  {what:<36} {:9.1} µs   {:.2} × its work alone", micros(time), time.as_secs_f64() / alone.as_secs_f64());
    }
}

/// A run of many reads through the host, and going on with it.
fn many_effects(dir: &Path, runtime: &Handle) -> bool {
    println!("\na run of {READS} reads through the host, nothing flushed; median of {ROUNDS} rounds");
    let (few, all) = (script(dir, READS / 10), script(dir, READS));
    let mut times = Vec::new();
    let mut folder = PathBuf::new();
    for _ in 0..ROUNDS {
        let journal = create(dir).without_flush();
        folder = journal.folder().to_owned();
        times.push(evaluated(&all, journal, runtime));
    }
    let time = median(times.into_iter());
    let tenth = median((0..ROUNDS).map(|_| evaluated(&few, create(dir).without_flush(), runtime)));
    let rate = READS as f64 / time.as_secs_f64();
    let fast = rate >= READS_PER_SECOND;
    println!("  run     {:8.3} s, {rate:.0} a second   target {READS_PER_SECOND:.0} a second   {}", time.as_secs_f64(), verdict(fast));
    println!("  ratio to a tenth of the reads: {:.1} (linear: 10)", time.as_secs_f64() / tenth.as_secs_f64());

    let performed = PERFORMED.load(Ordering::Relaxed);
    let (mut reads, mut replays) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let read = journal::read(&folder).expect("the record is read");
        assert!(journal::problems(&folder, &read).is_empty(), "the record is as it was written");
        let journal = Journal::open(&folder, read).expect("the record is opened").without_flush();
        reads.push(began.elapsed());
        replays.push(evaluated(&all, journal, runtime));
    }
    assert_eq!(PERFORMED.load(Ordering::Relaxed), performed, "what the record has is not performed");
    let (read, replay) = (median(reads.into_iter()), median(replays.into_iter()));
    let whole = read + replay;
    let soon = whole < RESUME;
    println!(
        "  resume  {:8.3} s, of which reading the record {:.3} s and replaying it {:.3} s   target < {} s   {}",
        whole.as_secs_f64(),
        read.as_secs_f64(),
        replay.as_secs_f64(),
        RESUME.as_secs(),
        verdict(soon)
    );
    fast && soon
}

/// How long an evaluation takes, with what a record has replayed first.
fn evaluated(script: &Arc<Script>, journal: Journal, runtime: &Handle) -> Duration {
    let began = Instant::now();
    let attempt = journal.history().resume(jiff::Timestamp::now());
    let run = run(journal, runtime);
    run.effects.begin_attempt(attempt);
    let ended = evaluate(script, run.clone(), Value::Null, PRIMITIVES);
    assert!(matches!(ended, Ended::Finished), "{ended:?}");
    run.effects.end_attempt().expect("the script does all of what the record has");
    began.elapsed()
}

fn create(dir: &Path) -> Journal {
    let mut journal = Journal::create(dir, "bench", jiff::Timestamp::now()).expect("a run folder");
    journal.append(&started(), jiff::Timestamp::now()).expect("the first line");
    journal
}

fn started() -> Event {
    let event = json!({
        "event": "run_started", "run": "bench", "folder": "", "runbook": "bench.rhai", "site": "bench", "program": "", "operator": "",
        "host": "", "lab": false, "unattended": true, "weak": [],
    });
    serde_json::from_value(event).expect("the first event")
}

fn run(journal: Journal, runtime: &Handle) -> Arc<Run> {
    Arc::new(Run {
        effects: Effects::new(Setup {
            journal,
            operator: Operator::unattended(Policy::default()),
            runtime: runtime.clone(),
            cancel: Cancel::default(),
            steps: Vec::new(),
            on_event: Box::new(|_, _| {}),
            on_replay: Box::new(|_| {}),
            on_progress: Arc::new(|_| {}),
            guard: Arc::new(Alone),
        }),
        servers: cutover::sqlserver::Servers::new([]),
        shell: None,
        headers: Arc::default(),
    })
}

fn script(dir: &Path, reads: u64) -> Arc<Script> {
    let path = dir.join(format!("bench-{reads}.rhai"));
    let text =
        format!("let sum = 0;\nfor n in 0..{reads} {{\n    sum += look(n);\n}}\nif sum != {} {{ throw sum; }}\n", reads * (reads - 1) / 2);
    std::fs::write(&path, text).expect("the runbook is written");
    let options = Options { site_stdlib: None, names: host::names(PRIMITIVES) };
    Arc::new(Script::load(Source::Path(&path), &options).expect("the runbook is loaded"))
}

fn effect(class: Class, n: u64) -> Effect {
    Effect {
        primitive: "sql",
        class,
        server: Some("backup".to_owned()),
        summary: format!("UPDATE dbo.Pools SET ActiveServer = 'sql2.contoso.com' WHERE PoolId = {n}"),
        arguments: json!({ "server": "backup", "text": "UPDATE dbo.Pools SET ActiveServer = @to WHERE PoolId = @id", "params": { "id": n } }),
        place: Place::default(),
        cancellable: true,
        looks: false,
    }
}

/// A connection to a peer that answers each byte with the next one.
struct Server {
    connection: Mutex<TcpStream>,
}

impl Server {
    fn start(runtime: &Runtime) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("the port has an address");
        std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().expect("a connection");
            let mut byte = [0];
            while peer.read_exact(&mut byte).is_ok() && peer.write_all(&[byte[0] + 1]).is_ok() {}
        });
        let connection = runtime.block_on(TcpStream::connect(address)).expect("the peer is there");
        connection.set_nodelay(true).expect("a socket option");
        Self { connection: Mutex::new(connection) }
    }

    async fn ask(&self) -> Value {
        let mut connection = self.connection.lock().await;
        connection.write_all(&[0]).await.expect("the peer listens");
        let mut byte = [0];
        connection.read_exact(&mut byte).await.expect("the peer answers");
        byte[0].into()
    }
}

/// The mean time of a call over many.
fn each(times: u32, mut call: impl FnMut(u64)) -> Duration {
    let began = Instant::now();
    for n in 0..times {
        call(n.into());
    }
    began.elapsed() / times
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "NOT MET" }
}
