//! Table `cursor`. Written by: each agent, its own rows. Read by: the same, ctl.
//!
//! A position is written in the transaction that also holds what was found up to it, so that a
//! crash repeats work and never skips any.

use roundsman_kit::clock::Timestamp;
use rusqlite::named_params;

use crate::error::Result;
use crate::tx::{Columns, Doing, ReadTx, WriteTx};

/// A position in a stream outside.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Cursor {
    /// The agent, with its instance: `logscan`, `beacon@prod`.
    pub agent: String,
    /// Which stream, in the agent's own words.
    pub stream: String,
    /// The position, in the stream's own words.
    pub position: String,
    /// When it was written.
    pub updated_at: Timestamp,
}

impl Cursor {
    fn from_row(row: &Columns<'_>) -> Result<Self> {
        Ok(Self {
            agent: row.get("agent")?,
            stream: row.get("stream")?,
            position: row.get("position")?,
            updated_at: row.time("updated_at")?,
        })
    }
}

const GET: &str = "\
    SELECT agent, stream, position, updated_at
    FROM cursor
    WHERE agent = ?1 AND stream = ?2";

/// The position of `agent` in `stream`, if it has one.
///
/// # Errors
/// That of SQLite.
pub fn get(tx: &ReadTx<'_>, agent: &str, stream: &str) -> Result<Option<Cursor>> {
    let doing = Doing::on("cursor", "read a position");
    tx.row(doing, GET, [agent, stream], Cursor::from_row)
}

const LIST: &str = "\
    SELECT agent, stream, position, updated_at
    FROM cursor
    WHERE agent = ?1
    ORDER BY stream";

/// All positions of `agent`, by stream.
///
/// # Errors
/// That of SQLite.
pub fn list(tx: &ReadTx<'_>, agent: &str) -> Result<Vec<Cursor>> {
    tx.rows(Doing::on("cursor", "list"), LIST, [agent], Cursor::from_row)
}

const SET: &str = "\
    INSERT INTO cursor (agent, stream, position, updated_at)
    VALUES (:agent, :stream, :position, :updated_at)
    ON CONFLICT (agent, stream) DO UPDATE
    SET position = excluded.position, updated_at = excluded.updated_at";

/// Moves a cursor, or makes it.
///
/// # Errors
/// That of SQLite.
pub fn set(tx: &WriteTx<'_>, cursor: &Cursor) -> Result<()> {
    let params = named_params! {
        ":agent": cursor.agent,
        ":stream": cursor.stream,
        ":position": cursor.position,
        ":updated_at": cursor.updated_at.as_millis(),
    };
    tx.execute(Doing::on("cursor", "set"), SET, params)?;
    Ok(())
}

const REMOVE: &str = "DELETE FROM cursor WHERE agent = ?1 AND stream = ?2";

/// Forgets a cursor; false if there was none.
///
/// # Errors
/// That of SQLite.
pub fn remove(tx: &WriteTx<'_>, agent: &str, stream: &str) -> Result<bool> {
    let removed = tx.execute(Doing::on("cursor", "remove"), REMOVE, [agent, stream])?;
    Ok(removed > 0)
}
