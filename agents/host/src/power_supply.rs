//! Batteries and mains adapters: `/sys/class/power_supply`.

use crate::collector::{Collector, Host, Scrape};
use crate::directory::Directory;
use crate::error::Error;
use crate::exposition::Value;
use crate::file::File;
use crate::root::Root;

/// File, end of the family's name, and how many units make one that is shown.
const FIGURES: [(&str, &str, u32); 49] = [
    ("authentic", "authentic", 1),
    ("calibrate", "calibrate", 1),
    ("capacity", "capacity", 1),
    ("capacity_alert_max", "capacity_alert_max", 1),
    ("capacity_alert_min", "capacity_alert_min", 1),
    ("cycle_count", "cyclecount", 1),
    ("online", "online", 1),
    ("present", "present", 1),
    ("time_to_empty_now", "time_to_empty_seconds", 1),
    ("time_to_full_now", "time_to_full_seconds", 1),
    ("current_boot", "current_boot", MICRO),
    ("current_max", "current_max", MICRO),
    ("current_now", "current_ampere", MICRO),
    ("energy_empty", "energy_empty", MICRO),
    ("energy_empty_design", "energy_empty_design", MICRO),
    ("energy_full", "energy_full", MICRO),
    ("energy_full_design", "energy_full_design", MICRO),
    ("energy_now", "energy_watthour", MICRO),
    ("voltage_boot", "voltage_boot", MICRO),
    ("voltage_max", "voltage_max", MICRO),
    ("voltage_max_design", "voltage_max_design", MICRO),
    ("voltage_min", "voltage_min", MICRO),
    ("voltage_min_design", "voltage_min_design", MICRO),
    ("voltage_now", "voltage_volt", MICRO),
    ("voltage_ocv", "voltage_ocv", MICRO),
    ("charge_control_limit", "charge_control_limit", MICRO),
    (
        "charge_control_limit_max",
        "charge_control_limit_max",
        MICRO,
    ),
    ("charge_counter", "charge_counter", MICRO),
    ("charge_empty", "charge_empty", MICRO),
    ("charge_empty_design", "charge_empty_design", MICRO),
    ("charge_full", "charge_full", MICRO),
    ("charge_full_design", "charge_full_design", MICRO),
    ("charge_now", "charge_ampere", MICRO),
    ("charge_term_current", "charge_term_current", MICRO),
    ("constant_charge_current", "constant_charge_current", MICRO),
    (
        "constant_charge_current_max",
        "constant_charge_current_max",
        MICRO,
    ),
    ("constant_charge_voltage", "constant_charge_voltage", MICRO),
    (
        "constant_charge_voltage_max",
        "constant_charge_voltage_max",
        MICRO,
    ),
    ("precharge_current", "precharge_current", MICRO),
    ("input_current_limit", "input_current_limit", MICRO),
    ("power_now", "power_watt", MICRO),
    ("temp", "temp_celsius", 10),
    ("temp_alert_max", "temp_alert_max_celsius", 10),
    ("temp_alert_min", "temp_alert_min_celsius", 10),
    ("temp_ambient", "temp_ambient_celsius", 10),
    ("temp_ambient_alert_max", "temp_ambient_max_celsius", 10),
    ("temp_ambient_alert_min", "temp_ambient_min_celsius", 10),
    ("temp_max", "temp_max_celsius", 10),
    ("temp_min", "temp_min_celsius", 10),
];

const MICRO: u32 = 1_000_000;

/// Labels of `node_power_supply_info`, which are shown where they are not empty.
const WORDS: [&str; 11] = [
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "scope",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
];

struct Supply {
    name: String,
    /// Index into [`FIGURES`], and the file.
    figures: Vec<(usize, File)>,
    words: Vec<(&'static str, File)>,
}

pub(crate) struct PowerSupplyCollector {
    root: Root,
    directory: Directory,
    supplies: Vec<Supply>,
    families: [String; FIGURES.len()],
}

impl PowerSupplyCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self {
            root: host.root.clone(),
            directory: Directory::new(host.root.sys("class/power_supply")),
            supplies: Vec::new(),
            families: FIGURES.map(|(_, name, _)| format!("node_power_supply_{name}")),
        })
    }

    fn follow_supplies(&mut self) -> Result<(), Error> {
        let changed = self.directory.refresh();
        if !changed.map_err(|error| error.or_no_data("power supply"))? {
            return Ok(());
        }
        let directory = &self.directory;
        self.supplies = directory
            .names()
            .iter()
            .map(|name| {
                let path = directory.path().join(name);
                let file = |name: &str| {
                    let path = path.join(name);
                    path.exists().then(|| File::attribute(&self.root, path))
                };
                let figures = FIGURES.iter().enumerate();
                Supply {
                    name: name.clone(),
                    figures: figures
                        .filter_map(|(at, (name, ..))| Some((at, file(name)?)))
                        .collect(),
                    words: WORDS
                        .into_iter()
                        .filter_map(|name| Some((name, file(name)?)))
                        .collect(),
                }
            })
            .collect();
        Ok(())
    }

    fn write_info(&mut self, scrape: &mut Scrape<'_>) {
        let mut failed = Vec::new();
        let mut family = scrape.page.gauge(
            "node_power_supply_info",
            "Properties of the power supply; always 1.",
        );
        for supply in &mut self.supplies {
            let mut labels = vec![("power_supply", supply.name.clone())];
            for (name, file) in &mut supply.words {
                match file.offered(scrape.buffer) {
                    Ok(Some(text)) if !text.trimmed().is_empty() => {
                        labels.push((*name, text.word().into_owned()));
                    }
                    Ok(_) => {}
                    Err(error) => failed.push(error),
                }
            }
            let labels: Vec<_> = labels.iter().map(|(name, word)| (*name, &**word)).collect();
            family.sample(&labels, 1_u64);
        }
        for error in failed {
            scrape.skipped(error);
        }
    }
}

fn scaled(value: i64, unit: u32) -> Value {
    match (u64::try_from(value), unit) {
        (_, 1) => Value::from(value),
        (Ok(value), MICRO) => Value::millionths(value),
        _ => Value::Float(value as f64 / f64::from(unit)),
    }
}

impl Collector for PowerSupplyCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        self.follow_supplies()?;
        // As with node_exporter, an empty class is no failure, and a missing one is.
        if self.supplies.is_empty() {
            return Ok(());
        }
        let mut failed = Vec::new();
        for (at, (_, _, unit)) in FIGURES.into_iter().enumerate() {
            let mut family = scrape
                .page
                .gauge(&self.families[at], "A figure of the power supply.");
            for supply in &mut self.supplies {
                let Some((_, file)) = supply.figures.iter_mut().find(|(n, _)| *n == at) else {
                    continue;
                };
                let read = file.offered(scrape.buffer);
                match read.and_then(|text| text.map(|t| t.signed("figure")).transpose()) {
                    Ok(Some(value)) => {
                        family.sample(&[("power_supply", &*supply.name)], scaled(value, unit));
                    }
                    Ok(None) => {}
                    Err(error) => failed.push(error),
                }
            }
        }
        for error in failed {
            scrape.skipped(error);
        }
        self.write_info(scrape);
        Ok(())
    }
}
