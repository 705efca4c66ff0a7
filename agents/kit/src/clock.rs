//! Time: wall-clock instants as integer milliseconds, and a clock that tests own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::Paths;

/// A wall-clock instant: milliseconds since 1970-01-01T00:00:00Z, negative before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Milliseconds since the epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, with the milliseconds as the fraction.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The same instant truncated to the whole second.
    pub fn to_second(self) -> Self {
        Self(self.0.div_euclid(1000) * 1000)
    }

    /// This instant plus `span`, saturating.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span_millis(span)))
    }

    /// This instant minus `span`, saturating.
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span_millis(span)))
    }

    /// How long ago `earlier` was; zero if the clock was stepped back past it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(at: SystemTime) -> Self {
        match at.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(span_millis(after)),
            Err(before) => Self(-span_millis(before.duration())),
        }
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds, as `2026-11-20T18:00:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.0 >= 0 {
            UNIX_EPOCH + Duration::from_millis(self.0.unsigned_abs())
        } else {
            UNIX_EPOCH
        };
        write!(f, "{}", humantime::format_rfc3339_millis(at))
    }
}

fn span_millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Where an agent takes the time from; only tests use another than the
/// machine's.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;
}

/// The machine's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// The clock of a tree of files: milliseconds since the epoch, written in a file. It stands
/// still until somebody writes another number.
#[derive(Debug, Clone)]
pub struct TreeClock(PathBuf);

impl TreeClock {
    /// The clock of the tree that `paths` lie in, if it has one: the file `clock` at its top.
    /// The real root has none, whatever lies there.
    pub fn of(paths: &Paths) -> Option<Self> {
        let file = paths.at("/clock");
        (paths.root() != Path::new("/") && file.exists()).then_some(Self(file))
    }
}

impl Clock for TreeClock {
    /// # Panics
    /// When the file holds no number: time that is not known is a broken test.
    fn now(&self) -> Timestamp {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        Timestamp(
            text.trim()
                .parse()
                .expect("the clock of a tree is a number of milliseconds"),
        )
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Default)]
pub struct TestClock(AtomicI64);

impl TestClock {
    /// A clock that shows `at`.
    pub fn at(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.0))
    }

    /// Moves the clock forward by `span`.
    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(span_millis(span), Ordering::SeqCst);
    }

    /// Steps the clock to `at`, backwards too.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.0, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_printed_as_rfc_3339_and_never_underflow() {
        let at = Timestamp(1_795_197_600_123);
        assert_eq!(at.to_string(), "2026-11-20T18:00:00.123Z");
        assert_eq!(at.to_second().as_millis(), 1_795_197_600_000);
        assert_eq!(Timestamp(-1).to_second(), Timestamp(-1000));
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
        assert_eq!(Timestamp(0).minus(Duration::MAX), Timestamp(-i64::MAX));
    }
}
