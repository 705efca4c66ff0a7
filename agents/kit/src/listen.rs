//! Listening sockets: those that systemd passes in (sd_listen_fds(3)), or ones bound here, for
//! containers and tests.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::net::AddressFamily;

/// A listening socket of either family that agents use.
#[derive(Debug)]
pub enum Listener {
    /// An Internet socket.
    Tcp(TcpListener),
    /// A socket in the file system.
    Unix(UnixListener),
}

/// Takes every socket that systemd passed to this process; empty without socket activation.
/// Call it once: a second call would own the same descriptors again.
///
/// # Errors
/// A descriptor that is not a listening TCP or Unix stream socket.
pub fn passed() -> io::Result<Vec<Listener>> {
    let descriptors: Vec<RawFd> = sd_notify::listen_fds()?.collect();
    descriptors.into_iter().map(|fd| adopt(own(fd))).collect()
}

#[allow(unsafe_code)]
fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: sd_listen_fds(3): descriptors 3 to 3+LISTEN_FDS are open and belong to the process
    // that LISTEN_PID names, which is this one; nothing else of this process has touched them.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn adopt(fd: OwnedFd) -> io::Result<Listener> {
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    if !rustix::net::sockopt::socket_acceptconn(&fd)? {
        return Err(io::Error::other(
            "a passed descriptor is not a listening socket",
        ));
    }
    match rustix::net::sockopt::socket_domain(&fd)? {
        AddressFamily::INET | AddressFamily::INET6 => Ok(Listener::Tcp(fd.into())),
        AddressFamily::UNIX => Ok(Listener::Unix(fd.into())),
        other => Err(io::Error::other(format!(
            "a passed socket has the family {other:?}"
        ))),
    }
}

/// Binds a TCP socket.
///
/// # Errors
/// What bind(2) says.
pub fn bind_tcp(address: SocketAddr) -> io::Result<Listener> {
    TcpListener::bind(address).map(Listener::Tcp)
}

/// Binds a socket in the file system with `mode`, replacing one that a dead process left.
///
/// # Errors
/// The path is something else than a socket, or what bind(2) says.
pub fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => {
            return Err(io::Error::other(
                "something that is not a socket lies there",
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}
