//! What can go wrong between us and a SQL Server, split by what the operator does next. Made here and in the files beside
//! it; shown by the report, which also lists every message of the server ([`Failure::messages`]).

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::errors;
use super::value::{Answer, Message};

/// No TCP connection, or nothing at its end that speaks TDS. Nothing was sent that could change anything.
#[derive(Clone, Debug, thiserror::Error, miette::Diagnostic)]
pub enum Unreachable {
    /// The name does not resolve from here. Nothing was sent. A name that DNS served from the lost data centre may fail everywhere.
    #[error("`{server}` is unknown from here: `{host}` does not resolve")]
    #[diagnostic(
        code(cutover::sqlserver::unknown_host),
        help("check the spelling of `server` under `[sql.{server}]`, or give its IP address")
    )]
    UnknownHost {
        server: String,
        host: String,
        #[source]
        source: Arc<io::Error>,
    },

    /// The machine answers, and says that nothing listens on that port: the SQL Server service does not run, or it listens on
    /// another port. Nothing was sent.
    #[error("`{server}` refused the connection to `{address}`")]
    #[diagnostic(
        code(cutover::sqlserver::refused),
        help("check that the SQL Server service runs and listens on that port: a named instance has a port of its own")
    )]
    Refused {
        server: String,
        address: String,
        #[source]
        source: Arc<io::Error>,
    },

    /// Nothing came back at all within the time limit: the machine is off, cut off, or a firewall drops what is sent. From here
    /// these cannot be told apart, so the server is unknown, not dead. Nothing was sent.
    #[error("`{server}` did not answer at `{address}` within {}", seconds(limit))]
    #[diagnostic(
        code(cutover::sqlserver::no_answer),
        help("take it as unknown from here, not as dead: look at the machine, the route and the firewall")
    )]
    NoAnswer { server: String, address: String, limit: Duration },

    /// The network refused in another way: no route, an unreachable host, a reset. Nothing was sent.
    #[error("`{server}` cannot be reached at `{address}`: {source}")]
    #[diagnostic(code(cutover::sqlserver::no_route), help("look at the route and the firewall between here and `{address}`"))]
    NoRoute {
        server: String,
        address: String,
        #[source]
        source: Arc<io::Error>,
    },

    /// The site file names an instance without a port, and the SQL Server Browser (UDP 1434) did not say which port the instance
    /// has. Nothing was sent to the server itself.
    #[error("the port of the instance `{instance}` of `{server}` is unknown: {why}")]
    #[diagnostic(
        code(cutover::sqlserver::browser),
        help(
            "give the instance's own TCP `port` under `[sql.{server}]` instead of `instance`: SQL Server Configuration Manager shows it; {advice}"
        )
    )]
    Browser { server: String, instance: String, why: String, advice: &'static str },

    /// Something listens there that does not answer like a SQL Server. No password was sent.
    #[error("what listens at `{address}` for `{server}` does not answer like a SQL Server: {what}")]
    #[diagnostic(
        code(cutover::sqlserver::not_sql_server),
        help("check `port` under `[sql.{server}]`: another service may listen there, or a proxy stands in between")
    )]
    NotSqlServer { server: String, address: String, what: String },

    /// The connection was accepted and then left silent, or closed, before the login was answered. Nothing was changed.
    #[error("`{server}` at `{address}` accepted the connection and then {what}")]
    #[diagnostic(
        code(cutover::sqlserver::login_silent),
        help("look at the SQL Server's error log: it may be starting, out of memory or out of connections; then try again")
    )]
    Stalled { server: String, address: String, what: String },
}

/// The connection could not be made safe. No password was sent.
#[derive(Clone, Debug, thiserror::Error, miette::Diagnostic)]
pub enum Tls {
    /// The server answered that it has no encryption, and the site wants it. No password was sent.
    #[error("`{server}` offers no encryption")]
    #[diagnostic(
        code(cutover::sqlserver::tls_not_offered),
        help("enable encryption on the server, or run on the server itself with `tls = \"off\"` over loopback")
    )]
    NotOffered { server: String },

    /// The server offers to encrypt the login alone: all that follows would go in clear. No password was sent.
    #[error("`{server}` offers encryption for the login only")]
    #[diagnostic(
        code(cutover::sqlserver::tls_login_only),
        help(
            "let the server encrypt everything, or accept it with `tls = \"login-only\"` under `[sql.{server}]`: whoever stands between can then read and change what follows the login"
        )
    )]
    LoginOnly { server: String },

    /// The server insists on encryption, and the site file says `tls = "off"`. No password was sent.
    #[error("`{server}` insists on encryption, and the site says `tls = \"off\"`")]
    #[diagnostic(
        code(cutover::sqlserver::tls_required),
        help("remove `tls = \"off\"` under `[sql.{server}]`, and name the certificate's issuer with `ca`")
    )]
    Required { server: String },

    /// `tls = "off"` would send a password in clear over the network, so it is taken for this machine alone. No password was sent.
    #[error("`{server}` is not on this machine (`{host}`), so its connection may not go without TLS")]
    #[diagnostic(code(cutover::sqlserver::tls_off_remote), help("remove `tls = \"off\"` under `[sql.{server}]`"))]
    OffButRemote { server: String, host: String },

    /// A second connection found what the server takes, and it is older than the site allows. No password was sent. Servers of 2008
    /// to 2014 without their update for TLS 1.2 speak TLS 1.0 only.
    #[error("`{server}` {what}")]
    #[diagnostic(
        code(cutover::sqlserver::tls_too_old),
        help(
            "enable TLS 1.2 with ECDHE suites on the server (SQL Server 2008 to 2014 need an update for it), or accept it with `tls_minimum = \"1.0\"` under `[sql.{server}]`"
        )
    )]
    TooOld { server: String, what: String },

    /// The other side closed in the middle of the handshake, or left it unanswered. Schannel does this instead of saying what it
    /// dislikes. No password was sent.
    #[error("`{server}` {how}")]
    #[diagnostic(
        code(cutover::sqlserver::tls_ended_early),
        help(
            "look at the SQL Server's error log and at Schannel's events on that machine; a proxy may stand in between, or run on the server itself with `tls = \"off\"` over loopback"
        )
    )]
    EndedEarly { server: String, how: String },

    /// The certificate's chain ends at nobody that this machine or the site file trusts: a certificate that SQL Server made for
    /// itself, or an issuer whose own certificate is missing here. No password was sent.
    #[error("the certificate of `{server}` is not trusted: {detail} (it is for {subject}, issued by {issuer}, {fingerprint})")]
    #[diagnostic(
        code(cutover::sqlserver::certificate_untrusted),
        help(
            "name the issuer's certificate with `ca = \"file\"` under `[sql.{server}]`, or this one with `tls = \"pin\"` and `certificate = \"{fingerprint}\"`, after checking it against the server's own"
        )
    )]
    Untrusted { server: String, detail: String, subject: String, issuer: String, fingerprint: String },

    /// The certificate is for another name than the one that the site file connects to: an alias, a short name, or another machine.
    /// No password was sent.
    #[error("the certificate of `{server}` is not for `{host}`: it names {names}")]
    #[diagnostic(
        code(cutover::sqlserver::certificate_name),
        help(
            "write `server` under `[sql.{server}]` as the certificate names it, or accept this one alone with `tls = \"pin\"` and `certificate = \"{fingerprint}\"`; if it names another machine, stop: you may be talking to the wrong one"
        )
    )]
    WrongName { server: String, host: String, names: String, fingerprint: String },

    /// The certificate is not valid yet or not any more, by the clock of this machine. No password was sent.
    #[error("the certificate of `{server}` is not valid now: {detail}")]
    #[diagnostic(
        code(cutover::sqlserver::certificate_time),
        help(
            "compare this machine's clock with the certificate's dates; if it has expired, renew it, or accept it with `tls = \"pin\"` and `certificate = \"{fingerprint}\"` under `[sql.{server}]`"
        )
    )]
    NotNow { server: String, detail: String, fingerprint: String },

    /// The server shows another certificate than the one that the site file names. SQL Server makes a new one at each start if it
    /// has none of its own; else somebody may stand in between. No password was sent.
    #[error("`{server}` shows another certificate than the one that the site names: {shown}")]
    #[diagnostic(
        code(cutover::sqlserver::certificate_not_pinned),
        help(
            "compare it on the server itself: SQL Server makes a new one at each start if it has none; if it is the server's own, write it as `certificate` under `[sql.{server}]`, else stop: somebody may stand in between"
        )
    )]
    NotPinned { server: String, shown: String },

    /// The file that `ca` names cannot be read or holds no certificate. Nothing was sent.
    #[error("the certificates in `{}` cannot be used for `{server}`: {detail}", path.display())]
    #[diagnostic(
        code(cutover::sqlserver::ca_file),
        help("point `ca` under `[sql.{server}]` to a readable PEM file with at least one certificate")
    )]
    CaFile { server: String, path: PathBuf, detail: String },

    /// OpenSSL refused the handshake for another reason. No password was sent.
    #[error("the TLS handshake with `{server}` failed: {detail}")]
    #[diagnostic(
        code(cutover::sqlserver::tls_handshake),
        help("compare the server's certificate, TLS versions and cipher suites with what this program needs: TLS 1.2")
    )]
    Handshake { server: String, detail: String },
}

/// Why a batch has no answer that can be used. What stands under `in_doubt`: the batch was declared as a change, it was
/// sent, and whether it took effect cannot be told from here.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The runbook names a server that the site file does not have. Nothing was sent.
    UnknownServer { server: String, known: Vec<String> },
    /// See [`Unreachable`].
    Unreachable(Unreachable),
    /// See [`Tls`].
    Tls(Tls),
    /// The password could not be had from where the site file says, or this build cannot log in so. Nothing was sent. The message
    /// never holds a secret.
    Password { server: String, why: String },
    /// The server refused the login, most often with `18456` or `4060`. It is never tried again by itself: accounts lock. Nothing
    /// was changed.
    Login { server: String, user: String, messages: Vec<Message> },
    /// The server said no with an error of its own; the number has a page: `cutover explain NUMBER`. A batch of several statements
    /// may have done those before the one that failed.
    Refused { server: String, answer: Box<Answer> },
    /// The batch took longer than it may and was cancelled. A read did no harm. A change may have taken effect or still be running
    /// if the server did not confirm that it stopped. The connection is closed.
    TimeLimit { server: String, limit: Duration, stopped: bool, in_doubt: bool, messages: Vec<Message> },
    /// The operator cut the statement off. A read did no harm. A change may have taken effect if the server did not confirm that it
    /// stopped. The connection is closed.
    Cancelled { server: String, stopped: bool, in_doubt: bool, messages: Vec<Message> },
    /// The connection broke while the answer was awaited. What was sent goes on at the server: a lost connection does not end a
    /// statement. A run waits until the server is through with it, asks the change's `done_when`, and ends in doubt without one.
    Lost { server: String, detail: String, in_doubt: bool, messages: Vec<Message> },
    /// The batch was carried out, but a column of its answer has a type or a value that cannot be held without loss.
    Unsupported { server: String, column: String, what: String },
    /// A value cannot be sent as a typed parameter. Nothing was sent.
    Parameter { server: String, name: String, why: String },
    /// The answer is not what TDS allows, or cannot be read here. If it was a change, it may have taken effect. The connection is
    /// closed.
    Unreadable { server: String, detail: String, in_doubt: bool },
}

impl Failure {
    /// The site's key of the server.
    pub fn server(&self) -> &str {
        match self {
            Self::Unreachable(
                Unreachable::UnknownHost { server, .. }
                | Unreachable::Refused { server, .. }
                | Unreachable::NoAnswer { server, .. }
                | Unreachable::NoRoute { server, .. }
                | Unreachable::Browser { server, .. }
                | Unreachable::NotSqlServer { server, .. }
                | Unreachable::Stalled { server, .. },
            )
            | Self::Tls(
                Tls::NotOffered { server }
                | Tls::Required { server }
                | Tls::OffButRemote { server, .. }
                | Tls::LoginOnly { server }
                | Tls::TooOld { server, .. }
                | Tls::EndedEarly { server, .. }
                | Tls::Untrusted { server, .. }
                | Tls::WrongName { server, .. }
                | Tls::NotNow { server, .. }
                | Tls::NotPinned { server, .. }
                | Tls::CaFile { server, .. }
                | Tls::Handshake { server, .. },
            )
            | Self::UnknownServer { server, .. }
            | Self::Password { server, .. }
            | Self::Login { server, .. }
            | Self::Refused { server, .. }
            | Self::TimeLimit { server, .. }
            | Self::Cancelled { server, .. }
            | Self::Lost { server, .. }
            | Self::Unsupported { server, .. }
            | Self::Parameter { server, .. }
            | Self::Unreadable { server, .. } => server,
        }
    }

    /// Every message of the server that belongs to this failure, in order.
    pub fn messages(&self) -> &[Message] {
        match self {
            Self::Login { messages, .. }
            | Self::TimeLimit { messages, .. }
            | Self::Cancelled { messages, .. }
            | Self::Lost { messages, .. } => messages,
            Self::Refused { answer, .. } => &answer.messages,
            _ => &[],
        }
    }

    /// The error that says what is wrong: the first that is not a wrapper such as 3013.
    pub fn deciding(&self) -> Option<&Message> {
        errors::deciding(self.messages())
    }

    /// Number of the deciding error.
    pub fn number(&self) -> Option<i32> {
        self.deciding().map(|m| m.number)
    }

    /// True if a change was sent and nobody here can tell whether it took effect.
    pub fn in_doubt(&self) -> bool {
        match self {
            Self::TimeLimit { in_doubt, .. }
            | Self::Cancelled { in_doubt, .. }
            | Self::Lost { in_doubt, .. }
            | Self::Unreadable { in_doubt, .. } => *in_doubt,
            _ => false,
        }
    }

    /// What failed, without what the server's messages say: for a report that lists them below.
    pub fn title(&self) -> Option<String> {
        let number = self.number()?;
        match self {
            Self::Login { server, user, .. } => Some(format!("`{server}` refused the login of `{user}` with error {number}")),
            Self::Refused { server, .. } => Some(format!("`{server}` answered with error {number}")),
            _ => None,
        }
    }

    /// How things stand, as far as this failure tells.
    pub fn state(&self) -> Option<String> {
        let server = self.server();
        match self {
            _ if self.unsent() => Some(format!("nothing was sent to `{server}`")),
            _ if self.in_doubt() => Some(format!("it was sent to `{server}`, and whether it took effect cannot be told from here")),
            Self::Unsupported { .. } => Some("the batch was carried out".to_owned()),
            _ => None,
        }
    }

    /// True if the batch never left this machine.
    pub fn unsent(&self) -> bool {
        self.before_login() || matches!(self, Self::Parameter { .. })
    }

    /// True if the server refused the text as such (severity 15): no statement of the batch has run.
    pub fn not_begun(&self) -> bool {
        matches!(self, Self::Refused { .. }) && self.deciding().is_some_and(|m| m.severity == 15 && m.number < 50_000)
    }

    /// True if the server could not be talked to at all: no connection, no TLS, no login.
    pub fn before_login(&self) -> bool {
        matches!(self, Self::UnknownServer { .. } | Self::Unreachable(_) | Self::Tls(_) | Self::Password { .. } | Self::Login { .. })
    }
}

impl From<Unreachable> for Failure {
    fn from(error: Unreachable) -> Self {
        Self::Unreachable(error)
    }
}

impl From<Tls> for Failure {
    fn from(error: Tls) -> Self {
        Self::Tls(error)
    }
}

/// `90 s`; below a second in milliseconds.
fn seconds(time: &Duration) -> String {
    if time.subsec_millis() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_millis()) }
}

fn said(f: &mut fmt::Formatter<'_>, messages: &[Message]) -> fmt::Result {
    match errors::deciding(messages) {
        Some(m) => write!(f, "error {} (severity {}, state {}, line {}): {}", m.number, m.severity, m.state, m.line, m.text),
        None => f.write_str("failure without a message"),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stopped = |stopped: &bool| if *stopped { "the server stopped it" } else { "the server did not confirm that it stopped" };
        match self {
            Self::UnknownServer { server, .. } => write!(f, "no server `{server}` in this site"),
            Self::Unreachable(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Password { server, why } => write!(f, "the password for `{server}` cannot be had: {why}"),
            Self::Login { server, user, messages } => {
                write!(f, "`{server}` refused the login of `{user}` with ")?;
                said(f, messages)
            }
            Self::Refused { server, answer } => {
                write!(f, "`{server}` answered with ")?;
                said(f, &answer.messages)
            }
            Self::TimeLimit { server, limit, stopped: s, .. } => {
                write!(f, "`{server}` did not finish within {}; {}", seconds(limit), stopped(s))
            }
            Self::Cancelled { server, stopped: s, .. } => write!(f, "the statement on `{server}` was cancelled; {}", stopped(s)),
            Self::Lost { server, detail, .. } => write!(f, "the connection to `{server}` was lost before it answered: {detail}"),
            Self::Unsupported { server, column, what } => {
                write!(f, "`{server}` carried out the batch, but column `{column}` of its answer cannot be read: {what}")
            }
            Self::Parameter { name, why, .. } => write!(f, "parameter `@{name}` cannot be sent: {why}"),
            Self::Unreadable { server, detail, .. } => write!(f, "the answer of `{server}` cannot be read: {detail}"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable(error) => error.source(),
            Self::Tls(error) => error.source(),
            _ => None,
        }
    }
}

impl miette::Diagnostic for Failure {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let code = match self {
            Self::Unreachable(error) => return error.code(),
            Self::Tls(error) => return error.code(),
            Self::UnknownServer { .. } => "cutover::sqlserver::unknown_server",
            Self::Password { .. } => "cutover::sqlserver::password",
            Self::Login { .. } => "cutover::sqlserver::login",
            Self::Refused { .. } => "cutover::sqlserver::server_error",
            Self::TimeLimit { .. } => "cutover::sqlserver::time_limit",
            Self::Cancelled { .. } => "cutover::sqlserver::cancelled",
            Self::Lost { .. } => "cutover::sqlserver::connection_lost",
            Self::Unsupported { .. } => "cutover::sqlserver::unsupported_value",
            Self::Parameter { .. } => "cutover::sqlserver::parameter",
            Self::Unreadable { .. } => "cutover::sqlserver::unreadable_answer",
        };
        Some(Box::new(code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        const LOOK: &str = "look at what the server is doing now (sys.dm_exec_requests, program name `cutover …`) and at the \
                            state of what was to change; the statement may still be running or may have taken effect";
        let help: String = match self {
            Self::Unreachable(error) => return error.help(),
            Self::Tls(error) => return error.help(),
            Self::UnknownServer { known, .. } => match known.as_slice() {
                [] => "add the server to the site file".into(),
                known => format!("use one of the site's servers: {}", known.join(", ")),
            },
            Self::Password { server, .. } => format!("set what `password` under `[sql.{server}]` refers to"),
            Self::Login { messages, .. } => errors::deciding(messages)
                .map_or_else(|| "Check user and password once; do not repeat it: the account may lock.".into(), errors::act),
            Self::Refused { answer, .. } => errors::act(errors::deciding(&answer.messages)?),
            Self::TimeLimit { in_doubt: true, .. } | Self::Cancelled { in_doubt: true, .. } | Self::Lost { in_doubt: true, .. } => {
                LOOK.into()
            }
            Self::TimeLimit { .. } => "give it a longer `timeout`, or see what blocks it with sp_who2".into(),
            Self::Cancelled { .. } => "run it again when ready: it only read".into(),
            Self::Lost { .. } => "try it again: it only read".into(),
            Self::Unsupported { column, .. } => format!("CAST `{column}` in the query to a type that can be read, or leave it out"),
            Self::Parameter { .. } => "give it a value of another type, or write it in the text".into(),
            Self::Unreadable { in_doubt: true, .. } => LOOK.into(),
            Self::Unreadable { .. } => "try it again; if it comes back, report it with the query".into(),
        };
        Some(Box::new(help))
    }
}
