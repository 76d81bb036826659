//! Every scenario on the stock runbook, and on runbooks with one mistake each: the right ones disappoint, and no others.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::collections::BTreeSet;

use common::{World, repository};
use cutover::lab::Scenario;

/// What disappoints: every verdict of `rehearse` is taken from its JSON.
fn disappointing(world: &World, arguments: &str, exit: i32) -> BTreeSet<String> {
    let ended = world.cutover(&format!("rehearse {arguments} --format json")).exits(exit);
    let verdicts = ended.events();
    let mut disappointing = BTreeSet::new();
    for verdict in &verdicts {
        assert_eq!(verdict["event"], "rehearsed");
        let reasons = verdict["disappointing"].as_array().unwrap();
        assert_eq!(verdict["good"].as_bool().unwrap(), reasons.is_empty(), "{verdict}");
        if !reasons.is_empty() {
            disappointing.insert(verdict["scenario"].as_str().unwrap().to_owned());
        }
    }
    disappointing
}

#[test]
fn the_stock_runbook_does_in_every_scenario_what_a_good_one_does() {
    let world = World::new();
    let ended = world.cutover("rehearse --all --format json").exits(0);
    let names: Vec<String> = ended.events().iter().map(|verdict| verdict["scenario"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, Scenario::names());
}

/// An edit of a text of the stock runbook.
type Edit = (&'static str, &'static str);

/// Those in which a good runbook goes on to step 4, but for the long one.
const GO_ON: [&str; 16] = [
    "cmdlet-fails",
    "connection-cut-at-n",
    "copy-job-running",
    "growing-file",
    "log-shipping-already-removed",
    "monitor-dead",
    "other-database-on-share",
    "quiet",
    "readers-in-standby",
    "reply-lost",
    "restore-job-interrupted",
    "several-sets-in-one-file",
    "share-vanishes-midway",
    "slow-restore",
    "two-primaries",
    "wrk-left-behind",
];

/// The stock runbook with a mistake in it, and what disappoints. Every scenario but the long one is rehearsed.
fn mistake(edits: &[Edit], expected: &[&str]) {
    let world = World::new();
    let mut text = std::fs::read_to_string(repository("runbooks/pchat-failover.rhai")).unwrap();
    for (from, to) in edits {
        assert_eq!(text.matches(from).count(), 1, "the runbook has not one `{from}`");
        text = text.replace(from, to);
    }
    world.write("mine/failover.rhai", &text);
    let scenarios: String =
        Scenario::names().iter().filter(|name| *name != "a-day-of-logs").map(|name| format!(" --scenario {name}")).collect();
    let found = disappointing(&world, &format!("@/mine/failover.rhai --all{scenarios}"), 1);
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

const RESTORE: &str = "    restore_logs(\"backup\", db, site.backups.copy_to, folder + #{ keep: \"norecovery\", alone: true,
        done_when: || databases::is_rolled_forward(\"backup\", db, server_name, chain.end_lsn) });
";
const LOOKED_AT_BEFORE: &str =
    "        log_shipping::stop_if_refused(log_chain(\"backup\", db, rescue, #{ folder_on_server: rescue_on_server }));\n";
const LEFT: &str = "    if left.gap != () || left.sets.len() > 0 { fail(";

#[test]
fn restoring_by_the_names_of_files() {
    let by_name = "    for file in backups(site.backups.copy_to, `${db}_*.trn`).files.filter(|file| file.name > facts.last_restored) {
        sql(\"backup\", \"RESTORE LOG {db} FROM DISK = @file WITH NORECOVERY\", #{ db: db, file: databases::path_in(site.backups.copy_to_on_server, file.name) });
    }
";
    mistake(&[(RESTORE, by_name)], &["other-database-on-share", "readers-in-standby", "several-sets-in-one-file", "two-primaries"]);
}

#[test]
fn recovering_without_restoring() {
    mistake(&[(RESTORE, ""), (LEFT, "    if false { fail(")], &GO_ON);
}

#[test]
fn restoring_while_readers_are_inside() {
    mistake(&[("alone: true,", "")], &["readers-in-standby"]);
}

#[test]
fn trusting_that_sql_server_can_read_what_was_copied() {
    mistake(&[(LOOKED_AT_BEFORE, "")], &["service-account-cannot-read", "shipping-dead-for-weeks"]);
}

#[test]
fn turning_the_pool_before_the_database_is_online() {
    let away = ("    pchat::fail_over(facts.pool.Identity);\n});", "});");
    let begins = "let chain = step(\"3. Apply any unapplied transaction log backups in sequence to the secondary database\", || {\n";
    let here = "let chain = step(\"3. Apply any unapplied transaction log backups in sequence to the secondary database\", || {\n    pchat::fail_over(facts.pool.Identity);\n";
    mistake(&[away, (begins, here)], &GO_ON);
}

#[test]
fn going_on_in_spite_of_a_gap() {
    let caught = (
        "        restore_logs(\"backup\", db, site.backups.copy_to, folder); // tells",
        "        try { restore_logs(\"backup\", db, site.backups.copy_to, folder); } catch (failure) { warn(`${failure}`); } // tells",
    );
    mistake(
        &[(LOOKED_AT_BEFORE, ""), caught, (LEFT, "    if false { fail(")],
        &["missing-log", "service-account-cannot-read", "shipping-dead-for-weeks", "truncated-log"],
    );
}

#[test]
fn saving_nothing_before_the_first_change() {
    mistake(
        &[("    } else if share != () {\n        copy_backups", "    } else if share != () && false {\n        copy_backups")],
        &["destination-full", "service-account-cannot-read", "share-vanishes-midway", "shipping-dead-for-weeks"],
    );
}

#[test]
fn leaving_a_log_backup_that_is_still_written() {
    mistake(&[(", wait: \"10m\" });", " });")], &["growing-file"]);
}

#[test]
fn a_site_adds_scenarios_of_its_own_and_reads_why_one_disappoints() {
    let world = World::new();
    // the same as the built-in one, with the wrong expectation
    world.write("own/quiet.toml", "[expect]\nlogs-applied = 25\n");
    world.write("own/short.toml", "logs = 13\ncopied = 1\n[expect]\nmust = [\"mgc_\"]\n");
    let ended = world.cutover("rehearse --scenario @/own/quiet.toml --scenario @/own/short.toml --keep @/kept").exits(1);
    for said in [
        "quiet ┆ done: ONLINE, 25 logs, FailedOver ┆ done: ONLINE, 24 logs, FailedOver ┆",
        "24 log backups are applied to mgc, not 25",
        "cutover rehearse --yes --scenario",
        "1 of 2 scenarios came to what a good runbook makes of them",
    ] {
        assert!(common::squeezed(&ended.stdout).contains(&common::squeezed(said)), "{said}\n{}", ended.stdout);
    }
    assert_eq!(world.json("kept/short/world.json")["servers"]["backup"]["databases"]["mgc"]["logs_applied"], 13);
    // what cannot begin is told once
    world.write("broken.rhai", "let x = ;\n");
    let broken = world.cutover("rehearse @/broken.rhai --scenario quiet --scenario reply-lost").exits(2);
    assert_eq!(broken.stdout, "");
    assert_eq!(broken.stderr.matches("cutover::script").count(), 1, "{}", broken.stderr);
}
