//! Sends one mail to one mail server and says what came of it.
//!
//! The address that is dialled is judged as for HTTP, and TLS is the same. A mail has a connection
//! of its own. A password is in no sentence, and neither is what a server answers to one.

mod line;
mod session;
pub mod starttls;
mod writer;

use std::time::Duration;

use hyper::body::Bytes;
use lettre::Address;
use lettre::transport::smtp::extension::ClientId;
use roundsman_kit::secret::Secret;
use tokio::time::{Instant, timeout_at};

use crate::client::{Dialler, Fault, Outcome, Settings, SettingsError, Stage};
use crate::config::Security;
use crate::format::text;
use crate::guard::Host;
use line::Line;
pub use writer::Writer;

/// The most of an answer that is kept or told.
const SAID_BYTES: usize = 512;

/// Where mail is handed in.
#[derive(Debug, Clone)]
pub struct Server {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How the connection is secured.
    pub security: Security,
}

/// A mail with its envelope.
#[derive(Clone)]
pub struct Mail {
    /// The name of this host, for the greeting.
    pub hello: String,
    /// Who sends it.
    pub from: Address,
    /// Who gets it.
    pub to: Vec<Address>,
    /// The user and the password, if the server wants them.
    pub login: Option<(String, Secret)>,
    /// The message, lines ended by CR LF, nothing but ASCII.
    pub message: Bytes,
}

/// Hands mail to one server.
#[derive(Clone)]
pub struct Mailer {
    dialler: Dialler,
    host: Host,
    port: u16,
    security: Security,
    total_timeout: Duration,
}

impl Mailer {
    /// A mailer for `server`; guard, time limits and TLS are those of `settings`.
    ///
    /// # Errors
    /// In a sentence, what is not usable.
    pub fn new(server: &Server, settings: &Settings) -> Result<Self, String> {
        let unusable = |error: SettingsError| error.to_string();
        Ok(Self {
            dialler: Dialler::new(settings, &[]).map_err(unusable)?,
            host: Host::parse(&server.host).map_err(|bad| bad.to_string())?,
            port: server.port,
            security: server.security,
            total_timeout: settings.total_timeout,
        })
    }

    /// Hands in `mail`, at most for the total timeout. What the server says about the mail is an
    /// answer with the status that HTTP has for it, its own words in the head; what it says about
    /// us is a fault.
    pub async fn send(&self, mail: Mail) -> Outcome {
        let began = Instant::now();
        let sent = timeout_at(began + self.total_timeout, self.attempt(&mail)).await;
        let took = began.elapsed();
        match sent.unwrap_or(Err(Fault::Timeout(Stage::Answer))) {
            Err(fault) => Outcome::Failed { fault, took },
            Ok(verdict) => Outcome::Answered {
                status: verdict.status,
                retry_after: None,
                head: verdict.said.into_bytes(),
                cut: None,
                took,
            },
        }
    }

    async fn attempt(&self, mail: &Mail) -> Result<Verdict, Fault> {
        let mut tcp = self.dialler.tcp(&self.host, self.port).await?;
        let hello = hello(&mail.hello);
        let line = match self.security {
            Security::None => Line::plain(tcp),
            Security::Tls => Line::tls(self.dialler.secure(&self.host, tcp).await?),
            Security::Starttls => {
                starttls::ask(&mut tcp, &hello).await?;
                Line::greeted(self.dialler.secure(&self.host, tcp).await?)
            }
        };
        session::hand_in(line, &hello, mail).await
    }
}

/// What the server says about a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    /// The status that HTTP has for it.
    status: u16,
    /// Its own words.
    said: String,
}

/// How we introduce ourselves: by a name that can be one, or else by no name.
fn hello(host: &str) -> ClientId {
    match Host::parse(host) {
        Ok(Host::Name(name)) => ClientId::Domain(name),
        _ => ClientId::Ipv4(std::net::Ipv4Addr::LOCALHOST),
    }
}

/// Words of a server in one short line.
fn quoted(said: &str) -> String {
    text::cut(text::plain(said).trim(), SAID_BYTES)
}

#[cfg(test)]
mod tests;
