//! Why there is no answer.
//!
//! No sentence holds more of the URL than its host: the path is the secret of many receivers.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio_rustls::rustls;

use crate::guard::{BadHost, Refused};

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The request cannot be sent to anybody: its URL or a header is unsound.
    #[error("the request cannot be sent: {0}")]
    Unsound(String),
    /// The resolver knows no address, or could not be asked.
    #[error("the name {host} does not resolve: {reason}")]
    NotResolved {
        /// The name that was looked up.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// The guard refuses every address of the host.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No connection came about at the last address that was tried.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// One side does not trust the other, or they share no version of TLS.
    #[error("no TLS connection: {0}")]
    Tls(String),
    /// A deadline passed.
    #[error("the deadline passed while {0}")]
    Timeout(Stage),
    /// The connection ended before the answer did.
    #[error("the connection ended before the answer did: {0}")]
    Reset(String),
    /// What came is not HTTP.
    #[error("the answer is not HTTP: {0}")]
    Malformed(String),
    /// The head of the answer is larger than any sound one.
    #[error("the head of the answer is too large")]
    TooLarge,
    /// The proxy does not let the request through.
    #[error("the proxy {0}")]
    Proxy(ProxyFault),
    /// The mail server does not talk to us, or does not talk SMTP.
    #[error("the mail server {0}")]
    Mail(String),
}

/// What was waited for when a deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The resolver.
    Resolve,
    /// A connection.
    Connect,
    /// The proxy's answer.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// The head of the answer.
    Answer,
    /// The body of the answer.
    Body,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "the name was looked up",
            Self::Connect => "a connection was made",
            Self::Proxy => "the proxy was asked for a way",
            Self::Tls => "TLS was set up",
            Self::Answer => "the answer was awaited",
            Self::Body => "the body of the answer was read",
        })
    }
}

/// What a proxy did instead of letting the request through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyFault {
    /// It refused.
    #[error("answers with the status {0}")]
    Status(u16),
    /// It said something that is no answer to CONNECT.
    #[error("does not speak HTTP")]
    Malformed,
    /// It ended the connection.
    #[error("ended the connection: {0}")]
    Closed(String),
}

impl From<BadHost> for Fault {
    fn from(bad: BadHost) -> Self {
        Self::Unsound(bad.to_string())
    }
}

impl Fault {
    /// The fault behind an error of the HTTP library, found by type.
    pub(super) fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(cause) = next {
            if let Some(fault) = cause.downcast_ref::<Self>() {
                return fault.clone();
            }
            if let Some(fault) = cause.downcast_ref().and_then(Self::of_hyper) {
                return fault;
            }
            if let Some(fault) = cause.downcast_ref().map(Self::of_io) {
                return fault;
            }
            next = cause.source();
        }
        Self::Reset(innermost(error))
    }

    fn of_hyper(error: &hyper::Error) -> Option<Self> {
        if error.is_parse_too_large() {
            Some(Self::TooLarge)
        } else if error.is_parse() {
            Some(Self::Malformed(error.to_string()))
        } else {
            None
        }
    }

    fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            _ if is_tls(error) => Self::Tls(error.to_string()),
            // The library's own verdict about chunks.
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::Malformed(error.to_string())
            }
            _ => Self::Reset(error.to_string()),
        }
    }
}

/// Whether an error of the stream is one of TLS, as when a certificate is refused in TLS 1.3.
fn is_tls(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>())
}

/// The last cause of an error, which says most.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
