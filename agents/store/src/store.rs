//! The open store: who may do what, and the frame around every transaction.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::bell::Bell;
use crate::connection::{self, Deadline};
use crate::error::{At, Error, Result};
use crate::location::Location;
use crate::migrate::{self, Migration};
use crate::same_file::SameFile;
use crate::ticket::{Ticket, Turn};
use crate::tx::{EventTx, ReadTx, WriteTx};

/// How long a transaction waits for its turn unless [`Store::wait_at_most`] says otherwise. A
/// commit takes a millisecond; whoever waits this long waits for something that hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two looks at a file that awaits its migration.
const MIGRATION_PAUSE: Duration = Duration::from_millis(100);

/// What a program wants of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads and writes a file that has this version's schema.
    Agent,
    /// Only reads it.
    Reader,
    /// Makes what is missing and brings the schema to this version first; then as an agent.
    Migrate,
}

/// How far a commit has come when it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Synchronous {
    /// It outlives the process. A power cut may take the last ones, never consistency.
    Normal,
    /// It is on the disk, with all that were committed before it.
    Full,
}

/// One connection to the shared file. It belongs to one thread.
pub struct Store {
    connection: Connection,
    location: Location,
    deadline: Deadline,
    patience: Duration,
    synchronous: Synchronous,
    writer: Option<Writer>,
    data_version: i64,
    migration: Option<Migration>,
    same_file: SameFile,
}

/// What only writers have.
#[derive(Debug)]
struct Writer {
    ticket: Ticket,
    bell: Bell,
    bell_is_dead: bool,
}

impl Store {
    /// Opens the store for `role`.
    ///
    /// # Errors
    /// Every variant of [`Error`] that says why the file cannot be used as it is. An older
    /// schema is [`Error::Older`] at once; see [`Store::open_waiting`].
    pub fn open(location: &Location, role: Role) -> Result<Self> {
        if role == Role::Migrate {
            location.prepare()?;
        }
        location.inspect()?;
        let same_file = SameFile::at(&location.db)?;
        let deadline = Deadline::at(Instant::now() + PATIENCE);
        let connection = connection::open(&location.db, role, &deadline)?;
        let mut store = Self {
            connection,
            location: location.clone(),
            deadline,
            patience: PATIENCE,
            synchronous: Synchronous::Normal,
            writer: None,
            data_version: 0,
            migration: None,
            same_file,
        };
        if role != Role::Reader {
            store.writer = Some(Writer::open(location)?);
        }
        let header = migrate::header(&store.connection, &location.db)?;
        match header.judge(&location.db) {
            Err(error) if role == Role::Migrate && error.awaits_migration() => {
                store.migrate()?;
                migrate::header(&store.connection, &location.db)?.judge(&location.db)?;
            }
            other => other?,
        }
        store.changed()?;
        Ok(store)
    }

    /// Opens the store like [`Store::open`], and waits up to `limit` while it awaits its
    /// migration. Between two looks `pause` is called with the span to wait: it waits (an agent
    /// in its only waiting place, so that it can be stopped, and extends its start timeout
    /// there) and returns whether to go on.
    ///
    /// # Errors
    /// As [`Store::open`]; [`Error::Older`] or [`Error::Unprepared`] when `limit` has passed or
    /// `pause` returned false.
    pub fn open_waiting(
        location: &Location,
        role: Role,
        limit: Duration,
        mut pause: impl FnMut(Duration) -> bool,
    ) -> Result<Self> {
        let end = Instant::now() + limit;
        loop {
            let error = match Self::open(location, role) {
                Err(error) if error.awaits_migration() => error,
                other => return other,
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !pause(left.min(MIGRATION_PAUSE)) {
                return Err(error);
            }
        }
    }

    /// What opening as [`Role::Migrate`] changed; `None` if there was nothing to do.
    pub fn migration(&self) -> Option<&Migration> {
        self.migration.as_ref()
    }

    /// How long a transaction waits for its turn and for locks; 10 s unless set. It should end
    /// well before the unit's watchdog does.
    pub fn wait_at_most(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Reads from one snapshot. Keep it short: the WAL cannot shrink meanwhile.
    ///
    /// # Errors
    /// That of `work`, or of SQLite.
    pub fn read<T>(&mut self, work: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        self.same_file.ensure(&self.location.db)?;
        let started = self.start_waiting();
        let frame = Frame {
            connection: &self.connection,
            path: &self.location.db,
            started,
        };
        frame.run("BEGIN", |connection, path| {
            work(&ReadTx::new(connection, path))
        })
    }

    /// Writes what may be lost with the power, because it would only be done again: samples,
    /// cycles, positions, claims. No I/O in `work`: everybody waits for it.
    ///
    /// # Errors
    /// That of `work`, after which nothing is changed; [`Error::Busy`] if the turn did not come;
    /// or of SQLite.
    pub fn write<T>(&mut self, work: impl FnOnce(&WriteTx<'_>) -> Result<T>) -> Result<T> {
        self.in_turn(Synchronous::Normal, |connection, path| {
            let tx = WriteTx::new(connection, path);
            work(&tx).map(|value| (value, tx.rings()))
        })
    }

    /// Writes events, and whatever belongs to them. The commit is on the disk on return.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn publish<T>(&mut self, work: impl FnOnce(&EventTx<'_>) -> Result<T>) -> Result<T> {
        self.in_turn(Synchronous::Full, |connection, path| {
            let tx = EventTx::new(WriteTx::new(connection, path));
            work(&tx).map(|value| (value, tx.rings()))
        })
    }

    /// Whether another connection has committed since the last call (or since opening). Own
    /// commits do not count. It costs a few microseconds; it is the slow sweep behind the
    /// doorbell, for writers that do not ring.
    ///
    /// # Errors
    /// That of SQLite.
    pub fn changed(&mut self) -> Result<bool> {
        self.same_file.ensure(&self.location.db)?;
        let started = self.start_waiting();
        let version = self
            .connection
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut statement| statement.query_row([], |row| row.get("data_version")))
            .map_err(|source| self.failed("look for changes", started, source))?;
        Ok(std::mem::replace(&mut self.data_version, version) != version)
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn path(&self) -> &Path {
        &self.location.db
    }

    /// From now on our patience counts anew.
    pub(crate) fn start_waiting(&self) -> Instant {
        let now = Instant::now();
        self.deadline.set(now + self.patience);
        now
    }

    /// From now on a lock that somebody else has is an answer.
    pub(crate) fn stop_waiting(&self) -> Instant {
        let now = Instant::now();
        self.deadline.set(now);
        now
    }

    pub(crate) fn failed(
        &self,
        operation: &'static str,
        started: Instant,
        source: rusqlite::Error,
    ) -> Error {
        Error::sqlite(At::new(self.path(), operation), started, source)
    }

    fn migrate(&mut self) -> Result<()> {
        let writer = self.writer.as_mut().expect("who migrates is a writer");
        let _turn = writer.turn(&self.deadline, Instant::now())?;
        let done = migrate::run(&mut self.connection, &self.location.db, migrate::STEPS)?;
        // Another migration may have been faster.
        self.migration = (!done.steps.is_empty()).then_some(done);
        Ok(())
    }

    /// Ticket, transaction, release, ring: in this order.
    fn in_turn<T>(
        &mut self,
        synchronous: Synchronous,
        work: impl FnOnce(&Connection, &Path) -> Result<(T, bool)>,
    ) -> Result<T> {
        self.same_file.ensure(&self.location.db)?;
        self.synchronise(synchronous)?;
        let started = self.start_waiting();
        let frame = Frame {
            connection: &self.connection,
            path: &self.location.db,
            started,
        };
        let writer = self.writer.as_mut().ok_or_else(|| Error::ReaderWrote {
            path: self.location.db.clone(),
        })?;
        let turn = writer.turn(&self.deadline, started)?;
        let (value, rings) = frame.run("BEGIN IMMEDIATE", work)?;
        drop(turn);
        if rings {
            writer.ring();
        }
        Ok(value)
    }

    /// SQLite takes this setting only outside a transaction.
    fn synchronise(&mut self, wanted: Synchronous) -> Result<()> {
        if self.synchronous == wanted {
            return Ok(());
        }
        let pragma = match wanted {
            Synchronous::Normal => "PRAGMA synchronous = NORMAL",
            Synchronous::Full => "PRAGMA synchronous = FULL",
        };
        let started = self.start_waiting();
        self.connection
            .execute_batch(pragma)
            .map_err(|source| self.failed("set synchronous", started, source))?;
        self.synchronous = wanted;
        Ok(())
    }
}

/// What surrounds the work of every transaction.
struct Frame<'s> {
    connection: &'s Connection,
    path: &'s Path,
    started: Instant,
}

impl Frame<'_> {
    /// Runs `work` between `begin` and COMMIT, or rolls back.
    fn run<T>(
        &self,
        begin: &'static str,
        work: impl FnOnce(&Connection, &Path) -> Result<T>,
    ) -> Result<T> {
        self.execute(begin)?;
        let _rollback = Rollback(self.connection);
        let value = work(self.connection, self.path)?;
        self.execute("COMMIT")?;
        Ok(value)
    }

    fn execute(&self, sql: &'static str) -> Result<()> {
        let statement = self.connection.prepare_cached(sql);
        statement
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(|source| Error::sqlite(At::new(self.path, sql), self.started, source))
    }
}

/// Ends a transaction that was not committed, also when a panic passes by.
struct Rollback<'c>(&'c Connection);

impl Drop for Rollback<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            // SQLite has rolled back by itself where this fails.
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

impl Writer {
    fn open(location: &Location) -> Result<Self> {
        let ticket = Ticket::open(&location.ticket);
        let ticket = ticket.map_err(|source| Error::run_file(&location.ticket, source))?;
        Ok(Self {
            ticket,
            bell: Bell::of(location),
            bell_is_dead: false,
        })
    }

    fn turn(&mut self, deadline: &Deadline, started: Instant) -> Result<Turn<'_>> {
        let path = self.ticket.path().to_path_buf();
        match self.ticket.take(deadline.get()) {
            Ok(Some(turn)) => Ok(turn),
            Ok(None) => Err(Error::Busy {
                at: At::new(&path, "take the write ticket"),
                waited: started.elapsed(),
                source: None,
            }),
            Err(source) => Err(Error::run_file(&path, source)),
        }
    }

    /// The commit stands whatever becomes of the bell; readers then find it by their sweep.
    fn ring(&mut self) {
        match self.bell.ring() {
            Ok(()) => self.bell_is_dead = false,
            Err(error) if !self.bell_is_dead => {
                self.bell_is_dead = true;
                log::warn!("cannot ring the bell, others will notice events later: {error}");
            }
            Err(_) => {}
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
