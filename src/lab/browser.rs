//! The SQL Server Browser of one machine: says over UDP which instances there are and on which TCP ports they listen. About
//! an instance that it does not know it keeps silent, as the real one does.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use tokio::task::JoinHandle;

use crate::wire::browser::{Listed, Question, question, write};

/// A Browser that answers until it is dropped.
pub struct Browser {
    address: SocketAddr,
    answering: JoinHandle<()>,
}

impl Browser {
    /// On a free port of `listen`; to be called inside a tokio runtime.
    pub fn start(listen: IpAddr, listed: Vec<Listed>) -> io::Result<Self> {
        let socket = UdpSocket::bind((listen, 0))?;
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        let address = socket.local_addr()?;
        Ok(Self { address, answering: tokio::spawn(answer(socket, listed)) })
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

async fn answer(socket: tokio::net::UdpSocket, listed: Vec<Listed>) {
    let mut buffer = [0; 64];
    loop {
        let (length, client) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "the lab's Browser heard nothing");
                continue;
            }
        };
        let found = match question(buffer.get(..length).unwrap_or_default()) {
            Some(Question::All) => listed.clone(),
            Some(Question::Instance(name)) => listed.iter().filter(|one| one.instance.eq_ignore_ascii_case(&name)).cloned().collect(),
            None => Vec::new(),
        };
        if !found.is_empty()
            && let Err(error) = socket.send_to(&write(&found), client).await
        {
            tracing::debug!(%error, "the lab's Browser cannot answer");
        }
    }
}
