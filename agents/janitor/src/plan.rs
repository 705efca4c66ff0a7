//! What a run does: which events, samples and deliveries are over, whom to wait for, what is due
//! tonight, and what to say about the storage.
//!
//! Pure: the same rows, configuration and time always give the same answer.

mod dropped;
mod retention;
mod storage;

use roundsman_kit::clock::Timestamp;

use crate::config::Config;
use crate::state::State;

pub use dropped::Dropped;
pub use retention::{Keep, Window, hold, lost, windows};
pub use storage::{Conditions, Reading, judge};

/// What this run has to do, besides what every run does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Which parts of table `event` to look through.
    pub events: Vec<Window>,
    /// Which parts of table `sample` to look through.
    pub samples: Vec<Window>,
    /// It is the first run of the night: everything is looked through, and the statistics are
    /// refreshed.
    pub is_night: bool,
    /// A backup is due.
    pub backs_up: bool,
}

/// What a run at `now` has to do. The last night began at `night`.
pub fn work(config: &Config, state: &State, now: Timestamp, night: Timestamp) -> Work {
    // A clock that was set back must not keep the night away for long.
    let was_before = |at: Option<Timestamp>| at.is_none_or(|at| at < night || at > now);
    let is_night = was_before(state.night_at);
    let swept_at = state.swept_at.filter(|_| !is_night);
    let events = &config.events;
    let keeps = events.kinds.values().map(|kind| kind.keep);
    let keeps: Vec<_> = keeps.chain([events.keep]).map(|keep| keep.0).collect();
    let samples = [config.samples.raw.0, config.samples.keep.0];
    Work {
        events: windows(&keeps, now, swept_at),
        samples: windows(&samples, now, swept_at),
        is_night,
        backs_up: !config.backup.directory.as_os_str().is_empty() && was_before(state.backup_at),
    }
}

#[cfg(test)]
mod tests;
