//! Reading deliveries.

use std::collections::BTreeMap;

use roundsman_kit::clock::Timestamp;
use rusqlite::named_params;

use super::{COLUMNS, Delivery, DeliveryId, State};
use crate::error::Result;
use crate::event::EventId;
use crate::tx::{Doing, ReadTx};

fn many(tx: &ReadTx<'_>, rest: &str, params: impl rusqlite::Params) -> Result<Vec<Delivery>> {
    let sql = format!("SELECT {COLUMNS} FROM delivery {rest}");
    tx.rows(
        Doing::on("delivery", "select"),
        &sql,
        params,
        Delivery::from_row,
    )
}

const HEADS: &str = "\
    SELECT id FROM delivery
    WHERE endpoint = ?1 AND state = 'due' AND blocked = 0 AND next_at <= ?2
    ORDER BY next_at, id
    LIMIT ?3";

/// The deliveries of an endpoint that may be tried now: due, and the first of their key. Those
/// that have waited longest come first, `limit` at most. An index alone answers it.
///
/// # Errors
/// That of SQLite.
pub fn heads(
    tx: &ReadTx<'_>,
    endpoint: &str,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<DeliveryId>> {
    let doing = Doing::on("delivery", "read the first");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    tx.rows(doing, HEADS, (endpoint, now.as_millis(), limit), |row| {
        Ok(DeliveryId(row.get("id")?))
    })
}

/// What an endpoint is owed under a key after the delivery `after`, in order: as much of it as is
/// due by now without a gap, `limit` at most.
///
/// # Errors
/// That of SQLite, or a value that this version does not understand.
pub fn following(
    tx: &ReadTx<'_>,
    (endpoint, order_key): (&str, &str),
    after: DeliveryId,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Delivery>> {
    let rest = "\
        WHERE endpoint = :endpoint AND order_key = :order_key AND state = 'due' AND id > :after
        ORDER BY id
        LIMIT :limit";
    let params = named_params! {
        ":endpoint": endpoint,
        ":order_key": order_key,
        ":after": after.0,
        ":limit": i64::try_from(limit).unwrap_or(i64::MAX),
    };
    let mut found = many(tx, rest, params)?;
    let gap = found.iter().position(|one| one.next_at > now);
    found.truncate(gap.unwrap_or(found.len()));
    Ok(found)
}

/// The oldest delivery that an endpoint is owed and nothing holds back, whenever it is due: the
/// one to probe with.
///
/// # Errors
/// As [`following`].
pub fn oldest_due(tx: &ReadTx<'_>, endpoint: &str, now: Timestamp) -> Result<Option<Delivery>> {
    let rest = "\
        WHERE endpoint = :endpoint AND state = 'due' AND blocked = 0
          AND (held_by IS NULL OR next_at <= :now)
        ORDER BY id
        LIMIT 1";
    let params = named_params! { ":endpoint": endpoint, ":now": now.as_millis() };
    let found = many(tx, rest, params)?;
    Ok(found.into_iter().next())
}

const NEXT_AT: &str = "\
    SELECT next_at FROM delivery
    WHERE endpoint = ?1 AND state = 'due' AND blocked = 0 AND next_at > ?2
    ORDER BY next_at
    LIMIT 1";

/// When the next delivery of an endpoint becomes due, after `now`.
///
/// # Errors
/// That of SQLite.
pub fn next_at(tx: &ReadTx<'_>, endpoint: &str, now: Timestamp) -> Result<Option<Timestamp>> {
    let doing = Doing::on("delivery", "read the next");
    tx.row(doing, NEXT_AT, (endpoint, now.as_millis()), |row| {
        row.time("next_at")
    })
}

/// The delivery with this id.
///
/// # Errors
/// As [`following`].
pub fn get(tx: &ReadTx<'_>, id: DeliveryId) -> Result<Option<Delivery>> {
    Ok(many(tx, "WHERE id = ?1", [id.0])?.into_iter().next())
}

/// Which deliveries; everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// To this endpoint.
    pub endpoint: Option<String>,
    /// In this state.
    pub state: Option<State>,
    /// Not made before this time.
    pub since: Option<Timestamp>,
}

/// The last `limit` deliveries that pass, oldest first.
///
/// # Errors
/// As [`following`].
pub fn list(tx: &ReadTx<'_>, filter: &Filter, limit: u32) -> Result<Vec<Delivery>> {
    select(tx, COLUMNS, filter, limit)
}

/// The same; a body that there is comes back without its bytes.
///
/// # Errors
/// As [`heads`].
pub fn list_without_bodies(tx: &ReadTx<'_>, filter: &Filter, limit: u32) -> Result<Vec<Delivery>> {
    let columns = COLUMNS.replace(" body,", " iif(body IS NULL, NULL, x'') AS body,");
    select(tx, &columns, filter, limit)
}

fn select(tx: &ReadTx<'_>, columns: &str, filter: &Filter, limit: u32) -> Result<Vec<Delivery>> {
    let rest = "\
        WHERE (:endpoint IS NULL OR endpoint = :endpoint)
          AND (:state IS NULL OR state = :state)
          AND (:since IS NULL OR created_at >= :since)
        ORDER BY id DESC
        LIMIT :limit";
    let params = named_params! {
        ":endpoint": filter.endpoint,
        ":state": filter.state,
        ":since": filter.since.map(Timestamp::as_millis),
        ":limit": limit,
    };
    let sql = format!("SELECT {columns} FROM delivery {rest}");
    let doing = Doing::on("delivery", "select");
    let mut found = tx.rows(doing, &sql, params, Delivery::from_row)?;
    found.reverse();
    Ok(found)
}

/// What became of an event, by endpoint; the last `limit` of them.
///
/// # Errors
/// As [`heads`].
pub fn of_event(tx: &ReadTx<'_>, event: EventId, limit: u32) -> Result<Vec<Delivery>> {
    let rest = "WHERE event_id = ?1 ORDER BY endpoint, id LIMIT ?2";
    many(tx, rest, (event.0, limit))
}

const BY_TRIGGER: &str = "SELECT trigger, count(*) AS total FROM delivery GROUP BY trigger";

/// How many deliveries of each trigger the store has. It reads the whole table: for people.
///
/// # Errors
/// That of SQLite.
pub fn by_trigger(tx: &ReadTx<'_>) -> Result<BTreeMap<String, u64>> {
    let doing = Doing::on("delivery", "count by trigger");
    let counts = tx.rows(doing, BY_TRIGGER, [], |row| {
        Ok((row.get("trigger")?, row.count("total")?))
    })?;
    Ok(counts.into_iter().collect())
}

/// How many deliveries an endpoint has in one state.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    /// The endpoint.
    pub endpoint: String,
    /// The state.
    pub state: State,
    /// How many there are now.
    pub total: u64,
}

const COUNTS: &str = "\
    SELECT endpoint, state, total FROM delivery_count WHERE total > 0 ORDER BY endpoint, state";

/// All counts, from rows that the store keeps itself.
///
/// # Errors
/// That of SQLite.
pub fn counts(tx: &ReadTx<'_>) -> Result<Vec<Count>> {
    let doing = Doing::on("delivery_count", "select");
    tx.rows(doing, COUNTS, [], |row| {
        Ok(Count {
            endpoint: row.get("endpoint")?,
            state: row.get("state")?,
            total: row.count("total")?,
        })
    })
}
