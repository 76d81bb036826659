//! The simulated cmdlets over a socket: what they answer, what they refuse and in which words, and what they change.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::*;

/// SQL Servers that note what they are asked.
#[derive(Default)]
struct Noted {
    asked: Mutex<Vec<String>>,
    mirrored: Mutex<bool>,
    refuses: Option<&'static str>,
}

impl Instances for Noted {
    fn now(&self) -> Timestamp {
        "2026-05-01T03:00:00Z".parse().unwrap()
    }
    fn database(&self, store: &Store, _database: &str) -> Option<DatabaseView> {
        let role = if store.fqdn == "dr-sql-01.litwareinc.com" { "PRINCIPAL" } else { "MIRROR" };
        let mirroring = lock(&self.mirrored).then(|| (role.to_owned(), "SYNCHRONIZED".to_owned()));
        store.fqdn.starts_with("dr-").then(|| DatabaseView { state: Some("ONLINE".to_owned()), in_standby: false, mirroring })
    }
    fn mirror(&self, principal: &Store, mirror: &Store, database: &str, drop: bool) -> Result<(), String> {
        lock(&self.asked).push(format!("mirror {database} {} {} {drop}", principal.fqdn, mirror.fqdn));
        *lock(&self.mirrored) = self.refuses.is_none();
        self.refuses.map_or(Ok(()), |text| Err(text.to_owned()))
    }
    fn fail_over(&self, principal: &Store, mirror: &Store, database: &str) -> Result<(), String> {
        lock(&self.asked).push(format!("fail over {database} {} {}", principal.fqdn, mirror.fqdn));
        if *lock(&self.mirrored) { Ok(()) } else { Err(format!("Database \"{database}\" is not in a synchronized mirroring session.")) }
    }
    fn unmirror(&self, principal: &Store, mirror: &Store, database: &str, drop: bool) -> Result<(), String> {
        lock(&self.asked).push(format!("unmirror {database} {} {} {drop}", principal.fqdn, mirror.fqdn));
        *lock(&self.mirrored) = false;
        Ok(())
    }
}

struct Lab {
    shell: Arc<Shell>,
    instances: Arc<Noted>,
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

impl Lab {
    async fn with(faults: Vec<ShellFault>, options: ShellOptions, instances: Noted) -> Self {
        let instances = Arc::new(instances);
        let options = ShellOptions { faults, ..options };
        let shell = Shell::new(options, ChatSite::default(), Arc::clone(&instances) as Arc<dyn Instances>);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(Arc::clone(&shell).serve(listener));
        let stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        Self { shell, instances, stream, address }
    }

    async fn stock() -> Self {
        Self::broken(Vec::new()).await
    }

    async fn broken(faults: Vec<ShellFault>) -> Self {
        Self::with(faults, ShellOptions { pace: 0.0, ..ShellOptions::default() }, Noted::default()).await
    }

    async fn ask(&mut self, request: &Request) -> Vec<Answer> {
        let line = format!("{}\n", bridge::to_line(request));
        self.stream.get_mut().write_all(line.as_bytes()).await.unwrap();
        let mut answers = Vec::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await.unwrap() == 0 {
                return answers;
            }
            assert!(line.is_ascii());
            let answer: Answer = bridge::from_line(&line).unwrap();
            let done = matches!(answer, Answer::Done { .. } | Answer::Refused { .. });
            answers.push(answer);
            if done {
                return answers;
            }
        }
    }

    /// The call's answers in one text: objects as JSON, errors as `id: message`, `!` before a terminating one.
    async fn call(&mut self, cmdlet: &str, parameters: Value) -> String {
        let parameters = bridge::guard(parameters.as_object().unwrap()).unwrap();
        let request = Request::Invoke { id: 1, cmdlet: cmdlet.to_owned(), parameters, depth: 4 };
        let answers = self.ask(&request).await;
        let mut told = Vec::new();
        let mut ended = false;
        for answer in answers {
            match answer {
                Answer::Output { value } => told.push(value.to_string()),
                Answer::Error(r) if r.terminating => told.push(format!("!{}: {}", r.error_id, r.message)),
                Answer::Error(r) => told.push(format!("{}: {}", r.error_id, r.message)),
                Answer::Verbose { message } => told.push(format!("v {message}")),
                Answer::Done { ok, .. } => {
                    assert_eq!(ok, !told.iter().any(|text| text.starts_with('!')));
                    ended = true;
                }
                other => told.push(format!("{other:?}")),
            }
        }
        if !ended {
            told.push("ended".to_owned());
        }
        told.join("\n")
    }

    async fn state(&mut self) -> Value {
        let told = self.call("Get-CsPersistentChatState", json!({})).await;
        serde_json::from_str::<Value>(told.lines().next().unwrap()).unwrap()["PoolState"].clone()
    }
}

const POOL: &str = "Service:PersistentChatServer:atl-cs-001.litwareinc.com";

#[tokio::test]
async fn hello_tells_what_the_shell_is_and_knows_one_module() {
    let mut lab = Lab::stock().await;
    let told = lab.ask(&Request::Hello { module: "lync".to_owned(), cmdlets: Vec::new() }).await;
    assert!(matches!(&told[0], Answer::Hello(hello) if hello.module == "lync" && hello.elevated == Some(true)));
    assert_eq!(told[1], Answer::Done { id: 0, ok: true });
    let told = lab.ask(&Request::Hello { module: "SkypeForBusiness".to_owned(), cmdlets: Vec::new() }).await;
    assert!(matches!(&told[0], Answer::Error(r) if r.error_id.starts_with("Modules_ModuleNotFound")));
    assert_eq!(told[1], Answer::Done { id: 0, ok: false });
    let mut lab = Lab::broken(vec![ShellFault::ModuleMissing]).await;
    assert_eq!(lab.ask(&Request::Hello { module: "Lync".to_owned(), cmdlets: Vec::new() }).await.len(), 2);
}

#[tokio::test]
async fn the_documented_failover_ends_as_documented() {
    let mut lab = Lab::stock().await;
    assert_eq!(lab.state().await, "Normal");
    let told = lab
        .call(
            "Set-CsPersistentChatState",
            json!({ "Identity": "service:atl-cs-001.litwareinc.com", "PoolState": "FailedOver", "Confirm": false }),
        )
        .await;
    assert_eq!(told, "");
    assert_eq!(lab.state().await, "FailedOver");
    let mirror = json!({
        "DatabaseType": "PersistentChat", "SqlServerFqdn": "DR-SQL-01.litwareinc.com", "SqlInstanceName": "rtc",
        "FileShare": r"\\dr-fs-01\mirror", "Confirm": false
    });
    assert_eq!(lab.call("Install-CsMirrorDatabase", mirror).await, "");
    assert_eq!(
        lab.call("Get-CsDatabaseMirrorState", json!({ "PoolFqdn": "atl-cs-001.litwareinc.com" })).await,
        r#"{"DatabaseName":"mgc","StateOnPrimary":"Principal","StateOnMirror":"Mirror","MirroringStatusOnPrimary":"synchronized","MirroringStatusOnSecondary":"synchronized"}"#
    );
    let list = json!({ "ActiveServers": {
        "Add": ["dr-chat-01.litwareinc.com", "dr-chat-02.litwareinc.com"],
        "Remove": ["atl-chat-01.litwareinc.com", "ATL-chat-02.litwareinc.com"]
    } });
    assert_eq!(lab.call("Set-CsPersistentChatActiveServer", list).await, "");
    assert_eq!(
        lab.shell.pool(),
        json!({
            "state": "FailedOver",
            "turned_to": "ONLINE",
            "active_servers": ["sea-chat-01.litwareinc.com", "dr-chat-01.litwareinc.com", "dr-chat-02.litwareinc.com"]
        })
    );
    assert_eq!(*lock(&lab.instances.asked), ["mirror mgc dr-sql-01.litwareinc.com dr-sql-02.litwareinc.com false"]);
}

#[tokio::test]
async fn every_printed_spelling_of_the_identity_means_the_pool() {
    let mut lab = Lab::stock().await;
    for identity in [
        "service:atl-cs-001.litwareinc.com",
        "service: atl-cs-001.litwareinc.com",
        "PersistentChatServer:ATL-CS-001.litwareinc.com",
        "service:PersistentChatServer:atl-cs-001.litwareinc.com",
        POOL,
    ] {
        let told = lab.call("Get-CsPersistentChatState", json!({ "Identity": identity })).await;
        assert_eq!(told, format!(r#"{{"Identity":"{POOL}","PoolState":"Normal"}}"#), "{identity}");
    }
    for identity in ["atl-cs-001.litwareinc.com", "service:atl-chat-01.litwareinc.com", "service:", "é", ""] {
        let told = lab.call("Get-CsPersistentChatState", json!({ "Identity": identity })).await;
        assert!(told.starts_with("ObjectNotFound,Get-CsPersistentChatState: "), "{identity}: {told}");
    }
    let all = lab.call("Get-CsPersistentChatState", json!({ "Filter": "*:SEA-*" })).await;
    assert_eq!(all, r#"{"Identity":"Service:PersistentChatServer:sea-cs-001.litwareinc.com","PoolState":"Normal"}"#);
}

#[tokio::test]
async fn the_binder_refuses_in_powershells_words() {
    let mut lab = Lab::stock().await;
    for (cmdlet, parameters, expected) in [
        (
            "Get-CsPersistentChatActiveServer",
            json!({}),
            "!CommandNotFoundException: The term 'Get-CsPersistentChatActiveServer' is not recognized as the name of a cmdlet, function, script file, or operable program. Check the spelling of the name, or if a path was included, verify that the path is correct and try again.",
        ),
        (
            "Set-CsPersistentChatState",
            json!({ "PoolStaet": "Normal" }),
            "!NamedParameterNotFound,Set-CsPersistentChatState: A parameter cannot be found that matches parameter name 'PoolStaet'.",
        ),
        (
            "Set-CsPersistentChatState",
            json!({ "In": "x" }),
            "!AmbiguousParameter,Set-CsPersistentChatState: Parameter cannot be processed because the parameter name 'In' is ambiguous. Possible matches include: -Instance -InformationAction -InformationVariable.",
        ),
        (
            "Set-CsPersistentChatState",
            json!({ "PoolState": "Down" }),
            "!CannotConvertArgumentNoMessage,Set-CsPersistentChatState: Cannot bind parameter 'PoolState'. Cannot convert value \"Down\" to type \"PoolState\". Error: \"Unable to match the identifier name Down to a valid enumerator name. Specify one of the following enumerator names and try again: Normal, FailedOver\"",
        ),
        (
            "Set-CsPersistentChatState",
            json!({ "Force": "yes" }),
            "!CannotConvertArgumentNoMessage,Set-CsPersistentChatState: Cannot bind parameter 'Force'. Cannot convert value \"yes\" to type \"System.Management.Automation.SwitchParameter\". Error: \"Boolean parameters accept only Boolean values and numbers, such as $True, $False, 1 or 0.\"",
        ),
        (
            "Set-CsPersistentChatActiveServer",
            json!({}),
            "!MissingMandatoryParameter,Set-CsPersistentChatActiveServer: Cannot process command because of one or more missing mandatory parameters: ActiveServers.",
        ),
        (
            "Set-CsPersistentChatActiveServer",
            json!({ "Swap": true, "ActiveServers": null }),
            "!AmbiguousParameterSet,Set-CsPersistentChatActiveServer: Parameter set cannot be resolved using the specified named parameters.",
        ),
        (
            "Install-CsMirrorDatabase",
            json!({ "DatabaseType": "PersistentChat", "Confirm": false }),
            "!MissingMandatoryParameter,Install-CsMirrorDatabase: Cannot process command because of one or more missing mandatory parameters: FileShare SqlServerFqdn.",
        ),
        (
            "Install-CsMirrorDatabase",
            json!({ "FileShare": null }),
            "!ParameterArgumentValidationErrorNullNotAllowed,Install-CsMirrorDatabase: Cannot bind argument to parameter 'FileShare' because it is null.",
        ),
        (
            "Install-CsMirrorDatabase",
            json!({ "FileShare": "" }),
            "!ParameterArgumentValidationErrorEmptyStringNotAllowed,Install-CsMirrorDatabase: Cannot bind argument to parameter 'FileShare' because it is an empty string.",
        ),
        ("Enable-CsTopology", json!({}), "!NotSimulated,Enable-CsTopology: The lab does not simulate Enable-CsTopology."),
    ] {
        assert_eq!(lab.call(cmdlet, parameters).await, expected);
    }
    assert_eq!(lab.state().await, "Normal");
    let told = lab.call("get-cspersistentchatstate", json!({ "id": POOL, "Local": true })).await;
    assert!(told.starts_with('{'), "{told}");
    let refused = lab.ask(&Request::Invoke { id: 3, cmdlet: "C:\\x.exe".into(), parameters: Map::new(), depth: 1 }).await;
    assert!(matches!(&refused[..], [Answer::Refused { .. }]));
}

#[tokio::test]
async fn a_question_cannot_be_answered_and_nothing_is_changed() {
    let mut lab = Lab::stock().await;
    let asks = "Windows PowerShell is in NonInteractive mode. Read and Prompt functionality is not available.";
    let mut mirror = json!({
        "DatabaseType": "PersistentChat", "SqlServerFqdn": "dr-sql-01.litwareinc.com", "SqlInstanceName": "RTC",
        "FileShare": r"\\dr-fs-01\mirror"
    });
    let told = lab.call("Install-CsMirrorDatabase", mirror.clone()).await;
    assert_eq!(told, format!("!InvalidOperation,Install-CsMirrorDatabase: {asks}"));
    mirror["WhatIf"] = json!(true);
    assert_eq!(lab.call("Install-CsMirrorDatabase", mirror).await, "");
    assert!(lock(&lab.instances.asked).is_empty());
    let state = json!({ "Identity": POOL, "PoolState": "FailedOver", "Confirm": true });
    assert_eq!(lab.call("Set-CsPersistentChatState", state).await, format!("!InvalidOperation,Set-CsPersistentChatState: {asks}"));
    assert_eq!(lab.state().await, "Normal");
}

#[tokio::test]
async fn a_forgotten_pool_state_means_normal() {
    let mut lab = Lab::stock().await;
    let over = json!({ "Identity": POOL, "PoolState": "failed" });
    assert_eq!(lab.call("Set-CsPersistentChatState", over).await, "");
    assert_eq!(lab.state().await, "FailedOver");
    assert_eq!(lab.call("Set-CsPersistentChatState", json!({ "Identity": POOL })).await, "");
    assert_eq!(lab.state().await, "Normal");
    let told =
        lab.call("Set-CsPersistentChatState", json!({ "Identity": "service:sea-cs-001.litwareinc.com", "PoolState": "FailedOver" })).await;
    assert_eq!(
        told,
        "NoBackupDatabase,Set-CsPersistentChatState: The topology defines no backup database for pool \"sea-cs-001.litwareinc.com\"."
    );
}

#[tokio::test]
async fn the_active_list_is_one_for_all_pools() {
    for (parameters, expected) in [
        (json!({ "ActiveServers": null }), json!([])),
        (json!({ "ActiveServers": ["dr-chat-01.litwareinc.com"] }), json!(["dr-chat-01.litwareinc.com"])),
        (json!({ "ActiveServers": { "replace": "dr-chat-01.litwareinc.com" } }), json!(["dr-chat-01.litwareinc.com"])),
        (
            json!({ "ActiveServers": { "Add": "dr-chat-01.litwareinc.com" }, "Identity": "global" }),
            json!(["atl-chat-01.litwareinc.com", "atl-chat-02.litwareinc.com", "sea-chat-01.litwareinc.com", "dr-chat-01.litwareinc.com"]),
        ),
        (
            json!({ "Swap": true, "Identity": "PersistentChatServer:atl-cs-001.litwareinc.com" }),
            json!(["sea-chat-01.litwareinc.com", "dr-chat-01.litwareinc.com", "dr-chat-02.litwareinc.com"]),
        ),
        (json!({ "Swap": true, "Identity": "PChatServerCollection" }), json!(["dr-chat-01.litwareinc.com", "dr-chat-02.litwareinc.com"])),
    ] {
        let mut lab = Lab::stock().await;
        assert_eq!(lab.call("Set-CsPersistentChatActiveServer", parameters.clone()).await, "", "{parameters}");
        assert_eq!(lab.shell.pool()["active_servers"], expected, "{parameters}");
        let told = lab.call("Get-CsService", json!({ "PersistentChatServer": true, "PoolFqdn": "atl-cs-001.litwareinc.com" })).await;
        let service: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(service["ActiveServers"], expected);
    }
    let mut lab = Lab::stock().await;
    let told = lab.call("Set-CsPersistentChatActiveServer", json!({ "ActiveServers": { "Add": "dr-chat-1.litwareinc.com" } })).await;
    assert_eq!(
        told,
        "UnknownServer,Set-CsPersistentChatActiveServer: \"dr-chat-1.litwareinc.com\" is not a Persistent Chat server in the topology."
    );
    let told = lab.call("Set-CsPersistentChatActiveServer", json!({ "ActiveServers": { "Plus": "a.b" } })).await;
    assert!(told.starts_with("!CannotConvertArgumentNoMessage"), "{told}");
    assert_eq!(lab.shell.pool()["active_servers"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn the_topology_tells_the_stores_of_a_pool() {
    let mut lab = Lab::stock().await;
    let told: Value = serde_json::from_str(&lab.call("Get-CsTopology", json!({})).await).unwrap();
    let pool = &told["PersistentChatPools"][0];
    assert_eq!(pool["PoolFqdn"], "atl-cs-001.litwareinc.com");
    assert_eq!(pool["BackupStore"], json!({ "SqlServerFqdn": "dr-sql-01.litwareinc.com", "SqlInstanceName": "RTC" }));
    assert_eq!(pool["BackupMirrorStore"]["SqlServerFqdn"], "dr-sql-02.litwareinc.com");
    let xml = lab.call("Get-CsTopology", json!({ "AsXml": true })).await;
    assert!(xml.contains(r#"<Store Usage=\"Backup\" Fqdn=\"dr-sql-01.litwareinc.com\" Instance=\"RTC\" />"#), "{xml}");
    let databases = lab.call("Get-CsService", json!({ "PersistentChatDatabase": true })).await;
    let backup: Value = serde_json::from_str(databases.lines().nth(1).unwrap()).unwrap();
    assert_eq!(backup["Identity"], r"PersistentChatDatabase:dr-sql-01.litwareinc.com\RTC");
    assert_eq!(backup["SqlInstanceName"], "RTC");
    let pools = lab.call("Get-CsPool", json!({ "Site": "Seattle" })).await;
    assert!(pools.contains("sea-chat-01.litwareinc.com") && pools.lines().count() == 1, "{pools}");
    let management = lab.call("Get-CsService", json!({ "CentralManagement": true })).await;
    assert!(management.contains("CentralManagement:dr-fe-01.litwareinc.com"), "{management}");
    assert_eq!(lab.call("Get-CsService", json!({ "MediationServer": true })).await, "");
}

#[tokio::test]
async fn a_change_reaches_the_replicas_that_are_up_after_a_while() {
    let options =
        ShellOptions { pace: 1.0, read_seconds: 0.0, change_seconds: 0.0, replication_seconds: 3600.0, ..ShellOptions::default() };
    let mut lab = Lab::with(Vec::new(), options, Noted::default()).await;
    let up_to_date = async |lab: &mut Lab| -> Vec<bool> {
        let told = lab.call("Get-CsManagementStoreReplicationStatus", json!({})).await;
        told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["UpToDate"] == true).collect()
    };
    assert_eq!(up_to_date(&mut lab).await, [true; 5]);
    let over = json!({ "Identity": POOL, "PoolState": "FailedOver" });
    lab.call("Set-CsPersistentChatState", over.clone()).await;
    assert_eq!(up_to_date(&mut lab).await, [false; 5]);
    let local = lab.call("Get-CsPersistentChatState", json!({ "Identity": POOL, "LocalStore": true })).await;
    assert!(local.contains("Normal"), "{local}");

    let stuck = ShellFault::ReplicaStuck { server: "dr-chat-02.litwareinc.com".to_owned() };
    let mut lab = Lab::broken(vec![stuck]).await;
    lab.call("Set-CsPersistentChatState", over).await;
    assert_eq!(up_to_date(&mut lab).await, [false, false, true, false, true]);
    let one = lab.call("Get-CsManagementStoreReplicationStatus", json!({ "ReplicaFqdn": "dr-chat-01.litwareinc.com" })).await;
    assert!(one.contains(r#""UpToDate":true"#) && one.lines().count() == 1, "{one}");
    let master = lab.call("Get-CsManagementStoreReplicationStatus", json!({ "CentralManagementStoreStatus": true })).await;
    assert!(master.contains(r#""ActiveMasterFqdn":"dr-fe-01.litwareinc.com""#), "{master}");
}

#[tokio::test]
async fn mirroring_is_refused_where_the_topology_or_sql_server_refuses_it() {
    let call = |changes: Value| {
        let mut parameters = json!({
            "DatabaseType": "PersistentChat", "SqlServerFqdn": "dr-sql-01.litwareinc.com", "SqlInstanceName": "RTC",
            "FileShare": r"\\dr-fs-01\mirror", "Confirm": false
        });
        for (name, value) in changes.as_object().unwrap() {
            parameters[name] = value.clone();
        }
        parameters
    };
    let mut lab = Lab::stock().await;
    for (changes, expected) in [
        (
            json!({ "SqlServerFqdn": "dr-sql-02.litwareinc.com" }),
            r#"StoreNotInTopology,Install-CsMirrorDatabase: The topology has no SQL store "dr-sql-02.litwareinc.com\RTC"."#,
        ),
        (
            json!({ "SqlServerFqdn": "sea-sql-01.litwareinc.com" }),
            r#"NoMirrorInTopology,Install-CsMirrorDatabase: The topology defines no mirror for the SQL store "sea-sql-01.litwareinc.com\RTC"."#,
        ),
        (
            json!({ "FileShare": r"D:\mirror" }),
            r#"!ParameterArgumentValidationError,Install-CsMirrorDatabase: Cannot validate argument on parameter 'FileShare'. The argument "D:\mirror" is not a UNC path."#,
        ),
        (
            json!({ "DatabaseType": "Archiving" }),
            "DatabaseNotInTopology,Install-CsMirrorDatabase: The topology has no database of type Archiving on this SQL Server.",
        ),
        (json!({ "ErrorAction": "SilentlyContinue", "DatabaseType": "Archiving" }), ""),
        (
            json!({ "ErrorAction": "Stop", "DatabaseType": "Archiving" }),
            "!DatabaseNotInTopology,Install-CsMirrorDatabase: The topology has no database of type Archiving on this SQL Server.",
        ),
        (
            json!({ "SqlServerFqdn": "dr sql" }),
            "!CannotConvertArgumentNoMessage,Install-CsMirrorDatabase: Cannot bind parameter 'SqlServerFqdn'. Cannot convert value \"dr sql\" to type \"Microsoft.Rtc.Management.Deploy.Fqdn\". Error: \"The value is not a fully qualified domain name.\"",
        ),
    ] {
        assert_eq!(lab.call("Install-CsMirrorDatabase", call(changes)).await, expected);
    }
    assert!(lock(&lab.instances.asked).is_empty());

    let refusing = Noted { refuses: Some("Database mgc is not ONLINE."), ..Noted::default() };
    let mut lab = Lab::with(Vec::new(), ShellOptions { pace: 0.0, ..ShellOptions::default() }, refusing).await;
    let told = lab.call("Install-CsMirrorDatabase", call(json!({ "DropExistingDatabasesOnMirror": true, "Verbose": true }))).await;
    assert_eq!(
        told,
        "v Database mgc: primary dr-sql-01.litwareinc.com\\RTC, mirror dr-sql-02.litwareinc.com\\RTC.\n\
         MirroringFailed,Install-CsMirrorDatabase: Database mgc is not ONLINE."
    );
    assert_eq!(*lock(&lab.instances.asked), ["mirror mgc dr-sql-01.litwareinc.com dr-sql-02.litwareinc.com true"]);
    let state = lab.call("Get-CsDatabaseMirrorState", json!({ "PoolFqdn": "atl-cs-001.litwareinc.com" })).await;
    assert!(state.contains("DatabaseInaccessibleOrMirroringNotEnabled"), "{state}");
    let off = json!({ "DatabaseType": "PersistentChat", "SqlServerFqdn": "dr-sql-01.litwareinc.com", "SqlInstanceName": "RTC" });
    assert_eq!(lab.call("Uninstall-CsMirrorDatabase", off.clone()).await, "");
    let test = lab.call("Test-CsDatabase", off).await;
    assert!(test.contains(r#""Succeed":true"#), "{test}");
}

#[tokio::test]
async fn services_of_a_lost_server_cannot_be_asked() {
    let mut lab = Lab::stock().await;
    let of = |name: &str| json!({ "ComputerName": name, "Name": "rtcchat" });
    let lost = lab.call("Get-CsWindowsService", of("atl-chat-01.litwareinc.com")).await;
    assert_eq!(
        lost,
        "CannotOpenServiceManager,Get-CsWindowsService: Cannot open Service Control Manager on computer 'atl-chat-01.litwareinc.com'. This operation might require other privileges."
    );
    for (cmdlet, status) in [("Stop-CsWindowsService", "Stopped"), ("Start-CsWindowsService", "Running")] {
        assert_eq!(lab.call(cmdlet, of("DR-chat-01.litwareinc.com")).await, "");
        let told = lab.call("Get-CsWindowsService", of("dr-chat-01.litwareinc.com")).await;
        assert!(told.contains(&format!(r#""Status":"{status}""#)), "{told}");
    }
}

#[tokio::test]
async fn faults_strike_the_call_they_name() {
    let fails = |nth, changed, terminating| ShellFault::CmdletFails {
        cmdlet: "set-cspersistentchatstate".to_owned(),
        nth,
        message: Some("Zürich is down.".to_owned()),
        changed,
        terminating,
    };
    let over = json!({ "Identity": POOL, "PoolState": "FailedOver" });
    for (fault, expected, state) in [
        (fails(Some(1), false, true), "!ProcessingFailed,Set-CsPersistentChatState: Zürich is down.", "Normal"),
        (fails(None, true, false), "ProcessingFailed,Set-CsPersistentChatState: Zürich is down.", "FailedOver"),
        (fails(Some(2), false, true), "", "FailedOver"),
        (
            ShellFault::CmsReadOnly,
            "StoreUnavailable,Set-CsPersistentChatState: Cannot open the Central Management store for writing: the database server cannot be reached.",
            "Normal",
        ),
    ] {
        let mut lab = Lab::broken(vec![fault]).await;
        assert_eq!(lab.call("Set-CsPersistentChatState", over.clone()).await, expected);
        assert_eq!(lab.state().await, state);
    }
    for (changed, state) in [(false, "Normal"), (true, "FailedOver")] {
        let dies = ShellFault::ShellDies { cmdlet: "Set-CsPersistentChatState".to_owned(), nth: None, changed };
        let mut lab = Lab::broken(vec![dies]).await;
        assert_eq!(lab.call("Set-CsPersistentChatState", over.clone()).await, "ended");
        lab.stream = BufReader::new(TcpStream::connect(lab.address).await.unwrap());
        assert_eq!(lab.state().await, state);
    }
}

#[tokio::test]
async fn a_shell_that_is_killed_early_changes_nothing() {
    let slow = ShellFault::CmdletSlow { cmdlet: "Set-CsPersistentChatState".to_owned(), nth: Some(1), seconds: 86_400.0 };
    let mut lab =
        Lab::with(vec![slow], ShellOptions { read_seconds: 0.0, change_seconds: 0.0, ..ShellOptions::default() }, Noted::default()).await;
    let parameters = bridge::guard(json!({ "Identity": POOL, "PoolState": "FailedOver" }).as_object().unwrap()).unwrap();
    let request = Request::Invoke { id: 1, cmdlet: "Set-CsPersistentChatState".to_owned(), parameters, depth: 4 };
    let line = format!("{}\n", bridge::to_line(&request));
    lab.stream.get_mut().write_all(line.as_bytes()).await.unwrap();
    while lab.shell.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    lab.stream = BufReader::new(TcpStream::connect(lab.address).await.unwrap());
    assert_eq!(lab.state().await, "Normal");
}

#[tokio::test]
async fn every_call_is_recorded_with_its_plain_parameters_and_errors() {
    let mut lab = Lab::stock().await;
    lab.call("Get-CsPersistentChatState", json!({ "Filter": "2026-05-01*" })).await;
    lab.call("set-cspersistentchatstate", json!({ "PoolState": "Down", "List": ["a"] })).await;
    let mut written = Vec::new();
    lab.shell.write_calls(&mut written).unwrap();
    assert_eq!(
        String::from_utf8(written).unwrap(),
        "{\"n\":1,\"at\":\"2026-05-01T03:00:00Z\",\"cmdlet\":\"Get-CsPersistentChatState\",\"parameters\":{\"Filter\":\"2026-05-01*\"},\"errors\":[]}\n\
         {\"n\":2,\"at\":\"2026-05-01T03:00:00Z\",\"cmdlet\":\"set-cspersistentchatstate\",\"parameters\":{\"PoolState\":\"Down\",\"List\":[\"a\"]},\"errors\":[\"CannotConvertArgumentNoMessage,Set-CsPersistentChatState\"]}\n"
    );
}

#[tokio::test]
async fn an_object_that_was_read_can_be_given_back_changed() {
    let mut lab = Lab::stock().await;
    let read: Value = serde_json::from_str(lab.call("Get-CsPersistentChatState", json!({})).await.lines().next().unwrap()).unwrap();
    let mut changed = read.clone();
    changed["PoolState"] = json!("FailedOver");
    assert_eq!(lab.call("Set-CsPersistentChatState", json!({ "Instance": changed })).await, "");
    assert_eq!(lab.state().await, "FailedOver");
    assert_eq!(lab.call("Set-CsPersistentChatState", json!({ "Instance": read, "PoolState": "FailedOver" })).await, "");
    assert_eq!(lab.state().await, "FailedOver");
    let told = lab.call("Set-CsPersistentChatState", json!({ "Instance": read, "Identity": POOL })).await;
    assert!(told.starts_with("!AmbiguousParameterSet"), "{told}");
}

#[tokio::test]
async fn a_management_store_that_went_down_is_failed_over_to_its_backup() {
    let mut lab = Lab::broken(vec![ShellFault::CmsReadOnly]).await;
    let over = json!({ "Identity": POOL, "PoolState": "FailedOver" });
    let told = lab.call("Set-CsPersistentChatState", over.clone()).await;
    assert!(told.starts_with("StoreUnavailable,Set-CsPersistentChatState"), "{told}");
    let told = lab.call("Get-CsManagementStoreReplicationStatus", json!({ "CentralManagementStoreStatus": true })).await;
    assert!(told.contains("atl-fe-01.litwareinc.com"), "{told}");
    for (parameters, expected) in [
        (json!({}), "StoreUnavailable,Invoke-CsManagementServerFailover"),
        (json!({ "BackupSqlServerFqdn": "dr-sql-01.litwareinc.com" }), "StoreNotInTopology,Invoke-CsManagementServerFailover"),
        (
            json!({ "BackupSqlServerFqdn": "dr-cms-01.litwareinc.com", "BackupSqlInstanceName": "RTC", "Restore": true }),
            "!AmbiguousParameterSet,Invoke-CsManagementServerFailover",
        ),
    ] {
        let told = lab.call("Invoke-CsManagementServerFailover", parameters).await;
        assert!(told.starts_with(expected), "{told}");
    }
    let right = json!({ "BackupSqlServerFqdn": "dr-cms-01.litwareinc.com", "BackupSqlInstanceName": "RTC" });
    assert_eq!(lab.call("Invoke-CsManagementServerFailover", right).await, "");
    assert_eq!(lab.call("Set-CsPersistentChatState", over).await, "");
    let told = lab.call("Get-CsService", json!({ "CentralManagement": true })).await;
    assert!(told.contains("CentralManagement:dr-fe-02.litwareinc.com"), "{told}");
}

#[tokio::test]
async fn a_test_message_arrives_only_where_chat_can_work() {
    let mut lab = Lab::stock().await;
    let test = json!({ "TargetFqdn": "dr-pool-01.litwareinc.com" });
    let told = lab.call("Test-CsPersistentChatMessage", test.clone()).await;
    assert!(told.contains("No Persistent Chat server answers"), "{told}");
    lab.call("Set-CsPersistentChatActiveServer", json!({ "ActiveServers": { "Add": "dr-chat-01.litwareinc.com" } })).await;
    let told = lab.call("Test-CsPersistentChatMessage", test.clone()).await;
    assert!(told.contains("has lost its connection to the database"), "{told}");
    lab.call("Set-CsPersistentChatState", json!({ "Identity": POOL, "PoolState": "FailedOver" })).await;
    let told = lab.call("Test-CsPersistentChatMessage", test.clone()).await;
    assert!(told.contains(r#""Result":"Success""#), "{told}");
    lab.call("Stop-CsWindowsService", json!({ "ComputerName": "dr-chat-01.litwareinc.com", "Name": "RTCCHAT" })).await;
    let told = lab.call("Test-CsPersistentChatMessage", test).await;
    assert!(told.contains(r#""Result":"Failure""#), "{told}");
}

#[tokio::test]
async fn a_mirrored_database_is_failed_over_to_its_other_side() {
    let mut lab = Lab::stock().await;
    lab.call("Set-CsPersistentChatState", json!({ "Identity": POOL, "PoolState": "FailedOver" })).await;
    let over =
        |principal: &str| json!({ "PoolFqdn": "atl-cs-001.litwareinc.com", "DatabaseType": "PersistentChat", "NewPrincipal": principal });
    let told = lab.call("Invoke-CsDatabaseFailover", over("Mirror")).await;
    assert!(told.starts_with("FailoverFailed,Invoke-CsDatabaseFailover: Database \"mgc\" is not in"), "{told}");
    *lock(&lab.instances.mirrored) = true;
    assert_eq!(lab.call("Invoke-CsDatabaseFailover", over("Primary")).await, "");
    assert_eq!(lab.call("Invoke-CsDatabaseFailover", over("Mirror")).await, "");
    let asked = lock(&lab.instances.asked).clone();
    assert_eq!(asked, ["fail over mgc dr-sql-01.litwareinc.com dr-sql-02.litwareinc.com"; 2]);
    let told = lab
        .call(
            "Invoke-CsDatabaseFailover",
            json!({ "PoolFqdn": "sea-cs-001.litwareinc.com", "DatabaseType": "PersistentChat", "NewPrincipal": "Mirror" }),
        )
        .await;
    assert!(told.starts_with("NoMirrorInTopology"), "{told}");
}

#[tokio::test]
async fn roles_tell_which_cmdlets_they_allow() {
    let mut lab = Lab::stock().await;
    let told = lab.call("Get-CsAdminRole", json!({ "Identity": "csPersistentChatAdministrator" })).await;
    assert!(told.contains("Set-CsPersistentChatState") && !told.contains("Install-CsMirrorDatabase"), "{told}");
    assert_eq!(lab.call("Get-CsAdminRole", json!({ "Filter": "Cs*" })).await.lines().count(), 3);
    let told = lab.call("Get-CsAdminRole", json!({ "Identity": "CsHelpDesk2" })).await;
    assert!(told.starts_with("ObjectNotFound"), "{told}");
}
