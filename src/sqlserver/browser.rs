//! Asks the SQL Server Browser which TCP port a named instance listens on (MC-SQLR over UDP). Called by `connection.rs` for
//! each connection: an instance may have another port after each start.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout, timeout_at};

use super::connection::{Instance, Target};
use super::error::{Failure, Unreachable};
use crate::wire::browser::{LARGEST, Listed, Malformed, ask_for, ask_for_all, read};

/// A datagram may get lost: so often it is sent.
const TRIES: u32 = 3;
/// How long one try waits at most.
const WAIT: Duration = Duration::from_secs(1);

/// What a Browser said.
enum Said {
    Instances(Vec<Listed>),
    /// the machine answers, the port does not
    Closed,
    /// something else answers
    Nonsense(Malformed),
    Nothing,
}

/// The TCP port of an instance, within the target's limit for connecting.
pub(super) async fn port(target: &Target, instance: &Instance) -> Result<u16, Failure> {
    let limit = target.connect_time_limit;
    let until = Instant::now() + limit;
    let unknown = |source| Unreachable::UnknownHost { server: target.key.clone(), host: target.host.clone(), source: Arc::new(source) };
    let at = format!("`{}` (UDP)", target.address(instance.browser_port));
    let found = timeout_at(until, tokio::net::lookup_host((target.host.as_str(), instance.browser_port))).await;
    let addresses: Vec<_> = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(unknown)?.collect();
    // both questions to all addresses fit into the limit
    let wait = WAIT.min(limit / (2 * TRIES) / u32::try_from(addresses.len().max(1)).unwrap_or(1));
    let mut said = Said::Nothing;
    for address in addresses {
        said = ask(address, &ask_for(&instance.name), wait).await;
        if let Said::Instances(listed) = &said
            && let Some(one) = listed.iter().find(|one| one.instance.eq_ignore_ascii_case(&instance.name))
        {
            return one.port.ok_or_else(|| fails(target, instance, "it does not listen on TCP".into(), "enable TCP/IP for it there"));
        }
        // a Browser keeps silent about an instance that it does not know
        if let Said::Nothing | Said::Instances(_) = said {
            said = ask(address, &ask_for_all(), wait).await;
        }
        if let Said::Instances(listed) = &said {
            let names: Vec<_> = listed.iter().map(|one| format!("`{}`", one.instance)).collect();
            let why = format!("the SQL Server Browser at {at} knows {}", if names.is_empty() { "none".into() } else { names.join(", ") });
            return Err(fails(target, instance, why, "or correct the instance's name"));
        }
    }
    Err(match said {
        Said::Closed => fails(target, instance, format!("no SQL Server Browser listens at {at}"), "or start the service on that machine"),
        Said::Nonsense(why) => {
            fails(target, instance, format!("what answers at {at} is no SQL Server Browser: {why}"), "another service may use that port")
        }
        Said::Nothing | Said::Instances(_) => fails(
            target,
            instance,
            format!("the SQL Server Browser at {at} did not answer"),
            "the service may be stopped, or a firewall may drop UDP",
        ),
    })
}

fn fails(target: &Target, instance: &Instance, why: String, advice: &'static str) -> Failure {
    Unreachable::Browser { server: target.key.clone(), instance: instance.name.clone(), why, advice }.into()
}

/// Sends a question until it is answered, a few times at most.
async fn ask(address: SocketAddr, question: &[u8], wait: Duration) -> Said {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let mut said = Said::Nothing;
    let mut buffer = vec![0; LARGEST + 1];
    let asked = async {
        let socket = UdpSocket::bind(any).await?;
        // hears nobody else
        socket.connect(address).await?;
        for _ in 0..TRIES {
            socket.send(question).await?;
            if let Ok(length) = timeout(wait, socket.recv(&mut buffer)).await {
                match read(buffer.get(..length?).unwrap_or_default()) {
                    Ok(listed) => return Ok(Said::Instances(listed)),
                    Err(malformed) => said = Said::Nonsense(malformed),
                }
            }
        }
        Ok::<_, io::Error>(said)
    };
    match asked.await {
        Ok(said) => said,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Said::Closed,
        Err(error) => {
            tracing::debug!(%address, %error, "the SQL Server Browser cannot be asked");
            Said::Nothing
        }
    }
}
