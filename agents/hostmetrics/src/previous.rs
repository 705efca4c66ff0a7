//! What one run leaves for the next: counters to take differences from, open conditions, and
//! counts that outlive a process. One row of table `cursor`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use roundsman_host::cpu::Cpu;
use roundsman_kit::clock::Timestamp;
use roundsman_store::cursor::{self, Cursor};
use roundsman_store::{ReadTx, WriteTx};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::plan::Conditions;

const STREAM: &str = "previous-run";

/// A rate over a longer pause than this would say little about now.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// The state between two runs.
#[derive(Debug, Default, Serialize)]
pub struct Previous {
    /// When the last run began.
    pub at: Option<Timestamp>,
    /// Counters of the last run, if it could read the boot's identity.
    pub counters: Option<Counters>,
    /// Open conditions.
    pub conditions: Conditions,
    /// Runs in which a subject could not be read.
    pub failures: BTreeMap<String, u64>,
    /// Subjects that the last run could not read.
    pub failed: BTreeSet<String>,
    /// Samples that were not stored because there was one of that time already.
    pub samples_refused: u64,
    /// The last run had some of these.
    pub is_refusing: bool,
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
    /// They were read before `other`, in the same boot.
    pub fn is_older(&self, other: &Self) -> bool {
        self.boot_id == other.boot_id && self.uptime_ms < other.uptime_ms
    }

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

/// Reads what the last run left, and the entries of it that another version left and this one
/// does not understand: these count as never written.
pub fn read(tx: &ReadTx<'_>, unit: &str) -> roundsman_store::Result<(Previous, Vec<String>)> {
    let row = cursor::get(tx, unit, STREAM)?;
    Ok(row.map(|row| parse(&row.position)).unwrap_or_default())
}

/// Entry by entry: one that does not fit costs no other.
fn parse(text: &str) -> (Previous, Vec<String>) {
    let mut entries = Entries::default();
    // What is no JSON at all is an entry that does not fit.
    let text = serde_json::from_str(text).unwrap_or(Value::Null);
    let mut whole: Map<String, Value> = entries.of("everything", Some(text));
    let mut take = |key: &str| whole.remove(key);
    let [at, counters, failed] = ["at", "counters", "failed"].map(&mut take);
    let [samples_refused, is_refusing] = ["samples_refused", "is_refusing"].map(&mut take);
    let [failures, kinds] = ["failures", "conditions"].map(&mut take);
    let kinds: BTreeMap<String, Value> = entries.each("conditions", kinds);
    let previous = Previous {
        at: entries.of("at", at),
        counters: entries.of("counters", counters),
        conditions: kinds
            .into_iter()
            .map(|(kind, subjects)| {
                let subjects = entries.each(&format!("conditions.{kind}"), Some(subjects));
                (kind, subjects)
            })
            .collect(),
        failures: entries.each("failures", failures),
        failed: entries.of("failed", failed),
        samples_refused: entries.of("samples_refused", samples_refused),
        is_refusing: entries.of("is_refusing", is_refusing),
    };
    (previous, entries.dropped)
}

/// Reads entries and remembers those that do not fit.
#[derive(Default)]
struct Entries {
    dropped: Vec<String>,
}

impl Entries {
    /// An entry; one that is not there is the default, and so is one that does not fit.
    fn of<T: DeserializeOwned + Default>(&mut self, name: &str, value: Option<Value>) -> T {
        let Some(value) = value else {
            return T::default();
        };
        serde_json::from_value(value).unwrap_or_else(|_| {
            self.dropped.push(name.to_owned());
            T::default()
        })
    }

    /// The entries of a table.
    fn each<T: DeserializeOwned>(
        &mut self,
        name: &str,
        value: Option<Value>,
    ) -> BTreeMap<String, T> {
        let table: Map<String, Value> = self.of(name, value);
        let mut found = BTreeMap::new();
        for (key, value) in table {
            match serde_json::from_value(value) {
                Ok(value) => drop(found.insert(key, value)),
                Err(_) => self.dropped.push(format!("{name}.{key}")),
            }
        }
        found
    }
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

    #[test]
    fn what_does_not_fit_costs_no_other_entry() {
        let text = r#"{
            "at": "yesterday",
            "counters": {"boot_id": 7},
            "conditions": {
                "disk": {
                    "/": {"since": 5, "announced": "critical", "level": "critical"},
                    "/mnt": {"since": "x"}
                },
                "memory": []
            },
            "failures": {"cpu": 3, "network": -1},
            "samples_refused": 2,
            "of_a_later_version": true
        }"#;
        let (previous, dropped) = parse(text);
        let expected = [
            "at",
            "counters",
            "conditions.disk./mnt",
            "conditions.memory",
            "failures.network",
        ];
        let expected = expected.map(String::from);
        let sorted = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(sorted(&dropped), sorted(&expected));
        assert_eq!(
            previous.conditions["disk"]["/"].announced,
            Some(roundsman_kit::threshold::Level::Critical)
        );
        assert_eq!(previous.conditions["disk"].len(), 1);
        assert_eq!((previous.failures["cpu"], previous.samples_refused), (3, 2));
        assert_eq!(parse("torn {").1, ["everything"]);

        let (again, dropped) = parse(&serde_json::json!(previous).to_string());
        assert_eq!((again.conditions, dropped), (previous.conditions, vec![]));
    }
}
