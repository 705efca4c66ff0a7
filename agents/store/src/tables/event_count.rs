//! Table `event_count`. Written by: a trigger of `event`. Read by: exporter, ctl.

use roundsman_kit::clock::Timestamp;

use crate::error::Result;
use crate::rows::Rows;
use crate::tables::event::Severity;
use crate::tx::{Columns, Doing, ReadTx};

/// How many events of one sort there have ever been, the deleted ones included.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct EventCount {
    /// The agent that saw them.
    pub agent: String,
    /// Their kind.
    pub kind: String,
    /// Their severity.
    pub severity: Severity,
    /// How many.
    pub total: u64,
    /// The latest of their times.
    pub last_at: Timestamp,
}

impl EventCount {
    fn from_row(row: &Columns<'_>) -> Result<Self> {
        Ok(Self {
            agent: row.get("agent")?,
            kind: row.get("kind")?,
            severity: row.get("severity")?,
            total: row.count("total")?,
            last_at: row.time("last_at")?,
        })
    }
}

/// The sum of these.
pub fn total(counts: &[EventCount]) -> u64 {
    let totals = counts.iter().map(|count| count.total);
    totals.fold(0, u64::saturating_add)
}

const LIST: &str = "\
    SELECT agent, kind, severity, total, last_at
    FROM event_count
    ORDER BY agent, kind, severity";

/// All counts; microseconds, however many events there are.
///
/// # Errors
/// That of SQLite.
pub fn list(tx: &ReadTx<'_>) -> Result<Rows<EventCount>> {
    tx.rows_apart(
        Doing::on("event_count", "list"),
        LIST,
        [],
        &["agent", "kind", "severity"],
        EventCount::from_row,
    )
}
