//! The lock between operators, over real connections to a lab: who gets it, who is told what, and how it is lost.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod common;

use std::time::{Duration, Instant};

use common::Site;
use cutover::sqlserver::{AppLock, Batch, Connection, Failure, Holder, Lost, Servers, Taken, Value};

async fn taken(servers: &Servers, who: &str) -> AppLock {
    match AppLock::take(servers, "backup", "mgc", who).await.unwrap() {
        Taken::Ours(lock) => lock,
        Taken::Theirs(holder) => panic!("held by {holder}"),
    }
}

async fn holder(servers: &Servers, database: &str, who: &str) -> Holder {
    match AppLock::take(servers, "backup", database, who).await.unwrap() {
        Taken::Theirs(holder) => holder,
        Taken::Ours(lock) => panic!("nobody held {}", lock.resource()),
    }
}

/// What a third party sees of the locks: session, mode, description.
async fn locks(eyes: &mut Connection) -> Vec<(i64, String, String)> {
    let text = "SELECT request_session_id, request_mode, resource_description FROM sys.dm_tran_locks \
                WHERE resource_type = 'APPLICATION' AND resource_database_id = DB_ID('master')";
    let answer = eyes.run(&Batch::read(text)).await.unwrap();
    let cells = |row: &cutover::sqlserver::Row| match (&row[0], &row[1], &row[2]) {
        (Value::Int(session), Value::Text(mode), Value::Text(about)) => (*session, mode.clone(), about.clone()),
        other => panic!("{other:?}"),
    };
    answer.rows().iter().map(cells).collect()
}

/// Who comes second is told who was first; when that one is gone, in whichever way, the lock is free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_operator_is_told_who_the_first_one_is() {
    let site = Site::start("").await;
    let (anna, bert) = (site.servers("cutover 20260304-1"), site.servers("cutover 20260304-2"));
    let mut eyes = bert.open("backup").await.unwrap();
    let lock = taken(&anna, "anna@laptop-7").await;
    assert_eq!(lock.resource(), "cutover: mgc on DR-SQL-01\\RTC");
    lock.check().await.unwrap();
    let seen = locks(&mut eyes).await;
    let [(session, mode, about)] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(mode, "X");
    assert!(about.starts_with("0:[cutover: mgc on DR-SQL-01\\RTC]:("), "{about}");

    // another's is not waited for: what the second has looked at would be old by the time that the first is through
    let found = holder(&bert, "mgc", "bert@desk").await;
    assert_eq!(AppLock::look(&bert, "backup", "mgc").await.unwrap().as_ref(), Some(&found));
    assert_eq!((found.session, found.login.as_str()), (*session, "cutover"));
    assert_eq!(found.program, "cutover 20260304-1 by anna@laptop-7");
    assert!(found.since.is_some());
    let said = found.to_string();
    assert!(said.starts_with("`cutover 20260304-1 by anna@laptop-7`, login `cutover`"), "{said}");
    lock.check().await.unwrap();

    // a session of the same run, killed a moment ago, is: it is nobody else
    assert_eq!(AppLock::look(&anna, "backup", "mgc").await.unwrap(), None);
    let began = Instant::now();
    let own = holder(&anna, "mgc", "anna@laptop-8").await;
    assert!(began.elapsed() >= Duration::from_secs(5), "it waited for a killed run's session to end");
    assert_eq!(own.session, *session);

    lock.release().await;
    assert_eq!(locks(&mut eyes).await, []);
    let again = taken(&bert, "bert@desk").await;
    drop(again);
    // the server hears of it a moment later, and who asks for the same run waits that moment
    drop(taken(&bert, "bert@desk").await);
    site.stop([anna, bert]).await;
}

/// The lock is the server's database's, however the runbook writes it; other databases and other servers have their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_the_servers_own() {
    let site = Site::start("").await;
    let servers = site.servers("cutover 1");
    let lock = taken(&servers, "anna@laptop-7").await;
    let other = holder(&site.servers("cutover 2"), "MGC", "bert@desk").await;
    assert_eq!(other.program, "cutover 1 by anna@laptop-7");
    for (key, database, resource) in
        [("backup", "mgccomp", "cutover: mgccomp on DR-SQL-01\\RTC"), ("backup_mirror", "mgc", "cutover: mgc on DR-SQL-02\\RTC")]
    {
        let Taken::Ours(lock) = AppLock::take(&servers, key, database, "anna@laptop-7").await.unwrap() else { panic!("{key} {database}") };
        assert_eq!(lock.resource(), resource);
    }
    // a name that the view shows only half of, and a program name that is too long to be shown whole
    let long = format!("{}_%[x]", "d".repeat(60));
    let who = format!("anna@{}", "h".repeat(200));
    let Taken::Ours(odd) = AppLock::take(&servers, "backup", &long, &who).await.unwrap() else { panic!("{long}") };
    let found = holder(&site.servers("cutover 3"), &long, "bert@desk").await;
    assert_eq!(found.program.len(), 128);
    assert!(found.program.starts_with("cutover 1 by anna@hhh"), "{found}");
    drop((lock, odd));
    assert!(matches!(AppLock::take(&servers, "bakcup", "mgc", "x").await, Err(Failure::UnknownServer { .. })));
    site.stop([servers]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_whose_session_was_killed_is_lost_for_ever() {
    let site = Site::start("").await;
    let servers = site.servers("cutover 1");
    let lock = taken(&servers, "anna@laptop-7").await;
    let mut eyes = servers.open("backup").await.unwrap();
    let session = locks(&mut eyes).await[0].0;
    eyes.run(&Batch::change(format!("KILL {session}"))).await.unwrap();
    let lost = lock.check().await.unwrap_err();
    let Lost::Connection { source, .. } = &lost else { panic!("{lost:?}") };
    assert!(matches!(**source, Failure::Lost { in_doubt: false, .. }), "{source:?}");
    assert!(lost.to_string().starts_with("the lock `cutover: mgc on DR-SQL-01\\RTC` on `backup` is lost: "), "{lost}");
    // somebody else has it meanwhile: what was lost stays lost
    let theirs = taken(&site.servers("cutover 2"), "bert@desk").await;
    assert_eq!(lock.check().await.unwrap_err().to_string(), lost.to_string());
    theirs.check().await.unwrap();
    lock.release().await;
    theirs.check().await.unwrap();
    theirs.release().await;
    site.stop([servers]).await;
}

/// Proofs from many tasks at once, some of which are not waited for, leave the lock alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proofs_may_be_asked_for_from_everywhere_and_dropped() {
    let site = Site::start("").await;
    let servers = site.servers("cutover 1");
    let lock = taken(&servers, "anna@laptop-7").await;
    for _ in 0..20 {
        let hurried = tokio::time::timeout(Duration::from_micros(300), lock.check());
        let (waited, _) = tokio::join!(lock.check(), hurried);
        waited.unwrap();
    }
    lock.check().await.unwrap();
    lock.release().await;
    site.stop([servers]).await;
}
