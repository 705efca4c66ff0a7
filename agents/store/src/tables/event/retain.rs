//! Finding and removing events that nobody needs any more. Used by: janitor.

use roundsman_kit::clock::Timestamp;
use rusqlite::named_params;

use super::EventId;
use crate::error::Result;
use crate::tx::{Columns, Doing, ReadTx, WriteTx};

/// What retention has to know of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brief {
    /// Its place in the order of commits.
    pub id: EventId,
    /// When it was seen.
    pub at: Timestamp,
    /// What it is.
    pub kind: String,
}

impl Brief {
    fn from_row(row: &Columns<'_>) -> Result<Self> {
        Ok(Self {
            id: EventId(row.get("id")?),
            at: row.time("at")?,
            kind: row.get("kind")?,
        })
    }
}

/// What keeps an event although it is old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Later ones are kept: a reader has not seen them.
    pub read_up_to: EventId,
    /// Those that a delivery or a group still needs are kept.
    pub deliveries: bool,
}

impl Hold {
    /// Nothing is kept.
    pub const NONE: Self = Self {
        read_up_to: EventId(i64::MAX),
        deliveries: false,
    };
}

// The bounds are one range of the index; ids alone tell rows of one instant apart.
const AGED: &str = "\
    SELECT id, at, kind
    FROM event
    WHERE at >= :from AND at < :before AND (at, id) > (:from, :after)
    ORDER BY at, id
    LIMIT :limit";

/// The events seen from `from` on and before `before`, oldest first, `limit` at most. Of the
/// instant `from` itself only those with an id above `after`, so that the last one of a page is
/// where the next begins.
///
/// # Errors
/// That of SQLite.
pub fn aged(
    tx: &ReadTx<'_>,
    (from, after): (Timestamp, EventId),
    before: Timestamp,
    limit: u32,
) -> Result<Vec<Brief>> {
    let params = named_params! {
        ":from": from.as_millis(),
        ":after": after.0,
        ":before": before.as_millis(),
        ":limit": limit,
    };
    let doing = Doing::on("event", "look for old ones");
    tx.rows(doing, AGED, params, Brief::from_row)
}

const OLDEST: &str = "SELECT id, at, kind FROM event WHERE id > ?1 ORDER BY id LIMIT ?2";

/// The first `limit` events after `after`, in the order of commits.
///
/// # Errors
/// That of SQLite.
pub fn oldest(tx: &ReadTx<'_>, after: EventId, limit: u32) -> Result<Vec<Brief>> {
    let doing = Doing::on("event", "look for old ones");
    tx.rows(doing, OLDEST, (after.0, limit), Brief::from_row)
}

/// The condition under which one of `:ids` may go. A parked delivery that was never tried has no
/// bytes of its own: without its event it could not be put back.
macro_rules! may_go {
    () => {
        "id IN (SELECT value FROM json_each(:ids))
           AND id <= :read_up_to
           AND NOT (:deliveries AND EXISTS (
               SELECT 1 FROM delivery
               WHERE delivery.event_id = event.id
                 AND (delivery.state = 'due'
                      OR (delivery.state = 'parked' AND delivery.body IS NULL))))
           AND NOT (:deliveries AND EXISTS (
               SELECT 1 FROM delivery_member WHERE delivery_member.event_id = event.id))"
    };
}

const REMOVABLE: &str = concat!("SELECT id, at, kind FROM event WHERE ", may_go!());

/// Which of `ids` [`remove`] would remove.
///
/// # Errors
/// That of SQLite.
pub fn removable(tx: &ReadTx<'_>, ids: &[EventId], hold: Hold) -> Result<Vec<Brief>> {
    select(tx, "look for old ones", REMOVABLE, ids, hold)
}

const REMOVE: &str = concat!(
    "DELETE FROM event WHERE ",
    may_go!(),
    " RETURNING id, at, kind"
);

/// Removes those of `ids` that nothing holds, and says which these were.
///
/// # Errors
/// That of SQLite.
pub fn remove(tx: &WriteTx<'_>, ids: &[EventId], hold: Hold) -> Result<Vec<Brief>> {
    select(tx, "remove old ones", REMOVE, ids, hold)
}

fn select(
    tx: &ReadTx<'_>,
    operation: &'static str,
    sql: &str,
    ids: &[EventId],
    hold: Hold,
) -> Result<Vec<Brief>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let params = named_params! {
        ":ids": serde_json::Value::from(ids).to_string(),
        ":read_up_to": hold.read_up_to.0,
        ":deliveries": hold.deliveries,
    };
    tx.rows(Doing::on("event", operation), sql, params, Brief::from_row)
}
