//! What is known of the units: a pure table that listings and property changes are applied to.

use std::collections::{BTreeMap, HashSet};

use super::filter::Filter;

/// The `ActiveState` of a unit (org.freedesktop.systemd1(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    Active,
    Activating,
    Deactivating,
    Inactive,
    Failed,
    Reloading,
    Refreshing,
    Maintenance,
}

impl State {
    /// The states that have a series for each unit, in the order of node_exporter.
    pub const SHOWN: [Self; 5] = [
        Self::Active,
        Self::Activating,
        Self::Deactivating,
        Self::Inactive,
        Self::Failed,
    ];

    const ALL: [Self; 8] = [
        Self::Active,
        Self::Activating,
        Self::Deactivating,
        Self::Inactive,
        Self::Failed,
        Self::Reloading,
        Self::Refreshing,
        Self::Maintenance,
    ];

    /// The name on the bus and in labels.
    pub fn label(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
            Self::Reloading => "reloading",
            Self::Refreshing => "refreshing",
            Self::Maintenance => "maintenance",
        }
    }

    /// `None` for a state of a systemd newer than this list.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.label() == label)
    }
}

/// A property's value, as far as any property shown here needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    Text(&'a str),
    Number(u64),
}

impl<'a> Value<'a> {
    fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) => None,
        }
    }

    fn number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(_) => None,
        }
    }
}

/// One line of `ListUnits`.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    pub name: &'a str,
    pub load: &'a str,
    pub active: &'a str,
}

/// One unit that systemd has in memory.
#[derive(Debug, Default)]
pub struct Unit {
    /// `None` for a state that is not known here.
    pub active: Option<State>,
    /// Whether its files were found; only such units are shown.
    pub loaded: bool,
    /// Whether its name passes the filter.
    watched: bool,
    /// What only watched units have.
    pub details: Option<Box<Details>>,
}

/// Properties of a watched unit; each is `None` until it was read, or if the unit lacks it.
#[derive(Debug, Default)]
pub struct Details {
    /// Microseconds since 1970 of the last change of each kind, 0 if there was none.
    pub active_enter: Option<u64>,
    pub active_exit: Option<u64>,
    pub inactive_enter: Option<u64>,
    pub inactive_exit: Option<u64>,
    /// `Type=` of a service, the file system of a mount.
    pub kind: Option<Box<str>>,
    pub result: Option<Box<str>>,
    pub restarts: Option<u64>,
    pub last_trigger: Option<u64>,
    pub accepted: Option<u64>,
    pub connections: Option<u64>,
    pub refused: Option<u64>,
}

/// What is known of the manager itself.
#[derive(Debug, Default)]
pub struct Manager {
    pub version: Option<Box<str>>,
    pub virtualization: Option<Box<str>>,
    pub system_state: Option<Box<str>>,
    pub watchdog_device: Option<Box<str>>,
    pub watchdog_usec: Option<u64>,
    /// Microseconds on the wall clock and since boot at which each stage of the boot was reached.
    pub stages: BTreeMap<Box<str>, (u64, u64)>,
}

/// What a change of properties asks for, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Applied {
    /// Nothing that is shown has changed.
    Nothing,
    /// Something that is shown has changed.
    Shown,
    /// A unit has entered or left `failed`, which decides the state of the whole system.
    Failure,
}

/// All units, by name.
#[derive(Debug, Default)]
pub struct Model {
    pub units: BTreeMap<Box<str>, Unit>,
    pub manager: Manager,
}

impl Model {
    /// Takes over a whole listing: what is not in it is gone. Returns the watched units whose
    /// details are missing, or whose state has changed without a signal.
    pub fn replace<'a>(
        &mut self,
        listing: impl Iterator<Item = Listed<'a>>,
        filter: &Filter,
    ) -> Vec<Box<str>> {
        let mut unsure = Vec::new();
        let mut seen = HashSet::new();
        for listed in listing {
            seen.insert(listed.name);
            if self.list(listed, filter) {
                unsure.push(listed.name.into());
            }
        }
        self.units.retain(|name, _| seen.contains(&**name));
        unsure
    }

    /// Takes over one line; whether the details of the unit have to be read.
    fn list(&mut self, listed: Listed<'_>, filter: &Filter) -> bool {
        let active = State::from_label(listed.active);
        let loaded = listed.load == "loaded";
        let known = self.units.get_mut(listed.name);
        let unit = match known {
            Some(unit) => unit,
            None => self.insert(listed.name, filter),
        };
        let drifted = unit.active != active || unit.loaded != loaded;
        unit.active = active;
        unit.loaded = loaded;
        unit.watched && loaded && (drifted || unit.details.is_none())
    }

    /// Adds a unit of which only the name is known.
    pub fn insert(&mut self, name: &str, filter: &Filter) -> &mut Unit {
        let unit = self.units.entry(name.into()).or_default();
        unit.watched = filter.keeps(name);
        unit
    }

    /// Judges every name anew, by another filter.
    pub fn refilter(&mut self, filter: &Filter) {
        for (name, unit) in &mut self.units {
            unit.watched = filter.keeps(name);
            if !unit.watched {
                unit.details = None;
            }
        }
    }

    /// Whether the details of the unit are wanted.
    pub fn is_watched(&self, name: &str) -> bool {
        self.units.get(name).is_some_and(|unit| unit.watched)
    }

    /// Forgets a unit; whether it was failed.
    pub fn remove(&mut self, name: &str) -> bool {
        let gone = self.units.remove(name);
        gone.is_some_and(|unit| unit.active == Some(State::Failed))
    }

    /// Takes over changed properties of a unit.
    pub fn apply<'a>(
        &mut self,
        name: &str,
        changes: impl Iterator<Item = (&'a str, Value<'a>)>,
    ) -> Applied {
        let Some(unit) = self.units.get_mut(name) else {
            return Applied::Nothing;
        };
        let was_failed = unit.active == Some(State::Failed);
        let mut applied = Applied::Nothing;
        for (property, value) in changes {
            if unit.apply(property, value) {
                applied = Applied::Shown;
            }
        }
        if was_failed != (unit.active == Some(State::Failed)) {
            applied = Applied::Failure;
        }
        applied
    }

    /// The watched sockets whose counters a new or removed instance service has changed.
    pub fn socket_of_instance(&self, service: &str) -> Option<String> {
        let (template, _) = service.strip_suffix(".service")?.split_once('@')?;
        let socket = format!("{template}.socket");
        self.is_watched(&socket).then_some(socket)
    }
}

impl Unit {
    /// Whether the property is one that is shown.
    fn apply(&mut self, property: &str, value: Value<'_>) -> bool {
        match property {
            "ActiveState" => self.active = value.text().and_then(State::from_label),
            "LoadState" => self.loaded = value.text() == Some("loaded"),
            _ if !self.watched => return false,
            _ => return self.details.get_or_insert_default().apply(property, value),
        }
        true
    }
}

impl Details {
    fn apply(&mut self, property: &str, value: Value<'_>) -> bool {
        let number = match property {
            "ActiveEnterTimestamp" => &mut self.active_enter,
            "ActiveExitTimestamp" => &mut self.active_exit,
            "InactiveEnterTimestamp" => &mut self.inactive_enter,
            "InactiveExitTimestamp" => &mut self.inactive_exit,
            "NRestarts" => &mut self.restarts,
            "LastTriggerUSec" => &mut self.last_trigger,
            "NAccepted" => &mut self.accepted,
            "NConnections" => &mut self.connections,
            "NRefused" => &mut self.refused,
            _ => {
                let text = match property {
                    "Type" => &mut self.kind,
                    "Result" => &mut self.result,
                    _ => return false,
                };
                *text = value.text().map(Into::into);
                return true;
            }
        };
        *number = value.number();
        true
    }
}

impl Manager {
    /// Takes over a property of the manager; those that are not shown are passed over.
    pub fn apply(&mut self, property: &str, value: Value<'_>) {
        let text = match property {
            "Version" => &mut self.version,
            "Virtualization" => &mut self.virtualization,
            "SystemState" => &mut self.system_state,
            "WatchdogDevice" => &mut self.watchdog_device,
            "RuntimeWatchdogUSec" => {
                self.watchdog_usec = value.number();
                return;
            }
            _ => return self.stage(property, value),
        };
        *text = value.text().map(Into::into);
    }

    fn stage(&mut self, property: &str, value: Value<'_>) {
        const NOT_STAGES: [&str; 2] = ["WatchdogLastPing", "ShutdownStart"];
        let (stem, is_monotonic) = match property.strip_suffix("Monotonic") {
            Some(stem) => (stem, true),
            None => (property, false),
        };
        let stage = stem.strip_suffix("Timestamp");
        let stage = stage.filter(|stage| !NOT_STAGES.contains(stage));
        if let (Some(stage), Some(usec)) = (stage, value.number()) {
            let at = self.stages.entry(stage.into()).or_default();
            *(if is_monotonic { &mut at.1 } else { &mut at.0 }) = usec;
        }
    }
}

#[cfg(test)]
mod tests;
