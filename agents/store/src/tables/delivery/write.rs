//! Writing deliveries.

use roundsman_kit::clock::Timestamp;
use rusqlite::named_params;

use super::{ANSWER_BYTES, Body, DeliveryId};
use crate::error::Result;
use crate::event::{EventId, Severity};
use crate::tx::{Doing, WriteTx};

/// A delivery that is about to be owed.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDelivery<'a> {
    /// Its id on the wire.
    pub uid: &'a str,
    /// To whom.
    pub endpoint: &'a str,
    /// The trigger.
    pub trigger: &'a str,
    /// The event; none for a group.
    pub event: Option<EventId>,
    /// Deliveries with the same key reach the endpoint in order.
    pub order_key: Option<&'a str>,
    /// How urgent it is.
    pub severity: Severity,
    /// When it is made, and due.
    pub now: Timestamp,
    /// The frozen bytes of a group.
    pub body: Option<&'a Body>,
}

const INSERT: &str = "\
    INSERT INTO delivery (uid, endpoint, trigger, event_id, order_key, severity, state, blocked,
                          created_at, next_at, attempts, redelivered, content_type, body)
    VALUES (:uid, :endpoint, :trigger, :event, :order_key, :severity, 'due',
            EXISTS (SELECT 1 FROM delivery
                    WHERE endpoint = :endpoint AND order_key = :order_key AND state = 'due'),
            :now, :now, 0, 0, :content_type, :body)
    ON CONFLICT (endpoint, uid) DO NOTHING";

/// Adds a delivery. `None` if the endpoint has, or is owed, that uid already.
///
/// # Errors
/// That of SQLite.
pub fn insert(tx: &WriteTx<'_>, new: &NewDelivery<'_>) -> Result<Option<DeliveryId>> {
    let params = named_params! {
        ":uid": new.uid,
        ":endpoint": new.endpoint,
        ":trigger": new.trigger,
        ":event": new.event.map(|event| event.0),
        ":order_key": new.order_key,
        ":severity": new.severity,
        ":now": new.now.as_millis(),
        ":content_type": new.body.map(|body| &body.content_type),
        ":body": new.body.map(|body| &body.bytes),
    };
    let inserted = tx.execute(Doing::on("delivery", "insert"), INSERT, params)?;
    Ok((inserted > 0).then(|| DeliveryId(tx.last_insert_rowid())))
}

/// How one attempt went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// When it ended.
    pub at: Timestamp,
    /// What the endpoint answered.
    pub status: Option<u16>,
    /// What was wrong.
    pub error: Option<&'a str>,
    /// The beginning of the answer; cut at [`ANSWER_BYTES`].
    pub answer: Option<&'a [u8]>,
}

impl Attempt<'_> {
    /// One of which nothing is known but when it ended.
    pub fn at(at: Timestamp) -> Self {
        Self {
            at,
            status: None,
            error: None,
            answer: None,
        }
    }

    fn answer(&self) -> Option<String> {
        let bytes = self.answer?;
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(ANSWER_BYTES)]);
        Some(text.into_owned())
    }
}

const DONE: &str = "\
    UPDATE delivery
    SET state = 'done', attempts = attempts + 1, last_at = :at, last_status = :status,
        last_error = NULL, last_answer = NULL, content_type = NULL,
        body = iif(event_id IS NULL, body, NULL)
    WHERE id = :id AND state = 'due'";

/// The endpoint has it. False if it was taken back meanwhile. Its key is to be let go of
/// ([`release`]) before anybody else may send the next.
///
/// # Errors
/// That of SQLite.
pub fn done(tx: &WriteTx<'_>, id: DeliveryId, attempt: &Attempt<'_>) -> Result<bool> {
    let params = named_params! {
        ":id": id.0,
        ":at": attempt.at.as_millis(),
        ":status": attempt.status,
    };
    Ok(tx.execute(Doing::on("delivery", "finish"), DONE, params)? > 0)
}

const RETRY: &str = "\
    UPDATE delivery
    SET next_at = :next_at, held_by = NULL, attempts = attempts + :counts, last_at = :at, last_status = :status,
        last_error = :error, last_answer = :answer,
        content_type = coalesce(content_type, :content_type), body = coalesce(body, :body)
    WHERE id = :id AND state = 'due'";

/// It failed and is tried again at `next_at`. The bytes that were sent, if any, are frozen. An attempt
/// that failed by the endpoint's fault alone does not count (`counts`).
///
/// # Errors
/// That of SQLite.
pub fn retry(
    tx: &WriteTx<'_>,
    id: DeliveryId,
    attempt: &Attempt<'_>,
    next_at: Timestamp,
    counts: bool,
    body: Option<&Body>,
) -> Result<bool> {
    let params = named_params! {
        ":id": id.0,
        ":next_at": next_at.as_millis(),
        ":counts": counts,
        ":at": attempt.at.as_millis(),
        ":status": attempt.status,
        ":error": attempt.error,
        ":answer": attempt.answer(),
        ":content_type": body.map(|body| &body.content_type),
        ":body": body.map(|body| &body.bytes),
    };
    Ok(tx.execute(Doing::on("delivery", "put off"), RETRY, params)? > 0)
}

const PARK: &str = "\
    UPDATE delivery
    SET state = 'parked', attempts = attempts + :tried, last_at = :at,
        last_status = coalesce(:status, last_status), last_error = :error,
        last_answer = coalesce(:answer, last_answer)
    WHERE id = :id AND state = 'due'";

/// It is not tried any more; `attempt.error` says why. Its key goes on without it.
///
/// # Errors
/// That of SQLite.
pub fn park(
    tx: &WriteTx<'_>,
    id: DeliveryId,
    attempt: &Attempt<'_>,
    was_tried: bool,
) -> Result<bool> {
    let params = named_params! {
        ":id": id.0,
        ":tried": was_tried,
        ":at": attempt.at.as_millis(),
        ":status": attempt.status,
        ":error": attempt.error,
        ":answer": attempt.answer(),
    };
    let changed = tx.execute(Doing::on("delivery", "park"), PARK, params)? > 0;
    if changed {
        release_key_of(tx, id)?;
    }
    Ok(changed)
}

const RELEASE: &str = "\
    UPDATE delivery SET blocked = 0
    WHERE blocked = 1
      AND id = (SELECT id FROM delivery
                WHERE endpoint = ?1 AND order_key = ?2 AND state = 'due'
                ORDER BY id
                LIMIT 1)";

/// The next of this key may go: the one before it is done or parked.
///
/// # Errors
/// That of SQLite.
pub fn release(tx: &WriteTx<'_>, endpoint: &str, order_key: &str) -> Result<()> {
    let doing = Doing::on("delivery", "release the key");
    tx.execute(doing, RELEASE, (endpoint, order_key))?;
    Ok(())
}

const RELEASE_ALL: &str = "\
    UPDATE delivery SET blocked = 0
    WHERE blocked = 1
      AND id IN (SELECT min(id) FROM delivery
                 WHERE state = 'due' AND order_key IS NOT NULL
                 GROUP BY endpoint, order_key)";

/// The first of every key may go. Who has deliveries in hand sends what follows the first without
/// [`release`], and may have been killed between the two.
///
/// # Errors
/// That of SQLite.
pub fn release_all(tx: &WriteTx<'_>) -> Result<usize> {
    tx.execute(Doing::on("delivery", "release all keys"), RELEASE_ALL, [])
}

const KEY_OF: &str = "SELECT endpoint, order_key FROM delivery WHERE id = ?1";

fn release_key_of(tx: &WriteTx<'_>, id: DeliveryId) -> Result<()> {
    let doing = Doing::on("delivery", "read the key");
    let found = tx.row(doing, KEY_OF, [id.0], |row| {
        let key: Option<String> = row.get("order_key")?;
        Ok((row.get::<String>("endpoint")?, key))
    })?;
    match found {
        Some((endpoint, Some(key))) => release(tx, &endpoint, &key),
        _ => Ok(()),
    }
}

const EXPIRED: &str = "\
    SELECT id FROM delivery
    WHERE state = 'due' AND created_at < ?1 AND coalesce(owed_at, created_at) < ?1
      AND endpoint = ?2
    ORDER BY created_at
    LIMIT ?3";

/// Parks what an endpoint is owed since before `limit_at`; at most `most` of them. The time for
/// which it was held back does not count. Returns which.
///
/// # Errors
/// That of SQLite.
pub fn expire(
    tx: &WriteTx<'_>,
    endpoint: &str,
    limit_at: Timestamp,
    now: Timestamp,
    most: u32,
) -> Result<Vec<DeliveryId>> {
    let doing = Doing::on("delivery", "find the expired");
    let params = (limit_at.as_millis(), endpoint, most);
    let expired = tx.rows(doing, EXPIRED, params, |row| Ok(DeliveryId(row.get("id")?)))?;
    let attempt = Attempt {
        error: Some("it is too old"),
        ..Attempt::at(now)
    };
    for id in &expired {
        park(tx, *id, &attempt, false)?;
    }
    Ok(expired)
}

const PUT_BACK: &str = "\
    UPDATE delivery
    SET state = 'due', blocked = 0, attempts = 0, next_at = :now, created_at = :now,
        held_by = NULL, owed_at = NULL,
        redelivered = redelivered + 1
    WHERE id = :id AND state <> 'due'";

/// Makes a parked or done delivery due again, out of its order. False if it is due already or
/// there is none.
///
/// # Errors
/// That of SQLite.
pub fn put_back(tx: &WriteTx<'_>, id: DeliveryId, now: Timestamp) -> Result<bool> {
    let params = named_params! { ":id": id.0, ":now": now.as_millis() };
    let changed = tx.execute(Doing::on("delivery", "put back"), PUT_BACK, params)? > 0;
    if changed {
        tx.ring();
    }
    Ok(changed)
}

const DISCARD: &str = "DELETE FROM delivery WHERE id = ?1";

/// Forgets a delivery, whatever its state. False if there is none.
///
/// # Errors
/// That of SQLite.
pub fn discard(tx: &WriteTx<'_>, id: DeliveryId) -> Result<bool> {
    // Lets go of its key.
    park(tx, id, &Attempt::at(Timestamp(0)), false)?;
    let gone = tx.execute(Doing::on("delivery", "discard"), DISCARD, [id.0])? > 0;
    if gone {
        tx.ring();
    }
    Ok(gone)
}

const AT_ONCE: &str = "\
    UPDATE delivery SET next_at = min(created_at, ?2)
    WHERE endpoint = ?1 AND state = 'due' AND next_at > ?2 AND held_by IS NULL";

/// Everything that waits for an endpoint is due now, in the order in which it was made: the
/// endpoint has recovered. What is held back stays so.
///
/// # Errors
/// That of SQLite.
pub fn due_at_once(tx: &WriteTx<'_>, endpoint: &str, now: Timestamp) -> Result<usize> {
    let params = (endpoint, now.as_millis());
    tx.execute(Doing::on("delivery", "make due"), AT_ONCE, params)
}
