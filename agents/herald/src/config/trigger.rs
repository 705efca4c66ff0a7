//! `[triggers.NAME]`: which events go to which endpoints.

use roundsman_kit::clock::Timestamp;
use roundsman_kit::config::Invalid;
use roundsman_kit::quantity::Span;
use serde::{Deserialize, Serialize};

use super::range;

/// A struct with the keys of [`Conditions`] beside its own. (serde's `flatten` would lose where a
/// mistake stands, and unknown keys.)
macro_rules! with_conditions {
    (
        $(#[$about:meta])*
        pub struct $name:ident { $($(#[$doc:meta])* pub $key:ident: $type:ty,)* }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
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
            pub labels: std::collections::BTreeMap<String, $crate::config::Want>,
            /// Values of `data` by name, the same.
            pub data: std::collections::BTreeMap<String, $crate::config::Want>,
            $($(#[$doc])* pub $key: $type,)*
        }

        impl $name {
            /// What an event must be like.
            pub fn conditions(&self) -> $crate::config::Conditions {
                $crate::config::Conditions {
                    kinds: self.kinds.clone(),
                    agents: self.agents.clone(),
                    states: self.states.clone(),
                    min_severity: self.min_severity.clone(),
                    subject: self.subject.clone(),
                    message: self.message.clone(),
                    labels: self.labels.clone(),
                    data: self.data.clone(),
                }
            }
        }
    };
}
pub(super) use with_conditions;

with_conditions! {
    /// What an event must be like: everything must hold, and what is left out always does.
    pub struct Conditions {}
}

with_conditions! {
    /// Which events go to which endpoints, and when.
    pub struct Trigger {
        /// The endpoints.
        pub endpoints: Vec<String>,
        /// Where a trigger begins that is seen for the first time: `now`, `oldest`, or a time.
        pub from: Start,
        /// What the events of one digest have in common: `kind`, `agent`, `severity`, `subject`,
        /// `correlation`, `labels.NAME`, `data.NAME`; all of them if the list is empty. Without
        /// this key every event is told by itself.
        pub group_by: Option<Vec<String>>,
        /// How long a digest waits for further events; 0s to 1d, 30s unless set.
        pub group_wait: Option<Span>,
        /// What still holds is told again so often; 1m to 30d, never unless set.
        pub repeat: Option<Span>,
        /// Quiet hours, as `22:00-07:00` or `Sat,Sun 00:00-24:00`.
        pub quiet: Vec<String>,
        /// The zone of the quiet hours, as `Europe/Berlin`; the system's unless set.
        pub timezone: Option<String>,
        /// What quiet hours let pass: a severity and all that is more urgent, or `none`; `crit`
        /// unless set.
        pub quiet_passes: Option<String>,
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

/// A time as it is written, from 1970 on: one of a year before 0 could not be written again.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let time = text.parse::<jiff::Timestamp>().ok()?;
    (time.as_millisecond() >= 0).then(|| Timestamp(time.as_millisecond()))
}

/// Where a new trigger begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Start {
    /// With the events that are committed after it was loaded.
    #[default]
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
            other => time(other).map(Self::Time).ok_or_else(|| {
                format!(
                    "\"{text}\" is neither \"now\" nor \"oldest\" nor a time as 2026-11-20T08:00:00Z"
                )
            }),
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
        let (key, day) = (|name: &str| format!("{at}.{name}"), 24 * 3600);
        if let Err(reason) = crate::group::Grouping::new(self) {
            let remedy = "name kind, agent, severity, subject, correlation, labels.NAME, data.NAME";
            findings.push(Invalid::new(key("group_by"), reason, remedy));
        }
        if let Some(wait) = self.group_wait {
            findings.extend(range(key("group_wait"), wait, 0, day));
        }
        if self.group_wait.is_some() && self.group_by.is_none() {
            let remedy = "add group_by, or remove it";
            findings.push(Invalid::new(
                key("group_wait"),
                "has no use without group_by",
                remedy,
            ));
        }
        if let Some(repeat) = self.repeat {
            findings.extend(range(key("repeat"), repeat, 60, 30 * day));
        }
        if let Err((name, reason, remedy)) = crate::quiet::Quiet::new(self) {
            findings.push(Invalid::new(key(name), reason, remedy));
        }
        findings
    }
}
