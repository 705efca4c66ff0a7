//! A mail: plain text for people, header fields for filters. The whole message is made here, so
//! that a later attempt sends the same bytes; what is not ASCII is encoded.

use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use ring::digest;
use roundsman_store::event::{Event, State};
use serde_json::Value;

use super::{Body, Notice, rfc3339, text};
use crate::sign::message_id;

/// The media type under which a whole mail is kept.
pub const MEDIA_TYPE: &str = "message/rfc822";

const SUBJECT_BYTES: usize = 160;
const MESSAGE_BYTES: usize = 16 * 1024;
const VALUE_BYTES: usize = 1024;
const BODY_BYTES: usize = 64 * 1024;
/// Longer header fields than this are folded so often that filters miss them.
const FIELD_BYTES: usize = 200;

/// Who writes to whom.
#[derive(Debug, Clone)]
pub struct Parties {
    /// Who the mail is from.
    pub from: Mailbox,
    /// Whom it goes to.
    pub to: Vec<Mailbox>,
}

/// The mail that delivery `uid` is.
///
/// # Errors
/// In a sentence; the delivery is parked with it.
pub fn render(notice: &Notice<'_>, uid: &str, parties: &Parties) -> Result<Body, String> {
    let domain = parties.from.email.domain();
    let mut mail = Message::builder()
        .from(parties.from.clone())
        .message_id(Some(format!("<{}@{domain}>", message_id(uid))))
        .date(date(notice))
        .subject(subject(notice));
    for to in &parties.to {
        mail = mail.to(to.clone());
    }
    if let Some(thread) = thread(notice, domain) {
        // Both ends of an alert refer to the same id, which no mail has: mail programs put
        // them together by it, whichever comes first.
        if notice.event.state == State::Resolved {
            mail = mail.in_reply_to(thread.clone());
        }
        mail = mail.references(thread);
    }
    let mail = fields(mail, notice)
        .header(ContentType::TEXT_PLAIN)
        .body(content(notice))
        .map_err(|error| format!("the mail cannot be made: {error}"))?;
    Ok(Body {
        content_type: MEDIA_TYPE.to_owned(),
        bytes: mail.formatted(),
        headers: Vec::new(),
    })
}

fn fields(mail: MessageBuilder, notice: &Notice<'_>) -> MessageBuilder {
    const AUTO: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");
    const KIND: HeaderName = HeaderName::new_from_ascii_str("X-Roundsman-Kind");
    const SEVERITY: HeaderName = HeaderName::new_from_ascii_str("X-Roundsman-Severity");
    const STATE: HeaderName = HeaderName::new_from_ascii_str("X-Roundsman-State");
    const HOST: HeaderName = HeaderName::new_from_ascii_str("X-Roundsman-Host");
    let all = [
        // So that nobody's absence assistant answers.
        (AUTO, "auto-generated"),
        (KIND, notice.kind()),
        (SEVERITY, text::word(notice.severity())),
        (STATE, state(notice.event)),
        (HOST, notice.host),
    ];
    all.into_iter().fold(mail, |mail, (name, value)| {
        let value = text::cut(&text::plain(value), FIELD_BYTES);
        mail.raw_header(HeaderValue::new(name, value))
    })
}

/// When it happened; a time that a mail cannot say is the nearest that it can.
fn date(notice: &Notice<'_>) -> SystemTime {
    const LAST: u64 = 253_402_300_799;
    let seconds = u64::try_from(notice.at().as_millis() / 1000).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(LAST))
}

/// The id that the mails about one condition share.
fn thread(notice: &Notice<'_>, domain: &str) -> Option<String> {
    let event = notice.event;
    let correlation = event
        .correlation
        .as_deref()
        .filter(|_| !notice.is_digest())?;
    let whole = [notice.host, &event.agent, &event.kind, correlation].join("\n");
    let digest = digest::digest(&digest::SHA256, whole.as_bytes());
    let name: String = digest.as_ref()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Some(format!("<thread.{name}@{domain}>"))
}

/// `[web1] warning: /home is 91 % full`
fn subject(notice: &Notice<'_>) -> String {
    let line = if notice.is_digest() {
        text::summary(notice)
    } else {
        let (host, event) = (notice.host, notice.event);
        format!("[{host}] {}: {}", text::mark(event), text::sentence(event))
    };
    text::cut(&text::plain(&line), SUBJECT_BYTES)
}

/// Its lines end as those of mail do.
fn content(notice: &Notice<'_>) -> String {
    let whole = if notice.is_digest() {
        let lines = notice.members.iter().map(entry);
        // No character has more than three bytes for one unit.
        let entries = text::join(lines, BODY_BYTES / 3);
        format!("{}\n\n{entries}\n", text::plain(&text::summary(notice)))
    } else {
        whole(notice)
    };
    text::cut(&whole, BODY_BYTES).replace('\n', "\r\n")
}

fn entry(event: &Event) -> String {
    let (at, mark) = (rfc3339(event.at), text::mark(event));
    let line = format!("{at}  {mark}: {}", text::sentence(event));
    text::cut(&text::plain(&line), VALUE_BYTES)
}

/// One event, the sentence first.
fn whole(notice: &Notice<'_>) -> String {
    let event = notice.event;
    let sentence = text::sentence(event);
    let lines: Vec<String> = sentence.lines().map(text::plain).collect();
    let mut out = text::cut(lines.join("\n").trim(), MESSAGE_BYTES) + "\n\n";
    let time = rfc3339(event.at);
    let known = [
        ("Host", notice.host),
        ("Kind", &event.kind),
        ("Subject", event.subject.as_deref().unwrap_or_default()),
        ("State", state(event)),
        ("Severity", text::word(event.severity)),
        ("Time", &time),
        ("Agent", &event.agent),
        ("Trigger", notice.trigger),
        ("Event", &event.uid),
    ];
    for (name, value) in known.into_iter().filter(|(_, value)| !value.is_empty()) {
        out += &format!("{:<10}{}\n", format!("{name}:"), short(value));
    }
    let labels = event.labels.iter();
    out += &list("Labels", labels.map(|(name, value)| (name, value.clone())));
    out += &list(
        "Data",
        event.data.iter().map(|(name, value)| (name, said(value))),
    );
    out
}

fn list<'a>(title: &str, all: impl Iterator<Item = (&'a String, String)>) -> String {
    let lines = all.map(|(name, value)| format!("  {} = {}\n", short(name), short(&value)));
    let lines: String = lines.collect();
    if lines.is_empty() {
        return lines;
    }
    format!("\n{title}:\n{lines}")
}

fn short(value: &str) -> String {
    text::cut(&text::plain(value), VALUE_BYTES)
}

fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn state(event: &Event) -> &'static str {
    match event.state {
        State::Occurred => "occurred",
        State::Firing => "firing",
        State::Resolved => "resolved",
    }
}
