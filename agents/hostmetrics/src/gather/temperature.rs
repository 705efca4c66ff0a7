//! Temperatures of every sensor chip.

use std::collections::{BTreeMap, BTreeSet};

use roundsman_host::exposition::parse::{Limits, parse};
use roundsman_host::exposition::{Format, Page};
use roundsman_host::hwmon::{self, Sensor};
use roundsman_host::{Collectors, Error, Host, REGISTRY};
use serde_json::{Map, Value};

use super::{Gathering, put};

/// Every sensor of every chip; and for the CPU the two keys that dashboards know. A sensor that
/// gives no figure is counted and is no failure: some do while their device is off.
pub(super) fn temperature(gathering: &mut Gathering<'_>) -> Result<(), Error> {
    let found = match hwmon::read(&gathering.host.root) {
        Err(error) if error.is_no_data() => hwmon::Temperatures::default(),
        read => read?,
    };
    gathering.round.sensors_unreadable = found.failed;
    let silent = match found.failed {
        0 => Some(Silent::default()),
        _ => Silent::read(gathering.host, &found.sensors),
    };
    if let Some(silent) = &silent {
        gathering.list(&["temperature"]);
        let chips = silent.chips.iter().map(|chip| format!("{chip}/"));
        let unsure = &mut gathering.round.seen.unsure;
        unsure.insert("temperature", chips.collect());
    }
    let labels = silent.unwrap_or_default().labels;
    for (sensor, name) in found.sensors.iter().zip(names(&found.sensors, &labels)) {
        put(gathering.sample("temperature"), &name, Some(sensor.celsius));
        gathering.exists("temperature", &name);
        gathering.reading("temperature", &name, Some(sensor.celsius));
    }
    let (package, cores) = of_processor(&found.sensors);
    if package.is_some() || !cores.is_empty() {
        let sample = gathering.sample("cpu");
        put(sample, "package_temp", package);
        sample.insert("core_temps".into(), cores.into());
    }
    Ok(())
}

/// `chip/label` of each sensor, or `chip/temp2` where it has no label. Sensors of one chip that
/// share a label get their own name appended, whether or not the other one gives a figure.
fn names(sensors: &[Sensor], silent: &BTreeSet<String>) -> Vec<String> {
    let plain = |sensor: &Sensor| {
        let label = sensor.label.as_deref().unwrap_or(&sensor.sensor);
        format!("{}/{label}", sensor.chip)
    };
    let mut count = BTreeMap::new();
    for name in sensors.iter().map(plain).chain(silent.iter().cloned()) {
        *count.entry(name).or_insert(0) += 1;
    }
    let unique = |sensor: &Sensor| match plain(sensor) {
        name if count.get(&name) > Some(&1) => format!("{name} {}", sensor.sensor),
        name => name,
    };
    sensors.iter().map(unique).collect()
}

/// What the host lists beside the sensors that gave a figure.
#[derive(Debug, Default)]
struct Silent {
    /// Every chip.
    chips: BTreeSet<String>,
    /// `chip/label` of the temperatures without a figure, where they have a label.
    labels: BTreeSet<String>,
}

impl Silent {
    /// From the page of node_exporter's names, which has chips and labels without a figure too.
    fn read(host: &Host, sensors: &[Sensor]) -> Option<Self> {
        let others = REGISTRY.iter().map(|entry| entry.name);
        let others: Vec<_> = others.filter(|name| *name != "hwmon").collect();
        let mut page = Page::new(Format::Text);
        Collectors::select(host, &[], &others)
            .ok()?
            .collect(&mut page);
        let families = parse(page.finish(), &Limits::default()).ok()?;
        let mut silent = Self::default();
        for sample in families.iter().flat_map(|family| &family.samples) {
            let of = |name: &str| label(&sample.labels, name);
            let Some(chip) = of("chip") else { continue };
            silent.chips.insert(chip.clone());
            let (Some(sensor), Some(label)) = (of("sensor"), of("label")) else {
                continue;
            };
            let is_read = |s: &Sensor| s.chip == chip && s.sensor == sensor;
            if sensor.starts_with("temp") && !sensors.iter().any(is_read) {
                silent.labels.insert(format!("{chip}/{label}"));
            }
        }
        Some(silent)
    }
}

/// The value of one label, without escapes. Quotes inside values are escaped, so that
/// `name="` stands only where the label begins.
fn label(labels: &str, name: &str) -> Option<String> {
    let (_, rest) = labels.split_once(&format!("{name}=\""))?;
    let mut value = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return Some(value),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
}

/// The hottest package and the cores by number (`core_0`), from Intel's, AMD's or an ARM chip.
/// AMD's `Tctl` is for fans and may carry an offset, so `Tdie` goes before it.
fn of_processor(sensors: &[Sensor]) -> (Option<f64>, Map<String, Value>) {
    let hottest =
        |known: Option<f64>, celsius: f64| Some(known.map_or(celsius, |k| k.max(celsius)));
    let (mut package, mut control) = (None, None);
    let mut cores = Map::new();
    for sensor in sensors {
        let label = sensor.label.as_deref().unwrap_or("");
        match (sensor.chip_name.as_str(), label) {
            ("coretemp", label) if label.starts_with("Package") => {
                package = hottest(package, sensor.celsius);
            }
            ("coretemp", label) => {
                if let Some(number) = label.strip_prefix("Core ") {
                    let key = format!("core_{number}");
                    let known = cores.get(&key).and_then(Value::as_f64);
                    put(&mut cores, &key, hottest(known, sensor.celsius));
                }
            }
            ("k10temp" | "zenpower", "Tdie") | ("cpu_thermal", _) => {
                package = hottest(package, sensor.celsius);
            }
            ("k10temp" | "zenpower", "Tctl") => control = hottest(control, sensor.celsius),
            _ => {}
        }
    }
    (package.or(control), cores)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sensor(chip_name: &str, label: &str, celsius: f64) -> Sensor {
        Sensor {
            chip: chip_name.into(),
            chip_name: chip_name.into(),
            sensor: "temp1".into(),
            label: Some(label.into()),
            celsius,
            max: None,
            critical: None,
        }
    }

    #[test]
    fn sensors_that_share_a_label_are_told_apart_also_while_one_is_silent() {
        let named = |number: u8| Sensor {
            sensor: format!("temp{number}"),
            ..sensor("nct", "AUX", 40.0)
        };
        let both = names(&[named(1), named(2)], &BTreeSet::new());
        assert_eq!(both, ["nct/AUX temp1", "nct/AUX temp2"]);
        let silent = BTreeSet::from(["nct/AUX".to_owned()]);
        assert_eq!(names(&[named(2)], &silent), ["nct/AUX temp2"]);
        assert_eq!(names(&[named(1)], &BTreeSet::new()), ["nct/AUX"]);
    }

    #[test]
    fn labels_are_read_without_their_escapes() {
        let labels = r#"chip="nct",sensor="temp1",label="a\"b,chip=\"x""#;
        assert_eq!(label(labels, "chip").as_deref(), Some("nct"));
        assert_eq!(label(labels, "label").as_deref(), Some("a\"b,chip=\"x"));
        assert_eq!(label(labels, "chip_name"), None);
    }

    #[test]
    fn the_processor_is_found_on_intel_and_amd() {
        let intel = [
            sensor("coretemp", "Package id 0", 50.0),
            sensor("coretemp", "Package id 1", 60.0),
            sensor("coretemp", "Core 0", 48.0),
            sensor("nvme", "Composite", 70.0),
        ];
        let (package, cores) = of_processor(&intel);
        assert_eq!(
            (package, cores["core_0"].as_f64()),
            (Some(60.0), Some(48.0))
        );
        let amd = [
            sensor("k10temp", "Tctl", 80.0),
            sensor("k10temp", "Tdie", 53.0),
        ];
        assert_eq!(of_processor(&amd).0, Some(53.0));
        assert_eq!(of_processor(&amd[..1]).0, Some(80.0));
        assert_eq!(of_processor(&[]).0, None, "no sensor is not 0 degrees");
    }
}
