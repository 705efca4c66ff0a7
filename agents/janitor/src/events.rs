//! What a run tells: as events, and in the journal.

use roundsman_kit::clock::Timestamp;
use roundsman_kit::log::id;
use roundsman_kit::quantity::Size;
use roundsman_store::event::{NewEvent, Severity};
use serde_json::json;

use crate::plan::{Change, Dropped, Level};

const AGENT: &str = "janitor";
const STORAGE: &str = "janitor.storage";
const DROPPED: &str = "janitor.dropped";

/// The event of a change on `host`, whose name keeps the ids of different hosts apart.
pub fn of_change(change: &Change, host: &str, now: Timestamp) -> NewEvent {
    let order_key = format!("{STORAGE}:{}", change.subject);
    let correlation = format!("{order_key}:{host}:{}", change.since.as_millis());
    let event = match change.level {
        Some(level) => {
            let severity = match level {
                Level::Warning => Severity::Warning,
                Level::Critical => Severity::Critical,
            };
            NewEvent::firing(now, AGENT, STORAGE, &correlation).severity(severity)
        }
        None => NewEvent::resolved(now, AGENT, STORAGE, &correlation).severity(Severity::Notice),
    };
    let step = change.level.map_or("resolved", name);
    let mut event = event
        .order_key(order_key)
        .identity(format!("{correlation}:{step}:{}", now.as_millis()))
        .subject(&change.subject)
        .message(sentence(change))
        .datum("limit", change.limit)
        .datum("unit", unit(&change.subject))
        .datum("since", change.since.as_millis());
    if let Some(value) = change.value {
        event = event.datum("value", value);
    }
    event
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
    changes.iter().for_each(tell_change);
    if !dropped.is_empty() {
        tell_dropped(dropped);
    }
}

fn tell_change(change: &Change) {
    let message = sentence(change);
    match change.level {
        Some(_) => log::warn!(
            MESSAGE_ID = id::THRESHOLD_CROSSED,
            "ROUNDSMAN_KIND" = STORAGE,
            "ROUNDSMAN_TARGET" = change.subject;
            "{message}"
        ),
        None => log::info!(
            MESSAGE_ID = id::THRESHOLD_CLEARED,
            "ROUNDSMAN_KIND" = STORAGE,
            "ROUNDSMAN_TARGET" = change.subject;
            "{message}"
        ),
    }
}

fn tell_dropped(dropped: &Dropped) {
    log::warn!(
        MESSAGE_ID = id::EVENTS_DROPPED,
        "ROUNDSMAN_KIND" = DROPPED;
        "{}", loss(dropped)
    );
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Warning => "warning",
        Level::Critical => "critical",
    }
}

fn unit(subject: &str) -> &'static str {
    match subject {
        "volume" | "inodes" => "%",
        _ => "bytes",
    }
}

/// `volume is at 96.2 % (critical from 95 %)`.
fn sentence(change: &Change) -> String {
    let subject = &change.subject;
    let figure = |value: f64| match unit(subject) {
        "%" => format!("{value:.1} %"),
        _ => format!("{:.1} MiB", value / f64::from(1 << 20)),
    };
    let limit = match unit(subject) {
        "%" => format!("{} %", change.limit),
        _ => Size(change.limit as u64).to_string(),
    };
    match (change.level, change.value) {
        (Some(level), Some(value)) => {
            let level = name(level);
            format!("{subject} is at {} ({level} from {limit})", figure(value))
        }
        (_, Some(value)) => format!("{subject} is back at {} (below {limit})", figure(value)),
        (_, None) => format!("{subject} is no longer judged"),
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
