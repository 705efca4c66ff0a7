//! How full everything is: which conditions begin, change and end.

use std::collections::BTreeMap;

use roundsman_kit::clock::Timestamp;
use roundsman_kit::threshold::Level;
use roundsman_store::condition::Change;
use serde::{Deserialize, Serialize};

use crate::config::Storage;

/// A figure of the storage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The threshold's name: `volume`, `wal`, …
    pub subject: &'static str,
    /// In the threshold's unit.
    pub value: f64,
}

/// A figure that is at a level, between runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// When it began: with the subject it identifies the condition.
    pub since: Timestamp,
    /// The level that was told.
    pub level: Level,
}

/// All conditions, by threshold name.
pub type Conditions = BTreeMap<String, Condition>;

/// What the events of all these are: `janitor.storage`.
const KIND: &str = "storage";

/// The conditions after this run, and what to tell. A figure that could not be read changes
/// nothing.
pub fn judge(
    before: &Conditions,
    readings: &[Reading],
    storage: &Storage,
    now: Timestamp,
) -> (Conditions, Vec<Change>) {
    let mut after = Conditions::new();
    let mut changes = Vec::new();
    for (subject, threshold) in storage.all() {
        let old = before.get(subject).copied();
        let limits = threshold.limits();
        let reading = readings.iter().find(|reading| reading.subject == subject);
        let (level, value) = match reading {
            _ if !threshold.enabled => (None, None),
            Some(reading) => {
                let (told, value) = (old.map(|old| old.level), reading.value);
                let kept = limits.kept(told, value, threshold.hysteresis);
                (limits.reached(value).max(kept), Some(value))
            }
            None => {
                after.extend(old.map(|old| (subject.to_owned(), old)));
                continue;
            }
        };
        let since = old.map_or(now, |old| old.since);
        if level != old.map(|old| old.level) {
            changes.push(Change {
                kind: KIND.to_owned(),
                subject: subject.to_owned(),
                since,
                level,
                value,
                limit: limits.of(level.unwrap_or(Level::Warning)),
            });
        }
        let condition = level.map(|level| Condition { since, level });
        after.extend(condition.map(|condition| (subject.to_owned(), condition)));
    }
    (after, changes)
}
