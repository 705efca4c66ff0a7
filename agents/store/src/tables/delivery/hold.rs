//! Deliveries that are held back: by quiet hours, or by a silence.

use std::collections::BTreeMap;

use roundsman_kit::clock::Timestamp;
use rusqlite::named_params;

use super::DeliveryId;
use crate::error::Result;
use crate::event::Severity;
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

/// Deliveries that are held back alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What holds them, and until when.
    pub hold: Hold,
    /// The trigger that made them.
    pub trigger: String,
    /// How urgent they are.
    pub severity: Severity,
}

const HOLDS: &str = "\
    SELECT DISTINCT held_by, next_at, trigger, severity FROM delivery
    WHERE state = 'due' AND held_by IS NOT NULL AND next_at > ?1";

/// How deliveries are held back now, each way once.
///
/// # Errors
/// That of SQLite.
pub fn holds(tx: &ReadTx<'_>, now: Timestamp) -> Result<Vec<Held>> {
    let doing = Doing::on("delivery", "list what is held back");
    tx.rows(doing, HOLDS, [now.as_millis()], |row| {
        Ok(Held {
            hold: Hold {
                by: row.get("held_by")?,
                until: row.time("next_at")?,
            },
            trigger: row.get("trigger")?,
            severity: row.get("severity")?,
        })
    })
}

const HOLD_AGAIN: &str = "\
    UPDATE delivery SET held_by = :new, next_at = :until, owed_at = :until
    WHERE state = 'due' AND held_by = :by AND trigger = :trigger AND next_at = :former
      AND severity = :severity";

/// Holds these back otherwise, or from now on no more.
///
/// # Errors
/// That of SQLite.
pub fn hold_again(
    tx: &WriteTx<'_>,
    held: &Held,
    other: Option<&Hold>,
    now: Timestamp,
) -> Result<usize> {
    let params = named_params! {
        ":by": held.hold.by,
        ":former": held.hold.until.as_millis(),
        ":trigger": held.trigger,
        ":severity": held.severity,
        ":new": other.map(|hold| &hold.by),
        ":until": other.map_or(now, |hold| hold.until).as_millis(),
    };
    tx.execute(Doing::on("delivery", "hold otherwise"), HOLD_AGAIN, params)
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
