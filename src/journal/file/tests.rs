use super::*;

fn started() -> Event {
    serde_json::from_value(json!({
        "event": "run_started", "run": "r", "folder": "/runs/r", "runbook": "book.rhai", "site": "s", "program": "0.1.0",
        "operator": "anna", "host": "dr-admin-01", "lab": false, "unattended": false, "weak": [],
    }))
    .unwrap()
}

fn note(text: &str) -> Event {
    Event::Note { step: None, level: super::super::Level::Note, text: text.to_owned() }
}

#[test]
fn each_line_carries_the_hash_of_the_line_before() {
    let dir = tempfile::tempdir().unwrap();
    let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let mut journal = Journal::create(dir.path(), "drill", now).unwrap();
    assert_eq!(journal.run(), "2026-01-02T03-04-05Z-drill");
    journal.append(&started(), now).unwrap();
    for text in ["one", "two"] {
        journal.append(&note(text), now).unwrap();
    }
    let text = std::fs::read_to_string(journal.folder().join("journal.jsonl")).unwrap();
    let mut prev = "0".repeat(64);
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["prev"], prev, "{line}");
        assert_eq!(value["at"], "2026-01-02T03:04:05.000Z");
        let (body, sum) = line.split_once(",\"sum\":\"").unwrap();
        assert_eq!(format!("{}\"}}", blake3::hash(body.as_bytes()).to_hex()), sum);
        prev = blake3::hash(line.as_bytes()).to_hex().to_string();
    }
    assert_eq!(text.lines().count(), 3);
}

/// A run with a large outcome, and what its record says.
fn with_large_outcome(folder: &Path) -> (PathBuf, Value) {
    let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let mut journal = Journal::create(folder, "drill", now).unwrap();
    let large = json!({ "text": "x".repeat(LARGE) });
    journal.append(&started(), now).unwrap();
    let begun = json!({
        "event": "effect_started", "effect": 1, "step": null, "primitive": "query", "class": "reads", "server": "backup", "summary": "look",
        "arguments": {}, "file": "book.rhai", "line": 1, "parent": null,
    });
    journal.append(&serde_json::from_value(begun).unwrap(), now).unwrap();
    let ended = json!({
        "event": "effect_finished", "effect": 1, "step": null, "primitive": "query", "class": "reads", "server": "backup", "ms": 1,
        "already_done": false, "verified": false, "outcome": large, "parent": null,
    });
    journal.append(&serde_json::from_value(ended).unwrap(), now).unwrap();
    (journal.folder().to_owned(), large)
}

#[test]
fn a_large_outcome_is_kept_whole_beside_the_record() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, large) = with_large_outcome(dir.path());
    let text = std::fs::read_to_string(folder.join(FILE)).unwrap();
    assert!(text.len() < 4096, "{}", text.len());
    let read = super::super::read(&folder).unwrap();
    let Event::EffectFinished { outcome, .. } = &read.lines[2].event else { panic!() };
    assert_eq!(super::super::outcome(&folder, outcome).unwrap(), large);
    assert_eq!(super::super::problems(&folder, &read), []);
    // a change to it shows
    std::fs::write(folder.join("effect-1.json"), large.to_string().replace("xx", "yy")).unwrap();
    let problems = super::super::problems(&folder, &read);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].line, 3);
    assert!(problems[0].why.contains("not as it was written"), "{problems:?}");
}

#[test]
fn whatever_is_changed_in_a_record_the_line_is_named_and_nothing_after_it_is_believed() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, _) = with_large_outcome(dir.path());
    let bytes = std::fs::read(folder.join(FILE)).unwrap();
    let whole = super::super::of_bytes(&bytes);
    assert_eq!((whole.lines.len(), whole.torn, &whole.bad), (3, 0, &None));
    let ends: Vec<usize> = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    for at in 0..bytes.len() {
        let line = ends.iter().position(|end| at <= *end).unwrap() + 1;
        for bit in 0..8 {
            let mut copy = bytes.clone();
            copy[at] ^= 1 << bit;
            let read = super::super::of_bytes(&copy);
            // the end of a line joins two, or makes the last one look torn
            let named = read.bad.as_ref().map_or(if read.torn > 0 { read.lines.len() + 1 } else { 0 }, |bad| bad.line);
            assert_eq!((named, read.lines.len()), (line, line - 1), "bit {bit} of byte {at}");
        }
        // a crash leaves a part of a line, which is not believed
        let read = super::super::of_bytes(&bytes[..at]);
        let whole = ends.iter().filter(|end| at >= **end).count();
        assert_eq!((read.lines.len(), &read.bad), (whole, &None), "cut at {at}");
        assert_eq!(read.torn > 0, !(at == 0 || ends.iter().any(|end| at == *end || at == end + 1)), "cut at {at}");
    }
}

#[test]
fn a_torn_record_is_cut_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, _) = with_large_outcome(dir.path());
    let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let bytes = std::fs::read(folder.join(FILE)).unwrap();
    for cut in [1, 2, 70, 300] {
        std::fs::write(folder.join(FILE), &bytes[..bytes.len() - cut]).unwrap();
        let read = super::super::read(&folder).unwrap();
        let lines = read.lines.len();
        let mut journal = Journal::open(&folder, read).unwrap();
        journal.append(&note("on"), now).unwrap();
        let read = super::super::read(&folder).unwrap();
        assert_eq!((read.lines.len(), read.torn, &read.bad), (lines + 1, 0, &None), "{cut}");
    }
}

#[test]
fn after_a_line_that_could_not_be_written_nothing_is_appended() {
    let dir = tempfile::tempdir().unwrap();
    let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let mut journal = Journal::create(dir.path(), "drill", now).unwrap();
    journal.append(&started(), now).unwrap();
    // opened for reading: writes fail as on a disk that went away
    journal.file = File::open(&journal.path).unwrap();
    assert!(matches!(journal.append(&note("one"), now), Err(JournalError::Write { .. })));
    journal.file = OpenOptions::new().append(true).open(&journal.path).unwrap();
    assert!(matches!(journal.append(&note("two"), now), Err(JournalError::Write { .. })));
    assert_eq!(super::super::read(journal.folder()).unwrap().lines.len(), 1);
}

#[test]
fn two_runs_in_one_second_and_two_kept_files_of_one_name_do_not_collide() {
    let dir = tempfile::tempdir().unwrap();
    let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let first = Journal::create(dir.path(), "drill", now).unwrap();
    let second = Journal::create(dir.path(), "drill", now).unwrap();
    assert_ne!(first.folder(), second.folder());
    assert_eq!(first.keep("undo.sql", "a").unwrap(), first.folder().join("undo.sql"));
    assert_eq!(first.keep("undo.sql", "b").unwrap(), first.folder().join("undo.sql.2"));
    assert_eq!(std::fs::read_to_string(first.folder().join("undo.sql")).unwrap(), "a");
    // a run that died before it could record the file keeps the same one when it is resumed
    assert_eq!(first.keep("undo.sql", "a").unwrap(), first.folder().join("undo.sql"));
}
