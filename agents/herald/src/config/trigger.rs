//! `[triggers.NAME]`: which events go to which endpoints.

use std::collections::BTreeMap;

use roundsman_kit::clock::Timestamp;
use roundsman_kit::config::Invalid;
use serde::{Deserialize, Serialize};

/// Conditions, all of which must hold; one that is left out always does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trigger {
    /// Globs, one of which must fit the kind, as `hostmetrics.*`.
    pub kinds: Vec<String>,
    /// Agents, one of which must have seen it.
    pub agents: Vec<String>,
    /// States, one of which it must have: `occurred`, `firing`, `resolved`.
    pub states: Vec<String>,
    /// It must be as urgent as this or more: `warning` means warning to emerg.
    pub min_severity: Option<String>,
    /// A glob that must fit the subject.
    pub subject: Option<String>,
    /// A regular expression that must match somewhere in the message.
    pub message: Option<String>,
    /// Labels by name: a glob that must fit, or `false` for one that must be absent.
    pub labels: BTreeMap<String, Want>,
    /// Values of `data` by name, the same.
    pub data: BTreeMap<String, Want>,
    /// The endpoints.
    pub endpoints: Vec<String>,
    /// Where a trigger begins that is seen for the first time: `now`, `oldest`, or a time.
    pub from: Start,
}

impl Default for Trigger {
    fn default() -> Self {
        Self {
            kinds: Vec::new(),
            agents: Vec::new(),
            states: Vec::new(),
            min_severity: None,
            subject: None,
            message: None,
            labels: BTreeMap::new(),
            data: BTreeMap::new(),
            endpoints: Vec::new(),
            from: Start::Now,
        }
    }
}

/// What is wanted of a label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Want {
    /// It is there (`true`), or it is not (`false`).
    Present(bool),
    /// It is there and fits this glob.
    Fits(String),
}

/// Where a new trigger begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Start {
    /// With the events that are committed after it was loaded.
    Now,
    /// With the oldest event that there is.
    Oldest,
    /// With the events since this time.
    Time(Timestamp),
}

impl TryFrom<String> for Start {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "now" => Ok(Self::Now),
            "oldest" => Ok(Self::Oldest),
            time => match time.parse::<jiff::Timestamp>() {
                Ok(time) => Ok(Self::Time(Timestamp(time.as_millisecond()))),
                Err(_) => Err(format!(
                    "\"{text}\" is neither \"now\" nor \"oldest\" nor a time as 2026-11-20T08:00:00Z"
                )),
            },
        }
    }
}

impl From<Start> for String {
    fn from(start: Start) -> Self {
        match start {
            Start::Now => "now".into(),
            Start::Oldest => "oldest".into(),
            Start::Time(time) => time.to_string(),
        }
    }
}

impl Trigger {
    pub(super) fn validate(&self, at: &str) -> Vec<Invalid> {
        let mut findings = Vec::new();
        if self.endpoints.is_empty() {
            let remedy = "name at least one of [endpoints]";
            findings.push(Invalid::new(format!("{at}.endpoints"), "is empty", remedy));
        }
        if let Err((key, reason, remedy)) = crate::matching::Matcher::new(self) {
            findings.push(Invalid::new(format!("{at}.{key}"), reason, remedy));
        }
        findings
    }
}
