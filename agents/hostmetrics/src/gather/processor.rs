//! CPU usage, and temperatures of every sensor chip.

use roundsman_host::Error;
use roundsman_host::cpu::{self, Times, Usage, usage_between};
use roundsman_host::hwmon::{self, Sensor};
use serde_json::{Map, Value};

use super::{Gathering, put};

pub(super) fn cpu(gathering: &mut Gathering<'_>) -> Result<(), Error> {
    let now = cpu::read(&gathering.host.root)?;
    let before = gathering.before.and_then(|(before, _)| before.cpu.as_ref());
    let total = before.and_then(|before| usage_between(&before.total, &now.total));
    let mut cores = Map::new();
    for core in &now.cores {
        let earlier = before.and_then(|before| times_of(&before.cores, core.number));
        let usage = earlier.and_then(|earlier| usage_between(earlier, &core.times));
        put(
            &mut cores,
            &core.number.to_string(),
            usage.map(|usage| usage.busy),
        );
    }
    if let Some(usage) = total {
        gathering.round.cpu_busy = Some(usage.busy / 100.0);
        let sample = gathering.sample("cpu");
        put(sample, "usage", Some(usage.busy));
        sample.insert("modes".into(), modes(&usage).into());
        sample.insert("cores".into(), cores.into());
    }
    gathering.counters.cpu = Some(now);
    Ok(())
}

fn times_of(cores: &[cpu::Core], number: u64) -> Option<&Times> {
    cores
        .iter()
        .find(|core| core.number == number)
        .map(|core| &core.times)
}

fn modes(usage: &Usage) -> Map<String, Value> {
    let mut modes = Map::new();
    for (name, percent) in [
        ("user", usage.user),
        ("nice", usage.nice),
        ("system", usage.system),
        ("idle", usage.idle),
        ("iowait", usage.iowait),
        ("irq", usage.irq),
        ("softirq", usage.softirq),
        ("steal", usage.steal),
    ] {
        put(&mut modes, name, Some(percent));
    }
    modes
}

/// Every sensor of every chip; and for the CPU the two keys that dashboards know.
pub(super) fn temperature(gathering: &mut Gathering<'_>) -> Result<(), Error> {
    let read = hwmon::read(&gathering.host.root);
    let Some(found) = gathering.optional("temperature", read) else {
        return Ok(());
    };
    gathering.round.sensors_unreadable = found.failed;
    for sensor in &found.sensors {
        let label = sensor.label.as_deref().unwrap_or(&sensor.sensor);
        let name = format!("{}/{label}", sensor.chip);
        put(gathering.sample("temperature"), &name, Some(sensor.celsius));
        gathering.reading("temperature", &name, Some(sensor.celsius));
    }
    let (package, cores) = of_processor(&found.sensors);
    if package.is_some() || !cores.is_empty() {
        let sample = gathering.sample("cpu");
        put(sample, "package_temp", package);
        sample.insert("core_temps".into(), cores.into());
    }
    if found.failed == 0 {
        gathering.complete(&["temperature"]);
    }
    Ok(())
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
