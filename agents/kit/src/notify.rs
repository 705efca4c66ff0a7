//! The service manager's notification protocol (sd_notify(3)). Without `$NOTIFY_SOCKET` every
//! call does nothing.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// What an agent tells its service manager.
#[derive(Debug)]
pub(crate) struct Notifier {
    /// Half of `WatchdogSec=`, when a watchdog is set for this process.
    period: Option<Duration>,
    next_ping: Instant,
}

impl Notifier {
    pub fn from_env() -> Self {
        let period = sd_notify::watchdog_enabled().map(|deadline| deadline / 2);
        Self {
            period,
            next_ping: Instant::now(),
        }
    }

    pub fn ready(&self, status: &str) {
        send(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    pub fn status(&self, status: &str) {
        send(&[NotifyState::Status(status)]);
    }

    /// `MONOTONIC_USEC=` lets the manager match the answer to its reload request.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => send(&[NotifyState::Reloading, now]),
            Err(_) => send(&[NotifyState::Reloading]),
        }
    }

    pub fn stopping(&self) {
        send(&[NotifyState::Stopping]);
    }

    /// Asks for `more` time from now on to start, reload or stop.
    pub fn extend_timeout(&self, more: Duration) {
        let usec = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
        send(&[NotifyState::ExtendTimeoutUsec(usec)]);
    }

    /// Pings the watchdog if a ping is due; returns how long until the next one is.
    pub fn ping_if_due(&mut self, sound: impl FnOnce() -> bool) -> Option<Duration> {
        let period = self.period?;
        let now = Instant::now();
        if now >= self.next_ping {
            if sound() {
                send(&[NotifyState::Watchdog]);
            }
            self.next_ping = now + period;
        }
        Some(self.next_ping - now)
    }
}

fn send(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("the service manager could not be told: {error}");
    }
}
