//! Waiting for something to become true in a machine.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Entry, Machine};
use crate::PATIENCE;

/// How often a condition is looked at although the journal says nothing: a file that appears,
/// a port that opens leave no entry.
const SWEEP: Duration = Duration::from_millis(500);

impl Machine {
    /// Waits until `condition` gives a value: it is tried at once, whenever the journal grows,
    /// and every half second. The error names `what` and the condition's last error.
    pub fn wait_for<T>(
        &self,
        what: &str,
        within: Duration,
        mut condition: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let until = Instant::now() + within;
        // Started before the first look, so that nothing falls between the two.
        let journal = self
            .command(["journalctl", "--follow", "--lines=0", "--output=cat"])
            .spawn()?;
        let mut seen = 0;
        loop {
            let last = condition();
            if let Ok(Some(value)) = last {
                return Ok(value);
            }
            if Instant::now() >= until {
                let why = format!("{what}: not within {within:?}");
                return match last {
                    Err(error) => Err(error).context(why),
                    Ok(_) => bail!(why),
                };
            }
            seen = journal.wait_for_growth(seen, until.min(Instant::now() + SWEEP));
        }
    }

    /// Waits until a unit is in this `ActiveState`.
    pub fn wait_for_unit(&self, unit: &str, state: &str) -> Result<()> {
        self.wait_for(&format!("{unit} is {state}"), PATIENCE, || {
            let now = self.property(unit, "ActiveState")?;
            Ok((now == state).then_some(()))
        })
    }

    /// Waits for a journal entry; `matches` as in [`Machine::journal`].
    pub fn wait_for_entry(
        &self,
        matches: &[&str],
        wanted: impl Fn(&Entry) -> bool,
    ) -> Result<Entry> {
        self.wait_for(&format!("journal entry {matches:?}"), PATIENCE, || {
            Ok(self.journal(matches)?.into_iter().find(&wanted))
        })
    }
}
