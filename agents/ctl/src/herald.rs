//! Herald's triggers, read as herald reads them, and what follows from them for one event.

use std::collections::BTreeMap;

use roundsman_herald::config::Trigger;
use roundsman_herald::matching::{Matcher, Mismatch};
use roundsman_kit::config::{self, Config, Directories, Finding, Invalid};
use roundsman_kit::quantity::Span;
use roundsman_kit::{Class, ResultExt};
use roundsman_store::event::{Event, EventId};
use roundsman_store::{ReadTx, cursor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::flat;
use crate::host::Host;

/// The agent's name.
pub const AGENT: &str = "herald";

/// Its unit.
pub const UNIT: &str = "roundsman-herald.service";

/// What the positions of triggers are called in table `cursor`.
const READER: &str = "reader:";

/// The keys of a trigger that say what it wants.
const CONDITIONS: [&str; 8] = [
    "kinds",
    "agents",
    "states",
    "min_severity",
    "subject",
    "message",
    "labels",
    "data",
];

/// What of herald's configuration is explained. The rest is not judged here, which would bring
/// herald's formats and connections into this program; `roundsman check` has herald judge it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Which events go where, by name.
    pub triggers: BTreeMap<String, Trigger>,
    /// Where they go, by name.
    pub endpoints: BTreeMap<String, Endpoint>,
}

/// What of an endpoint concerns who waits for it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// How long one attempt may take in all.
    pub timeout: Span,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            timeout: Span::secs(15),
        }
    }
}

impl Config for Settings {
    const ITEMS: &'static [&'static str] = &["triggers", "endpoints"];

    fn validate(&self) -> Vec<Invalid> {
        let mut findings = Vec::new();
        for (name, trigger) in &self.triggers {
            let at = format!("triggers.{name}");
            if trigger.endpoints.is_empty() {
                let remedy = "name at least one of [endpoints]";
                findings.push(Invalid::new(format!("{at}.endpoints"), "is empty", remedy));
            }
            if let Err((key, reason, remedy)) = Matcher::new(trigger) {
                findings.push(Invalid::new(format!("{at}.{key}"), reason, remedy));
            }
        }
        findings
    }
}

/// The configuration as the files have it now.
pub struct Herald {
    /// What is in order.
    pub settings: Settings,
    /// What is wrong with triggers that are left out.
    pub left_out: Vec<Finding>,
}

impl Herald {
    /// Reads the files. Variables of herald's unit are not ours to see.
    ///
    /// # Errors
    /// Every finding, as a configuration fault.
    pub fn load(host: &Host) -> anyhow::Result<Self> {
        let directories = Directories::under(host.paths().root());
        let no_variables = std::iter::empty::<(String, String)>();
        let loaded = config::load::<Settings>(&directories, AGENT, None, no_variables);
        let loaded = loaded.fault(Class::Config, || "reading herald's configuration")?;
        Ok(Self {
            settings: loaded.config,
            left_out: loaded.left_out,
        })
    }

    /// The names of triggers that are left out, with the first reason.
    pub fn broken_triggers(&self) -> BTreeMap<&str, &Finding> {
        let mut broken = BTreeMap::new();
        for finding in &self.left_out {
            let name = finding.key.strip_prefix("triggers.");
            if let Some(name) = name.and_then(|rest| rest.split('.').next()) {
                broken.entry(name).or_insert(finding);
            }
        }
        broken
    }

    /// The first trigger that sends the event there.
    pub fn sends(&self, event: &Event, endpoint: &str) -> Option<&str> {
        if is_about(event, endpoint) {
            return None;
        }
        let wants = |(_, trigger): &(&String, &Trigger)| {
            trigger.endpoints.iter().any(|one| one == endpoint) && judge(trigger, event).is_ok()
        };
        let found = self.settings.triggers.iter().find(wants);
        found.map(|(name, _)| name.as_str())
    }
}

/// Whether the trigger wants the event, and why not.
pub fn judge(trigger: &Trigger, event: &Event) -> Result<(), Mismatch> {
    match Matcher::new(trigger) {
        Ok(matcher) => matcher.judge(event),
        // It would have been left out.
        Err((key, found, wanted)) => Err(Mismatch { key, wanted, found }),
    }
}

/// What happens to an endpoint is not told to that endpoint.
pub fn is_about(event: &Event, endpoint: &str) -> bool {
    let is_named = |one: &String| one == endpoint;
    event.agent == AGENT && event.labels.get("endpoint").is_some_and(is_named)
}

/// What a trigger wants, or a silence is about: only the keys that are set.
pub fn conditions(of: &impl Serialize) -> Map<String, Value> {
    let Ok(Value::Object(mut all)) = serde_json::to_value(of) else {
        return Map::new();
    };
    all.retain(|key, value| {
        let is_empty = match value {
            Value::Null => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(table) => table.is_empty(),
            _ => false,
        };
        CONDITIONS.contains(&key.as_str()) && !is_empty
    });
    all
}

/// The same in a line.
pub fn in_words(of: &impl Serialize) -> String {
    let pairs = flat::pairs(&conditions(of));
    if pairs.is_empty() {
        return "every event".into();
    }
    let words: Vec<String> = pairs
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    words.join(" ")
}

/// How far each trigger has looked, as far as herald has met it.
///
/// # Errors
/// That of the store.
pub fn positions(tx: &ReadTx<'_>) -> roundsman_store::Result<BTreeMap<String, EventId>> {
    let rows = cursor::list(tx, AGENT)?;
    let position = |row: cursor::Cursor| {
        let name = row.stream.strip_prefix(READER)?.to_owned();
        Some((name, EventId(row.position.parse().ok()?)))
    };
    Ok(rows.into_iter().filter_map(position).collect())
}
