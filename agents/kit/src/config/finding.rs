//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;

use serde::Serialize;

/// What an agent's own check found: a key with a value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The key, dotted from the top of the agent's configuration.
    pub key: String,
    /// Why the value cannot be used.
    pub reason: String,
    /// What to write instead.
    pub remedy: String,
}

impl Invalid {
    /// A finding about `key`.
    pub fn new(
        key: impl Into<String>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            key: key.into(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}

/// One finding, as a person and `--json` see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file or environment variable that holds the value.
    pub file: String,
    /// The dotted key; for a syntax error the line and column; empty for a whole file.
    pub key: String,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Finding {
    /// `FILE: KEY: REASON (REMEDY)`, without the parts that are empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.file, &self.key] {
            if !part.is_empty() {
                write!(f, "{part}: ")?;
            }
        }
        f.write_str(&self.reason)?;
        if !self.remedy.is_empty() {
            write!(f, " ({})", self.remedy)?;
        }
        Ok(())
    }
}

/// The configuration was refused: everything that one run found.
#[derive(Debug, thiserror::Error)]
pub struct Refused {
    /// At least one finding.
    pub findings: Vec<Finding>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration refused")?;
        self.findings
            .iter()
            .try_for_each(|finding| write!(f, "\n  {finding}"))
    }
}
