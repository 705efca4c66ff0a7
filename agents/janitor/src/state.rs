//! What one run leaves for the next: one row of table `cursor`.

use std::collections::BTreeMap;

use roundsman_kit::clock::Timestamp;
use roundsman_store::cursor::{self, Cursor};
use roundsman_store::{ReadTx, WriteTx};
use serde::{Deserialize, Serialize};

use crate::plan::{Conditions, Dropped};

const STREAM: &str = "previous-run";

/// The state between two runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// When the last sweep began that was not cut short.
    pub swept_at: Option<Timestamp>,
    /// When the last one began that looked at everything.
    pub night_at: Option<Timestamp>,
    /// When the last backup began.
    pub backup_at: Option<Timestamp>,
    /// Open conditions of the storage.
    pub conditions: Conditions,
    /// What was dropped unread and is not told yet.
    pub untold: Dropped,
    /// Rows removed so far, by table.
    pub removed: BTreeMap<String, u64>,
    /// How many of them were unread events and open deliveries.
    pub dropped: u64,
}

/// Reads what the last run left. What another version left and this one does not understand
/// counts as nothing: the next sweep looks at everything then.
///
/// # Errors
/// That of SQLite.
pub fn read(tx: &ReadTx<'_>, unit: &str) -> roundsman_store::Result<State> {
    let row = cursor::get(tx, unit, STREAM)?;
    Ok(row
        .and_then(|row| serde_json::from_str(&row.position).ok())
        .unwrap_or_default())
}

/// Leaves `state` for the next run.
///
/// # Errors
/// That of SQLite.
pub fn write(
    tx: &WriteTx<'_>,
    unit: &str,
    state: &State,
    now: Timestamp,
) -> roundsman_store::Result<()> {
    let row = Cursor {
        agent: unit.to_owned(),
        stream: STREAM.to_owned(),
        position: serde_json::json!(state).to_string(),
        updated_at: now,
    };
    cursor::set(tx, &row)
}
