//! The SQL Server back end over real sockets and real TLS, against servers whose answers are written here. What is tested
//! is our side: connections, messages, values, limits, losses.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cutover::lab::tds::{
    Cell, Certificate, Column, Encryption, Engine, LOGIN_TIME, Login, Parameter, Reply, Request, Server, ServerMessage, ServerOptions,
    Session, TlsAge, Type,
};
use cutover::sqlserver::{Batch, Connection, Failure, Message, Password, Security, Servers, Target, Value, error};
use cutover::wire::lsn::Lsn;
use cutover::wire::tls::{Fingerprint, PreLogin, encrypt, kind, option, packets};
use jiff::civil::{date, time};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

const USER: &str = "operator";
const PASSWORD: &str = "correct horse";

/// A server whose sessions answer the handful of texts that these tests send.
struct Fake {
    name: String,
    next: AtomicU16,
    heard: Arc<Mutex<Vec<String>>>,
}

struct FakeSession {
    id: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

fn message(number: i32, severity: u8, text: &str, line: u32) -> ServerMessage {
    ServerMessage { number, severity, state: 3, text: text.into(), procedure: String::new(), line }
}

impl Engine for Fake {
    fn login(&self, login: &Login) -> Result<Box<dyn Session>, Vec<ServerMessage>> {
        self.heard.lock().unwrap().push(format!("login {} to {} as {}", login.user, login.database, login.program));
        if login.user != USER || login.password != PASSWORD {
            return Err(vec![message(18456, 14, "Login failed for user 'operator'.", 1)]);
        }
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(FakeSession { id, heard: Arc::clone(&self.heard) }))
    }
    fn server_name(&self) -> String {
        self.name.clone()
    }
    fn version(&self) -> (u8, u8, u16) {
        (12, 0, 6024)
    }
    fn received(&self, session: u16, kind: &'static str, text: &str, _: &[Parameter]) -> u64 {
        self.heard.lock().unwrap().push(format!("{session} {kind} {text}"));
        0
    }
    fn answered(&self, _: u64, _: Vec<i32>) {}
}

fn column(name: &str, ty: Type) -> Column {
    Column { name: name.into(), ty }
}

fn one_int(reply: &mut dyn Reply, n: i32) {
    reply.columns(&[column("n", Type::Int)]);
    reply.row(&[Cell::Int(n)]);
    reply.done(Some(1));
}

/// Every type that is supported, twice: a value, then NULL.
fn every_type() -> Vec<(Column, Cell)> {
    let when = date(2024, 2, 29).at(13, 14, 15, 0);
    let fine = date(2024, 2, 29).at(13, 14, 15, 123_456_700);
    vec![
        (column("bit", Type::Bit), Cell::Bit(true)),
        (column("tinyint", Type::TinyInt), Cell::TinyInt(255)),
        (column("smallint", Type::SmallInt), Cell::SmallInt(-32768)),
        (column("int", Type::Int), Cell::Int(i32::MIN)),
        (column("bigint", Type::BigInt), Cell::BigInt(i64::MAX)),
        (column("real", Type::Real), Cell::Real(0.5)),
        (column("float", Type::Float), Cell::Float(0.1)),
        (column("lsn", Type::Numeric { precision: 25, scale: 0 }), Cell::Numeric { value: 9_999_999_999_999_999_999_999_999, scale: 0 }),
        (column("decimal", Type::Numeric { precision: 28, scale: 4 }), Cell::Numeric { value: -12_345_678_901_234, scale: 4 }),
        (column("money", Type::Money), Cell::Money(-10_001)),
        (column("smallmoney", Type::SmallMoney), Cell::Money(2_147_483_647)),
        (column("nvarchar", Type::NVarChar(Some(50))), Cell::Text("Größe \u{1F600}".into())),
        (column("nvarchar_max", Type::NVarChar(None)), Cell::Text("ü".repeat(20_000))),
        (column("varchar", Type::VarChar(Some(50))), Cell::Text("plain".into())),
        (column("varchar_max", Type::VarChar(None)), Cell::Text("x".repeat(70_000))),
        (column("nchar", Type::NChar(3)), Cell::Text("ab ".into())),
        (column("char", Type::Char(3)), Cell::Text("cd ".into())),
        (column("varbinary", Type::VarBinary(Some(10))), Cell::Binary(vec![0, 255])),
        (column("varbinary_max", Type::VarBinary(None)), Cell::Binary(vec![7; 9_000])),
        (column("binary", Type::Binary(2)), Cell::Binary(vec![1, 2])),
        (column("guid", Type::Guid), Cell::Guid(uuid::Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff))),
        (column("date", Type::Date), Cell::Date(date(1, 1, 1))),
        (column("time", Type::Time(7)), Cell::Time(time(23, 59, 59, 999_999_900))),
        (column("datetime", Type::DateTime), Cell::DateTime(when)),
        (column("smalldatetime", Type::SmallDateTime), Cell::DateTime(date(2024, 2, 29).at(13, 14, 0, 0))),
        (column("datetime2", Type::DateTime2(7)), Cell::DateTime(fine)),
        (column("datetimeoffset", Type::DateTimeOffset(7)), Cell::DateTimeOffset(fine, -210)),
    ]
}

impl FakeSession {
    fn batch(&mut self, text: &str, parameters: &[Parameter], reply: &mut dyn Reply) {
        match text {
            "empty and unnamed" => {
                reply.columns(&[column("SPID", Type::Char(5)), column("", Type::Int), column("SPID", Type::Int)]);
                reply.row(&[Cell::Text("51   ".into()), Cell::Int(7), Cell::Int(51)]);
                reply.done(Some(1));
                reply.columns(&[column("a", Type::Int)]);
                reply.done(Some(0));
                reply.done(Some(12));
            }
            "types" => {
                let (columns, cells): (Vec<_>, Vec<_>) = every_type().into_iter().unzip();
                let nulls = vec![Cell::Null; cells.len()];
                reply.columns(&columns);
                reply.row(&cells);
                reply.row(&nulls);
                reply.done(Some(2));
            }
            "variant" => {
                reply.columns(&[column("plain", Type::Int), column("odd", Type::SqlVariant)]);
                reply.row(&[Cell::Int(1), Cell::Int(2)]);
                reply.done(Some(1));
            }
            "wide" => {
                reply.columns(&[column("big", Type::Numeric { precision: 38, scale: 0 })]);
                reply.row(&[Cell::Numeric { value: 10_i128.pow(37), scale: 0 }]);
                reply.done(Some(1));
            }
            "echo" => {
                let columns: Vec<_> = parameters.iter().map(|p| column(p.name.trim_start_matches('@'), p.ty)).collect();
                let cells: Vec<_> = parameters.iter().map(|p| p.value.clone()).collect();
                reply.columns(&columns);
                reply.row(&cells);
                reply.done(Some(1));
            }
            "restore" => {
                one_int(reply, 1);
                reply.message(message(4035, 10, "Processed 8 pages.", 2));
                reply.message(message(4305, 16, "The log in this backup set begins at LSN 42.", 2));
                reply.message(message(3013, 16, "RESTORE LOG is terminating abnormally.", 2));
                reply.done(None);
            }
            "slow" => {
                for percent in ["10 percent processed.", "20 percent processed.", "30 percent processed."] {
                    reply.message(message(3211, 10, percent, 1));
                    reply.flush();
                    if reply.wait(Duration::from_millis(150)) {
                        return;
                    }
                }
                reply.message(message(3014, 10, "RESTORE LOG successfully processed.", 1));
                reply.done(None);
            }
            "endless" => {
                reply.message(message(3211, 10, "10 percent processed.", 1));
                reply.flush();
                let started = Instant::now();
                while !reply.wait(Duration::from_millis(50)) && started.elapsed() < Duration::from_secs(60) {}
                self.heard.lock().unwrap().push("endless ended".into());
            }
            "cut" => {
                reply.columns(&[column("n", Type::Int)]);
                reply.row(&[Cell::Int(1)]);
                reply.message(message(3211, 10, "10 percent processed.", 1));
                reply.flush();
                reply.wait(Duration::from_millis(50));
                reply.cut();
            }
            "big" => {
                reply.columns(&[column("b", Type::VarBinary(None))]);
                reply.row(&[Cell::Binary(vec![3; 1 << 20])]);
                reply.message(message(50000, 10, "after a large row", 1));
                reply.done(Some(1));
                reply.columns(&[column("lsn_like", Type::Numeric { precision: 25, scale: 0 })]);
                reply.row(&[Cell::Numeric { value: 5, scale: 0 }]);
                reply.done(Some(1));
            }
            text if text.starts_with("messages ") => {
                let n: i32 = text.trim_start_matches("messages ").parse().unwrap();
                for i in 0..20 {
                    reply.message(message(n + i, 10, "hello", 1));
                    reply.flush();
                    reply.wait(Duration::from_millis(2));
                }
                reply.message(message(n, 16, "failed", 1));
                reply.done(None);
            }
            text if text.contains("dm_exec_requests") => {
                reply.columns(&[
                    column("command", Type::NVarChar(Some(32))),
                    column("percent_complete", Type::Real),
                    column("wait_type", Type::NVarChar(Some(60))),
                    column("total_elapsed_time", Type::Int),
                ]);
                reply.row(&[Cell::Text("RESTORE LOG".into()), Cell::Real(37.5), Cell::Null, Cell::Int(1500)]);
                reply.done(Some(1));
            }
            text if text.starts_with("SET ") => reply.done(None),
            "SELECT 1 AS alive;" | "one" => one_int(reply, 1),
            other => {
                reply.message(message(102, 15, &format!("Incorrect syntax near '{other}'."), 1));
                reply.done(None);
            }
        }
    }
}

impl Session for FakeSession {
    fn id(&self) -> u16 {
        self.id
    }
    fn database(&self) -> String {
        "master".into()
    }
    fn describe(&mut self, _: &str, _: &[Parameter], _: &mut dyn Reply) -> Option<Vec<Column>> {
        Some(Vec::new())
    }

    fn run(&mut self, request: &Request, reply: &mut dyn Reply) {
        match request {
            Request::Batch { text, parameters } => self.batch(text, parameters, reply),
            Request::Procedure { .. } => reply.done(None),
        }
    }
}

struct World {
    server: Server,
    heard: Arc<Mutex<Vec<String>>>,
    folder: tempfile::TempDir,
    port: u16,
}

impl World {
    fn start(name: &str) -> Self {
        Self::with(name, Encryption::Required, TlsAge::Current)
    }

    fn with(name: &str, encryption: Encryption, tls: TlsAge) -> Self {
        Self::showing(Certificate::new().unwrap(), name, encryption, tls)
    }

    fn showing(certificate: Certificate, name: &str, encryption: Encryption, tls: TlsAge) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem().unwrap()).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let engine = Fake { name: name.into(), next: AtomicU16::new(51), heard: Arc::clone(&heard) };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server =
            Server::start(listener, Arc::new(engine), ServerOptions { certificate, encryption, tls, login_time: LOGIN_TIME }).unwrap();
        let port = server.addr().port();
        Self { server, heard, folder, port }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn target(&self, key: &str) -> Target {
        let mut target = Target::new(key, "127.0.0.1", self.port, USER, Password::known(PASSWORD));
        target.security = Security::Verify { ca: Some(self.ca()) };
        target.program = "cutover test".into();
        target.login_time_limit = Duration::from_secs(10);
        target
    }

    fn servers(&self) -> Servers {
        Servers::new([self.target("backup")])
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn opened(target: Target) -> Result<Connection, Failure> {
    Connection::open(&Arc::new(target)).await
}

fn numbers(messages: &[Message]) -> Vec<i32> {
    messages.iter().map(|m| m.number).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_logs_in_to_master_and_is_set_up_once() {
    let world = World::start("SQL01");
    let servers = world.servers();
    for _ in 0..3 {
        assert_eq!(servers.run("backup", &Batch::read("one")).await.unwrap().integer(), Some(1));
    }
    let heard: Vec<_> = world.heard().into_iter().filter(|h| h.contains("batch") || h.starts_with("login operator")).collect();
    assert_eq!(
        heard,
        [
            "login operator to master as cutover test",
            "51 batch SET LANGUAGE us_english; SET LOCK_TIMEOUT 5000;",
            "51 batch one",
            "51 batch one",
            "51 batch one",
        ]
    );
    let connection = servers.open("backup").await.unwrap();
    assert_eq!((connection.session_id(), connection.hello().version), (52, Some((12, 0, 6024))));
    assert!(connection.hello().encrypted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_key_names_the_servers_that_are_known() {
    let world = World::start("SQL01");
    let failure = world.servers().run("bakcup", &Batch::read("one")).await.unwrap_err();
    assert!(matches!(failure, Failure::UnknownServer { known, .. } if known == ["backup"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_sets_keep_their_columns_and_duplicate_names_keep_both() {
    let world = World::start("SQL01");
    let answer = world.servers().run("backup", &Batch::read("empty and unnamed")).await.unwrap();
    assert_eq!(answer.sets.len(), 2);
    assert_eq!(answer.sets[0].columns, ["SPID", "column_2", "SPID_2"]);
    let row = &answer.sets[0].rows[0];
    assert_eq!(row["SPID"], Value::Text("51   ".into()));
    assert_eq!((&row["column_2"], &row["SPID_2"]), (&Value::Int(7), &Value::Int(51)));
    assert_eq!((answer.sets[1].columns.as_slice(), answer.sets[1].rows.len()), (["a".to_owned()].as_slice(), 0));
    assert_eq!(answer.affected, [12]);
    assert!(!answer.incomplete);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cell_of_every_type_comes_back_right() {
    let world = World::start("SQL01");
    let answer = world.servers().run("backup", &Batch::read("types")).await.unwrap();
    let expected = |cell: Cell, name: &str| match cell {
        Cell::Bit(b) => Value::Bit(b),
        Cell::TinyInt(n) => Value::Int(n.into()),
        Cell::SmallInt(n) => Value::Int(n.into()),
        Cell::Int(n) => Value::Int(n.into()),
        Cell::BigInt(n) => Value::Int(n),
        Cell::Real(n) => Value::Float(n.into()),
        Cell::Float(n) => Value::Float(n),
        Cell::Numeric { value, .. } if name == "lsn" => Value::Lsn(Lsn(value.try_into().unwrap())),
        Cell::Numeric { value, scale } => Value::Decimal(rust_decimal::Decimal::from_i128_with_scale(value, scale.into())),
        Cell::Money(n) => Value::Decimal(rust_decimal::Decimal::new(n, 4)),
        Cell::Text(t) => Value::Text(t),
        Cell::Binary(b) => Value::Blob(b),
        Cell::Guid(g) => Value::Guid(g),
        Cell::Date(d) => Value::Date(d),
        Cell::Time(t) => Value::Time(t),
        Cell::DateTime(d) => Value::DateTime(d),
        Cell::DateTimeOffset(d, o) => Value::DateTimeOffset(d, o),
        Cell::Null => Value::Null,
    };
    let [values, nulls] = answer.rows() else { panic!("two rows") };
    for (column, cell) in every_type() {
        assert_eq!(values[&column.name], expected(cell, &column.name), "{}", column.name);
        assert_eq!(nulls[&column.name], Value::Null, "{}", column.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_of_every_kind_arrive_as_they_were_bound() {
    let world = World::start("SQL01");
    let when = date(2024, 2, 29).at(13, 14, 15, 123_456_700);
    let values = [
        Value::Null,
        Value::Bit(false),
        Value::Int(-5),
        Value::Int(1 << 40),
        Value::Float(0.25),
        Value::Decimal("-1.2345".parse().unwrap()),
        Value::Lsn(Lsn(34_000_000_015_600_001)),
        Value::Text("O'Brien \u{1F600}".into()),
        Value::Text(String::new()),
        Value::Text("y".repeat(5000)),
        Value::Blob(vec![1, 2, 3]),
        Value::Blob(vec![9; 9000]),
        Value::Guid(uuid::Uuid::from_u128(7)),
        Value::Date(date(2024, 2, 29)),
        Value::Time(time(1, 2, 3, 400)),
        Value::DateTime(when),
        Value::DateTimeOffset(when, 120),
    ];
    let mut batch = Batch::read("echo");
    for (i, value) in values.iter().enumerate() {
        batch = batch.bind(format!("p{i}"), value.clone());
    }
    let answer = world.servers().run("backup", &batch).await.unwrap();
    let row = &answer.rows()[0];
    for (i, value) in values.iter().enumerate() {
        let back = &row[&format!("p{i}")];
        match (value, back) {
            // the wire says numeric(p,0) for both; the server's declaration tells them apart
            (Value::Lsn(sent), Value::Decimal(back)) => assert_eq!(sent.0.to_string(), back.to_string()),
            _ => assert_eq!(back, value, "p{i}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parameter_that_t_sql_cannot_name_is_refused_before_anything_is_sent() {
    let world = World::start("SQL01");
    let servers = world.servers();
    for name in ["", "a b", "x int; DROP TABLE t --"] {
        let failure = servers.run("backup", &Batch::change("echo").bind(name, 1)).await.unwrap_err();
        assert!(matches!(failure, Failure::Parameter { .. }), "{failure}");
    }
    assert!(!world.heard().iter().any(|h| h.contains("echo")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_and_values_that_cannot_be_held_are_refused_by_name_and_the_connection_goes_on() {
    let world = World::start("SQL01");
    let servers = world.servers();
    let failure = servers.run("backup", &Batch::read("variant")).await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Unsupported { column, what, .. } if column == "odd" && what.contains("sql_variant")),
        "{failure:?}"
    );
    let failure = servers.run("backup", &Batch::read("wide")).await.unwrap_err();
    assert!(matches!(&failure, Failure::Unsupported { column, what, .. } if column == "big" && what.contains("28 digits")), "{failure:?}");
    assert_eq!(servers.run("backup", &Batch::read("one")).await.unwrap().integer(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_restore_keeps_rows_infos_and_both_errors_and_the_first_decides() {
    let world = World::start("SQL01");
    let servers = world.servers();
    let failure = servers.run("backup", &Batch::change("restore")).await.unwrap_err();
    let Failure::Refused { answer, .. } = &failure else { panic!("{failure:?}") };
    assert_eq!(answer.sets[0].rows[0]["n"], Value::Int(1));
    let told: Vec<_> = answer.messages.iter().map(|m| (m.number, m.severity, m.state, m.line, m.server.as_str())).collect();
    assert_eq!(told, [(4035, 0, 3, 2, "SQL01"), (4305, 16, 3, 2, "SQL01"), (3013, 16, 3, 2, "SQL01")]);
    assert_eq!(failure.number(), Some(4305));
    assert!(!failure.in_doubt());
    assert_eq!(
        failure.to_string(),
        "`backup` answered with error 4305 (severity 16, state 3, line 2): The log in this backup set begins at LSN 42."
    );
    assert_eq!(answer.messages[2].to_string(), "Msg 3013, Level 16, State 3, Line 2: RESTORE LOG is terminating abnormally.");
    assert_eq!(servers.run("backup", &Batch::read("one")).await.unwrap().integer(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_in_flight_at_once_keep_their_messages_apart() {
    let (first, second) = (World::start("SQL01"), World::start("SQL02"));
    let servers = Servers::new([first.target("backup"), second.target("backup_mirror")]);
    for _ in 0..3 {
        let (one, two) = (Batch::read("messages 60000"), Batch::read("messages 70000"));
        let (a, b) = tokio::join!(servers.run("backup", &one), servers.run("backup_mirror", &two));
        for (failure, name, from) in [(a.unwrap_err(), "SQL01", 60000), (b.unwrap_err(), "SQL02", 70000)] {
            let expected: Vec<i32> = (from..from + 20).chain([from]).collect();
            assert_eq!(numbers(failure.messages()), expected);
            assert!(failure.messages().iter().all(|m| m.server == name));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_long_statement_are_heard_while_it_runs() {
    let world = World::start("SQL01");
    let (tell, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let batch = Batch::change("endless").on_message(move |m| tell.send(m.number).unwrap());
    let servers = world.servers();
    let running = servers.run("backup", &batch);
    let heard = tokio::select! {
        result = running => panic!("ended: {result:?}"),
        number = hear.recv() => number,
    };
    assert_eq!(heard, Some(3211));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_heard_live_are_in_the_answer_too() {
    let world = World::start("SQL01");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    let batch = Batch::change("slow").on_message(move |m| ear.lock().unwrap().push(m.number));
    let answer = world.servers().run("backup", &batch).await.unwrap();
    assert_eq!(numbers(&answer.messages), [3211, 3211, 3211, 3014]);
    assert_eq!(*heard.lock().unwrap(), numbers(&answer.messages));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_a_row_of_many_packets_is_read_too() {
    let world = World::start("SQL01");
    let answer = world.servers().run("backup", &Batch::read("big")).await.unwrap();
    assert_eq!(answer.sets[0].rows[0]["b"], Value::Blob(vec![3; 1 << 20]));
    assert_eq!(answer.sets[1].rows[0]["lsn_like"], Value::Lsn(Lsn(5)));
    assert_eq!(numbers(&answer.messages), [50000]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_read_on_a_connection_of_its_own() {
    let world = World::start("SQL01");
    let (tell, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let batch = Batch::change("endless").without_limit().on_progress(move |p| tell.send(p.clone()).unwrap());
    let servers = world.servers();
    let progress = tokio::select! {
        result = servers.run("backup", &batch) => panic!("ended: {result:?}"),
        progress = hear.recv() => progress.unwrap(),
    };
    assert_eq!((progress.command.as_str(), progress.percent, progress.wait_type), ("RESTORE LOG", 37.5, None));
    assert_eq!(progress.elapsed, Duration::from_millis(1500));
    assert!(world.heard().iter().any(|h| h.starts_with("52") && h.contains("dm_exec_requests")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_limit_stops_the_statement_and_the_next_one_runs_on_a_new_connection() {
    let world = World::start("SQL01");
    let servers = world.servers();
    let failure = servers.run("backup", &Batch::change("endless").within(Duration::from_millis(200))).await.unwrap_err();
    assert!(matches!(&failure, Failure::TimeLimit { stopped: true, in_doubt: true, .. }), "{failure:?}");
    assert_eq!(numbers(failure.messages()), [3211]);
    assert!(failure.in_doubt());
    assert_eq!(servers.run("backup", &Batch::read("one")).await.unwrap().integer(), Some(1));
    let heard = world.heard();
    assert!(heard.iter().any(|h| h.starts_with("51 attention")), "{heard:?}");
    assert!(heard.iter().any(|h| h == "endless ended"), "{heard:?}");
    assert!(heard.iter().any(|h| h == "52 batch one"), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_sends_an_attention_and_waits_for_its_acknowledgement() {
    let world = World::start("SQL01");
    let servers = world.servers();
    let token = CancellationToken::new();
    let stop = token.clone();
    let batch = Batch::read("endless").cancelled_by(token).on_message(move |_| stop.cancel());
    let failure = servers.run("backup", &batch).await.unwrap_err();
    assert!(matches!(&failure, Failure::Cancelled { stopped: true, in_doubt: false, .. }), "{failure:?}");
    assert!(world.heard().iter().any(|h| h.starts_with("51 attention")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_batch_takes_its_connection_along() {
    let world = World::start("SQL01");
    let servers = world.servers();
    let batch = Batch::change("endless");
    let dropped = tokio::time::timeout(Duration::from_millis(200), servers.run("backup", &batch)).await;
    assert!(dropped.is_err());
    assert_eq!(servers.run("backup", &Batch::read("one")).await.unwrap().integer(), Some(1));
    assert!(world.heard().iter().any(|h| h == "52 batch one"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_in_an_answer_is_lost_and_in_doubt_if_it_was_a_change() {
    let world = World::start("SQL01");
    let servers = world.servers();
    let failure = servers.run("backup", &Batch::change("cut")).await.unwrap_err();
    assert!(matches!(&failure, Failure::Lost { in_doubt: true, .. }), "{failure:?}");
    assert_eq!(numbers(failure.messages()), [3211]);
    let failure = servers.run("backup", &Batch::read("cut")).await.unwrap_err();
    assert!(matches!(&failure, Failure::Lost { in_doubt: false, .. }), "{failure:?}");
    assert_eq!(world.heard().iter().filter(|h| h.ends_with("batch cut")).count(), 2);
    assert_eq!(servers.run("backup", &Batch::read("one")).await.unwrap().integer(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_went_away_between_statements_is_connected_anew() {
    let world = World::start("SQL01");
    let servers = world.servers();
    servers.run("backup", &Batch::read("one")).await.unwrap();
    let port = world.port;
    world.server.stop().await;
    let failure = servers.run("backup", &Batch::change("one")).await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Unreachable(error::Unreachable::Refused { address, .. }) if *address == format!("127.0.0.1:{port}")),
        "{failure:?}"
    );
    assert!(!failure.in_doubt());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_told_with_its_number_and_tried_once() {
    let world = World::start("SQL01");
    let mut target = world.target("backup");
    target.password = Password::known("wrong");
    let failure = opened(target).await.unwrap_err();
    assert!(matches!(&failure, Failure::Login { user, .. } if user == USER), "{failure:?}");
    assert_eq!(failure.number(), Some(18456));
    assert!(!format!("{failure} {failure:?}").contains("wrong"));
    assert_eq!(world.heard().iter().filter(|h| h.starts_with("login operator")).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_cannot_be_had_says_why() {
    let world = World::start("SQL01");
    let mut target = world.target("backup");
    target.password = Password::from_fn(|| Err("`SQL_PASSWORD` is not set".into()));
    let failure = opened(target).await.unwrap_err();
    assert_eq!(failure.to_string(), "the password for `backup` cannot be had: `SQL_PASSWORD` is not set");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_asked_for_once_and_again_after_a_refused_login() {
    let world = World::start("SQL01");
    let asked = Arc::new(AtomicU16::new(0));
    let count = Arc::clone(&asked);
    let mut target = world.target("backup");
    target.password = Password::from_fn(move || {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(if first { "mistyped" } else { PASSWORD }.into())
    });
    let servers = Servers::new([target]);
    assert!(matches!(servers.open("backup").await.unwrap_err(), Failure::Login { .. }));
    servers.open("backup").await.unwrap();
    servers.open("backup").await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_issuer_is_refused_unless_any_is_trusted() {
    let (world, other) = (World::start("SQL01"), World::start("SQL02"));
    let mut target = world.target("backup");
    target.security = Security::Verify { ca: Some(other.ca()) };
    let failure = opened(target.clone()).await.unwrap_err();
    assert!(matches!(&failure, Failure::Tls(error::Tls::Untrusted { subject, .. }) if subject == "CN=cutover lab"), "{failure:?}");
    target.security = Security::Verify { ca: None };
    assert!(matches!(opened(target.clone()).await.unwrap_err(), Failure::Tls(error::Tls::Untrusted { .. })));
    target.security = Security::TrustAny;
    opened(target).await.unwrap();
    assert!(!world.heard().iter().any(|h| h.contains("login") && !h.contains("login operator") && h.contains(PASSWORD)));
}

/// What SQL Server makes for itself where it has no certificate: RSA with 1024 bits, signed with SHA-1, without names.
fn certificate_of_its_own() -> Certificate {
    let key = PKey::from_rsa(openssl::rsa::Rsa::generate(1024).unwrap()).unwrap();
    let mut name = openssl::x509::X509NameBuilder::new().unwrap();
    name.append_entry_by_nid(openssl::nid::Nid::COMMONNAME, "SSL_Self_Signed_Fallback").unwrap();
    let name = name.build();
    let mut builder = openssl::x509::X509::builder().unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&openssl::asn1::Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&openssl::asn1::Asn1Time::days_from_now(2).unwrap()).unwrap();
    builder.sign(&key, MessageDigest::sha1()).unwrap();
    Certificate { certificate: builder.build(), key }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_weak_certificate_that_a_server_makes_for_itself_can_be_pinned_or_taken_as_any() {
    let certificate = certificate_of_its_own();
    let digest = certificate.certificate.digest(MessageDigest::sha256()).unwrap();
    let pin = Fingerprint(digest.as_ref().try_into().unwrap());
    let world = World::showing(certificate, "SQL01", Encryption::Required, TlsAge::Current);
    let mut target = world.target("backup");
    target.security = Security::Verify { ca: None };
    let refused = opened(target.clone()).await.unwrap_err();
    let Failure::Tls(error::Tls::Untrusted { subject, fingerprint, .. }) = &refused else { panic!("{refused:?}") };
    assert_eq!((subject.as_str(), fingerprint.parse()), ("CN=SSL_Self_Signed_Fallback", Ok(pin)));
    for security in [Security::Pin(pin), Security::TrustAny, Security::LoginOnly] {
        target.security = security;
        opened(target.clone()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_is_refused_and_names_itself() {
    let world = World::start("SQL01");
    let mut target = world.target("backup");
    target.host = "127.0.0.2".into();
    let failure = opened(target.clone()).await;
    // not every system routes all of 127.0.0.0/8, and the server listens on 127.0.0.1 only
    assert!(matches!(failure.unwrap_err(), Failure::Unreachable(_)));
    target.host = "localhost".into();
    opened(target.clone()).await.unwrap();
    let proxy = tokio::net::TcpListener::bind("127.0.0.2:0").await;
    let Ok(proxy) = proxy else { return };
    target.host = "127.0.0.2".into();
    target.port = proxy.local_addr().unwrap().port();
    let behind = world.port;
    tokio::spawn(async move {
        let (mut near, _) = proxy.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    });
    let failure = opened(target).await.unwrap_err();
    let Failure::Tls(error::Tls::WrongName { host, names, .. }) = &failure else { panic!("{failure:?}") };
    assert_eq!((host.as_str(), names.as_str()), ("127.0.0.2", "`localhost`, `127.0.0.1`, `::1`"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_file_that_cannot_serve_is_named() {
    let world = World::start("SQL01");
    let mut target = world.target("backup");
    for (name, text) in [("absent.pem", None), ("empty.pem", Some(""))] {
        let path = world.folder.path().join(name);
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        target.security = Security::Verify { ca: Some(path.clone()) };
        let failure = opened(target.clone()).await.unwrap_err();
        assert!(matches!(&failure, Failure::Tls(error::Tls::CaFile { path: named, .. }) if *named == path), "{failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_tls_only_loopback_is_spoken_to_and_a_server_that_insists_is_told_apart() {
    let open = World::with("SQL01", Encryption::Off, TlsAge::Current);
    let mut target = open.target("backup");
    assert!(matches!(opened(target.clone()).await.unwrap_err(), Failure::Tls(error::Tls::NotOffered { .. })));
    target.security = Security::Off;
    let mut connection = opened(target.clone()).await.unwrap();
    assert!(!connection.hello().encrypted);
    assert_eq!(connection.run(&Batch::read("restore")).await.unwrap_err().number(), Some(4305));
    target.host = "sql01.contoso.example".into();
    assert!(matches!(opened(target).await.unwrap_err(), Failure::Tls(error::Tls::OffButRemote { .. })));

    let strict = World::start("SQL02");
    let mut target = strict.target("backup");
    target.security = Security::Off;
    assert!(matches!(opened(target).await.unwrap_err(), Failure::Tls(error::Tls::Required { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_speaks_only_old_tls_is_explained() {
    let world = World::with("SQL01", Encryption::Required, TlsAge::Old);
    let failure = opened(world.target("backup")).await.unwrap_err();
    let Failure::Tls(error::Tls::TooOld { what, .. }) = &failure else { panic!("{failure:?}") };
    assert!(what.starts_with("(SQL Server 12.0.6024) takes no TLS newer than 1.0, with ECDHE-ECDSA-AES"), "{what}");
}

/// What half a server does with the one connection that it takes.
#[derive(Clone, Copy)]
enum Half {
    SpeaksHttp,
    HangsUp,
    SaysNothing,
    /// answers PRELOGIN, then hangs up in the handshake
    EndsHandshake,
    /// answers PRELOGIN, then nothing
    LeavesHandshake,
}

async fn half_a_server(half: Half) -> Target {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut target = Target::new("backup", "127.0.0.1", listener.local_addr().unwrap().port(), USER, Password::known(PASSWORD));
    target.login_time_limit = Duration::from_millis(300);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 4096];
        let _ = stream.read(&mut bytes).await.unwrap();
        match half {
            Half::SpeaksHttp => stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap(),
            Half::HangsUp => return,
            Half::SaysNothing => {}
            Half::EndsHandshake | Half::LeavesHandshake => {
                let answer =
                    PreLogin { options: vec![(option::VERSION, vec![10, 50, 6, 64, 0, 0]), (option::ENCRYPTION, vec![encrypt::ON])] };
                stream.write_all(&packets(kind::RESPONSE, 0, 4096, &answer.write(), true, &mut 0)).await.unwrap();
                let _ = stream.read(&mut bytes).await.unwrap();
                if matches!(half, Half::EndsHandshake) {
                    return;
                }
            }
        }
        // keeps the connection until the client gives up
        while stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {}
    });
    target
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_else_listens_there_has_a_name_of_its_own() {
    use error::{Tls, Unreachable};
    let failure = |half| async move { opened(half_a_server(half).await).await.unwrap_err() };
    let http = failure(Half::SpeaksHttp).await;
    assert!(matches!(&http, Failure::Unreachable(Unreachable::NotSqlServer { .. })), "{http:?}");
    let hung_up = failure(Half::HangsUp).await;
    assert!(matches!(&hung_up, Failure::Unreachable(Unreachable::NotSqlServer { .. })), "{hung_up:?}");
    let silent = failure(Half::SaysNothing).await;
    assert_eq!(silent.to_string().split_once("accepted").map(|(_, rest)| rest), Some(" the connection and then said nothing for 0.3 s"));
    let ended = failure(Half::EndsHandshake).await;
    assert_eq!(ended.to_string(), "`backup` ended the TLS handshake early, even for a client that takes everything from TLS 1.0 on");
    assert!(matches!(&ended, Failure::Tls(Tls::EndedEarly { .. })));
    let left = failure(Half::LeavesHandshake).await;
    assert_eq!(left.to_string(), "`backup` left the TLS handshake unanswered, even for a client that takes everything from TLS 1.0 on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_without_an_address_is_told_apart_from_one_that_refuses() {
    let mut target = Target::new("backup", "no-such-host.invalid", 1433, USER, Password::known(PASSWORD));
    let failure = opened(target.clone()).await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Unreachable(error::Unreachable::UnknownHost { .. } | error::Unreachable::NoAnswer { .. })),
        "{failure:?}"
    );
    target.host = "127.0.0.1".into();
    target.port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let failure = opened(target).await.unwrap_err();
    assert!(matches!(&failure, Failure::Unreachable(error::Unreachable::Refused { .. })), "{failure:?}");
}
