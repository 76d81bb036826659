//! A listening socket with an [`Engine`] behind it: accepts, shakes hands, reads LOGIN7, then moves bytes between the
//! socket and the session's thread.
//!
//! What a client does wrong ends its connection and is logged; it never reaches the other connections.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use openssl::ssl::{Ssl, SslAcceptor, SslMethod, SslVersion};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_openssl::SslStream;

use super::certificate::Certificate;
use super::error::StartError;
use super::link::{Item, Link};
use super::login::{self, Login7};
use super::{Engine, session};
use crate::wire::tls::{Framed, Malformed, Message, PreLogin, encrypt, kind, option, packets, read_message, read_packet, status};

/// What a server says to the client's ENCRYPT byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// Everything is encrypted; a client that cannot is turned away ("Force Encryption").
    #[default]
    Required,
    /// As the client likes: everything, the login only, or nothing.
    Optional,
    /// The login and no more; a client that wants more, or less, is turned away.
    LoginOnly,
    /// The server has no TLS at all.
    Off,
}

/// The TLS that a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsAge {
    /// exactly TLS 1.2: clients of TDS 7.4 break on 1.3 inside its packets
    #[default]
    Current,
    /// exactly TLS 1.2 with suites that have no forward secrecy; takes a certificate with an RSA key
    OldSuites,
    /// exactly TLS 1.0, as a server of 2008 speaks it
    Old,
}

#[derive(Clone, Debug)]
pub struct ServerOptions {
    pub certificate: Certificate,
    pub encryption: Encryption,
    pub tls: TlsAge,
    /// how long a client may take until it has sent its login
    pub login_time: Duration,
}

/// What a client gets that has no other: as long as SQL Server's own clients wait.
pub const LOGIN_TIME: Duration = Duration::from_secs(30);

/// A LOGIN7 is small; before login nobody gets more memory than this.
const LOGIN_LIMIT: usize = 128 * 1024;
/// Nor are more admitted at once that have not logged in.
const STRANGERS: usize = 256;
/// After login: room for a batch that carries data.
pub const MESSAGE_LIMIT: usize = 64 * 1024 * 1024;
/// Chunks of packets under way between a session's thread and its socket.
const CHUNKS: usize = 4;

/// A running server. Dropping it closes its sockets, too, but does not wait for that.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    connections: Connections,
}

/// The connections of a server that are open now.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Mutex<Vec<Weak<Link>>>>);

impl Connections {
    /// Closes the connection of a session at once, as KILL does to another's; false if there is none.
    pub fn cut(&self, session: u16) -> bool {
        let links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = links.iter().filter_map(Weak::upgrade).find(|link| link.session() == session && !link.gone());
        found.inspect(|link| link.close()).is_some()
    }

    fn add(&self, link: &Arc<Link>) {
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(link));
    }
}

impl Server {
    /// Serves a listening socket on the current tokio runtime; to be called inside one.
    pub fn start(listener: std::net::TcpListener, engine: Arc<dyn Engine>, options: ServerOptions) -> Result<Self, StartError> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let connections = Connections::default();
        let house = Arc::new(House {
            engine,
            encryption: options.encryption,
            acceptor: acceptor(&options)?,
            login_time: options.login_time,
            connections: connections.clone(),
        });
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, house, stopped));
        Ok(Self { address, stop, accepting, connections })
    }

    /// A handle that an engine may keep, to end a session from outside it.
    pub fn connections(&self) -> Connections {
        self.connections.clone()
    }

    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listening socket and every connection. Sessions that still run see it as a disconnect; they are not waited for.
    pub async fn stop(self) {
        let Self { stop, accepting, .. } = self;
        stop.send_replace(true);
        if let Err(error) = accepting.await {
            tracing::error!(%error, "the lab's listener ended badly");
        }
    }
}

struct House {
    engine: Arc<dyn Engine>,
    encryption: Encryption,
    acceptor: SslAcceptor,
    login_time: Duration,
    connections: Connections,
}

fn acceptor(options: &ServerOptions) -> Result<SslAcceptor, StartError> {
    let mut builder = SslAcceptor::mozilla_intermediate(SslMethod::tls_server())?;
    // how strong a certificate or a suite must be is the client's affair
    builder.set_security_level(0);
    let version = match options.tls {
        TlsAge::Current => SslVersion::TLS1_2,
        TlsAge::OldSuites => {
            builder.set_cipher_list("AES128-SHA:AES256-SHA")?;
            SslVersion::TLS1_2
        }
        TlsAge::Old => {
            // OpenSSL 3 counts the SHA-1 of TLS 1.0's handshake as level 0
            builder.set_cipher_list("ALL:@SECLEVEL=0")?;
            builder.clear_options(openssl::ssl::SslOptions::NO_TLSV1);
            SslVersion::TLS1
        }
    };
    builder.set_min_proto_version(Some(version))?;
    builder.set_max_proto_version(Some(version))?;
    builder.set_private_key(&options.certificate.key)?;
    builder.set_certificate(&options.certificate.certificate)?;
    Ok(builder.build())
}

async fn accept(listener: TcpListener, house: Arc<House>, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let places = Arc::new(Semaphore::new(STRANGERS));
    loop {
        let accepted = tokio::select! {
            // an error means that the server was dropped
            _ = stopped.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (house, mut stopped) = (house.clone(), stopped.clone());
                let Ok(place) = places.clone().try_acquire_owned() else {
                    tracing::warn!(%peer, "connection ended by the lab: too many have not logged in");
                    continue;
                };
                connections.spawn(async move {
                    let served = tokio::select! {
                        served = serve(stream, &house, place) => served,
                        _ = stopped.wait_for(|stop| *stop) => return,
                    };
                    match served {
                        Ok(()) => tracing::debug!(%peer, "connection ended"),
                        Err(error) => tracing::warn!(%peer, %error, "connection ended by the lab"),
                    }
                });
            }
            // out of descriptors, most likely: it must not become a busy loop
            Err(error) => {
                tracing::warn!(%error, "the lab cannot accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// How much of a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Everything,
    Login,
    Nothing,
    /// the two cannot agree; the answer says so, then the connection ends
    Refused,
}

/// The ENCRYPT byte to answer and what it means (MS-TDS 2.2.6.5, table of combinations).
fn negotiate(ours: Encryption, theirs: u8) -> Result<(u8, Scope), Malformed> {
    Ok(match (ours, theirs) {
        (Encryption::Required, encrypt::ON | encrypt::REQUIRED) => (encrypt::ON, Scope::Everything),
        (Encryption::Required, encrypt::LOGIN_ONLY) => (encrypt::REQUIRED, Scope::Everything),
        (Encryption::Required, encrypt::NOT_SUPPORTED) => (encrypt::REQUIRED, Scope::Refused),
        (Encryption::Optional, encrypt::ON | encrypt::REQUIRED) => (encrypt::ON, Scope::Everything),
        (Encryption::Optional, encrypt::LOGIN_ONLY) => (encrypt::LOGIN_ONLY, Scope::Login),
        (Encryption::Optional, encrypt::NOT_SUPPORTED) => (encrypt::NOT_SUPPORTED, Scope::Nothing),
        (Encryption::LoginOnly, encrypt::LOGIN_ONLY) => (encrypt::LOGIN_ONLY, Scope::Login),
        (Encryption::LoginOnly, encrypt::ON | encrypt::REQUIRED) => (encrypt::LOGIN_ONLY, Scope::Refused),
        (Encryption::LoginOnly, encrypt::NOT_SUPPORTED) => (encrypt::REQUIRED, Scope::Refused),
        (Encryption::Off, encrypt::LOGIN_ONLY | encrypt::NOT_SUPPORTED) => (encrypt::NOT_SUPPORTED, Scope::Nothing),
        (Encryption::Off, encrypt::ON | encrypt::REQUIRED) => (encrypt::NOT_SUPPORTED, Scope::Refused),
        _ => return Err(Malformed::PreLogin),
    })
}

/// Serves one connection; it keeps its place among the strangers until it has sent its login.
async fn serve(stream: TcpStream, house: &House, place: OwnedSemaphorePermit) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Ok(met) = tokio::time::timeout(house.login_time, meet(stream, house)).await else {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "the client has not logged in in time"));
    };
    let Some((stream, login)) = met? else { return Ok(()) };
    drop(place);
    match stream {
        Met::Clear(stream) => converse(stream, login, house).await,
        Met::Encrypted(stream) => converse(stream, login, house).await,
    }
}

/// A connection that has sent its login.
enum Met {
    Clear(TcpStream),
    Encrypted(Box<SslStream<Framed<TcpStream>>>),
}

/// PRELOGIN, the TLS handshake and LOGIN7; `None` if the client hung up meanwhile.
async fn meet(mut stream: TcpStream, house: &House) -> io::Result<Option<(Met, Login7)>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    if first == [kind::NAKED_TLS] {
        return Err(io::Error::other("the client speaks TDS 8.0 (Encrypt=strict), the lab speaks 7.4"));
    }
    let Some(message) = read_message(&mut stream, LOGIN_LIMIT).await? else {
        return Ok(None);
    };
    if message.kind != kind::PRELOGIN {
        return Err(Malformed::Kind(message.kind).into());
    }
    let asked = PreLogin::read(&message.body)?;
    let (byte, scope) = negotiate(house.encryption, asked.encryption().unwrap_or(encrypt::NOT_SUPPORTED))?;
    let (major, minor, build) = house.engine.version();
    let [b0, b1] = build.to_be_bytes();
    let mut options = vec![
        (option::VERSION, vec![major, minor, b0, b1, 0, 0]),
        (option::ENCRYPTION, vec![byte]),
        (option::INSTANCE, vec![0]),
        (option::THREAD_ID, Vec::new()),
        (option::MARS, vec![0]),
    ];
    if asked.get(option::FEDERATED).is_some() {
        options.push((option::FEDERATED, vec![0]));
    }
    let body = PreLogin { options }.write();
    stream.write_all(&packets(kind::RESPONSE, 0, 4096, &body, true, &mut 1)).await?;
    let login = match scope {
        Scope::Refused => return Err(io::Error::other("client and lab do not agree about encryption")),
        Scope::Nothing => read_login(&mut stream).await?,
        Scope::Login => {
            // no close_notify after it: the client goes on in the clear without one
            let mut tls = shake_hands(&mut stream, house).await?;
            read_login(&mut tls).await?
        }
        Scope::Everything => {
            let mut tls = shake_hands(stream, house).await?;
            let Some(mut login) = read_login(&mut tls).await? else { return Ok(None) };
            login.login.encrypted = true;
            return Ok(Some((Met::Encrypted(Box::new(tls)), login)));
        }
    };
    Ok(login.map(|login| (Met::Clear(stream), login)))
}

async fn shake_hands<S>(stream: S, house: &House) -> io::Result<SslStream<Framed<S>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let ssl = Ssl::new(house.acceptor.context())?;
    let mut tls = SslStream::new(ssl, Framed::new(stream))?;
    Pin::new(&mut tls).accept().await.map_err(io::Error::other)?;
    tls.get_mut().set_framing(false);
    // the server's last flight may not have left yet, and nothing else follows it until the client speaks
    tls.get_mut().flush().await?;
    Ok(tls)
}

async fn read_login<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<Login7>> {
    match read_message(stream, LOGIN_LIMIT).await? {
        None => Ok(None),
        Some(Message { kind: kind::LOGIN, body, .. }) => login::read(&body).map(Some).map_err(io::Error::other),
        Some(message) => Err(Malformed::Kind(message.kind).into()),
    }
}

/// Starts the session's thread and moves bytes until one side ends.
async fn converse<S>(stream: S, login: Login7, house: &House) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let link = Arc::new(Link::default());
    house.connections.add(&link);
    // however this future ends, also by being dropped, the session must hear of it
    let _gone = Gone(link.clone());
    let (sender, mut receiver) = mpsc::channel::<Vec<u8>>(CHUNKS);
    let (thread_link, engine) = (link.clone(), house.engine.clone());
    std::thread::Builder::new().name("lab-session".into()).spawn(move || session::run(login, &*engine, &thread_link, sender))?;
    let (mut reading, mut writing) = tokio::io::split(stream);
    let write = pin!(async {
        while let Some(bytes) = receiver.recv().await {
            writing.write_all(&bytes).await?;
            writing.flush().await?;
        }
        Ok(())
    });
    let read = pin!(read_requests(&mut reading, &link, &*house.engine));
    tokio::select! {
        read = read => read,
        written = write => written,
        () = link.closed() => Ok(()),
    }
}

struct Gone(Arc<Link>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.set_gone();
    }
}

/// Joins packets to messages and queues them, until the client hangs up; that it does so without a word is usual.
async fn read_requests<S: AsyncRead + Unpin>(stream: &mut S, link: &Link, engine: &dyn Engine) -> io::Result<()> {
    let mut partial: Option<Message> = None;
    loop {
        let (header, body) = match read_packet(stream).await {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "the client is gone");
                return Ok(());
            }
        };
        if header.kind == kind::ATTENTION {
            partial = None;
            let record = engine.received(link.session(), "attention", "", &[]);
            if !link.attention(record) {
                return Err(io::Error::other("too many attentions"));
            }
            continue;
        }
        let message = partial.get_or_insert_with(|| Message { kind: header.kind, status: 0, body: Vec::new() });
        if message.kind != header.kind {
            return Err(Malformed::Mixed { message: message.kind, found: header.kind }.into());
        }
        if message.body.len() + body.len() > MESSAGE_LIMIT {
            return Err(Malformed::TooLong(MESSAGE_LIMIT).into());
        }
        message.status |= header.status;
        message.body.extend_from_slice(&body);
        if !header.last() {
            continue;
        }
        let Some(message) = partial.take() else {
            continue;
        };
        let item = match message.status & status::IGNORE {
            0 => Item::Message { message, attentions: Vec::new() },
            _ => Item::TakenBack,
        };
        if !link.push(item) {
            return Err(io::Error::other("too many requests without waiting for an answer"));
        }
    }
}
