//! What SQLite or the kernel said, as one of our errors.

use std::io;
use std::path::Path;
use std::time::Instant;

use rusqlite::{ErrorCode, ffi};
use rustix::fs::{Access, access, statvfs};
use rustix::io::Errno;

use super::{At, Cause, Error, OPEN, beside};

impl Error {
    /// The error of SQLite at `at`, in what began at `since`.
    pub(crate) fn sqlite(at: At, since: Instant, error: rusqlite::Error) -> Self {
        let (code, extended) = match error.sqlite_error() {
            Some(known) => (Some(known.code), known.extended_code),
            None => (None, 0),
        };
        let source = error.into();
        match code {
            Some(ErrorCode::DiskFull) => Self::Full { at, source },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { at, source }
            }
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Busy {
                at,
                waited: since.elapsed(),
                source: Some(source),
            },
            Some(ErrorCode::ReadOnly) if extended == ffi::SQLITE_READONLY_DBMOVED => {
                Self::Replaced { at, source }
            }
            Some(
                ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure,
            ) => Self::by_looking(at, source),
            _ => Self::Statement { at, source },
        }
    }

    /// SQLite says only that it could not; the file system knows why.
    fn by_looking(at: At, source: Cause) -> Self {
        if let Err(error) = reachable(&at.path) {
            return Self::errno(at, error);
        }
        if statvfs(&at.path).is_ok_and(|fs| fs.f_bavail == 0) {
            return Self::Full { at, source };
        }
        Self::Io { at, source }
    }

    /// The error of the kernel at `at`.
    pub(crate) fn errno(at: At, errno: Errno) -> Self {
        let source = io::Error::from(errno).into();
        match errno {
            Errno::NOENT if at.operation == OPEN => Self::Missing { path: at.path },
            Errno::ROFS => Self::ReadOnly { at, source },
            Errno::ACCESS | Errno::PERM => Self::NoPermission { at, source },
            Errno::NOSPC | Errno::DQUOT => Self::Full { at, source },
            _ => Self::Io { at, source },
        }
    }

    /// The error of the kernel at a file of /run/roundsman.
    pub(crate) fn run_file(path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::PermissionDenied {
            return Self::io(At::new(path, OPEN), source);
        }
        Self::RunFile {
            path: path.to_path_buf(),
            source,
        }
    }

    /// The same for an error of the standard library.
    pub(crate) fn io(at: At, error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(errno) => Self::errno(at, errno),
            None => Self::Io {
                at,
                source: error.into(),
            },
        }
    }
}

/// Whether the database, its directory and its side files can be read and written.
fn reachable(db: &Path) -> rustix::io::Result<()> {
    access(db, Access::READ_OK)?;
    access(db, Access::WRITE_OK)?;
    if let Some(dir) = db.parent() {
        access(dir, Access::WRITE_OK | Access::EXEC_OK)?;
    }
    for suffix in ["-wal", "-shm"] {
        match access(beside(db, suffix), Access::READ_OK | Access::WRITE_OK) {
            Err(Errno::NOENT) => {}
            other => other?,
        }
    }
    Ok(())
}
