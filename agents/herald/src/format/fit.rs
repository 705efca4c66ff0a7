//! The event as JSON, within a number of bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use roundsman_store::event::Event;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Notice, RenderError, rfc3339, text};

/// Every JSON body is shorter than this: receivers of Standard Webhooks may refuse longer ones.
pub const BODY_BYTES: usize = 20_000;

/// The longest host id of a path, if data and labels are left out.
const PATH_BYTES: usize = 64;

/// How much of an event is told.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// The longest string in data and labels; at 0 both are left out.
    pub values: usize,
    /// The longest of the other strings.
    pub others: usize,
    /// How many members of a group are told in full.
    pub members: usize,
}

/// From all there is to what always fits: first the longest values are cut, then data and labels
/// go, then members of a group, and in the end the other strings are cut.
const STEPS: [Cut; 11] = {
    const fn step(values: usize, others: usize, members: usize) -> Cut {
        Cut {
            values,
            others,
            members,
        }
    }
    const ALL: usize = usize::MAX;
    [
        step(ALL, ALL, 100),
        step(4096, ALL, 100),
        step(1024, ALL, 100),
        step(256, ALL, 100),
        step(64, ALL, 100),
        step(0, ALL, 100),
        step(0, 128, 50),
        step(0, 128, 25),
        step(0, 128, 10),
        step(0, 128, 5),
        step(0, 128, 1),
    ]
};

/// The bytes of what `render` makes, with as little cut as fits into [`BODY_BYTES`].
///
/// # Errors
/// That of the serialisation.
pub fn json<T: Serialize>(render: impl Fn(&Cut) -> T) -> Result<Vec<u8>, RenderError> {
    let mut bytes = Vec::new();
    for cut in &STEPS {
        bytes = serde_json::to_vec(&render(cut))?;
        if bytes.len() < BODY_BYTES {
            break;
        }
    }
    Ok(bytes)
}

/// An event as others see it. What it does not have is not there.
#[derive(Debug, Serialize)]
pub struct Seen<'a> {
    uid: Cow<'a, str>,
    sequence: i64,
    time: String,
    agent: Cow<'a, str>,
    kind: Cow<'a, str>,
    state: &'static str,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_key: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dedup_key: Option<Cow<'a, str>>,
    message: Cow<'a, str>,
    labels: BTreeMap<&'a str, Cow<'a, str>>,
    data: Cow<'a, Map<String, Value>>,
    /// Whether anything of it was cut or left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

impl<'a> Seen<'a> {
    /// `event`, with its strings cut to what `cut` allows.
    pub fn new(event: &'a Event, cut: &Cut) -> Self {
        let mut truncated = false;
        let labels = cut_labels(&event.labels, cut.values, &mut truncated);
        let data = cut_data(&event.data, cut.values, &mut truncated);
        let mut other = |text: &'a str| shortened(text, cut.others, &mut truncated);
        Self {
            uid: other(&event.uid),
            sequence: event.id.0,
            time: rfc3339(event.at),
            agent: other(&event.agent),
            kind: other(&event.kind),
            state: event.state.as_str(),
            severity: event.severity.as_str(),
            correlation: event.correlation.as_deref().map(&mut other),
            subject: event.subject.as_deref().map(&mut other),
            order_key: event.order_key.as_deref().map(&mut other),
            dedup_key: event.dedup_key.as_deref().map(&mut other),
            message: other(&event.message),
            labels,
            data,
            truncated,
        }
    }
}

/// The `data` of a notice: the event, or the members of a group.
#[derive(Debug, Serialize)]
pub struct Data<'a> {
    host: String,
    trigger: String,
    #[serde(flatten)]
    what: What<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum What<'a> {
    Single(Box<Seen<'a>>),
    Digest {
        severity: &'static str,
        total: usize,
        /// How many of them are not among `events`, for they would not fit.
        omitted: usize,
        events: Vec<Seen<'a>>,
    },
}

impl<'a> Data<'a> {
    /// All of `notice` that `cut` allows.
    pub fn new(notice: &Notice<'a>, cut: &Cut) -> Self {
        let what = if notice.is_digest() {
            let total = notice.members.len();
            let members = notice.members.iter().take(cut.members);
            let events: Vec<_> = members.map(|event| Seen::new(event, cut)).collect();
            What::Digest {
                severity: notice.severity().as_str(),
                total,
                omitted: total - events.len(),
                events,
            }
        } else {
            What::Single(Box::new(Seen::new(notice.event, cut)))
        };
        Self {
            host: text::cut(notice.host, cut.others),
            trigger: text::cut(notice.trigger, cut.others),
            what,
        }
    }
}

fn shortened<'a>(text: &'a str, bytes: usize, truncated: &mut bool) -> Cow<'a, str> {
    if text.len() <= bytes {
        return Cow::Borrowed(text);
    }
    *truncated = true;
    Cow::Owned(text::cut(text, bytes))
}

/// `labels` with their values cut to `bytes`, or none of them at 0.
pub fn cut_labels<'a>(
    labels: &'a BTreeMap<String, String>,
    bytes: usize,
    truncated: &mut bool,
) -> BTreeMap<&'a str, Cow<'a, str>> {
    if bytes == 0 {
        *truncated |= !labels.is_empty();
        return BTreeMap::new();
    }
    let labels = labels.iter();
    labels
        .map(|(name, value)| (name.as_str(), shortened(value, bytes, truncated)))
        .collect()
}

/// `data` with its strings cut to `bytes`, or nothing of it at 0.
fn cut_data<'a>(
    data: &'a Map<String, Value>,
    bytes: usize,
    truncated: &mut bool,
) -> Cow<'a, Map<String, Value>> {
    if bytes == usize::MAX {
        return Cow::Borrowed(data);
    }
    if bytes == 0 {
        // The path of hosts stays, or events could go in a circle; intake bounds it.
        let path = data
            .iter()
            .filter(|(name, value)| *name == "path" && value.is_array());
        let path: Map<String, Value> = path.map(|(n, v)| (n.clone(), v.clone())).collect();
        *truncated |= path.len() < data.len();
        return Cow::Owned(cut_map(&path, PATH_BYTES, truncated));
    }
    Cow::Owned(cut_map(data, bytes, truncated))
}

fn cut_map(map: &Map<String, Value>, bytes: usize, truncated: &mut bool) -> Map<String, Value> {
    let members = map.iter();
    members
        .map(|(name, value)| (name.clone(), cut_value(value, bytes, truncated)))
        .collect()
}

fn cut_value(value: &Value, bytes: usize, truncated: &mut bool) -> Value {
    match value {
        Value::String(text) => Value::String(shortened(text, bytes, truncated).into_owned()),
        Value::Array(items) => {
            let items = items.iter();
            Value::Array(
                items
                    .map(|item| cut_value(item, bytes, truncated))
                    .collect(),
            )
        }
        Value::Object(map) => Value::Object(cut_map(map, bytes, truncated)),
        other => other.clone(),
    }
}
