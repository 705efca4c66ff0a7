//! What one run leaves for the next: counters to take differences from, open conditions, and
//! counts that outlive a process. One row of table `cursor`.

use std::collections::BTreeMap;
use std::time::Duration;

use roundsman_host::cpu::Cpu;
use roundsman_kit::clock::Timestamp;
use roundsman_store::cursor::{self, Cursor};
use roundsman_store::{ReadTx, WriteTx};
use serde::{Deserialize, Serialize};

use crate::plan::Conditions;

const STREAM: &str = "previous-run";

/// A rate over a longer pause than this would say little about now.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// The state between two runs.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Previous {
    /// Counters of the last run, if it could read the boot's identity.
    pub counters: Option<Counters>,
    /// Open conditions.
    pub conditions: Conditions,
    /// Runs in which a subject could not be read.
    pub failures: BTreeMap<String, u64>,
}

/// Counters that only grow within one boot.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Counters {
    /// The boot they belong to.
    pub boot_id: String,
    /// When they were read, in milliseconds since that boot: the wall clock may step.
    pub uptime_ms: u64,
    /// Processor time.
    pub cpu: Option<Cpu>,
    /// Per device: bytes read, bytes written, milliseconds busy.
    pub disks: BTreeMap<String, [u64; 3]>,
    /// Per interface: bytes received, bytes sent.
    pub interfaces: BTreeMap<String, [u64; 2]>,
}

impl Counters {
    /// The seconds since `earlier`, if differences to it make sense.
    pub fn seconds_since(&self, earlier: &Self) -> Option<f64> {
        let millis = self
            .uptime_ms
            .checked_sub(earlier.uptime_ms)
            .filter(|millis| *millis > 0)?;
        let sound =
            self.boot_id == earlier.boot_id && Duration::from_millis(millis) <= LONGEST_PAUSE;
        sound.then_some(millis as f64 / 1000.0)
    }
}

/// The growth of a counter per second; `None` when it went back, as after a replug.
pub fn rate(before: u64, now: u64, seconds: f64) -> Option<f64> {
    Some(now.checked_sub(before)? as f64 / seconds)
}

/// Reads what the last run left. What another version left and this one does not understand
/// counts as nothing: rates are then absent once, and conditions begin anew.
pub fn read(tx: &ReadTx<'_>, unit: &str) -> roundsman_store::Result<Previous> {
    let row = cursor::get(tx, unit, STREAM)?;
    Ok(row
        .and_then(|row| serde_json::from_str(&row.position).ok())
        .unwrap_or_default())
}

/// Leaves `previous` for the next run.
pub fn write(
    tx: &WriteTx<'_>,
    unit: &str,
    previous: &Previous,
    now: Timestamp,
) -> roundsman_store::Result<()> {
    let row = Cursor {
        agent: unit.to_owned(),
        stream: STREAM.to_owned(),
        position: serde_json::json!(previous).to_string(),
        updated_at: now,
    };
    cursor::set(tx, &row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_absent_after_a_boot_a_long_pause_or_a_replug() {
        let at = |boot: &str, seconds: u64| Counters {
            boot_id: boot.into(),
            uptime_ms: seconds * 1000,
            ..Counters::default()
        };
        assert_eq!(at("a", 160).seconds_since(&at("a", 100)), Some(60.0));
        assert_eq!(at("b", 160).seconds_since(&at("a", 100)), None);
        assert_eq!(at("a", 100).seconds_since(&at("a", 100)), None);
        assert_eq!(at("a", 1000).seconds_since(&at("a", 100)), None);
        assert_eq!(rate(100, 160, 60.0), Some(1.0));
        assert_eq!(rate(160, 100, 60.0), None);
    }
}
