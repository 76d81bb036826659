//! The management shell end to end: the session, its child process (this program's own relay), the socket, and the
//! simulated cmdlets behind it.
#![cfg(feature = "lab")]

use std::sync::Arc;
use std::time::Duration;

use cutover::lab::shell::{ChatSite, DatabaseView, Instances, Shell, ShellFault, ShellOptions, Store};
use cutover::powershell::{Call, Errors, Program, Reply, Session, ShellFailure};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// No SQL Server answers.
struct Nobody;

impl Instances for Nobody {
    fn now(&self) -> jiff::Timestamp {
        "2026-05-01T03:00:00Z".parse().expect("a time stamp")
    }
    fn database(&self, _: &Store, _: &str) -> Option<DatabaseView> {
        None
    }
    fn mirror(&self, _: &Store, _: &Store, _: &str, _: bool) -> Result<(), String> {
        Err("Die Verbindung zu „dr-sql-02“ wurde verweigert – 東京 😀".to_owned())
    }
    fn fail_over(&self, _: &Store, _: &Store, _: &str) -> Result<(), String> {
        Ok(())
    }
    fn unmirror(&self, _: &Store, _: &Store, _: &str, _: bool) -> Result<(), String> {
        Ok(())
    }
}

/// The shell behind the socket, and a session that reaches it through `cutover lab-shell`.
async fn lab(faults: Vec<ShellFault>) -> (Arc<Shell>, Session) {
    let options = ShellOptions {
        import_seconds: 0.0,
        read_seconds: 0.0,
        change_seconds: 0.0,
        mirror_seconds: 0.0,
        faults,
        ..ShellOptions::default()
    };
    let shell = Shell::new(options, ChatSite::default(), Arc::new(Nobody));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(Arc::clone(&shell).serve(listener));
    let session = Session::new(Program {
        program: env!("CARGO_BIN_EXE_cutover").to_owned(),
        arguments: vec!["lab-shell".to_owned(), address.to_string()],
        module: "Lync".to_owned(),
        cmdlets: Vec::new(),
        folder: None,
        hello_limit: None,
    });
    (shell, session)
}

fn call(cmdlet: &str, parameters: Value) -> Call {
    let parameters = parameters.as_object().cloned().expect("a map of parameters");
    Call::new(cmdlet, parameters, Duration::from_secs(60))
}

async fn invoke(session: &Session, cmdlet: &str, parameters: Value) -> Result<Reply, ShellFailure> {
    session.invoke(&call(cmdlet, parameters), &mut |_| {}).await
}

const POOL: &str = "service:atl-cs-001.litwareinc.com";

async fn state(session: &Session) -> Value {
    let reply = invoke(session, "Get-CsPersistentChatState", json!({ "Identity": POOL })).await.expect("a state");
    reply.objects[0]["PoolState"].clone()
}

#[tokio::test]
async fn values_of_every_kind_arrive_as_they_were_given() {
    let (shell, session) = lab(Vec::new()).await;
    let hello = session.hello().await.expect("a shell");
    assert_eq!((hello.language_mode.as_str(), hello.module.as_str()), ("FullLanguage", "Lync"));
    let mut request = call(
        "Set-CsPersistentChatActiveServer",
        json!({
            "ActiveServers": { "Add": ["dr-chat-01.litwareinc.com"], "Remove": "atl-chat-01.litwareinc.com" },
            "Identity": "global", "Confirm": false, "Verbose": true, "ErrorVariable": "=2026-05-01 „é“ 😀", "OutBuffer": 7
        }),
    );
    let reply = session.invoke(&request, &mut |_| {}).await.expect("a change");
    assert_eq!(reply.verbose, ["Active servers: atl-chat-02.litwareinc.com, sea-chat-01.litwareinc.com, dr-chat-01.litwareinc.com."]);
    assert_eq!(shell.calls()[0].parameters, request.parameters);
    request = call("Set-CsPersistentChatActiveServer", json!({ "ActiveServers": null }));
    session.invoke(&request, &mut |_| {}).await.expect("a change");
    assert_eq!(shell.pool()["active_servers"], json!([]));
    session.close().await;
}

#[tokio::test]
async fn errors_come_back_with_their_records_and_their_letters() {
    let (shell, session) = lab(Vec::new()).await;
    let mirror = json!({
        "DatabaseType": "PersistentChat", "SqlServerFqdn": "dr-sql-01.litwareinc.com", "SqlInstanceName": "RTC",
        "FileShare": r"\\dr-fs-01\mirror", "Confirm": false
    });
    let failure = invoke(&session, "Install-CsMirrorDatabase", mirror.clone()).await.expect_err("nobody answers");
    assert_eq!(failure.records()[0].message, "Die Verbindung zu „dr-sql-02“ wurde verweigert – 東京 😀");
    assert!(!failure.records()[0].terminating && !failure.in_doubt());
    let mut collecting = call("Install-CsMirrorDatabase", mirror.clone());
    collecting.errors = Errors::Collect;
    let reply = session.invoke(&collecting, &mut |_| {}).await.expect("errors beside the objects");
    assert_eq!(reply.errors.len(), 1);

    let mut asking = mirror;
    asking.as_object_mut().expect("a map").shift_remove("Confirm");
    let failure = invoke(&session, "Install-CsMirrorDatabase", asking).await.expect_err("nobody can be asked");
    assert!(failure.to_string().contains("NonInteractive"), "{failure}");
    assert_eq!(shell.calls()[2].errors, ["InvalidOperation,Install-CsMirrorDatabase"]);
}

#[tokio::test]
async fn a_call_past_its_limit_ends_the_shell_and_the_next_one_works() {
    let slow = ShellFault::CmdletSlow { cmdlet: "Set-CsPersistentChatState".to_owned(), nth: Some(1), seconds: 86_400.0 };
    let (_shell, session) = lab(vec![slow]).await;
    assert_eq!(state(&session).await, "Normal");
    let mut over = call("Set-CsPersistentChatState", json!({ "Identity": POOL, "PoolState": "FailedOver" }));
    over.time_limit = Duration::from_millis(200);
    let failure = session.invoke(&over, &mut |_| {}).await.expect_err("a day is too long");
    assert!(matches!(failure, ShellFailure::TimeLimit { in_doubt: true, .. }), "{failure}");
    assert_eq!(state(&session).await, "Normal");
    over.time_limit = Duration::from_secs(60);
    session.invoke(&over, &mut |_| {}).await.expect("a change");
    assert_eq!(state(&session).await, "FailedOver");
}

#[tokio::test]
async fn a_shell_that_dies_after_the_change_leaves_it_in_doubt() {
    let dies = ShellFault::ShellDies { cmdlet: "Set-CsPersistentChatState".to_owned(), nth: None, changed: true };
    let (_shell, session) = lab(vec![dies]).await;
    let over = json!({ "Identity": POOL, "PoolState": "FailedOver" });
    let failure = invoke(&session, "Set-CsPersistentChatState", over).await.expect_err("it dies");
    assert!(matches!(&failure, ShellFailure::Died { in_doubt: true, .. }), "{failure}");
    assert_eq!(state(&session).await, "FailedOver");
}
