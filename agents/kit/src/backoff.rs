//! Exponential backoff with jitter.

use std::time::Duration;

/// Why a [`Backoff`] cannot be built.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The first pause is zero: a failing loop would spin.
    #[error("the first pause must be longer than zero")]
    Zero,
    /// The longest pause is shorter than the first.
    #[error("the longest pause ({max:?}) is shorter than the first ({min:?})")]
    Inverted {
        /// The first pause.
        min: Duration,
        /// The longest pause.
        max: Duration,
    },
}

/// Doubling pauses from `min` to `max`, each shortened by up to a half at random, so that
/// agents that failed together do not return together ("equal jitter").
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// A backoff between `min` and `max`.
    ///
    /// # Errors
    /// [`Error`] if `min` is zero or longer than `max`.
    pub fn new(min: Duration, max: Duration) -> Result<Self, Error> {
        if min.is_zero() {
            return Err(Error::Zero);
        }
        if min > max {
            return Err(Error::Inverted { min, max });
        }
        Ok(Self {
            min,
            max,
            failures: 0,
        })
    }

    /// The pause after one more failure.
    pub fn next_pause(&mut self) -> Duration {
        let doubled = self.min.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        let whole = doubled.min(self.max);
        whole / 2 + (whole / 2).mul_f64(fastrand::f64())
    }

    /// Consecutive failures so far.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Forgets the failures after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_maximum_and_never_reach_zero() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second * 60).unwrap();
        for whole in [1, 2, 4, 8, 16, 32, 60, 60] {
            let pause = backoff.next_pause();
            assert!(
                pause >= second * whole / 2 && pause <= second * whole,
                "{pause:?}"
            );
        }
        backoff.reset();
        assert!(backoff.next_pause() <= second);
        assert_eq!(
            Backoff::new(Duration::ZERO, second).unwrap_err(),
            Error::Zero
        );
        assert!(Backoff::new(second * 2, second).is_err());
    }
}
