//! Whether a trigger wants an event, and why not.

use std::fmt;

use regex_lite::Regex;
use roundsman_store::event::{Event, Severity, State};
use serde_json::Value;

use crate::config::{Conditions, Trigger, Want};
use crate::glob;

/// What keeps a trigger from being used: key, reason, remedy.
pub type Unusable = (String, String, String);

/// The conditions of a trigger or a silence, ready to judge events.
#[derive(Debug)]
pub struct Matcher {
    conditions: Conditions,
    endpoints: Vec<String>,
    states: Vec<State>,
    min_severity: Option<Severity>,
    message: Option<Regex>,
}

/// The condition that an event does not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The key of the trigger.
    pub key: String,
    /// What it wants.
    pub wanted: String,
    /// What the event has.
    pub found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, wanted, found } = self;
        write!(f, "{key} wants {wanted}, the event has {found}")
    }
}

impl Matcher {
    /// Compiles the trigger.
    ///
    /// # Errors
    /// The key whose value cannot be used.
    pub fn new(trigger: &Trigger) -> Result<Self, Unusable> {
        Ok(Self {
            endpoints: trigger.endpoints.clone(),
            ..Self::of(trigger.conditions())?
        })
    }

    /// Compiles conditions that belong to no endpoint.
    ///
    /// # Errors
    /// The key whose value cannot be used.
    pub fn of(conditions: Conditions) -> Result<Self, Unusable> {
        let states = conditions.states.iter().map(|name| {
            name.parse::<State>().map_err(|error| {
                let remedy = "write occurred, firing, resolved".to_owned();
                ("states".to_owned(), error.to_string(), remedy)
            })
        });
        let severity = conditions.min_severity.as_deref().map(|name| {
            name.parse::<Severity>().map_err(|error| {
                let remedy = "write emerg, alert, crit, err, warning, notice, info or debug";
                ("min_severity".to_owned(), error.to_string(), remedy.into())
            })
        });
        let message = conditions.message.as_deref().map(|pattern| {
            Regex::new(pattern).map_err(|error| {
                let reason = format!("\"{pattern}\" is not a regular expression: {error}");
                ("message".to_owned(), reason, "mend or remove it".to_owned())
            })
        });
        Ok(Self {
            states: states.collect::<Result<_, _>>()?,
            min_severity: severity.transpose()?,
            message: message.transpose()?,
            conditions,
            endpoints: Vec::new(),
        })
    }

    /// The endpoints that it names.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Whether the event meets every condition.
    ///
    /// # Errors
    /// The first that it does not meet.
    pub fn judge(&self, event: &Event) -> Result<(), Mismatch> {
        let Conditions {
            kinds,
            agents,
            subject,
            labels,
            data,
            ..
        } = &self.conditions;
        one_of("kinds", kinds, &event.kind, glob::fits)?;
        one_of("agents", agents, &event.agent, |agent, found| {
            agent == found
        })?;
        if !self.states.is_empty() && !self.states.contains(&event.state) {
            return Err(mismatch("states", &self.states, event.state));
        }
        if let Some(least) = self.min_severity.filter(|least| event.severity > *least) {
            return Err(mismatch("min_severity", least, event.severity));
        }
        if let Some(glob) = subject {
            let found = event.subject.as_deref();
            want("subject", &Want::Fits(glob.clone()), found)?;
        }
        if let Some(pattern) = self
            .message
            .as_ref()
            .filter(|p| !p.is_match(&event.message))
        {
            return Err(mismatch("message", pattern.as_str(), &event.message));
        }
        for (name, wanted) in labels {
            let found = event.labels.get(name).map(String::as_str);
            want(&format!("labels.{name}"), wanted, found)?;
        }
        for (name, wanted) in data {
            let found = event.data.get(name).map(plain);
            want(&format!("data.{name}"), wanted, found.as_deref())?;
        }
        Ok(())
    }
}

/// A value as a glob sees it: text without its quotes, everything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn one_of(
    key: &str,
    wanted: &[String],
    found: &str,
    fits: impl Fn(&str, &str) -> bool,
) -> Result<(), Mismatch> {
    if wanted.is_empty() || wanted.iter().any(|one| fits(one, found)) {
        return Ok(());
    }
    Err(mismatch(key, wanted, found))
}

fn want(key: &str, wanted: &Want, found: Option<&str>) -> Result<(), Mismatch> {
    let holds = match (wanted, found) {
        (Want::Present(wanted), found) => *wanted == found.is_some(),
        (Want::Fits(_), None) => false,
        (Want::Fits(glob), Some(found)) => glob::fits(glob, found),
    };
    match holds {
        true => Ok(()),
        false => Err(mismatch(key, wanted, found)),
    }
}

fn mismatch(key: &str, wanted: impl fmt::Debug, found: impl fmt::Debug) -> Mismatch {
    Mismatch {
        key: key.to_owned(),
        wanted: format!("{wanted:?}"),
        found: format!("{found:?}"),
    }
}

#[cfg(test)]
mod tests;
