//! Table `event`: the bus. Written by: every agent, append-only. Read by: every agent.

mod new;
mod query;
mod retain;

use std::collections::BTreeMap;

use roundsman_kit::clock::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde_json::{Map, Value};

use crate::error::Result;
use crate::tables::{text_column, text_enum};
use crate::tx::Columns;

pub use new::{NewEvent, insert};
pub use query::{Filter, after, by_id, get, last, last_apart, latest_of, newest_id, of_condition};
pub use retain::{Brief, Hold, aged, oldest, removable, remove};

/// The longest message, in bytes.
pub const MESSAGE_BYTES: usize = 500;

/// The most that labels and data of an event have together, in bytes of their JSON: whoever reads
/// events holds pages of them.
pub const CONTENT_BYTES: usize = 32 * 1024;

/// The place of an event in the order of commits. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct EventId(pub i64);

/// Whether something happened, or began, or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It happened, at one moment.
    Occurred,
    /// A condition holds from now on.
    Firing,
    /// A condition holds no longer.
    Resolved,
}

text_enum!(
    State,
    "occurred, firing, resolved",
    Occurred = "occurred",
    Firing = "firing",
    Resolved = "resolved",
);
text_column!(State);

/// How urgent it is, as in syslog: the most urgent is the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Severity {
    /// The system is unusable.
    Emergency = 0,
    /// Someone must act at once.
    Alert = 1,
    /// A critical condition.
    Critical = 2,
    /// An error.
    Error = 3,
    /// A warning.
    Warning = 4,
    /// Normal, but worth noting.
    Notice = 5,
    /// For information.
    Info = 6,
    /// For debugging.
    Debug = 7,
}

text_enum!(
    Severity,
    "emerg, alert, crit, err, warning, notice, info, debug",
    Emergency = "emerg",
    Alert = "alert",
    Critical = "crit",
    Error = "err",
    Warning = "warning",
    Notice = "notice",
    Info = "info",
    Debug = "debug",
);

impl Severity {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
    ];

    /// The number that syslog and the store use, 0 to 7.
    pub fn level(self) -> u8 {
        self as u8
    }
}

impl ToSql for Severity {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.level().into())
    }
}

impl FromSql for Severity {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let level = value.as_i64()?;
        Self::ALL
            .into_iter()
            .find(|severity| i64::from(severity.level()) == level)
            .ok_or(FromSqlError::OutOfRange(level))
    }
}

/// A committed event.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Event {
    /// Its place in the order of commits on this host.
    pub id: EventId,
    /// Its id everywhere else: the CloudEvents id, the webhook id.
    pub uid: String,
    /// When it was seen.
    pub at: Timestamp,
    /// The agent that saw it.
    pub agent: String,
    /// What it is, as `hostmetrics.disk`.
    pub kind: String,
    /// Whether it happened, began or ended.
    pub state: State,
    /// The same for all events of one condition.
    pub correlation: Option<String>,
    /// How urgent it is.
    pub severity: Severity,
    /// What it is about: a unit, a mount point, an object.
    pub subject: Option<String>,
    /// Events with the same key are delivered in order.
    pub order_key: Option<String>,
    /// Short values to select by.
    pub labels: BTreeMap<String, String>,
    /// Everything else.
    pub data: Map<String, Value>,
    /// A sentence for a person, [`MESSAGE_BYTES`] at most.
    pub message: String,
    /// What makes seeing it again no new event.
    pub dedup_key: Option<String>,
}

const COLUMNS: &str = "id, uid, at, agent, kind, state, correlation, severity, subject, \
                       order_key, labels, data, message, dedup_key";

impl Event {
    fn from_row(row: &Columns<'_>) -> Result<Self> {
        Ok(Self {
            id: EventId(row.get("id")?),
            uid: row.get("uid")?,
            at: row.time("at")?,
            agent: row.get("agent")?,
            kind: row.get("kind")?,
            state: row.get("state")?,
            correlation: row.get("correlation")?,
            severity: row.get("severity")?,
            subject: row.get("subject")?,
            order_key: row.get("order_key")?,
            labels: row.json("labels")?,
            data: row.json("data")?,
            message: row.get("message")?,
            dedup_key: row.get("dedup_key")?,
        })
    }
}
