//! One connection: TCP with keepalive, the shim, the login, and one batch at a time over it. What it must not do: try a
//! batch again, or go on after anything that leaves the answer unread.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use tiberius::{AuthMethod, Client, Command, CommandItem, Config, QueryItem};
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::batch::{self, Batch, Bound, TimeLimit};
use super::cells::{self, RawSet};
use super::error::{Failure, Tls, Unreachable};
use super::tap::Record;
use super::tls::{self, Hello, Security, Shared};
use super::value::{Answer, Message};

/// How a password is had when it is first needed. The error is a fragment that never holds the secret.
#[derive(Clone)]
pub struct Password(Arc<dyn Fn() -> Result<String, String> + Send + Sync>);

impl Password {
    /// May block: it is called on a thread where that is allowed.
    pub fn from_fn(resolve: impl Fn() -> Result<String, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(resolve))
    }

    /// A password that is already known.
    pub fn known(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::from_fn(move || Ok(text.clone()))
    }

    async fn resolve(&self) -> Result<String, String> {
        let resolve = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || resolve()).await.unwrap_or_else(|e| Err(e.to_string()))
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
    pub port: u16,
    pub user: String,
    pub password: Password,
    pub security: Security,
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
}

impl Target {
    /// With the limits and names that a run has unless the site says otherwise.
    pub fn new(key: impl Into<String>, host: impl Into<String>, port: u16, user: impl Into<String>, password: Password) -> Self {
        Self {
            key: key.into(),
            host: host.into(),
            port,
            user: user.into(),
            password,
            security: Security::Verify { ca: None },
            connect_time_limit: Duration::from_secs(10),
            login_time_limit: Duration::from_secs(20),
            command_time_limit: Some(Duration::from_secs(60)),
            database: "master".into(),
            program: "cutover".into(),
        }
    }

    /// `sql01:1433`, `[::1]:1433`
    pub fn address(&self) -> String {
        if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }
}

/// First batch of every connection: messages in English wherever the login comes from, and no endless wait for a lock.
const SET_UP: &str = "SET LANGUAGE us_english; SET LOCK_TIMEOUT 5000;";
/// How long an attention may stay unanswered before the connection is cut.
const ATTENTION_WAIT: Duration = Duration::from_secs(5);
/// Bytes arrive or keepalive probes are answered, or the connection breaks: a dead host must not hang a RESTORE for ever.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);

/// One logged-in connection. Closed when dropped, also in the middle of a batch.
pub struct Connection {
    target: Arc<Target>,
    /// `None` once it must not be used any more
    client: Option<Client<Compat<DuplexStream>>>,
    shared: Arc<Shared>,
    hello: Hello,
    session: u16,
    used: Instant,
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
        let server = || target.key.clone();
        let address = target.address();
        if target.security == Security::Off && !tls::is_loopback_name(&target.host) {
            return Err(Tls::OffButRemote { server: server(), host: target.host.clone() }.into());
        }
        let password = target.password.resolve().await.map_err(|why| Failure::Password { server: server(), why })?;
        let tcp = connect(target, &address).await?;
        let shared = Arc::new(Shared::default());
        let limit = target.login_time_limit;
        let login = Self::login(Arc::clone(target), tcp, &address, password, Arc::clone(&shared));
        let mut connection = match timeout(limit, login).await {
            Ok(done) => done?,
            Err(_) => {
                let what = format!("did not finish the login within {} s", limit.as_secs_f32());
                return Err(Unreachable::Stalled { server: server(), address, what }.into());
            }
        };
        let answer = connection.run(&Batch::read(SET_UP).within(limit)).await?;
        drop(answer);
        connection.session = connection.shared.spid.load(Ordering::Acquire);
        if connection.session == 0 {
            let answer = connection.run(&Batch::read("SELECT @@SPID AS session_id;").within(limit)).await?;
            connection.session = answer.integer().and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
        }
        Ok(connection)
    }

    async fn login(target: Arc<Target>, tcp: TcpStream, address: &str, password: String, shared: Arc<Shared>) -> Result<Self, Failure> {
        let (near, hello) = tls::start(&target, tcp, address, Arc::clone(&shared)).await?;
        let mut config = Config::new();
        config.host(&target.host);
        config.port(target.port);
        config.database(&target.database);
        config.application_name(&target.program);
        config.authentication(AuthMethod::sql_server(&target.user, &password));
        // the limits are ours: tiberius' count by token and leave the connection half dead
        config.handshake_timeout(None);
        config.command_timeout(None);
        shared.tap.begin(None);
        match Client::connect(config, near.compat_write()).await {
            Ok(client) => Ok(Self { target, client: Some(client), shared, hello, session: 0, used: Instant::now() }),
            Err(error) => {
                let record = shared.tap.take();
                let messages = with_first(record.messages, &error);
                if messages.iter().any(Message::is_error) {
                    return Err(Failure::Login { server: target.key.clone(), user: target.user.clone(), messages });
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
        self.client.is_some() && !self.shared.closed.load(Ordering::Acquire)
    }

    /// How long ago the last answer ended.
    pub(super) fn idle(&self) -> Duration {
        self.used.elapsed()
    }

    /// Runs one batch and reads its whole answer. Any end but an answer of the server closes the connection; a future that
    /// is dropped before its end closes it too.
    pub async fn run(&mut self, batch: &Batch) -> Result<Answer, Failure> {
        let server = self.target.key.clone();
        let bound = batch::bind(&server, batch)?;
        // taken out: whatever does not come to the end of this function leaves the connection closed
        let Some(mut client) = self.client.take().filter(|_| !self.shared.closed.load(Ordering::Acquire)) else {
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
            let exchange = exchange(&mut client, &bound, &mut sets);
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
                drop(client);
                return Err(match cut {
                    Cut::TimeLimit(limit) => Failure::TimeLimit { server, limit, stopped, in_doubt, messages },
                    Cut::Cancelled => Failure::Cancelled { server, stopped, in_doubt, messages },
                });
            }
        };
        let Record { messages, affected, sets: declared, status, failed, complete, incomplete, .. } = self.shared.tap.take();
        let mut answer = Answer { sets: Vec::new(), affected, messages, status, incomplete };
        let (refused, broken) = match &result {
            Ok(()) => (failed || answer.messages.iter().any(Message::is_error), None),
            Err(error @ tiberius::error::Error::Server(_)) => {
                answer.messages = with_first(std::mem::take(&mut answer.messages), error);
                (true, None)
            }
            // severity 20 and above closes the connection after saying why
            Err(_) if answer.messages.iter().any(|m| m.severity >= 20) => (true, None),
            Err(error) => (false, Some(error)),
        };
        if let Some(error) = broken {
            // an answer that ended well on the wire and that tiberius cannot decode is not a lost connection
            return Err(match error {
                tiberius::error::Error::Io { kind, message } if !complete && *kind != io::ErrorKind::InvalidData => {
                    let detail = self.shared.end().unwrap_or_else(|| message.clone());
                    Failure::Lost { server, detail, in_doubt, messages: answer.messages }
                }
                error => match cells::unsupported(&server, &declared) {
                    Some(unsupported) => unsupported,
                    None => Failure::Unreadable { server, detail: error.to_string(), in_doubt },
                },
            });
        }
        self.used = Instant::now();
        if complete || incomplete {
            self.client = Some(client);
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

/// TCP within the limit, all addresses of the name in turn.
async fn connect(target: &Target, address: &str) -> Result<TcpStream, Failure> {
    let server = || target.key.clone();
    let limit = target.connect_time_limit;
    let attempt = async {
        let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
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
