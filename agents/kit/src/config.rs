//! Configuration: which files an agent reads, how they become one value, and what is said when
//! they cannot.
//!
//! Order, lowest first: built-in defaults; `common.toml`; `<agent>.toml`; for an instance also
//! `<agent>@<instance>.toml`; the drop-ins `<agent>.d/*.toml` sorted by file name; environment
//! variables `ROUNDSMAN_<AGENT>__KEY`. Each file is taken whole from the highest of
//! `/etc/roundsman`, `/run/roundsman` and `/usr/lib/roundsman` that has it; a link to
//! `/dev/null` masks it.

mod dump;
mod environment;
mod finding;
mod fragments;
mod merge;
mod origins;
mod pruned;
mod words;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use dump::{dump_json, dump_toml};
pub use finding::{Finding, Invalid, Refused};
pub use fragments::Directories;
pub use merge::load;
pub use origins::Origins;

use crate::secret::CredentialRef;

/// The configuration of one agent: a `#[serde(deny_unknown_fields, default)]` struct with a doc
/// line per key, whose `Default` holds the shipped values.
pub trait Config: Serialize + DeserializeOwned + Default {
    /// Tables whose members stand for themselves, as `triggers`: what is wrong with one costs
    /// that one, and the agent goes on without it.
    const ITEMS: &'static [&'static str] = &[];

    /// Whether the agent can say what it would do and do nothing (`--dry-run`).
    const REHEARSES: bool = false;

    /// Findings that types cannot express: ranges, and keys that contradict each other.
    fn validate(&self) -> Vec<Invalid> {
        Vec::new()
    }

    /// Findings about files that are read beside the configuration of the tree `root`. Each costs
    /// what it is about, as those of [`Config::ITEMS`] do.
    fn beside(_root: &Path) -> Vec<Finding> {
        Vec::new()
    }

    /// Every credential that this configuration names; all must be readable at start.
    fn credentials(&self) -> Vec<&CredentialRef> {
        Vec::new()
    }
}

/// An agent without keys of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoKeys {}

impl Config for NoKeys {}

/// Keys that every agent understands, in `common.toml` or in its own files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Common {
    /// The least urgent level that is logged.
    pub log_level: LogLevel,
    /// The shared SQLite file.
    pub store: PathBuf,
    /// The name of this host on samples and events; the machine's host name when empty.
    pub host: String,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            log_level: LogLevel::Info,
            store: "/var/lib/roundsman/roundsman.db".into(),
            host: String::new(),
        }
    }
}

impl Config for Common {
    fn validate(&self) -> Vec<Invalid> {
        if self.store.is_absolute() {
            return Vec::new();
        }
        let reason = format!("\"{}\" is not an absolute path", self.store.display());
        vec![Invalid::new(
            "store",
            reason,
            "write the whole path, from /",
        )]
    }
}

/// A log level as written in configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Someone must act.
    Error,
    /// Degraded, goes on.
    Warn,
    /// A change of state.
    Info,
    /// One line per cycle.
    Debug,
    /// One line per item.
    Trace,
}

impl From<LogLevel> for log::LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::Error,
            LogLevel::Warn => Self::Warn,
            LogLevel::Info => Self::Info,
            LogLevel::Debug => Self::Debug,
            LogLevel::Trace => Self::Trace,
        }
    }
}

/// A configuration that loaded, and where each of its values came from.
#[derive(Debug)]
pub struct Loaded<C> {
    /// The agent's own keys.
    pub config: C,
    /// The keys it shares with every other agent.
    pub common: Common,
    /// The file or variable of each value.
    pub origins: Origins,
    /// What is wrong with members of [`Config::ITEMS`], which are left out.
    pub left_out: Vec<Finding>,
}

#[cfg(test)]
mod tests;
