//! What checking costs beside what Rhai's own parser needs for the same files. 1,000 runbooks of about 100 lines must be checked
//! in under 0.5 s and in at most 3 times what Rhai alone takes to compile them, on as many threads. `cargo bench --bench check`
//! prints both and fails if one is not so; benches/process.rs has the whole process.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cutover::check::{self, Input, Options};
use cutover::host;
use cutover::primitives::PRIMITIVES;
use cutover::script::engine;

const RUNBOOKS: usize = 1_000;
const TRIES: usize = 7;

/// A runbook of about 100 lines, as a site might have it: each differs in its names.
fn runbook(n: usize) -> String {
    let mut text = format!(
        r#"// Runbook {n}: brings the databases of group {n} online on the backup server.
import "log_shipping" as log_shipping;
import "preflight" as preflight;

let db = site.database;
let folder = #{{ folder_on_server: site.backups.copy_to_on_server }};

let facts = step("Before anything is changed ({n})", || {{
    let server = preflight::identify("backup");
    let state = preflight::waiting_for_logs("backup", db, server, site.backups.share);
    let shipping = log_shipping::facts("backup", db);
    confirm(`Go on with {n} on ${{server.server_name}}?`, #{{ id: "declare-{n}", type: db, show: [["state", state], ["log shipping", shipping.rows]] }});
    #{{ server: server, shipping: shipping }}
}});
"#
    );
    for part in 0..6 {
        text.push_str(&format!(
            r#"
// Part {part}: what is there, and what is wanted.
let seen_{part} = step("Look at part {part} of {n}", || {{
    let rows = query("backup", `SELECT name, state_desc, recovery_model_desc FROM sys.databases WHERE name LIKE 'part{part}%'`).rows;
    let online = rows.filter(|row| row.state_desc == "ONLINE");
    if online.len() > {part} {{
        note(`${{online.len()}} databases of part {part} are online`);
    }} else {{
        warn("nothing of part {part} is online");
    }}
    rows.len()
}});
"#
        ));
    }
    text.push_str(
        r#"
step("Copy", || {
    let result = copy_backups(#{ from: site.backups.share, to: site.backups.copy_to, matching: `${db}_*.trn` });
    note(`${result.copied.len()} copied`);
});
step("Apply", || {
    restore_logs("backup", db, site.backups.copy_to, folder + #{ keep: "norecovery" });
});
"#,
    );
    let seen: Vec<String> = (0..6).map(|part| format!("seen_{part}")).collect();
    text.push_str(&format!("note(`${{facts.server.server_name}}: ${{{}}} databases in all`);\n", seen.join(" + ")));
    text
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Rhai alone: each file compiled, on so many threads.
fn rhai_alone(texts: &[String], threads: usize) -> Duration {
    let began = Instant::now();
    std::thread::scope(|scope| {
        for part in texts.chunks(texts.len().div_ceil(threads)) {
            scope.spawn(move || {
                let engine = engine::new();
                let scope = engine::scope();
                for text in part {
                    std::hint::black_box(engine.compile_with_scope(&scope, text).expect("the runbook compiles"));
                }
            });
        }
    });
    began.elapsed()
}

fn main() -> ExitCode {
    engine::seed();
    let texts: Vec<String> = (0..RUNBOOKS).map(runbook).collect();
    let lines: usize = texts.iter().map(|text| text.lines().count()).sum();
    let inputs: Vec<Input> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| Input { path: PathBuf::from(format!("book-{n}.rhai")), text: Some(text.clone()) })
        .collect();
    let options = Options { site: None, names: host::names(PRIMITIVES) };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut ours, mut alone, mut found) = (Vec::new(), Vec::new(), 0);
    for _ in 0..TRIES {
        alone.push(rhai_alone(&texts, threads));
        let began = Instant::now();
        let checked = check::check(&inputs, &options).expect("the runbooks can be checked");
        ours.push(began.elapsed());
        found = checked.findings.len();
    }
    let (ours, alone) = (median(ours), median(alone));
    let ratio = ours.as_secs_f64() / alone.as_secs_f64();
    println!("{RUNBOOKS} runbooks, {} lines each, {found} findings, {threads} threads", lines / RUNBOOKS);
    println!("rhai alone compiles them in {:7.1} ms", alone.as_secs_f64() * 1e3);
    println!("check                       {:7.1} ms (limit 500 ms)", ours.as_secs_f64() * 1e3);
    println!("check / rhai alone          {ratio:7.2}    (limit 3)");
    let good = ours < Duration::from_millis(500) && ratio <= 3.0;
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
