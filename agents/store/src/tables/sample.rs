//! Table `sample`. Written by: hostmetrics; thinned by janitor. Read by: hostmetrics (the previous
//! one), exporter, ctl.

mod retain;

use std::cell::Cell;

use roundsman_kit::clock::Timestamp;
use rusqlite::named_params;
use serde_json::{Map, Value};

use crate::error::Result;
use crate::rows::{Page, Rows};
use crate::tx::{Columns, Doing, ReadTx, WriteTx};

pub use retain::{Brief, aged, remove};

/// The figures of one subject (`cpu`, `memory`, `disk`, `network`, …) of a host at one instant.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Sample {
    /// When; all samples of one run share it.
    pub at: Timestamp,
    /// The host's name.
    pub host: String,
    /// The operating system and its version, as `debian 12`.
    pub os: String,
    /// The subject.
    pub kind: String,
    /// The figures.
    pub payload: Map<String, Value>,
}

/// What names a row in complaints.
const KEY: [&str; 3] = ["kind", "host", "at"];

impl Sample {
    fn from_row(row: &Columns<'_>) -> Result<Self> {
        Ok(Self {
            at: row.time("at")?,
            host: row.get("host")?,
            os: row.get("os")?,
            kind: row.get("kind")?,
            payload: row.json("payload")?,
        })
    }
}

const INSERT: &str = "\
    INSERT INTO sample (at, host, os, kind, payload)
    VALUES (:at, :host, :os, :kind, :payload)
    ON CONFLICT (kind, host, at) DO NOTHING";

/// Adds a sample; false if there is one of that kind, host and instant already, which stays.
///
/// # Errors
/// That of SQLite.
pub fn insert(tx: &WriteTx<'_>, sample: &Sample) -> Result<bool> {
    let payload = Value::Object(sample.payload.clone()).to_string();
    let params = named_params! {
        ":at": sample.at.as_millis(),
        ":host": sample.host,
        ":os": sample.os,
        ":kind": sample.kind,
        ":payload": payload,
    };
    let inserted = tx.execute(Doing::on("sample", "insert"), INSERT, params)?;
    Ok(inserted > 0)
}

const LATEST: &str = "\
    SELECT at, host, os, kind, payload
    FROM sample
    WHERE kind = ?1 AND host = ?2
    ORDER BY at DESC
    LIMIT 1";

/// The newest sample of a kind of `host`.
///
/// # Errors
/// That of SQLite, or a payload that is not an object.
pub fn latest(tx: &ReadTx<'_>, host: &str, kind: &str) -> Result<Option<Sample>> {
    let doing = Doing::on("sample", "read the newest");
    tx.row(doing, LATEST, [kind, host], Sample::from_row)
}

// Skips from kind to kind and from host to host in the key, whatever the number of samples.
const NEWEST: &str = "\
    WITH RECURSIVE series (kind, host) AS (
        SELECT * FROM (SELECT kind, host FROM sample ORDER BY kind, host LIMIT 1)
        UNION ALL
        SELECT
            (SELECT kind FROM sample WHERE (kind, host) > (series.kind, series.host)
             ORDER BY kind, host LIMIT 1),
            (SELECT host FROM sample WHERE (kind, host) > (series.kind, series.host)
             ORDER BY kind, host LIMIT 1)
        FROM series
        WHERE series.kind IS NOT NULL
    )
    SELECT sample.at, sample.host, sample.os, sample.kind, sample.payload
    FROM series
    JOIN sample ON sample.kind = series.kind AND sample.host = series.host
    WHERE sample.at = (
        SELECT max(at) FROM sample AS s WHERE s.kind = series.kind AND s.host = series.host
    )
    ORDER BY sample.kind, sample.host";

/// The newest sample of every kind of every host.
///
/// # Errors
/// That of SQLite.
pub fn newest(tx: &ReadTx<'_>) -> Result<Rows<Sample>> {
    tx.rows_apart(
        Doing::on("sample", "read the newest"),
        NEWEST,
        [],
        &KEY,
        Sample::from_row,
    )
}

const RANGE: &str = "\
    SELECT at, host, os, kind, payload
    FROM sample
    WHERE kind = :kind AND host = :host AND at >= :from AND at < :to
    ORDER BY at
    LIMIT :limit";

/// The samples of a kind of `host` with `from <= at < to`, oldest first, `limit` at most. It is
/// gone on with after the time that the page has reached.
///
/// # Errors
/// That of SQLite.
pub fn range(
    tx: &ReadTx<'_>,
    host: &str,
    kind: &str,
    from: Timestamp,
    to: Timestamp,
    limit: u32,
) -> Result<Page<Sample, Timestamp>> {
    let params = named_params! {
        ":kind": kind,
        ":host": host,
        ":from": from.as_millis(),
        ":to": to.as_millis(),
        ":limit": limit,
    };
    let reached = Cell::default();
    let doing = Doing::on("sample", "read a range");
    let rows = tx.rows_apart(doing, RANGE, params, &KEY, |row| {
        reached.set(Some(row.time("at")?));
        Sample::from_row(row)
    })?;
    let n_rows = rows.found.len() + rows.unreadable.len();
    Ok(Page {
        rows,
        reached: reached.get(),
        is_full: n_rows >= limit as usize,
    })
}
