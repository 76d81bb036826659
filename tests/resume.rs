//! A run that died anywhere is gone on with: killed at every line of its record, cut and damaged records, an edited runbook,
//! a lost connection, a full disk, two operators.
#![cfg(feature = "lab")]
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::cases::cases;
use common::{World, is_housekeeping, of, repository};
use cutover::journal;
use cutover::tsql::classify::{Class, classify};
use serde_json::Value;

/// The same files and times in every lab.
const SCENE: &str = "now = \"2026-01-02T03:04:05Z\"\n";

/// Who runs which change how often.
type Changes = BTreeMap<String, usize>;

fn scene() -> World {
    let world = World::new();
    world.write("scene.toml", SCENE);
    world
}

fn run_line() -> String {
    format!("run {} --site @/lab/site.toml --yes", repository("runbooks/pchat-failover.rhai").display())
}

/// What reached the servers and the shell and changed something.
fn changes(world: &World) -> Changes {
    let mut found = Changes::new();
    for line in world.lines("lab/wire.jsonl") {
        let text = line["text"].as_str().unwrap_or_default();
        if matches!(line["kind"].as_str(), Some("batch" | "rpc")) && !is_housekeeping(text) && classify(text).class == Class::Changes {
            *found.entry(format!("{text} {}", line["parameters"])).or_default() += 1;
        }
    }
    for line in world.lines("lab/shell.jsonl") {
        let cmdlet = line["cmdlet"].as_str().unwrap();
        if !cmdlet.starts_with("Get-") {
            *found.entry(format!("{cmdlet} {}", line["parameters"])).or_default() += 1;
        }
    }
    found
}

fn records(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("journal.jsonl")).unwrap();
    // a torn line is none
    text.lines().map_while(|line| serde_json::from_str(line).ok()).collect()
}

/// A line of a record in a few words.
fn in_words(line: &Value) -> String {
    let word = |key: &str| line[key].as_str().unwrap_or_default();
    let what = match word("event") {
        "step_started" | "step_finished" => word("step").chars().take(28).collect(),
        "note" => word("text").split_whitespace().take(4).collect::<Vec<_>>().join(" "),
        "effect_tested" => format!("effect {}: {}", line["effect"], line["done"]),
        "question" | "answer" => format!("effect {}", line["effect"]),
        "effect_started" | "effect_finished" | "effect_failed" => {
            let child = if line["parent"].is_u64() { format!(", asked by {}", line["parent"]) } else { String::new() };
            format!("effect {}: {} {}{child}", line["effect"], word("class"), word("primitive"))
        }
        _ => String::new(),
    };
    format!("{} {what}", word("event")).trim_end().to_owned()
}

/// What a resume began with, from its record.
fn began_with(lines: &[Value]) -> String {
    let resumed = of(lines, "resumed");
    let Some(last) = resumed.last() else { return "nothing to resume".to_owned() };
    let took_up = match &last["taken_up"] {
        Value::Null => String::new(),
        effect => {
            let again = lines.iter().find(|line| line["again"] == *effect).map(|line| &line["effect"]);
            let end = lines.iter().find(|line| line["event"] == "effect_finished" && Some(&line["effect"]) == again);
            let how = match end.map(|end| (&end["resolved"], &end["class"])) {
                Some((Value::String(resolved), _)) => resolved.replace('_', " "),
                Some((_, class)) if class == "asks" => "was answered".to_owned(),
                Some(_) => "done now".to_owned(),
                None => "no end".to_owned(),
            };
            format!(", takes up {effect}: {how}")
        }
    };
    format!("replays {}{took_up}", last["replays"])
}

#[test]
#[expect(clippy::print_stdout, reason = "the count of kills is for whoever looks")]
fn killed_at_every_line_of_its_record_it_reaches_the_same_end_and_makes_every_change_once() {
    let whole = scene();
    let lab = whole.lab("--pace 0 --scenario @/scene.toml");
    whole.cutover(&run_line()).exits(0);
    lab.stop();
    let (end, once) = (whole.json("lab/world.json"), changes(&whole));
    assert!(once.len() >= 15, "{once:#?}");
    let lines = records(&whole.run_folder("lab/runs"));

    // between two lines nothing happens but the work of an effect, which ends with its line
    let mut points: Vec<(&str, usize)> = vec![("before", 1), ("torn", 1)];
    for (n, line) in lines.iter().enumerate() {
        let ends = line["event"] == "effect_finished" || line["event"] == "effect_failed";
        if ends {
            points.push(("before", n + 1));
        }
        if ends && line["class"] == "changes" {
            points.push(("torn", n + 1));
        }
        if n + 1 < lines.len() {
            points.push(("after", n + 1));
        }
    }
    // around what changes something every line; of the reads and questions a tenth, unless all are asked for
    let (every, mut passed) = (points.len().div_ceil(cases(points.len())), 0);
    let tried: Vec<usize> = (0..points.len())
        .filter(|at| {
            let line = &lines[points[*at].1 - 1];
            passed += usize::from(line["class"] != "changes");
            line["class"] == "changes" || passed % every == 1 % every
        })
        .collect();
    let rows: Vec<Mutex<String>> = tried.iter().map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let (Some(point), Some(row)) = (tried.get(at), rows.get(at)) else { return };
                    let (when, n) = &points[*point];
                    let came = kill_and_resume(when, *n, &end, &once);
                    *row.lock().unwrap() = format!("{when:>6} {n:>3}  {:<58} {came}", in_words(&lines[n - 1]));
                }
            });
        }
    });
    let table: Vec<String> = rows.into_iter().map(|row| row.into_inner().unwrap()).collect();
    println!("{} kills of {}, each resumed to the same world with every change made once", table.len(), points.len());
    if table.len() == points.len() {
        insta::assert_snapshot!("killed_at_every_line", format!("{}\n{} kills", table.join("\n"), table.len()));
        return;
    }
    // the table holds all of them, in order, behind its two lines of head
    let (_, known) = include_str!("snapshots/resume__killed_at_every_line.snap").split_once("\n---\n").unwrap();
    let known: Vec<&str> = known.lines().collect();
    assert_eq!(known.last().copied(), Some(format!("{} kills", points.len()).as_str()));
    for (row, at) in table.iter().zip(&tried) {
        // a snapshot begins without blanks
        assert_eq!(row.trim_start(), known[*at].trim_start());
    }
}

fn kill_and_resume(when: &str, n: usize, end: &Value, once: &Changes) -> String {
    let world = scene();
    let lab = world.lab("--pace 0 --scenario @/scene.toml");
    let at = format!("{when}:{n}");
    let died = world.dies(&run_line(), &at);
    assert_eq!(died.code, -1, "{at}: not killed\n{}", died.stderr);
    let folder = world.run_folder("lab/runs");
    let resumed = world.cutover(&format!("resume {} --yes", folder.display()));
    if n == 1 && when != "after" {
        resumed.exits(2).says("there is nothing to resume");
        world.cutover(&run_line()).exits(0);
    } else {
        assert_eq!(resumed.code, 0, "{at}:\n{}", resumed.stderr);
        assert_eq!(journal::problems(&folder, &journal::read(&folder).unwrap()), [], "{at}");
    }
    lab.stop();
    assert_eq!(&world.json("lab/world.json"), end, "{at}");
    assert_eq!(&changes(&world), once, "{at}");
    began_with(&records(&folder))
}
