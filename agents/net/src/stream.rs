//! The byte stream of one connection, plain or TLS, which tells its [`Conn`] what passes.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use crate::conn::{Conn, Phase};

/// What a refused client may still send before it notices, read and thrown away.
const DISCARDED: usize = 4 << 20;

/// A connected socket of any kind.
pub(crate) enum Socket {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

macro_rules! on_socket {
    ($socket:expr, $inner:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($inner) => {
                let $inner = Pin::new($inner);
                $call
            }
            Socket::Tls($inner) => {
                let $inner = Pin::new($inner.as_mut());
                $call
            }
            Socket::Unix($inner) => {
                let $inner = Pin::new($inner);
                $call
            }
        }
    };
}

/// A socket whose traffic moves its [`Conn`] from phase to phase.
pub(crate) struct Stream {
    socket: Socket,
    conn: Rc<Conn>,
    /// The client has said its last, or the connection broke.
    ended: bool,
    broken: bool,
}

impl Stream {
    pub(crate) fn new(socket: Socket, conn: Rc<Conn>) -> Self {
        Self {
            socket,
            conn,
            ended: false,
            broken: false,
        }
    }

    pub(crate) fn broken(&self) -> bool {
        self.broken
    }

    /// Reads and forgets until the client closes, so that what was sent last is not overtaken by
    /// a reset. The caller bounds the time.
    pub(crate) async fn discard(&mut self) {
        let mut left = if self.ended { 0 } else { DISCARDED };
        let mut buffer = [0; 4096];
        while left > 0 {
            let read = match &mut self.socket {
                Socket::Tcp(tcp) => tcp.read(&mut buffer).await,
                Socket::Tls(tls) => tls.get_mut().0.read(&mut buffer).await,
                Socket::Unix(unix) => unix.read(&mut buffer).await,
            };
            match read {
                Ok(0) | Err(_) => return,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
    }

    fn watch<T>(&mut self, result: &io::Result<T>) {
        if result.is_err() {
            self.ended = true;
            self.broken = true;
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // An answer that its client does not take would stay in the kernel for minutes.
        if self.conn.phase() == Phase::Write {
            let tcp = match &self.socket {
                Socket::Tcp(tcp) => tcp,
                Socket::Tls(tls) => tls.get_ref().0,
                Socket::Unix(_) => return,
            };
            // Best effort: the socket is closed either way.
            let _ = tcp.set_zero_linger();
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let room = buffer.remaining();
        let result = ready!(on_socket!(&mut this.socket, io => io.poll_read(cx, buffer)));
        this.watch(&result);
        if buffer.filled().len() > before {
            this.conn.bytes_read(Instant::now());
        } else if room > 0 {
            this.ended = true;
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = ready!(on_socket!(&mut this.socket, io => io.poll_write(cx, bytes)));
        this.watch(&result);
        this.conn.bytes_written(Instant::now());
        Poll::Ready(result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = ready!(on_socket!(&mut this.socket, io => io.poll_write_vectored(cx, slices)));
        this.watch(&result);
        this.conn.bytes_written(Instant::now());
        Poll::Ready(result)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Tcp(tcp) => tcp.is_write_vectored(),
            Socket::Tls(tls) => tls.is_write_vectored(),
            Socket::Unix(unix) => unix.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = ready!(on_socket!(&mut this.socket, io => io.poll_flush(cx)));
        this.watch(&result);
        if result.is_ok() {
            this.conn.flushed(Instant::now());
        }
        Poll::Ready(result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        on_socket!(&mut this.socket, io => io.poll_shutdown(cx))
    }
}
