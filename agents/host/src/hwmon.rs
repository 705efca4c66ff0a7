//! Hardware monitors: temperatures, fans, voltages, currents and power of every chip that
//! `/sys/class/hwmon` knows, whatever its name.

use std::collections::BTreeMap;

use crate::collector::{Collector, Host, Scrape};
use crate::directory::Directory;
use crate::error::Error;
use crate::exposition::{Kind, Value};
use crate::file::{Buffer, File};
use crate::root::Root;
use crate::text::{Text, signed_decimal};

mod attribute;
mod chip;

use attribute::{Metric, Scale};
use chip::Chip;

/// A temperature.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensor {
    /// The chip, by its place in the machine: `platform_coretemp_0`.
    pub chip: String,
    /// What the chip is called: `coretemp`, `k10temp`, `nvme`.
    pub chip_name: String,
    /// The sensor's name in sysfs: `temp1`.
    pub sensor: String,
    /// What the driver calls it: `Package id 0`, `Tctl`.
    pub label: Option<String>,
    /// Degrees Celsius; `None` while the sensor gives no figure, as some do whose device is off.
    pub celsius: Option<f64>,
    /// What the chip thinks too warm.
    pub max: Option<f64>,
    /// What the chip thinks dangerous.
    pub critical: Option<f64>,
}

/// Reads all temperatures; [`Error::NoData`] on a host without such chips.
pub fn read(root: &Root) -> Result<Vec<Sensor>, Error> {
    let mut directory = Directory::new(root.sys("class/hwmon"));
    directory.refresh().map_err(no_chips)?;
    let mut buffer = Buffer::new();
    let mut found = Vec::new();
    for chip in chip::find(root, &directory, &mut buffer) {
        for sensor in chip.sensors.into_values() {
            if sensor.kind != "temp" {
                continue;
            }
            let mut figures = sensor.figures;
            let mut degrees = |property: &str| {
                let file = figures.get_mut(property)?;
                let text = file.read(&mut buffer).ok()?;
                Some(number(text).ok()? as f64 / 1000.0)
            };
            found.push(Sensor {
                chip: chip.label.clone(),
                chip_name: chip.name.clone(),
                sensor: sensor.name,
                label: sensor.label,
                celsius: degrees("input"),
                max: degrees("max"),
                critical: degrees("crit"),
            });
        }
    }
    Ok(found)
}

fn no_chips(error: Error) -> Error {
    error.or_no_data("hardware monitor")
}

fn number(text: Text<'_>) -> Result<i64, Error> {
    signed_decimal(text.trimmed()).ok_or_else(|| text.first().malformed("figure of a sensor"))
}

/// One file of one sensor.
struct Figure {
    chip: String,
    sensor: String,
    scale: Scale,
    file: File,
}

struct Family {
    kind: Kind,
    figures: Vec<Figure>,
}

pub(crate) struct HwmonCollector {
    root: Root,
    directory: Directory,
    /// Label and name of each chip.
    chips: Vec<(String, String)>,
    /// Chip, sensor, label.
    labels: Vec<(String, String, String)>,
    families: BTreeMap<String, Family>,
}

impl HwmonCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self {
            root: host.root.clone(),
            directory: Directory::new(host.root.sys("class/hwmon")),
            chips: Vec::new(),
            labels: Vec::new(),
            families: BTreeMap::new(),
        })
    }

    fn follow_chips(&mut self, buffer: &mut Buffer) -> Result<(), Error> {
        if !self.directory.refresh().map_err(no_chips)? {
            return Ok(());
        }
        self.chips.clear();
        self.labels.clear();
        self.families.clear();
        for chip in chip::find(&self.root, &self.directory, buffer) {
            self.add(chip);
        }
        Ok(())
    }

    fn add(&mut self, chip: Chip) {
        if !chip.name.is_empty() {
            self.chips.push((chip.label.clone(), chip.name));
        }
        for sensor in chip.sensors.into_values() {
            if let Some(label) = &sensor.label {
                let label = (chip.label.clone(), sensor.name.clone(), label.clone());
                self.labels.push(label);
            }
            let plain_too = sensor.figures.contains_key("");
            for (property, file) in sensor.figures {
                let label = sensor.label.as_deref();
                let metric = attribute::metric(&sensor.kind, &property, plain_too, label);
                let Some(Metric {
                    family,
                    kind,
                    scale,
                    sensor: renamed,
                }) = metric
                else {
                    continue;
                };
                let family = self.families.entry(family).or_insert_with(|| Family {
                    kind,
                    figures: Vec::new(),
                });
                family.figures.push(Figure {
                    chip: chip.label.clone(),
                    sensor: renamed.unwrap_or_else(|| sensor.name.clone()),
                    scale,
                    file,
                });
            }
        }
    }
}

impl Collector for HwmonCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        self.follow_chips(scrape.buffer)?;
        let mut family = scrape.page.gauge(
            "node_hwmon_chip_names",
            "What the chip is called; always 1.",
        );
        for (chip, name) in &self.chips {
            family.sample(&[("chip", chip), ("chip_name", name)], 1_u64);
        }
        let mut family = scrape.page.gauge(
            "node_hwmon_sensor_label",
            "What the driver calls the sensor; always 1.",
        );
        for (chip, sensor, label) in &self.labels {
            let labels = [("chip", &**chip), ("sensor", sensor), ("label", label)];
            family.sample(&labels, 1_u64);
        }
        let mut failed = Vec::new();
        for (name, family) in &mut self.families {
            let help = "A figure of a hardware monitor.";
            let mut writer = scrape.page.family(family.kind, name, help);
            for figure in &mut family.figures {
                match figure.file.read(scrape.buffer).and_then(number) {
                    Ok(value) => {
                        let labels = [("chip", &*figure.chip), ("sensor", &figure.sensor)];
                        writer.sample(&labels, figure.scale.apply(value));
                    }
                    Err(error) => failed.push(error),
                }
            }
        }
        // Many drivers offer sensors that nothing is connected to.
        for error in failed {
            scrape.skipped(error);
        }
        Ok(())
    }
}

impl Scale {
    fn apply(self, value: i64) -> Value {
        match (self, u64::try_from(value)) {
            (Self::One, _) => Value::from(value),
            (Self::Milli, Ok(value)) => Value::thousandths(value),
            (Self::Micro, Ok(value)) => Value::millionths(value),
            (Self::Milli, Err(_)) => Value::Float(value as f64 / 1e3),
            (Self::Micro, Err(_)) => Value::Float(value as f64 / 1e6),
            (Self::IsOne, _) => Value::from(value == 1),
        }
    }
}
