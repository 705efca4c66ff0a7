//! The chips of a host, and the files of their sensors.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::attribute::{clean, parts};
use crate::directory::{Directory, names_once};
use crate::file::{Buffer, File};
use crate::root::Root;

/// A chip.
pub(super) struct Chip {
    /// Unique and stable over restarts: its place in the machine.
    pub(super) label: String,
    /// What it is called; empty where it does not say.
    pub(super) name: String,
    /// By name.
    pub(super) sensors: BTreeMap<String, Sensor>,
}

/// A sensor of a chip.
pub(super) struct Sensor {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) label: Option<String>,
    /// Its files by property.
    pub(super) figures: BTreeMap<String, File>,
}

/// Finds all chips below `directory`.
pub(super) fn find(root: &Root, directory: &Directory, buffer: &mut Buffer) -> Vec<Chip> {
    let mut chips: Vec<(String, Chip)> = Vec::new();
    for entry in directory.names() {
        let path = directory.path().join(entry);
        if !path.is_dir() {
            continue;
        }
        let name = word(root, &path.join("name"), buffer).unwrap_or_default();
        let place = place(&path).unwrap_or_else(|| match clean(&name) {
            name if name.is_empty() => entry.clone(),
            name => name,
        });
        let chip = Chip {
            label: place,
            name: clean(&name),
            sensors: sensors(root, &path, buffer),
        };
        chips.push((entry.clone(), chip));
    }
    make_unique(&mut chips);
    chips.into_iter().map(|(_, chip)| chip).collect()
}

/// Bus and device that the chip belongs to: the number in `hwmon3` depends on the order in which
/// drivers were loaded.
fn place(path: &Path) -> Option<String> {
    let device = fs::canonicalize(path.join("device")).ok()?;
    let part = |path: &Path| Some(clean(path.file_name()?.to_str()?));
    let name = part(&device).filter(|name| !name.is_empty())?;
    match device.parent().and_then(part) {
        Some(bus) if !bus.is_empty() => Some(format!("{bus}_{name}")),
        _ => Some(name),
    }
}

/// Several chips can belong to one device: they get their name, or their number, appended.
fn make_unique(chips: &mut [(String, Chip)]) {
    let seen: Vec<_> = chips
        .iter()
        .map(|(_, chip)| (chip.label.clone(), chip.name.clone()))
        .collect();
    for (entry, chip) in chips {
        let of_device = seen.iter().filter(|(label, _)| *label == chip.label);
        if of_device.clone().count() < 2 {
            continue;
        }
        let namesakes = of_device.filter(|(_, name)| *name == chip.name).count();
        let suffix = if chip.name.is_empty() || namesakes > 1 {
            entry
        } else {
            &chip.name
        };
        chip.label = format!("{}_{suffix}", chip.label);
    }
}

fn sensors(root: &Root, path: &Path, buffer: &mut Buffer) -> BTreeMap<String, Sensor> {
    let mut sensors = BTreeMap::new();
    // Old drivers put the files beside the device.
    for directory in [path.to_owned(), path.join("device")] {
        for file in names_once(&directory).unwrap_or_default() {
            let Some(parts) = parts(&file) else {
                continue;
            };
            let path = directory.join(&file);
            if !path.is_file() {
                continue;
            }
            let sensor = sensors
                .entry(parts.sensor.clone())
                .or_insert_with(|| Sensor {
                    name: parts.sensor.clone(),
                    kind: parts.kind.to_owned(),
                    label: None,
                    figures: BTreeMap::new(),
                });
            if parts.property == "label" {
                sensor.label = word(root, &path, buffer);
            } else {
                let file = File::attribute(root, path);
                sensor.figures.insert(parts.property.to_owned(), file);
            }
        }
    }
    sensors
}

fn word(root: &Root, path: &Path, buffer: &mut Buffer) -> Option<String> {
    let mut file = File::replaced(root, path.to_owned());
    let text = file.read(buffer).ok()?;
    Some(text.word().into_owned())
}
