//! What retention has to know beyond single tables: who still reads events, and which deliveries
//! are over. Used by: janitor.

use roundsman_kit::clock::Timestamp;
use rusqlite::named_params;

use crate::error::Result;
use crate::tables::delivery::{self, DeliveryId};
use crate::tables::event::EventId;
use crate::tx::{Doing, ReadTx, WriteTx};

/// The beginning of the streams of table `cursor` that are readers of events.
pub const READER: &str = "reader:";

/// Somebody who reads the events in their order and remembers how far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// `herald/ops`: the agent, and what it calls this reader.
    pub name: String,
    /// The last event it has seen. A position that is no number is the beginning.
    pub position: EventId,
    /// When it last moved, or was last known to be alive.
    pub updated_at: Timestamp,
}

const READERS: &str = "\
    SELECT agent, stream, position, updated_at
    FROM cursor
    WHERE substr(stream, 1, length(:prefix)) = :prefix
    ORDER BY agent, stream";

/// Every registered reader of events.
///
/// # Errors
/// That of SQLite.
pub fn readers(tx: &ReadTx<'_>) -> Result<Vec<Reader>> {
    let doing = Doing::on("cursor", "list the readers");
    let params = named_params! { ":prefix": READER };
    tx.rows(doing, READERS, params, |row| {
        let (agent, stream): (String, String) = (row.get("agent")?, row.get("stream")?);
        let position: String = row.get("position")?;
        let name = stream.strip_prefix(READER).unwrap_or(&stream);
        Ok(Reader {
            name: format!("{agent}/{name}"),
            position: EventId(position.parse().unwrap_or(0)),
            updated_at: row.time("updated_at")?,
        })
    })
}

const FUTURE: &str = "\
    UPDATE cursor SET updated_at = :now
    WHERE substr(stream, 1, length(:prefix)) = :prefix AND updated_at > :now";

/// Readers that have moved later than `now`, before the clock was set back, have moved now: their
/// age begins.
///
/// # Errors
/// That of SQLite.
pub fn begin_age(tx: &WriteTx<'_>, now: Timestamp) -> Result<usize> {
    let doing = Doing::on("cursor", "begin the age");
    let params = named_params! { ":prefix": READER, ":now": now.as_millis() };
    tx.execute(doing, FUTURE, params)
}

/// Why a delivery is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// The endpoint has it.
    Done,
    /// It was parked, and nobody has put it back.
    Parked,
    /// It is owed to an endpoint that the configuration does not have any more.
    Orphaned,
}

impl Ended {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Done, Self::Parked, Self::Orphaned];

    fn sql(self) -> &'static str {
        match self {
            Self::Done => DONE,
            Self::Parked => PARKED,
            Self::Orphaned => ORPHANED,
        }
    }
}

/// A delivery that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// Its place in the order of its endpoint.
    pub id: DeliveryId,
    /// To whom.
    pub endpoint: String,
}

const DONE: &str = "\
    SELECT id, endpoint FROM delivery
    WHERE state = 'done' AND created_at < :before AND coalesce(last_at, created_at) < :before
    ORDER BY created_at
    LIMIT :limit";

const PARKED: &str = "\
    SELECT id, endpoint FROM delivery
    WHERE state = 'parked' AND created_at < :before AND coalesce(last_at, created_at) < :before
    ORDER BY created_at
    LIMIT :limit";

const ORPHANED: &str = "\
    SELECT id, endpoint FROM delivery
    WHERE state = 'due' AND created_at < :before
      AND endpoint IN (SELECT name FROM endpoint WHERE gone_at IS NOT NULL)
    ORDER BY created_at
    LIMIT :limit";

/// Deliveries that ended so before `before`, `limit` at most.
///
/// # Errors
/// That of SQLite.
pub fn over(tx: &ReadTx<'_>, ended: Ended, before: Timestamp, limit: u32) -> Result<Vec<Over>> {
    let params = named_params! { ":before": before.as_millis(), ":limit": limit };
    deliveries(tx, ended.sql(), params)
}

/// How many deliveries ended so before `before`.
///
/// # Errors
/// That of SQLite.
pub fn count(tx: &ReadTx<'_>, ended: Ended, before: Timestamp) -> Result<u64> {
    const EVERY: i64 = -1;
    let sql = format!("SELECT count(*) AS total FROM ({})", ended.sql());
    let params = named_params! { ":before": before.as_millis(), ":limit": EVERY };
    let doing = Doing::on("delivery", "count old ones");
    let counted = tx.row(doing, &sql, params, |row| row.count("total"))?;
    Ok(counted.unwrap_or(0))
}

const OPEN: &str = "\
    SELECT id, endpoint FROM delivery
    WHERE event_id IN (SELECT value FROM json_each(:ids)) AND state <> 'done'
    ORDER BY id";

/// The deliveries of `events` that are not done.
///
/// # Errors
/// That of SQLite.
pub fn open(tx: &ReadTx<'_>, events: &[EventId]) -> Result<Vec<Over>> {
    let ids: Vec<i64> = events.iter().map(|id| id.0).collect();
    let ids = serde_json::Value::from(ids).to_string();
    deliveries(tx, OPEN, named_params! { ":ids": ids })
}

// Without an event nothing else removes them.
const FROZEN: &str = "\
    SELECT id, endpoint FROM delivery
    WHERE state <> 'done'
    ORDER BY id
    LIMIT :limit";

/// The oldest deliveries that are not done, whatever they belong to.
///
/// # Errors
/// That of SQLite.
pub fn oldest_open(tx: &ReadTx<'_>, limit: u32) -> Result<Vec<Over>> {
    deliveries(tx, FROZEN, named_params! { ":limit": limit })
}

fn deliveries(tx: &ReadTx<'_>, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Over>> {
    tx.rows(
        Doing::on("delivery", "look for old ones"),
        sql,
        params,
        |row| {
            Ok(Over {
                id: DeliveryId(row.get("id")?),
                endpoint: row.get("endpoint")?,
            })
        },
    )
}

const REMOVE: &str = "\
    DELETE FROM delivery
    WHERE id IN (SELECT value FROM json_each(?1)) AND state <> 'due'";

/// Removes deliveries. One that is owed lets go of its key first.
///
/// # Errors
/// That of SQLite.
pub fn remove(tx: &WriteTx<'_>, deliveries: &[Over]) -> Result<usize> {
    let ids: Vec<i64> = deliveries.iter().map(|over| over.id.0).collect();
    let ids = serde_json::Value::from(ids).to_string();
    let mut removed = tx.execute(Doing::on("delivery", "remove old ones"), REMOVE, [ids])?;
    if removed < deliveries.len() {
        for over in deliveries {
            removed += usize::from(delivery::discard(tx, over.id)?);
        }
    }
    Ok(removed)
}
