//! tinyforge's webhook: its headers, and a body with the members of its event log (`source`,
//! `severity`, `message`, `metadata`). `metadata` is cut as the data of [`super::standard`].
//!
//! The signature, `X-Hub-Signature-256`, is [`crate::sign`]'s.

use roundsman_store::event::Severity;
use serde::Serialize;

use super::fit::{self, Data};
use super::{Body, Notice, RenderError, rfc3339, text};
use crate::sign::message_id;

/// tinyforge tells by it where the URL stood; ours stands in a trigger.
const TIER: &str = "event-trigger";

#[derive(Serialize)]
struct Payload<'a> {
    event: String,
    delivery_id: String,
    timestamp: String,
    source: String,
    severity: &'static str,
    message: String,
    metadata: Data<'a>,
}

pub fn render(notice: &Notice<'_>) -> Result<Body, RenderError> {
    let id = message_id(&notice.event.uid);
    let (source, message) = if notice.is_digest() {
        ("herald", text::summary(notice))
    } else {
        (notice.event.agent.as_str(), text::sentence(notice.event))
    };
    let bytes = fit::json(|cut| Payload {
        event: text::cut(notice.kind(), cut.others),
        delivery_id: id.clone(),
        timestamp: rfc3339(notice.at()),
        source: text::cut(source, cut.others),
        severity: severity(notice.severity()),
        message: text::cut(&message, 500),
        metadata: Data::new(notice, cut),
    })?;
    let mut body = Body::json(bytes);
    body.headers = vec![
        ("user-agent", "Tinyforge-Webhook/1".to_owned()),
        ("x-tinyforge-event", header(notice.kind())),
        ("x-tinyforge-delivery", id),
        ("x-tinyforge-timestamp", rfc3339(notice.at())),
        ("x-tinyforge-tier", TIER.to_owned()),
    ];
    Ok(body)
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Emergency | Severity::Alert | Severity::Critical | Severity::Error => "error",
        Severity::Warning => "warn",
        Severity::Notice | Severity::Info | Severity::Debug => "info",
    }
}

/// `value` as that of a header.
fn header(value: &str) -> String {
    let visible = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    value.chars().take(128).map(visible).collect()
}
