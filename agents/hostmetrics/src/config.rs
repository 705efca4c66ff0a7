//! What `/etc/roundsman/hostmetrics.toml` may hold.

use std::collections::BTreeMap;
use std::path::Path;

use roundsman_kit::Invalid;
use roundsman_kit::quantity::Span;
use roundsman_kit::threshold::Limits;
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
    /// Mounts at and below these directories are left out.
    pub exclude_mounts: Vec<String>,
    /// Interfaces of these names are left out; a `*` at the end stands for anything.
    pub exclude_interfaces: Vec<String>,
}

impl Measure {
    /// Whether the mount there is measured.
    pub fn keeps_mount(&self, mount_point: &str) -> bool {
        let path = Path::new(mount_point);
        !self.exclude_mounts.iter().any(|out| path.starts_with(out))
    }

    /// Whether the interface is measured.
    pub fn keeps_interface(&self, name: &str) -> bool {
        !self
            .exclude_interfaces
            .iter()
            .any(|out| match out.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => name == out,
            })
    }
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
                    "docker*",
                    "veth*",
                    "br-*",
                    "tun*",
                    "tailscale*",
                    "wg*",
                    "zt*",
                    "dummy*",
                    "virbr*",
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
    /// The limits that hold for `subject`; `None` when it is not judged.
    pub fn limits(&self, subject: &str) -> Option<Limits> {
        let own = self.subjects.get(subject);
        let enabled = own.and_then(|own| own.enabled).unwrap_or(self.enabled);
        enabled.then_some(Limits {
            warning: own.and_then(|own| own.warning).unwrap_or(self.warning),
            critical: own.and_then(|own| own.critical).unwrap_or(self.critical),
        })
    }
}

impl roundsman_kit::Config for Config {
    fn validate(&self) -> Vec<Invalid> {
        let measure = &self.measure;
        let mounts = measure.exclude_mounts.iter().filter_map(|out| mount(out));
        let interfaces = &measure.exclude_interfaces;
        let interfaces = interfaces.iter().filter_map(|out| interface(out));
        let thresholds = self.thresholds.all();
        mounts
            .chain(interfaces)
            .chain(thresholds.into_iter().flat_map(|(name, t)| check(name, t)))
            .collect()
    }
}

fn mount(excluded: &str) -> Option<Invalid> {
    let path = Path::new(excluded);
    let is_sound = path.is_absolute() && path.parent().is_some();
    (!is_sound).then(|| {
        Invalid::new(
            "measure.exclude_mounts",
            format!("{excluded:?} is not the path of a directory below /"),
            "write absolute paths, as \"/boot\"",
        )
    })
}

fn interface(excluded: &str) -> Option<Invalid> {
    let name = excluded.strip_suffix('*').unwrap_or(excluded);
    (excluded.is_empty() || name.contains('*')).then(|| {
        Invalid::new(
            "measure.exclude_interfaces",
            format!("{excluded:?} names no interface"),
            "write a name, as \"lo\", or the beginning of names, as \"veth*\"",
        )
    })
}

fn check(name: &str, threshold: &Threshold) -> Vec<Invalid> {
    let mut found = Vec::new();
    let key = format!("thresholds.{name}");
    let hysteresis = threshold.hysteresis;
    if hysteresis.is_nan() || hysteresis < 0.0 {
        let reason = format!("{hysteresis} is not a distance");
        let key = format!("{key}.hysteresis");
        found.push(Invalid::new(key, reason, "write 0 or more"));
    }
    let whole = Limits {
        warning: threshold.warning,
        critical: threshold.critical,
    };
    let own = threshold.subjects.keys().filter_map(|subject| {
        let limits = threshold.limits(subject)?;
        Some((format!("{key}.subjects.{subject}"), limits))
    });
    for (key, Limits { warning, critical }) in [(key.clone(), whole)].into_iter().chain(own) {
        // Negated, so that a NaN is refused as well.
        if !(warning > 0.0 && warning <= critical && critical.is_finite()) {
            let reason = format!("warning {warning} and critical {critical} are not in order");
            found.push(Invalid::new(key, reason, "write 0 < warning <= critical"));
        } else if hysteresis >= warning {
            let reason = format!("hysteresis {hysteresis} would never let warning {warning} clear");
            let remedy = "write a hysteresis less than warning";
            found.push(Invalid::new(key, reason, remedy));
        }
    }
    found
}

#[cfg(test)]
mod tests;
