//! Which agents this host has. Nothing lists them: an agent is what has a unit called
//! `roundsman-<agent>.service`, `.timer`, `.socket` or `.path`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::host::Host;
use crate::systemd::{Loaded, Manager};
use crate::unit_files;

/// What the names of all units of agents begin with.
pub const PREFIX: &str = "roundsman-";

/// What starts and stops all agents.
pub const TARGET: &str = "roundsman.target";

const SUFFIXES: [&str; 4] = ["service", "timer", "socket", "path"];

/// An agent, or one instance of it, and its units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// `hostmetrics`, `beacon@prod`, or `beacon@` for a template.
    pub name: String,
    /// Its units by name; the service may be among them.
    pub units: Vec<Unit>,
}

/// One unit of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unit {
    /// The whole name.
    pub name: String,
    /// The load state; empty if it is not loaded or nobody could be asked.
    pub load: String,
    /// The active state; empty likewise.
    pub active: String,
    /// The state in the words of this type of unit; empty likewise.
    pub sub: String,
    /// Whether it is started at boot: `enabled`, `disabled`, `static`, `masked`, …
    pub enabled: String,
}

impl Agent {
    /// Whether this is a template, which never runs itself.
    pub fn is_template(&self) -> bool {
        self.name.ends_with('@')
    }

    /// The name of its service.
    pub fn service(&self) -> String {
        service_of(&self.name)
    }

    /// Its name without the instance, and the instance.
    pub fn name_and_instance(&self) -> (&str, Option<&str>) {
        match self.name.split_once('@') {
            Some((name, instance)) => (name, Some(instance).filter(|text| !text.is_empty())),
            None => (&self.name, None),
        }
    }

    /// Whether it is an instance that only another unit mentions: it neither runs, nor has it
    /// failed, nor does it start at boot. Every failure hook of a watched unit is one.
    pub fn is_idle_instance(&self) -> bool {
        let idle = |unit: &Unit| {
            matches!(&*unit.active, "" | "inactive") && matches!(&*unit.enabled, "" | "static")
        };
        self.name_and_instance().1.is_some() && self.units.iter().all(idle)
    }

    /// Whether it has a unit file, and is not only mentioned by another unit.
    pub fn is_installed(&self) -> bool {
        self.units.iter().any(|unit| unit.load != "not-found")
    }

    /// Units that start at boot and are stopped, which is odd while `roundsman.target` is active.
    /// A service that another unit of the agent starts when it is wanted is not one of them.
    pub fn stopped(&self) -> impl Iterator<Item = &Unit> {
        let is_service = |unit: &Unit| unit.name.ends_with(".service");
        let is_up = |unit: &Unit| unit.active == "active";
        let has_starter = self
            .units
            .iter()
            .any(|unit| is_up(unit) && !is_service(unit));
        self.units.iter().filter(move |unit| {
            unit.load == "loaded"
                && unit.active == "inactive"
                && matches!(&*unit.enabled, "enabled" | "enabled-runtime")
                && !(has_starter && is_service(unit))
        })
    }

    /// Its loaded unit with this suffix.
    pub fn loaded(&self, suffix: &str) -> Option<&Unit> {
        self.units
            .iter()
            .find(|unit| unit.name.rsplit('.').next() == Some(suffix) && unit.load == "loaded")
    }
}

/// The service of an agent: `roundsman-beacon@prod.service`.
pub fn service_of(agent: &str) -> String {
    format!("{PREFIX}{agent}.service")
}

/// `hostmetrics` of `roundsman-hostmetrics.timer`.
fn agent_of(unit: &str) -> Option<&str> {
    let (name, suffix) = unit.strip_prefix(PREFIX)?.rsplit_once('.')?;
    (SUFFIXES.contains(&suffix) && !name.is_empty()).then_some(name)
}

/// All agents of this host, by name: from systemd, or from the unit files without one.
///
/// # Errors
/// systemd does not answer.
pub fn discover(host: &Host, manager: Option<&Manager>) -> anyhow::Result<Vec<Agent>> {
    let pattern = [&*format!("{PREFIX}*")];
    let (files, loaded) = match manager {
        Some(manager) => (manager.unit_files(&pattern)?, manager.units(&pattern)?),
        None => (unit_files::list(host.paths(), PREFIX), Vec::new()),
    };
    let files = files.into_iter().map(|file| (file.name, file.enabled));
    Ok(group(files, loaded))
}

fn group(files: impl Iterator<Item = (String, String)>, loaded: Vec<Loaded>) -> Vec<Agent> {
    let mut units: BTreeMap<String, Unit> = BTreeMap::new();
    for (name, enabled) in files {
        let unit = units.entry(name.clone()).or_insert_with(|| blank(name));
        unit.enabled = enabled;
    }
    for Loaded {
        name,
        load,
        active,
        sub,
    } in loaded
    {
        let unit = units.entry(name.clone()).or_insert_with(|| blank(name));
        (unit.load, unit.active, unit.sub) = (load, active, sub);
    }
    let mut agents: BTreeMap<String, Vec<Unit>> = BTreeMap::new();
    for unit in units.into_values() {
        if let Some(agent) = agent_of(&unit.name) {
            agents.entry(agent.to_owned()).or_default().push(unit);
        }
    }
    let agent = |(name, units)| Agent { name, units };
    agents.into_iter().map(agent).collect()
}

fn blank(name: String) -> Unit {
    Unit {
        name,
        load: String::new(),
        active: String::new(),
        sub: String::new(),
        enabled: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_grouped_by_agent_and_others_left_out() {
        let files = [
            ("roundsman-hostmetrics.service", "static"),
            ("roundsman-hostmetrics.timer", "enabled"),
            ("roundsman-beacon@.service", "disabled"),
            ("roundsman-x.slice", "static"),
        ];
        let loaded = Loaded {
            name: "roundsman-beacon@a.b.service".into(),
            load: "loaded".into(),
            active: "active".into(),
            sub: "running".into(),
        };
        let files = files.map(|(name, enabled)| (name.to_owned(), enabled.to_owned()));
        let agents = group(files.into_iter(), vec![loaded]);
        let names: Vec<_> = agents
            .iter()
            .map(|agent| (agent.name.as_str(), agent.units.len()))
            .collect();
        assert_eq!(
            names,
            [("beacon@", 1), ("beacon@a.b", 1), ("hostmetrics", 2)]
        );
        assert!(agents[0].is_template() && !agents[1].is_template());
        assert_eq!(agents[1].service(), "roundsman-beacon@a.b.service");
        assert!(!agents[1].is_idle_instance());
        assert!(agents[1].loaded("service").is_some());
        assert!(agents[2].loaded("timer").is_none());
    }
}
