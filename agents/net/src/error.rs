//! Why a server does not start.

use std::error::Error as StdError;
use std::io;

use roundsman_kit::Class;

use crate::bearer::TokenError;
use crate::limits::LimitError;
use crate::tls::TlsError;

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

/// The class of this crate's errors, for [`roundsman_kit::error::class_of`]: what a file or
/// credential says wrongly is `Config`, what the system refuses may be there later.
pub fn classify(error: &(dyn StdError + 'static)) -> Option<Class> {
    if error.is::<TlsError>() || error.is::<TokenError>() || error.is::<LimitError>() {
        return Some(Class::Config);
    }
    error.downcast_ref().map(|error| match error {
        Error::Limits(_) | Error::NoListener => Class::Config,
        Error::Listener(_) | Error::Runtime(_) | Error::Thread(_) => Class::Unavailable,
    })
}

fn join(findings: &[LimitError]) -> String {
    let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    findings.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_wrongly_is_config_and_other_types_are_not_ours() {
        assert_eq!(classify(&Error::NoListener), Some(Class::Config));
        assert_eq!(classify(&TokenError::Empty), Some(Class::Config));
        assert_eq!(classify(&TlsError::NoCertificate), Some(Class::Config));
        let refused = Error::Thread(io::ErrorKind::WouldBlock.into());
        assert_eq!(classify(&refused), Some(Class::Unavailable));
        assert_eq!(classify(&io::Error::other("disk gone")), None);
    }
}
