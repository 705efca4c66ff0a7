//! A connection as every role uses it: the version, the lock waiting, the pragmas.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{At, Error, OPEN, Result};
use crate::store::Role;

/// Below it, two processes that commit and checkpoint at once can corrupt a WAL
/// (<https://sqlite.org/wal.html>, "WAL-reset bug").
const SQLITE_FLOOR: i32 = 3_051_003;

/// Constant and short: SQLite's own growing pauses starve whoever waited longest.
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// Statements kept ready; more than all tables of one agent use.
const CACHED_STATEMENTS: usize = 64;

/// When waiting for locks ends. The busy handler of the connection holds a clone.
#[derive(Debug, Clone)]
pub(crate) struct Deadline(Arc<Mutex<Instant>>);

impl Deadline {
    pub(crate) fn at(end: Instant) -> Self {
        Self(Arc::new(Mutex::new(end)))
    }

    pub(crate) fn set(&self, end: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    pub(crate) fn get(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the database for `role`. Lock waits end at `deadline`, from the first statement on.
pub(crate) fn open(db: &Path, role: Role, deadline: &Deadline) -> Result<Connection> {
    let found = rusqlite::version();
    if rusqlite::version_number() < SQLITE_FLOOR {
        return Err(Error::OldSqlite { found });
    }
    let started = Instant::now();
    let fail = |source| Error::sqlite(At::new(db, OPEN), started, source);
    let access = match role {
        Role::Reader => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Role::Agent | Role::Migrate => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(db, flags).map_err(fail)?;
    configure(&mut connection, role, deadline).map_err(fail)?;
    if role != Role::Reader && connection.is_readonly("main").map_err(fail)? {
        // SQLite falls back to read-only without a word; the kernel knows the reason.
        let denied = rustix::fs::access(db, rustix::fs::Access::WRITE_OK);
        let errno = denied.err().unwrap_or(rustix::io::Errno::ACCESS);
        return Err(Error::errno(At::new(db, OPEN), errno));
    }
    Ok(connection)
}

fn configure(connection: &mut Connection, role: Role, deadline: &Deadline) -> rusqlite::Result<()> {
    let end = deadline.clone();
    // Before any statement. It replaces the 5 s busy_timeout that rusqlite sets; a later
    // busy_timeout, also as a pragma, would silently replace this one.
    connection.busy_handler(Some(move |_attempt| {
        let goes_on = Instant::now() < end.get();
        if goes_on {
            thread::sleep(LOCK_PAUSE);
        }
        goes_on
    }))?;
    for (option, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        // The bundled SQLite has STAT4, which plans a statement anew each time a value is bound
        // that might change the plan: a tenth of a millisecond for each look at the events.
        (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
    ] {
        connection.set_db_config(option, value)?;
    }
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // No mmap: an I/O error would be a SIGBUS. The WAL shrinks to 32 MiB when it is reset.
    connection.execute_batch(
        "PRAGMA mmap_size = 0;
         PRAGMA cache_size = -2000;
         PRAGMA temp_store = MEMORY;
         PRAGMA journal_size_limit = 33554432;
         PRAGMA synchronous = NORMAL;",
    )?;
    connection.execute_batch(match role {
        Role::Reader => "PRAGMA wal_autocheckpoint = 0;",
        Role::Agent | Role::Migrate => "PRAGMA wal_autocheckpoint = 1000;",
    })
}
