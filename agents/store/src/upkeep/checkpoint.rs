//! The write-ahead log: moving it into the database, and making its file small again.

use std::time::Instant;

use crate::error::Result;
use crate::store::Store;

/// What a checkpoint did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Pages in the log.
    pub pages: u64,
    /// How many of them are in the database now.
    pub moved: u64,
    /// Somebody else was checkpointing, or was in the way.
    pub is_busy: bool,
}

impl Checkpoint {
    /// Nobody reads an old state of the store: the whole log is in the database.
    pub fn is_complete(self) -> bool {
        !self.is_busy && self.moved == self.pages
    }
}

impl Store {
    /// Moves as much of the log into the database as readers allow. Nobody waits for it.
    ///
    /// # Errors
    /// That of SQLite.
    pub fn checkpoint(&mut self) -> Result<Checkpoint> {
        let started = self.start_waiting();
        self.wal_checkpoint("PRAGMA wal_checkpoint(PASSIVE)", started)
    }

    /// Moves all of the log and cuts its file to nothing; false if anybody reads or writes, and
    /// then nobody was held up.
    ///
    /// # Errors
    /// That of SQLite.
    pub fn truncate_log(&mut self) -> Result<bool> {
        let started = self.stop_waiting();
        let done = self.wal_checkpoint("PRAGMA wal_checkpoint(TRUNCATE)", started)?;
        Ok(!done.is_busy)
    }

    fn wal_checkpoint(&self, pragma: &str, started: Instant) -> Result<Checkpoint> {
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        self.connection()
            .query_row(pragma, [], |row| {
                Ok(Checkpoint {
                    is_busy: row.get::<_, i64>("busy")? != 0,
                    pages: count(row.get("log")?),
                    moved: count(row.get("checkpointed")?),
                })
            })
            .map_err(|source| self.failed("checkpoint", started, source))
    }
}
