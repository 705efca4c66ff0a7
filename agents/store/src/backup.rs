//! Complete copies of the file.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rusqlite::Connection;
use uuid::Uuid;

use crate::error::{At, Error, Result, beside};
use crate::store::Store;

impl Store {
    /// Writes a complete, compact copy of the store to `to`, while others write. An earlier file
    /// of that name is replaced once the copy is complete and on the disk; nobody but the owner
    /// can read it. Until then the copy is called `TO.incomplete-…`: what a killed run leaves.
    ///
    /// # Errors
    /// [`Error::BackupOntoStore`], [`Error::BackupOntoOther`], or what went wrong with the file
    /// or in SQLite; `to` is then as before.
    pub fn backup(&mut self, to: &Path) -> Result<()> {
        if is_part(to, self.path()) {
            return Err(Error::BackupOntoStore {
                path: to.to_path_buf(),
            });
        }
        match fs::symlink_metadata(to) {
            Ok(metadata) if !metadata.is_file() => {
                return Err(Error::BackupOntoOther {
                    path: to.to_path_buf(),
                });
            }
            // What cannot be looked at cannot be written either, which says more.
            _ => {}
        }
        self.start_waiting();
        vacuum_into(self.connection(), self.path(), to)
    }
}

/// Whether `file` is the store `db`, a name for the same file, or one of the files that SQLite
/// makes beside it (`-wal`, `-shm`, `-journal`), which it would then take for its own.
pub(crate) fn is_part(file: &Path, db: &Path) -> bool {
    // SQLite follows links before it names its files.
    let real = fs::canonicalize(db).unwrap_or_else(|_| db.to_path_buf());
    [db, &real].into_iter().any(|db| {
        let is_beside = same_file(&directory(file), &directory(db)) && has_side_name(file, db);
        let sides = ["", "-wal", "-shm", "-journal"];
        is_beside || sides.iter().any(|side| same_file(file, &beside(db, side)))
    })
}

fn has_side_name(file: &Path, db: &Path) -> bool {
    let (Some(name), Some(db)) = (file.file_name(), db.file_name()) else {
        return false;
    };
    let rest = name.as_bytes().strip_prefix(db.as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"-"))
}

fn same_file(a: &Path, b: &Path) -> bool {
    let id = |path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    matches!((id(a), id(b)), (Ok(a), Ok(b)) if a == b)
}

/// The directory that `file` lies in.
pub(crate) fn directory(file: &Path) -> PathBuf {
    let parent = file.parent().filter(|dir| !dir.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_path_buf()
}

/// Copies `db` to the file `to` by way of a file beside it.
pub(crate) fn vacuum_into(connection: &Connection, db: &Path, to: &Path) -> Result<()> {
    let copy = Incomplete::of(to, "back up")?;
    copy.fill(connection, db)?;
    copy.publish(to)
}

/// A copy that is not in its place yet. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Incomplete {
    path: PathBuf,
    /// What it is to become: the name for errors, for the other one is our affair.
    to: PathBuf,
    operation: &'static str,
}

impl Incomplete {
    /// An empty file beside `to` that only its owner can read and nobody else uses.
    pub(crate) fn of(to: &Path, operation: &'static str) -> Result<Self> {
        let failed = |error| Error::io(At::new(to, operation), error);
        // SQLite takes a relative name that begins with "file:" for a URI.
        let absolute = std::path::absolute(to).map_err(failed)?;
        let path = beside(
            &absolute,
            &format!(".incomplete-{}", Uuid::now_v7().simple()),
        );
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        created.map_err(failed)?;
        Ok(Self {
            path,
            to: to.to_path_buf(),
            operation,
        })
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Fills it with what `connection` has open, which is `db`.
    pub(crate) fn fill(&self, connection: &Connection, db: &Path) -> Result<()> {
        let name = self.path.to_str().ok_or_else(|| {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "the file name is not UTF-8");
            Error::io(At::new(&self.to, self.operation), error)
        })?;
        // Online, and not restarted by other writers as a stepwise backup is.
        let started = Instant::now();
        let copied = connection.execute("VACUUM INTO ?1", [name]);
        copied.map(drop).map_err(|source| {
            let full = rustix::fs::statvfs(&self.path).is_ok_and(|fs| fs.f_bavail == 0);
            // What fails on the way out concerns the copy, not the store.
            let path = if full { &self.to } else { db };
            Error::sqlite(At::new(path, self.operation), started, source)
        })
    }

    /// Puts it in the place of `to`, on the disk.
    pub(crate) fn publish(self, to: &Path) -> Result<()> {
        let published = File::open(&self.path)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&self.path, to))
            .and_then(|()| File::open(directory(to))?.sync_all());
        published.map_err(|error| Error::io(At::new(to, self.operation), error))
    }
}

impl Drop for Incomplete {
    fn drop(&mut self) {
        // Once it is published there is nothing left; otherwise the first error is the one to
        // report.
        for side in ["", "-journal", "-wal", "-shm"] {
            let _ = fs::remove_file(beside(&self.path, side));
        }
    }
}
