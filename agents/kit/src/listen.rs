//! Listening sockets: those that systemd passes in (sd_listen_fds(3)), or ones bound here, for
//! containers and tests.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// A listening socket of either family that agents use.
#[derive(Debug)]
pub enum Listener {
    /// An Internet socket.
    Tcp(TcpListener),
    /// A socket in the file system.
    Unix(UnixListener),
}

/// What [`take`] found, until [`passed`] hands it out.
static PASSED: Mutex<Option<io::Result<Vec<Listener>>>> = Mutex::new(None);

/// Every socket that systemd passed to this agent, at the first call; empty without socket
/// activation. [`crate::run`] has taken them before anything else was opened.
///
/// # Errors
/// A descriptor that is not a listening TCP or Unix stream socket, with its number, its name
/// and the unit that should have passed it.
pub fn passed() -> io::Result<Vec<Listener>> {
    let taken = PASSED.lock().unwrap_or_else(PoisonError::into_inner).take();
    taken.unwrap_or_else(|| Ok(Vec::new()))
}

/// Takes the sockets that systemd passed to `agent`. To be called before anything else in the
/// process opens a descriptor, because only the numbers tell which ones they are.
pub(crate) fn take(agent: &str) {
    let taken = taken(agent);
    *PASSED.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken);
}

fn taken(agent: &str) -> io::Result<Vec<Listener>> {
    let unit = format!("roundsman-{agent}.socket");
    let told = |what: String, error: io::Error| {
        io::Error::new(error.kind(), format!("{what}, passed by {unit}: {error}"))
    };
    let descriptors = announced().map_err(|error| told("LISTEN_FDS".into(), error))?;
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let each = descriptors.map(|fd| {
        let name = names.next().unwrap_or_default();
        adopt(fd).map_err(|error| told(format!("descriptor {fd} (\"{name}\")"), error))
    });
    each.collect()
}

/// The numbers of the descriptors that are meant for this process.
fn announced() -> io::Result<Range<RawFd>> {
    /// `SD_LISTEN_FDS_START` of sd-daemon.h.
    const FIRST: RawFd = 3;
    let number = |name: &str| match std::env::var(name) {
        Ok(text) => text.parse::<u32>().map(Some).map_err(io::Error::other),
        Err(_) => Ok(None),
    };
    // Those of a parent are none of ours.
    if number("LISTEN_PID")? != Some(std::process::id()) {
        return Ok(FIRST..FIRST);
    }
    let count = number("LISTEN_FDS")?.unwrap_or(0);
    let last = RawFd::try_from(count).ok();
    let last = last.and_then(|count| FIRST.checked_add(count));
    Ok(FIRST..last.ok_or_else(|| io::Error::other("is too large"))?)
}

fn adopt(fd: RawFd) -> io::Result<Listener> {
    let family = family_of(fd)?;
    let owned = own(fd);
    rustix::io::fcntl_setfd(&owned, rustix::io::FdFlags::CLOEXEC)?;
    Ok(match family {
        AddressFamily::UNIX => Listener::Unix(owned.into()),
        _ => Listener::Tcp(owned.into()),
    })
}

/// The family of a listening stream socket; everything else is refused before it is owned.
#[allow(unsafe_code)]
fn family_of(fd: RawFd) -> io::Result<AddressFamily> {
    // SAFETY: `take` comes before this process opens anything, so that nobody closes `fd`
    // meanwhile. Should it not be open at all, the first call here says EBADF and that is all.
    let socket = unsafe { BorrowedFd::borrow_raw(fd) };
    match rustix::net::sockopt::socket_acceptconn(socket) {
        Ok(true) => {}
        Ok(false) => {
            return Err(io::Error::other(
                "it is not listening (Accept=no is needed)",
            ));
        }
        Err(Errno::NOTSOCK) => return Err(io::Error::other("it is not a socket")),
        Err(errno) => return Err(errno.into()),
    }
    if rustix::net::sockopt::socket_type(socket)? != SocketType::STREAM {
        return Err(io::Error::other(
            "it is no stream (ListenStream= is needed)",
        ));
    }
    match rustix::net::sockopt::socket_domain(socket)? {
        family @ (AddressFamily::INET | AddressFamily::INET6 | AddressFamily::UNIX) => Ok(family),
        other => Err(io::Error::other(format!("it has the family {other:?}"))),
    }
}

#[allow(unsafe_code)]
fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: `family_of` has just found an open listening socket there. It is no descriptor of
    // ours: `take` runs before this process opens one. By sd_listen_fds(3) it belongs to the
    // process that LISTEN_PID names, which is this one, and `take` runs once.
    unsafe { OwnedFd::from_raw_fd(fd) }
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
/// The path is something else than a socket, a living process has it (`AddrInUse`), or what
/// bind(2) says.
pub fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            if !is_dead(path)? {
                let reason = "another process is serving it";
                return Err(io::Error::new(io::ErrorKind::AddrInUse, reason));
            }
            fs::remove_file(path)?;
        }
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

/// Whether nobody listens behind the socket `path`. Does not wait for one who does.
fn is_dead(path: &Path) -> io::Result<bool> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED) => Ok(true),
        // EAGAIN: it listens, and its queue is full.
        Ok(()) | Err(Errno::AGAIN) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_living_socket_is_left_and_a_dead_one_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.sock");
        let first = bind_unix(&path, 0o660).unwrap();
        let refused = bind_unix(&path, 0o660).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        std::os::unix::net::UnixStream::connect(&path).unwrap();
        drop(first);
        let _second = bind_unix(&path, 0o660).unwrap();
        std::os::unix::net::UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn what_is_not_a_listening_stream_is_refused_and_stays_open() {
        let file = fs::File::open("/dev/null").unwrap();
        let (stream, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        for (fd, expect) in [
            (file.as_raw_fd(), "not a socket"),
            (stream.as_raw_fd(), "not listening"),
            (RawFd::MAX, "Bad file descriptor"),
        ] {
            let error = adopt(fd).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        }
        file.metadata().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let family = family_of(listener.as_raw_fd()).unwrap();
        assert_eq!(family, AddressFamily::INET);
    }
}
