//! The way through an HTTP proxy: CONNECT, for `http` targets as for `https` ones.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::fault::ProxyFault;
use super::{Fault, SettingsError};
use crate::guard::Host;

/// The most that a proxy may say before it lets the request through.
const HEAD: usize = 8 * 1024;

/// A user and a password for the proxy.
#[derive(Clone)]
pub struct ProxyAuth {
    /// The user; a colon would end it.
    pub user: String,
    /// The password.
    pub password: String,
}

/// Where an endpoint's proxy is. Not `Debug`: it knows a password.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) host: Host,
    pub(super) port: u16,
    /// The header line that says who we are, whole.
    authorization: String,
}

impl Proxy {
    pub(super) fn of(uri: &Uri, auth: Option<&ProxyAuth>) -> Result<Self, SettingsError> {
        let refuse = |reason: &str| SettingsError::Proxy(reason.to_owned());
        if uri.scheme_str() != Some("http") {
            return Err(refuse("its URL does not begin with http://"));
        }
        let authority = uri
            .authority()
            .ok_or_else(|| refuse("its URL has no host"))?;
        if authority.as_str().contains('@') {
            return Err(refuse(
                "its URL holds a user, which belongs into proxy_auth",
            ));
        }
        let host = Host::parse(authority.host());
        Ok(Self {
            host: host.map_err(|bad| SettingsError::Proxy(bad.to_string()))?,
            port: authority.port_u16().unwrap_or(80),
            authorization: auth.map(authorization).unwrap_or_default(),
        })
    }

    /// Asks the proxy at the other end for a way to `host`.
    pub(super) async fn connect(
        &self,
        tcp: &mut TcpStream,
        host: &Host,
        port: u16,
    ) -> Result<(), Fault> {
        let target = match host {
            Host::Name(name) => format!("{name}:{port}"),
            // In its one sound spelling, so that the proxy cannot read another address in it.
            Host::Address(address) => std::net::SocketAddr::new(*address, port).to_string(),
        };
        let authorization = &self.authorization;
        let question =
            format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n");
        tcp.write_all(question.as_bytes()).await.map_err(closed)?;
        answer(tcp).await
    }
}

fn authorization(auth: &ProxyAuth) -> String {
    // In base64, nothing of it can end the line.
    let pair = STANDARD.encode(format!("{}:{}", auth.user, auth.password));
    format!("Proxy-Authorization: Basic {pair}\r\n")
}

fn closed(error: std::io::Error) -> Fault {
    Fault::Proxy(ProxyFault::Closed(error.to_string()))
}

/// Reads whether the proxy opens the way.
async fn answer(tcp: &mut TcpStream) -> Result<(), Fault> {
    let mut head = Vec::new();
    loop {
        let mut part = [0; 512];
        let read = tcp.read(&mut part).await.map_err(closed)?;
        if read == 0 {
            let early = std::io::ErrorKind::UnexpectedEof.into();
            return Err(closed(early));
        }
        head.extend_from_slice(&part[..read]);
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            return judge(&head, end + 4).map_err(Fault::Proxy);
        }
        if head.len() > HEAD {
            return Err(Fault::Proxy(ProxyFault::Malformed));
        }
    }
}

/// Whether the answer whose head ends at `end` opens the way.
fn judge(answer: &[u8], end: usize) -> Result<(), ProxyFault> {
    let status = status(answer).ok_or(ProxyFault::Malformed)?;
    if !(200..300).contains(&status) {
        return Err(ProxyFault::Status(status));
    }
    // Nobody behind the proxy speaks before we do.
    if answer.len() > end {
        return Err(ProxyFault::Malformed);
    }
    Ok(())
}

fn status(answer: &[u8]) -> Option<u16> {
    let rest = answer.strip_prefix(b"HTTP/1.")?;
    let [b'0' | b'1', b' ', digits @ ..] = rest else {
        return None;
    };
    let digits = digits.get(..3)?;
    let sound = digits.iter().all(u8::is_ascii_digit);
    sound.then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}
