//! What both sides of the sockets share: log sequence numbers, TLS inside TDS packets, the Browser's datagrams, and the
//! bridge's messages.
//! A leaf: it uses no other room.

pub mod bridge;
pub mod browser;
pub mod lsn;
pub mod tls;
