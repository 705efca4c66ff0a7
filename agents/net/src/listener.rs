//! A listening socket, passed by systemd or bound by the caller.

use std::os::fd::{AsFd, BorrowedFd};
use std::{
    io,
    net::{self, SocketAddr},
};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::message::Peer;
use crate::tls::Tls;

/// A socket to serve.
#[derive(Debug)]
pub struct Listener {
    pub(crate) source: Source,
    pub(crate) tls: Option<Tls>,
}

#[derive(Debug)]
pub(crate) enum Source {
    Tcp(net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Listener {
    /// A TCP socket that listens.
    pub fn tcp(socket: net::TcpListener) -> Self {
        Self {
            source: Source::Tcp(socket),
            tls: None,
        }
    }

    /// A Unix socket that listens; its permissions decide who may connect.
    pub fn unix(socket: std::os::unix::net::UnixListener) -> Self {
        Self {
            source: Source::Unix(socket),
            tls: None,
        }
    }

    /// Speaks TLS on this socket if it is a TCP one.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Hands the socket to the runtime; to be called inside it.
    pub(crate) fn register(self) -> io::Result<Registered> {
        match self.source {
            Source::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                let socket = TcpListener::from_std(socket)?;
                Ok(Registered::Tcp(socket, self.tls))
            }
            Source::Unix(socket) => {
                socket.set_nonblocking(true)?;
                UnixListener::from_std(socket).map(Registered::Unix)
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.source {
            Source::Tcp(socket) => socket.as_fd(),
            Source::Unix(socket) => socket.as_fd(),
        }
    }
}

/// A listening socket of the runtime.
pub(crate) enum Registered {
    Tcp(TcpListener, Option<Tls>),
    Unix(UnixListener),
}

/// A client that has connected and said nothing yet.
pub(crate) enum Accepted {
    Tcp(TcpStream, Option<Tls>),
    Unix(UnixStream),
}

impl Registered {
    pub(crate) async fn accept(&self) -> io::Result<(Accepted, Peer)> {
        match self {
            Self::Tcp(listener, tls) => {
                let (socket, address) = listener.accept().await?;
                // Fails only if the client is gone already, which the first read tells.
                let _ = socket.set_nodelay(true);
                // An IPv4 client of a socket that takes both kinds is shown as what it is.
                let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                Ok((Accepted::Tcp(socket, tls.clone()), Peer::Tcp(address)))
            }
            Self::Unix(listener) => {
                let (socket, _) = listener.accept().await?;
                Ok((Accepted::Unix(socket), Peer::Unix))
            }
        }
    }
}

/// What a failed `accept` says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AcceptFault {
    /// About the one client that was being accepted.
    Client,
    /// The process or the system has no descriptor or memory left.
    Exhausted,
    /// About the listening socket.
    Socket,
}

impl AcceptFault {
    pub(crate) fn of(error: &io::Error) -> Self {
        use rustix::io::Errno;
        // accept(2) hands over errors that are pending on the new connection.
        const CLIENT: [Errno; 12] = [
            Errno::CONNABORTED,
            Errno::CONNRESET,
            Errno::INTR,
            Errno::AGAIN,
            Errno::PERM,
            Errno::PROTO,
            Errno::NOPROTOOPT,
            Errno::NETDOWN,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::NETUNREACH,
            Errno::TIMEDOUT,
        ];
        const EXHAUSTED: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        match Errno::from_io_error(error) {
            Some(errno) if CLIENT.contains(&errno) => Self::Client,
            Some(errno) if EXHAUSTED.contains(&errno) => Self::Exhausted,
            _ => Self::Socket,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_sockets_own_faults_are_blamed_on_it() {
        let of = |errno: rustix::io::Errno| AcceptFault::of(&errno.into());
        assert_eq!(of(rustix::io::Errno::CONNABORTED), AcceptFault::Client);
        assert_eq!(of(rustix::io::Errno::MFILE), AcceptFault::Exhausted);
        assert_eq!(of(rustix::io::Errno::NFILE), AcceptFault::Exhausted);
        assert_eq!(of(rustix::io::Errno::BADF), AcceptFault::Socket);
        assert_eq!(
            AcceptFault::of(&io::Error::other("odd")),
            AcceptFault::Socket
        );
    }
}
