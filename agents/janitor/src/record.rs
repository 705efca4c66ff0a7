//! Records a run in the shared store.
//!
//! Runs can overlap: a person starts one while the timer does. So a run judges what the store
//! holds at the moment of writing, in the transaction that changes it.

use roundsman_kit::clock::Timestamp;
use roundsman_store::condition::Change;
use roundsman_store::{EventTx, Result, Store, WriteTx, event};

use crate::config::Storage;
use crate::events;
use crate::plan::{self, Dropped, Reading};
use crate::state::{self, State};
use crate::sweep::Removed;

/// What a run has done.
pub struct Run<'a> {
    /// Whose state it is.
    pub unit: String,
    /// The host's name, for events.
    pub host: String,
    /// When it began.
    pub now: Timestamp,
    /// How full everything is.
    pub readings: &'a [Reading],
    /// When that is too full.
    pub storage: &'a Storage,
    /// What was removed.
    pub removed: Removed,
    /// The sweep has looked at all that it had to.
    pub is_whole: bool,
    /// It was that of the night.
    pub is_night: bool,
    /// A backup was made.
    pub backed_up: bool,
}

/// What was recorded.
pub struct Recorded {
    /// What is left for the next run.
    pub after: State,
    /// The conditions that began, changed or ended.
    pub changes: Vec<Change>,
    /// What was dropped unread, and is told by this run.
    pub dropped: Dropped,
}

impl Recorded {
    fn is_quiet(&self) -> bool {
        self.changes.is_empty() && self.dropped.is_empty()
    }
}

impl Run<'_> {
    /// Records the run, in one transaction. Only events make it one that waits for the disk.
    ///
    /// # Errors
    /// That of SQLite.
    pub fn record(&self, store: &mut Store) -> Result<Recorded> {
        let before = store.read(|tx| state::read(tx, &self.unit))?;
        if self.judge(before).is_quiet()
            && let Some(recorded) = store.write(|tx| self.quietly(tx))?
        {
            return Ok(recorded);
        }
        store.publish(|tx| self.loudly(tx))
    }

    /// Without events; nothing is written when another run has made some necessary.
    fn quietly(&self, tx: &WriteTx<'_>) -> Result<Option<Recorded>> {
        let recorded = self.judge(state::read(tx, &self.unit)?);
        if !recorded.is_quiet() {
            return Ok(None);
        }
        state::write(tx, &self.unit, &recorded.after, self.now)?;
        Ok(Some(recorded))
    }

    fn loudly(&self, tx: &EventTx<'_>) -> Result<Recorded> {
        let mut recorded = self.judge(state::read(tx, &self.unit)?);
        if !recorded.dropped.is_empty() {
            event::insert(tx, &events::of_dropped(&recorded.dropped, self.now))?;
        }
        let mut told = Vec::new();
        for change in recorded.changes {
            let event = events::of_change(&change, &self.host, self.now);
            // One that is known already was told when it was inserted.
            if event::insert(tx, &event)?.is_some() {
                told.push(change);
            }
        }
        recorded.changes = told;
        state::write(tx, &self.unit, &recorded.after, self.now)?;
        Ok(recorded)
    }

    /// What this run makes of what the runs before have left.
    fn judge(&self, before: State) -> Recorded {
        let (conditions, changes) =
            plan::judge(&before.conditions, self.readings, self.storage, self.now);
        let dropped = before.untold.clone();
        let then = |is_now: bool, before| if is_now { Some(self.now) } else { before };
        let mut after = State {
            swept_at: then(self.is_whole, before.swept_at),
            night_at: then(self.is_whole && self.is_night, before.night_at),
            backup_at: then(self.backed_up, before.backup_at),
            conditions,
            untold: Dropped::default(),
            dropped: before.dropped + dropped.total(),
            removed: before.removed,
        };
        for (table, rows) in [
            ("event", self.removed.events),
            ("delivery", self.removed.deliveries),
            ("sample", self.removed.samples),
        ] {
            *after.removed.entry(table.to_owned()).or_default() += rows;
        }
        Recorded {
            after,
            changes,
            dropped,
        }
    }
}
