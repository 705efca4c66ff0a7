//! ntfy's JSON, to be sent to the root of its server: its headers could not carry every title.

use roundsman_store::event::{Event, Severity, State};
use serde::Serialize;

use super::{Body, Notice, RenderError, text};

/// ntfy makes an attachment of a longer message.
const MESSAGE_BYTES: usize = 4096;
const TITLE_BYTES: usize = 200;
const TAG_BYTES: usize = 64;

#[derive(Serialize)]
struct Message<'a> {
    topic: &'a str,
    title: String,
    message: String,
    priority: u8,
    tags: Vec<String>,
}

/// Whether `topic` can be one.
pub fn is_topic(topic: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (1..=64).contains(&topic.len()) && topic.chars().all(allowed)
}

pub fn render(notice: &Notice<'_>, topic: &str) -> Result<Body, RenderError> {
    let (title, message) = if notice.is_digest() {
        let lines = notice.members.iter().map(|event| line(event, 300));
        // No character has more than three bytes for one unit.
        let message = text::join(lines, MESSAGE_BYTES / 3);
        (text::summary(notice), message)
    } else {
        let title = format!("{}: {}", notice.host, text::title(notice.event));
        (title, line(notice.event, MESSAGE_BYTES))
    };
    let message = Message {
        topic,
        title: text::cut(&text::plain(&title), TITLE_BYTES),
        message,
        priority: priority(notice.severity()),
        tags: vec![sign(notice).to_owned(), tag(notice.kind())],
    };
    Ok(Body::json(serde_json::to_vec(&message)?))
}

fn line(event: &Event, bytes: usize) -> String {
    let line = format!("{}: {}", text::mark(event), text::sentence(event));
    text::cut(&text::plain(&line), bytes)
}

/// 5 breaks through "do not disturb", 3 is ntfy's default, 1 makes no sound.
fn priority(severity: Severity) -> u8 {
    match severity {
        Severity::Emergency | Severity::Alert | Severity::Critical => 5,
        Severity::Error => 4,
        Severity::Warning | Severity::Notice => 3,
        Severity::Info => 2,
        Severity::Debug => 1,
    }
}

/// A tag that ntfy shows as a picture.
fn sign(notice: &Notice<'_>) -> &'static str {
    let mut events = notice.events().iter();
    if events.all(|event| event.state == State::Resolved) {
        return "white_check_mark";
    }
    match notice.severity() {
        Severity::Emergency | Severity::Alert | Severity::Critical => "rotating_light",
        Severity::Error | Severity::Warning => "warning",
        Severity::Notice | Severity::Info | Severity::Debug => "information_source",
    }
}

fn tag(value: &str) -> String {
    text::cut(&text::plain(value).replace(',', "_"), TAG_BYTES)
}
