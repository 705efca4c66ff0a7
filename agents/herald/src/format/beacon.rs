//! What bryonbaker/beacon sends: the member order, the names and the headers of its two formats.
//!
//! A Kubernetes object is taken from the event's `data`: `uid`, `kind`, `name`, `namespace`,
//! `annotation_value`, `annotations`, `labels`, `resource_version`. Of any other event, the kind
//! stands for the object's and the subject for its name. A group, which beacon does not have, is
//! one event of type `digest`. A body that is too long is cut as in [`super::standard`].
//!
//! Other than beacon's, an id is the event's: created and deleted of one object have two.

use std::borrow::Cow;
use std::collections::BTreeMap;

use roundsman_store::event::{Event, State};
use serde::Serialize;
use serde_json::Value;

use super::cloudevents::segment;
use super::fit::{self, Cut};
use super::{Body, Notice, Options, RenderError, rfc3339_seconds, text};
use crate::sign::message_id;

/// What an installation may have changed in beacon's configuration.
#[derive(Debug)]
pub struct Prefixes {
    source: String,
    r#type: String,
}

impl Prefixes {
    /// Beacon's own, unless `options` say otherwise.
    pub fn new(options: &Options<'_>) -> Self {
        let or = |given: Option<&str>, default: &str| given.unwrap_or(default).to_owned();
        Self {
            source: or(options.source_prefix, "/beacon"),
            r#type: or(options.type_prefix, "net.bakerapps.beacon.resource"),
        }
    }
}

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    r#type: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    subject: String,
    time: String,
    datacontenttype: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Legacy<'a> {
    id: String,
    timestamp: String,
    #[serde(rename = "eventType")]
    event_type: &'static str,
    #[serde(flatten)]
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Single(About<'a>),
    Digest {
        total: usize,
        omitted: usize,
        events: Vec<Legacy<'a>>,
    },
}

#[derive(Serialize)]
struct About<'a> {
    resource: Resource,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    uid: String,
    r#type: String,
    name: String,
    namespace: String,
    annotation_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, Cow<'a, str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, Cow<'a, str>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    resource_version: String,
}

pub fn render(notice: &Notice<'_>, prefixes: &Prefixes) -> Result<Body, RenderError> {
    let bytes = fit::json(|cut| {
        let resource = Resource::of(notice.event, cut);
        let (path, subject) = if notice.is_digest() {
            ("/digest".to_owned(), text::cut(notice.trigger, cut.others))
        } else {
            let [namespace, kind] = [resource.namespace, resource.r#type].map(segment);
            (format!("/{namespace}/{kind}"), resource.name)
        };
        CloudEvent {
            specversion: "1.0",
            id: message_id(&notice.event.uid),
            source: format!("{}{path}", prefixes.source),
            r#type: format!("{}.{}", prefixes.r#type, change(notice)),
            subject: text::plain(&subject),
            time: rfc3339_seconds(notice.at()),
            datacontenttype: "application/json",
            data: Data::new(notice, cut),
        }
    })?;
    Ok(Body {
        content_type: "application/cloudevents+json; charset=UTF-8".to_owned(),
        bytes,
        headers: vec![user_agent()],
    })
}

pub fn render_legacy(notice: &Notice<'_>) -> Result<Body, RenderError> {
    let bytes = fit::json(|cut| Legacy {
        id: message_id(&notice.event.uid),
        timestamp: rfc3339_seconds(notice.at()),
        event_type: change(notice),
        data: Data::new(notice, cut),
    })?;
    let mut body = Body::json(bytes);
    let id = ("x-event-id", message_id(&notice.event.uid));
    body.headers = vec![user_agent(), id];
    Ok(body)
}

fn user_agent() -> (&'static str, String) {
    (
        "user-agent",
        concat!("beacon/", env!("CARGO_PKG_VERSION")).to_owned(),
    )
}

fn change(notice: &Notice<'_>) -> &'static str {
    if notice.is_digest() {
        return "digest";
    }
    change_of(notice.event)
}

/// By the last word of the kind; what is over counts as deleted.
fn change_of(event: &Event) -> &'static str {
    match event.kind.rsplit('.').next() {
        Some("created") => "created",
        Some("updated") => "updated",
        Some("deleted") => "deleted",
        _ if event.state == State::Resolved => "deleted",
        _ => "created",
    }
}

impl<'a> Data<'a> {
    fn new(notice: &Notice<'a>, cut: &Cut) -> Self {
        if !notice.is_digest() {
            return Self::Single(About::new(notice.event, cut));
        }
        let members = notice.members.iter().take(cut.members);
        let events: Vec<_> = members
            .map(|event| Legacy {
                id: message_id(&event.uid),
                timestamp: rfc3339_seconds(event.at),
                event_type: change_of(event),
                data: Self::Single(About::new(event, cut)),
            })
            .collect();
        Self::Digest {
            total: notice.members.len(),
            omitted: notice.members.len() - events.len(),
            events,
        }
    }
}

impl<'a> About<'a> {
    fn new(event: &'a Event, cut: &Cut) -> Self {
        let labels = match event.data.get("labels") {
            Some(Value::Object(_)) => strings(event, "labels", cut),
            _ => fit::cut_labels(&event.labels, cut.values, &mut false),
        };
        Self {
            resource: Resource::of(event, cut),
            metadata: Metadata {
                annotations: strings(event, "annotations", cut),
                labels,
                resource_version: datum(event, "resource_version", cut).unwrap_or_default(),
            },
        }
    }
}

impl Resource {
    fn of(event: &Event, cut: &Cut) -> Self {
        let datum = |key| datum(event, key, cut);
        let own = |text: Option<&str>| text::cut(text.unwrap_or_default(), cut.others);
        let condition = event.correlation.as_deref().unwrap_or(&event.uid);
        Self {
            uid: datum("uid").unwrap_or_else(|| own(Some(condition))),
            r#type: datum("kind").unwrap_or_else(|| own(Some(&event.kind))),
            name: datum("name").unwrap_or_else(|| own(event.subject.as_deref())),
            namespace: datum("namespace").unwrap_or_default(),
            annotation_value: datum("annotation_value").unwrap_or_default(),
        }
    }
}

fn datum(event: &Event, key: &str, cut: &Cut) -> Option<String> {
    let value = event.data.get(key)?.as_str()?;
    Some(text::cut(value, cut.others.min(cut.values.max(128))))
}

/// The strings of an object in the event's data.
fn strings<'a>(event: &'a Event, key: &str, cut: &Cut) -> BTreeMap<&'a str, Cow<'a, str>> {
    let Some(Value::Object(map)) = event.data.get(key).filter(|_| cut.values > 0) else {
        return BTreeMap::new();
    };
    let texts = map.iter().filter_map(|(name, value)| {
        let value = value.as_str()?;
        let value = match value.len() <= cut.values {
            true => Cow::Borrowed(value),
            false => Cow::Owned(text::cut(value, cut.values)),
        };
        Some((name.as_str(), value))
    });
    texts.collect()
}
