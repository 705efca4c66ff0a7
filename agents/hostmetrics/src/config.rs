//! What `/etc/roundsman/hostmetrics.toml` may hold.

use std::collections::BTreeMap;

use roundsman_kit::Invalid;
use roundsman_kit::quantity::Span;
use serde::{Deserialize, Serialize};

/// The keys of `hostmetrics`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which mounts and interfaces are measured.
    pub measure: Measure,
    /// When a figure becomes an event.
    pub thresholds: Thresholds,
}

/// Which mounts and interfaces are measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// Mount points whose path begins with one of these are left out.
    pub exclude_mounts: Vec<String>,
    /// Interfaces whose name begins with one of these are left out.
    pub exclude_interfaces: Vec<String>,
}

/// When a figure becomes an event. Every one can be switched off by `enabled = false`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Space used on each mount, in percent.
    pub disk: Threshold,
    /// Inodes used on each mount, in percent.
    pub inodes: Threshold,
    /// Memory that is not available, in percent.
    pub memory: Threshold,
    /// Swap used, in percent.
    pub swap: Threshold,
    /// Share of the last 5 minutes in which some task waited for a CPU, in percent.
    pub pressure_cpu: Threshold,
    /// Share of the last 5 minutes in which some task waited for memory, in percent.
    pub pressure_memory: Threshold,
    /// Share of the last 5 minutes in which some task waited for a disk, in percent.
    pub pressure_io: Threshold,
    /// Load average of 15 minutes per CPU.
    pub load: Threshold,
    /// Temperature of each sensor, in degrees Celsius.
    pub temperature: Threshold,
    /// File handles in use, in percent of the kernel's limit.
    pub descriptors: Threshold,
    /// Tracked connections, in percent of the kernel's limit.
    pub conntrack: Threshold,
}

/// One threshold with two levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// Whether this figure is judged at all.
    pub enabled: bool,
    /// At or above this it is a warning (syslog severity 4).
    pub warning: f64,
    /// At or above this it is critical (syslog severity 2).
    pub critical: f64,
    /// How far below a level the figure must fall before that level is left.
    pub hysteresis: f64,
    /// How long the figure must stay at a level before that becomes an event.
    pub hold: Span,
    /// Other levels for single subjects: a mount point, a sensor.
    pub subjects: BTreeMap<String, Levels>,
}

/// Levels of one subject; a key that is left out is that of the threshold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Levels {
    /// Whether this subject is judged.
    pub enabled: Option<bool>,
    /// At or above this it is a warning.
    pub warning: Option<f64>,
    /// At or above this it is critical.
    pub critical: Option<f64>,
}

impl Default for Config {
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            measure: Measure {
                exclude_mounts: owned(&["/boot"]),
                exclude_interfaces: owned(&[
                    "lo",
                    "docker",
                    "veth",
                    "br-",
                    "tun",
                    "tailscale",
                    "wg",
                    "zt",
                    "dummy",
                    "virbr",
                ]),
            },
            thresholds: Thresholds::default(),
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        let at = |warning, critical, hysteresis, minutes: u64| Threshold {
            enabled: true,
            warning,
            critical,
            hysteresis,
            hold: Span::secs(60 * minutes),
            subjects: BTreeMap::new(),
        };
        Self {
            disk: at(85.0, 95.0, 2.0, 0),
            inodes: at(85.0, 95.0, 2.0, 0),
            memory: at(90.0, 97.0, 3.0, 5),
            swap: at(80.0, 95.0, 5.0, 5),
            pressure_cpu: at(80.0, 95.0, 10.0, 0),
            pressure_memory: at(20.0, 50.0, 5.0, 0),
            pressure_io: at(60.0, 90.0, 10.0, 0),
            load: at(4.0, 8.0, 0.5, 0),
            temperature: at(85.0, 95.0, 5.0, 2),
            descriptors: at(80.0, 95.0, 5.0, 0),
            conntrack: at(80.0, 95.0, 5.0, 0),
        }
    }
}

impl Thresholds {
    /// Every threshold with the name it has in configuration and events.
    pub fn all(&self) -> [(&'static str, &Threshold); 11] {
        [
            ("disk", &self.disk),
            ("inodes", &self.inodes),
            ("memory", &self.memory),
            ("swap", &self.swap),
            ("pressure_cpu", &self.pressure_cpu),
            ("pressure_memory", &self.pressure_memory),
            ("pressure_io", &self.pressure_io),
            ("load", &self.load),
            ("temperature", &self.temperature),
            ("descriptors", &self.descriptors),
            ("conntrack", &self.conntrack),
        ]
    }
}

impl Threshold {
    /// The levels that hold for `subject`; `None` when it is not judged.
    pub fn levels(&self, subject: &str) -> Option<(f64, f64)> {
        let own = self.subjects.get(subject);
        let enabled = own.and_then(|own| own.enabled).unwrap_or(self.enabled);
        let warning = own.and_then(|own| own.warning).unwrap_or(self.warning);
        let critical = own.and_then(|own| own.critical).unwrap_or(self.critical);
        enabled.then_some((warning, critical))
    }
}

impl roundsman_kit::Config for Config {
    fn validate(&self) -> Vec<Invalid> {
        self.thresholds
            .all()
            .into_iter()
            .flat_map(|(name, threshold)| check(name, threshold))
            .collect()
    }
}

fn check(name: &str, threshold: &Threshold) -> Vec<Invalid> {
    let mut found = Vec::new();
    let mut levels = |key: String, warning: f64, critical: f64| {
        // Negated, so that a NaN is refused as well.
        if !(warning > 0.0 && warning <= critical && critical.is_finite()) {
            let reason = format!("warning {warning} and critical {critical} are not in order");
            found.push(Invalid::new(key, reason, "write 0 < warning <= critical"));
        }
    };
    levels(
        format!("thresholds.{name}"),
        threshold.warning,
        threshold.critical,
    );
    for subject in threshold.subjects.keys() {
        if let Some((warning, critical)) = threshold.levels(subject) {
            levels(
                format!("thresholds.{name}.subjects.{subject}"),
                warning,
                critical,
            );
        }
    }
    if !(threshold.hysteresis >= 0.0 && threshold.hysteresis < threshold.warning) {
        let reason = format!("{} would never let a warning clear", threshold.hysteresis);
        let key = format!("thresholds.{name}.hysteresis");
        found.push(Invalid::new(
            key,
            reason,
            "write 0 or more, and less than warning",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use roundsman_kit::Config as _;

    #[test]
    fn levels_out_of_order_are_found_per_subject() {
        let mut config = Config::default();
        assert!(config.validate().is_empty());
        config.thresholds.disk.warning = 99.0;
        config.thresholds.memory.hysteresis = 90.0;
        let tight = Levels {
            critical: Some(f64::NAN),
            ..Levels::default()
        };
        config
            .thresholds
            .temperature
            .subjects
            .insert("cpu".into(), tight);
        let keys: Vec<_> = config
            .validate()
            .into_iter()
            .map(|found| found.key)
            .collect();
        let expected = [
            "thresholds.disk",
            "thresholds.memory.hysteresis",
            "thresholds.temperature.subjects.cpu",
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn the_shipped_file_shows_every_key_at_its_default() {
        let text = include_str!("../../../config/hostmetrics.toml");
        roundsman_tests::assert_shipped_config(text, &Config::default());
    }
}
