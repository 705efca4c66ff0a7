//! A request as a handler sees it, and the response it gives.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Uri};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A TCP client.
    Tcp(SocketAddr),
    /// A client of a Unix socket, which its permissions let in.
    Unix,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// The request line and header: all there is before the first byte of the body is read.
#[derive(Debug)]
pub struct Head {
    /// The method. A `HEAD` is answered like a `GET`: the server leaves out the body.
    pub method: Method,
    /// The target as sent; a client may send the absolute form.
    pub uri: Uri,
    /// The header fields.
    pub headers: HeaderMap,
    /// Who asks.
    pub peer: Peer,
    /// When the server answers 503 in the handler's place.
    pub deadline: Instant,
}

impl Head {
    /// The path, percent-encoded as it was sent: `/metrics`, or `*` for `OPTIONS *`.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// What stands behind the `?`, percent-encoded as it was sent.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// Lets the listed methods pass.
    ///
    /// # Errors
    ///
    /// For any other method the 405 response with its `Allow` field.
    pub fn allow(&self, methods: &[Method]) -> Result<(), Response> {
        if methods.contains(&self.method) {
            Ok(())
        } else {
            Err(Response::not_allowed(methods))
        }
    }
}

/// A whole request.
#[derive(Debug)]
pub struct Request {
    /// Request line and header.
    pub head: Head,
    /// The body; empty where there is none.
    pub body: Bytes,
}

/// A whole response. `Content-Length`, `Connection` and `Date` are the server's.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status; 200 and above.
    pub status: StatusCode,
    /// The header fields; boxed, because a response often is the error of a `Result`.
    pub headers: Box<HeaderMap>,
    /// The body. [`Bytes`] is shared, so that one page serves many clients without a copy.
    pub body: Bytes,
}

impl Response {
    /// A response of any type.
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let content_type = HeaderValue::from_static(content_type);
        Self {
            status,
            headers: Box::new(HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)])),
            body: body.into(),
        }
    }

    /// Plain text; a line ends with its newline.
    pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::text(StatusCode::NOT_FOUND, "not found\n")
    }

    /// 405, naming the methods that the path has.
    pub fn not_allowed(methods: &[Method]) -> Self {
        let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
        let allow = HeaderValue::try_from(names.join(", "))
            .expect("a method is a token, which is a valid header value");
        Self::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n")
            .with(header::ALLOW, allow)
    }

    /// 503, asking the client to come again in a second.
    pub fn busy() -> Self {
        Self::text(StatusCode::SERVICE_UNAVAILABLE, "busy, try again\n")
            .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// The same response with a header field set.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}
