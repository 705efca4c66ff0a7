//! What can go wrong with the store, found by SQLite's code and by a look at the file system,
//! never by text.

mod origin;

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use roundsman_kit::Class;

/// The result of anything done with the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What SQLite or the kernel said.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// What was being done, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The file: the database, or the run file or copy that is concerned.
    pub path: PathBuf,
    /// The table, where it was about one.
    pub table: Option<&'static str>,
    /// What was being done, as `insert` or `open`.
    pub operation: &'static str,
}

impl At {
    pub(crate) fn new(path: &Path, operation: &'static str) -> Self {
        Self {
            path: path.to_path_buf(),
            table: None,
            operation,
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.operation)?;
        match self.table {
            Some(table) => write!(f, " ({table})"),
            None => Ok(()),
        }
    }
}

/// An error of the store, with the remedy where there is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no database file.
    #[error("the store {} does not exist; roundsman-migrate.service makes it", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The path names a directory, a socket or the like.
    #[error("the store {} is not a regular file; correct `store` in common.toml", path.display())]
    NotAFile {
        /// What was found instead.
        path: PathBuf,
    },
    /// Locks and shared memory of SQLite do not work there.
    #[error(
        "the store {} lies on a network file system ({kind}), where SQLite's WAL loses data; \
         set `store` in common.toml to a path on a local disk", path.display()
    )]
    NetworkFileSystem {
        /// The database.
        path: PathBuf,
        /// The file system, as `nfs`.
        kind: &'static str,
    },
    /// A file of /run/roundsman is missing or cannot be used.
    #[error(
        "{} cannot be used; run `systemd-tmpfiles --create roundsman.conf` (as root)",
        path.display()
    )]
    RunFile {
        /// The ticket or the bell.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file belongs to an older version and has not been migrated yet.
    #[error(
        "the store {} has schema {found}, this version needs {known}; \
         start roundsman-migrate.service", path.display()
    )]
    Older {
        /// The database.
        path: PathBuf,
        /// Its schema; 0 is an empty file.
        found: u32,
        /// The schema of this version.
        known: u32,
    },
    /// The schema is right but the file is not in WAL mode, as after restoring a copy.
    #[error(
        "the store {} is not in WAL mode (was a copy restored?); start roundsman-migrate.service",
        path.display()
    )]
    Unprepared {
        /// The database.
        path: PathBuf,
    },
    /// The file belongs to a newer version.
    #[error(
        "the store {} has schema {found}, this version knows {known}: install the newer version \
         again, or stop roundsman.target and run `roundsman store restore {}`",
        path.display(), copy_name(copy.as_deref())
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest schema this version knows.
        known: u32,
        /// The copy of the older schema that lies beside it, if there is one.
        copy: Option<PathBuf>,
    },
    /// A database of another application.
    #[error(
        "{} is a database of another application (application_id {application_id:#x}); \
         correct `store` in common.toml", path.display()
    )]
    Foreign {
        /// The database.
        path: PathBuf,
        /// The id in its header.
        application_id: u32,
    },
    /// The linked SQLite may corrupt a WAL that several processes use.
    #[error("SQLite {found} is linked, at least 3.51.3 is needed; build with the bundled one")]
    OldSqlite {
        /// The linked version.
        found: &'static str,
    },
    /// Somebody else held the write turn or a lock all the time.
    #[error(
        "{at}: still locked after {waited:.1?}; `lslocks` shows who holds the ticket or the store"
    )]
    Busy {
        /// What was being done.
        at: At,
        /// How long was waited.
        waited: Duration,
        /// What SQLite said; none when it was the ticket.
        #[source]
        source: Option<Cause>,
    },
    /// The disk or the quota is full. The transaction was rolled back.
    #[error("{at}: the disk is full; free some space there, nothing committed is lost")]
    Full {
        /// What was being done.
        at: At,
        /// What SQLite said.
        source: Cause,
    },
    /// The file system is mounted read-only.
    #[error(
        "{at}: the file system is read-only; mount it read-write (see `dmesg`), or, if only the \
         sandbox of a unit shows it so, add the directory to its ReadWritePaths= (`sudo roundsman \
         check` says how)"
    )]
    ReadOnly {
        /// What was being done.
        at: At,
        /// What the kernel or SQLite said.
        source: Cause,
    },
    /// The process may not do this.
    #[error(
        "{at}: permission denied; run it as root or as a member of the group roundsman \
         (`usermod -aG roundsman USER`, then log in again)"
    )]
    NoPermission {
        /// What was being done.
        at: At,
        /// What the kernel or SQLite said.
        source: Cause,
    },
    /// The file under an open connection was replaced or removed.
    #[error("{at}: the file was replaced while it was open; restart this program")]
    Replaced {
        /// What was being done.
        at: At,
        /// What SQLite said.
        source: Cause,
    },
    /// The file is damaged, or not a database at all.
    #[error(
        "{at}: the file is damaged or not a database; stop roundsman.target and run \
         `roundsman store restore BACKUP`, which keeps the damaged file"
    )]
    Corrupt {
        /// What was being done.
        at: At,
        /// What SQLite said.
        source: Cause,
    },
    /// The disk or the kernel failed.
    #[error("{at} failed")]
    Io {
        /// What was being done.
        at: At,
        /// What the kernel or SQLite said.
        source: Cause,
    },
    /// A column holds what this version does not understand.
    #[error("{at}: column {column} holds a value that this version does not understand")]
    Value {
        /// What was being done.
        at: At,
        /// The column.
        column: &'static str,
        /// Why.
        source: Cause,
    },
    /// A statement of ours is wrong, or broke a constraint.
    #[error("{at} was refused by SQLite")]
    Statement {
        /// What was being done.
        at: At,
        /// What SQLite said.
        source: Cause,
    },
    /// A write through a store that was opened as [`crate::Role::Reader`].
    #[error("{}: a reader tried to write", path.display())]
    ReaderWrote {
        /// The database.
        path: PathBuf,
    },
    /// A backup would replace the store itself, or lie where SQLite looks for files of its own.
    #[error(
        "{} is part of the store itself, or named like it; name another file for the backup",
        path.display()
    )]
    BackupOntoStore {
        /// The file that was named.
        path: PathBuf,
    },
    /// What was to be restored is no sound store of a schema that this version knows.
    #[error("{} cannot be restored, and the store is as before", path.display())]
    NotRestorable {
        /// The file that was named.
        path: PathBuf,
        /// Why.
        source: Cause,
    },
    /// The store was to be replaced while a program has it open.
    #[error(
        "the store {} is open in another program; stop roundsman.target, `lslocks` shows who else \
         has it", path.display()
    )]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// A backup would replace a device, a link, a directory or the like.
    #[error("{} is not a regular file; name another file for the backup", path.display())]
    BackupOntoOther {
        /// The file that was named.
        path: PathBuf,
    },
}

fn copy_name(copy: Option<&Path>) -> String {
    copy.map_or_else(|| "BACKUP".into(), |path| path.display().to_string())
}

impl Error {
    /// What an agent does about it: the exit code, the log level, whether it tries again.
    pub fn class(&self) -> Class {
        match self {
            Self::NotAFile { .. }
            | Self::NetworkFileSystem { .. }
            | Self::NoPermission { .. }
            | Self::BackupOntoStore { .. }
            | Self::BackupOntoOther { .. } => Class::Config,
            Self::Missing { .. }
            | Self::RunFile { .. }
            | Self::Older { .. }
            | Self::Unprepared { .. }
            | Self::Busy { .. }
            | Self::InUse { .. }
            | Self::Full { .. }
            | Self::ReadOnly { .. }
            | Self::Replaced { .. }
            | Self::Io { .. } => Class::Unavailable,
            Self::Newer { .. }
            | Self::Foreign { .. }
            | Self::Corrupt { .. }
            | Self::NotRestorable { .. }
            | Self::Value { .. } => Class::Incompatible,
            Self::OldSqlite { .. } | Self::Statement { .. } | Self::ReaderWrote { .. } => {
                Class::Bug
            }
        }
    }

    /// Whether `roundsman-migrate` is what it waits for.
    pub fn awaits_migration(&self) -> bool {
        matches!(self, Self::Older { .. } | Self::Unprepared { .. })
    }
}

/// The operation of opening the database.
pub(crate) const OPEN: &str = "open";

/// The file beside `path` whose name has `suffix` added.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    name.into()
}

/// The class of an error of this crate: the classifier that agents list for `kit::run`.
pub fn class_of(error: &(dyn StdError + 'static)) -> Option<Class> {
    error.downcast_ref::<Error>().map(Error::class)
}
