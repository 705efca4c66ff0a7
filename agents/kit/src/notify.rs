//! The service manager's notification protocol (sd_notify(3)). Without `$NOTIFY_SOCKET` every
//! call does nothing.
//!
//! The kernel keeps few unread datagrams (`net.unix.max_dgram_qlen`), and lets a sender wait for as
//! long as they stay unread. An agent never waits so: not at all with what it can say again, and a
//! second with what it cannot.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// The shortest pause between two pings, however short the watchdog's deadline.
const SHORTEST: Duration = Duration::from_millis(10);

/// How long a manager that is behind is waited for, with what it must not miss.
const PATIENCE: Duration = Duration::from_secs(1);

/// What an agent tells its service manager.
#[derive(Debug)]
pub(crate) struct Notifier {
    /// Where to, or why that cannot be said; `None` without a manager.
    manager: Option<Result<SocketAddr, String>>,
    /// It was said that the manager does not hear, and it has heard nothing since.
    is_deaf: bool,
    /// Half of `WatchdogSec=`, when a watchdog is set for this process.
    period: Option<Duration>,
    next_ping: Instant,
}

impl Notifier {
    pub fn from_env() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET");
        Self::new(socket.as_deref(), sd_notify::watchdog_enabled())
    }

    fn new(socket: Option<&OsStr>, watchdog: Option<Duration>) -> Self {
        let manager = socket.map(|name| {
            let why = |error| format!("NOTIFY_SOCKET={}: {error}", name.display());
            address(name.as_bytes()).map_err(why)
        });
        Self {
            manager,
            is_deaf: false,
            // A deadline of zero is none.
            period: watchdog
                .filter(|deadline| !deadline.is_zero())
                .map(|deadline| (deadline / 2).max(SHORTEST)),
            next_ping: Instant::now(),
        }
    }

    /// Whether the manager was told. One that does not hear this would wait and then kill the agent.
    pub fn ready(&mut self, status: &str) -> bool {
        let message = format!("READY=1\n{}", line("STATUS", status));
        self.insist("that the agent is ready", &message)
    }

    /// Whether the manager was told.
    pub fn status(&mut self, status: &str) -> bool {
        self.tell(&line("STATUS", status))
    }

    /// `MONOTONIC_USEC=` lets the manager match the answer to its reload request.
    pub fn reloading(&mut self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let usec = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        let message = format!("RELOADING=1\nMONOTONIC_USEC={usec}\n");
        self.insist("that the agent reloads", &message);
    }

    pub fn stopping(&mut self) {
        self.insist("that the agent stops", "STOPPING=1\n");
    }

    /// Asks for `more` time from now on to start, reload or stop.
    pub fn extend_timeout(&mut self, more: Duration) {
        let message = format!("EXTEND_TIMEOUT_USEC={}\n", more.as_micros());
        self.insist("that the agent takes longer", &message);
    }

    /// Pings the watchdog if a ping is due; returns how long until the next one is. An agent that
    /// is not sound is asked again soon, and a ping that was not heard is sent again soon: either
    /// may succeed a moment later.
    pub fn ping_if_due(&mut self, sound: impl FnOnce() -> bool) -> Option<Duration> {
        let period = self.period?;
        let now = Instant::now();
        if now < self.next_ping {
            return Some(self.next_ping - now);
        }
        let pause = if sound() && self.ping() {
            period
        } else {
            (period / 4).max(SHORTEST)
        };
        self.next_ping = Instant::now() + pause;
        Some(pause)
    }

    /// A manager that is known to be behind is not waited for at every ping.
    fn ping(&mut self) -> bool {
        const PING: &str = "WATCHDOG=1\n";
        match self.is_deaf {
            true => self.tell(PING),
            false => self.insist("that the agent is alive", PING),
        }
    }

    /// Tells the manager what it can also do without, or hears again later.
    fn tell(&mut self, message: &str) -> bool {
        let told = self.send(message, None);
        self.is_deaf &= told.is_err();
        if let Err(why) = &told {
            log::debug!("the service manager could not be told: {why}");
        }
        told.is_ok()
    }

    /// Tells the manager `what` it must not miss. That it does is logged once, until it hears again.
    fn insist(&mut self, what: &str, message: &str) -> bool {
        let told = self.send(message, Some(PATIENCE));
        if let Err(why) = &told
            && !self.is_deaf
        {
            log::warn!("the service manager cannot be told {what}: {why}");
        }
        self.is_deaf = told.is_err();
        told.is_ok()
    }

    /// Sends one datagram, and waits for room for it no longer than `patience`.
    fn send(&self, message: &str, patience: Option<Duration>) -> Result<(), String> {
        let address = match &self.manager {
            None => return Ok(()),
            Some(Err(why)) => return Err(why.clone()),
            Some(Ok(address)) => address,
        };
        let send = || {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(patience.is_none())?;
            socket.set_write_timeout(patience)?;
            socket.send_to_addr(message.as_bytes(), address)
        };
        match send() {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err("it does not read what it is sent".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// sd_notify(3): a path begins with `/`, an abstract name with `@`.
fn address(name: &[u8]) -> io::Result<SocketAddr> {
    match name {
        [b'/', ..] => SocketAddr::from_pathname(OsStr::from_bytes(name)),
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => Err(io::Error::other("this kind of socket is not supported")),
    }
}

/// One assignment on its one line.
fn line(key: &str, value: &str) -> String {
    format!("{key}={}\n", value.replace(char::is_control, " "))
}

#[cfg(test)]
mod tests;
