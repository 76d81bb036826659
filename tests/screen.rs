//! What a person at a terminal sees, whole, in a narrow, a usual and a wide window: a rehearsal whose question is refused, a
//! run that fails, and its resume. And the same run as plain lines and as JSON. What varies is taken out: paths, times.
#![cfg(all(feature = "lab", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;
#[path = "common/drawn.rs"]
mod drawn;
#[path = "common/pty.rs"]
#[expect(dead_code, reason = "each test file uses its part")]
mod pty;

use common::World;
use cutover::journal::Event;
use pty::Terminal;
use serde_json::Value;

/// The third log backup fails once; then the site's storage is well again.
const SCENARIO: &str = "now = \"2026-07-17T03:21:00Z\"\n[[fault]]\nkind = \"restore-fails\"\nnth = 3\nnumber = 3101\n";

fn world() -> World {
    let world = World::new();
    world.write("scenario.toml", SCENARIO);
    // run from a copy: the drawn name of the file must not depend on where the repository lies
    std::fs::copy(common::repository("runbooks/pchat-failover.rhai"), world.path("failover.rhai")).unwrap();
    world
}

/// Answers each question as the stock failover needs it, and stops at the first failure.
fn goes_on(asked: &str) -> String {
    if let Some(words) = asked.strip_suffix("\n>") {
        return words.lines().next_back().unwrap_or_default().trim().to_owned();
    }
    let said = common::squeezed(asked);
    let answers = [("[y/N/?]", "y"), ("[done/stop/?]", "done"), ("Enter for the default, ?]", ""), ("[r/m/S/?]", "s")];
    answers.iter().find(|(prompt, _)| said.ends_with(prompt)).unwrap_or_else(|| panic!("not expected: {said}")).1.to_owned()
}

/// The whole page, without what varies; no row of it was broken by the window but what is to be copied, what
/// is marked in a runbook, and single words.
fn assert_page(name: &str, world: &World, columns: u16, page: &str) {
    for line in page.lines().filter(|line| line.chars().count() > columns.into()) {
        assert!(
            !line.trim().contains(' ') || line.contains("/tmp/") || line.contains(" │ ") || line.contains(" · ") || line.starts_with("by "),
            "wider than {columns} columns: {line}"
        );
    }
    snapshot(&format!("screen_{name}_{columns}"), &drawn::page(page, &world.path(""), columns));
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn at_a_terminal(columns: u16) {
    let world = world();
    let rehearsal = Terminal::open(&world, "rehearse --pace 0 --scenario @/scenario.toml", columns);
    let ended = rehearsal.answers(|_| "no".to_owned()).ends();
    assert_page("refused", &world, columns, &ended.page);
    ended.exits(3);

    let lab = world.lab("--pace 0 --scenario @/scenario.toml");
    let run = Terminal::open(&world, "run failover.rhai --site lab/site.toml --journal runs", columns);
    let ended = run.answers(goes_on).ends();
    assert_page("failed", &world, columns, &ended.page);
    ended.exits(1);

    let resume = Terminal::open(&world, "resume --site lab/site.toml --journal runs", columns);
    let ended = resume.answers(goes_on).ends();
    assert_page("resumed", &world, columns, &ended.page);
    ended.exits(0);
    lab.stop();
}

#[test]
fn a_narrow_window() {
    at_a_terminal(40);
}

#[test]
fn a_usual_window() {
    at_a_terminal(80);
}

#[test]
fn a_wide_window() {
    at_a_terminal(160);
}

#[test]
fn without_a_terminal() {
    let world = world();
    let plain = |name: &str, ended: &common::Ended| {
        assert!(!ended.stderr.contains('\x1b') && !ended.stderr.contains('\r'), "{}", ended.stderr);
        snapshot(&format!("screen_{name}_plain"), &drawn::page(&ended.stderr, &world.path(""), 100));
        assert_eq!(ended.stdout, "", "people read standard error");
    };
    world.write("answers.toml", "declare = \"no\"\n");
    let refused = world.cutover("rehearse --pace 0 --scenario @/scenario.toml --answers answers.toml").exits(3);
    plain("refused", &refused);
    let lab = world.lab("--pace 0 --scenario @/scenario.toml");
    plain("failed", &world.cutover("run failover.rhai --site lab/site.toml --journal runs --yes").exits(1));
    plain("resumed", &world.cutover(&format!("resume --site lab/site.toml --journal runs --yes {APPROVE}")).exits(0));
    lab.stop();
}

/// Irreversible questions of the stock runbook: nobody answers them by the way.
const APPROVE: &str = "--approve bring-online --approve sessions";

/// Every line is as the schema says, and what it tells of a run can be taken back as an event without loss.
#[track_caller]
fn assert_schema(lines: &[Value]) {
    let schema: Value = serde_json::from_str(include_str!("../docs/events.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for line in lines {
        let errors: Vec<String> = schema.iter_errors(line).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{line:#}\n{errors:#?}");
        if !["progress", "replayed"].contains(&line["event"].as_str().unwrap()) {
            let event: Event = serde_json::from_value(line.clone()).unwrap();
            assert_eq!(&event.to_json(line["at"].as_str().unwrap().parse().unwrap()), line);
        }
    }
}

fn words(lines: &[Value]) -> std::collections::BTreeSet<&str> {
    lines.iter().map(|line| line["event"].as_str().unwrap()).collect()
}

#[test]
fn as_json_by_its_schema() {
    let world = world();
    world.write("answers.toml", "declare = \"no\"\n");
    let json = |arguments: &str, code| {
        let ended = world.cutover(&format!("{arguments} --format json")).exits(code);
        let lines = ended.events();
        assert_schema(&lines);
        lines
    };
    let refused = json("rehearse --pace 0 --scenario @/scenario.toml --answers answers.toml", 3);
    let answer = refused.iter().find(|line| line["event"] == "answer").unwrap();
    assert_eq!(
        (answer["id"].as_str(), answer["answer"].as_str(), answer["by"].as_str()),
        (Some("declare"), Some("no"), Some("--answers answers.toml"))
    );
    let lab = world.lab("--pace 0 --scenario @/scenario.toml");
    let failed = json("run failover.rhai --site lab/site.toml --journal runs --yes", 1);
    let resumed = json(&format!("resume --site lab/site.toml --journal runs --yes {APPROVE}"), 0);
    lab.stop();
    // the record has the same lines, but for what passes
    let record: Vec<Value> = world.lines(&format!("{}/journal.jsonl", world.run_folder("runs").display()));
    assert_schema(&record.iter().map(unchained).collect::<Vec<_>>());
    let told: Vec<Value> = failed.iter().chain(&resumed).filter(|line| line["event"] != "replayed").cloned().collect();
    assert_eq!(told, record.iter().map(unchained).collect::<Vec<_>>());
    let all = words(&refused).into_iter().chain(words(&failed)).chain(words(&resumed)).collect::<std::collections::BTreeSet<_>>();
    let expected = "answer effect_failed effect_finished effect_started effect_tested note question replayed resumed run_finished run_started \
                    step_finished step_started";
    assert_eq!(all.into_iter().collect::<Vec<_>>(), expected.split_whitespace().collect::<Vec<_>>());
}

/// A line of the record without what chains it to the one before.
fn unchained(line: &Value) -> Value {
    let mut line = line.clone();
    line.as_object_mut().unwrap().retain(|key, _| !["prev", "sum"].contains(&key.as_str()));
    line
}

#[test]
fn progress_is_told_once_a_second() {
    let world = World::new();
    world.write("slow.toml", "logs = 5\napplied = 2\ncopied = 3\nwork-files = 0\nrestore-seconds = 1.5\n");
    let book = r#"restore_logs("backup", site.database, site.backups.copy_to, #{ folder_on_server: site.backups.copy_to_on_server });"#;
    world.write("book.rhai", book);
    let ended = world.cutover("rehearse @/book.rhai --pace 1 --scenario @/slow.toml --yes --format json").exits(0);
    let lines = ended.events();
    assert_schema(&lines);
    let progress = common::of(&lines, "progress");
    assert!((1..=common::of(&lines, "run_finished")[0]["ms"].as_u64().unwrap() / 1000).contains(&(progress.len() as u64)), "{progress:#?}");
    assert!(progress.iter().all(|line| line["text"].as_str().unwrap().starts_with("restoring ")), "{progress:#?}");
    let plain = world.cutover("rehearse @/book.rhai --pace 1 --scenario @/slow.toml --yes").exits(0);
    assert!(plain.stderr.contains("       … restoring "), "{}", plain.stderr);
}

#[test]
fn steps_are_begun_one_by_one() {
    let world = World::new();
    world.write("book.rhai", "step(\"One\", || note(\"first\"));\nstep(\"Two\", || note(\"second\"));\n");
    let open = |columns| Terminal::open(&world, "rehearse book.rhai --pace 0 --step", columns);
    let mut run = open(80);
    run.shows("One").shows("Begin this step? [y/N/?]").types("?\r").shows("begins the step").shows("[y/N/?]").types("y\r");
    run.shows("first").shows("Two").shows("Begin this step? [y/N/?]").types("quit\r");
    run.ends().exits(3).says("the answer to `begin the step Two` was no").says_not("second");
    open(80).answers(|_| "y".to_owned()).ends().exits(0).says("first").says("second");
    world.cutover("rehearse book.rhai --pace 0 --step").exits(3).says("nobody answered");
    world.cutover("rehearse book.rhai --pace 0 --step --yes").exits(2);
}

#[test]
fn a_file_of_answers_must_fit() {
    let world = world();
    let rehearse = |answers: &str| {
        world.write("answers.toml", answers);
        world.cutover("rehearse --pace 0 --scenario @/scenario.toml --answers answers.toml")
    };
    rehearse("remoev = \"now\"\n").exits(2).says("no question has the id `remoev`").says("did you mean `remove`?");
    rehearse("remove = 5\n").exits(2).says("an answer is text, not integer");
    rehearse("remove\n").exits(2).says("answers.toml:1");
    rehearse("declare = \"perhaps\"\n").exits(3).says("perhaps").says("nothing was changed");
    std::fs::remove_file(world.path("answers.toml")).unwrap();
    world.cutover("rehearse --pace 0 --answers answers.toml").exits(2).says("answers.toml");
}
