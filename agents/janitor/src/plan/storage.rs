//! How full everything is: which conditions begin, change and end.

use std::collections::BTreeMap;

use roundsman_kit::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{Storage, Threshold};

/// A figure of the storage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The threshold's name: `volume`, `wal`, …
    pub subject: &'static str,
    /// In the threshold's unit.
    pub value: f64,
}

/// How bad a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// At or above `warning`.
    Warning,
    /// At or above `critical`.
    Critical,
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

/// Something to tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The threshold's name.
    pub subject: String,
    /// When the condition began.
    pub since: Timestamp,
    /// The level it is at now, `None` when it is over.
    pub level: Option<Level>,
    /// The figure; `None` when it is no longer judged.
    pub value: Option<f64>,
    /// The level's limit that was crossed, or the one it is below again.
    pub limit: f64,
}

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
        let reading = readings.iter().find(|reading| reading.subject == subject);
        let (level, value) = match reading {
            _ if !threshold.enabled => (None, None),
            Some(reading) => {
                let told = old.map(|old| old.level);
                (
                    reached(reading.value, &threshold, told),
                    Some(reading.value),
                )
            }
            None => {
                after.extend(old.map(|old| (subject.to_owned(), old)));
                continue;
            }
        };
        let since = old.map_or(now, |old| old.since);
        if level != old.map(|old| old.level) {
            changes.push(Change {
                subject: subject.to_owned(),
                since,
                level,
                value,
                limit: limit(&threshold, level.unwrap_or(Level::Warning)),
            });
        }
        let condition = level.map(|level| Condition { since, level });
        after.extend(condition.map(|condition| (subject.to_owned(), condition)));
    }
    (after, changes)
}

fn limit(threshold: &Threshold<f64>, level: Level) -> f64 {
    match level {
        Level::Warning => threshold.warning,
        Level::Critical => threshold.critical,
    }
}

/// The highest level that the figure has reached, or was at and has not left.
fn reached(value: f64, threshold: &Threshold<f64>, told: Option<Level>) -> Option<Level> {
    [Level::Critical, Level::Warning].into_iter().find(|level| {
        let limit = limit(threshold, *level);
        value >= limit || (told >= Some(*level) && value >= limit - threshold.hysteresis)
    })
}
