//! What an event looks like on the wire: one renderer per format, and nothing but pure functions.
//!
//! The same notice gives the same bytes: every time in a body is the event's, and there is no
//! chance in it. Every body has a bound, and every format escapes for its receiver.

mod alertmanager;
mod beacon;
mod cloudevents;
mod discord;
mod fit;
pub mod mail;
mod ntfy;
mod pitch;
mod slack;
mod standard;
mod template;
#[cfg(test)]
mod tests;
pub(crate) mod text;
mod tinyforge;

use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{Event, Severity};
use serde::{Deserialize, Serialize};

pub use template::{Template, TemplateError};

/// The formats, by their names in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Standard Webhooks: `type`, `timestamp`, `data`.
    #[default]
    Standard,
    /// CloudEvents 1.0, structured JSON.
    Cloudevents,
    /// The CloudEvents of bryonbaker/beacon.
    Beacon,
    /// What beacon sent before it spoke CloudEvents.
    BeaconLegacy,
    /// A homerun2 message, for `/pitch`.
    Pitch,
    /// tinyforge's webhook.
    Tinyforge,
    /// A Slack incoming webhook, or one compatible with it.
    Slack,
    /// A Discord webhook.
    Discord,
    /// ntfy's JSON, for the root of its server.
    Ntfy,
    /// Alertmanager's `POST /api/v2/alerts`.
    Alertmanager,
    /// The operator's own, by minijinja.
    Template,
}

/// What some formats need beside their name. A value for a format that has no use for it is a
/// mistake in the configuration, and refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// `ntfy`: the topic. Needed.
    pub topic: Option<&'a str>,
    /// `template`: its source. Needed.
    pub template: Option<&'a str>,
    /// `template`: the content type of what it renders; `application/json` unless set.
    pub content_type: Option<&'a str>,
    /// `beacon`: the prefix of `source`; `/beacon` unless set.
    pub source_prefix: Option<&'a str>,
    /// `beacon`: the prefix of `type`; `net.bakerapps.beacon.resource` unless set.
    pub type_prefix: Option<&'a str>,
}

/// Why a format cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// A key without which the format cannot work.
    #[error("format {format} needs {key}")]
    Missing {
        /// The format's name.
        format: &'static str,
        /// The key that is missing.
        key: &'static str,
    },
    /// A key of another format.
    #[error("format {format} has no use for {key}")]
    Unwanted {
        /// The format's name.
        format: &'static str,
        /// The key that is too many.
        key: &'static str,
    },
    /// Not the name of a topic.
    #[error("topic: an ntfy topic has 1 to 64 letters, digits, \"_\" and \"-\"")]
    Topic,
    /// Nothing that may stand in a header.
    #[error("content_type: write it as \"text/plain; charset=utf-8\"")]
    ContentType,
    /// The template does not compile.
    #[error("template: {0}")]
    Template(#[from] TemplateError),
}

/// What is to be told, and to whom.
#[derive(Debug, Clone, Copy)]
pub struct Notice<'a> {
    /// The event. For a group: the one that leads it, with the group's id as its `uid`.
    pub event: &'a Event,
    /// This host.
    pub host: &'a str,
    /// The trigger that fired.
    pub trigger: &'a str,
    /// The endpoint's name.
    pub endpoint: &'a str,
    /// The events of a group, in the order of their commits; empty for a single event.
    pub members: &'a [Event],
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The header `content-type`.
    pub content_type: String,
    /// The bytes that are signed and sent.
    pub bytes: Vec<u8>,
    /// Headers that belong to the format. They go before the sender's own of the same name, a
    /// `user-agent` too, and are the same at each attempt.
    pub headers: Vec<(&'static str, String)>,
}

/// Why a notice has no body. Trying again would end the same way.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The body could not be written as JSON.
    #[error("the body cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The template failed on this event.
    #[error("template: {0}")]
    Template(#[from] TemplateError),
    /// The template wrote more than a body may have.
    #[error("the template wrote more than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// The content type says JSON, and the template wrote something else.
    #[error("the template did not write JSON, as its content type says: {0}")]
    NotJson(String),
}

/// A format with all that it needs.
#[derive(Debug)]
pub struct Renderer(Ready);

#[derive(Debug)]
enum Ready {
    Standard,
    Cloudevents,
    Beacon(beacon::Prefixes),
    BeaconLegacy,
    Pitch,
    Tinyforge,
    Slack,
    Discord,
    Ntfy { topic: String },
    Alertmanager,
    Template(Template),
}

impl Format {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Cloudevents => "cloudevents",
            Self::Beacon => "beacon",
            Self::BeaconLegacy => "beacon-legacy",
            Self::Pitch => "pitch",
            Self::Tinyforge => "tinyforge",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Ntfy => "ntfy",
            Self::Alertmanager => "alertmanager",
            Self::Template => "template",
        }
    }

    /// The keys of [`Options`] that it reads.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Ntfy => &["topic"],
            Self::Template => &["template", "content_type"],
            Self::Beacon => &["source_prefix", "type_prefix"],
            _ => &[],
        }
    }
}

impl Options<'_> {
    fn given(&self) -> impl Iterator<Item = &'static str> {
        let keys = [
            ("topic", self.topic),
            ("template", self.template),
            ("content_type", self.content_type),
            ("source_prefix", self.source_prefix),
            ("type_prefix", self.type_prefix),
        ];
        keys.into_iter()
            .filter_map(|(key, value)| value.map(|_| key))
    }
}

impl Renderer {
    /// Makes `format` ready to render.
    ///
    /// # Errors
    /// [`OptionsError`], for the configuration.
    pub fn new(format: Format, options: &Options<'_>) -> Result<Self, OptionsError> {
        let name = format.name();
        if let Some(key) = options.given().find(|key| !format.keys().contains(key)) {
            return Err(OptionsError::Unwanted { format: name, key });
        }
        let missing = |key| OptionsError::Missing { format: name, key };
        Ok(Self(match format {
            Format::Standard => Ready::Standard,
            Format::Cloudevents => Ready::Cloudevents,
            Format::Beacon => Ready::Beacon(beacon::Prefixes::new(options)),
            Format::BeaconLegacy => Ready::BeaconLegacy,
            Format::Pitch => Ready::Pitch,
            Format::Tinyforge => Ready::Tinyforge,
            Format::Slack => Ready::Slack,
            Format::Discord => Ready::Discord,
            Format::Ntfy => match options.topic.ok_or(missing("topic"))? {
                topic if ntfy::is_topic(topic) => Ready::Ntfy {
                    topic: topic.to_owned(),
                },
                _ => return Err(OptionsError::Topic),
            },
            Format::Alertmanager => Ready::Alertmanager,
            Format::Template => {
                let source = options.template.ok_or(missing("template"))?;
                let template = Template::compile(source)?;
                Ready::Template(match options.content_type {
                    Some(content_type) => template.content_type(content_type)?,
                    None => template,
                })
            }
        }))
    }

    /// The body of `notice`. With members it is a digest of them.
    ///
    /// # Errors
    /// [`RenderError`]; the delivery is parked with it.
    pub fn render(&self, notice: &Notice<'_>) -> Result<Body, RenderError> {
        match &self.0 {
            Ready::Standard => standard::render(notice),
            Ready::Cloudevents => cloudevents::render(notice),
            Ready::Beacon(prefixes) => beacon::render(notice, prefixes),
            Ready::BeaconLegacy => beacon::render_legacy(notice),
            Ready::Pitch => pitch::render(notice),
            Ready::Tinyforge => tinyforge::render(notice),
            Ready::Slack => slack::render(notice),
            Ready::Discord => discord::render(notice),
            Ready::Ntfy { topic } => ntfy::render(notice, topic),
            Ready::Alertmanager => alertmanager::render(notice),
            Ready::Template(template) => template.render(notice),
        }
    }
}

impl<'a> Notice<'a> {
    fn is_digest(&self) -> bool {
        !self.members.is_empty()
    }

    /// The members of a group, or the one event.
    fn events(&self) -> &'a [Event] {
        if self.is_digest() {
            self.members
        } else {
            std::slice::from_ref(self.event)
        }
    }

    /// The most urgent severity of its events.
    fn severity(&self) -> Severity {
        let severities = self.events().iter().map(|event| event.severity);
        severities.min().unwrap_or(self.event.severity)
    }

    /// When the last of its events was seen.
    fn at(&self) -> Timestamp {
        let times = self.events().iter().map(|event| event.at);
        times.max().unwrap_or(self.event.at)
    }

    /// The kind of the event; a digest has its own.
    fn kind(&self) -> &'a str {
        if self.is_digest() {
            DIGEST
        } else {
            &self.event.kind
        }
    }
}

impl Body {
    fn json(bytes: Vec<u8>) -> Self {
        Self {
            content_type: "application/json".to_owned(),
            bytes,
            headers: Vec::new(),
        }
    }
}

/// The kind of a digest.
const DIGEST: &str = "herald.digest";

/// RFC 3339 in UTC with milliseconds. A time that it cannot say is the nearest that it can.
fn rfc3339(at: Timestamp) -> String {
    const LAST: i64 = 253_402_300_799_999;
    Timestamp(at.as_millis().clamp(0, LAST)).to_string()
}

/// The same without the fraction of the second.
fn rfc3339_seconds(at: Timestamp) -> String {
    let mut text = rfc3339(at);
    let fraction = text.rfind('.').unwrap_or(text.len());
    text.truncate(fraction);
    text + "Z"
}
