//! The verdict on a rehearsal: what a scenario expects of a good runbook against what the run did to the world, as
//! `world.json`, `wire.jsonl` and `shell.jsonl` have it, and what it told. Judges no runbook by its text.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::scenario::{BACKUP, Scenario};
use super::scene::DATABASE;
use super::shell::{ChatSite, PoolState};

/// How a run may end, as `run_finished` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    Failed,
    Stopped,
    InDoubt,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::InDoubt => "in_doubt",
        }
    }
}

/// What must have become of log shipping on the backup instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shipping {
    /// its row and its jobs are gone
    Removed,
    /// its row is there, and its jobs
    Kept,
    Either,
}

/// What a good runbook makes of a scenario. Every key has the value of a failover that went well unless given.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Expect {
    /// one of these
    pub outcome: Vec<Outcome>,
    /// mgc on the backup instance: `ONLINE` (open to all), `RESTORING`, `STANDBY`, or another state
    pub database: String,
    /// at least so many log backups are applied to it in its life; all of the scenario's unless given
    pub logs_applied: Option<u32>,
    pub pool: PoolState,
    pub log_shipping: Shipping,
    /// what the run must have told somewhere: in a note, a failure, a message or the loss statement
    pub told: Vec<String>,
    /// what must have reached a server or the shell, without regard to case
    pub must: Vec<String>,
    /// what must not
    pub never: Vec<String>,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            outcome: vec![Outcome::Done],
            database: ONLINE.to_owned(),
            logs_applied: None,
            pool: PoolState::FailedOver,
            log_shipping: Shipping::Removed,
            told: Vec::new(),
            must: Vec::new(),
            never: Vec::new(),
        }
    }
}

const ONLINE: &str = "ONLINE";

/// What the run itself says of its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// as `run_finished` says it; empty: it ended without a word
    pub outcome: String,
    /// everything that was told to people
    pub told: Vec<String>,
}

/// What was expected, what happened, and in what that disappoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub expected: String,
    pub happened: String,
    /// a sentence each; none: as a good runbook does
    pub disappointing: Vec<String>,
}

/// Judges a rehearsal by what its lab left in `folder` when it stopped.
///
/// # Errors
/// A file of the lab is not there or is not as a lab writes it.
pub fn judge(scenario: &Scenario, ended: &Ended, folder: &Path) -> io::Result<Verdict> {
    let world: Value = serde_json::from_str(&fs::read_to_string(folder.join("world.json"))?)?;
    let received = [lines(&folder.join("wire.jsonl"))?, lines(&folder.join("shell.jsonl"))?].concat();
    Ok(weigh(scenario, ended, &End::of(&world), &world, &received.iter().map(text).collect::<Vec<_>>()))
}

fn lines(path: &Path) -> io::Result<Vec<Value>> {
    fs::read_to_string(path)?.lines().map(|line| serde_json::from_str(line).map_err(io::Error::from)).collect()
}

/// What a line of `wire.jsonl` or `shell.jsonl` says was asked, in lower case.
fn text(line: &Value) -> String {
    match line["cmdlet"].as_str() {
        Some(cmdlet) => format!("{cmdlet} {}", line["parameters"]),
        None => line["text"].as_str().unwrap_or_default().to_owned(),
    }
    .to_lowercase()
}

/// How the world stands at the end, as far as every scenario asks.
#[derive(Clone, Debug, PartialEq)]
struct End {
    database: String,
    logs: u64,
    pool: String,
    shipped: bool,
}

impl End {
    fn of(world: &Value) -> Self {
        let backup = &world["servers"][BACKUP];
        let database = &backup["databases"][DATABASE];
        let state = match (database["state"].as_str(), database["in_standby"].as_bool(), database["user_access"].as_str()) {
            (None, ..) => "no database",
            (Some(_), Some(true), _) => "STANDBY",
            (Some(ONLINE), _, Some(access)) if access != "MULTI_USER" => access,
            (Some(state), ..) => state,
        };
        Self {
            database: state.to_owned(),
            logs: database["logs_applied"].as_u64().unwrap_or_default(),
            pool: world["pool"]["state"].as_str().unwrap_or_default().to_owned(),
            shipped: backup["log_shipping_secondaries"].as_array().is_some_and(|rows| !rows.is_empty()),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} logs, {}", self.database, self.logs, self.pool)
    }
}

fn weigh(scenario: &Scenario, ended: &Ended, end: &End, world: &Value, received: &[String]) -> Verdict {
    let expect = &scenario.expect;
    let logs = u64::from(expect.logs_applied.unwrap_or(scenario.logs));
    let pool = format!("{:?}", expect.pool);
    let outcomes = expect.outcome.iter().map(|outcome| outcome.word()).collect::<Vec<_>>().join(" or ");
    let happened = if ended.outcome.is_empty() { "no end" } else { &ended.outcome };
    let mut disappointing = Vec::new();
    let mut unless = |good: bool, sentence: String| {
        if !good {
            disappointing.push(sentence);
        }
    };

    unless(expect.outcome.iter().any(|outcome| outcome.word() == ended.outcome), format!("the run ended: {happened}, not {outcomes}"));
    unless(end.database == expect.database, format!("{DATABASE} is {}, not {}", end.database, expect.database));
    unless(end.logs >= logs, format!("{} log backups are applied to {DATABASE}, not {logs}", end.logs));
    unless(end.pool == pool, format!("the pool is {}, not {pool}", end.pool));
    match expect.log_shipping {
        Shipping::Removed => unless(!end.shipped, "log shipping is still set up".to_owned()),
        Shipping::Kept => unless(end.shipped, "log shipping was removed, with the facts that only it knew".to_owned()),
        Shipping::Either => {}
    }
    for text in &expect.told {
        unless(ended.told.iter().any(|told| told.contains(text)), format!("nobody was told: {text}"));
    }
    let came = |text: &str| received.iter().any(|received| received.contains(&text.to_lowercase()));
    for text in &expect.must {
        unless(came(text), format!("nobody received: {text}"));
    }
    for text in &expect.never {
        unless(!came(text), format!("this was sent: {text}"));
    }

    // whatever the scenario, these are never good
    let failed_over = format!("{:?}", PoolState::FailedOver);
    unless(end.pool != failed_over || end.database == ONLINE, format!("the pool was turned to {DATABASE}, which is {}", end.database));
    if let Some(then) = world["pool"]["turned_to"].as_str() {
        unless(then == ONLINE, format!("the pool was turned to {DATABASE} while it was {then}"));
    }
    for wrong in chat(world, expect.pool) {
        unless(false, wrong);
    }
    for job in texts(&world["servers"][BACKUP]["jobs_cut"]) {
        unless(false, format!("{job} was deleted while it ran"));
    }
    for file in texts(&world["share_changed"]) {
        unless(false, format!("{file} on the share is not what it was"));
    }
    let expected = End { database: expect.database.clone(), logs, pool, shipped: false };
    Verdict { expected: format!("{outcomes}: {expected}"), happened: format!("{happened}: {end}"), disappointing }
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What is wrong with the one list of active servers.
fn chat(world: &Value, expected: PoolState) -> Vec<String> {
    let site = ChatSite::default();
    let active = texts(&world["pool"]["active_servers"]);
    let is_active = |fqdn: &str| active.iter().any(|name| name.eq_ignore_ascii_case(fqdn));
    let mut wrong = Vec::new();
    for (n, pool) in site.pools.iter().enumerate() {
        let was = |fqdn: &str| site.active.iter().any(|name| name.eq_ignore_ascii_case(fqdn));
        let here = pool.computers.iter().filter(|computer| is_active(&computer.fqdn));
        if n > 0 {
            let lost = pool.computers.iter().filter(|computer| was(&computer.fqdn) && !is_active(&computer.fqdn));
            wrong.extend(lost.map(|computer| format!("{} of {} is not active any more", computer.fqdn, pool.fqdn)));
        } else if expected == PoolState::FailedOver {
            let (up, down): (Vec<_>, Vec<_>) = here.partition(|computer| computer.up);
            if up.is_empty() {
                wrong.push(format!("no server of {} that is up is active", pool.fqdn));
            }
            wrong.extend(down.iter().map(|computer| format!("{} is active and went down with its site", computer.fqdn)));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Value {
        json!({
            "servers": { "backup": {
                "databases": { "mgc": { "state": "ONLINE", "in_standby": false, "user_access": "MULTI_USER", "logs_applied": 24 } },
                "log_shipping_secondaries": [], "jobs_cut": [],
            } },
            "pool": { "state": "FailedOver", "turned_to": "ONLINE", "active_servers": ["dr-chat-01.litwareinc.com", "SEA-chat-01.litwareinc.com"] },
            "share_changed": [],
        })
    }

    fn verdict(scenario: &str, outcome: &str, world: &Value, received: &[&str]) -> Verdict {
        let ended = Ended { outcome: outcome.to_owned(), told: vec!["error 4305: too recent".to_owned()] };
        let received: Vec<String> = received.iter().map(|text| text.to_lowercase()).collect();
        weigh(&Scenario::parse("x", scenario).unwrap(), &ended, &End::of(world), world, &received)
    }

    #[test]
    fn a_scenario_that_expects_nothing_special_expects_a_good_failover() {
        let verdict = verdict("", "done", &good(), &[]);
        assert_eq!(verdict.disappointing, Vec::<String>::new());
        assert_eq!(verdict.expected, "done: ONLINE, 24 logs, FailedOver");
        assert_eq!(verdict.happened, verdict.expected);
    }

    #[test]
    fn each_part_of_the_world_can_disappoint() {
        let mgc = "/servers/backup/databases/mgc";
        for (at, value, said) in [
            (format!("{mgc}/state"), json!("RESTORING"), "mgc is RESTORING, not ONLINE|the pool was turned to mgc, which is RESTORING"),
            (format!("{mgc}/in_standby"), json!(true), "mgc is STANDBY, not ONLINE|the pool was turned to mgc, which is STANDBY"),
            (
                format!("{mgc}/user_access"),
                json!("SINGLE_USER"),
                "mgc is SINGLE_USER, not ONLINE|the pool was turned to mgc, which is SINGLE_USER",
            ),
            (format!("{mgc}/logs_applied"), json!(23), "23 log backups are applied to mgc, not 24"),
            ("/servers/backup/log_shipping_secondaries".into(), json!([{}]), "log shipping is still set up"),
            ("/servers/backup/jobs_cut".into(), json!(["LSCopy"]), "LSCopy was deleted while it ran"),
            ("/pool/turned_to".into(), json!("RESTORING"), "the pool was turned to mgc while it was RESTORING"),
            ("/pool/state".into(), json!("Normal"), "the pool is Normal, not FailedOver"),
            (
                "/pool/active_servers".into(),
                json!(["atl-chat-01.litwareinc.com"]),
                "no server of atl-cs-001.litwareinc.com that is up is active|atl-chat-01.litwareinc.com is active and went down with its site|sea-chat-01.litwareinc.com of sea-cs-001.litwareinc.com is not active any more",
            ),
            ("/share_changed".into(), json!(["a.trn"]), "a.trn on the share is not what it was"),
        ] {
            let mut world = good();
            *world.pointer_mut(&at).unwrap() = value;
            assert_eq!(verdict("", "done", &world, &[]).disappointing.join("|"), said, "{at}");
        }
    }

    #[test]
    fn what_must_be_told_or_sent_and_what_must_not_is_looked_for() {
        let expect = "[expect]\noutcome = [\"failed\", \"stopped\"]\ntold = [\"4305\", \"a gap\"]\nmust = [\"Restore Log\"]\nnever = [\"with recovery\"]\n";
        let verdict = verdict(expect, "in_doubt", &good(), &["RESTORE DATABASE mgc WITH RECOVERY"]);
        assert_eq!(
            verdict.disappointing,
            [
                "the run ended: in_doubt, not failed or stopped",
                "nobody was told: a gap",
                "nobody received: Restore Log",
                "this was sent: with recovery"
            ]
        );
    }

    #[test]
    fn log_shipping_that_is_to_stay_is_missed() {
        let verdict = verdict("[expect]\nlog-shipping = \"kept\"\n", "done", &good(), &[]);
        assert_eq!(verdict.disappointing, ["log shipping was removed, with the facts that only it knew"]);
    }
}
