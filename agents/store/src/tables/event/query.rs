//! Reading events.

use std::cell::Cell;

use roundsman_kit::clock::Timestamp;
use rusqlite::types::{ToSql, Value};

use super::{COLUMNS, Event, EventId, Severity};
use crate::error::Result;
use crate::rows::{Page, Rows};
use crate::tx::{Doing, ReadTx};

/// Which events; everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Not seen before this time.
    pub since: Option<Timestamp>,
    /// A kind that fits one of these globs (`hostmetrics.*`); all kinds if there is none.
    pub kinds: Vec<String>,
    /// As urgent as this or more.
    pub min_severity: Option<Severity>,
    /// Seen by this agent.
    pub agent: Option<String>,
}

// Results come in the order of ids, and with them alone SQLite would read back to the first event
// there is. The index knows below which id none can be that late.
const SINCE: &str = "\
    at >= :since
    AND id >= (SELECT min(id) FROM event INDEXED BY event_at WHERE at >= :since)";

/// Conditions of a WHERE clause, with the values of their parameters.
#[derive(Default)]
struct Conditions {
    sql: Vec<&'static str>,
    params: Vec<(&'static str, Value)>,
}

impl Conditions {
    fn require(&mut self, sql: &'static str, param: &'static str, value: impl Into<Value>) {
        self.sql.push(sql);
        self.params.push((param, value.into()));
    }

    fn clause(&self) -> String {
        if self.sql.is_empty() {
            return String::new();
        }
        format!("WHERE {}", self.sql.join(" AND "))
    }
}

impl Filter {
    fn conditions(&self) -> Conditions {
        let mut all = Conditions::default();
        if let Some(since) = self.since {
            all.require(SINCE, ":since", since.as_millis());
        }
        if !self.kinds.is_empty() {
            let globs = serde_json::Value::from(self.kinds.clone()).to_string();
            let any = "EXISTS (SELECT 1 FROM json_each(:kinds) WHERE kind GLOB value)";
            all.require(any, ":kinds", globs);
        }
        if let Some(severity) = self.min_severity {
            all.require("severity <= :severity", ":severity", severity.level());
        }
        if let Some(agent) = &self.agent {
            all.require("agent = :agent", ":agent", agent.clone());
        }
        all
    }
}

fn select(
    tx: &ReadTx<'_>,
    conditions: &Conditions,
    limit: u32,
    order: &str,
    reached: &Cell<Option<EventId>>,
) -> Result<Rows<Event>> {
    let clause = conditions.clause();
    let sql = format!("SELECT {COLUMNS} FROM event {clause} ORDER BY id {order} LIMIT :limit");
    let limit = Value::from(limit);
    let params = conditions.params.iter().map(|(name, value)| (*name, value));
    let params: Vec<(&str, &dyn ToSql)> = params
        .chain([(":limit", &limit)])
        .map(|(name, value)| (name, value as &dyn ToSql))
        .collect();
    let doing = Doing::on("event", "select");
    tx.rows_apart(doing, &sql, &*params, &["id"], |row| {
        reached.set(Some(EventId(row.get("id")?)));
        Event::from_row(row)
    })
}

/// The last `limit` events that pass, oldest first, all of them or none.
///
/// # Errors
/// That of SQLite, or a value that this version does not understand.
pub fn last(tx: &ReadTx<'_>, filter: &Filter, limit: u32) -> Result<Vec<Event>> {
    last_apart(tx, filter, limit)?.whole()
}

/// The same, with those apart that this version cannot read.
///
/// # Errors
/// That of SQLite.
pub fn last_apart(tx: &ReadTx<'_>, filter: &Filter, limit: u32) -> Result<Rows<Event>> {
    let mut events = select(tx, &filter.conditions(), limit, "DESC", &Cell::default())?;
    events.found.reverse();
    events.unreadable.reverse();
    Ok(events)
}

/// The first `limit` events after `id` that pass, oldest first: what a reader with a cursor asks.
/// It goes on from where the page has reached, past rows that it could not read.
///
/// # Errors
/// As [`last_apart`].
pub fn after(
    tx: &ReadTx<'_>,
    filter: &Filter,
    id: EventId,
    limit: u32,
) -> Result<Page<Event, EventId>> {
    let mut conditions = filter.conditions();
    conditions.require("id > :after", ":after", id.0);
    let reached = Cell::default();
    let rows = select(tx, &conditions, limit, "ASC", &reached)?;
    let n_rows = rows.found.len() + rows.unreadable.len();
    Ok(Page {
        rows,
        reached: reached.get(),
        is_full: n_rows >= limit as usize,
    })
}

const GET: &str = "\
    SELECT id, uid, at, agent, kind, state, correlation, severity, subject,
           order_key, labels, data, message, dedup_key
    FROM event
    WHERE uid = ?1";

/// The event with this uid.
///
/// # Errors
/// As [`last`].
pub fn get(tx: &ReadTx<'_>, uid: &str) -> Result<Option<Event>> {
    tx.row(Doing::on("event", "get"), GET, [uid], Event::from_row)
}

const BY_ID: &str = "\
    SELECT id, uid, at, agent, kind, state, correlation, severity, subject,
           order_key, labels, data, message, dedup_key
    FROM event
    WHERE id = ?1";

/// The event at this place, if it is still there.
///
/// # Errors
/// As [`last`].
pub fn by_id(tx: &ReadTx<'_>, id: EventId) -> Result<Option<Event>> {
    tx.row(Doing::on("event", "get"), BY_ID, [id.0], Event::from_row)
}

const LATEST_OF: &str = "\
    SELECT id, uid, at, agent, kind, state, correlation, severity, subject,
           order_key, labels, data, message, dedup_key
    FROM event
    WHERE correlation = ?1
    ORDER BY id DESC
    LIMIT 1";

/// The latest event of a condition: its state tells whether it still holds.
///
/// # Errors
/// As [`last`].
pub fn latest_of(tx: &ReadTx<'_>, correlation: &str) -> Result<Option<Event>> {
    let doing = Doing::on("event", "read the latest of a condition");
    tx.row(doing, LATEST_OF, [correlation], Event::from_row)
}

// Not max(id): when all events are deleted, ids still go on from here.
const NEWEST_ID: &str = "SELECT seq FROM sqlite_sequence WHERE name = 'event'";

/// The id of the newest event there has ever been, 0 before the first: where a reader starts
/// that wants only what comes from now on.
///
/// # Errors
/// That of SQLite.
pub fn newest_id(tx: &ReadTx<'_>) -> Result<EventId> {
    let doing = Doing::on("event", "read the newest id");
    let newest = tx.row(doing, NEWEST_ID, [], |row| row.get("seq"))?;
    Ok(EventId(newest.unwrap_or(0)))
}

const OF_CONDITION: &str = "\
    SELECT id, uid, at, agent, kind, state, correlation, severity, subject,
           order_key, labels, data, message, dedup_key
    FROM event
    WHERE correlation = ?1 AND id <= ?2
    ORDER BY id DESC
    LIMIT ?3";

/// The last events of a condition up to `id`, oldest first, `limit` at most.
///
/// # Errors
/// As [`last`].
pub fn of_condition(
    tx: &ReadTx<'_>,
    correlation: &str,
    id: EventId,
    limit: u32,
) -> Result<Vec<Event>> {
    let doing = Doing::on("event", "read a condition");
    let params = (correlation, id.0, limit);
    let mut found = tx.rows(doing, OF_CONDITION, params, Event::from_row)?;
    found.reverse();
    Ok(found)
}
