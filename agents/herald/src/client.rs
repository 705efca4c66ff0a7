//! Sends one request to one endpoint and says what came of it.
//!
//! Invariants: the guard judges every address that is dialled; redirects are answers and are never
//! followed; from the look-up of the name to the end of the answer, everything has an end.
//!
//! A client belongs to one runtime with one thread, on which its connections live.

mod dial;
mod exchange;
mod fault;
mod proxy;
pub mod retry_after;
mod stream;
mod tls;

use std::time::Duration;

use http_body_util::Full;
use hyper::Uri;
use hyper::body::Bytes;
use hyper_util::client::legacy::{self, connect::Connect};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem;

pub use fault::Fault;
pub(crate) use fault::Stage;
pub use proxy::ProxyAuth;
pub use tls::TlsSettings;

use crate::guard::Guard;
pub(crate) use dial::Dialler;
use dial::Target;

/// The most that the head of an answer may have, and the buffer of a connection.
const ANSWER_HEAD: usize = 16 * 1024;

/// The most headers of an answer.
const ANSWER_HEADERS: usize = 64;

/// How long a connection waits for the next request. Most servers wait longer.
const IDLE: Duration = Duration::from_secs(30);

/// How one endpoint is reached.
#[derive(Clone)]
pub struct Settings {
    /// What may be dialled.
    pub guard: Guard,
    /// The most for finding and dialling an address, and again for each handshake.
    pub connect_timeout: Duration,
    /// The most from the beginning to the end of the answer.
    pub total_timeout: Duration,
    /// Trust and identity beyond the system's authorities.
    pub tls: Option<TlsSettings>,
    /// An HTTP proxy: `http://host:port`.
    pub proxy: Option<Uri>,
    /// Who we are to the proxy.
    pub proxy_auth: Option<ProxyAuth>,
    /// How many connections are kept for later requests.
    pub max_idle: usize,
}

/// Why an endpoint cannot be reached as its settings say.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The authorities are not PEM, or there is none.
    #[error("the authority's certificate cannot be read: {0}")]
    Ca(pem::Error),
    /// The certificate is not PEM, or there is none.
    #[error("the client certificate cannot be read: {0}")]
    Certificate(pem::Error),
    /// There is no key in PEM.
    #[error("the client key cannot be read: {0}")]
    Key(pem::Error),
    /// Certificate without key, or key without certificate.
    #[error("a client certificate needs its key, and a key its certificate")]
    Half,
    /// The library refuses a certificate or key.
    #[error("the certificate or key is not usable: {0}")]
    Pair(rustls::Error),
    /// The proxy's URL is not usable.
    #[error("the proxy is not usable: {0}")]
    Proxy(String),
}

/// A POST.
#[derive(Clone)]
pub struct Request {
    /// Where it goes: `http` or `https`, without a user.
    pub uri: Uri,
    /// Its headers, besides `Host` and the length.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Bytes,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered, whatever it said: redirects and errors are answers too.
    Answered {
        /// The status.
        status: u16,
        /// The header `Retry-After`; [`retry_after::parse`] reads it.
        retry_after: Option<String>,
        /// The first KiB of the body.
        head: Vec<u8>,
        /// Why the body did not end although its end was awaited. The status stands all the same.
        cut: Option<Fault>,
        /// From the beginning to the end of the answer.
        took: Duration,
    },
    /// There was no answer.
    Failed {
        /// Why.
        fault: Fault,
        /// How long it took to fail.
        took: Duration,
    },
}

type Pool<C> = legacy::Client<C, Full<Bytes>>;

/// Sends requests to one endpoint and keeps its connections.
#[derive(Clone)]
pub struct Client(Over<Dialler>);

impl Client {
    /// A client that reaches its endpoint as `settings` say. It connects to nobody yet.
    ///
    /// # Errors
    ///
    /// A certificate, a key or the proxy's URL is not usable.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let dialler = Dialler::new(settings, &[b"http/1.1"])?;
        Ok(Self::of(&dialler, settings))
    }

    fn of(dialler: &Dialler, settings: &Settings) -> Self {
        Self(Over::new(
            dialler,
            settings.max_idle,
            settings.total_timeout,
        ))
    }

    /// Sends `request` and waits for the end of the answer, at most for the total timeout.
    ///
    /// A request that met a kept connection which the receiver was just closing is sent once more,
    /// on a new connection, if not a byte of an answer had come.
    pub async fn send(&self, request: Request) -> Outcome {
        self.0.send(request).await
    }
}

/// A client over connections that somebody else makes: those of the fuzz target have no network.
#[derive(Clone)]
pub struct Over<C> {
    kept: Pool<C>,
    /// Opens a connection for each request.
    fresh: Pool<C>,
    total_timeout: Duration,
}

impl<C: Connect + Clone + Send + Sync + 'static> Over<C> {
    /// A client that keeps so many connections, and waits so long for the end of an answer.
    pub fn new(connector: &C, max_idle: usize, total_timeout: Duration) -> Self {
        Self {
            kept: pool(connector, max_idle),
            fresh: pool(connector, 0),
            total_timeout,
        }
    }

    /// As [`Client::send`].
    pub async fn send(&self, request: Request) -> Outcome {
        let began = Instant::now();
        let ends = began + self.total_timeout;
        let answer = match Target::of(&request.uri) {
            Ok(_) => self.ask(&request, ends).await,
            Err(fault) => Err(fault),
        };
        match answer {
            Err(fault) => Outcome::Failed {
                fault,
                took: began.elapsed(),
            },
            Ok(answer) => {
                let status = answer.status().as_u16();
                let retry_after = answer.headers().get(hyper::header::RETRY_AFTER);
                let retry_after = retry_after.and_then(|value| value.to_str().ok());
                let retry_after = retry_after.map(str::to_owned);
                let (head, cut) = exchange::drain(answer.into_body(), ends).await;
                Outcome::Answered {
                    status,
                    retry_after,
                    head,
                    cut,
                    took: began.elapsed(),
                }
            }
        }
    }

    async fn ask(&self, request: &Request, ends: Instant) -> Result<exchange::Answer, Fault> {
        match exchange::ask(&self.kept, request, ends).await {
            Err(lost) if lost.unheard => exchange::ask(&self.fresh, request, ends).await,
            asked => asked,
        }
        .map_err(|lost| lost.fault)
    }
}

fn pool<C: Connect + Clone>(connector: &C, max_idle: usize) -> Pool<C> {
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(max_idle)
        .http1_max_buf_size(ANSWER_HEAD)
        .http1_max_headers(ANSWER_HEADERS)
        // It would repeat as often as there are kept connections; see `send`.
        .retry_canceled_requests(false)
        .build(connector.clone())
}

#[cfg(test)]
mod tests;
