use super::*;

fn note(text: &str) -> Event {
    Event::Note { step: None, level: super::super::Level::Note, text: text.to_owned() }
}

#[test]
fn each_line_carries_the_hash_of_the_line_before() {
    let dir = tempfile::tempdir().unwrap();
    let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let mut journal = Journal::create(dir.path(), "drill", now).unwrap();
    assert_eq!(journal.run(), "2026-01-02T03-04-05Z-drill");
    for text in ["one", "two", "three"] {
        journal.append(&note(text), now).unwrap();
    }
    let text = std::fs::read_to_string(journal.folder().join("journal.jsonl")).unwrap();
    let mut prev = "0".repeat(64);
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["prev"], prev, "{line}");
        assert_eq!(value["at"], "2026-01-02T03:04:05.000Z");
        prev = blake3::hash(line.as_bytes()).to_hex().to_string();
    }
    assert_eq!(text.lines().count(), 3);
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
}
