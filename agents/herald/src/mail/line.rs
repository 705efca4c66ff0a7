//! The connection below a dialogue: plain or TLS, and bounded.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The most that a server may say in one dialogue. The library bounds a line only at its end.
const HEARD: usize = 64 * 1024;

/// What stands for the greeting of a server that has greeted before TLS began.
const GREETING: &[u8] = b"220 greeted before TLS\r\n";

/// A stream that the library can talk over.
#[derive(Debug)]
pub struct Line {
    io: Io,
    heard: usize,
    greeting: &'static [u8],
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Line {
    /// Without TLS.
    pub fn plain(tcp: TcpStream) -> Self {
        Self::of(Io::Plain(tcp), b"")
    }

    /// With TLS from the beginning.
    pub fn tls(tls: TlsStream<TcpStream>) -> Self {
        Self::of(Io::Tls(Box::new(tls)), b"")
    }

    /// With TLS behind a greeting: the library waits for one, and gets ours.
    pub fn greeted(tls: TlsStream<TcpStream>) -> Self {
        Self::of(Io::Tls(Box::new(tls)), GREETING)
    }

    fn of(io: Io, greeting: &'static [u8]) -> Self {
        Self {
            io,
            heard: 0,
            greeting,
        }
    }

    fn poll_io(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl AsyncTokioStream for Line {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.io {
            Io::Plain(tcp) => tcp.peer_addr(),
            Io::Tls(tls) => tls.get_ref().0.peer_addr(),
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.greeting.is_empty() {
            let (now, later) = self
                .greeting
                .split_at(self.greeting.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.greeting = later;
            return Poll::Ready(Ok(()));
        }
        if self.heard > HEARD {
            return Poll::Ready(Err(io::Error::other("it says more than any sound one")));
        }
        let before = buffer.filled().len();
        let polled = self.poll_io(cx, buffer);
        self.heard += buffer.filled().len() - before;
        polled
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}
