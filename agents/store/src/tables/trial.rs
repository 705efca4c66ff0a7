//! Table `trial`: requests that a person asked for. Written by: ctl, herald. Read by: the same.

use roundsman_kit::clock::Timestamp;
use rusqlite::named_params;

use super::event::EventId;
use crate::error::Result;
use crate::tx::{Columns, Doing, ReadTx, WriteTx};

/// How many are kept; each new one removes what is older.
pub const KEPT: u32 = 100;

/// A trial's number. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct TrialId(pub i64);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTrial<'a> {
    /// To whom.
    pub endpoint: &'a str,
    /// What to send; without one, an event that is made up.
    pub event: Option<EventId>,
    /// The trigger that would send it there.
    pub trigger: Option<&'a str>,
    /// When it is asked for.
    pub now: Timestamp,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Where the request went, without what may be a secret.
    pub url: Option<String>,
    /// What the endpoint answered.
    pub status: Option<u16>,
    /// Why there is no answer, or what was wrong with it.
    pub error: Option<String>,
    /// From the beginning to the end of the answer.
    pub took_ms: Option<u64>,
    /// The head of the request, without secrets.
    pub request: Option<String>,
    /// The beginning of the answer's body.
    pub answer: Option<String>,
}

/// A trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Its number.
    pub id: TrialId,
    /// To whom.
    pub endpoint: String,
    /// When it was asked for.
    pub at: Timestamp,
    /// What is sent.
    pub event: Option<EventId>,
    /// The trigger that would send it there.
    pub trigger: Option<String>,
    /// When herald took it up.
    pub begun_at: Option<Timestamp>,
    /// When it was over.
    pub done_at: Option<Timestamp>,
    /// What came of it; empty before.
    pub report: Report,
}

impl Trial {
    fn from_row(row: &Columns<'_>) -> Result<Self> {
        let time = |column| -> Result<Option<Timestamp>> {
            Ok(row.get::<Option<i64>>(column)?.map(Timestamp))
        };
        let took: Option<i64> = row.get("took_ms")?;
        Ok(Self {
            id: TrialId(row.get("id")?),
            endpoint: row.get("endpoint")?,
            at: row.time("at")?,
            event: row.get::<Option<i64>>("event_id")?.map(EventId),
            trigger: row.get("trigger")?,
            begun_at: time("begun_at")?,
            done_at: time("done_at")?,
            report: Report {
                url: row.get("url")?,
                status: row.get("status")?,
                error: row.get("error")?,
                took_ms: took.and_then(|took| took.try_into().ok()),
                request: row.get("request")?,
                answer: row.get("answer")?,
            },
        })
    }
}

const INSERT: &str = "\
    INSERT INTO trial (endpoint, at, event_id, trigger)
    VALUES (:endpoint, :now, :event, :trigger)";

const PRUNE: &str = "DELETE FROM trial WHERE id <= ?1";

/// Asks for a trial, and removes those that are too many.
///
/// # Errors
/// That of SQLite.
pub fn insert(tx: &WriteTx<'_>, new: &NewTrial<'_>) -> Result<TrialId> {
    let params = named_params! {
        ":endpoint": new.endpoint,
        ":now": new.now.as_millis(),
        ":event": new.event.map(|event| event.0),
        ":trigger": new.trigger,
    };
    tx.execute(Doing::on("trial", "insert"), INSERT, params)?;
    let id = tx.last_insert_rowid();
    let last_to_go = id - i64::from(KEPT);
    tx.execute(Doing::on("trial", "prune"), PRUNE, [last_to_go])?;
    tx.ring();
    Ok(TrialId(id))
}

const OPEN: &str = "\
    SELECT id, endpoint, at, event_id, trigger, begun_at, done_at, url, status, error, took_ms,
           request, answer
    FROM trial
    WHERE done_at IS NULL
    ORDER BY id
    LIMIT ?1";

/// Those that are not over, the oldest first, `most` of them.
///
/// # Errors
/// That of SQLite.
pub fn open(tx: &ReadTx<'_>, most: u32) -> Result<Vec<Trial>> {
    tx.rows(Doing::on("trial", "select"), OPEN, [most], Trial::from_row)
}

const GET: &str = "\
    SELECT id, endpoint, at, event_id, trigger, begun_at, done_at, url, status, error, took_ms,
           request, answer
    FROM trial
    WHERE id = ?1";

/// The trial with this number.
///
/// # Errors
/// That of SQLite.
pub fn get(tx: &ReadTx<'_>, id: TrialId) -> Result<Option<Trial>> {
    tx.row(Doing::on("trial", "get"), GET, [id.0], Trial::from_row)
}

const BEGIN: &str = "UPDATE trial SET begun_at = ?2 WHERE id = ?1 AND done_at IS NULL";

/// Somebody has taken it up. False if nobody waits for it any more.
///
/// # Errors
/// That of SQLite.
pub fn begin(tx: &WriteTx<'_>, id: TrialId, now: Timestamp) -> Result<bool> {
    let params = (id.0, now.as_millis());
    let changed = tx.execute(Doing::on("trial", "begin"), BEGIN, params)? > 0;
    if changed {
        tx.ring();
    }
    Ok(changed)
}

const FINISH: &str = "\
    UPDATE trial
    SET done_at = :now, url = :url, status = :status, error = :error, took_ms = :took_ms,
        request = :request, answer = :answer
    WHERE id = :id AND done_at IS NULL";

/// It is over. False if nobody waits for it any more.
///
/// # Errors
/// That of SQLite.
pub fn finish(tx: &WriteTx<'_>, id: TrialId, report: &Report, now: Timestamp) -> Result<bool> {
    let took = report
        .took_ms
        .map(|took| i64::try_from(took).unwrap_or(i64::MAX));
    let params = named_params! {
        ":id": id.0,
        ":now": now.as_millis(),
        ":url": report.url,
        ":status": report.status,
        ":error": report.error,
        ":took_ms": took,
        ":request": report.request,
        ":answer": report.answer,
    };
    let changed = tx.execute(Doing::on("trial", "finish"), FINISH, params)? > 0;
    if changed {
        tx.ring();
    }
    Ok(changed)
}

const DISCARD: &str = "DELETE FROM trial WHERE id = ?1";

/// Nobody waits for it any more.
///
/// # Errors
/// That of SQLite.
pub fn discard(tx: &WriteTx<'_>, id: TrialId) -> Result<bool> {
    Ok(tx.execute(Doing::on("trial", "discard"), DISCARD, [id.0])? > 0)
}
