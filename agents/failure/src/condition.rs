//! The open conditions: units that failed and have not recovered yet. Each is a row of table
//! `cursor` (stream = unit), and a marker file, so that the sweep's timer starts no process
//! while there is none (`ConditionDirectoryNotEmpty=`).

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use roundsman_kit::clock::Timestamp;
use roundsman_kit::{Class, Context, ResultExt};
use roundsman_store::cursor::{self, Cursor};
use roundsman_store::{ReadTx, WriteTx};
use serde::{Deserialize, Serialize};

/// A unit that failed and has not been seen well since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// When it failed first.
    pub since: Timestamp,
    /// How often it has failed since then.
    pub failures: u64,
    /// What systemd said the first time.
    pub result: String,
}

impl Condition {
    /// The same for all events of this condition.
    pub fn correlation(&self, agent: &str, unit: &str) -> String {
        format!("{agent}:{unit}:{}", self.since.as_millis())
    }
}

/// The open condition of `unit`.
pub fn of(tx: &ReadTx<'_>, agent: &str, unit: &str) -> roundsman_store::Result<Option<Condition>> {
    Ok(cursor::get(tx, agent, unit)?.and_then(|row| parse(&row)))
}

/// All open conditions, by unit.
pub fn all(tx: &ReadTx<'_>, agent: &str) -> roundsman_store::Result<Vec<(String, Condition)>> {
    let rows = cursor::list(tx, agent)?;
    Ok(rows
        .into_iter()
        .filter_map(|row| Some((row.stream.clone(), parse(&row)?)))
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

/// A row that this version did not write counts as no condition: the next failure replaces it.
fn parse(row: &Cursor) -> Option<Condition> {
    serde_json::from_str(&row.position).ok()
}

/// The marker files of the open conditions. A marker is made before its condition is committed
/// and removed after it is closed: a crash leaves one too many, never one too few.
#[derive(Debug)]
pub struct Markers(PathBuf);

impl Markers {
    /// The directory that tmpfiles.d makes beside the store; it outlives a reboot, as the
    /// conditions do.
    pub fn new(ctx: &Context) -> Self {
        Self(ctx.paths().at("/var/lib/roundsman/failed"))
    }

    /// Makes the marker of `unit`.
    pub fn put(&self, unit: &str) -> anyhow::Result<()> {
        let path = self.0.join(unit);
        fs::write(&path, "").fault(Class::Unavailable, || {
            format!(
                "making {}; systemd-tmpfiles --create makes its directory",
                path.display()
            )
        })
    }

    /// The units that have a marker.
    pub fn list(&self) -> anyhow::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| format!("listing {}", self.0.display()))?,
        };
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<_>>()
            .with_context(|| format!("listing {}", self.0.display()))
    }

    /// Removes the marker of `unit`.
    pub fn remove(&self, unit: &str) -> anyhow::Result<()> {
        let path = self.0.join(unit);
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))
    }
}
