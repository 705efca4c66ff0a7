//! What a change is called: as an event, and in the journal.

use roundsman_kit::clock::Timestamp;
use roundsman_kit::log::id;
use roundsman_store::event::{NewEvent, Severity};

use crate::plan::{Change, Level};

/// The unit of a threshold's figure, for messages and data.
fn unit_of(kind: &str) -> &'static str {
    match kind {
        "temperature" => "°C",
        "load" => "per CPU",
        _ => "%",
    }
}

/// The event of a change on `host`, whose name keeps the ids of different hosts apart.
pub fn event_of(change: &Change, host: &str, now: Timestamp) -> NewEvent {
    let kind = format!("hostmetrics.{}", change.kind);
    let order_key = format!("{kind}:{}", change.subject);
    let correlation = format!("{order_key}:{host}:{}", change.since.as_millis());
    let (event, step) = match change.level {
        Some(level) => {
            let severity = match level {
                Level::Warning => Severity::Warning,
                Level::Critical => Severity::Critical,
            };
            let event = NewEvent::firing(now, "hostmetrics", &kind, &correlation);
            (
                event.severity(severity),
                format!("{level:?}:{}", now.as_millis()),
            )
        }
        None => {
            let event = NewEvent::resolved(now, "hostmetrics", &kind, &correlation);
            (event.severity(Severity::Notice), "resolved".to_owned())
        }
    };
    let mut event = event
        .order_key(order_key)
        .identity(format!("{correlation}:{step}"))
        .message(sentence(change))
        .datum("limit", change.limit)
        .datum("unit", unit_of(&change.kind))
        .datum("since", change.since.as_millis());
    if let Some(value) = change.value {
        event = event.datum("value", value);
    }
    if !change.subject.is_empty() {
        event = event.subject(&change.subject);
    }
    event
}

/// `disk /var is at 96.2 % (critical from 95 %)`.
fn sentence(change: &Change) -> String {
    let figure = change.kind.replace('_', " ");
    let on = if change.subject.is_empty() {
        figure
    } else {
        format!("{figure} {}", change.subject)
    };
    let unit = unit_of(&change.kind);
    let limit = change.limit;
    match (change.level, change.value) {
        (Some(level), Some(value)) => {
            let level = match level {
                Level::Warning => "warning",
                Level::Critical => "critical",
            };
            format!("{on} is at {value:.1} {unit} ({level} from {limit} {unit})")
        }
        (_, Some(value)) => format!("{on} is back at {value:.1} {unit} (below {limit} {unit})"),
        (_, None) => format!("{on} is gone or no longer judged"),
    }
}

/// Tells a change to the journal.
pub fn tell(change: &Change) {
    let kind = format!("hostmetrics.{}", change.kind);
    let message = sentence(change);
    match change.level {
        Some(_) => log::warn!(
            MESSAGE_ID = id::THRESHOLD_CROSSED,
            "ROUNDSMAN_KIND" = kind,
            "ROUNDSMAN_TARGET" = change.subject;
            "{message}"
        ),
        None => log::info!(
            MESSAGE_ID = id::THRESHOLD_CLEARED,
            "ROUNDSMAN_KIND" = kind,
            "ROUNDSMAN_TARGET" = change.subject;
            "{message}"
        ),
    }
}
