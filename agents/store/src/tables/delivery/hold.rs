//! Deliveries that are held back: by quiet hours, or by a silence.

use std::collections::BTreeMap;

use roundsman_kit::clock::Timestamp;
use rusqlite::named_params;

use super::DeliveryId;
use crate::error::Result;
use crate::event::{EventId, Severity};
use crate::tx::{Doing, ReadTx, WriteTx};

/// What holds a delivery back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// `quiet`, or `silence:NAME`.
    pub by: String,
    /// It is due then.
    pub until: Timestamp,
}

const HOLD: &str = "\
    UPDATE delivery SET held_by = :by, next_at = :until, owed_at = :until
    WHERE id = :id AND state = 'due'";

/// Holds a delivery back. Its age counts from the end of that.
///
/// # Errors
/// That of SQLite.
pub fn hold(tx: &WriteTx<'_>, id: DeliveryId, hold: &Hold) -> Result<()> {
    let params = named_params! { ":id": id.0, ":by": hold.by, ":until": hold.until.as_millis() };
    tx.execute(Doing::on("delivery", "hold back"), HOLD, params)?;
    Ok(())
}

const OF_KEY: &str = "\
    SELECT held_by, next_at FROM delivery
    WHERE endpoint = :endpoint AND order_key = :key AND state = 'due'
      AND held_by IS NOT NULL AND held_by IS NOT :but AND next_at > :now
    ORDER BY next_at DESC
    LIMIT 1";

/// What holds back an earlier delivery of the same endpoint and key, other than `but`: a later one
/// would wait for it.
///
/// # Errors
/// That of SQLite.
pub fn hold_of_key(
    tx: &ReadTx<'_>,
    (endpoint, key): (&str, &str),
    but: Option<&str>,
    now: Timestamp,
) -> Result<Option<Hold>> {
    let params = named_params! {
        ":endpoint": endpoint,
        ":key": key,
        ":but": but,
        ":now": now.as_millis(),
    };
    let doing = Doing::on("delivery", "look for what is held back");
    tx.row(doing, OF_KEY, params, |row| {
        Ok(Hold {
            by: row.get("held_by")?,
            until: row.time("next_at")?,
        })
    })
}

const RELEASE_KEY: &str = "\
    UPDATE delivery SET held_by = NULL, next_at = :now, owed_at = :now
    WHERE endpoint = :endpoint AND order_key = :key AND state = 'due'
      AND held_by IS NOT NULL AND (:by IS NULL OR held_by = :by) AND next_at > :now";

/// Lets go what is held back with this endpoint and key: by `by`, or by anything.
///
/// # Errors
/// That of SQLite.
pub fn release_key(
    tx: &WriteTx<'_>,
    (endpoint, key): (&str, &str),
    by: Option<&str>,
    now: Timestamp,
) -> Result<usize> {
    let params = named_params! {
        ":endpoint": endpoint,
        ":key": key,
        ":by": by,
        ":now": now.as_millis(),
    };
    tx.execute(Doing::on("delivery", "release"), RELEASE_KEY, params)
}

/// A delivery that is owed, as far as what may hold it back goes by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// Its place in the order.
    pub id: DeliveryId,
    /// The event; none for a group.
    pub event: Option<EventId>,
    /// To whom.
    pub endpoint: String,
    /// The trigger that made it.
    pub trigger: String,
    /// Deliveries with the same key reach the endpoint in order.
    pub order_key: Option<String>,
    /// How urgent it is.
    pub severity: Severity,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is tried next.
    pub next_at: Timestamp,
    /// What holds it back, if anything does.
    pub held_by: Option<String>,
}

const OWED: &str = "\
    SELECT id, event_id, endpoint, trigger, order_key, severity, created_at, next_at, held_by
    FROM delivery
    WHERE state = 'due' AND (created_at, id) > (?1, ?2)
    ORDER BY created_at, id
    LIMIT ?3";

/// What is owed after this one, whenever it is due, in the order in which it was made; `limit` at
/// most. Holding back does not change that order.
///
/// # Errors
/// That of SQLite.
pub fn owed(
    tx: &ReadTx<'_>,
    (created_at, id): (Timestamp, DeliveryId),
    limit: u32,
) -> Result<Vec<Owed>> {
    let doing = Doing::on("delivery", "list what is owed");
    tx.rows(doing, OWED, (created_at.as_millis(), id.0, limit), |row| {
        Ok(Owed {
            id: DeliveryId(row.get("id")?),
            event: row.get::<Option<i64>>("event_id")?.map(EventId),
            endpoint: row.get("endpoint")?,
            trigger: row.get("trigger")?,
            order_key: row.get("order_key")?,
            severity: row.get("severity")?,
            created_at: row.time("created_at")?,
            next_at: row.time("next_at")?,
            held_by: row.get("held_by")?,
        })
    })
}

const HOLDS_ANY: &str = "\
    SELECT 1 AS one FROM delivery INDEXED BY delivery_held
    WHERE state = 'due' AND held_by IS NOT NULL
    LIMIT 1";

/// Whether anything is held back, or was until its time came.
///
/// # Errors
/// That of SQLite.
pub fn holds_any(tx: &ReadTx<'_>) -> Result<bool> {
    let doing = Doing::on("delivery", "look for what is held back");
    let found = tx.row(doing, HOLDS_ANY, [], |row| row.get::<i64>("one"))?;
    Ok(found.is_some())
}

const LET_GO: &str = "\
    UPDATE delivery SET held_by = NULL, next_at = :now, owed_at = :now
    WHERE id = :id AND state = 'due'";

/// Holds a delivery back no more.
///
/// # Errors
/// That of SQLite.
pub fn let_go(tx: &WriteTx<'_>, id: DeliveryId, now: Timestamp) -> Result<()> {
    let params = named_params! { ":id": id.0, ":now": now.as_millis() };
    tx.execute(Doing::on("delivery", "let go"), LET_GO, params)?;
    Ok(())
}

const LAST_URGENT: &str = "\
    SELECT max(id) AS last FROM delivery
    WHERE endpoint = ?1 AND order_key = ?2 AND state = 'due' AND held_by IS NULL
      AND severity <= 2";

/// The last delivery of this endpoint and key that is critical or more urgent and not held back:
/// what comes before it has to go first.
///
/// # Errors
/// That of SQLite.
pub fn last_urgent(tx: &ReadTx<'_>, endpoint: &str, key: &str) -> Result<Option<DeliveryId>> {
    let doing = Doing::on("delivery", "look for what is urgent");
    let found = tx.row(doing, LAST_URGENT, (endpoint, key), |row| {
        row.get::<Option<i64>>("last")
    })?;
    Ok(found.flatten().map(DeliveryId))
}

const HURRY: &str = "\
    UPDATE delivery SET next_at = min(created_at, :now)
    WHERE endpoint = :endpoint AND state = 'due' AND blocked = 0 AND next_at > :now
      AND (next_at > :latest OR coalesce(last_at, created_at) > :now) AND held_by IS NULL";

const HURRY_BLOCKED: &str = "\
    UPDATE delivery SET next_at = min(created_at, :now)
    WHERE endpoint = :endpoint AND state = 'due' AND order_key IS NOT NULL AND blocked = 1
      AND next_at > :now AND held_by IS NULL";

/// Makes due now what a clock that was set back has put off: what is due later than `latest`, or
/// was last touched later than now. What is held back stays so. Returns how many could go.
///
/// # Errors
/// That of SQLite.
pub fn hurry(tx: &WriteTx<'_>, endpoint: &str, latest: Timestamp, now: Timestamp) -> Result<usize> {
    let params = named_params! {
        ":endpoint": endpoint,
        ":latest": latest.as_millis(),
        ":now": now.as_millis(),
    };
    let doing = || Doing::on("delivery", "bring forward");
    let hurried = tx.execute(doing(), HURRY, params)?;
    if hurried > 0 {
        // An index knows only those that may go. What waits behind them is as late.
        let params = named_params! { ":endpoint": endpoint, ":now": now.as_millis() };
        tx.execute(doing(), HURRY_BLOCKED, params)?;
    }
    Ok(hurried)
}

/// How much one thing holds back.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HeldCount {
    /// `quiet`, `silence:NAME`, or `group`: events that wait for others.
    pub reason: String,
    /// How many deliveries, or events of groups.
    pub count: u64,
}

const HELD: &str = "\
    SELECT reason, sum(total) AS total
    FROM (SELECT held_by AS reason, count(*) AS total FROM delivery
          WHERE state = 'due' AND held_by IS NOT NULL AND next_at > :now
          GROUP BY held_by
          UNION ALL
          SELECT iif(held_by = '', 'group', held_by), count(*)
          FROM delivery_group JOIN delivery_member ON group_id = id
          WHERE told = 0 AND closes_at IS NOT NULL
          GROUP BY 1)
    GROUP BY reason
    ORDER BY reason";

/// How much is held back now, by what.
///
/// # Errors
/// That of SQLite.
pub fn held(tx: &ReadTx<'_>, now: Timestamp) -> Result<Vec<HeldCount>> {
    let doing = Doing::on("delivery", "count what is held back");
    let params = named_params! { ":now": now.as_millis() };
    tx.rows(doing, HELD, params, |row| {
        Ok(HeldCount {
            reason: row.get("reason")?,
            count: row.count("total")?,
        })
    })
}

const DRESS: &str = "UPDATE delivery SET headers = ?2 WHERE id = ?1";

/// Keeps header fields with a frozen body.
///
/// # Errors
/// That of SQLite.
pub fn dress(tx: &WriteTx<'_>, id: DeliveryId, headers: &BTreeMap<String, String>) -> Result<()> {
    if headers.is_empty() {
        return Ok(());
    }
    let fields = headers
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().into()));
    let fields = serde_json::Value::Object(fields.collect()).to_string();
    tx.execute(
        Doing::on("delivery", "keep header fields"),
        DRESS,
        (id.0, fields),
    )?;
    Ok(())
}

const MARK_OWN: &str = "UPDATE delivery SET own = 1 WHERE id = ?1";

/// The digest carries an event of the agent that delivers.
///
/// # Errors
/// That of SQLite.
pub fn mark_own(tx: &WriteTx<'_>, id: DeliveryId) -> Result<()> {
    tx.execute(Doing::on("delivery", "mark"), MARK_OWN, [id.0])?;
    Ok(())
}

const REPLACE: &str = "\
    DELETE FROM delivery
    WHERE endpoint = :endpoint AND trigger = :trigger AND state = 'due' AND uid <> :uid
      AND event_id IS NULL AND order_key IS NULL";

/// Forgets what an endpoint is still owed of this trigger, but for `uid`: there is a newer one.
/// Meant for deliveries without event and key.
///
/// # Errors
/// That of SQLite.
pub fn replace(tx: &WriteTx<'_>, endpoint: &str, trigger: &str, uid: &str) -> Result<usize> {
    let params = named_params! { ":endpoint": endpoint, ":trigger": trigger, ":uid": uid };
    tx.execute(Doing::on("delivery", "replace"), REPLACE, params)
}

const IS_KNOWN: &str = "SELECT 1 AS one FROM delivery WHERE endpoint = ?1 AND uid = ?2";

/// Whether an endpoint has, or is owed, this uid.
///
/// # Errors
/// That of SQLite.
pub fn is_known(tx: &ReadTx<'_>, endpoint: &str, uid: &str) -> Result<bool> {
    let doing = Doing::on("delivery", "look for one");
    let found = tx.row(doing, IS_KNOWN, (endpoint, uid), |row| {
        row.get::<i64>("one")
    })?;
    Ok(found.is_some())
}

const IS_DUE: &str = "\
    SELECT 1 AS one FROM delivery WHERE endpoint = ?1 AND uid = ?2 AND state = 'due'";

/// Whether an endpoint is still owed this uid.
///
/// # Errors
/// That of SQLite.
pub fn is_due(tx: &ReadTx<'_>, endpoint: &str, uid: &str) -> Result<bool> {
    let doing = Doing::on("delivery", "look for one");
    let found = tx.row(doing, IS_DUE, (endpoint, uid), |row| row.get::<i64>("one"))?;
    Ok(found.is_some())
}
