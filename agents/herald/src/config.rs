//! What `/etc/roundsman/herald.toml` and `herald.d/` may hold.

mod endpoint;
mod silence;
mod trigger;

use std::collections::BTreeMap;
use std::path::Path;

use roundsman_kit::Paths;
use roundsman_kit::config::{Config, Finding, Invalid};
use roundsman_kit::quantity::Span;
use serde::{Deserialize, Serialize};

pub use endpoint::{Endpoint, Mail, Security, mailbox};
pub use silence::SilenceFile;
pub use trigger::{Conditions, Start, Trigger, Want};

/// The keys of herald.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How often the store is looked at for events of writers that do not ring; 1s to 1m.
    pub sweep: Span,
    /// How long requests that are under way may go on when herald is stopped; 0s to 5m.
    pub stop_timeout: Span,
    /// Which events go where, by name.
    pub triggers: BTreeMap<String, Trigger>,
    /// Where they go, by name.
    pub endpoints: BTreeMap<String, Endpoint>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sweep: Span::secs(5),
            stop_timeout: Span::secs(10),
            triggers: BTreeMap::new(),
            endpoints: BTreeMap::new(),
        }
    }
}

impl Config for Settings {
    const ITEMS: &'static [&'static str] = &["triggers", "endpoints"];

    fn validate(&self) -> Vec<Invalid> {
        let mut findings = Vec::new();
        findings.extend(range("sweep", self.sweep, 1, 60));
        findings.extend(range("stop_timeout", self.stop_timeout, 0, 300));
        for (name, trigger) in &self.triggers {
            let at = format!("triggers.{name}");
            findings.extend(named(&at, name));
            if name == crate::heartbeat::TRIGGER {
                let remedy = "give it another name";
                findings.push(Invalid::new(
                    &at,
                    "is the name of endpoints' heartbeats",
                    remedy,
                ));
            }
            findings.extend(trigger.validate(&at));
        }
        for (name, endpoint) in &self.endpoints {
            let at = format!("endpoints.{name}");
            findings.extend(named(&at, name));
            findings.extend(endpoint.validate(&at));
        }
        findings
    }

    fn beside(root: &Path) -> Vec<Finding> {
        let directory = Paths::under(root).at(crate::silence::DIRECTORY);
        crate::silence::load(&directory).1
    }
}

/// Names stand in file names, metrics and commands.
fn named(at: &str, name: &str) -> Option<Invalid> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let good = !name.is_empty() && name.len() <= 64 && name.chars().all(is_fine);
    let remedy = "use letters, digits, \"-\" and \"_\", at most 64";
    (!good).then(|| Invalid::new(at, "is no good name", remedy))
}

/// A finding about a span that is not within `least..=most` seconds.
fn range(key: impl Into<String>, span: Span, least: u64, most: u64) -> Option<Invalid> {
    let is_within = (least..=most).contains(&span.0.as_secs());
    let remedy = || format!("write {} to {}", Span::secs(least), Span::secs(most));
    (!is_within).then(|| Invalid::new(key, format!("is {span}"), remedy()))
}

#[cfg(test)]
mod tests;
