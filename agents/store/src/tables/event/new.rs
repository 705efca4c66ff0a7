//! Making and inserting events.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use roundsman_kit::clock::Timestamp;
use rusqlite::named_params;
use serde_json::{Map, Value};
use uuid::{NoContext, Uuid};

use super::{CONTENT_BYTES, EventId, MESSAGE_BYTES, Severity, State};
use crate::error::Result;
use crate::tx::{Doing, EventTx};

/// The name space of ids that are derived from what was seen. Never changed: the same sight must
/// give the same id for ever.
const SIGHTS: Uuid = Uuid::from_u128(0x2d4a_3c1e_9f0b_4d7a_8e55_6b1f_0c93_72a8);

/// An event to be inserted.
///
/// ```
/// # use roundsman_kit::clock::Timestamp;
/// use roundsman_store::event::{NewEvent, Severity};
///
/// let now = Timestamp(1_795_197_600_000);
/// let event = NewEvent::firing(now, "hostmetrics", "hostmetrics.disk", "disk:/home")
///     .severity(Severity::Warning)
///     .subject("/home")
///     .message("/home is 91 % full")
///     .datum("used_percent", 91.2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    pub(super) uid: Option<String>,
    pub(super) at: Timestamp,
    pub(super) agent: String,
    pub(super) kind: String,
    pub(super) state: State,
    pub(super) correlation: Option<String>,
    pub(super) severity: Severity,
    pub(super) subject: Option<String>,
    pub(super) order_key: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) data: Map<String, Value>,
    pub(super) message: String,
    pub(super) identity: Option<String>,
}

impl NewEvent {
    /// Something happened.
    pub fn occurred(at: Timestamp, agent: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            uid: None,
            at,
            agent: agent.into(),
            kind: kind.into(),
            state: State::Occurred,
            correlation: None,
            severity: Severity::Info,
            subject: None,
            order_key: None,
            labels: BTreeMap::new(),
            data: Map::new(),
            message: String::new(),
            identity: None,
        }
    }

    /// The condition `correlation` holds from now on. Its events are delivered in order.
    pub fn firing(
        at: Timestamp,
        agent: impl Into<String>,
        kind: impl Into<String>,
        correlation: impl Into<String>,
    ) -> Self {
        Self::occurred(at, agent, kind).of_condition(State::Firing, correlation.into())
    }

    /// The condition `correlation` holds no longer.
    pub fn resolved(
        at: Timestamp,
        agent: impl Into<String>,
        kind: impl Into<String>,
        correlation: impl Into<String>,
    ) -> Self {
        Self::occurred(at, agent, kind).of_condition(State::Resolved, correlation.into())
    }

    fn of_condition(mut self, state: State, correlation: String) -> Self {
        self.state = state;
        self.order_key = Some(correlation.clone());
        self.correlation = Some(correlation);
        self
    }

    /// How urgent it is; `info` unless set.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// A sentence for a person. It is cut to [`MESSAGE_BYTES`].
    pub fn message(mut self, message: impl AsRef<str>) -> Self {
        self.message = cut(message.as_ref());
        self
    }

    /// What it is about: a unit, a mount point, an object.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Joins an event that happened to the others of one condition or course.
    pub fn correlation(mut self, correlation: impl Into<String>) -> Self {
        self.correlation = Some(correlation.into());
        self
    }

    /// Events with the same key are delivered in order.
    pub fn order_key(mut self, key: impl Into<String>) -> Self {
        self.order_key = Some(key.into());
        self
    }

    /// A short value to select by.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// A value of the event's data.
    pub fn datum(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.data.insert(name.into(), value.into());
        self
    }

    /// What was seen, in words that are the same each time it is seen (an entry's cursor, an
    /// object's uid and version). The event's uid is derived from them, and inserting it a
    /// second time inserts nothing. Identities of different agents are different; those of
    /// different hosts must be, unless both saw the same thing, so one that belongs to this host
    /// carries its boot id or machine id.
    pub fn identity(mut self, identity: impl Into<String>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// The uid that the event already has elsewhere. A second event with it is not inserted.
    pub fn uid(mut self, uid: impl Into<String>) -> Self {
        self.uid = Some(uid.into());
        self
    }

    fn dedup_key(&self) -> Option<String> {
        let identity = self.identity.as_ref()?;
        Some(format!("{}:{identity}", self.agent))
    }

    fn uid_or_new(&self, dedup_key: Option<&str>) -> String {
        match (&self.uid, dedup_key) {
            (Some(uid), _) => uid.clone(),
            (None, Some(key)) => Uuid::new_v5(&SIGHTS, key.as_bytes()).to_string(),
            (None, None) => {
                let millis = self.at.as_millis().max(0).unsigned_abs();
                let nanos = (millis % 1000) as u32 * 1_000_000;
                let at = uuid::Timestamp::from_unix(NoContext, millis / 1000, nanos);
                Uuid::new_v7(at).to_string()
            }
        }
    }
}

/// `message`, or as much of it as fits with an ellipsis.
fn cut(message: &str) -> String {
    const ELLIPSIS: &str = "…";
    if message.len() <= MESSAGE_BYTES {
        return message.into();
    }
    let room = MESSAGE_BYTES - ELLIPSIS.len();
    let end = (0..=room).rev().find(|&end| message.is_char_boundary(end));
    let end = end.unwrap_or(0);
    message[..end].to_owned() + ELLIPSIS
}

/// Labels and data as they are stored. What is too large loses its largest values, first of data,
/// and names them in the datum `left_out`.
fn fit(mut labels: Map<String, Value>, mut data: Map<String, Value>) -> (String, String) {
    let sizes = |of: &Map<String, Value>, is_label| -> Vec<(bool, usize, String)> {
        let entries = of.iter();
        let size = |name: &str, value: &Value| name.len() + value.to_string().len() + 4;
        entries
            .map(|(name, value)| (is_label, size(name, value), name.clone()))
            .collect()
    };
    let mut entries = sizes(&data, false);
    entries.extend(sizes(&labels, true));
    let mut total: usize = entries.iter().map(|entry| entry.1).sum();
    if total > CONTENT_BYTES {
        entries.sort_unstable_by_key(|(is_label, size, _)| (*is_label, Reverse(*size)));
        let mut left_out = Vec::new();
        for (is_label, size, name) in entries {
            if total <= CONTENT_BYTES - NAMES_BYTES {
                break;
            }
            total -= size;
            match is_label {
                true => labels.remove(&name),
                false => data.remove(&name),
            };
            if left_out.len() < NAMED {
                left_out.push(name.chars().take(NAME_CHARS).collect::<String>());
            }
        }
        data.insert("left_out".into(), left_out.into());
    }
    let [labels, data] = [labels, data].map(|map| Value::Object(map).to_string());
    (labels, data)
}

/// How many are named, by how much of each name, and the room that takes in JSON.
const NAMED: usize = 16;
const NAME_CHARS: usize = 20;
const NAMES_BYTES: usize = NAMED * (NAME_CHARS * 6 + 3) + 16;

const INSERT: &str = "\
    INSERT INTO event (uid, at, agent, kind, state, correlation, severity, subject,
                       order_key, labels, data, message, dedup_key)
    VALUES (:uid, :at, :agent, :kind, :state, :correlation, :severity, :subject,
            :order_key, :labels, :data, :message, :dedup_key)
    ON CONFLICT DO NOTHING";

/// Inserts an event and rings the bell after the commit. `None` if it is known already, by its
/// identity or its uid: then nothing is inserted.
///
/// # Errors
/// That of SQLite.
pub fn insert(tx: &EventTx<'_>, event: &NewEvent) -> Result<Option<EventId>> {
    let dedup_key = event.dedup_key();
    let labels = event.labels.iter();
    let labels: Map<String, Value> = labels
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    let (labels, data) = fit(labels, event.data.clone());
    let params = named_params! {
        ":uid": event.uid_or_new(dedup_key.as_deref()),
        ":at": event.at.as_millis(),
        ":agent": event.agent,
        ":kind": event.kind,
        ":state": event.state,
        ":correlation": event.correlation,
        ":severity": event.severity,
        ":subject": event.subject,
        ":order_key": event.order_key,
        ":labels": labels,
        ":data": data,
        ":message": event.message,
        ":dedup_key": dedup_key,
    };
    if tx.execute(Doing::on("event", "insert"), INSERT, params)? == 0 {
        return Ok(None);
    }
    tx.ring();
    Ok(Some(EventId(tx.last_insert_rowid())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> NewEvent {
        NewEvent::occurred(Timestamp(1_795_197_600_123), "test", "test.kind")
    }

    #[test]
    fn a_message_is_cut_between_characters_and_says_so() {
        assert_eq!(cut(&"x".repeat(500)).len(), 500);
        let long = cut(&"ä".repeat(300));
        assert!(
            long.ends_with("ä…") && long.len() <= MESSAGE_BYTES,
            "{}",
            long.len()
        );
        assert_eq!(long.chars().count(), 249);
    }

    #[test]
    fn what_is_too_large_is_left_out_and_named() {
        let map = |pairs: &[(&str, usize)]| -> Map<String, Value> {
            let pairs = pairs.iter();
            pairs
                .map(|(name, size)| ((*name).into(), "x".repeat(*size).into()))
                .collect()
        };
        let small = (map(&[("a", 10)]), map(&[("b", 10)]));
        let (labels, data) = fit(small.0.clone(), small.1.clone());
        assert_eq!(labels, Value::Object(small.0).to_string());
        assert_eq!(data, Value::Object(small.1).to_string());

        let (labels, data) = fit(map(&[("a", 10)]), map(&[("b", 40_000), ("c", 7)]));
        assert!(labels.contains("xxxxxxxxxx"));
        let data: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(data, serde_json::json!({"c": "xxxxxxx", "left_out": ["b"]}));

        let (labels, data) = fit(map(&[("a", 40_000), ("k", 3)]), Map::new());
        assert_eq!(labels, r#"{"k":"xxx"}"#);
        assert_eq!(data, r#"{"left_out":["a"]}"#);
    }

    #[test]
    fn the_same_sight_gives_the_same_uid_and_another_agent_another_one() {
        let uid = |event: NewEvent| event.uid_or_new(event.dedup_key().as_deref());
        let seen = uid(event().identity("cursor 1"));
        assert_eq!(seen, uid(event().identity("cursor 1").message("later")));
        assert_ne!(seen, uid(event().identity("cursor 2")));
        let other = NewEvent::occurred(Timestamp(0), "other", "test.kind");
        assert_ne!(seen, uid(other.identity("cursor 1")));
        // Pinned: receivers deduplicate by it across versions.
        assert_eq!(seen, "0a9133f9-a747-5993-ad1c-48c885e59ccf");
        assert_eq!(uid(event().uid("theirs").identity("x")), "theirs");
    }

    #[test]
    fn without_identity_every_uid_is_new_and_carries_the_time() {
        let [a, b] = [(); 2].map(|()| event().uid_or_new(None).parse::<Uuid>().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.get_version_num(), 7);
        let (seconds, nanos) = a.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos), (1_795_197_600, 123_000_000));
    }
}
