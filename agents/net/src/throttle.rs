//! One journal line a minute, however often something happens.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts what happens and says when a line about it is due: for faults that a client can cause.
#[derive(Debug)]
pub struct Throttle {
    every: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    unsaid: u64,
}

impl Throttle {
    /// A line a minute.
    pub const fn minutely() -> Self {
        Self {
            every: Duration::from_secs(60),
            state: Mutex::new(State {
                last: None,
                unsaid: 0,
            }),
        }
    }

    /// Counts one occurrence at `now`. `Some(n)` when a line is due: n occurrences since the last
    /// line, this one included.
    pub fn note(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.unsaid += 1;
        let quiet = state
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < self.every);
        if quiet {
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_at_once_and_the_rest_once_a_minute_with_their_count() {
        let throttle = Throttle::minutely();
        let start = Instant::now();
        assert_eq!(throttle.note(start), Some(1));
        for second in 1..60 {
            assert_eq!(throttle.note(start + Duration::from_secs(second)), None);
        }
        assert_eq!(throttle.note(start + Duration::from_secs(60)), Some(60));
        assert_eq!(throttle.note(start + Duration::from_secs(61)), None);
    }
}
