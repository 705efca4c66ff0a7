//! What `/etc/roundsman/janitor.toml` may hold.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use roundsman_kit::Invalid;
use roundsman_kit::quantity::{Size, Span};
use roundsman_kit::threshold::Limits;
use serde::{Deserialize, Serialize};

const DAY: u64 = 24 * 60 * 60;

/// Less than this would drop what was just written.
const SMALLEST_STORE: Size = Size::mib(16);

/// The keys of `janitor`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A run ends between two chunks when it has taken so long.
    pub max_run: Span,
    /// The hour, in local time, after which the work of the night is done: the whole sweep, the
    /// statistics, the backup.
    pub night: i8,
    /// How long events are kept.
    pub events: Events,
    /// How long deliveries are kept.
    pub deliveries: Deliveries,
    /// How long samples are kept.
    pub samples: Samples,
    /// The write-ahead log.
    pub checkpoint: Checkpoint,
    /// The copy of each night.
    pub backup: Backup,
    /// When a figure of the storage becomes an event.
    pub storage: Storage,
}

/// How long events are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// How long, where no entry of `kinds` says otherwise.
    pub keep: Span,
    /// A reader that has not moved for so long is not waited for any more.
    pub max_age: Span,
    /// The most that the database may hold; beyond it the oldest events go, read or not.
    pub size: Size,
    /// Other times for kinds, by glob; the longest glob that fits counts.
    pub kinds: BTreeMap<String, Kind>,
}

/// How long events of a kind are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// How long.
    pub keep: Span,
}

/// How long deliveries are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deliveries {
    /// Those that the endpoint has.
    pub delivered: Span,
    /// Parked ones, and those owed to an endpoint that is not configured any more.
    pub max_age: Span,
}

/// How long samples are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Samples {
    /// All of them.
    pub raw: Span,
    /// One for each hour.
    pub keep: Span,
}

/// The write-ahead log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Checkpoint {
    /// A log file of this size is cut when nobody reads or writes.
    pub truncate: Size,
}

/// The copy of each night.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backup {
    /// Where it goes; none is made while this is empty.
    pub directory: PathBuf,
    /// How many are kept.
    pub keep: usize,
}

/// When a figure of the storage becomes an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// Space used on the file system of the store, in percent.
    pub volume: Threshold<f64>,
    /// Inodes used on it, in percent.
    pub inodes: Threshold<f64>,
    /// Size of the database file.
    pub database: Threshold<Size>,
    /// Size of the write-ahead log.
    pub wal: Threshold<Size>,
}

/// One threshold with two levels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold<T> {
    /// Whether this figure is judged.
    pub enabled: bool,
    /// At or above this it is a warning (syslog severity 4).
    pub warning: T,
    /// At or above this it is critical (syslog severity 2).
    pub critical: T,
    /// How far below a level the figure must fall before that level is left.
    pub hysteresis: T,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_run: Span::secs(60),
            night: 3,
            events: Events::default(),
            deliveries: Deliveries::default(),
            samples: Samples::default(),
            checkpoint: Checkpoint::default(),
            backup: Backup::default(),
            storage: Storage::default(),
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self {
            keep: Span::secs(30 * DAY),
            max_age: Span::secs(90 * DAY),
            size: Size::mib(2048),
            kinds: BTreeMap::new(),
        }
    }
}

impl Default for Deliveries {
    fn default() -> Self {
        Self {
            delivered: Span::secs(7 * DAY),
            max_age: Span::secs(90 * DAY),
        }
    }
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            raw: Span::secs(2 * DAY),
            keep: Span::secs(400 * DAY),
        }
    }
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self {
            truncate: Size::mib(16),
        }
    }
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            directory: PathBuf::new(),
            keep: 7,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        let percent = Threshold {
            enabled: true,
            warning: 85.0,
            critical: 95.0,
            hysteresis: 2.0,
        };
        let size = |warning, critical, hysteresis| Threshold {
            enabled: true,
            warning: Size::mib(warning),
            critical: Size::mib(critical),
            hysteresis: Size::mib(hysteresis),
        };
        Self {
            volume: percent,
            inodes: percent,
            database: size(1536, 2560, 64),
            wal: size(64, 256, 16),
        }
    }
}

impl Threshold<Size> {
    /// The same in bytes.
    fn bytes(self) -> Threshold<f64> {
        let bytes = |size: Size| size.0 as f64;
        Threshold {
            enabled: self.enabled,
            warning: bytes(self.warning),
            critical: bytes(self.critical),
            hysteresis: bytes(self.hysteresis),
        }
    }
}

impl Threshold<f64> {
    /// The limits of its levels.
    pub fn limits(&self) -> Limits {
        Limits {
            warning: self.warning,
            critical: self.critical,
        }
    }
}

impl Storage {
    /// Every threshold with the name it has in configuration and events.
    pub fn all(&self) -> [(&'static str, Threshold<f64>); 4] {
        [
            ("volume", self.volume),
            ("inodes", self.inodes),
            ("database", self.database.bytes()),
            ("wal", self.wal.bytes()),
        ]
    }
}

impl roundsman_kit::Config for Config {
    const REHEARSES: bool = true;

    fn validate(&self) -> Vec<Invalid> {
        let mut found = self.spans();
        if self.max_run.0.is_zero() {
            let reason = "in no time nothing is done";
            found.push(Invalid::new("max_run", reason, "write a span, as \"1m\""));
        }
        if !(0..=23).contains(&self.night) {
            let reason = format!("{} is no hour", self.night);
            found.push(Invalid::new("night", reason, "write 0 to 23"));
        }
        if self.events.size < SMALLEST_STORE {
            found.push(Invalid::new(
                "events.size",
                format!("{} would not hold the newest events", self.events.size),
                format!("write {SMALLEST_STORE} or more"),
            ));
        }
        if self.samples.raw > self.samples.keep {
            let reason = "it is longer than samples.keep";
            let remedy = "write samples.raw <= samples.keep";
            found.push(Invalid::new("samples.raw", reason, remedy));
        }
        let directory = &self.backup.directory;
        if !directory.as_os_str().is_empty() && !directory.is_absolute() {
            let reason = format!("\"{}\" is not an absolute path", directory.display());
            let remedy = "write the whole path, from /";
            found.push(Invalid::new("backup.directory", reason, remedy));
        }
        if self.backup.keep == 0 {
            let reason = "0 would remove the backup that was just made";
            found.push(Invalid::new("backup.keep", reason, "write 1 or more"));
        }
        found.extend(self.storage.all().into_iter().filter_map(check));
        found
    }
}

impl Config {
    /// A time of zero would remove what was just written.
    fn spans(&self) -> Vec<Invalid> {
        let own = self.events.kinds.iter();
        let own = own.map(|(glob, kind)| (format!("events.kinds.{glob}.keep"), kind.keep));
        let fixed = [
            ("events.keep", self.events.keep),
            ("events.max_age", self.events.max_age),
            ("deliveries.delivered", self.deliveries.delivered),
            ("deliveries.max_age", self.deliveries.max_age),
            ("samples.raw", self.samples.raw),
        ];
        let fixed = fixed.map(|(key, span)| (key.to_owned(), span));
        own.chain(fixed)
            .filter(|(_, span)| span.0 < Duration::from_secs(1))
            .map(|(key, span)| {
                Invalid::new(
                    key,
                    format!("{span} is too short"),
                    "write a second or more, as \"30d\"",
                )
            })
            .collect()
    }
}

fn check((name, threshold): (&'static str, Threshold<f64>)) -> Option<Invalid> {
    let Threshold {
        warning,
        critical,
        hysteresis,
        ..
    } = threshold;
    // Negated, so that a NaN is refused as well.
    if !(warning > 0.0 && warning <= critical && critical.is_finite()) {
        let reason = "warning and critical are not in order";
        let remedy = "write 0 < warning <= critical";
        return Some(Invalid::new(format!("storage.{name}"), reason, remedy));
    }
    if !(0.0..warning).contains(&hysteresis) {
        let reason = "such a hysteresis would never let the warning clear";
        let remedy = "write 0 <= hysteresis < warning";
        return Some(Invalid::new(format!("storage.{name}"), reason, remedy));
    }
    None
}

#[cfg(test)]
mod tests;
