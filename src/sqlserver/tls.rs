//! The shim under tiberius: PRELOGIN and TLS in TDS packets by OpenSSL on the network's side, plaintext on tiberius' side,
//! with the tap in between. tiberius believes that it speaks to a server without encryption.
//!
//! Called by `connection.rs` and `probe.rs` only. It knows packets, not statements; it never sees a password but as bytes
//! passing through.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::ssl::{self, Ssl, SslContext, SslMethod, SslOptions, SslVerifyMode, SslVersion};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::{X509CheckFlags, X509VerifyFlags};
use openssl::x509::{X509, X509NameRef, X509Ref};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_openssl::SslStream;
use tokio_util::sync::CancellationToken;

use super::connection::{Account, Target};
use super::error::{Failure, Tls, Unreachable};
use super::ntlm::Ntlm;
use super::tap::Tap;
use crate::wire::tls::{
    DEFAULT_PACKET_SIZE, Fingerprint, Framed, Header, Malformed, PreLogin, TlsMinimum, encrypt, kind, option, packets, read_message,
    read_packet,
};

/// How a connection is protected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// TLS, the certificate verified against the system's roots and this file's (PEM), and against the host's name.
    Verify { ca: Option<PathBuf> },
    /// TLS with this certificate and no other, whatever its names, dates and issuer.
    Pin(Fingerprint),
    /// TLS with whatever certificate comes.
    TrustAny,
    /// TLS with whatever certificate comes for the login; what follows it in clear, unless the server wants more.
    LoginOnly,
    /// No TLS; with a SQL login over loopback only.
    #[default]
    Off,
}

impl Security {
    /// The site file's word for it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Verify { .. } => "verify",
            Self::Pin(_) => "pin",
            Self::TrustAny => "trust-any",
            Self::LoginOnly => "login-only",
            Self::Off => "off",
        }
    }
}

/// OpenSSL's own default less what nobody should meet again, and less what has no forward secrecy. Includes the CBC suites
/// of Schannel before 2016.
const SUITES: &str = "DEFAULT:!kRSA:!aNULL:!eNULL:!MD5:!RC4:!DES:!SRP:!PSK";
/// With those that TLS 1.0 had. Its handshake is signed with SHA-1, which counts as level 0.
const OLD_SUITES: &str = "DEFAULT:!aNULL:!eNULL:!MD5:!RC4:!DES:!SRP:!PSK";
const CLOSED: &str = "ended the TLS handshake early";
const SILENT: &str = "left the TLS handshake unanswered";
/// A LOGIN7 with a token in it.
const LOGIN_LIMIT: usize = 128 * 1024;
/// A PRELOGIN answer is some tens of bytes.
const PRELOGIN_LIMIT: usize = 16 * 1024;
/// Bytes on their way between tiberius and the shim.
const PIPE: usize = 64 * 1024;

/// What the shim and its connection share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) tap: Tap,
    /// the server's session id as its packets carry it; 0 if they do not
    pub(super) spid: AtomicU16,
    /// either side is gone
    pub(super) closed: AtomicBool,
    /// asks the shim to send an attention; nothing is forwarded afterwards
    pub(super) attention: CancellationToken,
    /// the server acknowledged it, or is gone
    pub(super) quiet: Notify,
    /// what ended the connection, if it was not tiberius
    end: Mutex<Option<String>>,
}

impl Shared {
    fn ended(&self, why: String) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }

    /// Why the network's side ended.
    pub(super) fn end(&self) -> Option<String> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What becomes of tiberius' LOGIN7 on its way.
pub(super) enum LogIn {
    AsItIs,
    /// it becomes a Windows login
    Ntlm(Ntlm),
}

/// What a server says of itself before the login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// major, minor, build: 12.0.6024 is SQL Server 2014
    pub version: Option<(u8, u8, u16)>,
    pub encrypted: bool,
}

/// Says hello over a fresh TCP connection, does the TLS handshake, and starts the shim: returns tiberius' end of it.
/// `socket` is the same connection once more; `newest` the newest TLS that the server is offered.
pub(super) async fn start(
    target: &Target,
    socket: &std::net::TcpStream,
    address: &str,
    until: Instant,
    newest: SslVersion,
    log_in: LogIn,
    shared: Arc<Shared>,
) -> Result<(DuplexStream, Hello), Failure> {
    let server = || target.key.clone();
    let again = || socket.try_clone().and_then(TcpStream::from_std).map_err(|e| no_route(target, address, e));
    let mut tcp = again()?;
    let want = match &target.security {
        Security::Off if target.account == Account::Sql && !tcp.peer_addr().is_ok_and(|peer| peer.ip().is_loopback()) => {
            return Err(Tls::OffButRemote { server: server(), host: target.host.clone() }.into());
        }
        Security::Off => encrypt::NOT_SUPPORTED,
        Security::LoginOnly => encrypt::LOGIN_ONLY,
        Security::Verify { .. } | Security::Pin(_) | Security::TrustAny => encrypt::ON,
    };
    let answer = timeout_at(until, prelogin(target, &mut tcp, address, want)).await.map_err(|_| Unreachable::Stalled {
        server: server(),
        address: address.into(),
        what: format!("said nothing for {} s", target.login_time_limit.as_secs_f32()),
    })??;
    // what follows the login leaves the TLS behind
    let bare = match (want, answer.encryption()) {
        (encrypt::NOT_SUPPORTED, Some(encrypt::LOGIN_ONLY | encrypt::NOT_SUPPORTED) | None) => None,
        (encrypt::NOT_SUPPORTED, _) => return Err(Tls::Required { server: server() }.into()),
        (encrypt::LOGIN_ONLY, Some(encrypt::LOGIN_ONLY)) => Some(again()?),
        (_, Some(encrypt::LOGIN_ONLY)) => return Err(Tls::LoginOnly { server: server() }.into()),
        (_, Some(encrypt::ON | encrypt::REQUIRED)) => None,
        (_, _) => return Err(Tls::NotOffered { server: server() }.into()),
    };
    let hello = Hello { version: answer.version(), encrypted: want != encrypt::NOT_SUPPORTED && bare.is_none() };
    let (near, far) = tokio::io::duplex(PIPE);
    let wire: Box<dyn Wire> = if want == encrypt::NOT_SUPPORTED {
        Box::new(tcp)
    } else {
        let shaken = timeout_at(until, handshake(target, tcp, newest)).await;
        let mut stream = shaken.map_err(|_| Tls::EndedEarly { server: server(), how: SILENT.into() })??;
        stream.get_mut().set_framing(false);
        Box::new(stream)
    };
    tokio::spawn(pump(server(), wire, bare, far, answer, log_in, shared));
    Ok((near, hello))
}

/// The network's side of the shim.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for S {}

pub(super) fn no_route(target: &Target, address: &str, source: io::Error) -> Failure {
    Unreachable::NoRoute { server: target.key.clone(), address: address.into(), source: Arc::new(source) }.into()
}

/// True if the site's host can only be this machine.
pub(super) fn is_loopback_name(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Exchanges PRELOGIN messages (MS-TDS 2.2.6.5).
pub(super) async fn prelogin(target: &Target, tcp: &mut TcpStream, address: &str, want: u8) -> Result<PreLogin, Failure> {
    let not_sql = |what: String| Unreachable::NotSqlServer { server: target.key.clone(), address: address.into(), what };
    let ours = PreLogin {
        options: vec![
            (option::VERSION, vec![0; 6]),
            (option::ENCRYPTION, vec![want]),
            (option::INSTANCE, vec![0]),
            (option::THREAD_ID, vec![0; 4]),
            (option::MARS, vec![0]),
        ],
    };
    let bytes = packets(kind::PRELOGIN, 0, PRELOGIN_LIMIT, &ours.write(), true, &mut 0);
    let exchange = async {
        tcp.write_all(&bytes).await?;
        // what is no answer to PRELOGIN may claim any length: look before reading on
        let mut first = [0];
        match tcp.peek(&mut first).await? {
            1 if first != [kind::RESPONSE] => Err(Malformed::Kind(first[0]).into()),
            _ => read_message(tcp, PRELOGIN_LIMIT).await,
        }
    };
    let message = match exchange.await {
        Ok(Some(message)) => message,
        Ok(None) => return Err(not_sql("it closed the connection".into()).into()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(not_sql(error.to_string()).into()),
        Err(error) => return Err(not_sql(format!("it broke the connection ({error})")).into()),
    };
    PreLogin::read(&message.body).map_err(|error| not_sql(error.to_string()).into())
}

/// The certificate that the server showed, in words.
#[derive(Clone, Debug, Default)]
struct Shown {
    subject: String,
    issuer: String,
    names: String,
    dates: String,
    fingerprint: String,
}

impl Shown {
    fn of(certificate: &X509Ref) -> Self {
        let mut names: Vec<String> = Vec::new();
        for name in certificate.subject_alt_names().iter().flatten() {
            if let Some(dns) = name.dnsname() {
                names.push(format!("`{dns}`"));
            } else if let Some(bytes) = name.ipaddress() {
                let ip = match *bytes {
                    [a, b, c, d] => Some(IpAddr::from([a, b, c, d])),
                    _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
                };
                names.extend(ip.map(|ip| format!("`{ip}`")));
            }
        }
        let subject = line(certificate.subject_name());
        if names.is_empty() {
            names.push(format!("`{subject}`"));
        }
        Self {
            issuer: line(certificate.issuer_name()),
            names: names.join(", "),
            dates: format!("valid from {} to {}", certificate.not_before(), certificate.not_after()),
            fingerprint: fingerprint(certificate).map(|found| found.to_string()).unwrap_or_default(),
            subject,
        }
    }
}

fn fingerprint(certificate: &X509Ref) -> Option<Fingerprint> {
    let digest = certificate.digest(MessageDigest::sha256()).ok()?;
    <[u8; 32]>::try_from(&*digest).ok().map(Fingerprint)
}

/// `CN=sql01, O=Contoso`
fn line(name: &X509NameRef) -> String {
    let parts = name.entries().map(|e| {
        let key = e.object().nid().short_name().unwrap_or("?").to_owned();
        let value = e.data().to_string().unwrap_or_default();
        format!("{key}={value}")
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// The system's roots, read once.
fn system_roots() -> &'static [X509] {
    static ROOTS: OnceLock<Vec<X509>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "some of the system's root certificates cannot be read");
        }
        found.certs.iter().filter_map(|der| X509::from_der(der).ok()).collect()
    })
}

fn context(target: &Target, newest: SslVersion, shown: Arc<Mutex<Option<Shown>>>) -> Result<SslContext, Failure> {
    let openssl = |e: ErrorStack| Failure::from(Tls::Handshake { server: target.key.clone(), detail: stack(&e) });
    let mut context = SslContext::builder(SslMethod::tls_client()).map_err(openssl)?;
    // at level 1 keys of 1024 bits pass, and certificates signed with SHA-1 do not
    let (oldest, suites, level) = match target.tls_minimum {
        TlsMinimum::V1_2 => (SslVersion::TLS1_2, SUITES, 1),
        TlsMinimum::V1_0 => (SslVersion::TLS1, OLD_SUITES, 0),
    };
    context.set_security_level(level);
    context.set_min_proto_version(Some(oldest)).map_err(openssl)?;
    context.set_max_proto_version(Some(newest)).map_err(openssl)?;
    context.set_cipher_list(suites).map_err(openssl)?;
    context.set_options(SslOptions::IGNORE_UNEXPECTED_EOF | SslOptions::NO_COMPRESSION);
    match &target.security {
        Security::Verify { ca } => {
            let mut store = X509StoreBuilder::new().map_err(openssl)?;
            for root in system_roots() {
                store.add_cert(root.clone()).map_err(openssl)?;
            }
            if let Some(path) = ca {
                for certificate in certificates(&target.key, path)? {
                    store.add_cert(certificate).map_err(openssl)?;
                }
            }
            // the file may hold the server's own certificate instead of its issuer's
            store.set_flags(X509VerifyFlags::PARTIAL_CHAIN).map_err(openssl)?;
            context.set_cert_store(store.build());
            context.set_verify_callback(SslVerifyMode::PEER, move |good, chain| {
                if !good && let Some(leaf) = chain.chain().and_then(|c| c.get(0)).or_else(|| chain.current_cert()) {
                    shown.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| Shown::of(leaf));
                }
                good
            });
        }
        // a pinned one is compared when all is done
        Security::Pin(_) | Security::TrustAny | Security::LoginOnly | Security::Off => context.set_verify(SslVerifyMode::NONE),
    }
    Ok(context.build())
}

/// Certificates of a PEM file.
fn certificates(server: &str, path: &Path) -> Result<Vec<X509>, Tls> {
    let wrong = |detail: String| Tls::CaFile { server: server.into(), path: path.into(), detail };
    let bytes = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    let found = X509::stack_from_pem(&bytes).map_err(|e| wrong(stack(&e)))?;
    if found.is_empty() {
        return Err(wrong("no certificate in it".into()));
    }
    Ok(found)
}

/// TLS in TDS packets, from the target's minimum to `newest`, which is 1.2 at most: inside TDS 7.4 the handshake must end
/// before the first naked record, and in 1.3 it does not.
pub(super) async fn handshake(target: &Target, tcp: TcpStream, newest: SslVersion) -> Result<SslStream<Framed<TcpStream>>, Failure> {
    let shown = Arc::new(Mutex::new(None));
    let openssl = |e: ErrorStack| Failure::from(Tls::Handshake { server: target.key.clone(), detail: stack(&e) });
    let context = context(target, newest, Arc::clone(&shown))?;
    let mut ssl = Ssl::new(&context).map_err(openssl)?;
    let ip = target.host.parse::<IpAddr>().ok();
    if ip.is_none() {
        ssl.set_hostname(&target.host).map_err(openssl)?;
    }
    if matches!(target.security, Security::Verify { .. }) {
        let parameters = ssl.param_mut();
        parameters.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
        match ip {
            Some(ip) => parameters.set_ip(ip),
            None => parameters.set_host(&target.host),
        }
        .map_err(openssl)?;
    }
    let mut stream = SslStream::new(ssl, Framed::new(tcp)).map_err(openssl)?;
    match std::pin::Pin::new(&mut stream).connect().await {
        Ok(()) => match &target.security {
            Security::Pin(wanted) => {
                let shown = stream.ssl().peer_certificate();
                if shown.as_ref().and_then(|shown| fingerprint(shown)) == Some(*wanted) {
                    return Ok(stream);
                }
                let Shown { fingerprint, subject, dates, .. } = shown.map(|shown| Shown::of(&shown)).unwrap_or_default();
                Err(Tls::NotPinned { server: target.key.clone(), shown: format!("{fingerprint}, for {subject}, {dates}") }.into())
            }
            _ => Ok(stream),
        },
        Err(error) => {
            let shown = shown.lock().unwrap_or_else(PoisonError::into_inner).take();
            let verdict = stream.ssl().verify_result();
            Err(explain(target, &error, verdict.as_raw(), verdict.error_string(), shown).into())
        }
    }
}

/// Which of the errors of [`Tls`] a failed handshake is. `verdict` is one of OpenSSL's `X509_V_…` codes, 0 if all is well.
fn explain(target: &Target, error: &ssl::Error, verdict: i32, reason: &str, shown: Option<Shown>) -> Tls {
    // openssl's x509_vfy.h
    const NOT_YET_VALID: i32 = 9;
    const EXPIRED: i32 = 10;
    const HOSTNAME_MISMATCH: i32 = 62;
    const IP_MISMATCH: i32 = 64;
    let server = target.key.clone();
    if verdict != 0 {
        let Shown { subject, issuer, names, dates, fingerprint } = shown.unwrap_or_default();
        return match verdict {
            HOSTNAME_MISMATCH | IP_MISMATCH => Tls::WrongName { server, host: target.host.clone(), names, fingerprint },
            NOT_YET_VALID | EXPIRED => Tls::NotNow { server, detail: dates, fingerprint },
            _ => Tls::Untrusted { server, detail: reason.into(), subject, issuer, fingerprint },
        };
    }
    let Some(errors) = error.ssl_error() else {
        return match error.io_error() {
            Some(io) if io.kind() == io::ErrorKind::InvalidData => Tls::Handshake { server, detail: io.to_string() },
            // closed or reset in the middle: Schannel says no more than that
            _ => Tls::EndedEarly { server, how: CLOSED.into() },
        };
    };
    let detail = stack(errors);
    if detail.contains("unexpected eof") { Tls::EndedEarly { server, how: CLOSED.into() } } else { Tls::Handshake { server, detail } }
}

/// OpenSSL's reasons without its codes.
fn stack(errors: &ErrorStack) -> String {
    let reasons: Vec<&str> = errors.errors().iter().filter_map(|e| e.reason()).collect();
    if reasons.is_empty() { errors.to_string() } else { reasons.join("; ") }
}

/// Passes packets both ways until either side is gone or an attention was answered.
async fn pump(
    server: String,
    wire: Box<dyn Wire>,
    bare: Option<TcpStream>,
    mut pipe: DuplexStream,
    answer: PreLogin,
    log_in: LogIn,
    shared: Arc<Shared>,
) {
    let begun = async {
        greet(&mut pipe, &answer).await?;
        pass_login(&server, &mut pipe, wire, bare, log_in, &shared).await
    };
    match begun.await {
        Ok(wire) => {
            let (from_pipe, to_pipe) = tokio::io::split(pipe);
            let (from_net, to_net) = tokio::io::split(wire);
            tokio::select! {
                () = upward(from_pipe, to_net, &shared) => {}
                () = downward(&server, BufReader::with_capacity(PIPE, from_net), to_pipe, &shared) => {}
            }
        }
        Err(error) => shared.ended(error.to_string()),
    }
    shared.closed.store(true, Ordering::Release);
    shared.quiet.notify_one();
}

/// Passes LOGIN7 on, with the tokens of a Windows login if it is one. What follows goes by the stream returned: `bare`, if
/// only the login is encrypted. No close_notify is sent then; the server would take it for a packet.
async fn pass_login(
    server: &str,
    pipe: &mut DuplexStream,
    mut wire: Box<dyn Wire>,
    bare: Option<TcpStream>,
    log_in: LogIn,
    shared: &Shared,
) -> io::Result<Box<dyn Wire>> {
    let login = read_message(pipe, LOGIN_LIMIT).await?.ok_or(io::ErrorKind::UnexpectedEof)?.body;
    let (login, mut ntlm) = match log_in {
        LogIn::AsItIs => (login, None),
        LogIn::Ntlm(mut ntlm) => (ntlm.negotiate(login)?, Some(ntlm)),
    };
    send(&mut wire, kind::LOGIN, &login).await?;
    if let Some(bare) = bare {
        wire = Box::new(bare);
    }
    if let Some(ntlm) = &mut ntlm {
        let Some((header, body)) = read_packet(&mut wire).await? else {
            return Err(io::Error::other("the server closed the connection"));
        };
        match ntlm.authenticate(&body)? {
            Some(token) => send(&mut wire, kind::SSPI, &token).await?,
            // refused at once
            None => {
                hear(server, &header, &body, shared);
                pipe.write_all(&[header.write().as_slice(), &body].concat()).await?;
            }
        }
    }
    Ok(wire)
}

async fn send(wire: &mut Box<dyn Wire>, kind: u8, message: &[u8]) -> io::Result<()> {
    wire.write_all(&packets(kind, 0, DEFAULT_PACKET_SIZE, message, true, &mut 1)).await?;
    wire.flush().await
}

/// Answers tiberius' PRELOGIN with what it can take: it fails on options that it does not know, and panics on a thread id.
async fn greet(pipe: &mut DuplexStream, answer: &PreLogin) -> io::Result<()> {
    read_message(pipe, PRELOGIN_LIMIT).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let version = answer.get(option::VERSION).map_or_else(|| vec![0; 6], <[u8]>::to_vec);
    let answer = PreLogin { options: vec![(option::VERSION, version), (option::ENCRYPTION, vec![encrypt::NOT_SUPPORTED])] };
    pipe.write_all(&packets(kind::RESPONSE, 0, PRELOGIN_LIMIT, &answer.write(), true, &mut 0)).await
}

/// From tiberius to the server, whole packets only, so that an attention never lands inside one.
async fn upward<S: AsyncRead + AsyncWrite>(mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<S>, shared: &Shared) {
    let mut inside_message = false;
    loop {
        let packet = tokio::select! {
            packet = read_packet(&mut from) => packet,
            () = shared.attention.cancelled() => {
                // a request that is only half sent dies with the connection
                if inside_message {
                    return;
                }
                let attention = packets(kind::ATTENTION, 0, PIPE, &[], true, &mut 0);
                let sent = async {
                    to.write_all(&attention).await?;
                    to.flush().await
                };
                if sent.await.is_err() {
                    return;
                }
                return std::future::pending().await;
            }
        };
        let Ok(Some((header, body))) = packet else { return };
        inside_message = !header.last();
        let bytes = [header.write().as_slice(), &body].concat();
        let sent = async {
            to.write_all(&bytes).await?;
            to.flush().await
        };
        if let Err(error) = sent.await {
            shared.ended(error.to_string());
            // the server may have said why before it hung up: the other direction ends this
            return std::future::pending().await;
        }
    }
}

/// Shows a packet to the tap; true if it acknowledges an attention.
fn hear(server: &str, header: &Header, body: &[u8], shared: &Shared) -> bool {
    if header.spid != 0 {
        shared.spid.store(header.spid, Ordering::Release);
    }
    shared.tap.packet(server, header, body)
}

/// From the server to tiberius, past the tap.
async fn downward<S: AsyncRead + AsyncWrite>(
    server: &str,
    mut from: BufReader<ReadHalf<S>>,
    mut to: WriteHalf<DuplexStream>,
    shared: &Shared,
) {
    loop {
        let (header, body) = match read_packet(&mut from).await {
            Ok(Some(packet)) => packet,
            Ok(None) => return shared.ended("the server closed the connection".into()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return shared.ended("the server closed the connection in the middle of a packet".into());
            }
            Err(error) => return shared.ended(error.to_string()),
        };
        let stopped = hear(server, &header, &body, shared);
        if shared.attention.is_cancelled() {
            if stopped {
                return;
            }
            continue;
        }
        let bytes = [header.write().as_slice(), &body].concat();
        tokio::select! {
            sent = to.write_all(&bytes) => if sent.is_err() { return },
            // nobody reads the rest of a cancelled answer
            () = shared.attention.cancelled() => {}
        }
    }
}
