//! The operator's own format, in minijinja.
//!
//! A template sees `event` (the members that [`super::standard`] sends, `none` where the event has
//! nothing), `events` (the members of a group, or the one event), `is_digest`, `severity`, `host`,
//! `trigger`, `endpoint` and `summary`. Nothing is escaped by itself: `|json` (or `|tojson`)
//! writes a value as JSON, `|plain` takes out control characters, `|slack` and `|discord` escape
//! for those. Whatever is not there is an error, never an empty string.

use std::io;

use minijinja::value::Value as Any;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{Event, EventId, Severity, State};
use serde_json::{Value, json};

use super::fit::{Cut, Seen};
use super::{Body, Notice, OptionsError, RenderError, discord, slack, text};

/// What a source may have.
const SOURCE_BYTES: usize = 64 * 1024;
/// What a body may have.
const OUTPUT_BYTES: usize = 256 * 1024;
/// How many steps a template may take.
const FUEL: u64 = 100_000;
/// How deep it may nest.
const DEPTH: usize = 64;
/// How much of a reason is told.
const REASON_BYTES: usize = 300;
/// How many members of a group it sees.
const MEMBERS: usize = 1000;

/// A template that compiles.
#[derive(Debug)]
pub struct Template {
    source: String,
    content_type: String,
}

/// Why a template does not compile, or what it failed on.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {reason}")]
pub struct TemplateError {
    /// The line, from 1; 0 where the fault has none.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl From<Error> for TemplateError {
    fn from(error: Error) -> Self {
        let reason = match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        Self {
            line: error.line().unwrap_or(0),
            reason: text::cut(&text::plain(&reason), REASON_BYTES),
        }
    }
}

impl Template {
    /// Compiles `source`, and renders it once for an event without data to find filters, tests
    /// and functions that there are not. What lies behind a condition is found when it is met.
    ///
    /// # Errors
    /// The line, and what is wrong with it.
    pub fn compile(source: &str) -> Result<Self, TemplateError> {
        if source.len() > SOURCE_BYTES {
            let reason = format!("the template has more than {SOURCE_BYTES} bytes");
            return Err(TemplateError { line: 0, reason });
        }
        let template = Self {
            source: source.to_owned(),
            content_type: "application/json".to_owned(),
        };
        let environment = environment();
        let compiled = environment.template_from_str(source)?;
        let event = sample();
        let notice = Notice {
            event: &event,
            host: "host",
            trigger: "trigger",
            endpoint: "endpoint",
            members: &[],
        };
        match compiled.render(context(&notice)?) {
            Err(error) if is_misspelt(&error) => Err(error.into()),
            _ => Ok(template),
        }
    }

    /// The same with another content type than `application/json`.
    ///
    /// # Errors
    /// When it may not stand in a header.
    pub fn content_type(mut self, content_type: &str) -> Result<Self, OptionsError> {
        let printable = |byte: u8| matches!(byte, b' '..=b'~');
        let fits = (3..=128).contains(&content_type.len()) && content_type.contains('/');
        if !fits || !content_type.bytes().all(printable) || content_type.trim() != content_type {
            return Err(OptionsError::ContentType);
        }
        self.content_type = content_type.to_owned();
        Ok(self)
    }

    /// What the template makes of `notice`.
    ///
    /// # Errors
    /// [`RenderError`], and nothing of what was written till then.
    pub fn render(&self, notice: &Notice<'_>) -> Result<Body, RenderError> {
        let environment = environment();
        let compiled = environment
            .template_from_str(&self.source)
            .map_err(TemplateError::from)?;
        let context = context(notice).map_err(TemplateError::from)?;
        let mut output = Bounded::default();
        let done = compiled.render_captured_to(context, &mut output).map(drop);
        if output.is_full {
            let limit = OUTPUT_BYTES;
            return Err(RenderError::TooLong { limit });
        }
        done.map_err(TemplateError::from)?;
        if self.is_json()
            && let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&output.bytes)
        {
            return Err(RenderError::NotJson(error.to_string()));
        }
        Ok(Body {
            content_type: self.content_type.clone(),
            bytes: output.bytes,
            headers: Vec::new(),
        })
    }

    fn is_json(&self) -> bool {
        let essence = self.content_type.split(';').next().unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        essence == "application/json" || essence.ends_with("+json")
    }
}

fn environment<'a>() -> Environment<'a> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH);
    environment.add_filter("json", minijinja::filters::tojson);
    environment.add_filter("plain", |value: String| text::plain(&value));
    environment.add_filter("slack", |value: String| slack::escape(&value, usize::MAX));
    environment.add_filter("discord", |value: String| {
        discord::escape(&value, usize::MAX)
    });
    environment
}

/// Whether the template itself is wrong, whatever the event.
fn is_misspelt(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::TooManyArguments
            | ErrorKind::MissingArgument
            | ErrorKind::OutOfFuel
    )
}

fn context(notice: &Notice<'_>) -> Result<Any, Error> {
    let events = notice.events();
    let first = events.len().saturating_sub(MEMBERS);
    let seen: Result<Vec<Value>, Error> = events[first..].iter().map(whole).collect();
    Ok(Any::from_serialize(json!({
        "event": whole(notice.event)?,
        "events": seen?,
        "is_digest": notice.is_digest(),
        "severity": notice.severity().as_str(),
        "host": notice.host,
        "trigger": notice.trigger,
        "endpoint": notice.endpoint,
        "summary": text::summary(notice),
    })))
}

/// `event` with all of its members, `null` where there is nothing.
fn whole(event: &Event) -> Result<Value, Error> {
    let all = Cut {
        values: usize::MAX,
        others: usize::MAX,
        members: usize::MAX,
    };
    let mut seen = serde_json::to_value(Seen::new(event, &all)).map_err(|error| {
        Error::new(ErrorKind::BadSerialization, "the event is no JSON").with_source(error)
    })?;
    for key in ["correlation", "subject", "order_key", "dedup_key"] {
        if seen.get(key).is_none() {
            seen[key] = Value::Null;
        }
    }
    Ok(seen)
}

fn sample() -> Event {
    Event {
        id: EventId(1),
        uid: "sample".to_owned(),
        at: Timestamp(0),
        agent: "agent".to_owned(),
        kind: "agent.kind".to_owned(),
        state: State::Occurred,
        correlation: None,
        severity: Severity::Info,
        subject: Some("subject".to_owned()),
        order_key: None,
        labels: std::collections::BTreeMap::new(),
        data: serde_json::Map::new(),
        message: "message".to_owned(),
        dedup_key: None,
    }
}

/// Takes [`OUTPUT_BYTES`] and refuses the rest.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    is_full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > OUTPUT_BYTES {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
