//! How long what is kept, and for whom.

use std::time::Duration;

use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{Brief, EventId, Hold};
use roundsman_store::retention::Reader;

use super::Dropped;
use crate::config::Events;

/// How far a window reaches back behind the last sweep: rows are committed a little later than
/// the time they carry.
const SLACK: Duration = Duration::from_secs(60 * 60);

/// Rows with `from <= at < before`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first instant.
    pub from: Timestamp,
    /// The first instant that is not in it any more.
    pub before: Timestamp,
}

/// Where rows can be that have become old enough since the sweep at `swept_at`, for rows that are
/// kept for one of `keeps`. All that is older than the longest of them is looked at each time:
/// what is still there is held by somebody, who may have let go of it. Without an earlier sweep
/// everything is looked at.
pub fn windows(keeps: &[Duration], now: Timestamp, swept_at: Option<Timestamp>) -> Vec<Window> {
    const BEGINNING: Timestamp = Timestamp(i64::MIN);
    let mut keeps = keeps.to_vec();
    keeps.sort_unstable();
    keeps.dedup();
    let swept_at = swept_at.filter(|at| *at <= now);
    let (Some(shortest), Some(longest)) = (keeps.first(), keeps.last()) else {
        return Vec::new();
    };
    let Some(swept_at) = swept_at else {
        return vec![Window {
            from: BEGINNING,
            before: now.minus(*shortest),
        }];
    };
    let oldest = now.minus(*longest);
    let mut windows = vec![Window {
        from: BEGINNING,
        before: oldest,
    }];
    for keep in keeps.iter().rev().skip(1) {
        // Beginning where the one before it ended, no row is looked at twice.
        let from = swept_at.minus(*keep).minus(SLACK);
        let end = windows.last().map_or(oldest, |last| last.before);
        windows.push(Window {
            from: from.max(end),
            before: now.minus(*keep),
        });
    }
    windows
}

/// How long an event of a kind is kept.
#[derive(Debug, Clone, Copy)]
pub struct Keep<'a>(pub &'a Events);

impl Keep<'_> {
    /// How long `kind` is kept.
    pub fn of(self, kind: &str) -> Duration {
        let fitting = self.0.kinds.iter().filter(|(glob, _)| fits(glob, kind));
        let longest = fitting.max_by_key(|(glob, _)| glob.len());
        longest.map_or(self.0.keep, |(_, kind)| kind.keep).0
    }

    /// Whether the event is old enough to go at `now`.
    pub fn is_over(self, event: &Brief, now: Timestamp) -> bool {
        event.at < now.minus(self.of(&event.kind))
    }
}

/// Whether `text` is what `glob` describes, in which `*` stands for anything.
fn fits(glob: &str, text: &str) -> bool {
    let Some((head, rest)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(text) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    let mut left = text;
    for part in parts {
        // The first place leaves most for the parts that follow.
        match left.split_once(part) {
            Some((_, behind)) => left = behind,
            None => return false,
        }
    }
    left.len() >= tail.len() && left.ends_with(tail)
}

/// Whom events wait for: every reader that has moved within `max_age`, and open deliveries.
pub fn hold(readers: &[Reader], now: Timestamp, max_age: Duration) -> Hold {
    let alive = readers
        .iter()
        .filter(|reader| now.since(reader.updated_at) <= max_age);
    Hold {
        read_up_to: alive
            .map(|reader| reader.position)
            .min()
            .unwrap_or(EventId(i64::MAX)),
        deliveries: true,
    }
}

/// Which of the removed events were unread by whom.
pub fn lost(removed: &[Brief], readers: &[Reader]) -> Dropped {
    let mut lost = Dropped::default();
    for event in removed {
        let mut behind = readers
            .iter()
            .filter(|reader| reader.position < event.id)
            .map(|reader| reader.name.as_str())
            .peekable();
        if behind.peek().is_some() {
            lost.event(&event.kind, behind);
        }
    }
    lost
}
