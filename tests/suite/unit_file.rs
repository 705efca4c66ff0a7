//! A unit as systemd sees it: the file with its drop-ins applied in order. What counts is the
//! effective value, so that neither a drop-in nor the file alone can hide the other.

use std::collections::BTreeMap;

use crate::agents::{names, text};

/// Keys that take a list: each assignment adds, an empty one starts afresh.
const LISTS: [&str; 22] = [
    "After",
    "AmbientCapabilities",
    "Before",
    "CapabilityBoundingSet",
    "Documentation",
    "ExecStart",
    "ExecReload",
    "IPAddressDeny",
    "ListenStream",
    "LoadCredential",
    "OnCalendar",
    "OnFailure",
    "PartOf",
    "ReadWritePaths",
    "Requires",
    "RequiresMountsFor",
    "RestartPreventExitStatus",
    "RestrictAddressFamilies",
    "SuccessExitStatus",
    "SupplementaryGroups",
    "SystemCallFilter",
    "Wants",
];

/// The effective values of one unit.
#[derive(Debug)]
pub struct UnitFile {
    /// Its name, as `roundsman-hostmetrics.service`.
    pub name: String,
    values: BTreeMap<String, Vec<String>>,
}

impl UnitFile {
    /// Reads a unit of `units/` with its drop-ins.
    #[track_caller]
    pub fn load(name: &str) -> Self {
        let mut unit = Self {
            name: name.to_owned(),
            values: BTreeMap::new(),
        };
        unit.apply(&text(format!("units/{name}")));
        let own = format!("units/{name}.d");
        let common = match name.ends_with(".service") {
            true => "units/roundsman-.service.d",
            false => "units/none",
        };
        let mut drop_ins: Vec<(String, String)> = Vec::new();
        for directory in [common, &own] {
            let found = names(directory).into_iter();
            drop_ins.extend(found.map(|file| (file.clone(), format!("{directory}/{file}"))));
        }
        drop_ins.sort();
        for (_, path) in drop_ins {
            unit.apply(&text(path));
        }
        unit
    }

    /// Every unit of `units/` with one of these suffixes.
    pub fn all(suffixes: &[&str]) -> Vec<Self> {
        let units = names("units");
        let wanted = |name: &&String| {
            suffixes
                .iter()
                .any(|suffix| name.ends_with(&format!(".{suffix}")))
                && !name.ends_with(".d")
        };
        units
            .iter()
            .filter(wanted)
            .map(|name| Self::load(name))
            .collect()
    }

    fn apply(&mut self, text: &str) {
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', ';', '[']) {
                continue;
            }
            let (key, value) = match line.split_once('=') {
                Some(parts) => parts,
                None => panic!("{}: \"{line}\" is no assignment", self.name),
            };
            let is_list = LISTS.contains(&key);
            let values = self.values.entry(key.to_owned()).or_default();
            if !is_list || value.is_empty() {
                values.clear();
            }
            // The manager itself takes lists apart at spaces, but commands not.
            match key {
                "ExecStart" | "ExecReload" | "OnCalendar" => values.push(value.to_owned()),
                _ if is_list => values.extend(value.split_whitespace().map(str::to_owned)),
                _ => values.push(value.to_owned()),
            }
        }
    }

    /// The agent that this unit belongs to; `None` for the target and the slice.
    pub fn agent(&self) -> Option<&str> {
        let stem = self.name.split(['.', '@']).next()?;
        stem.strip_prefix("roundsman-")
    }

    /// The last value of `key`, with `%p` and `%n` filled in; empty when it is not set.
    pub fn get(&self, key: &str) -> String {
        let value = self.values.get(key).and_then(|values| values.last());
        let value = value.map(String::as_str).unwrap_or_default();
        let prefix = self.name.split(['.', '@']).next().unwrap_or_default();
        value.replace("%p", prefix).replace("%n", &self.name)
    }

    /// All values of a list.
    pub fn list(&self, key: &str) -> &[String] {
        self.values.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether the list `key` holds `value`.
    pub fn lists(&self, key: &str, value: &str) -> bool {
        self.list(key).iter().any(|found| found == value)
    }

    /// Every key that is set.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// A time span of systemd in seconds; 0 when it is not set.
    #[track_caller]
    pub fn seconds(&self, key: &str) -> u64 {
        let text = self.get(key);
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let factor = match &text[digits.len()..] {
            "" | "s" => 1,
            "min" => 60,
            "h" => 3600,
            unit => panic!("{}: {key}={text}: unit {unit}", self.name),
        };
        match digits {
            "" => 0,
            digits => factor * digits.parse::<u64>().unwrap(),
        }
    }
}
