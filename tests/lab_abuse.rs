//! The lab under abuse: damaged packets by the thousand, and clients that stall. It serves the next client all the while, its
//! memory is bounded, and what a client did wrong is in its log.
#![cfg(all(target_os = "linux", feature = "lab"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::fs::File;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::cases::cases;
use common::{World, start, wait_for};
use cutover::wire::tls::{Framed, Header, PreLogin, encrypt, kind, option, packets, read_message, status};
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use tds_protocol::login7::Login7;
use tds_protocol::rpc::{ProcId, RpcParam, RpcRequest, TypeInfo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}
type Wire = Box<dyn Stream>;

/// A lab in a process of its own, whose log can be read while it serves.
struct Victim {
    world: World,
    child: Child,
    port: u16,
    password: String,
    /// it has no TLS
    clear: bool,
    /// made once: it reads the system's roots
    connector: SslConnector,
}

impl Victim {
    fn start(clear: bool) -> Self {
        let world = World::new();
        let fault = if clear { "[[fault]]\nkind = \"tls\"\noffers = \"none\"\n" } else { "" };
        world.write("scene.toml", &format!("bytes = 3000\n{fault}"));
        let log = File::create(world.path("log")).unwrap();
        let mut command = world.command("lab --keep @/lab --scenario @/scene.toml --seed 1 --pace 0");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = start(|| command.spawn()).unwrap();
        let site = world.path("lab/site.toml");
        wait_for("the lab to serve", || {
            assert!(child.try_wait().unwrap().is_none(), "the lab ended");
            site.exists()
        });
        let site: toml::Table = std::fs::read_to_string(site).unwrap().parse().unwrap();
        let port = u16::try_from(site["sql"]["backup"]["port"].as_integer().unwrap()).unwrap();
        let password = std::fs::read_to_string(world.path("lab/password")).unwrap();
        let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
        connector.set_verify(SslVerifyMode::NONE);
        Self { world, child, port, password, clear, connector: connector.build() }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap()
    }

    fn log_file(&self) -> PathBuf {
        self.world.path("log")
    }

    /// The most memory that the lab has had, in KiB.
    fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn login(&self) -> Vec<u8> {
        let login = Login7::new().with_sql_auth("cutover", &self.password).with_hostname("here").with_app_name("abuse");
        login.encode().to_vec()
    }

    /// The handshake is done; LOGIN7 is not sent.
    async fn handshake(&self) -> Wire {
        let mut tcp = self.connect().await;
        tcp.set_nodelay(true).unwrap();
        tcp.write_all(&whole(kind::PRELOGIN, &prelogin(self.clear))).await.unwrap();
        read_message(&mut tcp, 4096).await.unwrap().unwrap();
        if self.clear {
            return Box::new(tcp);
        }
        let ssl = self.connector.configure().unwrap().into_ssl("localhost").unwrap();
        let mut tls = SslStream::new(ssl, Framed::new(tcp)).unwrap();
        Pin::new(&mut tls).connect().await.unwrap();
        tls.get_mut().set_framing(false);
        Box::new(tls)
    }

    /// A client that behaves: it is logged in.
    async fn client(&self) -> Wire {
        let mut client = self.handshake().await;
        client.write_all(&whole(kind::LOGIN, &self.login())).await.unwrap();
        client.flush().await.unwrap();
        read_message(&mut client, 1 << 20).await.unwrap().unwrap();
        client
    }

    /// A new client logs in, asks, and gets its answer.
    async fn serves(&self) {
        asks(&mut self.client().await).await;
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn asks(client: &mut Wire) {
    client.write_all(&whole(kind::BATCH, &batch("SELECT N'here' AS answer"))).await.unwrap();
    client.flush().await.unwrap();
    let answer = read_message(client, 1 << 20).await.unwrap().unwrap();
    let text: Vec<u8> = "here".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(answer.body.windows(text.len()).any(|bytes| bytes == text), "{:02x?}", answer.body);
}

fn whole(kind: u8, body: &[u8]) -> Vec<u8> {
    packets(kind, 0, 4096, body, true, &mut 1)
}

fn prelogin(clear: bool) -> Vec<u8> {
    let asked = if clear { encrypt::NOT_SUPPORTED } else { encrypt::ON };
    let options = vec![(option::VERSION, vec![0; 6]), (option::ENCRYPTION, vec![asked]), (option::MARS, vec![0])];
    PreLogin { options }.write()
}

fn batch(text: &str) -> Vec<u8> {
    tds_protocol::SqlBatch::new(text).encode().to_vec()
}

fn transaction(request: u16) -> Vec<u8> {
    let mut body = vec![22, 0, 0, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    body.extend_from_slice(&request.to_le_bytes());
    body.extend_from_slice(&[0, 0]);
    body
}

/// What a client sends after its login, each message as it should be.
fn conversation() -> Vec<Vec<u8>> {
    let sql = RpcRequest::named("sp_executesql")
        .param(RpcParam::nvarchar("", "SELECT name FROM sys.databases WHERE database_id = @a OR name = @b"))
        .param(RpcParam::nvarchar("", "@a int, @b nvarchar(max)"))
        .param(RpcParam::int("@a", 1))
        .param(RpcParam::nvarchar("@b", "mgc"));
    let prepexec = RpcRequest::by_id(ProcId::PrepExec)
        .param(RpcParam::null("", TypeInfo::int()).as_output())
        .param(RpcParam::nvarchar("", "@P1 bigint"))
        .param(RpcParam::nvarchar("", "SELECT @P1 AS n"))
        .param(RpcParam::bigint("", 7));
    let execute = RpcRequest::by_id(ProcId::Execute).param(RpcParam::int("", 1)).param(RpcParam::bigint("", 8));
    let procedure = RpcRequest::named("sp_getapplock").param(RpcParam::nvarchar("@Resource", "x")).param(RpcParam::nvarchar("", "Shared"));
    let separate = &[0xFF][..];
    let headers = 22;
    let two = [&sql.encode()[..], separate, &procedure.encode()[headers..]].concat();
    vec![
        whole(kind::BATCH, &batch("SELECT name, state_desc FROM sys.databases; PRINT N'x'; EXEC sp_who2; SELECT 1")),
        whole(kind::BATCH, &batch("RESTORE LOG mgc FROM DISK = N'D:\\LogShip\\nothing.trn' WITH NORECOVERY")),
        packets(kind::BATCH, 0, 60, &batch("SELECT N'in several packets' AS text WHERE 1 = 1"), true, &mut 1),
        whole(kind::RPC, &sql.encode()),
        whole(kind::RPC, &prepexec.encode()),
        whole(kind::RPC, &execute.encode()),
        whole(kind::RPC, &two),
        whole(kind::ATTENTION, &[]),
        whole(kind::TRANSACTION, &transaction(5)),
        whole(kind::TRANSACTION, &transaction(8)),
    ]
}

/// Damages a packet in one of the ways in which packets get damaged.
fn damage(random: &mut fastrand::Rng, packet: &mut Vec<u8>) {
    let at = |random: &mut fastrand::Rng, packet: &[u8]| random.usize(..packet.len().max(1)).min(packet.len().saturating_sub(1));
    match random.u8(..8) {
        // bits flipped
        0..3 => {
            for _ in 0..random.usize(1..6) {
                let at = at(random, packet);
                if let Some(byte) = packet.get_mut(at) {
                    *byte ^= 1 << random.u8(..8);
                }
            }
        }
        // bytes cut out, or the end cut off
        3 => {
            let from = at(random, packet);
            let to = (from + random.usize(1..20)).min(packet.len());
            packet.drain(from..to);
        }
        4 => packet.truncate(at(random, packet)),
        // a length lied about: the packet's, or four bytes anywhere inside
        5 => {
            let length = [0, 1, 7, 8, 9, 0x7FFF, 0xFFFF, random.u16(..)][random.usize(..8)];
            if let Some(field) = packet.get_mut(2..4) {
                field.copy_from_slice(&length.to_be_bytes());
            }
        }
        6 => {
            let lie = [u32::MAX, 0x7FFF_FFFF, 0, 0x0001_0000, random.u32(..)][random.usize(..5)].to_le_bytes();
            let from = at(random, packet);
            for (byte, lie) in packet.iter_mut().skip(from).zip(lie) {
                *byte = lie;
            }
        }
        // bytes put in
        _ => {
            let from = at(random, packet);
            for _ in 0..random.usize(1..9) {
                packet.insert(from, random.u8(..));
            }
        }
    }
}

/// Everything that a client can send before its login is read, one after the other, in the clear.
async fn strangers(victim: &Victim, random: &mut fastrand::Rng) -> usize {
    let mut sound = vec![whole(kind::PRELOGIN, &prelogin(victim.clear)), whole(kind::LOGIN, &victim.login())];
    sound.extend(conversation());
    let mut first = sound[if random.u8(..4) == 0 { random.usize(..sound.len()) } else { 0 }].clone();
    if random.u8(..10) > 0 {
        damage(random, &mut first);
    }
    let mut next = sound[random.usize(..sound.len())].clone();
    damage(random, &mut next);
    send_all(Box::new(victim.connect().await), &[first, next].concat()).await;
    2
}

/// A damaged login, where a login is expected.
async fn logins(victim: &Victim, random: &mut fastrand::Rng) -> usize {
    let mut login = whole(kind::LOGIN, &victim.login());
    damage(random, &mut login);
    send_all(victim.handshake().await, &login).await;
    1
}

/// A client that is logged in sends what it has in any order, most of it damaged.
async fn clients(victim: &Victim, random: &mut fastrand::Rng) -> usize {
    let mut sound = conversation();
    random.shuffle(&mut sound);
    let mut all = Vec::new();
    let many = random.usize(3..=sound.len());
    for mut packet in sound.into_iter().take(many) {
        if random.u8(..4) > 0 {
            damage(random, &mut packet);
        }
        if random.u8(..10) == 0 && packet.len() > 1 {
            packet[1] = [status::IGNORE | status::END, status::RESET | status::END, 0, 0xFF][random.usize(..4)];
        }
        all.extend(packet);
    }
    send_all(victim.client().await, &all).await;
    many
}

/// Sends, ends the sending side, and reads until the lab has ended the connection, too.
async fn send_all(mut stream: Wire, bytes: &[u8]) {
    // the lab may hang up before all of it is sent
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
    let _ = stream.shutdown().await;
    let mut rest = vec![0; 65_536];
    let all = async { while stream.read(&mut rest).await.is_ok_and(|n| n > 0) {} };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("the lab ends a connection that its client ended");
}

/// The messages of the lab's log, without their times.
fn told(log: &str) -> Vec<&str> {
    log.lines().filter_map(|line| line.split_once("cutover::lab::")).map(|(_, rest)| rest).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_packets_inside_tls_end_their_own_connection_at_most() {
    bombard(Victim::start(false), cases(50_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_packets_in_the_clear_end_their_own_connection_at_most() {
    bombard(Victim::start(true), cases(50_000)).await;
}

/// Sends so many packets, on four connections at once.
async fn bombard(victim: Victim, all: usize) {
    let victim = Arc::new(victim);
    let mut other = victim.client().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let mut before = 0;
    // what the catalogue, the threads and the allocator take once is taken after the first tenth
    for goal in [all / 10, all] {
        let mut tasks = tokio::task::JoinSet::new();
        for seed in 0..4 {
            let (victim, sent) = (Arc::clone(&victim), Arc::clone(&sent));
            tasks.spawn(async move {
                let mut random = fastrand::Rng::with_seed(seed + u64::try_from(goal).unwrap());
                while sent.load(Ordering::Relaxed) < goal {
                    let n = match random.u8(..10) {
                        0..5 => strangers(&victim, &mut random).await,
                        5..7 => logins(&victim, &mut random).await,
                        _ => clients(&victim, &mut random).await,
                    };
                    sent.fetch_add(n, Ordering::Relaxed);
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
            victim.serves().await;
        }
        asks(&mut other).await;
        if before == 0 {
            before = victim.most_memory();
        }
    }
    let grown = victim.most_memory() - before;
    // the record of what was received grows with every packet, by far less than 256 bytes
    let bound = 16 * 1024 + u64::try_from(all).unwrap() / 4;
    assert!(grown < bound, "{grown} KiB more than the {before} after a tenth of the packets, {bound} allowed");

    let log = victim.log();
    assert!(!log.contains("panicked"), "{log}");
    let foreign: Vec<&str> = told(&log).into_iter().filter(|line| !line.contains("connection ended by the lab")).collect();
    assert!(foreign.is_empty(), "{foreign:#?}");
    let count = told(&log).len();
    assert!(count > all / 20, "{count} of {all} in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_wrong_with_a_packet_is_in_the_log() {
    let victim = Victim::start(false);
    let header = |length: u16, kind: u8| Header { kind, status: status::END, length, spid: 0, packet_id: 1, window: 0 }.write().to_vec();
    let before: [(Vec<u8>, &str); 6] = [
        (header(7, kind::PRELOGIN), "packet length 7 is shorter than its header"),
        (b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n".to_vec(), "early eof"),
        (whole(kind::BATCH, &batch("SELECT 1")), "unexpected packet type 0x01"),
        (whole(kind::PRELOGIN, &[0, 0xFF, 0xFF, 0, 6]), "PRELOGIN option table does not fit its message"),
        (packets(kind::PRELOGIN, 0, 32_767, &vec![0; 200_000], true, &mut 1), "message longer than 131072 bytes"),
        (vec![kind::NAKED_TLS, 3, 1, 0, 5], "the client speaks TDS 8.0"),
    ];
    for (bytes, text) in before {
        send_all(Box::new(victim.connect().await), &bytes).await;
        wait_for(text, || told(&victim.log()).last().is_some_and(|line| line.contains(text)));
    }
    let mut lying = batch("SELECT 1");
    lying[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    let mixed = [packets(kind::BATCH, 0, 100, b"half", false, &mut 1), whole(kind::RPC, b"other")].concat();
    let mut flood = whole(kind::BATCH, &batch("WAITFOR DELAY '00:00:30'"));
    for _ in 0..70 {
        flood.extend(whole(kind::BATCH, &batch("SELECT 1")));
    }
    let after = [
        (flood, "too many requests without waiting for an answer"),
        (whole(kind::BATCH, &lying), "4294967291 bytes wanted"),
        (whole(kind::RPC, &[4, 0, 0, 0]), "invalid RPC without a call"),
        (whole(kind::BULK, b"x"), "unexpected packet type 0x07"),
        (mixed, "packet type 0x03 inside a message of type 0x01"),
        (header(3, kind::BATCH), "packet length 3 is shorter than its header"),
    ];
    for (bytes, text) in after {
        send_all(victim.client().await, &bytes).await;
        wait_for(text, || told(&victim.log()).last().is_some_and(|line| line.contains(text)));
    }
    let mut login = victim.login();
    login[36..40].copy_from_slice(&[0xFF; 4]);
    send_all(victim.handshake().await, &whole(kind::LOGIN, &login)).await;
    wait_for("LOGIN7", || told(&victim.log()).last().is_some_and(|line| line.contains("bytes wanted")));
    victim.serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_stall_keep_nobody_out() {
    let victim = Victim::start(false);
    victim.serves().await;
    let before = victim.most_memory();
    let hello = whole(kind::PRELOGIN, &prelogin(false));
    let mut strangers = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..40 {
        // after the connect
        strangers.push(victim.connect().await);
        // within PRELOGIN
        let mut stream = victim.connect().await;
        stream.write_all(&hello[..11]).await.unwrap();
        strangers.push(stream);
        // within the TLS handshake
        let mut stream = victim.connect().await;
        stream.write_all(&hello).await.unwrap();
        read_message(&mut stream, 4096).await.unwrap().unwrap();
        stream.write_all(&whole(kind::PRELOGIN, &[22, 3, 1, 2, 0, 1, 0])).await.unwrap();
        strangers.push(stream);
        // after the login
        clients.push(victim.client().await);
        // within a packet
        let mut client = victim.client().await;
        client.write_all(&whole(kind::BATCH, &batch("SELECT N'here' AS answer"))[..20]).await.unwrap();
        client.flush().await.unwrap();
        clients.push(client);
        victim.serves().await;
    }
    assert_eq!(strangers.len() + clients.len(), 200);
    // one that never reads: its answer is large, and nobody waits for it
    let mut deaf = victim.client().await;
    let many = "SELECT REPLICATE(N'x', 4000) FROM sys.databases AS a, sys.databases AS b, sys.databases AS c, sys.databases AS d";
    deaf.write_all(&whole(kind::BATCH, &batch(many))).await.unwrap();
    deaf.flush().await.unwrap();
    victim.serves().await;
    let grown = victim.most_memory() - before;
    assert!(grown < 48 * 1024, "{grown} KiB for 200 clients");
    asks(&mut clients[0]).await;
    drop((strangers, clients, deaf));
    victim.serves().await;
    assert!(!victim.log().contains("panicked"), "{}", victim.log());
}
