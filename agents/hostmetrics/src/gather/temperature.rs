//! Temperatures of every sensor chip.

use std::collections::BTreeMap;

use roundsman_host::Error;
use roundsman_host::hwmon::{self, Sensor};
use serde_json::{Map, Value};

use super::{Gathering, put};

/// Every sensor of every chip; and for the CPU the two keys that dashboards know. A sensor that
/// gives no figure is counted and is no failure: some do while their device is off.
pub(super) fn temperature(gathering: &mut Gathering<'_>) -> Result<(), Error> {
    let sensors = match hwmon::read(&gathering.host.root) {
        Err(error) if error.is_no_data() => Vec::new(),
        read => read?,
    };
    gathering.list(&["temperature"]);
    for (sensor, name) in sensors.iter().zip(names(&sensors)) {
        // Listed without a reading, its condition stays as it is.
        gathering.exists("temperature", &name);
        match sensor.celsius {
            Some(celsius) => {
                put(gathering.sample("temperature"), &name, Some(celsius));
                gathering.reading("temperature", &name, Some(celsius));
            }
            None => gathering.round.sensors_unreadable += 1,
        }
    }
    let (package, cores) = of_processor(&sensors);
    if package.is_some() || !cores.is_empty() {
        let sample = gathering.sample("cpu");
        put(sample, "package_temp", package);
        sample.insert("core_temps".into(), cores.into());
    }
    Ok(())
}

/// `chip/label` of each sensor, or `chip/temp2` where it has no label. Sensors of one chip that
/// share a label get their own name appended.
fn names(sensors: &[Sensor]) -> Vec<String> {
    let plain = |sensor: &Sensor| {
        let label = sensor.label.as_deref().unwrap_or(&sensor.sensor);
        format!("{}/{label}", sensor.chip)
    };
    let mut count = BTreeMap::new();
    for name in sensors.iter().map(plain) {
        *count.entry(name).or_insert(0) += 1;
    }
    let unique = |sensor: &Sensor| match plain(sensor) {
        name if count.get(&name) > Some(&1) => format!("{name} {}", sensor.sensor),
        name => name,
    };
    sensors.iter().map(unique).collect()
}

/// The hottest package and the cores by number (`core_0`), from Intel's, AMD's or an ARM chip.
/// AMD's `Tctl` is for fans and may carry an offset, so `Tdie` goes before it.
fn of_processor(sensors: &[Sensor]) -> (Option<f64>, Map<String, Value>) {
    let hottest =
        |known: Option<f64>, celsius: f64| Some(known.map_or(celsius, |k| k.max(celsius)));
    let (mut package, mut control) = (None, None);
    let mut cores = Map::new();
    for sensor in sensors {
        let Some(celsius) = sensor.celsius else {
            continue;
        };
        let label = sensor.label.as_deref().unwrap_or("");
        match (sensor.chip_name.as_str(), label) {
            ("coretemp", label) if label.starts_with("Package") => {
                package = hottest(package, celsius);
            }
            ("coretemp", label) => {
                if let Some(number) = label.strip_prefix("Core ") {
                    let key = format!("core_{number}");
                    let known = cores.get(&key).and_then(Value::as_f64);
                    put(&mut cores, &key, hottest(known, celsius));
                }
            }
            ("k10temp" | "zenpower", "Tdie") | ("cpu_thermal", _) => {
                package = hottest(package, celsius);
            }
            ("k10temp" | "zenpower", "Tctl") => control = hottest(control, celsius),
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
            celsius: Some(celsius),
            max: None,
            critical: None,
        }
    }

    #[test]
    fn sensors_that_share_a_label_are_told_apart_also_while_one_is_silent() {
        let named = |number: u8, celsius| Sensor {
            sensor: format!("temp{number}"),
            celsius,
            ..sensor("nct", "AUX", 0.0)
        };
        for celsius in [None, Some(40.0)] {
            let both = names(&[named(1, Some(40.0)), named(2, celsius)]);
            assert_eq!(both, ["nct/AUX temp1", "nct/AUX temp2"]);
        }
        assert_eq!(names(&[named(1, None)]), ["nct/AUX"]);
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
