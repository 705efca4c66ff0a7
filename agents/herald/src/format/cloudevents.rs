//! CloudEvents 1.0, structured JSON. `id` is what Standard Webhooks calls the webhook id.

use serde::Serialize;

use super::fit::{self, Cut, Data};
use super::{Body, Notice, RenderError, rfc3339, text};
use crate::sign::message_id;

/// What stands before every kind.
const TYPE_PREFIX: &str = "io.roundsman.";

#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    r#type: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    subject: String,
    time: String,
    datacontenttype: &'static str,
    /// The place in the order of commits of this host, in digits that sort as text.
    sequence: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    partitionkey: String,
    severity: &'static str,
    data: Data<'a>,
}

pub fn render(notice: &Notice<'_>) -> Result<Body, RenderError> {
    Ok(Body {
        content_type: "application/cloudevents+json".to_owned(),
        bytes: fit::json(|cut| envelope(notice, cut))?,
        headers: Vec::new(),
    })
}

fn envelope<'a>(notice: &Notice<'a>, cut: &Cut) -> Envelope<'a> {
    let event = notice.event;
    let (agent, subject, key) = if notice.is_digest() {
        // Its members have keys of their own.
        ("herald", Some(notice.trigger), None)
    } else {
        let (subject, key) = (event.subject.as_deref(), event.order_key.as_deref());
        (event.agent.as_str(), subject, key)
    };
    let last = notice.events().iter().map(|event| event.id.0).max();
    Envelope {
        specversion: "1.0",
        id: message_id(&event.uid),
        source: format!(
            "/roundsman/{}/{}",
            segment(text::cut(notice.host, cut.others)),
            segment(text::cut(agent, cut.others))
        ),
        r#type: format!("{TYPE_PREFIX}{}", attribute(notice.kind(), cut)),
        subject: attribute(subject.unwrap_or_default(), cut),
        time: rfc3339(notice.at()),
        datacontenttype: "application/json",
        sequence: format!("{:019}", last.unwrap_or(event.id.0).max(0)),
        partitionkey: attribute(key.unwrap_or_default(), cut),
        severity: notice.severity().as_str(),
        data: Data::new(notice, cut),
    }
}

/// A String of the CloudEvents type system has no control characters.
fn attribute(value: &str, cut: &Cut) -> String {
    text::plain(&text::cut(value, cut.others))
}

/// `text` as one segment of a URI's path.
pub fn segment(value: String) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}
