//! The service manager's notification protocol (sd_notify(3)). Without `$NOTIFY_SOCKET` every
//! call does nothing.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// The shortest pause between two pings, however short the watchdog's deadline.
const SHORTEST: Duration = Duration::from_millis(10);

/// What an agent tells its service manager.
#[derive(Debug)]
pub(crate) struct Notifier {
    /// Where to, or why that cannot be said; `None` without a manager.
    manager: Option<Result<SocketAddr, String>>,
    /// Whether it was said that the manager does not hear.
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

    /// A manager that does not hear this would wait and then kill the agent: that is said once.
    pub fn ready(&mut self, status: &str) {
        let told = self.send(&format!("READY=1\n{}", line("STATUS", status)));
        if let Err(why) = told
            && !self.is_deaf
        {
            self.is_deaf = true;
            log::warn!("the service manager cannot be told that the agent is ready: {why}");
        }
    }

    pub fn status(&self, status: &str) {
        self.tell(&line("STATUS", status));
    }

    /// `MONOTONIC_USEC=` lets the manager match the answer to its reload request.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let usec = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}\n"));
    }

    pub fn stopping(&self) {
        self.tell("STOPPING=1\n");
    }

    /// Asks for `more` time from now on to start, reload or stop.
    pub fn extend_timeout(&self, more: Duration) {
        self.tell(&format!("EXTEND_TIMEOUT_USEC={}\n", more.as_micros()));
    }

    /// Pings the watchdog if a ping is due; returns how long until the next one is. An agent
    /// that is not sound is asked again soon: it may be so a moment later.
    pub fn ping_if_due(&mut self, sound: impl FnOnce() -> bool) -> Option<Duration> {
        let period = self.period?;
        let now = Instant::now();
        if now >= self.next_ping {
            let pause = if sound() {
                self.tell("WATCHDOG=1\n");
                period
            } else {
                (period / 4).max(SHORTEST)
            };
            self.next_ping = now + pause;
        }
        Some(self.next_ping - now)
    }

    /// Tells the manager what it can also do without.
    fn tell(&self, message: &str) {
        if let Err(why) = self.send(message) {
            log::debug!("the service manager could not be told: {why}");
        }
    }

    fn send(&self, message: &str) -> Result<(), String> {
        let address = match &self.manager {
            None => return Ok(()),
            Some(Err(why)) => return Err(why.clone()),
            Some(Ok(address)) => address,
        };
        let sent = UnixDatagram::unbound()
            .and_then(|socket| socket.send_to_addr(message.as_bytes(), address));
        sent.map(drop).map_err(|error| error.to_string())
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
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut datagram = [0; 4096];
        let length = socket.recv(&mut datagram).unwrap();
        String::from_utf8(datagram[..length].to_vec()).unwrap()
    }

    #[test]
    fn an_abstract_socket_hears_a_status_on_one_line() {
        let name = format!("roundsman-kit-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        let name = format!("@{name}");
        let mut notifier = Notifier::new(Some(OsStr::new(&name)), None);
        notifier.ready("one\nREADY=0\r\ntwo");
        assert_eq!(received(&socket), "READY=1\nSTATUS=one READY=0  two\n");
        notifier.stopping();
        assert_eq!(received(&socket), "STOPPING=1\n");
        assert!(!notifier.is_deaf);
    }

    #[test]
    fn a_manager_that_cannot_be_told_is_noticed() {
        for name in ["/nowhere/at/all", "vsock:2:1", ""] {
            let mut notifier = Notifier::new(Some(OsStr::new(name)), None);
            notifier.ready("x");
            assert!(notifier.is_deaf, "{name}");
        }
    }

    #[test]
    fn pings_never_come_faster_than_the_shortest_pause() {
        let usec = Duration::from_micros;
        assert_eq!(Notifier::new(None, Some(usec(0))).period, None);
        assert_eq!(Notifier::new(None, Some(usec(1))).period, Some(SHORTEST));
        let mut notifier = Notifier::new(None, Some(usec(1)));
        assert_eq!(notifier.ping_if_due(|| false), Some(SHORTEST));
    }

    #[test]
    fn an_unsound_agent_is_asked_again_within_the_deadline() {
        let deadline = Duration::from_secs(80);
        let mut notifier = Notifier::new(None, Some(deadline));
        assert_eq!(notifier.ping_if_due(|| false), Some(deadline / 8));
        notifier.next_ping = Instant::now();
        assert_eq!(notifier.ping_if_due(|| true), Some(deadline / 2));
    }
}
