//! Why a server does not start.

use std::io;

use crate::limits::LimitError;

/// Why a server does not start. Once it runs, nothing that a client does is an error of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Limits out of range: every one of them.
    #[error("limits: {}", join(.0))]
    Limits(Vec<LimitError>),
    /// There is nothing to listen on.
    #[error("no socket to listen on: none was passed and no address is configured")]
    NoListener,
    /// A passed socket cannot be served.
    #[error("the listening socket cannot be used: {0}")]
    Listener(io::Error),
    /// The event loop cannot be set up.
    #[error("the event loop cannot be set up: {0}")]
    Runtime(io::Error),
    /// The thread cannot be started.
    #[error("the network thread cannot be started: {0}")]
    Thread(io::Error),
}

fn join(findings: &[LimitError]) -> String {
    let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    findings.join("; ")
}
