//! One connection: the port, TCP with keepalive, the shim, the login, and one batch at a time over it. What it must not do:
//! try a batch again, or go on after anything that leaves the answer unread.

use std::fmt;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::TryStreamExt;
use openssl::ssl::SslVersion;
use tiberius::{AuthMethod, Client, Command, CommandItem, Config, QueryItem};
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::batch::{self, Batch, Bound, TimeLimit};
use super::cells::{self, RawSet};
use super::error::{Failure, Tls, Unreachable};
use super::ntlm::Ntlm;
use super::tap::Record;
use super::tls::{self, Hello, LogIn, Security, Shared, no_route};
use super::value::{Answer, Message};
use super::{browser, probe};
use crate::wire::tls::TlsMinimum;

/// How a password is had when it is first needed; kept until a login with it is refused. The error is a fragment that never
/// holds the secret.
#[derive(Clone)]
pub struct Password(Arc<Secret>);

struct Secret {
    resolve: Box<dyn Fn() -> Result<String, String> + Send + Sync>,
    known: Mutex<Option<String>>,
}

impl Password {
    /// May block, and may ask somebody: it is called on a thread where that is allowed, by one connection at a time.
    pub fn from_fn(resolve: impl Fn() -> Result<String, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Secret { resolve: Box::new(resolve), known: Mutex::new(None) }))
    }

    /// A password that is already known.
    pub fn known(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::from_fn(move || Ok(text.clone()))
    }

    async fn resolve(&self) -> Result<String, String> {
        let mut known = self.0.known.lock().await;
        if let Some(text) = &*known {
            return Ok(text.clone());
        }
        let secret = Arc::clone(&self.0);
        let text = tokio::task::spawn_blocking(move || (secret.resolve)()).await.unwrap_or_else(|e| Err(e.to_string()))?;
        *known = Some(text.clone());
        Ok(text)
    }

    /// After a refused login somebody may want to type it again.
    async fn forget(&self) {
        self.0.known.lock().await.take();
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

/// One server of the site, as far as a connection needs it.
#[derive(Clone, Debug)]
pub struct Target {
    /// the site's name for it: `backup`
    pub key: String,
    /// as the site writes it: the certificate is verified against this
    pub host: String,
    /// counts unless `instance` is given
    pub port: u16,
    pub instance: Option<Instance>,
    pub account: Account,
    /// of a Windows account `DOMAIN\user`
    pub user: String,
    pub password: Password,
    pub security: Security,
    pub tls_minimum: TlsMinimum,
    /// until TCP is connected
    pub connect_time_limit: Duration,
    /// from there until the login is answered
    pub login_time_limit: Duration,
    /// of a batch that says [`TimeLimit::Default`]; `None` waits for ever
    pub command_time_limit: Option<Duration>,
    /// what LOGIN7 asks for
    pub database: String,
    /// shown by `sys.dm_exec_sessions.program_name`: `cutover <run>`
    pub program: String,
    /// the newest TLS of a hello that the server understands, once that is known to be less than 1.2
    pub(super) newest: Arc<OnceLock<SslVersion>>,
}

/// Whose login it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// SQL Server's own, `user` with `password`
    Sql,
    /// a Windows account, `user` with `password`, by NTLM
    Windows,
    /// the Windows account that runs this program
    Current,
}

/// A named instance, whose port the SQL Server Browser knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    pub name: String,
    /// UDP
    pub browser_port: u16,
}

impl Target {
    /// A SQL login, with the limits and names that a run has unless the site says otherwise.
    pub fn new(key: impl Into<String>, host: impl Into<String>, port: u16, user: impl Into<String>, password: Password) -> Self {
        Self {
            key: key.into(),
            host: host.into(),
            port,
            instance: None,
            account: Account::Sql,
            user: user.into(),
            password,
            security: Security::Verify { ca: None },
            tls_minimum: TlsMinimum::default(),
            connect_time_limit: Duration::from_secs(10),
            login_time_limit: Duration::from_secs(20),
            command_time_limit: Some(Duration::from_secs(60)),
            database: "master".into(),
            program: "cutover".into(),
            newest: Arc::default(),
        }
    }

    /// A port of its host: `sql01:1433`, `[::1]:1433`
    pub(super) fn address(&self, port: u16) -> String {
        if self.host.contains(':') { format!("[{}]:{port}", self.host) } else { format!("{}:{port}", self.host) }
    }
}

/// First batch of every connection: messages in English wherever the login comes from, and no endless wait for a lock.
const SET_UP: &str = "SET LANGUAGE us_english; SET LOCK_TIMEOUT 5000;";
/// How long an attention may stay unanswered before the connection is cut.
const ATTENTION_WAIT: Duration = Duration::from_secs(5);
/// Bytes arrive or keepalive probes are answered, or the connection breaks: a dead host must not hang a RESTORE for ever.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
/// TLS 1.3 does not fit into the packets of TDS 7.4.
const NEWEST: SslVersion = SslVersion::TLS1_2;

/// One logged-in connection. Closed when dropped, also in the middle of a batch.
pub struct Connection {
    target: Arc<Target>,
    /// `None` once it must not be used any more
    live: Option<Live>,
    shared: Arc<Shared>,
    hello: Hello,
    session: u16,
    used: Instant,
}

/// What holds the connection open. The shim ends once tiberius is dropped.
struct Live {
    client: Client<Compat<DuplexStream>>,
    /// the shim's socket once more, to see that the other side hung up before anything is sent
    socket: std::net::TcpStream,
}

impl Live {
    /// True if the other side said goodbye; between statements it has nothing else to say.
    fn hung_up(&self) -> bool {
        let silent = |e: io::Error| e.kind() == io::ErrorKind::WouldBlock;
        !self.socket.peek(&mut [0]).is_err_and(silent)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("server", &self.target.key)
            .field("session", &self.session)
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

/// How a batch ended other than by its answer.
enum Cut {
    TimeLimit(Duration),
    Cancelled,
}

impl Connection {
    /// Connects, secures, logs in and sets the session up.
    pub async fn open(target: &Arc<Target>) -> Result<Self, Failure> {
        let (server, tls) = (target.key.as_str(), target.security.word());
        tracing::info!(server, host = target.host, port = target.port, tls, minimum = ?target.tls_minimum, "connecting");
        let opened = Self::connect_and_log_in(target).await;
        match &opened {
            Ok(connection) => tracing::info!(server, session = connection.session, hello = ?connection.hello, "logged in"),
            Err(error) => tracing::warn!(server, %error, "no connection"),
        }
        opened
    }

    async fn connect_and_log_in(target: &Arc<Target>) -> Result<Self, Failure> {
        let server = || target.key.clone();
        if target.security == Security::Off && target.account == Account::Sql && !tls::is_loopback_name(&target.host) {
            return Err(Tls::OffButRemote { server: server(), host: target.host.clone() }.into());
        }
        let why = |why| Failure::Password { server: server(), why };
        let password = match target.account {
            Account::Sql | Account::Windows => target.password.resolve().await.map_err(why)?,
            Account::Current => String::new(),
        };
        let port = match &target.instance {
            Some(instance) => browser::port(target, instance).await?,
            None => target.port,
        };
        let mut connection = match Self::dial(target, port, &password).await {
            Err(Failure::Tls(failed @ (Tls::EndedEarly { .. } | Tls::Handshake { .. }))) => {
                match probe::taken(target, port).await {
                    // the site allows what it takes, perhaps only when spoken to in its own words
                    Some(taken) if target.tls_minimum == TlsMinimum::V1_0 => {
                        if taken.hello != NEWEST {
                            let _ = target.newest.set(taken.hello);
                        }
                        Self::dial(target, port, &password).await?
                    }
                    taken => return Err(probe::explain(target, failed, taken).into()),
                }
            }
            dialled => dialled?,
        };
        let limit = target.login_time_limit;
        connection.run(&Batch::read(SET_UP).within(limit)).await?;
        connection.session = connection.shared.spid.load(Ordering::Acquire);
        if connection.session == 0 {
            let answer = connection.run(&Batch::read("SELECT @@SPID AS session_id;").within(limit)).await?;
            connection.session = answer.integer().and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
        }
        Ok(connection)
    }

    /// Connects, secures and logs in, once.
    async fn dial(target: &Arc<Target>, port: u16, password: &str) -> Result<Self, Failure> {
        let server = || target.key.clone();
        let address = target.address(port);
        let unable = |why| Failure::Password { server: server(), why };
        let log_in = match target.account {
            Account::Windows => {
                let service = format!("MSSQLSvc/{address}");
                LogIn::Ntlm(Ntlm::new(&target.user, password.to_owned(), service).map_err(unable)?)
            }
            Account::Sql | Account::Current => LogIn::AsItIs,
        };
        let mut config = Config::new();
        config.host(&target.host);
        config.port(port);
        config.database(&target.database);
        config.application_name(&target.program);
        config.authentication(match target.account {
            Account::Sql => AuthMethod::sql_server(&target.user, password),
            // the shim makes a Windows login of it
            Account::Windows => AuthMethod::None,
            Account::Current => current_account().map_err(unable)?,
        });
        let tcp = connect(target, port, &address, target.connect_time_limit).await?;
        let shared = Arc::new(Shared::default());
        let limit = target.login_time_limit;
        let until = Instant::now() + limit;
        let socket = tcp.into_std().map_err(|e| no_route(target, &address, e))?;
        let newest = target.newest.get().copied().unwrap_or(NEWEST);
        let (near, hello) = tls::start(target, &socket, &address, until, newest, log_in, Arc::clone(&shared)).await?;
        let login = Self::login(Arc::clone(target), (near, socket), hello, &address, config, shared);
        let stalled = || Unreachable::Stalled {
            server: server(),
            address: address.clone(),
            what: format!("did not finish the login within {} s", limit.as_secs_f32()),
        };
        timeout_at(until, login).await.map_err(|_| stalled())?
    }

    async fn login(
        target: Arc<Target>,
        (near, socket): (DuplexStream, std::net::TcpStream),
        hello: Hello,
        address: &str,
        mut config: Config,
        shared: Arc<Shared>,
    ) -> Result<Self, Failure> {
        // the limits are ours: tiberius' count by token and leave the connection half dead
        config.handshake_timeout(None);
        config.command_timeout(None);
        shared.tap.begin(None);
        match Client::connect(config, near.compat_write()).await {
            Ok(client) => {
                let used = Instant::now();
                Ok(Self { target, live: Some(Live { client, socket }), shared, hello, session: 0, used })
            }
            Err(error) => {
                let record = shared.tap.take();
                let messages = with_first(record.messages, &error);
                if messages.iter().any(Message::is_error) {
                    target.password.forget().await;
                    let user = match target.account {
                        Account::Sql | Account::Windows => target.user.clone(),
                        Account::Current => "the account that runs cutover".into(),
                    };
                    return Err(Failure::Login { server: target.key.clone(), user, messages });
                }
                let what = shared.end().unwrap_or_else(|| error.to_string());
                let what = format!("ended the login: {what}");
                Err(Unreachable::Stalled { server: target.key.clone(), address: address.into(), what }.into())
            }
        }
    }

    /// The server's key.
    pub fn server(&self) -> &str {
        &self.target.key
    }

    /// `@@SPID`; 0 if the server would not say.
    pub fn session_id(&self) -> u16 {
        self.session
    }

    /// What the server said of itself before the login.
    pub fn hello(&self) -> Hello {
        self.hello
    }

    /// False once the connection was closed by either side, as far as it is known here.
    pub fn is_open(&self) -> bool {
        !self.shared.closed.load(Ordering::Acquire) && self.live.as_ref().is_some_and(|live| !live.hung_up())
    }

    /// How long ago the last answer ended.
    pub(super) fn idle(&self) -> Duration {
        self.used.elapsed()
    }

    /// Runs one batch and reads its whole answer. Any end but an answer of the server closes the connection; a future that
    /// is dropped before its end closes it too.
    pub async fn run(&mut self, batch: &Batch) -> Result<Answer, Failure> {
        let began = Instant::now();
        let ended = self.exchange_whole(batch).await;
        if tracing::enabled!(tracing::Level::DEBUG) {
            // its first words and which text it is; never a parameter's value
            let words: String = batch.text.split_whitespace().take(6).collect::<Vec<_>>().join(" ").chars().take(60).collect();
            let digest = blake3::hash(batch.text.as_bytes()).to_hex();
            let (digest, ms) = (&digest[..12], u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
            let (server, session, changes, parameters) = (self.server(), self.session, batch.changes, batch.parameters.len());
            match &ended {
                Ok(answer) => {
                    let rows: usize = answer.sets.iter().map(|set| set.rows.len()).sum();
                    tracing::debug!(server, session, words, digest, changes, parameters, ms, rows, "answered");
                }
                Err(error) => {
                    let number = error.number();
                    tracing::debug!(server, session, words, digest, changes, parameters, ms, number, %error, "not answered");
                }
            }
        }
        ended
    }

    async fn exchange_whole(&mut self, batch: &Batch) -> Result<Answer, Failure> {
        let server = self.target.key.clone();
        let bound = batch::bind(&server, batch)?;
        // taken out: whatever does not come to the end of this function leaves the connection closed
        let open = self.is_open();
        let Some(mut live) = self.live.take().filter(|_| open) else {
            return Err(Failure::Lost {
                server,
                detail: self.shared.end().unwrap_or_else(|| "the connection was closed before".into()),
                in_doubt: false,
                messages: Vec::new(),
            });
        };
        self.shared.tap.begin(batch.on_message.clone());
        let limit = match batch.time_limit {
            TimeLimit::Default => self.target.command_time_limit,
            TimeLimit::None => None,
            TimeLimit::Some(limit) => Some(limit),
        };
        let mut sets = Vec::new();
        let ended = {
            let exchange = exchange(&mut live.client, &bound, &mut sets);
            let over = async {
                match limit {
                    Some(limit) => {
                        tokio::time::sleep(limit).await;
                        limit
                    }
                    None => std::future::pending().await,
                }
            };
            let cancelled = async {
                match &batch.cancel {
                    Some(token) => token.cancelled().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                result = exchange => Ok(result),
                () = cancelled => Err(Cut::Cancelled),
                limit = over => Err(Cut::TimeLimit(limit)),
            }
        };
        let in_doubt = batch.changes;
        let result = match ended {
            Ok(result) => result,
            Err(cut) => {
                let stopped = self.attention().await;
                let messages = self.shared.tap.take().messages;
                drop(live);
                return Err(match cut {
                    Cut::TimeLimit(limit) => Failure::TimeLimit { server, limit, stopped, in_doubt, messages },
                    Cut::Cancelled => Failure::Cancelled { server, stopped, in_doubt, messages },
                });
            }
        };
        let Record { messages, affected, sets: declared, status, failed, complete, incomplete, .. } = self.shared.tap.take();
        let mut answer = Answer { sets: Vec::new(), affected, messages, status, incomplete };
        let (refused, broken) = match &result {
            Ok(()) if !complete => (false, Some("it has no end".to_owned())),
            Ok(()) => (failed || answer.messages.iter().any(Message::is_error), None),
            Err(error @ tiberius::error::Error::Server(_)) => {
                answer.messages = with_first(std::mem::take(&mut answer.messages), error);
                (true, None)
            }
            // severity 20 and above closes the connection after saying why
            Err(_) if answer.messages.iter().any(|m| m.severity >= 20) => (true, None),
            Err(error) => (false, Some(error.to_string())),
        };
        if let Some(detail) = broken {
            // tiberius also says Io of bytes that it cannot decode: only the shim knows that the connection is gone
            return Err(match (self.shared.end(), cells::unsupported(&server, &declared)) {
                (Some(detail), _) if !complete => Failure::Lost { server, detail, in_doubt, messages: answer.messages },
                (_, Some(unsupported)) => unsupported,
                _ => Failure::Unreadable { server, detail, in_doubt },
            });
        }
        self.used = Instant::now();
        if complete {
            self.live = Some(live);
        }
        let cells = cells::sets(&server, sets, &declared);
        if refused {
            answer.sets = cells.unwrap_or_default();
            return Err(Failure::Refused { server, answer: Box::new(answer) });
        }
        answer.sets = cells?;
        Ok(answer)
    }

    /// Asks the server to stop what it does for us, and waits a while for its word; true if it came.
    async fn attention(&self) -> bool {
        self.shared.attention.cancel();
        let _ = timeout(ATTENTION_WAIT, self.shared.quiet.notified()).await;
        self.shared.tap.stopped()
    }
}

/// Sends a batch and puts what tiberius reads of its answer into `sets`, also when it ends with an error.
async fn exchange(
    client: &mut Client<Compat<DuplexStream>>,
    bound: &Bound<'_>,
    sets: &mut Vec<RawSet>,
) -> Result<(), tiberius::error::Error> {
    match bound {
        Bound::Text(text) => {
            let mut stream = client.simple_query(*text).await?;
            while let Some(item) = stream.try_next().await? {
                match item {
                    QueryItem::Metadata(meta) => sets.push(RawSet::new(meta.columns())),
                    QueryItem::Row(row) => RawSet::push(sets, row),
                }
            }
        }
        Bound::Call { text, declarations, parameters } => {
            let mut command = Command::new("sp_executesql");
            command.bind_param("", *text);
            command.bind_param("", declarations.as_str());
            for (name, value) in parameters {
                command.bind_param(name.as_str(), value.clone());
            }
            let mut stream = command.exec(client).await?;
            while let Some(item) = stream.try_next().await? {
                match item {
                    CommandItem::Metadata(meta) => sets.push(RawSet::new(meta.columns())),
                    CommandItem::Row(row) => RawSet::push(sets, row),
                    CommandItem::ReturnStatus(_) | CommandItem::ReturnValue(_) | CommandItem::RowsAffected(_) => {}
                }
            }
        }
    }
    Ok(())
}

/// The tap's messages, or, if it has no error among them, with the one that tiberius kept.
fn with_first(mut messages: Vec<Message>, error: &tiberius::error::Error) -> Vec<Message> {
    if let tiberius::error::Error::Server(token) = error
        && !messages.iter().any(Message::is_error)
    {
        messages.push(Message {
            number: i32::try_from(token.code()).unwrap_or(i32::MAX),
            severity: token.class(),
            state: token.state(),
            text: token.message().into(),
            server: token.server().into(),
            procedure: token.procedure().into(),
            line: token.line(),
        });
    }
    messages
}

/// The account that runs this program, for which only Windows can vouch.
#[cfg(windows)]
fn current_account() -> Result<AuthMethod, String> {
    Ok(AuthMethod::Integrated)
}

#[cfg(not(windows))]
fn current_account() -> Result<AuthMethod, String> {
    Err("only Windows vouches for the account that runs cutover".into())
}

/// TCP within the limit, all addresses of the name in turn.
pub(super) async fn connect(target: &Target, port: u16, address: &str, limit: Duration) -> Result<TcpStream, Failure> {
    let server = || target.key.clone();
    let attempt = async {
        let found = tokio::net::lookup_host((target.host.as_str(), port)).await;
        let unknown = |source| Unreachable::UnknownHost { server: server(), host: target.host.clone(), source: Arc::new(source) };
        let addresses: Vec<_> = found.map_err(unknown)?.collect();
        let mut last = unknown(io::ErrorKind::NotFound.into());
        // one address that swallows everything must not use up the time of the others
        let share = limit / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        for one in addresses {
            match timeout(share, TcpStream::connect(one)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(tcp) => return Ok(tcp),
                Err(error) => {
                    let (server, address, kind) = (server(), address.to_owned(), error.kind());
                    let source = Arc::new(error);
                    last = match kind {
                        io::ErrorKind::ConnectionRefused => Unreachable::Refused { server, address, source },
                        io::ErrorKind::TimedOut => Unreachable::NoAnswer { server, address, limit },
                        _ => Unreachable::NoRoute { server, address, source },
                    };
                }
            }
        }
        Err(last)
    };
    let tcp = match timeout(limit, attempt).await {
        Ok(done) => done?,
        Err(_) => return Err(Unreachable::NoAnswer { server: server(), address: address.into(), limit }.into()),
    };
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_EVERY);
    let set = tcp.set_nodelay(true).and_then(|()| socket2::SockRef::from(&tcp).set_tcp_keepalive(&keepalive));
    if let Err(error) = set {
        tracing::debug!(server = target.key, %error, "socket options");
    }
    Ok(tcp)
}
