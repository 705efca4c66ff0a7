//! What `/etc/roundsman/failure.toml` may hold.

use roundsman_kit::Invalid;
use serde::{Deserialize, Serialize};

/// More lines than this are a log, not an event.
const MOST_LINES: u32 = 200;

/// The keys of `failure`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How many of the failed unit's last journal lines go into the event.
    pub journal_lines: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { journal_lines: 20 }
    }
}

impl roundsman_kit::Config for Config {
    fn validate(&self) -> Vec<Invalid> {
        let too_many = self.journal_lines > MOST_LINES;
        let found = too_many.then(|| {
            let reason = format!("{} lines are too many for an event", self.journal_lines);
            Invalid::new("journal_lines", reason, format!("write 0 to {MOST_LINES}"))
        });
        Vec::from_iter(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roundsman_kit::Config as _;

    #[test]
    fn the_shipped_file_shows_every_key_at_its_default() {
        let text = include_str!("../../../config/failure.toml");
        roundsman_tests::assert_shipped_config(text, &Config::default());
        assert_eq!(Config { journal_lines: 201 }.validate().len(), 1);
    }
}
