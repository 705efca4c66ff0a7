//! Alertmanager's `POST /api/v2/alerts`.
//!
//! Alertmanager knows an alert by all of its labels, the severity too: an event that resolves a
//! condition ends an alert only if it carries the labels of the event that fired. So each event
//! that ends or changes a condition also ends the alerts of the earlier events of the same
//! correlation among the members: give them as members, in their order, and the array says what
//! holds now. Without them, the alert that fired ends by Alertmanager's `resolve_timeout`.

use std::collections::BTreeMap;

use roundsman_store::event::{Event, State};
use serde::Serialize;

use super::{Body, Notice, RenderError, rfc3339, text};

/// Bytes of a label's value.
const LABEL_BYTES: usize = 256;
/// How many of the event's own labels go with an alert.
const LABELS: usize = 32;
/// How many alerts one body has.
const ALERTS: usize = 200;

/// The labels that are ours; one of the event's with such a name is `exported_`, as in Prometheus.
const OURS: [&str; 6] = [
    "alertname",
    "severity",
    "host",
    "agent",
    "subject",
    "correlation",
];

#[derive(Serialize)]
struct Alert<'a> {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<&'static str, String>,
    #[serde(rename = "startsAt")]
    starts_at: String,
    #[serde(rename = "endsAt", skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    #[serde(skip)]
    correlation: Option<&'a str>,
}

pub fn render(notice: &Notice<'_>) -> Result<Body, RenderError> {
    let mut alerts: Vec<Alert<'_>> = Vec::new();
    let events = notice.events();
    // The latest say what holds.
    for event in &events[events.len().saturating_sub(ALERTS)..] {
        take(&mut alerts, event, notice.host);
    }
    Ok(Body::json(serde_json::to_vec(&alerts)?))
}

/// Brings `alerts` to what holds after `event`.
fn take<'a>(alerts: &mut Vec<Alert<'a>>, event: &'a Event, host: &str) {
    let labels = labels(event, host);
    let is_over = event.state == State::Resolved;
    let ends_at = || Some(rfc3339(event.at));
    let correlation = event.correlation.as_deref();
    let mut is_known = false;
    for alert in &mut *alerts {
        let is_same = alert.labels == labels;
        let is_earlier = correlation.is_some() && alert.correlation == correlation;
        if is_same && !is_over {
            // It holds again, or still.
            alert.ends_at = None;
            alert.annotations = annotations(event);
        } else if (is_same || is_earlier) && alert.ends_at.is_none() {
            alert.ends_at = ends_at();
        }
        is_known |= is_same || (is_over && is_earlier);
    }
    if !is_known {
        alerts.push(Alert {
            labels,
            annotations: annotations(event),
            starts_at: rfc3339(event.at),
            ends_at: is_over.then(|| rfc3339(event.at)),
            correlation,
        });
    }
}

fn annotations(event: &Event) -> BTreeMap<&'static str, String> {
    let summary = text::plain(&text::sentence(event));
    BTreeMap::from([("summary", summary), ("event", text::plain(&event.uid))])
}

fn labels(event: &Event, host: &str) -> BTreeMap<String, String> {
    let values = [
        Some(event.kind.as_str()),
        Some(event.severity.as_str()),
        Some(host),
        Some(event.agent.as_str()),
        event.subject.as_deref(),
        event.correlation.as_deref(),
    ];
    let mut labels = BTreeMap::new();
    let mut put = |name: String, value: &str| {
        let value = text::cut(&text::plain(value), LABEL_BYTES);
        // An empty label is one that is not there.
        if !value.is_empty() {
            labels.insert(name, value);
        }
    };
    for (name, value) in OURS.iter().zip(values) {
        put((*name).to_owned(), value.unwrap_or_default());
    }
    let mut taken: Vec<String> = OURS.iter().map(|name| (*name).to_owned()).collect();
    for (name, value) in event.labels.iter().take(LABELS) {
        let mut name = label_name(name);
        while taken.contains(&name) {
            name.insert_str(0, "exported_");
        }
        taken.push(name.clone());
        put(name, value);
    }
    labels
}

/// `name` by the rules for label names: letters, digits and `_`, no digit first, and not the two
/// underscores of Alertmanager's own.
fn label_name(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = name.chars().take(128).map(allowed).collect();
    if name.starts_with("__") || !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return format!("label_{name}");
    }
    name
}
