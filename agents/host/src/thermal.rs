//! Thermal zones and cooling devices: `/sys/class/thermal`.

use crate::collector::{Collector, Host, Scrape};
use crate::directory::Directory;
use crate::error::Error;
use crate::exposition::Value;
use crate::file::{Buffer, File};
use crate::root::Root;

/// A zone or a cooling device.
struct Device {
    number: String,
    kind: String,
    /// `temp`, or `cur_state`.
    first: File,
    /// `max_state` of a cooling device.
    second: Option<File>,
}

pub(crate) struct ThermalCollector {
    root: Root,
    directory: Directory,
    zones: Vec<Device>,
    cooling: Vec<Device>,
}

impl ThermalCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self {
            root: host.root.clone(),
            directory: Directory::new(host.root.sys("class/thermal")),
            zones: Vec::new(),
            cooling: Vec::new(),
        })
    }

    fn follow_devices(&mut self, buffer: &mut Buffer) -> Result<(), Error> {
        let changed = self.directory.refresh();
        if !changed.map_err(|error| error.or_no_data("thermal zone"))? {
            return Ok(());
        }
        self.zones.clear();
        self.cooling.clear();
        for name in self.directory.names() {
            let path = self.directory.path().join(name);
            let file = |name: &str| File::attribute(&self.root, path.join(name));
            let mut device = |number: &str, first: &str, second: Option<&str>| {
                let kind = file("type")
                    .offered(buffer)?
                    .map(|text| text.word().into_owned());
                Ok::<_, Error>(Device {
                    number: number.to_owned(),
                    kind: kind.unwrap_or_default(),
                    first: file(first),
                    second: second.map(file),
                })
            };
            if let Some(number) = name.strip_prefix("thermal_zone") {
                self.zones.push(device(number, "temp", None)?);
            } else if let Some(number) = name.strip_prefix("cooling_device") {
                self.cooling
                    .push(device(number, "cur_state", Some("max_state"))?);
            }
        }
        Ok(())
    }
}

/// Thousandths of a degree.
pub(crate) fn celsius(thousandths: i64) -> Value {
    match u64::try_from(thousandths) {
        Ok(positive) => Value::thousandths(positive),
        Err(_) => Value::Float(thousandths as f64 / 1000.0),
    }
}

/// The number in an attribute; one that the hardware cannot give now is noted and left out.
fn number(file: &mut File, buffer: &mut Buffer) -> Result<Option<i64>, Error> {
    file.offered(buffer)?
        .map(|text| text.signed("state of a device"))
        .transpose()
}

impl Collector for ThermalCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        self.follow_devices(scrape.buffer)?;
        let mut failed = Vec::new();
        let mut family = scrape.page.gauge(
            "node_thermal_zone_temp",
            "Temperature of the zone, in degrees Celsius.",
        );
        for zone in &mut self.zones {
            match number(&mut zone.first, scrape.buffer) {
                Ok(Some(value)) => {
                    let labels = [("zone", &*zone.number), ("type", &zone.kind)];
                    family.sample(&labels, celsius(value));
                }
                Ok(None) => {}
                Err(error) => failed.push(error),
            }
        }
        let families = [
            (
                "node_cooling_device_cur_state",
                "How strongly the device cools or slows down now.",
            ),
            (
                "node_cooling_device_max_state",
                "How strongly the device can cool or slow down.",
            ),
        ];
        for (at, (name, help)) in families.into_iter().enumerate() {
            let mut family = scrape.page.gauge(name, help);
            for device in &mut self.cooling {
                let file = match (at, &mut device.second) {
                    (1, Some(second)) => second,
                    _ => &mut device.first,
                };
                match number(file, scrape.buffer) {
                    Ok(Some(value)) => {
                        let labels = [("name", &*device.number), ("type", &device.kind)];
                        family.sample(&labels, value);
                    }
                    Ok(None) => {}
                    Err(error) => failed.push(error),
                }
            }
        }
        for error in failed {
            scrape.skipped(error);
        }
        Ok(())
    }
}
