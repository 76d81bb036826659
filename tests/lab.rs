//! A whole lab from outside: its folder, its sockets with verified TLS, and what it leaves behind when it stops.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use cutover::lab::{Lab, LabError, LabOptions, Scenario};
use cutover::sqlserver::{Batch, Failure, Password, Security, Servers, Target, Value};
use serde_json::Value as Json;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn options(dir: &Path, scenario: &str) -> LabOptions {
    LabOptions {
        scenario: Scenario::parse("test", &format!("bytes = 3000\n{scenario}")).unwrap(),
        seed: 7,
        pace: 0.0,
        dir: dir.to_owned(),
        listen: HERE,
        shell_program: "/opt/cutover".into(),
    }
}

/// What a client needs, read from the site file as a client would.
fn targets(lab: &Lab, password: Option<&str>) -> Servers {
    let dir = lab.site_file().parent().unwrap();
    let site: toml::Table = std::fs::read_to_string(lab.site_file()).unwrap().parse().unwrap();
    let targets = site["sql"].as_table().unwrap().iter().map(|(key, server)| {
        let port = u16::try_from(server["port"].as_integer().unwrap()).unwrap();
        let file = dir.join(server["auth"]["password"]["file"].as_str().unwrap());
        let password = password.map_or_else(|| std::fs::read_to_string(file).unwrap(), str::to_owned);
        let user = server["auth"]["user"].as_str().unwrap();
        let mut target = Target::new(key, server["server"].as_str().unwrap(), port, user, Password::known(password));
        target.security = Security::Verify { ca: Some(dir.join(server["ca"].as_str().unwrap())) };
        target.program = "cutover test".to_owned();
        target
    });
    Servers::new(targets.collect::<Vec<_>>())
}

fn lines(path: &Path) -> Vec<Json> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_is_reached_over_verified_tls_and_leaves_its_record() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::start(options(&dir.path().join("lab"), "")).await.unwrap();
    let dir = lab.site_file().parent().unwrap().to_owned();
    let servers = targets(&lab, None);

    let answer = servers.run("backup", &Batch::read("SELECT @@SERVERNAME, @@SPID")).await.unwrap();
    assert_eq!(answer.value(), Some(&Value::Text("DR-SQL-01\\RTC".into())));
    let states = servers
        .run("backup", &Batch::read("SELECT state_desc FROM sys.databases WHERE name = @db").bind("@db", Value::Text("mgc".into())))
        .await
        .unwrap();
    assert_eq!(states.value(), Some(&Value::Text("RESTORING".into())));
    let mirror = servers.run("backup_mirror", &Batch::read("SELECT COUNT(*) FROM sys.databases")).await.unwrap();
    assert_eq!(mirror.integer(), Some(4));

    let file = std::fs::read_dir(dir.join("copy")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).max().unwrap();
    let late = format!("\nRESTORE LOG mgc FROM DISK = N'D:\\LogShip\\{file}' WITH NORECOVERY");
    let failure = servers.run("backup", &Batch::change(late)).await.unwrap_err();
    let Failure::Refused { answer, .. } = &failure else { panic!("{failure:?}") };
    let told: Vec<_> = answer.messages.iter().map(|message| (message.number, message.severity, message.line)).collect();
    assert_eq!(told, [(4305, 16, 2), (3013, 16, 2)]);

    let silent = servers.run("primary", &Batch::read("SELECT 1")).await.unwrap_err();
    assert!(matches!(silent, Failure::Unreachable(_)), "{silent:?}");
    let stranger = targets(&lab, Some("wrong"));
    let refused = stranger.run("backup", &Batch::read("SELECT 1")).await.unwrap_err();
    let Failure::Login { messages, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(messages.iter().map(|message| message.number).collect::<Vec<_>>(), [18456]);
    servers.close().await;

    let last = lab.stop().await.unwrap();
    let written: Json = serde_json::from_slice(&std::fs::read(dir.join("world.json")).unwrap()).unwrap();
    assert_eq!(written, last.0);
    let mgc = &written["servers"]["backup"]["databases"]["mgc"];
    assert_eq!((&mgc["state"], &mgc["in_standby"], &mgc["logs_applied"]), (&"RESTORING".into(), &false.into(), &12.into()));
    assert!(mgc["redo_lsn"].as_str().unwrap().len() > 15);
    assert_eq!(written["servers"]["backup"]["log_shipping_secondaries"].as_array().unwrap().len(), 1);
    assert_eq!(written["servers"]["backup"]["jobs"][0]["enabled"], true);
    assert_eq!(written["pool"]["state"], "Normal");

    let wire = lines(&dir.join("wire.jsonl"));
    for (at, line) in wire.iter().enumerate() {
        assert_eq!(line["n"], at + 1);
        assert!(line["at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    }
    let restore = wire.iter().find(|line| line["text"].as_str().unwrap().contains("RESTORE LOG")).unwrap();
    assert_eq!(
        (&restore["server"], &restore["kind"], &restore["errors"]),
        (&"backup".into(), &"batch".into(), &serde_json::json!([4305, 3013]))
    );
    let bound = wire.iter().find(|line| line["params"].get("@db").is_some()).unwrap();
    assert_eq!((&bound["kind"], &bound["params"]["@db"]), (&"rpc".into(), &"mgc".into()));
    assert!(wire.iter().any(|line| line["kind"] == "login" && line["errors"] == serde_json::json!([18456])));
    assert_eq!(lines(&dir.join("shell.jsonl")), [Json::Null; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scene_is_the_same_for_the_same_seed_and_time() {
    let mut seen = Vec::new();
    for seed in [7, 7, 8] {
        let dir = tempfile::tempdir().unwrap();
        let options = LabOptions { seed, ..options(dir.path(), "now = \"2026-03-04T05:06:00Z\"\nutc-offset-minutes = -300\n") };
        let lab = Lab::start(options).await.unwrap();
        let servers = targets(&lab, None);
        let text = "SELECT first_lsn, backup_set_uuid, backup_start_date FROM msdb.dbo.backupset ORDER BY backup_set_id";
        let rows = servers.run("backup", &Batch::read(text)).await.unwrap().sets;
        let mut files = BTreeMap::new();
        for folder in ["share", "copy"] {
            for entry in std::fs::read_dir(dir.path().join(folder)).unwrap() {
                let path = entry.unwrap().path();
                files.insert(path.strip_prefix(dir.path()).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
        servers.close().await;
        lab.stop().await.unwrap();
        seen.push((rows, files));
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0].0, seen[2].0);
    assert_eq!(seen[0].1.len(), 24 + 1 + 16);
    assert!(seen[0].1.contains_key(Path::new("share/mgc_20260304050000.trn")));
}

#[tokio::test]
async fn a_folder_that_holds_a_lab_is_not_used_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("share")).unwrap();
    let refused = Lab::start(options(dir.path(), "")).await.err();
    assert!(matches!(refused, Some(LabError::Occupied { .. })));
    let nonsense = LabOptions { pace: -1.0, ..options(&dir.path().join("other"), "") };
    assert!(matches!(Lab::start(nonsense).await.err(), Some(LabError::Pace { .. })));
}

#[cfg(unix)]
#[tokio::test]
async fn the_password_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::start(options(dir.path(), "")).await.unwrap();
    let mode = std::fs::metadata(dir.path().join("password")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    lab.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_share_one_world() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::start(options(dir.path(), "")).await.unwrap();
    let one = Arc::new(targets(&lab, None));
    let two = targets(&lab, None);
    let id = one.run("backup", &Batch::read("SELECT @@SPID")).await.unwrap().integer().unwrap();
    let seen = format!("SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE session_id = {id} AND program_name = 'cutover test'");
    assert_eq!(two.run("backup", &Batch::read(seen.clone())).await.unwrap().integer(), Some(1));
    two.run("backup", &Batch::change(format!("KILL {id}"))).await.unwrap();
    assert_eq!(two.run("backup", &Batch::read(seen)).await.unwrap().integer(), Some(0));
    two.close().await;
    lab.stop().await.unwrap();
}

/// Number, severity, state, line and text of every message, and the server that each names.
fn told(answer: &cutover::sqlserver::Answer) -> Vec<(i32, u8, u8, u32, String, String)> {
    let told = |m: &cutover::sqlserver::Message| (m.number, m.severity, m.state, m.line, m.text.clone(), m.server.clone());
    answer.messages.iter().map(told).collect()
}

/// Sends 200 batches, each with messages that no other one has, and finds exactly those in the answer, in order.
async fn talk(servers: Servers, key: &'static str, name: &'static str) {
    for n in 0..200_u32 {
        let state = u8::try_from(n % 200 + 1).unwrap();
        let print = (0, 0, 1, 2, format!("{key} prints {n}"), name.to_owned());
        let info = (50000, 9, state, 3, format!("{key} says {n}"), name.to_owned());
        let mut expected = vec![print, info];
        let last = match n % 4 {
            0 => {
                expected.push((50000, 16, state, 4, format!("{key} fails {n}"), name.to_owned()));
                format!("RAISERROR (N'{key} fails {n}', 16, {state})")
            }
            1 => {
                expected.push((208, 16, 1, 4, format!("Invalid object name '{key}_{n}'."), name.to_owned()));
                // in a scope of its own: the rest of the batch is not compiled with it
                format!("EXEC (N'SELECT * FROM {key}_{n}')")
            }
            2 => format!("SELECT {n} AS n, N'{key}' AS who"),
            _ => "SELECT N'x' AS n WHERE 1 = 0".to_owned(),
        };
        let text = format!("SELECT {n} AS first\nPRINT N'{key} prints {n}'\nRAISERROR (N'{key} says {n}', 9, {state})\n{last}");
        let answer = match servers.run(key, &Batch::change(text)).await {
            Ok(answer) => {
                assert!(n % 4 > 1, "{key} {n}");
                answer
            }
            Err(Failure::Refused { answer, .. }) if n % 4 < 2 => *answer,
            Err(other) => panic!("{key} {n}: {other:?}"),
        };
        let mut found = told(&answer);
        if n % 4 == 1 {
            // the inner text counts its own lines
            found[2].3 = 4;
        }
        assert_eq!(found, expected);
        assert_eq!(answer.integer(), Some(i64::from(n)), "{key}");
        assert_eq!(answer.sets.len(), if n % 4 > 1 { 2 } else { 1 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_in_flight_at_once_keep_their_messages_apart() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::start(options(&dir.path().join("lab"), "")).await.unwrap();
    let folder = lab.site_file().parent().unwrap().join("copy");
    let mut files: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    let servers = targets(&lab, None);
    let headers = {
        // on a third connection: what a chain reads while others talk
        let mut eyes = servers.open("backup").await.unwrap();
        async move {
            let mut firsts = Vec::new();
            for file in files.iter().cycle().take(100) {
                let read = Batch::read("RESTORE HEADERONLY FROM DISK = @p").bind("p", format!("D:\\LogShip\\{file}"));
                let answer = eyes.run(&read).await.unwrap();
                assert_eq!(told(&answer), []);
                let row = &answer.rows()[0];
                let Value::Lsn(first) = row["FirstLSN"] else { panic!("{row:?}") };
                firsts.push(first);
            }
            assert!(firsts[..files.len()].is_sorted(), "each file answered for itself");
        }
    };
    let tasks = [
        tokio::spawn(talk(servers.clone(), "backup", "DR-SQL-01\\RTC")),
        tokio::spawn(talk(servers.clone(), "backup_mirror", "DR-SQL-02\\RTC")),
        tokio::spawn(headers),
    ];
    for task in tasks {
        task.await.unwrap();
    }
    servers.close().await;
    lab.stop().await.unwrap();
}
