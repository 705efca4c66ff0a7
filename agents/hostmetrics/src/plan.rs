//! Judges readings against thresholds: which conditions begin, change and end.
//!
//! Pure: the same conditions, readings and time always give the same answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use roundsman_kit::clock::Timestamp;
use roundsman_kit::threshold::{Level, Limits};
use roundsman_store::condition::Change;
use serde::{Deserialize, Serialize};

use crate::config::{Threshold, Thresholds};

/// Between two runs lies a minute. A figure that was not seen for more than two may have been
/// anywhere meanwhile, so that `hold` begins anew.
const LONGEST_GAP: Duration = Duration::from_secs(150);

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

/// A figure that is at a level, between runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// When it left the normal range: with kind and subject it identifies the condition.
    pub since: Timestamp,
    /// The level that was announced; `None` while `hold` is not over.
    pub announced: Option<Level>,
    /// When it was last seen, in milliseconds since the boot.
    #[serde(default)]
    pub seen: Option<u64>,
    /// Since when it has been at or above `warning`, on the same scale. Critical counts.
    #[serde(default)]
    pub warning_since: Option<u64>,
    /// Since when it has been at or above `critical`, on the same scale.
    #[serde(default)]
    pub critical_since: Option<u64>,
}

/// All conditions, by threshold name and subject.
pub type Conditions = BTreeMap<String, BTreeMap<String, Condition>>;

/// What one run saw. A figure that is neither read nor known to be gone is unknown, and an
/// unknown figure changes nothing.
#[derive(Debug, Default)]
pub struct Seen {
    /// The figures that could be read.
    pub readings: Vec<Reading>,
    /// The thresholds whose source was read whole, with every subject that it lists, whether or
    /// not there is a figure for it: any other subject is gone.
    pub listed: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Seen {
    fn is_gone(&self, kind: &str, subject: &str) -> bool {
        let listed = self.listed.get(kind);
        listed.is_some_and(|listed| !listed.contains(subject))
    }
}

/// When a run judges.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The wall clock: it names conditions, and may step.
    pub now: Timestamp,
    /// Milliseconds since the boot, which `hold` is measured by; `None` if not known.
    pub uptime_ms: Option<u64>,
    /// The previous run belongs to the same boot.
    pub is_same_boot: bool,
}

/// The conditions after this run, and what to announce.
pub fn judge(
    before: &Conditions,
    seen: &Seen,
    thresholds: &Thresholds,
    moment: Moment,
) -> (Conditions, Vec<Change>) {
    let mut after = Conditions::new();
    let mut changes = Vec::new();
    for (kind, threshold) in thresholds.all() {
        let known = before.get(kind);
        let readings = seen.readings.iter().filter(|reading| reading.kind == kind);
        let mut judged = BTreeSet::new();
        for reading in readings {
            let is_new = judged.insert(reading.subject.as_str());
            debug_assert!(is_new, "two readings of {kind} {}", reading.subject);
            let old = known.and_then(|known| known.get(&reading.subject));
            let (condition, change) = step(old, reading, threshold, moment);
            changes.extend(change);
            if let Some(condition) = condition {
                keep(&mut after, kind, &reading.subject, condition);
            }
        }
        for (subject, old) in known.into_iter().flatten() {
            if judged.contains(subject.as_str()) {
                continue;
            }
            let limits = threshold.limits(subject);
            if limits.is_none() || seen.is_gone(kind, subject) {
                let limit = limits.map_or(threshold.warning, |limits| limits.warning);
                changes.extend(end(kind, subject, old, None, limit));
            } else {
                keep(&mut after, kind, subject, old.clone());
            }
        }
    }
    (after, changes)
}

fn keep(conditions: &mut Conditions, kind: &str, subject: &str, condition: Condition) {
    conditions
        .entry(kind.to_owned())
        .or_default()
        .insert(subject.to_owned(), condition);
}

fn step(
    old: Option<&Condition>,
    reading: &Reading,
    threshold: &Threshold,
    moment: Moment,
) -> (Option<Condition>, Option<Change>) {
    let (kind, subject, value) = (reading.kind, &reading.subject, reading.value);
    let over = |limit| {
        let ended = old.and_then(|old| end(kind, subject, old, Some(value), limit));
        (None, ended)
    };
    let Some(limits) = threshold.limits(subject) else {
        return over(threshold.warning);
    };
    let mut condition = watched(old, value, limits, moment);
    let announced = condition.announced;
    let kept = limits.kept(announced, value, threshold.hysteresis);
    let level = held(&condition, value, limits, threshold, moment).max(kept);
    if level.is_none() && (announced.is_some() || value < limits.warning) {
        return over(limits.warning);
    }
    condition.announced = level;
    let change = level.filter(|_| level != announced).map(|level| Change {
        kind: kind.into(),
        subject: subject.clone(),
        since: condition.since,
        level: Some(level),
        value: Some(value),
        limit: limits.of(level),
    });
    (Some(condition), change)
}

/// The condition with the times since which the figure has been at each level.
fn watched(old: Option<&Condition>, value: f64, limits: Limits, moment: Moment) -> Condition {
    let unbroken = old.filter(|old| is_unbroken(old, moment));
    let since = |limit: f64, known: Option<u64>| match value >= limit {
        true => known.or(moment.uptime_ms),
        false => None,
    };
    Condition {
        since: old.map_or(moment.now, |old| old.since),
        announced: old.and_then(|old| old.announced),
        seen: moment.uptime_ms,
        warning_since: since(limits.warning, unbroken.and_then(|old| old.warning_since)),
        critical_since: since(limits.critical, unbroken.and_then(|old| old.critical_since)),
    }
}

/// The figure was seen one or two runs ago, so that it was hardly elsewhere since.
fn is_unbroken(old: &Condition, moment: Moment) -> bool {
    let gap = moment.uptime_ms.zip(old.seen);
    moment.is_same_boot
        && gap.is_some_and(|(now, seen)| {
            Duration::from_millis(now.saturating_sub(seen)) <= LONGEST_GAP
        })
}

/// The highest level that the figure has been at for `hold`.
fn held(
    condition: &Condition,
    value: f64,
    limits: Limits,
    threshold: &Threshold,
    moment: Moment,
) -> Option<Level> {
    let hold = threshold.hold.0;
    let is_over = |since: Option<u64>| {
        let at_level = moment.uptime_ms.zip(since);
        hold.is_zero()
            || at_level.is_some_and(|(now, since)| {
                Duration::from_millis(now.saturating_sub(since)) >= hold
            })
    };
    if value >= limits.critical && is_over(condition.critical_since) {
        Some(Level::Critical)
    } else if value >= limits.warning && is_over(condition.warning_since) {
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
