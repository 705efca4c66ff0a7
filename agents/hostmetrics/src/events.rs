//! What a change is called: as an event, and in the journal.

use roundsman_kit::clock::Timestamp;
use roundsman_store::condition::{Change, Words};
use roundsman_store::event::NewEvent;

const AGENT: &str = crate::AGENT.name;

/// The event of a change on `host`.
pub fn event_of(change: &Change, host: &str, now: Timestamp) -> NewEvent {
    change.event(AGENT, host, &words(change), now)
}

/// Tells a change to the journal.
pub fn tell(change: &Change) {
    change.tell(AGENT, &words(change));
}

fn words(change: &Change) -> Words {
    let figure = change.kind.replace('_', " ");
    let unit = unit_of(&change.kind);
    Words {
        unit,
        what: match change.subject.as_str() {
            "" => figure,
            subject => format!("{figure} {subject}"),
        },
        value: change.value.map(|value| format!("{value:.1} {unit}")),
        limit: format!("{} {unit}", change.limit),
        gone: "is gone or no longer judged",
    }
}

/// The unit of a threshold's figure.
fn unit_of(kind: &str) -> &'static str {
    match kind {
        "temperature" => "°C",
        "load" => "per CPU",
        _ => "%",
    }
}
