//! Finding and removing samples that are too old or too many. Used by: janitor.

use roundsman_kit::clock::Timestamp;
use rusqlite::named_params;

use crate::error::Result;
use crate::tx::{Doing, ReadTx, WriteTx};

/// What retention has to know of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brief {
    /// Its row.
    pub id: i64,
    /// When it was taken.
    pub at: Timestamp,
    /// It is not the first of its kind and host in its hour.
    pub is_surplus: bool,
}

// The first of an hour is found in the key (kind, host, at), whatever the number of samples.
const AGED: &str = "\
    SELECT id, at, EXISTS (
        SELECT 1 FROM sample AS earlier
        WHERE earlier.kind = sample.kind AND earlier.host = sample.host
          AND earlier.at >= sample.at - sample.at % 3600000 AND earlier.at < sample.at
    ) AS is_surplus
    FROM sample
    WHERE at >= :from AND at < :before AND (at, id) > (:from, :after)
    ORDER BY at, id
    LIMIT :limit";

/// The samples taken from `from` on and before `before`, oldest first, `limit` at most. Of the
/// instant `from` itself only those with a row above `after`.
///
/// # Errors
/// That of SQLite.
pub fn aged(
    tx: &ReadTx<'_>,
    (from, after): (Timestamp, i64),
    before: Timestamp,
    limit: u32,
) -> Result<Vec<Brief>> {
    let params = named_params! {
        ":from": from.as_millis(),
        ":after": after,
        ":before": before.as_millis(),
        ":limit": limit,
    };
    tx.rows(
        Doing::on("sample", "look for old ones"),
        AGED,
        params,
        |row| {
            Ok(Brief {
                id: row.get("id")?,
                at: row.time("at")?,
                is_surplus: row.get("is_surplus")?,
            })
        },
    )
}

const REMOVE: &str = "DELETE FROM sample WHERE id IN (SELECT value FROM json_each(?1))";

/// Removes samples by their rows; returns how many there were.
///
/// # Errors
/// That of SQLite.
pub fn remove(tx: &WriteTx<'_>, ids: &[i64]) -> Result<usize> {
    let ids = serde_json::Value::from(ids).to_string();
    tx.execute(Doing::on("sample", "remove old ones"), REMOVE, [ids])
}
