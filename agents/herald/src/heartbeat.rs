//! Signs of life: while herald turns, an endpoint with `heartbeat` gets one in each slot of time,
//! so that somebody else can tell when the teller has died. Pure.

use std::time::Duration;

use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{Event, EventId, Severity, State};
use serde_json::{Map, json};

use crate::group::uid;

/// What stands for a trigger in deliveries that are signs of life; no trigger may be called so.
pub const TRIGGER: &str = "heartbeat";

/// The slot that a time lies in.
pub fn slot(every: Duration, at: Timestamp) -> i64 {
    at.as_millis().div_euclid(millis(every))
}

/// When a slot begins.
pub fn begin(every: Duration, slot: i64) -> Timestamp {
    Timestamp(slot.saturating_mul(millis(every)))
}

fn millis(every: Duration) -> i64 {
    i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1)
}

/// How often a slot may come, for a clock that steps back.
pub const TURNS: u32 = 64;

/// What is told in a slot, when it comes for the first time (`turn` 0) or again. It is in no
/// table, and the same whoever makes it again.
pub fn event(
    agent: &str,
    endpoint: &str,
    host: &str,
    every: Duration,
    (slot, turn): (i64, u32),
) -> Event {
    let mut place = slot.to_string();
    if turn > 0 {
        place.push_str(&format!("/{turn}"));
    }
    let mut data = Map::new();
    data.insert("interval_seconds".to_owned(), json!(every.as_secs()));
    data.insert("slot".to_owned(), json!(slot));
    Event {
        id: EventId(0),
        uid: uid(&[endpoint, TRIGGER, &place]),
        at: begin(every, slot),
        agent: agent.to_owned(),
        kind: format!("{agent}.{TRIGGER}"),
        state: State::Occurred,
        correlation: None,
        severity: Severity::Info,
        subject: Some(endpoint.to_owned()),
        order_key: None,
        labels: [("endpoint".to_owned(), endpoint.to_owned())].into(),
        data,
        message: format!("{agent} on {host} is alive"),
        dedup_key: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_one_sign_and_the_next_another() {
        let every = Duration::from_secs(300);
        let at = Timestamp(1_795_197_600_000);
        let now = slot(every, at);
        assert_eq!(begin(every, now), at);
        assert_eq!(slot(every, Timestamp(at.0 + 299_999)), now);
        assert_eq!(slot(every, Timestamp(at.0 + 300_000)), now + 1);
        let sign = |slot| event("herald", "ops", "web1", every, (slot, 0));
        assert_eq!(sign(now), sign(now));
        assert_ne!(sign(now).uid, sign(now + 1).uid);
        let again = event("herald", "ops", "web1", every, (now, 1));
        assert_ne!(sign(now).uid, again.uid);
    }
}
