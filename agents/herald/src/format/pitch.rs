//! A homerun2 message: strings only, empty ones left out, `title` and `message` always there.

use roundsman_store::event::{Event, Severity, State};
use serde::Serialize;

use super::{Body, Notice, RenderError, rfc3339, text};

/// Bytes of a title: it goes to small displays too.
const TITLE_BYTES: usize = 120;
/// Bytes of a message, for a digest has more than one line.
const MESSAGE_BYTES: usize = 2000;
/// Bytes of the author, the system, and one tag.
const NAME_BYTES: usize = 128;
/// How many labels become tags.
const LABELS: usize = 32;

#[derive(Serialize)]
struct Message {
    title: String,
    message: String,
    severity: &'static str,
    author: String,
    timestamp: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    system: String,
    tags: String,
}

pub fn render(notice: &Notice<'_>) -> Result<Body, RenderError> {
    let event = notice.event;
    let short = |text: &str| text::cut(&text::plain(text), NAME_BYTES);
    let (title, message, author, tags) = if notice.is_digest() {
        let lines = notice.members.iter().map(line);
        let message = text::join(lines, MESSAGE_BYTES / 3);
        let tags = vec![tag("digest"), tag(notice.trigger)];
        (text::summary(notice), message, "herald", tags)
    } else {
        let message = text::plain(&text::sentence(event));
        (
            text::title(event),
            message,
            event.agent.as_str(),
            tags(event),
        )
    };
    let message = Message {
        title: text::cut(&text::plain(&title), TITLE_BYTES),
        message: text::cut(&message, MESSAGE_BYTES),
        severity: severity(notice),
        author: short(author),
        timestamp: rfc3339(notice.at()),
        system: short(notice.host),
        tags: tags.join(","),
    };
    Ok(Body::json(serde_json::to_vec(&message)?))
}

fn line(event: &Event) -> String {
    let line = format!("{}: {}", text::mark(event), text::sentence(event));
    text::cut(&text::plain(&line), 200)
}

/// homerun2's words; what is over is a success.
fn severity(notice: &Notice<'_>) -> &'static str {
    let mut events = notice.events().iter();
    if events.all(|event| event.state == State::Resolved) {
        return "success";
    }
    match notice.severity() {
        Severity::Emergency | Severity::Alert | Severity::Critical => "critical",
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Notice | Severity::Info => "info",
        Severity::Debug => "debug",
    }
}

fn tags(event: &Event) -> Vec<String> {
    let own = [event.kind.as_str(), event.state.as_str()];
    let labels = event.labels.iter().take(LABELS);
    let labels = labels.map(|(name, value)| tag(&format!("{name}={value}")));
    own.into_iter().map(tag).chain(labels).collect()
}

/// One tag of a list that commas separate.
fn tag(value: &str) -> String {
    text::cut(&text::plain(value).replace(',', "_"), NAME_BYTES)
}
