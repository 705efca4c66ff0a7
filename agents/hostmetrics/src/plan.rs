//! Judges readings against thresholds: which conditions begin, change and end.
//!
//! Pure: the same conditions, readings and time always give the same answer.

use std::collections::{BTreeMap, BTreeSet};

use roundsman_kit::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{Threshold, Thresholds};

/// One figure that has a threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The threshold's name: `disk`, `memory`, …
    pub kind: &'static str,
    /// What it was measured on: a mount point, a sensor; empty for the whole host.
    pub subject: String,
    /// The figure, in the threshold's unit.
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// When it left the normal range.
    pub since: Timestamp,
    /// The level that was announced; `None` while `hold` is not over.
    pub announced: Option<Level>,
    /// The level it is at, and since when.
    pub level: Level,
    /// Since when it has been at `level`.
    pub at_level_since: Timestamp,
    /// The last value.
    pub value: f64,
}

/// All conditions, by threshold name and subject.
pub type Conditions = BTreeMap<String, BTreeMap<String, Condition>>;

/// Something to announce.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The threshold's name.
    pub kind: String,
    /// What it was measured on.
    pub subject: String,
    /// When the condition began: with kind and subject it identifies the condition.
    pub since: Timestamp,
    /// The level it is at now, `None` when it is over.
    pub level: Option<Level>,
    /// The figure; `None` when its subject is gone.
    pub value: Option<f64>,
    /// The level's limit that was crossed, or the one it is below again.
    pub limit: f64,
}

/// What one run saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// The figures that could be read.
    pub readings: Vec<Reading>,
    /// The thresholds whose source could be read whole: a subject that is missing there is gone.
    /// Elsewhere a missing figure is unknown, and an unknown figure changes nothing.
    pub complete: BTreeSet<&'static str>,
}

/// The conditions after this run, and what to announce.
pub fn judge(
    before: &Conditions,
    seen: &Seen,
    thresholds: &Thresholds,
    now: Timestamp,
) -> (Conditions, Vec<Change>) {
    let mut after = Conditions::new();
    let mut changes = Vec::new();
    for (kind, threshold) in thresholds.all() {
        let known = before.get(kind);
        let readings = seen.readings.iter().filter(|reading| reading.kind == kind);
        let mut judged = BTreeSet::new();
        for reading in readings {
            judged.insert(reading.subject.as_str());
            let old = known.and_then(|known| known.get(&reading.subject));
            let (condition, change) = step(old, reading, threshold, now);
            changes.extend(change);
            if let Some(condition) = condition {
                after
                    .entry(kind.into())
                    .or_default()
                    .insert(reading.subject.clone(), condition);
            }
        }
        let unread = known
            .into_iter()
            .flatten()
            .filter(|(name, _)| !judged.contains(name.as_str()));
        for (subject, old) in unread {
            let judged_at_all = threshold.levels(subject);
            if seen.complete.contains(kind) || judged_at_all.is_none() {
                let limit = judged_at_all.map_or(threshold.warning, |(warning, _)| warning);
                changes.extend(end(kind, subject, old, None, limit));
            } else {
                after
                    .entry(kind.into())
                    .or_default()
                    .insert(subject.clone(), old.clone());
            }
        }
    }
    (after, changes)
}

fn step(
    old: Option<&Condition>,
    reading: &Reading,
    threshold: &Threshold,
    now: Timestamp,
) -> (Option<Condition>, Option<Change>) {
    let Some((warning, critical)) = threshold.levels(&reading.subject) else {
        let ended = old.and_then(|old| {
            end(
                reading.kind,
                &reading.subject,
                old,
                Some(reading.value),
                threshold.warning,
            )
        });
        return (None, ended);
    };
    let held = old.map(|old| old.level);
    let Some(level) = level_of(reading.value, held, warning, critical, threshold.hysteresis) else {
        let value = Some(reading.value);
        let ended = old.and_then(|old| end(reading.kind, &reading.subject, old, value, warning));
        return (None, ended);
    };
    let at_level_since = match old {
        // A step back of the clock must not lengthen a condition's age.
        Some(old) if old.level == level => old.at_level_since.min(now),
        _ => now,
    };
    let mut condition = Condition {
        since: old.map_or(now, |old| old.since),
        announced: old.and_then(|old| old.announced),
        level,
        at_level_since,
        value: reading.value,
    };
    let is_held = now.since(at_level_since) >= threshold.hold.0;
    if !is_held || condition.announced == Some(level) {
        return (Some(condition), None);
    }
    condition.announced = Some(level);
    let change = Change {
        kind: reading.kind.into(),
        subject: reading.subject.clone(),
        since: condition.since,
        level: Some(level),
        value: Some(reading.value),
        limit: if level == Level::Critical {
            critical
        } else {
            warning
        },
    };
    (Some(condition), Some(change))
}

/// The level of `value`; one that is `held` is left only `hysteresis` below its limit.
fn level_of(
    value: f64,
    held: Option<Level>,
    warning: f64,
    critical: f64,
    hysteresis: f64,
) -> Option<Level> {
    let slack = |level| if held >= Some(level) { hysteresis } else { 0.0 };
    if value >= critical - slack(Level::Critical) {
        Some(Level::Critical)
    } else if value >= warning - slack(Level::Warning) {
        Some(Level::Warning)
    } else {
        None
    }
}

/// The end of a condition is told only if its beginning was.
fn end(
    kind: &str,
    subject: &str,
    old: &Condition,
    value: Option<f64>,
    limit: f64,
) -> Option<Change> {
    old.announced?;
    Some(Change {
        kind: kind.into(),
        subject: subject.into(),
        since: old.since,
        level: None,
        value,
        limit,
    })
}

#[cfg(test)]
mod tests;
