//! A copy of the whole file while others write.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Instant;

use rusqlite::Connection;

use crate::error::{At, Error, Result, beside};
use crate::store::Store;

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
