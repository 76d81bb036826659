//! The documented failover from end to end: what the world, the wire and the shell show afterwards.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{World, repository};
use cutover::tsql::classify::{Class, classify};
use serde_json::Value;

/// The end of a good failover, whatever led there.
fn assert_failed_over(world: &World, folder: &str, logs: u64) {
    let end = world.json(&format!("{folder}/world.json"));
    let mgc = &end["servers"]["backup"]["databases"]["mgc"];
    assert_eq!(mgc["state"], "ONLINE", "{end:#}");
    assert_eq!(mgc["in_standby"], false);
    assert_eq!(mgc["logs_applied"], logs);
    assert_eq!(end["servers"]["backup"]["log_shipping_secondaries"], serde_json::json!([]));
    assert_eq!(end["pool"]["state"], "FailedOver");
    let active: Vec<&str> = end["pool"]["active_servers"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for server in ["dr-chat-01.litwareinc.com", "dr-chat-02.litwareinc.com"] {
        assert!(active.contains(&server), "{active:?}");
    }
    assert!(!active.iter().any(|name| name.starts_with("atl-chat")), "{active:?}");
    let mirror = &end["servers"]["backup_mirror"]["databases"]["mgc"];
    assert_eq!(mirror["state"], "RESTORING", "{end:#}");
    assert!(end["servers"]["backup"]["mirroring"]["mgc"].is_object(), "{end:#}");
}

fn statements(world: &World, file: &str) -> Vec<Value> {
    world.lines(file).into_iter().filter(|line| line["kind"] == "batch" || line["kind"] == "rpc").collect()
}

fn text(line: &Value) -> &str {
    line["text"].as_str().unwrap()
}

#[test]
fn the_stock_failover_in_the_lab_ends_as_the_document_says() {
    let world = World::new();
    let run = world.cutover("rehearse --yes --keep @/kept --pace 0 --format json").exits(0);
    assert_failed_over(&world, "kept", 24);

    let events = run.events();
    assert!(events.iter().all(|e| e["v"] == 1 && e["at"].is_string()), "every event carries its version and time");
    let steps: Vec<&str> = events.iter().filter(|e| e["event"] == "step_finished").filter_map(|e| e["step"].as_str()).collect();
    let numbered: Vec<&str> = steps.iter().copied().filter(|s| s.starts_with(|c: char| c.is_ascii_digit())).collect();
    assert_eq!(numbered.iter().map(|s| s.split('.').next().unwrap()).collect::<Vec<_>>(), ["1", "2", "3", "4", "5", "6", "7"], "{steps:?}");
    assert!(events.iter().filter(|e| e["event"] == "step_finished").all(|e| e["ms"].is_u64() && e["ok"] == true));
    let end = events.last().unwrap();
    assert_eq!((end["event"].as_str(), end["outcome"].as_str(), end["exit"].as_u64()), (Some("run_finished"), Some("done"), Some(0)));
    assert!(end["loss"]["lines"].as_array().is_some_and(|lines| lines.len() >= 3), "{end:#}");

    // the first answer comes before the first change, on the wire as in the record
    let first_answer = events.iter().find(|e| e["event"] == "answer").unwrap()["at"].as_str().unwrap().to_owned();
    let wire = statements(&world, "kept/wire.jsonl");
    let first_change =
        wire.iter().find(|line| !common::is_housekeeping(text(line)) && classify(text(line)).class == Class::Changes).unwrap();
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    assert!(at(first_change["at"].as_str().unwrap()) >= at(&first_answer), "{first_change}");

    // logs in LSN order, each once, NORECOVERY on every one
    let restores: Vec<&str> = wire.iter().map(text).filter(|t| t.starts_with("RESTORE LOG")).collect();
    assert_eq!(restores.len(), 12, "{restores:#?}");
    assert!(restores.iter().all(|t| t.contains("NORECOVERY")), "{restores:#?}");
    let mut sorted = restores.clone();
    sorted.sort_unstable();
    assert_eq!(restores, sorted, "the lab's file names sort as their LSNs");
    // headers are asked for the twelve that are not applied, and an overlap of two
    let headers: std::collections::BTreeSet<&str> = wire.iter().map(text).filter(|t| t.contains("HEADERONLY")).collect();
    assert!(headers.len() <= 14, "{headers:#?}");
    assert_eq!(wire.iter().filter(|l| text(l).contains("WITH RECOVERY")).count(), 1);

    let shell = world.lines("kept/shell.jsonl");
    let changes: Vec<&str> = shell.iter().filter_map(|l| l["cmdlet"].as_str()).filter(|c| !c.starts_with("Get-")).collect();
    assert_eq!(changes[..2], ["Set-CsPersistentChatState", "Install-CsMirrorDatabase"], "{changes:?}");
    assert!(changes[2..].iter().all(|c| *c == "Set-CsPersistentChatActiveServer") && changes.len() > 3, "{changes:?}");
}

#[test]
fn the_same_through_a_second_process_and_an_edited_copy_of_the_runbook() {
    let world = World::new();
    let lab = world.lab("--pace 0");
    // another title, an extra query, a site variable, a changed module beside it
    let stock = std::fs::read_to_string(repository("runbooks/pchat-failover.rhai")).unwrap();
    let edited = stock.replace("step(\"2. Copy any uncopied backup files", "note(`ticket ${site.vars.ticket}`);\nquery(\"backup\", \"SELECT name FROM sys.databases\");\nstep(\"2. Fetch what is missing: copy backup files");
    assert_ne!(stock, edited);
    let runbook = world.write("mine/failover.rhai", &edited);
    let module = std::fs::read_to_string(repository("stdlib/databases.rhai")).unwrap();
    world.write(
        "mine/databases.rhai",
        &module.replace("fn identity(server) {", "fn identity(server) {\n    note(`looking at ${server}, our way`);"),
    );
    let run = world.cutover(&format!("run {} --site {} --set vars.ticket=INC-7 --yes", runbook.display(), lab.site().display())).exits(0);
    let run = run.says("ticket INC-7").says("looking at backup, our way").says("2. Fetch what is missing");
    assert!(run.stdout.is_empty(), "{}", run.stdout);
    lab.stop();
    assert_failed_over(&world, "lab", 24);
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_changed_and_the_run_stops() {
    let world = World::new();
    world.cutover("rehearse --keep @/kept --pace 0").exits(3).says("nobody answered").says("nothing was changed");
    let wire = statements(&world, "kept/wire.jsonl");
    assert!(!wire.is_empty());
    let changes: Vec<&str> = wire.iter().map(text).filter(|t| !common::is_housekeeping(t) && classify(t).class == Class::Changes).collect();
    assert_eq!(changes, Vec::<&str>::new());
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let world = World::new();
    for folder in ["one", "two"] {
        world.cutover(&format!("rehearse --yes --keep @/{folder} --pace 0 --seed 7")).exits(0);
    }
    assert_eq!(world.json("one/world.json"), world.json("two/world.json"));
}

#[test]
fn a_share_that_died_with_the_site_is_for_a_person_to_decide() {
    let world = World::new();
    let lab = world.lab("--pace 0");
    std::fs::remove_dir_all(world.path("lab/share")).unwrap();
    let run = |runbook: &std::path::Path| world.cutover(&format!("run {} --site {} --yes", runbook.display(), lab.site().display()));
    run(&repository("runbooks/pchat-failover.rhai")).exits(1).says("the share cannot be read").says("nothing was changed");
    // a site that has decided so in peace time says so in its own copy of the module
    let stock = std::fs::read_to_string(repository("runbooks/pchat-failover.rhai")).unwrap();
    let decided = world.write("mine/decided.rhai", &stock);
    let module = std::fs::read_to_string(repository("stdlib/preflight.rhai")).unwrap();
    world.write("mine/preflight.rhai", &module.replace("\"default\": \"give up\"", "\"default\": \"go on without it\""));
    run(&decided).exits(0).says("the share is gone: nothing was copied");
    lab.stop();
    // the twelve that were applied and the four that had been copied
    assert_failed_over(&world, "lab", 16);
}
