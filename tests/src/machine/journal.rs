//! The machine's journal, read by its own journalctl.

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::Machine;

/// One journal entry.
#[derive(Debug, Clone)]
pub struct Entry(Map<String, Value>);

impl Entry {
    /// A field's text; `None` when it is absent, binary or there more than once.
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).and_then(Value::as_str)
    }

    /// The `MESSAGE`, empty when there is none.
    pub fn message(&self) -> &str {
        self.get("MESSAGE").unwrap_or_default()
    }
}

impl Machine {
    /// The entries that match, oldest first. `matches` are journalctl's arguments:
    /// `FIELD=value`, `-u`, a unit and so on.
    pub fn journal<S: AsRef<str>>(
        &self,
        matches: impl IntoIterator<Item = S>,
    ) -> Result<Vec<Entry>> {
        // Without it, entries that journald has received may not be in the files yet.
        self.succeed(["journalctl", "--sync"])?;
        let mut argv: Vec<String> = ["journalctl", "--output=json", "--all", "--quiet"]
            .map(str::to_owned)
            .to_vec();
        argv.extend(matches.into_iter().map(|item| item.as_ref().to_owned()));
        // journalctl exits with 1 when nothing matches.
        let output = self.run(argv)?;
        output
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).map(Entry))
            .collect::<Result<_, _>>()
            .context("journalctl's JSON")
    }
}
