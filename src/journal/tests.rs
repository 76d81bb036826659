//! The order of events, what a reader believes, and what an evaluation is told of a record.

use serde_json::{Value, json};

use super::*;

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_767_322_000 + second).unwrap()
}

fn started() -> Event {
    serde_json::from_value(json!({
        "event": "run_started", "run": "r", "folder": "/runs/r", "runbook": "book.rhai", "site": "s", "program": "0.1.0",
        "operator": "anna", "host": "dr-admin-01", "lab": false, "unattended": false, "weak": [],
    }))
    .unwrap()
}

fn begin(effect: u64, class: &str, test: bool, more: Value) -> Event {
    let mut event = json!({
        "event": "effect_started", "effect": effect, "step": null, "primitive": "sql", "class": class, "server": "backup",
        "summary": format!("do {effect}"), "arguments": { "text": format!("{effect}") }, "file": "book.rhai", "line": 1,
        "test": test, "parent": null,
    });
    for (key, value) in more.as_object().unwrap() {
        event[key] = value.clone();
    }
    serde_json::from_value(event).unwrap()
}

fn finish(effect: u64, class: &str, outcome: Value) -> Event {
    serde_json::from_value(json!({
        "event": "effect_finished", "effect": effect, "step": null, "primitive": "sql", "class": class, "server": "backup", "ms": 1,
        "already_done": false, "verified": false, "outcome": outcome, "parent": null,
    }))
    .unwrap()
}

fn fail(effect: u64, class: &str, more: Value) -> Event {
    let mut event = json!({
        "event": "effect_failed", "effect": effect, "step": null, "primitive": "sql", "class": class, "server": "backup", "ms": 1,
        "message": "no", "number": 4305, "in_doubt": false, "parent": null,
    });
    for (key, value) in more.as_object().unwrap() {
        event[key] = value.clone();
    }
    serde_json::from_value(event).unwrap()
}

fn end(outcome: &str, ended_by: Value) -> Event {
    serde_json::from_value(json!({
        "event": "run_finished", "outcome": outcome, "exit": 1, "ms": 1, "loss": null, "changed": [], "ended_by": ended_by,
    }))
    .unwrap()
}

fn tested(effect: u64, done: bool) -> Event {
    Event::EffectTested { effect, done }
}

fn question(effect: u64, kind: QuestionKind) -> Event {
    let text = String::new();
    Event::Question { effect, step: None, id: None, kind, text, choices: Vec::new(), typed: None, irreversible: false }
}

fn answer(effect: u64, answer: &str) -> Event {
    Event::Answer { effect, step: None, id: None, answer: answer.to_owned(), by: "terminal".to_owned() }
}

fn note(text: &str) -> Event {
    Event::Note { step: None, level: Level::Note, text: text.to_owned() }
}

fn resumed(replays: usize, taken_up: Option<u64>) -> Event {
    serde_json::from_value(json!({
        "event": "resumed", "program": "0.1.0", "operator": "ben", "host": "dr-admin-02", "folder": "/runs/r", "unattended": true,
        "replays": replays, "taken_up": taken_up, "differs": [], "cut": 0,
    }))
    .unwrap()
}

fn step(title: &str) -> Event {
    Event::StepStarted { step: title.to_owned() }
}

fn step_end(title: &str, ok: bool) -> Event {
    Event::StepFinished { step: title.to_owned(), ms: 1, ok }
}

#[test]
fn every_pair_of_events_is_legal_or_refused() {
    let done = json!("done");
    // each kind of event once, as it comes in the order of a run
    let events: Vec<(&str, Event)> = vec![
        ("run_started", started()),
        ("resumed", resumed(0, None)),
        ("interrupted", Event::Interrupted { times: 1 }),
        ("step_started", step("one")),
        ("effect_started", begin(1, "changes", true, json!({}))),
        ("effect_tested", tested(1, false)),
        ("question", question(1, QuestionKind::TooEarly)),
        ("answer", answer(1, "accept")),
        ("effect_finished", finish(1, "changes", done.clone())),
        ("effect_failed", fail(1, "changes", json!({}))),
        ("note", note("hm")),
        ("step_finished", step_end("one", true)),
        ("step_finished, not ok", step_end("one", false)),
        ("choice", serde_json::from_value(json!({ "event": "choice", "effect": 1, "chosen": "retry", "reason": null, "by": "terminal", "replays": 0, "taken_up": null })).unwrap()),
        ("run_finished", end("stopped", Value::Null)),
        ("run_finished, done", end("done", Value::Null)),
    ];
    let states: Vec<(&str, Vec<Event>)> = vec![
        ("nothing", vec![]),
        ("begun", vec![started()]),
        ("in a step", vec![started(), step("one")]),
        ("in an effect", vec![started(), step("one"), begin(1, "changes", true, json!({}))]),
        ("asked", vec![started(), step("one"), begin(1, "changes", true, json!({})), question(1, QuestionKind::TooEarly)]),
        ("after an effect", vec![started(), step("one"), begin(1, "changes", true, json!({})), finish(1, "changes", done)]),
        ("stopped", vec![started(), end("stopped", Value::Null)]),
        ("done", vec![started(), end("done", Value::Null)]),
    ];
    let mut table = String::new();
    for (place, before) in &states {
        let state = before.iter().fold(State::default(), |state, event| next(&state, event).unwrap());
        let legal: Vec<&str> = events.iter().filter(|(_, event)| next(&state, event).is_ok()).map(|(name, _)| *name).collect();
        table.push_str(format!("{place}: {}", legal.join(" · ")).trim_end());
        table.push('\n');
    }
    insta::assert_snapshot!(table, @"
    nothing: run_started
    begun: resumed · interrupted · step_started · effect_started · note · choice · run_finished · run_finished, done
    in a step: resumed · interrupted · effect_started · note · step_finished · step_finished, not ok · choice · run_finished · run_finished, done
    in an effect: resumed · interrupted · effect_tested · question · effect_finished · effect_failed · note · step_finished, not ok · run_finished · run_finished, done
    asked: resumed · interrupted · effect_tested · answer · note · step_finished, not ok · run_finished · run_finished, done
    after an effect: resumed · interrupted · note · step_finished · step_finished, not ok · choice · run_finished · run_finished, done
    stopped: resumed
    done:
    ");
}

#[test]
fn a_tests_read_is_part_of_its_effect_and_ends_before_it() {
    let mut state = State::default();
    let child = |effect: u64, parent: u64| begin(effect, "reads", false, json!({ "parent": parent }));
    for event in [started(), begin(1, "changes", true, json!({})), child(2, 1)] {
        state = next(&state, &event).unwrap();
    }
    assert!(next(&state, &finish(1, "changes", json!(null))).is_err(), "its test is still being asked");
    assert!(next(&state, &child(3, 1)).is_err(), "one read at a time");
    assert!(next(&state, &begin(3, "reads", false, json!({}))).is_err(), "a read under way is part of what is under way");
    state = next(&state, &finish(2, "reads", json!(null))).unwrap();
    assert!(next(&state, &begin(4, "reads", false, json!({ "parent": 1 }))).is_err(), "no number is left out");
    assert_eq!(next(&state, &finish(1, "changes", json!(null))).unwrap().flight, []);
}

/// What a resume two minutes after the last line begins with: what is replayed, and what is taken up.
fn told(events: &[Event]) -> String {
    let mut history = History::default();
    let mut state = State::default();
    for (second, event) in events.iter().enumerate() {
        state = next(&state, event).unwrap_or_else(|error| panic!("{error}"));
        history.take(event, at(second as i64));
    }
    let shown = |attempt: Attempt| {
        let replayed = attempt.replayed.iter().map(|item| match item {
            Item::Effect(recorded) => recorded.effect.to_string(),
            Item::Note { text, .. } => text.clone(),
        });
        let replayed = replayed.collect::<Vec<_>>().join(" ");
        match attempt.taken_up {
            Some((recorded, how)) => format!("{replayed} | {} {how:?}", recorded.effect),
            None => replayed,
        }
    };
    let (soon, late) = (history.resume(at(20)), history.resume(at(120)));
    match soon == late {
        true => shown(soon),
        false => format!("{} (late: {})", shown(soon), shown(late)),
    }
}

#[test]
fn what_a_resume_begins_with() {
    let read = |n: u64| [begin(n, "reads", false, json!({})), finish(n, "reads", json!(n))];
    let change = |n: u64| [begin(n, "changes", true, json!({})), tested(n, false), finish(n, "changes", json!(n))];
    let ask = |n: u64, word: &str| {
        [begin(n, "asks", false, json!({})), question(n, QuestionKind::Confirm), answer(n, word), finish(n, "asks", json!(word))]
    };
    let record = |parts: Vec<Vec<Event>>| [vec![started()], parts.concat()].concat();
    let cases: Vec<(&str, Vec<Event>)> = vec![
        ("nothing yet", record(vec![])),
        ("reads alone", record(vec![read(1).into(), read(2).into()])),
        ("reads before a change", record(vec![read(1).into(), change(2).into()])),
        ("a read after a change", record(vec![change(1).into(), vec![note("n")], read(2).into()])),
        ("a read without an end", record(vec![change(1).into(), vec![begin(2, "reads", false, json!({}))]])),
        ("a change before its test was asked", record(vec![read(1).into(), vec![begin(2, "changes", true, json!({}))]])),
        ("a change about to be sent", record(vec![read(1).into(), vec![begin(2, "changes", true, json!({})), tested(2, false)]])),
        ("a change without a test", record(vec![read(1).into(), vec![begin(2, "changes", false, json!({}))]])),
        (
            "in force too early, nobody answered",
            record(vec![vec![begin(1, "changes", true, json!({})), tested(1, true), question(1, QuestionKind::TooEarly)]]),
        ),
        (
            "in force too early, accepted",
            record(vec![vec![
                begin(1, "changes", true, json!({})),
                tested(1, true),
                question(1, QuestionKind::TooEarly),
                answer(1, ACCEPT),
            ]]),
        ),
        (
            "in force too early, made anyway",
            record(vec![vec![
                begin(1, "changes", true, json!({})),
                tested(1, true),
                question(1, QuestionKind::TooEarly),
                answer(1, DO_ANYWAY),
            ]]),
        ),
        (
            "in force too early, stopped",
            record(vec![
                vec![begin(1, "changes", true, json!({})), tested(1, true), question(1, QuestionKind::TooEarly), answer(1, "stop")],
                vec![end("stopped", json!(null))],
            ]),
        ),
        ("a question", record(vec![read(1).into(), vec![begin(2, "asks", false, json!({})), question(2, QuestionKind::Confirm)]])),
        ("an answer without its end", record(vec![read(1).into(), ask(2, "yes")[..3].to_vec()])),
        ("a no", record(vec![read(1).into(), ask(2, "no").into(), vec![end("stopped", json!(null))]])),
        (
            "a choice called stop",
            record(vec![vec![
                begin(1, "asks", false, json!({ "arguments": { "choices": ["stop", "go"] } })),
                question(1, QuestionKind::Ask),
                answer(1, "stop"),
                finish(1, "asks", json!("stop")),
            ]]),
        ),
        ("a failure that a script may have caught", record(vec![vec![begin(1, "reads", false, json!({})), fail(1, "reads", json!({}))]])),
        (
            "a failure after which it went on",
            record(vec![
                vec![begin(1, "reads", false, json!({})), fail(1, "reads", json!({}))],
                change(2).into(),
                vec![end("failed", json!(null))],
            ]),
        ),
        (
            "a read whose failure ended it",
            record(vec![
                change(1).into(),
                read(2).into(),
                vec![begin(3, "reads", false, json!({})), fail(3, "reads", json!({})), end("failed", json!(3))],
            ]),
        ),
        (
            "a change that failed and left nothing",
            record(vec![
                change(1).into(),
                read(2).into(),
                vec![begin(3, "changes", true, json!({})), tested(3, false), fail(3, "changes", json!({})), end("failed", json!(3))],
            ]),
        ),
        (
            "a change that failed in part",
            record(vec![
                read(1).into(),
                vec![
                    begin(2, "changes", true, json!({})),
                    tested(2, false),
                    fail(2, "changes", json!({ "made": "half" })),
                    end("failed", json!(2)),
                ],
            ]),
        ),
        (
            "a change that failed in doubt",
            record(vec![
                read(1).into(),
                vec![
                    begin(2, "changes", false, json!({})),
                    fail(2, "changes", json!({ "left": "in_doubt", "in_doubt": true })),
                    end("in_doubt", json!(2)),
                ],
            ]),
        ),
        (
            "a change that gave up for a stop",
            record(vec![vec![
                begin(1, "changes", true, json!({})),
                tested(1, false),
                fail(1, "changes", json!({ "stopped": true, "made": "3 of 12" })),
                end("stopped", json!(null)),
            ]]),
        ),
        (
            "a test's read whose failure ended it",
            record(vec![
                change(1).into(),
                vec![
                    begin(2, "changes", true, json!({})),
                    begin(3, "reads", false, json!({ "parent": 2 })),
                    fail(3, "reads", json!({ "parent": 2 })),
                    fail(2, "changes", json!({ "raised": { "failure": 3 } })),
                    end("failed", json!(3)),
                ],
            ]),
        ),
        ("the runbook gave up", record(vec![change(1).into(), read(2).into(), read(3).into(), vec![end("failed", json!(null))]])),
        (
            "killed before a taken up change began anew",
            record(vec![read(1).into(), vec![begin(2, "changes", true, json!({})), tested(2, false), resumed(1, Some(2))]]),
        ),
        (
            "killed while it began anew",
            record(vec![
                read(1).into(),
                vec![
                    begin(2, "changes", true, json!({})),
                    tested(2, false),
                    resumed(1, Some(2)),
                    begin(3, "changes", true, json!({ "again": 2 })),
                ],
            ]),
        ),
        (
            "killed while a change made anyway began anew",
            record(vec![vec![
                begin(1, "changes", true, json!({})),
                tested(1, true),
                question(1, QuestionKind::TooEarly),
                answer(1, DO_ANYWAY),
                resumed(0, Some(1)),
                begin(2, "changes", true, json!({ "again": 1 })),
            ]]),
        ),
        (
            "killed once it was about to be sent again",
            record(vec![vec![
                begin(1, "changes", true, json!({})),
                tested(1, true),
                question(1, QuestionKind::TooEarly),
                answer(1, DO_ANYWAY),
                resumed(0, Some(1)),
                begin(2, "changes", true, json!({ "again": 1 })),
                question(2, QuestionKind::InDoubt),
                answer(2, DO_ANYWAY),
                tested(2, false),
            ]]),
        ),
        (
            "resumed and gone on",
            record(vec![
                read(1).into(),
                vec![
                    begin(2, "changes", true, json!({})),
                    tested(2, false),
                    resumed(1, Some(2)),
                    begin(3, "changes", true, json!({ "again": 2 })),
                    tested(3, false),
                    finish(3, "changes", json!(3)),
                ],
                change(4).into(),
            ]),
        ),
        (
            "stale reads read again",
            record(vec![change(1).into(), read(2).into(), vec![resumed(1, None)], read(3).into(), change(4).into()]),
        ),
    ];
    let table: String = cases.iter().map(|(name, events)| format!("{name}: {}", told(events)).trim_end().to_owned() + "\n").collect();
    insta::assert_snapshot!(table, @"
    nothing yet:
    reads alone: 1 2 (late: )
    reads before a change: 1 2
    a read after a change: 1 n 2 (late: 1 n)
    a read without an end: 1
    a change before its test was asked: 1 (late: )
    a change about to be sent: 1 | 2 InDoubt
    a change without a test: 1 | 2 InDoubt
    in force too early, nobody answered:
    in force too early, accepted:  | 1 Made(InForce)
    in force too early, made anyway:  | 1 InDoubtUntested
    in force too early, stopped:
    a question: 1 (late: )
    an answer without its end: 1 | 2 Answered
    a no: 1 (late: )
    a choice called stop: 1
    a failure that a script may have caught: 1 (late: )
    a failure after which it went on: 1 2
    a read whose failure ended it: 1
    a change that failed and left nothing: 1
    a change that failed in part: 1 | 2 InDoubt
    a change that failed in doubt: 1 | 2 InDoubt
    a change that gave up for a stop:  | 1 InDoubt
    a test's read whose failure ended it: 1
    the runbook gave up: 1
    killed before a taken up change began anew: 1 | 2 InDoubt
    killed while it began anew: 1 | 3 InDoubt
    killed while a change made anyway began anew:  | 2 InDoubtUntested
    killed once it was about to be sent again:  | 2 InDoubtUntested
    resumed and gone on: 1 3 4
    stale reads read again: 1 3 4
    ");
}

#[test]
fn what_is_changed_follows_the_events() {
    let mut history = History::default();
    let events = [
        started(),
        begin(1, "changes", true, json!({})),
        tested(1, false),
        finish(1, "changes", json!(1)),
        begin(2, "changes", false, json!({})),
        resumed(1, Some(2)),
    ];
    for event in &events {
        history.take(event, at(0));
    }
    let names = |changes: &[Change]| changes.iter().map(|change| change.summary.clone()).collect::<Vec<_>>();
    assert_eq!((names(history.changed()), names(&history.in_doubt())), (vec!["do 1".to_owned()], vec!["do 2".to_owned()]));
    history.take(&begin(3, "changes", false, json!({ "again": 2, "summary": "do 2" })), at(1));
    history.take(&finish(3, "changes", json!(3)), at(1));
    assert_eq!((names(history.changed()), history.in_doubt()), (vec!["do 1".to_owned(), "do 2".to_owned()], vec![]));
    history.take(&begin(4, "changes", true, json!({})), at(2));
    assert!(history.in_doubt().is_empty(), "nothing is sent before its test is asked");
    history.take(&tested(4, false), at(2));
    assert_eq!(history.in_doubt().len(), 1);
}
