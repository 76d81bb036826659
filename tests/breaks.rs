//! Connections that break at the worst moment: what the client is told, what the server does all the same, and that the
//! statement it still carries out is found and waited for.
#![cfg(feature = "lab")]
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod common;

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{CUTOVER, Site, World};
use cutover::sqlserver::orphans::{Orphan, wait_out};
use cutover::sqlserver::{Batch, Failure, Servers, Value};

const PROGRAM: &str = "cutover 20260304-1";
const RUN: &str = "20260304-1";
const ONLINE: &str = "SELECT COUNT(*) FROM sys.databases WHERE name = 'mgc' AND state = 0 AND is_in_standby = 0";
const RECOVER: &str = "RESTORE DATABASE [mgc] WITH RECOVERY";

async fn number(servers: &Servers, text: &str) -> i64 {
    servers.run("backup", &Batch::read(text)).await.unwrap().integer().unwrap()
}

/// The next log backup that mgc waits for: the oldest in the copy folder that is not applied.
fn next_log(site: &Site) -> String {
    let mut files: Vec<String> =
        std::fs::read_dir(site.folder().join("copy")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    format!("RESTORE LOG [mgc] FROM DISK = N'D:\\LogShip\\{}' WITH NORECOVERY, STATS = 10", files[12])
}

#[track_caller]
fn assert_in_doubt(failure: &Failure) {
    assert!(matches!(failure, Failure::Lost { in_doubt: true, messages, .. } if messages.is_empty()), "{failure:?}");
}

fn never() -> bool {
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_leaves_the_change_in_force_and_the_client_in_doubt() {
    let site = Site::start("[[fault]]\nkind = \"reply-lost\"\ntext = \"with recovery\"\n").await;
    let servers = site.servers(PROGRAM);
    assert_eq!(number(&servers, ONLINE).await, 0);
    let failure = servers.run("backup", &Batch::change(RECOVER).without_limit()).await.unwrap_err();
    assert_in_doubt(&failure);
    // over before the client could ask: there is nobody to wait for
    assert!(!wait_out(&servers, "backup", RUN, &never, &|orphan| panic!("{orphan:?}")).await.unwrap());
    assert_eq!(number(&servers, ONLINE).await, 1);
    // the fault strikes once
    let again = servers.run("backup", &Batch::change(RECOVER)).await.unwrap_err();
    assert_eq!(again.number(), Some(3153));
    site.stop([servers]).await;
}

/// A batch of several statements is carried out whole, wherever in it the text stands; bound parameters change nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nth_batch_with_the_text_is_the_one_on_its_own_server_only() {
    let fault = "[[fault]]\nkind = \"reply-lost\"\nserver = \"backup_mirror\"\ntext = \"SP_ADD_SCHEDULE\"\nnth = 2\n";
    let site = Site::start(fault).await;
    let servers = site.servers(PROGRAM);
    let add = |name: &str| {
        let text =
            "PRINT 'first'; EXEC msdb.dbo.sp_add_schedule @schedule_name = @name; EXEC msdb.dbo.sp_add_schedule @schedule_name = N'b'";
        Batch::change(text).bind("name", name)
    };
    for key in ["backup", "backup", "backup_mirror"] {
        servers.run(key, &add("a")).await.unwrap();
    }
    assert_in_doubt(&servers.run("backup_mirror", &add("c")).await.unwrap_err());
    let names = Batch::read("SELECT name FROM msdb.dbo.sysschedules ORDER BY schedule_id");
    let answer = servers.run("backup_mirror", &names).await.unwrap();
    let names: Vec<&Value> = answer.rows().iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["a", "b", "c", "b"].map(|name| Value::Text(name.into())).iter().collect::<Vec<_>>());
    site.stop([servers]).await;
}

/// The statement goes on without its connection, is seen under its program name, is waited for, and takes effect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orphan_is_seen_and_waited_for_and_then_the_change_is_in_force() {
    let site = Site::start("[[fault]]\nkind = \"connection-cut\"\ntext = \"RESTORE LOG\"\nseconds = 2.0\n").await;
    let servers = site.servers(PROGRAM);
    let session = number(&servers, "SELECT @@SPID").await;
    let began = Instant::now();
    let failure = servers.run("backup", &Batch::change(next_log(&site)).without_limit()).await.unwrap_err();
    assert_in_doubt(&failure);
    assert!(began.elapsed() < Duration::from_secs(1), "the client hears of it at once");
    // the database is in use meanwhile, as under a RESTORE that has a connection
    let other = site.servers("cutover 20260304-12");
    let refused = other.run("backup", &Batch::change(RECOVER)).await.unwrap_err();
    assert_eq!(refused.number(), Some(3101));
    // another run's statements are not ours, whatever its name begins with
    assert!(!wait_out(&other, "backup", "20260304-12", &never, &|_| {}).await.unwrap());
    assert!(!wait_out(&other, "backup", "20260304", &never, &|_| {}).await.unwrap());

    let heard: Mutex<Vec<Orphan>> = Mutex::default();
    assert!(wait_out(&servers, "backup", RUN, &never, &|orphan| heard.lock().unwrap().push(orphan.clone())).await.unwrap());
    assert!(began.elapsed() >= Duration::from_secs(2));
    let heard = heard.into_inner().unwrap();
    assert!(heard.len() >= 2, "{heard:?}");
    for orphan in &heard {
        assert_eq!((orphan.session, orphan.command.as_str(), orphan.program.as_str()), (session, "RESTORE LOG", PROGRAM));
    }
    assert!(heard.is_sorted_by(|a, b| a.percent <= b.percent && a.elapsed_ms < b.elapsed_ms), "{heard:?}");
    assert!(!wait_out(&servers, "backup", RUN, &never, &|orphan| panic!("{orphan:?}")).await.unwrap());
    let end = site.stop([servers, other]).await;
    assert_eq!(end["servers"]["backup"]["databases"]["mgc"]["logs_applied"], 13);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_ends_early_when_it_is_told_to_stop() {
    let fault = "[[fault]]\nkind = \"connection-cut\"\ntext = \"sp_update_job\"\nseconds = 3.0\n";
    let site = Site::start(fault).await;
    let servers = site.servers("cutover 1 by anna@laptop-7");
    let text = "EXEC msdb.dbo.sp_update_job @job_name = N'LSCopy_PCHAT-SQL-01_mgc', @enabled = 0";
    assert_in_doubt(&servers.run("backup", &Batch::change(text)).await.unwrap_err());
    let enabled = "SELECT COUNT(*) FROM msdb.dbo.sysjobs WHERE enabled = 1";
    assert_eq!(number(&servers, enabled).await, 2, "it has not taken effect yet");
    let (looks, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let began = Instant::now();
    let hear = |orphan: &Orphan| {
        assert_eq!(orphan.command, "EXECUTE");
        looks.fetch_add(1, Ordering::SeqCst);
        stopped.store(true, Ordering::SeqCst);
    };
    assert!(wait_out(&servers, "backup", "1", &|| stopped.load(Ordering::SeqCst), &hear).await.unwrap());
    assert!(began.elapsed() < Duration::from_millis(2_500));
    assert_eq!(looks.into_inner(), 1);
    assert!(wait_out(&servers, "backup", "1", &never, &|_| {}).await.unwrap());
    assert_eq!(number(&servers, enabled).await, 1);
    site.stop([servers]).await;
}

/// What a killed orphan has not done it does not do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orphan_that_is_killed_ends_without_effect() {
    let fault = "[[fault]]\nkind = \"connection-cut\"\ntext = \"sp_update_job\"\nseconds = 60.0\n";
    let site = Site::start(fault).await;
    let servers = site.servers("cutover 1");
    let session = number(&servers, "SELECT @@SPID").await;
    let text = "EXEC msdb.dbo.sp_update_job @job_name = N'LSCopy_PCHAT-SQL-01_mgc', @enabled = 0";
    assert_in_doubt(&servers.run("backup", &Batch::change(text)).await.unwrap_err());
    servers.run("backup", &Batch::change(format!("KILL {session}"))).await.unwrap();
    let began = Instant::now();
    wait_out(&servers, "backup", "1", &never, &|_| {}).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(number(&servers, "SELECT COUNT(*) FROM msdb.dbo.sysjobs WHERE enabled = 1").await, 2);
    site.stop([servers]).await;
}

/// A process that is killed closes its sockets: the statement that runs goes on to its end, what follows it in the batch is
/// not begun; its session and its locks are there until then.
#[test]
fn a_killed_client_leaves_its_statement_going_on_and_the_rest_of_the_batch_undone() {
    let world = World::new();
    world.write("slow.toml", "restore-seconds = 3.0\ncopy-job-seconds = 0.0\n");
    let lab = world.lab(&format!("--pace 1 --scenario {}", world.path("slow.toml").display()));
    let mut files: Vec<_> = std::fs::read_dir(world.path("lab/copy")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    let runbook = world.write(
        "slow.rhai",
        &format!(
            "sql(\"backup\", `EXEC sp_getapplock @Resource = N'ours', @LockMode = 'Exclusive', @LockOwner = 'Session'; \
             RESTORE LOG mgc FROM DISK = N'D:\\LogShip\\{}' WITH NORECOVERY, STATS = 10; \
             EXEC msdb.dbo.sp_update_job @job_name = N'LSCopy_PCHAT-SQL-01_mgc', @enabled = 0`);",
            files[12].to_str().unwrap()
        ),
    );
    let mut child = Command::new(CUTOVER)
        .arg("run")
        .arg(&runbook)
        .args(["--yes", "--unchecked", "--site"])
        .arg(lab.site())
        .env("XDG_STATE_HOME", world.path("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let eyes = common::servers(&lab.site(), "eyes");
    runtime.block_on(async {
        let restoring = "SELECT COUNT(*) FROM sys.dm_exec_requests WHERE command = 'RESTORE LOG'";
        let locked = "SELECT COUNT(*) FROM sys.dm_tran_locks l JOIN sys.dm_exec_requests r ON r.session_id = l.request_session_id \
                      WHERE l.resource_type = 'APPLICATION' AND l.resource_description LIKE '0:[[]ours]:%' AND r.command = 'RESTORE LOG'";
        let sessions = "SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE program_name LIKE 'cutover %'";
        let began = Instant::now();
        while number(&eyes, restoring).await == 0 {
            assert!(child.try_wait().unwrap().is_none(), "the run ended early");
            assert!(began.elapsed() < Duration::from_secs(30), "no RESTORE");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        // the eyes of its own progress are closed with it, the session at work is not
        assert_eq!((number(&eyes, restoring).await, number(&eyes, locked).await, number(&eyes, sessions).await), (1, 1, 1));
        while number(&eyes, restoring).await == 1 {
            assert!(began.elapsed() < Duration::from_secs(30), "the RESTORE has no end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let locks = "SELECT COUNT(*) FROM sys.dm_tran_locks WHERE resource_type = 'APPLICATION'";
        assert_eq!((number(&eyes, sessions).await, number(&eyes, locks).await), (0, 0));
        eyes.close().await;
    });
    lab.stop();
    let end = world.json("lab/world.json");
    assert_eq!(end["servers"]["backup"]["databases"]["mgc"]["logs_applied"], 13);
    assert!(end["servers"]["backup"]["jobs"].as_array().unwrap().iter().all(|job| job["enabled"] == true), "{end:#}");
}
