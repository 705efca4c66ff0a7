//! Finds the addresses of a host, asks the guard about each, and dials them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::fault::{Fault, Stage};
use super::proxy::Proxy;
use super::stream::Stream;
use super::tls::Tls;
use super::{Settings, SettingsError};
use crate::guard::{Guard, Host};

/// How many addresses of a host are tried.
const ADDRESSES: usize = 8;

/// What makes the connections of a client.
#[derive(Clone)]
pub(crate) struct Dialler(Arc<Inner>);

struct Inner {
    guard: Guard,
    /// For finding and dialling an address, and again for each handshake.
    connect_timeout: Duration,
    tls: Tls,
    proxy: Option<Proxy>,
    resolver: Resolver,
}

/// Who knows the addresses of a name.
enum Resolver {
    System,
    /// Gives these answers, one after the other.
    #[cfg(test)]
    Scripted(std::sync::Mutex<std::collections::VecDeque<Vec<std::net::IpAddr>>>),
}

/// Where a request goes.
pub(super) struct Target {
    tls: bool,
    host: Host,
    port: u16,
}

impl Target {
    pub(super) fn of(uri: &Uri) -> Result<Self, Fault> {
        let unsound = |reason: &str| Fault::Unsound(reason.to_owned());
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(unsound("its URL begins with neither http:// nor https://")),
        };
        let authority = uri
            .authority()
            .ok_or_else(|| unsound("its URL has no host"))?;
        // It would not be sent; whoever wrote it believes that it is.
        if authority.as_str().contains('@') {
            return Err(unsound("its URL holds a user; use a header"));
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if tls => 443,
            None => 80,
        };
        Ok(Self {
            tls,
            host: Host::parse(authority.host())?,
            port,
        })
    }
}

impl Dialler {
    /// One that offers `protocols` in TLS and goes through the proxy, if there is one.
    ///
    /// # Errors
    ///
    /// A certificate, a key or the proxy is not usable.
    pub(crate) fn new(settings: &Settings, protocols: &[&[u8]]) -> Result<Self, SettingsError> {
        Ok(Self(Arc::new(Inner::new(
            settings,
            protocols,
            Resolver::System,
        )?)))
    }

    /// One whose names have these addresses, each answer for one look-up.
    #[cfg(test)]
    pub(super) fn scripted(settings: &Settings, answers: Vec<Vec<std::net::IpAddr>>) -> Self {
        let resolver = Resolver::Scripted(std::sync::Mutex::new(answers.into()));
        Self(Arc::new(
            Inner::new(settings, &[b"http/1.1"], resolver).unwrap(),
        ))
    }

    /// A connection to the first address of `host` that takes one, guarded, without proxy.
    pub(crate) async fn tcp(&self, host: &Host, port: u16) -> Result<TcpStream, Fault> {
        self.0.dial(host, port).await
    }

    /// Makes a TLS connection to `host` out of `tcp`.
    pub(crate) async fn secure(
        &self,
        host: &Host,
        tcp: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Fault> {
        self.0.secure(host, tcp).await
    }
}

impl Service<Uri> for Dialler {
    type Response = TokioIo<Stream>;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Fault>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let target = Target::of(&uri)?;
            inner.connect(&target).await.map(TokioIo::new)
        })
    }
}

impl Inner {
    fn new(
        settings: &Settings,
        protocols: &[&[u8]],
        resolver: Resolver,
    ) -> Result<Self, SettingsError> {
        let proxy = settings.proxy.as_ref();
        let auth = settings.proxy_auth.as_ref();
        Ok(Self {
            guard: settings.guard.clone(),
            connect_timeout: settings.connect_timeout,
            tls: Tls::new(settings.tls.as_ref(), protocols)?,
            proxy: proxy.map(|uri| Proxy::of(uri, auth)).transpose()?,
            resolver,
        })
    }

    async fn connect(&self, target: &Target) -> Result<Stream, Fault> {
        let tcp = match &self.proxy {
            None => self.dial(&target.host, target.port).await?,
            Some(proxy) => self.pass(proxy, target).await?,
        };
        if !target.tls {
            return Ok(Stream::plain(tcp));
        }
        self.secure(&target.host, tcp).await.map(Stream::tls)
    }

    async fn secure(&self, host: &Host, tcp: TcpStream) -> Result<TlsStream<TcpStream>, Fault> {
        let tls = timeout(self.connect_timeout, self.tls.connect(host, tcp)).await;
        tls.map_err(|_| Fault::Timeout(Stage::Tls))?
    }

    /// A connection through the proxy.
    async fn pass(&self, proxy: &Proxy, target: &Target) -> Result<TcpStream, Fault> {
        // The proxy looks names up; only what stands in the URL itself can be judged here.
        match &target.host {
            Host::Address(address) => self.guard.check(*address)?,
            name if name.is_localhost() => self.guard.check([127, 0, 0, 1].into())?,
            Host::Name(_) => {}
        }
        let mut tcp = self.dial(&proxy.host, proxy.port).await?;
        let asked = proxy.connect(&mut tcp, &target.host, target.port);
        let asked = timeout(self.connect_timeout, asked).await;
        asked.map_err(|_| Fault::Timeout(Stage::Proxy))??;
        Ok(tcp)
    }

    /// A connection to the first address of `host` that takes one.
    async fn dial(&self, host: &Host, port: u16) -> Result<TcpStream, Fault> {
        let ends = Instant::now() + self.connect_timeout;
        let allowed = self.allowed(host, port, ends).await?;
        first(&allowed, ends).await
    }

    /// The addresses of `host` that the guard lets through: these very ones are dialled.
    async fn allowed(
        &self,
        host: &Host,
        port: u16,
        ends: Instant,
    ) -> Result<Vec<SocketAddr>, Fault> {
        let found = match host {
            Host::Address(address) => vec![SocketAddr::new(*address, port)],
            Host::Name(name) => self.resolver.addresses(name, port, ends).await?,
        };
        let mut allowed = Vec::new();
        let mut refused = None;
        for address in found {
            match self.guard.check(address.ip()) {
                Ok(()) if !allowed.contains(&address) => allowed.push(address),
                Ok(()) => {}
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        if let (true, Some(refusal)) = (allowed.is_empty(), refused) {
            return Err(refusal.into());
        }
        allowed.truncate(ADDRESSES);
        Ok(allowed)
    }
}

impl Resolver {
    async fn addresses(
        &self,
        name: &str,
        port: u16,
        ends: Instant,
    ) -> Result<Vec<SocketAddr>, Fault> {
        match self {
            Self::System => resolve(name, port, ends).await,
            #[cfg(test)]
            Self::Scripted(answers) => {
                let answer = answers.lock().unwrap().pop_front().unwrap();
                let with_port = |address| SocketAddr::new(address, port);
                Ok(answer.into_iter().map(with_port).collect())
            }
        }
    }
}

/// Every address of `name`, at least one.
async fn resolve(name: &str, port: u16, ends: Instant) -> Result<Vec<SocketAddr>, Fault> {
    let not_resolved = |error: io::Error| Fault::NotResolved {
        host: name.to_owned(),
        reason: error.to_string(),
    };
    let found = timeout_at(ends, lookup_host((name, port))).await;
    let found = found.map_err(|_| Fault::Timeout(Stage::Resolve))?;
    let found: Vec<_> = found.map_err(not_resolved)?.collect();
    if found.is_empty() {
        return Err(not_resolved(io::Error::other("it has no address")));
    }
    Ok(found)
}

/// A connection to the first of `addresses` that takes one.
async fn first(addresses: &[SocketAddr], ends: Instant) -> Result<TcpStream, Fault> {
    let mut last = Fault::Timeout(Stage::Connect);
    for (left, address) in (1..=addresses.len() as u32).rev().zip(addresses) {
        let remaining = ends.saturating_duration_since(Instant::now());
        // Each has an equal share of what is left, so that a dead one does not starve the next.
        match timeout(remaining / left, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // A request is written at once; to wait for more would only delay it.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Ok(Err(error)) => {
                last = Fault::Connect {
                    address: *address,
                    reason: error.to_string(),
                }
            }
            Err(_) => last = Fault::Timeout(Stage::Connect),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_next_address_is_tried_when_one_refuses() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refuses = closed.local_addr().unwrap();
        drop(closed);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let takes = listener.local_addr().unwrap();
        let ends = Instant::now() + Duration::from_secs(20);
        let tcp = first(&[refuses, takes], ends).await.unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), takes);
        let fault = first(&[refuses, refuses], ends).await.unwrap_err();
        assert!(matches!(fault, Fault::Connect { address, .. } if address == refuses));
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_is_not_resolved() {
        // Longer than a label may be: refused by the library, so nobody on the network is asked.
        let name = "a".repeat(64) + ".example";
        let ends = Instant::now() + Duration::from_secs(20);
        let fault = resolve(&name, 80, ends).await.unwrap_err();
        assert!(matches!(fault, Fault::NotResolved { host, .. } if host == name));
    }
}
