//! How a connection is protected, how its login is proved and how its port is found: what a server offers against what the
//! site says, with the lab and with servers that are no good.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod common;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Serving, Site, World, of, squeezed};
use cutover::sqlserver::error::{Tls, Unreachable};
use cutover::sqlserver::{Account, Batch, Connection, Failure, Instance, Password, Security, Target, Value};
use cutover::wire::browser::{self, Listed};
use cutover::wire::tls::{PreLogin, TlsMinimum, encrypt, kind, option, packets, read_message, read_packet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Runs a runbook that asks the server one thing; what the run says of the connection: `connected`, or the error's code.
fn asked(world: &World, lab: &Serving, set: &[&str]) -> (String, serde_json::Value) {
    world.write("book.rhai", r#"step("ask", || { query("backup", "SELECT 1 AS n"); });"#);
    let mut command = world.command(&format!("run @/book.rhai --site {} --yes --format json", lab.site().display()));
    for set in set {
        command.arg("--set").arg(set);
    }
    let ended = common::Ended::from(command.stdin(std::process::Stdio::null()).output().unwrap());
    let events = ended.events();
    match of(&events, "effect_failed").first() {
        Some(failed) => (failed["code"].as_str().unwrap().trim_start_matches("cutover::sqlserver::").to_owned(), (*failed).clone()),
        None => {
            assert_eq!(ended.code, 0, "{}", ended.stderr);
            ("connected".to_owned(), of(&events, "run_started")[0].clone())
        }
    }
}

/// The SHA-256 that the certificate of the lab's backup server has.
fn fingerprint(lab: &Serving) -> String {
    let pem = std::fs::read(lab.site().parent().unwrap().join("lab.crt")).unwrap();
    let first = &openssl::x509::X509::stack_from_pem(&pem).unwrap()[0];
    let digest = first.digest(openssl::hash::MessageDigest::sha256()).unwrap();
    digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// What a site may say, without `pin`, whose certificate is another for each lab.
const SAID: [(&str, &[&str]); 6] = [
    ("verify", &[]),
    ("1.0", &["sql.backup.tls_minimum=\"1.0\""]),
    ("trust-any", &["sql.backup.tls=trust-any"]),
    ("login-only", &["sql.backup.tls=login-only"]),
    ("off", &["sql.backup.tls=off"]),
    (
        "other pin",
        &["sql.backup.tls=pin", "sql.backup.certificate=\"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""],
    ),
];

/// What a server offers (nothing wrong: ``), what becomes of each of [`SAID`] and of the right pin, and what the refusal of
/// `verify` says: the cause, and the key that takes it.
const TABLE: &[(&str, [&str; 7], &[&str])] = &[
    ("", ["connected", "connected", "connected", "connected", "tls_required", "certificate_not_pinned", "connected"], &[]),
    (
        "tls-1.0",
        ["tls_too_old", "connected", "tls_too_old", "tls_too_old", "tls_required", "tls_too_old", "tls_too_old"],
        &["`backup` (SQL Server 12.0.6024) takes no TLS newer than 1.0, with ", "AES", "`tls_minimum = \"1.0\"` under `[sql.backup]`"],
    ),
    (
        "old-suites",
        ["tls_too_old", "connected", "tls_too_old", "tls_too_old", "tls_required", "tls_too_old", "tls_too_old"],
        &["takes old cipher suites alone: AES", "-SHA at TLS 1.2", "`tls_minimum = \"1.0\"`"],
    ),
    (
        "login-only",
        ["tls_login_only", "tls_login_only", "tls_login_only", "connected", "tls_required", "tls_login_only", "tls_login_only"],
        &["`backup` offers encryption for the login only", "`tls = \"login-only\"` under `[sql.backup]`"],
    ),
    (
        "none",
        ["tls_not_offered", "tls_not_offered", "tls_not_offered", "tls_not_offered", "connected", "tls_not_offered", "tls_not_offered"],
        &["`backup` offers no encryption", "`tls = \"off\"` over loopback"],
    ),
    (
        "expired",
        ["certificate_time", "certificate_time", "connected", "connected", "tls_required", "certificate_not_pinned", "connected"],
        &["the certificate of `backup` is not valid now: valid from ", "`tls = \"pin\"` and `certificate = \"sha256:"],
    ),
    (
        "wrong-name",
        ["certificate_name", "certificate_name", "connected", "connected", "tls_required", "certificate_not_pinned", "connected"],
        &["is not for `127.0.0.1`: it names `elsewhere.litwareinc.com`", "`tls = \"pin\"` and `certificate = \"sha256:"],
    ),
    (
        "unknown-issuer",
        ["certificate_untrusted", "certificate_untrusted", "connected", "connected", "tls_required", "certificate_not_pinned", "connected"],
        &["the certificate of `backup` is not trusted: self-signed certificate", "`ca = \"file\"`", "`tls = \"pin\"`"],
    ),
];

#[test]
fn what_a_server_offers_is_refused_with_its_cause_and_taken_with_the_key_that_is_named() {
    std::thread::scope(|scope| {
        for (offers, expected, says) in TABLE {
            scope.spawn(move || {
                let world = World::new();
                let fault = if offers.is_empty() { String::new() } else { format!("[[fault]]\nkind = \"tls\"\noffers = \"{offers}\"\n") };
                world.write("scene.toml", &format!("bytes = 3000\nlogs = 2\napplied = 1\ncopied = 1\n{fault}"));
                let lab = world.lab("--scenario @/scene.toml --pace 0");
                let mut found = Vec::new();
                let mut pin = fingerprint(&lab);
                for (name, set) in SAID {
                    let (outcome, event) = asked(&world, &lab, set);
                    if name == "verify" {
                        let told =
                            format!("{} {}", event["message"].as_str().unwrap_or_default(), event["help"].as_str().unwrap_or_default());
                        for words in *says {
                            assert!(told.contains(words), "{offers}: `{words}` is not in: {told}");
                        }
                        // as somebody would who takes the certificate from the refusal
                        if let Some((_, shown)) = told.split_once("`certificate = \"") {
                            pin = shown.split('"').next().unwrap().to_owned();
                        }
                    }
                    found.push(outcome);
                }
                let pin = format!("sql.backup.certificate=\"{pin}\"");
                found.push(asked(&world, &lab, &["sql.backup.tls=pin", &pin]).0);
                assert_eq!(found, expected, "{offers}");
                lab.stop();
            });
        }
    });
}

#[test]
fn a_run_begins_with_what_its_connections_lack() {
    let world = World::new();
    let lab = world.lab("--pace 0");
    let (outcome, started) =
        asked(&world, &lab, &["sql.backup.tls=login-only", "sql.backup.tls_minimum=\"1.0\"", "sql.backup_mirror.tls=trust-any"]);
    assert_eq!(outcome, "connected");
    assert_eq!(
        started["weak"],
        serde_json::json!([
            "the connection to `backup` encrypts the login only, with any certificate, so whoever stands between can read and change everything",
            "the connection to `backup` takes TLS 1.0 and the cipher suites of its time, which can be broken",
            "the connection to `backup_mirror` takes any certificate, so whoever stands between can read and change everything",
        ])
    );
    let pin = format!("sql.backup.certificate=\"{}\"", fingerprint(&lab));
    let (outcome, started) = asked(&world, &lab, &["sql.backup.tls=pin", &pin]);
    assert_eq!((outcome.as_str(), &started["weak"]), ("connected", &serde_json::json!([])));
    // a pinned connection is as good as a verified one: the lab is known as a lab
    assert_eq!(started["lab"], true);
}

/// A connection's target as the lab's site file has it.
fn target(site: &Site) -> Target {
    let file: toml::Table = std::fs::read_to_string(site.folder().join("site.toml")).unwrap().parse().unwrap();
    let server = &file["sql"]["backup"];
    let password = std::fs::read_to_string(site.folder().join("password")).unwrap();
    let port = server.get("port").map_or(1433, |port| u16::try_from(port.as_integer().unwrap()).unwrap());
    let mut target = Target::new("backup", "127.0.0.1", port, "cutover", Password::known(password));
    target.security = Security::Verify { ca: Some(site.folder().join("lab.crt")) };
    target.login_time_limit = Duration::from_secs(10);
    target.instance = server.get("instance").map(|name| Instance {
        name: name.as_str().unwrap().to_owned(),
        browser_port: u16::try_from(server["browser_port"].as_integer().unwrap()).unwrap(),
    });
    target
}

async fn open(target: &Target) -> Result<Connection, Failure> {
    Connection::open(&Arc::new(target.clone())).await
}

/// Passes bytes on to a server and keeps what the client sent; each connection begins with `look` at its first TLS hello.
struct Between {
    port: u16,
    sent: Arc<Mutex<Vec<u8>>>,
    hellos: Arc<Mutex<Vec<[u8; 2]>>>,
}

impl Between {
    /// `silent_to`: the client version in a hello that is left unanswered.
    async fn start(port: u16, silent_to: Option<[u8; 2]>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let between = Self { port: listener.local_addr().unwrap().port(), sent: Arc::default(), hellos: Arc::default() };
        let (sent, hellos) = (Arc::clone(&between.sent), Arc::clone(&between.hellos));
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(client, port, silent_to, Arc::clone(&sent), Arc::clone(&hellos)));
            }
        });
        between
    }

    fn said(&self, text: &str) -> bool {
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.sent.lock().unwrap().windows(wide.len()).any(|window| window == wide)
    }
}

async fn pass(client: TcpStream, port: u16, silent_to: Option<[u8; 2]>, sent: Arc<Mutex<Vec<u8>>>, hellos: Arc<Mutex<Vec<[u8; 2]>>>) {
    let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut bytes = vec![0; 70_000];
    let mut reads = 0;
    while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
        reads += 1;
        // PRELOGIN, then the hello: packet header 8, record header 5, handshake header 4, then the client's version
        if reads == 2 && bytes[8] == 0x16 {
            let version = [bytes[17], bytes[18]];
            hellos.lock().unwrap().push(version);
            if silent_to == Some(version) {
                return std::future::pending().await;
            }
        }
        sent.lock().unwrap().extend_from_slice(&bytes[..length]);
        if to_server.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn login_only_hides_the_password_and_nothing_else() {
    let site = Site::start("[[fault]]\nkind = \"tls\"\noffers = \"login-only\"\n").await;
    let between = Between::start(target(&site).port, None).await;
    let mut target = target(&site);
    target.port = between.port;
    target.security = Security::LoginOnly;
    let mut connection = open(&target).await.unwrap();
    assert!(!connection.hello().encrypted);
    // an answer of many packets, a parameter, and an error with its number
    let answer = connection.run(&Batch::read("SELECT REPLICATE(N'x', 4000) AS clear_as_glass")).await.unwrap();
    assert!(matches!(answer.value(), Some(Value::Text(text)) if text.len() == 4000));
    let refused = connection.run(&Batch::read("SELECT * FROM no_such_view")).await.unwrap_err();
    assert_eq!(refused.number(), Some(208));
    assert!(between.said("clear_as_glass"));
    let password = std::fs::read_to_string(site.folder().join("password")).unwrap();
    let scrambled: Vec<u8> = password.encode_utf16().flat_map(u16::to_le_bytes).map(|byte| byte.rotate_left(4) ^ 0xA5).collect();
    assert!(!between.sent.lock().unwrap().windows(scrambled.len()).any(|window| window == scrambled));
    drop(connection);

    // a server that wants more gets more
    let strict = Site::start("").await;
    let between = Between::start(self::target(&strict).port, None).await;
    let mut target = self::target(&strict);
    target.port = between.port;
    target.security = Security::LoginOnly;
    let mut connection = open(&target).await.unwrap();
    assert!(connection.hello().encrypted);
    connection.run(&Batch::read("SELECT 1 AS clear_as_glass")).await.unwrap();
    assert!(!between.said("clear_as_glass"));
    drop(connection);
    site.stop([]).await;
    strict.stop([]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_leaves_a_newer_hello_unanswered_is_spoken_to_in_its_own_words() {
    let site = Site::start("[[fault]]\nkind = \"tls\"\noffers = \"tls-1.0\"\n").await;
    let between = Between::start(target(&site).port, Some([3, 3])).await;
    let mut target = target(&site);
    target.port = between.port;
    target.login_time_limit = Duration::from_secs(2);
    let failure = open(&target).await.unwrap_err();
    assert!(matches!(&failure, Failure::Tls(Tls::TooOld { what, .. }) if what.contains("takes no TLS newer than 1.0")), "{failure:?}");
    between.hellos.lock().unwrap().clear();

    target.tls_minimum = TlsMinimum::V1_0;
    let mut connection = open(&target).await.unwrap();
    assert_eq!(connection.run(&Batch::read("SELECT 1 AS n")).await.unwrap().integer(), Some(1));
    // tried, probed twice, then as the server wants it; and the next one at once
    assert_eq!(*between.hellos.lock().unwrap(), [[3, 3], [3, 3], [3, 1], [3, 1]]);
    open(&target).await.unwrap();
    assert_eq!(between.hellos.lock().unwrap().len(), 5);
    drop(connection);
    site.stop([]).await;
}

/// What half a server does after its answer to PRELOGIN.
#[derive(Clone, Copy, Debug)]
enum Half {
    Alerts,
    Closes,
    SaysNothing,
    /// a packet that has no place there
    Babbles,
}

/// Its port, and how many connections it took.
async fn half_a_server(half: Half) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                read_message(&mut stream, 4096).await.unwrap();
                let answer =
                    PreLogin { options: vec![(option::VERSION, vec![10, 50, 0x17, 0x70, 0, 0]), (option::ENCRYPTION, vec![encrypt::ON])] };
                stream.write_all(&packets(kind::RESPONSE, 0, 4096, &answer.write(), true, &mut 0)).await.unwrap();
                read_packet(&mut stream).await.unwrap();
                // a fatal alert: handshake_failure
                let alert = packets(kind::PRELOGIN, 0, 4096, &[0x15, 3, 3, 0, 2, 2, 40], true, &mut 0);
                match half {
                    Half::Alerts => stream.write_all(&alert).await.unwrap(),
                    Half::Closes => return,
                    Half::SaysNothing => {}
                    Half::Babbles => stream.write_all(&packets(kind::BATCH, 0, 4096, b"hello", true, &mut 0)).await.unwrap(),
                }
                let mut rest = [0; 4096];
                while stream.read(&mut rest).await.is_ok_and(|n| n > 0) {}
            });
        }
    });
    (port, taken)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_nothing_at_all_is_told_apart_after_a_second_look() {
    for (half, code, words) in [
        (Half::Alerts, "tls_handshake", "handshake failure"),
        (
            Half::Closes,
            "tls_ended_early",
            "`backup` ended the TLS handshake early, even for a client that takes everything from TLS 1.0 on",
        ),
        (Half::SaysNothing, "tls_ended_early", "`backup` left the TLS handshake unanswered, even for a client that takes everything"),
        (Half::Babbles, "tls_handshake", "unexpected packet type 0x01"),
    ] {
        for minimum in [TlsMinimum::V1_2, TlsMinimum::V1_0] {
            let (port, taken) = half_a_server(half).await;
            let mut target = Target::new("backup", "127.0.0.1", port, "cutover", Password::known("secret"));
            target.login_time_limit = Duration::from_millis(400);
            target.tls_minimum = minimum;
            let failure = open(&target).await.unwrap_err();
            let diagnostic: &dyn miette::Diagnostic = &failure;
            assert_eq!(diagnostic.code().unwrap().to_string(), format!("cutover::sqlserver::{code}"), "{half:?}: {failure}");
            assert!(failure.to_string().contains(words), "{half:?}: {failure}");
            assert!(failure.unsent());
            assert_eq!(taken.load(Ordering::SeqCst), 3, "{half:?}: the connection, and two hellos of the probe");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_instance_is_found_by_the_browser_of_its_machine() {
    let site = Site::start("named-instances = true").await;
    let target = target(&site);
    let instance = target.instance.clone().unwrap();
    let mut connection = open(&target).await.unwrap();
    let name = connection.run(&Batch::read("SELECT @@SERVERNAME")).await.unwrap();
    assert_eq!(name.value(), Some(&Value::Text("DR-SQL-01\\RTC".into())));
    drop(connection);
    // without regard to case; the other machine has an instance of the same name
    let named = |name: &str| {
        let mut target = target.clone();
        target.instance = Some(Instance { name: name.into(), ..instance.clone() });
        target.connect_time_limit = Duration::from_secs(2);
        target
    };
    // without regard to case; the other machine has an instance of the same name
    open(&named("rtc")).await.unwrap();
    let wrong = named("LYNCLOCAL");
    let failure = open(&wrong).await.unwrap_err();
    assert!(failure.to_string().ends_with("knows `RTC`"), "{failure}");
    assert!(failure.to_string().starts_with("the port of the instance `LYNCLOCAL` of `backup` is unknown"), "{failure}");
    site.stop([]).await;
}

#[test]
fn a_site_that_names_instances_runs() {
    let world = World::new();
    world.write("scene.toml", "bytes = 3000\nnamed-instances = true\n");
    let lab = world.lab("--scenario @/scene.toml --pace 0");
    assert!(std::fs::read_to_string(lab.site()).unwrap().contains("instance = \"RTC\""));
    let (outcome, started) = asked(&world, &lab, &[]);
    assert_eq!((outcome.as_str(), &started["lab"]), ("connected", &true.into()));
    let (outcome, failed) = asked(&world, &lab, &["sql.backup.instance=SQLEXPRESS", "sql.backup.connect_time_limit=1s"]);
    assert_eq!(outcome, "browser");
    assert!(failed["help"].as_str().unwrap().contains("`port` under `[sql.backup]`"), "{failed}");
    lab.stop();
}

/// A Browser that says what it is told to, by the first byte of the question; its port.
fn fake_browser(answers: impl Fn(u8) -> Vec<Vec<u8>> + Send + 'static) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut question = [0; 64];
        while let Ok((_, client)) = socket.recv_from(&mut question) {
            for answer in answers(question[0]) {
                socket.send_to(&answer, client).unwrap();
            }
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_answers_instead_of_a_browser_is_told_apart() {
    let rtc = |port| browser::write(&[Listed { server: "SQL01".into(), instance: "RTC".into(), version: "12.0.6024.0".into(), port }]);
    let other = || browser::write(&[Listed { server: "SQL01".into(), instance: "LYNC".into(), version: String::new(), port: Some(1) }]);
    let cut = |mut answer: Vec<u8>| {
        answer.truncate(20);
        answer
    };
    let lies = |mut answer: Vec<u8>| {
        answer[1] = 0xFF;
        answer[2] = 0xFF;
        answer
    };
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let cases: Vec<(u16, &str, &str)> = vec![
        (fake_browser(|_| Vec::new()), "did not answer", "a firewall may drop UDP"),
        (
            fake_browser(|_| vec![b"HTTP/1.1 400".to_vec()]),
            "is no SQL Server Browser: its answer begins with something else",
            "another service",
        ),
        (fake_browser(move |_| vec![cut(rtc(Some(1433)))]), "and claims", "another service"),
        (fake_browser(move |_| vec![lies(rtc(Some(1433)))]), "and claims 65535", "another service"),
        (fake_browser(|_| vec![Vec::new()]), "begins with something else", "another service"),
        (fake_browser(move |_| vec![rtc(None)]), "it does not listen on TCP", "enable TCP/IP"),
        (fake_browser(move |asked| if asked == 3 { vec![other()] } else { Vec::new() }), "knows `LYNC`", "correct the instance's name"),
        (fake_browser(move |_| vec![other()]), "knows `LYNC`", "correct the instance's name"),
        (closed, if cfg!(target_os = "linux") { "no SQL Server Browser listens at" } else { "" }, "service"),
    ];
    for (browser_port, why, advice) in cases {
        let mut target = Target::new("backup", "127.0.0.1", 1433, "cutover", Password::known("secret"));
        target.instance = Some(Instance { name: "RTC".into(), browser_port });
        target.connect_time_limit = Duration::from_millis(600);
        let failure = open(&target).await.unwrap_err();
        assert!(matches!(&failure, Failure::Unreachable(Unreachable::Browser { .. })), "{failure:?}");
        assert!(failure.to_string().contains(why), "{why}: {failure}");
        let help = miette::Diagnostic::help(&failure).unwrap().to_string();
        assert!(help.contains(advice) && help.contains("give the instance's own TCP `port`"), "{help}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_asked_again_when_a_datagram_is_lost_or_spoilt() {
    let site = Site::start("").await;
    let mut target = target(&site);
    let good = browser::write(&[Listed { server: "S".into(), instance: "RTC".into(), version: String::new(), port: Some(target.port) }]);
    let asked = AtomicUsize::new(0);
    let browser_port = fake_browser(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Vec::new(),
        1 => vec![b"\x05\xFF".to_vec()],
        _ => vec![good.clone()],
    });
    target.port = 1;
    target.instance = Some(Instance { name: "RTC".into(), browser_port });
    target.connect_time_limit = Duration::from_secs(3);
    open(&target).await.unwrap();
    site.stop([]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_windows_account_proves_its_password_without_sending_it() {
    let site = Site::start("").await;
    let open_site = Site::start("[[fault]]\nkind = \"tls\"\noffers = \"none\"\n").await;
    let mut windows = target(&site);
    windows.account = Account::Windows;
    windows.user = r"litwareinc\Cutover".into();
    let opened = open(&windows).await;
    if !cfg!(feature = "ntlm") {
        assert!(opened.unwrap_err().to_string().contains("takes the feature `ntlm`"));
        return;
    }
    let who = Batch::read("SELECT login_name FROM sys.dm_exec_sessions WHERE session_id = @@SPID");
    let name = opened.unwrap().run(&who).await.unwrap();
    assert!(matches!(name.value(), Some(Value::Text(name)) if name.eq_ignore_ascii_case(r"LITWAREINC\cutover")), "{name:?}");

    let refused = |user: &str, password: Option<&str>| {
        let mut target = windows.clone();
        target.user = user.into();
        target.password = password.map_or_else(|| windows.password.clone(), Password::known);
        async move { open(&target).await.unwrap_err() }
    };
    for (user, password) in [(r"LITWAREINC\cutover", Some("wrong")), (r"ELSEWHERE\cutover", None), (r"LITWAREINC\nobody", None)] {
        let failure = refused(user, password).await;
        assert!(matches!(&failure, Failure::Login { user: told, .. } if told == user), "{failure:?}");
        assert_eq!(failure.number(), Some(18452), "{user}");
    }
    assert!(refused("cutover", None).await.to_string().contains("has no domain"));
    // a SQL login of that name is another thing
    let mut sql = windows.clone();
    sql.account = Account::Sql;
    assert_eq!(open(&sql).await.unwrap_err().number(), Some(18456));

    // without TLS the password is not in what is sent either
    let between = Between::start(target(&open_site).port, None).await;
    let mut clear = target(&open_site);
    (clear.account, clear.user, clear.security, clear.port) = (Account::Windows, windows.user.clone(), Security::Off, between.port);
    open(&clear).await.unwrap().run(&who).await.unwrap();
    let password = std::fs::read_to_string(open_site.folder().join("password")).unwrap();
    assert!(between.said("Cutover") && !between.said(&password));
    let scrambled: Vec<u8> = password.encode_utf16().flat_map(u16::to_le_bytes).map(|byte| byte.rotate_left(4) ^ 0xA5).collect();
    assert!(!between.sent.lock().unwrap().windows(scrambled.len()).any(|window| window == scrambled));
    site.stop([]).await;
    open_site.stop([]).await;
}

#[test]
fn a_windows_login_is_refused_before_the_run_where_it_cannot_be_made() {
    let world = World::new();
    let lab = world.lab("--pace 0");
    let site = lab.site();
    let sql = std::fs::read_to_string(&site).unwrap();
    let rewritten = |auth: &str| {
        let mut table: toml::Table = sql.parse().unwrap();
        let value: toml::Table = format!("auth = {auth}").parse().unwrap();
        table["sql"]["backup"]["auth"] = value["auth"].clone();
        std::fs::write(&site, table.to_string()).unwrap();
    };
    world.write("book.rhai", r#"step("ask", || { query("backup", "SELECT 1 AS n"); });"#);
    let run = || world.cutover(&format!("run @/book.rhai --site {} --yes", site.display()));
    rewritten(r#"{ user = 'LITWAREINC\cutover', password = { file = "password" } }"#);
    if cfg!(feature = "ntlm") {
        run().exits(0);
    } else {
        run().exits(2).says("cutover::site::not_here").says("build cutover with `--features ntlm`");
    }
    if cfg!(not(windows)) {
        rewritten("\"windows\"");
        run().exits(2).says("`sql.backup.auth` cannot be used here: only Windows vouches for the account that runs cutover");
    }
    lab.stop();
}

#[test]
fn the_lab_listens_elsewhere_only_when_it_is_told_to_and_says_so() {
    let world = World::new();
    world.cutover("lab --listen 0.0.0.0 --keep @/refused").exits(2).says("cutover::cli::not_exposed").says("add `--expose`");
    assert!(!world.path("refused").exists());
    // an address of this machine, if it has one besides loopback; nothing is sent to find it
    let other = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    let address = other.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |found: SocketAddr| found.ip());
    let lab = world.lab(&format!("--listen {address} --expose --pace 0"));
    let (outcome, _) = asked(&world, &lab, &[]);
    assert_eq!(outcome, "connected", "verified by its address");
    let site: toml::Table = std::fs::read_to_string(lab.site()).unwrap().parse().unwrap();
    assert_eq!(site["sql"]["backup"]["server"].as_str(), Some(address.to_string().as_str()));
    // the shell asks for no password and stays inside
    assert!(site["powershell"]["arguments"].as_array().unwrap()[1].as_str().unwrap().starts_with("127.0.0.1:"));
    lab.stop();
}

#[test]
fn everything_of_this_machine_is_exposed_unless_an_address_is_given() {
    let world = World::new();
    let mut child = world.command("lab --expose --keep @/lab --pace 0").stderr(std::process::Stdio::piped()).spawn().unwrap();
    common::wait_for("the lab", || world.path("lab/site.toml").exists());
    let site: toml::Table = std::fs::read_to_string(world.path("lab/site.toml")).unwrap().parse().unwrap();
    child.kill().unwrap();
    let said = common::Ended::from(child.wait_with_output().unwrap()).stderr;
    assert!(squeezed(&said).contains("warning: the lab listens on 0.0.0.0: who has its password may do everything in it"), "{said}");
    assert_eq!(site["sql"]["backup"]["server"].as_str(), Some("127.0.0.1"));
}

#[test]
fn the_seed_decides_what_is_in_the_lab_and_never_the_password() {
    let mut seen = BTreeMap::new();
    for n in 0..3 {
        let world = World::new();
        let lab = world.lab("--seed 7 --pace 0");
        let password = std::fs::read_to_string(world.path("lab/password")).unwrap();
        assert!(password.len() >= 32, "{password}");
        assert_eq!(seen.insert(password, n), None);
        lab.stop();
    }
}
