//! The program as whole processes, from start to exit, beside `/bin/true` in the same run: what starting any program costs here.
//! `cutover --version` in under 5 ms, `cutover check` of a clean runbook in under 10 ms; a rehearsal of the stock failover with 96
//! log backups of 64 KiB at pace 0 in under a second, with a peak of memory under 64 MiB. `cargo bench --bench process` prints
//! all of them and fails if one is not so.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use cutover::script::stdlib;

const STARTS: usize = 101;
const REHEARSALS: usize = 9;

const SCENARIO: &str = r#"
summary = "96 log backups, of which 12 are applied and 4 more copied"
logs = 96
applied = 12
copied = 4
bytes = 65536
"#;

/// As a site of its own might begin.
const BOOK: &str = r#"let db = site.database;
step("Look at the database", || {
    let row = query("backup", "SELECT name, state_desc FROM sys.databases WHERE name = @db", #{ db: db }).first();
    note(`${row.name} is ${row.state_desc}`);
});
"#;

fn main() -> ExitCode {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("it is written");
        path.into_os_string()
    };
    let (small, stock) = (write("small.rhai", BOOK), write("stock.rhai", stdlib::STOCK_RUNBOOK.1));
    let scenario = write("many.toml", SCENARIO);
    let cutover = env!("CARGO_BIN_EXE_cutover");
    let (version, check) = ("--version".as_ref(), OsStr::new("check"));
    let programs: [(&str, &str, &[&OsStr], Option<f64>); 4] = [
        ("/bin/true", "/bin/true", &[], None),
        ("cutover --version", cutover, &[version], Some(5.0)),
        ("cutover check, a small runbook", cutover, &[check, &small], Some(10.0)),
        ("cutover check, the stock failover", cutover, &[check, &stock], Some(10.0)),
    ];
    // in turn, so that what else the machine does meets all of them alike
    let mut times = vec![Vec::with_capacity(STARTS); programs.len()];
    for _ in 0..STARTS {
        for ((_, program, arguments, _), times) in programs.iter().zip(&mut times) {
            times.push(start(program, arguments));
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).map(|time| time.as_secs_f64() * 1e3).collect();
    println!("{STARTS} starts each, the median");
    let mut good = true;
    for ((name, _, _, limit), took) in programs.iter().zip(&medians) {
        let of_true = took / medians[0];
        match limit {
            Some(limit) => {
                good &= took < limit;
                println!("  {name:36}{took:7.2} ms   limit {limit:2} ms   {of_true:5.1} x /bin/true   {}", verdict(took < limit));
            }
            None => println!("  {name:36}{took:7.2} ms"),
        }
    }
    let (took, peak) = rehearse(dir.path(), &scenario);
    let of_true = took * 1e3 / medians[0];
    println!("a rehearsal of the stock failover, 84 log backups to apply, {REHEARSALS} rounds");
    println!("  {:36}{took:7.3} s    limit  1 s    {of_true:5.0} x /bin/true   {}", "median", verdict(took < 1.0));
    println!("  {:36}{peak:7.1} MiB  limit 64 MiB{:22}{}", "peak memory", "", verdict(peak < 64.0));
    if good && took < 1.0 && peak < 64.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One process, from its start until it is waited for.
fn start(program: &str, arguments: &[&OsStr]) -> Duration {
    let began = Instant::now();
    let mut command = Command::new(program);
    let status = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let took = began.elapsed();
    assert!(status.expect("the program starts").success(), "{program} {arguments:?}");
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Seconds, and MiB at the peak.
fn rehearse(dir: &Path, scenario: &OsStr) -> (f64, f64) {
    let mut times = Vec::new();
    let mut peak = 0.0f64;
    for round in 0..REHEARSALS {
        let kept = dir.join(format!("kept-{round}"));
        let began = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_cutover"))
            .args(["rehearse", "--yes", "--pace", "0", "--scenario"])
            .arg(scenario)
            .arg("--keep")
            .arg(&kept)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        // the kernel keeps the peak until the process is waited for; it is read until it is gone
        let mut seen = 0.0f64;
        let status = loop {
            seen = peak_mib(child.id()).unwrap_or(seen).max(seen);
            if let Some(status) = child.try_wait().expect("the program is waited for") {
                break status;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        times.push(began.elapsed());
        peak = peak.max(seen);
        assert!(status.success(), "the rehearsal failed: {status}");
        let world = std::fs::read_to_string(kept.join("world.json")).expect("world.json");
        assert!(world.contains("\"logs_applied\": 96"), "not all log backups were applied");
    }
    (median(times).as_secs_f64(), peak)
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "NOT MET" }
}

/// `VmHWM` of a process; none where the system does not tell.
fn peak_mib(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}
