//! The open conditions: units that failed and have not recovered yet. Each is a row of table
//! `cursor` (stream = unit).

use roundsman_kit::clock::Timestamp;
use roundsman_store::cursor::{self, Cursor};
use roundsman_store::{ReadTx, WriteTx};
use serde::{Deserialize, Serialize};

use crate::report::Report;

/// A unit that failed and has not been seen well since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// When it failed first.
    pub since: Timestamp,
    /// How often it has failed since then.
    pub failures: u64,
    /// What systemd said the first time.
    pub result: String,
    /// [`Report::key`] of the last failure: it is counted once, however often it is told.
    pub last: String,
    /// When that was.
    pub last_at: Timestamp,
}

impl Condition {
    /// The condition that begins with this failure.
    pub fn begin(report: &Report) -> Self {
        Self {
            since: report.at,
            failures: 1,
            result: report.result.clone(),
            last: report.key(),
            last_at: report.at,
        }
    }

    /// Adds a failure; false if it is part of the condition already.
    pub fn add(&mut self, report: &Report) -> bool {
        let key = report.key();
        if key == self.last || report.at < self.last_at {
            return false;
        }
        self.failures += 1;
        self.last = key;
        self.last_at = report.at;
        true
    }

    /// The same for all events of this condition.
    pub fn correlation(&self, agent: &str, unit: &str) -> String {
        format!("{agent}:{unit}:{}", self.since.as_millis())
    }
}

/// The open condition of `unit`. A row that cannot be read is none: the unit's next failure
/// begins a new one in its place, and is told.
pub fn of(tx: &ReadTx<'_>, agent: &str, unit: &str) -> roundsman_store::Result<Option<Condition>> {
    Ok(cursor::get(tx, agent, unit)?.and_then(|row| parse(&row)))
}

/// Whether `unit` has a row, readable or not.
pub fn is_open(tx: &ReadTx<'_>, agent: &str, unit: &str) -> roundsman_store::Result<bool> {
    cursor::get(tx, agent, unit).map(|row| row.is_some())
}

/// The rows of all units; `None` for one that cannot be read.
pub fn all(
    tx: &ReadTx<'_>,
    agent: &str,
) -> roundsman_store::Result<Vec<(String, Option<Condition>)>> {
    let rows = cursor::list(tx, agent)?;
    Ok(rows
        .into_iter()
        .map(|row| (row.stream.clone(), parse(&row)))
        .collect())
}

/// Keeps a condition open.
pub fn keep(
    tx: &WriteTx<'_>,
    agent: &str,
    unit: &str,
    condition: &Condition,
    now: Timestamp,
) -> roundsman_store::Result<()> {
    let row = Cursor {
        agent: agent.to_owned(),
        stream: unit.to_owned(),
        position: serde_json::json!(condition).to_string(),
        updated_at: now,
    };
    cursor::set(tx, &row)
}

/// Closes a condition.
pub fn close(tx: &WriteTx<'_>, agent: &str, unit: &str) -> roundsman_store::Result<()> {
    cursor::remove(tx, agent, unit).map(|_| ())
}

fn parse(row: &Cursor) -> Option<Condition> {
    serde_json::from_str(&row.position)
        .inspect_err(|error| {
            log::warn!(
                "{}: its condition in the store cannot be read and stays as it is until the \
                 unit's next failure: {error}: {}",
                row.stream,
                row.position
            );
        })
        .ok()
}
