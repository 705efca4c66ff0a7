//! Table `delivery`: what is owed to endpoints. Written by: herald; ctl puts back and drops. Read
//! by: herald, janitor, ctl, exporter.

mod hold;
mod query;
mod write;

use std::collections::BTreeMap;

use roundsman_kit::clock::Timestamp;

use super::event::{EventId, Severity};
use crate::error::Result;
use crate::tables::{text_column, text_enum};
use crate::tx::Columns;

pub use hold::{
    HeldCount, Hold, Owed, dress, held, hold, hold_of_key, holds_any, hurry, is_due, is_known,
    last_urgent, let_go, mark_own, owed, release_key, replace,
};
pub use query::{
    Count, Filter, by_trigger, counts, following, get, heads, list, list_without_bodies, next_at,
    of_event, oldest_due,
};
pub use write::{
    Attempt, NewDelivery, discard, done, due_at_once, expire, insert, park, put_back, release,
    release_all, retry,
};

/// The most that is kept of an answer, in bytes.
pub const ANSWER_BYTES: usize = 1024;

/// The place of a delivery in the order of its endpoint. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct DeliveryId(pub i64);

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It is still owed.
    Due,
    /// The endpoint has it.
    Done,
    /// It is not tried any more, until somebody puts it back.
    Parked,
}

text_enum!(
    State,
    "due, done, parked",
    Due = "due",
    Done = "done",
    Parked = "parked",
);
text_column!(State);

/// The bytes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The media type.
    pub content_type: String,
    /// What is sent.
    pub bytes: Vec<u8>,
}

/// A delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its place in the order.
    pub id: DeliveryId,
    /// Its id on the wire: the event's, or the group's.
    pub uid: String,
    /// To whom.
    pub endpoint: String,
    /// The trigger that made it first.
    pub trigger: String,
    /// The event; none for a group.
    pub event: Option<EventId>,
    /// Deliveries with the same key reach the endpoint in order.
    pub order_key: Option<String>,
    /// The event's, or the most urgent one's of the group.
    pub severity: Severity,
    /// Where it stands.
    pub state: State,
    /// It waits for an earlier one with the same key.
    pub is_blocked: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is tried next.
    pub next_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// How often somebody has put it back after it was parked or done.
    pub redelivered: u32,
    /// The frozen bytes: of a group, and of an event that was tried before.
    pub body: Option<Body>,
    /// When it was tried last.
    pub last_at: Option<Timestamp>,
    /// What the endpoint answered last.
    pub last_status: Option<u16>,
    /// What was wrong with the last attempt.
    pub last_error: Option<String>,
    /// The beginning of the last answer that was no success.
    pub last_answer: Option<String>,
    /// Header fields of the format, of a frozen group.
    pub headers: BTreeMap<String, String>,
    /// What holds it back until `next_at`: `quiet`, or `silence:NAME`.
    pub held_by: Option<String>,
    /// When it was first allowed to go, if that was not when it was made.
    pub owed_at: Option<Timestamp>,
    /// It is a digest that carries an event of the agent that delivers.
    pub is_own: bool,
}

const COLUMNS: &str = "id, uid, endpoint, trigger, event_id, order_key, severity, state, blocked, \
                       created_at, next_at, attempts, redelivered, content_type, body, last_at, \
                       last_status, last_error, last_answer, headers, held_by, owed_at, \
                       own";

impl Delivery {
    fn from_row(row: &Columns<'_>) -> Result<Self> {
        let content_type: Option<String> = row.get("content_type")?;
        let bytes: Option<Vec<u8>> = row.get("body")?;
        let body = content_type.zip(bytes);
        Ok(Self {
            id: DeliveryId(row.get("id")?),
            uid: row.get("uid")?,
            endpoint: row.get("endpoint")?,
            trigger: row.get("trigger")?,
            event: row.get::<Option<i64>>("event_id")?.map(EventId),
            order_key: row.get("order_key")?,
            severity: row.get("severity")?,
            state: row.get("state")?,
            is_blocked: row.get("blocked")?,
            created_at: row.time("created_at")?,
            next_at: row.time("next_at")?,
            attempts: row.get("attempts")?,
            redelivered: row.get("redelivered")?,
            body: body.map(|(content_type, bytes)| Body {
                content_type,
                bytes,
            }),
            last_at: row.get::<Option<i64>>("last_at")?.map(Timestamp),
            last_status: row.get("last_status")?,
            last_error: row.get("last_error")?,
            last_answer: row.get("last_answer")?,
            headers: match row.get::<Option<String>>("headers")? {
                Some(_) => row.json("headers")?,
                None => BTreeMap::new(),
            },
            held_by: row.get("held_by")?,
            owed_at: row.get::<Option<i64>>("owed_at")?.map(Timestamp),
            is_own: row.get("own")?,
        })
    }
}
