//! The receiving end of systemd's notify protocol (`sd_notify(3)`): a datagram socket on which
//! a program reports READY, STATUS, WATCHDOG, RELOADING, STOPPING.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::PATIENCE;

/// One datagram: `KEY=value` lines in the order they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    fields: Vec<(String, String)>,
}

impl Notification {
    /// Takes a datagram apart; lines without `=` are no part of the protocol and dropped.
    pub fn parse(datagram: &[u8]) -> Self {
        let fields = String::from_utf8_lossy(datagram)
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Self { fields }
    }

    /// The first value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Whether `key` has exactly this value.
    pub fn is(&self, key: &str, value: &str) -> bool {
        self.get(key) == Some(value)
    }
}

/// A stand-in for the service manager: bind it, hand its path to a program as
/// `NOTIFY_SOCKET`, read what the program says.
pub struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    seen: Mutex<Vec<Notification>>,
}

impl Manager {
    /// Binds the socket at `path` (at most 107 bytes, the kernel's limit).
    pub fn bind(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        Ok(Self {
            socket: UnixDatagram::bind(&path)?,
            path,
            seen: Mutex::default(),
        })
    }

    /// What the program gets as `NOTIFY_SOCKET`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything received so far.
    pub fn seen(&self) -> Vec<Notification> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The next notification; `None` when none came in time.
    pub fn next(&self, within: Duration) -> io::Result<Option<Notification>> {
        if within.is_zero() {
            return Ok(None);
        }
        self.socket.set_read_timeout(Some(within))?;
        let mut datagram = [0; 4096];
        match self.socket.recv(&mut datagram) {
            Ok(n) => {
                let notification = Notification::parse(&datagram[..n]);
                self.seen
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(notification.clone());
                Ok(Some(notification))
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The first of the notifications still to come that satisfies `wanted`; `None` when
    /// `within` has passed.
    pub fn find(
        &self,
        within: Duration,
        mut wanted: impl FnMut(&Notification) -> bool,
    ) -> io::Result<Option<Notification>> {
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.next(left)? {
                Some(notification) if wanted(&notification) => return Ok(Some(notification)),
                None if Instant::now() >= until => return Ok(None),
                _ => {}
            }
        }
    }

    /// Like [`Self::find`] with [`PATIENCE`], for tests.
    ///
    /// # Panics
    /// With everything received so far, when the notification does not come.
    #[track_caller]
    pub fn wait_for(&self, what: &str, wanted: impl FnMut(&Notification) -> bool) -> Notification {
        match self.find(PATIENCE, wanted) {
            Ok(Some(notification)) => notification,
            Ok(None) => panic!(
                "no {what} within {PATIENCE:?}; received: {:#?}",
                self.seen()
            ),
            Err(error) => panic!("notify socket {}: {error}", self.path.display()),
        }
    }

    /// Waits for `READY=1`.
    #[track_caller]
    pub fn wait_ready(&self) -> Notification {
        self.wait_for("READY=1", |message| message.is("READY", "1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_arrive_in_order_and_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let manager = Manager::bind(dir.path().join("notify")).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        for text in ["STATUS=opening the store", "READY=1\nSTATUS=idle"] {
            sender.send_to(text.as_bytes(), manager.path()).unwrap();
        }
        assert_eq!(manager.wait_ready().get("STATUS"), Some("idle"));
        assert_eq!(manager.seen()[0].get("STATUS"), Some("opening the store"));
        assert_eq!(manager.next(Duration::from_millis(1)).unwrap(), None);
    }
}
