//! Backup, check and figures of the file.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Instant;

use rusqlite::Connection;

use crate::error::{At, Error, Result, beside};
use crate::store::Store;

/// How many findings of `integrity_check` are worth reading.
const FINDINGS: i64 = 100;

/// Sizes of the file, for gauges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Size of the database file, in bytes.
    pub db_bytes: u64,
    /// Size of the write-ahead log, in bytes; 0 when it does not exist.
    pub wal_bytes: u64,
    /// Pages of the database, free ones included.
    pub pages: u64,
    /// Pages that are free to use.
    pub free_pages: u64,
    /// The schema.
    pub schema: u32,
}

impl Store {
    /// Writes a complete, compact copy of the store to `to`, while others write. An earlier file
    /// of that name is replaced once the copy is complete and on the disk; nobody but the owner
    /// can read it.
    ///
    /// # Errors
    /// [`Error::BackupOntoStore`], or what went wrong with the file or in SQLite; `to` is then
    /// as before.
    pub fn backup(&mut self, to: &Path) -> Result<()> {
        for part in ["", "-wal", "-shm"] {
            if same_file(to, &beside(self.path(), part)) {
                return Err(Error::BackupOntoStore {
                    path: to.to_path_buf(),
                });
            }
        }
        self.start_waiting();
        vacuum_into(self.connection(), self.path(), to)
    }

    /// Reads the whole file and returns what is wrong with it: nothing, if all is well.
    ///
    /// # Errors
    /// That of SQLite, where the file is too damaged to be read at all.
    pub fn check(&mut self) -> Result<Vec<String>> {
        let started = self.start_waiting();
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut findings = Vec::new();
            self.connection()
                .pragma(None, "integrity_check", FINDINGS, |row| {
                    findings.push(row.get(0)?);
                    Ok(())
                })?;
            findings.retain(|line: &String| line != "ok");
            self.connection()
                .pragma_query(None, "foreign_key_check", |row| {
                    let (table, parent): (String, String) = (row.get("table")?, row.get("parent")?);
                    findings.push(format!(
                        "a row of {table} refers to a missing row of {parent}"
                    ));
                    Ok(())
                })?;
            Ok(findings)
        };
        read().map_err(|source| self.failed("check", started, source))
    }

    /// Sizes of the file.
    ///
    /// # Errors
    /// That of SQLite or of the file system.
    pub fn figures(&mut self) -> Result<Figures> {
        let started = self.start_waiting();
        let number = |pragma: &str| {
            self.connection()
                .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
                .map(i64::unsigned_abs)
                .map_err(|source| self.failed("read figures", started, source))
        };
        let size = |path: &Path| match fs::metadata(path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(At::new(path, "read figures"), error)),
        };
        let db_bytes = size(self.path())?.ok_or_else(|| Error::Missing {
            path: self.path().to_path_buf(),
        })?;
        Ok(Figures {
            db_bytes,
            // Without a WAL there is nothing in it.
            wal_bytes: size(&beside(self.path(), "-wal"))?.unwrap_or(0),
            pages: number("page_count")?,
            free_pages: number("freelist_count")?,
            schema: number("user_version")? as u32,
        })
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    let id = |path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    matches!((id(a), id(b)), (Ok(a), Ok(b)) if a == b)
}

/// Copies `db` to the file `to` by way of a temporary file beside it.
pub(crate) fn vacuum_into(connection: &Connection, db: &Path, to: &Path) -> Result<()> {
    let temporary = beside(to, ".tmp");
    // The temporary file is our affair, so errors name the file that was asked for.
    let copied = fresh(&temporary)
        .map_err(|error| Error::io(At::new(to, "back up"), error))
        .and_then(|()| vacuum(connection, db, &temporary))
        .and_then(|()| {
            publish(&temporary, to).map_err(|error| Error::io(At::new(to, "back up"), error))
        });
    if copied.is_err() {
        // The first error is the one to report; a left-over temporary file harms nobody.
        let _ = fs::remove_file(&temporary);
    }
    copied
}

/// An empty file that only its owner can read, which SQLite then fills.
fn fresh(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map(drop),
    }
}

fn vacuum(connection: &Connection, db: &Path, to: &Path) -> Result<()> {
    let name = to.to_str().ok_or_else(|| {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "the file name is not UTF-8");
        Error::io(At::new(to, "back up"), error)
    })?;
    // Online, and not restarted by other writers as a stepwise backup is.
    let started = Instant::now();
    let copied = connection.execute("VACUUM INTO ?1", [name]);
    copied.map(drop).map_err(|source| {
        let full = rustix::fs::statvfs(to).is_ok_and(|fs| fs.f_bavail == 0);
        // What fails on the way out concerns the copy, not the store.
        let path = if full { to } else { db };
        Error::sqlite(At::new(path, "back up"), started, source)
    })
}

fn publish(temporary: &Path, to: &Path) -> io::Result<()> {
    File::open(temporary)?.sync_all()?;
    fs::rename(temporary, to)?;
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty());
    File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
}
