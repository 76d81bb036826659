//! Finds out why a TLS handshake failed: a second connection offers everything from TLS 1.0 on, takes any certificate, and
//! hangs up once it is answered. Servers of that age close without a word, or leave a newer hello unanswered.
//!
//! Called by `connection.rs` after a handshake that ended early. No login is sent.

use std::time::Duration;

use openssl::ssl::SslVersion;
use tokio::time::timeout;

use super::connection::{Target, connect};
use super::error::{Failure, Tls};
use super::tls::{Security, handshake, prelogin};
use crate::wire::tls::{TlsMinimum, encrypt};

/// How long one hello of the probe may take, from TCP on.
const LIMIT: Duration = Duration::from_secs(5);

/// What a server took.
#[derive(Debug)]
pub(super) struct Taken {
    /// the newest TLS of the hello that it took
    pub(super) hello: SslVersion,
    /// what the server says of itself: `SQL Server 10.50.6000`
    program: String,
    /// `TLSv1`
    version: &'static str,
    suite: String,
}

/// What a server takes of everything from TLS 1.0 on; `None` if nothing.
pub(super) async fn taken(target: &Target, port: u16) -> Option<Taken> {
    let anything = Target { security: Security::TrustAny, tls_minimum: TlsMinimum::V1_0, ..target.clone() };
    // a hello of 1.2 offers older ones as well, but not every server of 1.0 understands it
    for hello in [SslVersion::TLS1_2, SslVersion::TLS1] {
        let limit = LIMIT.min(target.login_time_limit);
        match timeout(limit, offer(&anything, port, hello)).await {
            Ok(Ok(taken)) => return Some(taken),
            Ok(Err(error)) => tracing::debug!(server = target.key, %error, "the probe was refused"),
            Err(_) => tracing::debug!(server = target.key, "the probe was not answered"),
        }
    }
    None
}

async fn offer(anything: &Target, port: u16, hello: SslVersion) -> Result<Taken, Failure> {
    let address = anything.address(port);
    let mut tcp = connect(anything, port, &address, LIMIT).await?;
    let answer = prelogin(anything, &mut tcp, &address, encrypt::ON).await?;
    let stream = handshake(anything, tcp, hello).await?;
    Ok(Taken {
        hello,
        program: answer.version().map_or_else(|| "SQL Server".to_owned(), |(a, b, c)| format!("SQL Server {a}.{b}.{c}")),
        version: stream.ssl().version_str(),
        suite: stream.ssl().current_cipher().map(|suite| suite.name().to_owned()).unwrap_or_default(),
    })
}

/// What a failed handshake was about, now that it is known what the server takes.
pub(super) fn explain(target: &Target, failed: Tls, taken: Option<Taken>) -> Tls {
    let server = target.key.clone();
    match (failed, taken) {
        (_, Some(Taken { program, version, suite, .. })) if target.tls_minimum == TlsMinimum::V1_2 => {
            let what = match version {
                "TLSv1.2" => format!("({program}) takes old cipher suites alone: {suite} at TLS 1.2"),
                "TLSv1.1" => format!("({program}) takes no TLS newer than 1.1, with {suite}"),
                _ => format!("({program}) takes no TLS newer than 1.0, with {suite}"),
            };
            Tls::TooOld { server, what }
        }
        (Tls::EndedEarly { how, .. }, None) => {
            Tls::EndedEarly { server, how: format!("{how}, even for a client that takes everything from TLS 1.0 on") }
        }
        (failed, _) => failed,
    }
}
