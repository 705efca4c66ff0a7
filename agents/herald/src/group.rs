//! What events have in common that are told together, and what a digest is called. Pure.

pub mod digest;

use std::time::Duration;

use ring::digest::{SHA256, digest as hash};
use roundsman_store::event::{Event, Severity, State};
use serde_json::{Value, json};

use crate::config::{Endpoint, Trigger};
use crate::format::Format;

/// The least urgent severity for which no digest waits.
pub const URGENT: Severity = Severity::Critical;

/// How long a digest waits unless told otherwise.
const WAIT: Duration = Duration::from_secs(30);

/// Alertmanager forgets an alert that nobody posts again within its `resolve_timeout`, of 5
/// minutes by default.
const ALERTMANAGER_REPEAT: Duration = Duration::from_secs(60);

/// How a trigger groups its events.
#[derive(Debug)]
pub struct Grouping {
    by: Option<Vec<Part>>,
    /// How long a digest waits for further events.
    pub wait: Duration,
    /// How often is told again what still holds.
    pub repeat: Option<Duration>,
}

#[derive(Debug)]
enum Part {
    Kind,
    Agent,
    Severity,
    Subject,
    Correlation,
    Label(String),
    Datum(String),
}

impl Grouping {
    /// That of a trigger.
    ///
    /// # Errors
    /// In words, what is wrong with `group_by`.
    pub fn new(trigger: &Trigger) -> Result<Self, String> {
        let by = trigger.group_by.as_ref().map(|names| {
            let parts = names.iter().map(|name| part(name));
            parts.collect::<Result<Vec<_>, _>>()
        });
        Ok(Self {
            by: by.transpose()?,
            wait: trigger.group_wait.map_or(WAIT, |span| span.0),
            repeat: trigger.repeat.map(|span| span.0),
        })
    }

    /// What all events of a group of this one have in common; none if each is told by itself.
    pub fn key(&self, event: &Event) -> Option<String> {
        let by = self.by.as_ref()?;
        let values: Vec<Value> = by.iter().map(|part| part.of(event)).collect();
        Some(Value::from(values).to_string())
    }
}

fn part(name: &str) -> Result<Part, String> {
    Ok(match name {
        "kind" => Part::Kind,
        "agent" => Part::Agent,
        "severity" => Part::Severity,
        "subject" => Part::Subject,
        "correlation" => Part::Correlation,
        _ => match name.split_once('.') {
            Some(("labels", label)) if !label.is_empty() => Part::Label(label.to_owned()),
            Some(("data", datum)) if !datum.is_empty() => Part::Datum(datum.to_owned()),
            _ => return Err(format!("\"{name}\" is nothing to group by")),
        },
    })
}

impl Part {
    fn of(&self, event: &Event) -> Value {
        match self {
            Self::Kind => event.kind.as_str().into(),
            Self::Agent => event.agent.as_str().into(),
            Self::Severity => event.severity.as_str().into(),
            Self::Subject => json!(event.subject),
            Self::Correlation => json!(event.correlation),
            Self::Label(name) => json!(event.labels.get(name)),
            Self::Datum(name) => event.data.get(name).cloned().unwrap_or_default(),
        }
    }
}

/// How often an endpoint is told again what still holds.
pub fn repeat(grouping: Option<&Grouping>, endpoint: &Endpoint) -> Option<Duration> {
    let asked = grouping.and_then(|grouping| grouping.repeat);
    let needed = (endpoint.format == Format::Alertmanager).then_some(ALERTMANAGER_REPEAT);
    [asked, needed].into_iter().flatten().min()
}

/// The first 32 hexadecimal digits of a hash of `parts`.
pub fn uid(parts: &[&str]) -> String {
    let text = json!(parts).to_string();
    let digest = hash(&SHA256, text.as_bytes());
    let bytes = digest.as_ref()[..16].iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Of the events of one condition, in their order: those since it began to hold, with the one that
/// ended it.
pub fn since_it_began(events: &[Event]) -> &[Event] {
    let Some((_, earlier)) = events.split_last() else {
        return events;
    };
    let ended = earlier
        .iter()
        .rposition(|event| event.state == State::Resolved);
    &events[ended.map_or(0, |at| at + 1)..]
}

#[cfg(test)]
mod tests;
