//! What a run tells: as events, and in the journal.

use roundsman_kit::clock::Timestamp;
use roundsman_kit::log::id;
use roundsman_kit::quantity::Size;
use roundsman_store::condition::{Change, Words};
use roundsman_store::event::{NewEvent, Severity};
use serde_json::json;

use crate::plan::Dropped;

const AGENT: &str = crate::AGENT.name;
const DROPPED: &str = "janitor.dropped";

/// The event of a change on `host`.
pub fn of_change(change: &Change, host: &str, now: Timestamp) -> NewEvent {
    change.event(AGENT, host, &words(change), now)
}

/// The event of what was dropped unread.
pub fn of_dropped(dropped: &Dropped, now: Timestamp) -> NewEvent {
    NewEvent::occurred(now, AGENT, DROPPED)
        .severity(Severity::Warning)
        .message(loss(dropped))
        .datum("events", dropped.events())
        .datum("kinds", json!(dropped.kinds))
        .datum("readers", json!(dropped.readers))
        .datum("deliveries", json!(dropped.deliveries))
        .datum("by_size", dropped.by_size)
}

/// Tells the journal what is new.
pub fn tell(changes: &[Change], dropped: &Dropped) {
    for change in changes {
        change.tell(AGENT, &words(change));
    }
    if !dropped.is_empty() {
        tell_dropped(dropped);
    }
}

fn tell_dropped(dropped: &Dropped) {
    log::warn!(
        MESSAGE_ID = id::EVENTS_DROPPED,
        "ROUNDSMAN_KIND" = DROPPED;
        "{}", loss(dropped)
    );
}

fn words(change: &Change) -> Words {
    let is_share = matches!(change.subject.as_str(), "volume" | "inodes");
    let figure = |value: f64| match is_share {
        true => format!("{value:.1} %"),
        false => format!("{:.1} MiB", value / f64::from(1 << 20)),
    };
    Words {
        unit: if is_share { "%" } else { "bytes" },
        what: change.subject.clone(),
        value: change.value.map(figure),
        limit: match is_share {
            true => format!("{} %", change.limit),
            false => Size(change.limit as u64).to_string(),
        },
        gone: "is no longer judged",
    }
}

/// `3 events that ops had not read and 1 delivery to chat were dropped`.
fn loss(dropped: &Dropped) -> String {
    let names = |of: &std::collections::BTreeMap<String, u64>| {
        let names: Vec<&str> = of.keys().map(String::as_str).collect();
        names.join(", ")
    };
    let mut parts = Vec::new();
    if dropped.events() > 0 {
        let readers = names(&dropped.readers);
        parts.push(format!(
            "events not read by {readers}: {}",
            dropped.events()
        ));
    }
    let deliveries: u64 = dropped.deliveries.values().sum();
    if deliveries > 0 {
        let endpoints = names(&dropped.deliveries);
        parts.push(format!(
            "deliveries that {endpoints} did not get: {deliveries}"
        ));
    }
    let why = if dropped.by_size > 0 {
        "the database is too large"
    } else {
        "too old to wait any longer"
    };
    format!("dropped ({why}): {}", parts.join("; "))
}
