//! `silences.d/NAME.toml`: what is held back until a time.

use roundsman_kit::clock::Timestamp;

use super::trigger::{time, with_conditions};

with_conditions! {
    /// The keys of a file in `silences.d`: which events wait, until when, and why.
    pub struct SilenceFile {
        /// They are delivered then. Needed.
        pub until: Option<Until>,
        /// Why, for whoever finds it. Needed.
        pub reason: String,
        /// It also holds back what is critical or more urgent.
        pub urgent: bool,
    }
}

/// A time as it is written, as `2026-11-21T08:00:00Z`, with quotes or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "toml::Value", into = "String")]
pub struct Until(pub Timestamp);

impl TryFrom<toml::Value> for Until {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        let text = match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        let time = time(&text).map(Self);
        time.ok_or_else(|| format!("\"{text}\" is no time as 2026-11-21T08:00:00Z"))
    }
}

impl From<Until> for String {
    fn from(until: Until) -> Self {
        until.0.to_string()
    }
}
