//! An engine whose T-SQL is a few words, and a client that knows packets but no tokens.

use std::net::TcpListener;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVersion};
use openssl::x509::X509;
use tds_protocol::login7::Login7;
use tds_protocol::token::{ColMetaData, EnvChangeValue, Token, TokenParser};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::lab::tds::{
    Cell, Certificate, Column, Encryption, Engine, LOGIN_TIME, Login, Parameter, Reply, Request, Server, ServerMessage, ServerOptions,
    Session, TlsAge, Turn, Type,
};
use crate::wire::tls::{Framed, PreLogin, encrypt, kind, option, packets, read_message, read_packet};

/// What the engine was told, one line each, in order.
#[derive(Default)]
pub struct Fake {
    pub log: Mutex<Vec<String>>,
    pub logins: Mutex<Vec<Login>>,
    pub requests: Mutex<Vec<Request>>,
    pub version: Option<(u8, u8, u16)>,
}

impl Fake {
    fn note(&self, line: String) -> u64 {
        let mut log = self.log.lock().unwrap();
        log.push(line);
        log.len() as u64
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line to be logged: things happen on other threads.
    pub async fn until(&self, line: &str) {
        for _ in 0..2000 {
            if self.log().iter().any(|one| one == line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{line:?} never came: {:#?}", self.log());
    }
}

/// The engine that a server gets, and the one that a test asks.
pub struct Shared(pub Arc<Fake>);

impl Engine for Shared {
    fn login(&self, login: &Login) -> Result<Box<dyn Session>, Vec<ServerMessage>> {
        self.0.logins.lock().unwrap().push(login.clone());
        if login.password != "Pa$$wörd" {
            let text = format!("Login failed for user '{}'.", login.user);
            return Err(vec![ServerMessage { number: 18456, severity: 14, state: 1, text, procedure: "".into(), line: 1 }]);
        }
        let id = 50 + u16::try_from(self.0.logins.lock().unwrap().len()).unwrap();
        Ok(Box::new(Words { fake: self.0.clone(), id }))
    }

    fn server_name(&self) -> String {
        "SQL01".into()
    }

    fn version(&self) -> (u8, u8, u16) {
        self.0.version.unwrap_or((12, 0, 6024))
    }

    fn received(&self, session: u16, kind: &'static str, text: &str, parameters: &[Parameter]) -> u64 {
        let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
        self.0.note(format!("{session} {kind} {text} {}", names.join(",")).trim_end().to_owned())
    }

    fn answered(&self, n: u64, errors: Vec<i32>) {
        self.0.note(format!("answered {n} {errors:?}"));
    }
}

struct Words {
    fake: Arc<Fake>,
    id: u16,
}

pub fn column(name: &str, ty: Type) -> Column {
    Column { name: name.into(), ty }
}

pub fn say(number: i32, severity: u8, text: &str) -> ServerMessage {
    ServerMessage { number, severity, state: 1, text: text.into(), procedure: "".into(), line: 1 }
}

impl Session for Words {
    fn id(&self) -> u16 {
        self.id
    }

    fn database(&self) -> String {
        "mgc".into()
    }

    fn run(&mut self, request: &Request, reply: &mut dyn Reply) {
        self.fake.requests.lock().unwrap().push(request.clone());
        let text = match request {
            Request::Batch { text, .. } => text.clone(),
            Request::Procedure { name, .. } => format!("proc {name}"),
        };
        for statement in text.split(';').map(str::trim).filter(|one| !one.is_empty()) {
            let words: Vec<&str> = statement.split(' ').collect();
            match words.as_slice() {
                ["select", n] => {
                    reply.columns(&[column("n", Type::Int), column("text", Type::NVarChar(None))]);
                    let n: i32 = n.parse().unwrap();
                    for i in 0..n {
                        let text = if i % 2 == 0 { Cell::Null } else { Cell::Text(format!("row {i}")) };
                        reply.row(&[Cell::Int(i), text]);
                    }
                    reply.done(Some(n as u64));
                }
                ["misfit"] => {
                    reply.columns(&[column("n", Type::TinyInt)]);
                    reply.row(&[Cell::Int(256)]);
                    reply.row(&[Cell::Int(255)]);
                    reply.done(Some(2));
                }
                ["set"] => reply.done(None),
                ["print", text] => reply.message(say(0, 0, text)),
                ["restore"] => {
                    reply.message(say(4305, 16, "The log in this backup set begins too late."));
                    reply.message(say(3013, 16, "RESTORE LOG is terminating abnormally."));
                    reply.done(None);
                }
                ["fatal"] => reply.message(say(21, 20, "Warning: Fatal error.")),
                ["use", name] => {
                    reply.database("master", name);
                    reply.done(None);
                }
                ["slow"] => {
                    reply.message(say(3211, 0, "10 percent processed."));
                    reply.flush();
                    self.fake.note("slow begins".into());
                    let cancelled = reply.wait(Duration::from_secs(60));
                    self.fake.note(format!("slow ends, cancelled {cancelled}, gone {}", reply.disconnected()));
                    reply.done(None);
                }
                ["begin"] => reply.transaction(Turn::Began),
                ["rollback"] => {
                    reply.transaction(Turn::RolledBack);
                    reply.done(None);
                }
                ["cut"] => reply.cut(),
                ["return", n] => {
                    reply.status(n.parse().unwrap());
                    reply.done(None);
                }
                ["double"] => {
                    let Request::Batch { parameters, .. } = request else { panic!() };
                    for p in parameters.iter().filter(|p| p.output) {
                        let Cell::Int(n) = p.value else { panic!() };
                        reply.output(&Parameter { value: Cell::Int(n * 2), ..p.clone() });
                    }
                    reply.done(None);
                }
                ["proc", "dbo.sp_rows"] => {
                    reply.columns(&[column("n", Type::Int)]);
                    reply.row(&[Cell::Int(7)]);
                    reply.done(Some(1));
                    reply.status(3);
                }
                ["types"] => {
                    let all = super::codec::every_type();
                    reply.columns(&all.iter().map(|(ty, _)| column(&format!("{ty:?}"), *ty)).collect::<Vec<_>>());
                    reply.row(&all.iter().map(|(_, cell)| cell.clone()).collect::<Vec<_>>());
                    reply.row(&all.iter().map(|_| Cell::Null).collect::<Vec<_>>());
                    reply.done(Some(2));
                }
                _ => {
                    reply.message(say(2812, 16, "Could not find stored procedure."));
                    reply.done(None);
                }
            }
        }
    }

    fn describe(&mut self, text: &str, parameters: &[Parameter], reply: &mut dyn Reply) -> Option<Vec<Column>> {
        self.fake.note(format!("describe {text} with {}", parameters.len()));
        if text.contains("nonsense") {
            reply.message(say(102, 15, "Incorrect syntax."));
            return None;
        }
        let selects = text.starts_with("select");
        Some(if selects { vec![column("n", Type::Int), column("text", Type::NVarChar(None))] } else { Vec::new() })
    }

    fn transaction(&mut self, open: bool) {
        self.fake.note(format!("transaction {open}"));
    }

    fn reset(&mut self) {
        self.fake.note("reset".into());
    }
}

pub struct Lab {
    pub fake: Arc<Fake>,
    pub server: Server,
    pub certificate: Certificate,
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

pub fn start(encryption: Encryption, tls: TlsAge) -> Lab {
    start_with(Fake::default(), encryption, tls)
}

pub fn start_with(fake: Fake, encryption: Encryption, tls: TlsAge) -> Lab {
    start_options(fake, |certificate| ServerOptions { certificate, encryption, tls, login_time: LOGIN_TIME })
}

pub fn start_options(fake: Fake, options: impl FnOnce(Certificate) -> ServerOptions) -> Lab {
    let fake = Arc::new(fake);
    let certificate = Certificate::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start(listener, Arc::new(Shared(fake.clone())), options(certificate.clone())).unwrap();
    Lab { fake, server, certificate }
}

pub trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

pub struct Client {
    pub stream: Box<dyn Stream>,
    pub answered_encrypt: u8,
}

pub fn login() -> Login7 {
    Login7::new().with_sql_auth("sa", "Pa$$wörd").with_database("mgc").with_hostname("admin-pc").with_app_name("cutover")
}

/// Connects, shakes hands and sends LOGIN7.
pub async fn connect(lab: &Lab, ask: u8, login: &Login7) -> Client {
    let mut tcp = TcpStream::connect(lab.server.addr()).await.unwrap();
    let asked = PreLogin { options: vec![(option::VERSION, vec![0; 6]), (option::ENCRYPTION, vec![ask]), (option::MARS, vec![0])] };
    tcp.write_all(&packets(kind::PRELOGIN, 0, 4096, &asked.write(), true, &mut 0)).await.unwrap();
    let answer = read_message(&mut tcp, 4096).await.unwrap().unwrap();
    assert_eq!(answer.kind, kind::RESPONSE);
    let answered_encrypt = PreLogin::read(&answer.body).unwrap().encryption().unwrap();
    let login = packets(kind::LOGIN, 0, 4096, &login.encode(), true, &mut 0);
    let stream: Box<dyn Stream> = match answered_encrypt {
        encrypt::NOT_SUPPORTED => {
            tcp.write_all(&login).await.unwrap();
            Box::new(tcp)
        }
        encrypt::LOGIN_ONLY => {
            let mut tls = handshake(lab, &mut tcp).await;
            tls.write_all(&login).await.unwrap();
            drop(tls);
            Box::new(tcp)
        }
        _ => {
            let mut tls = handshake(lab, tcp).await;
            tls.write_all(&login).await.unwrap();
            Box::new(tls)
        }
    };
    Client { stream, answered_encrypt }
}

/// Verifies against the lab's certificate and the name `localhost`.
async fn handshake<S: Stream>(lab: &Lab, stream: S) -> SslStream<Framed<S>> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.set_security_level(0);
    builder.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
    builder.clear_options(openssl::ssl::SslOptions::NO_TLSV1);
    builder.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
    let pem = lab.certificate.pem().unwrap();
    builder.cert_store_mut().add_cert(X509::from_pem(&pem).unwrap()).unwrap();
    let ssl = builder.build().configure().unwrap().into_ssl("localhost").unwrap();
    let mut tls = SslStream::new(ssl, Framed::new(stream)).unwrap();
    Pin::new(&mut tls).connect().await.unwrap();
    tls.get_mut().set_framing(false);
    tls
}

impl Client {
    /// Connected, logged in, the login's answer read.
    pub async fn ready(lab: &Lab) -> Self {
        let mut client = connect(lab, encrypt::ON, &login()).await;
        let answer = client.read().await;
        assert_eq!(answer.last().map(String::as_str), Some("DONE"), "{answer:#?}");
        client
    }

    pub async fn send(&mut self, kind: u8, status: u8, body: &[u8]) {
        let mut bytes = packets(kind, 0, 4096, body, true, &mut 0);
        bytes[1] |= status;
        self.stream.write_all(&bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub async fn batch(&mut self, text: &str) {
        self.send(kind::BATCH, 0, &tds_protocol::SqlBatch::new(text).encode()).await;
    }

    pub async fn attention(&mut self) {
        self.send(kind::ATTENTION, 0, &[]).await;
    }

    /// One message's tokens as text.
    pub async fn read(&mut self) -> Vec<String> {
        let message = read_message(&mut self.stream, usize::MAX).await.unwrap().expect("an answer");
        assert_eq!(message.kind, kind::RESPONSE);
        tokens(message.body)
    }

    /// One message's bytes.
    pub async fn read_bytes(&mut self) -> Vec<u8> {
        read_message(&mut self.stream, usize::MAX).await.unwrap().expect("an answer").body
    }

    /// One packet's tokens: what was flushed before the end of an answer.
    pub async fn read_part(&mut self) -> Vec<String> {
        let (header, body) = read_packet(&mut self.stream).await.unwrap().expect("a packet");
        assert!(!header.last());
        tokens(body)
    }

    pub async fn ask(&mut self, text: &str) -> Vec<String> {
        self.batch(text).await;
        self.read().await
    }

    /// Nothing more comes, and the connection is closed.
    pub async fn ended(&mut self) -> bool {
        let mut rest = Vec::new();
        // a connection that is cut ends without TLS's goodbye, which OpenSSL calls an error
        let _ = self.stream.read_to_end(&mut rest).await;
        rest.is_empty()
    }
}

fn text(value: &EnvChangeValue) -> String {
    match value {
        EnvChangeValue::String(text) => text.clone(),
        EnvChangeValue::Binary(bytes) => format!("{:?}", bytes.to_vec()),
        other => format!("{other:?}"),
    }
}

fn done(name: &str, status: tds_protocol::token::DoneStatus, count: u64) -> String {
    let mut line = name.to_owned();
    for (bit, word) in [(status.more, "more"), (status.error, "error"), (status.attn, "attention")] {
        if bit {
            line += " ";
            line += word;
        }
    }
    if status.count { format!("{line} count={count}") } else { line }
}

/// Reads an answer with tds-protocol's parser, to the last byte.
pub fn tokens(body: Vec<u8>) -> Vec<String> {
    let mut parser = TokenParser::new(body.into());
    let mut columns: Option<ColMetaData> = None;
    let mut lines = Vec::new();
    while let Some(token) = parser.next_token_with_metadata(columns.as_ref()).unwrap() {
        lines.push(match token {
            Token::ColMetaData(meta) => {
                let names: Vec<_> = meta.columns.iter().map(|c| c.name.clone()).collect();
                columns = Some(meta);
                format!("COLUMNS {}", names.join(" "))
            }
            Token::Row(row) => format!("ROW {:02x?}", row.data.to_vec()),
            Token::NbcRow(row) => format!("NBCROW {:?} {:02x?}", row.null_bitmap, row.data.to_vec()),
            Token::Done(d) => done("DONE", d.status, d.row_count),
            Token::DoneInProc(d) => done("DONEINPROC", d.status, d.row_count),
            Token::DoneProc(d) => done("DONEPROC", d.status, d.row_count),
            Token::ReturnStatus(status) => format!("STATUS {status}"),
            Token::ReturnValue(v) => format!("VALUE {} {} {:?}", v.param_ordinal, v.param_name, v.value.to_vec()),
            Token::Error(e) => format!("ERROR {} {} {} {}: {}", e.number, e.class, e.state, e.server, e.message),
            Token::Info(i) => format!("INFO {} {} {}: {}", i.number, i.class, i.server, i.message),
            Token::LoginAck(a) => format!(
                "LOGINACK {:08x} {} {:08x}",
                a.tds_version.swap_bytes(),
                a.prog_name.trim_end_matches('\0'),
                a.prog_version.swap_bytes()
            ),
            Token::EnvChange(c) => format!("ENV {:?} {} <- {}", c.env_type, text(&c.new_value), text(&c.old_value)).trim_end().to_owned(),
            Token::FeatureExtAck(f) => {
                format!("FEATURES {:?}", f.features.iter().map(|f| (f.feature_id, f.data.to_vec())).collect::<Vec<_>>())
            }
            other => format!("{other:?}"),
        });
    }
    lines
}
