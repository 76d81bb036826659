//! Why a lab server did not start. What clients do wrong afterwards is logged, never returned.

use std::io;

/// A lab server could not be started.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum StartError {
    /// The listening socket of a simulated SQL Server cannot be used. The lab was not started.
    #[error("the lab's socket cannot be used")]
    #[diagnostic(code(cutover::lab::socket), help("check that loopback is up and the port is free"))]
    Socket(#[from] io::Error),
    /// OpenSSL refused the certificate that the lab made for itself, or its settings. The lab was not started.
    #[error("the lab's TLS cannot be set up")]
    #[diagnostic(code(cutover::lab::tls), help("report this: the lab makes its own certificate"))]
    Tls(#[from] openssl::error::ErrorStack),
}
