//! Putting a copy in the place of the store.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{F_WRLCK, SEEK_SET, flock};
use rusqlite::{Connection, OpenFlags};

use crate::backup::{Incomplete, directory, is_part};
use crate::connection::{self, Deadline};
use crate::error::{At, Cause, Error, Result, beside};
use crate::location::Location;
use crate::migrate;
use crate::store::Role;

/// For errors.
const RESTORE: &str = "restore";

/// How long to wait for locks on the copy.
const PATIENCE: Duration = Duration::from_secs(10);

/// What belongs to a database besides its own file, and goes where that goes: what is committed
/// or to be rolled back stands in it. (`-shm` is made anew from it.)
const SIDES: [&str; 2] = ["-wal", "-journal"];

/// The bytes of a database file on which SQLite's locks lie: PENDING, RESERVED, SHARED
/// (<https://sqlite.org/fileformat2.html>, "the lock-byte page"). Every connection that has read
/// anything of a file in WAL mode holds SHARED until it is closed.
const LOCKS: (i64, i64) = (0x4000_0000, 512);

/// What restoring a copy did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The schema of the copy; an older one awaits its migration.
    pub schema: u32,
    /// Where the store of before lies now, if there was one.
    pub kept: Option<PathBuf>,
}

/// Makes a copy of `from` the store. It gets the owner, group and mode that the store had; the
/// store of before is kept beside it as `….before-restore`. This process must not have the store
/// open.
///
/// # Errors
/// [`Error::NotRestorable`] if `from` is no sound store of a schema that this version knows;
/// [`Error::InUse`] while anybody has the store open; or what went wrong with a file. The store
/// is then as before.
pub fn restore(location: &Location, from: &Path) -> Result<Restored> {
    // SQLite follows links before it names its files, and so must what replaces them.
    let db = fs::canonicalize(&location.db).unwrap_or_else(|_| location.db.clone());
    match location.inspect() {
        Ok(()) | Err(Error::Missing { .. }) => {}
        Err(error) => return Err(error),
    }
    // SQLite takes a relative name that begins with "file:" for a URI.
    let from = &std::path::absolute(from).unwrap_or_else(|_| from.to_path_buf());
    let refuse = |source: Cause| Error::NotRestorable {
        path: from.clone(),
        source,
    };
    if is_part(from, &db) {
        return Err(refuse("it is part of the store itself".into()));
    }
    let (source, schema) = judge(from).map_err(refuse)?;
    let copy = Incomplete::of(&db, RESTORE)?;
    copy.fill(&source, from)?;
    drop(source);
    prepare(copy.path(), &db)?;
    let _locks = lock(&db)?;
    let aside = SetAside::of(&db)?;
    copy.publish(&db)?;
    Ok(Restored {
        schema,
        kept: aside.keep(),
    })
}

/// Opens what is to be restored and finds out whether it can be.
fn judge(from: &Path) -> Result<(Connection, u32), Cause> {
    if !fs::metadata(from)?.is_file() {
        return Err("it is not a regular file".into());
    }
    let deadline = Deadline::at(Instant::now() + PATIENCE);
    let source = connection::open(from, Role::Reader, &deadline)?;
    let schema = match migrate::header(&source, from)?.restorable(from) {
        Ok(schema) => schema,
        Err(Error::Newer { found, known, .. }) => {
            return Err(format!("it has schema {found}, this version knows {known}").into());
        }
        Err(Error::Foreign { .. }) => {
            return Err("it is a database of another application".into());
        }
        Err(error) => return Err(error.into()),
    };
    let said: String = source.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    match &*said {
        "ok" => Ok((source, schema)),
        damage => Err(format!("it is damaged: {damage}").into()),
    }
}

/// Makes of the copy what agents find and may use without a migration: WAL mode, and the owner,
/// group and mode of the file that it replaces, or those that its directory gives.
fn prepare(copy: &Path, db: &Path) -> Result<()> {
    let started = Instant::now();
    let switch = || -> rusqlite::Result<()> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let copy = Connection::open_with_flags(copy, flags)?;
        copy.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        copy.close().map_err(|(_, error)| error)
    };
    switch().map_err(|source| Error::sqlite(At::new(db, RESTORE), started, source))?;
    let own = || -> io::Result<()> {
        let (like, mode) = match fs::metadata(db) {
            Ok(old) => (old.clone(), old.mode() & 0o777),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (fs::metadata(directory(db))?, 0o660)
            }
            Err(error) => return Err(error),
        };
        let made = fs::metadata(copy)?;
        if (made.uid(), made.gid()) != (like.uid(), like.gid()) {
            chown(copy, Some(like.uid()), Some(like.gid()))?;
        }
        fs::set_permissions(copy, Permissions::from_mode(mode))?;
        File::open(copy)?.sync_all()
    };
    own().map_err(|error| Error::io(At::new(db, RESTORE), error))
}

/// Keeps everybody from opening `db` while it is replaced. No look through SQLite would do: the
/// file may be damaged. It is opened beside SQLite here, in a process that has no locks on it.
fn lock(db: &Path) -> Result<Option<File>> {
    let file = match OpenOptions::new().read(true).write(true).open(db) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(At::new(db, RESTORE), error)),
    };
    let all = flock {
        l_type: F_WRLCK as _,
        l_whence: SEEK_SET as _,
        l_start: LOCKS.0,
        l_len: LOCKS.1,
        l_pid: 0,
    };
    match fcntl(&file, FcntlArg::F_OFD_SETLK(&all)) {
        Ok(_) => Ok(Some(file)),
        Err(Errno::EAGAIN | Errno::EACCES) => Err(Error::InUse {
            path: db.to_path_buf(),
        }),
        Err(error) => Err(Error::io(At::new(db, RESTORE), error.into())),
    }
}

/// The store of before, under another name. It is put back unless it is kept.
struct SetAside {
    /// Old and new name of each file, in the order in which they were renamed.
    renamed: Vec<(PathBuf, PathBuf)>,
    was_there: bool,
    name: PathBuf,
}

impl SetAside {
    /// The file goes first: without it nobody opens anything, and with it there must be its
    /// side files. They all are gone before another file is put there, for SQLite would take
    /// them for that file's own.
    fn of(db: &Path) -> Result<Self> {
        let mut aside = Self {
            renamed: Vec::new(),
            was_there: false,
            name: free_name(db),
        };
        aside
            .rename_all(db)
            .map_err(|error| Error::io(At::new(db, RESTORE), error))?;
        Ok(aside)
    }

    fn rename_all(&mut self, db: &Path) -> io::Result<()> {
        for side in [""].into_iter().chain(SIDES) {
            let (old, new) = (beside(db, side), beside(&self.name, side));
            match fs::rename(&old, &new) {
                Ok(()) => {
                    self.was_there |= side.is_empty();
                    self.renamed.push((old, new));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        match fs::remove_file(beside(db, "-shm")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => File::open(directory(db))?.sync_all(),
        }
    }

    fn keep(mut self) -> Option<PathBuf> {
        self.renamed.clear();
        self.was_there.then(|| std::mem::take(&mut self.name))
    }
}

impl Drop for SetAside {
    fn drop(&mut self) {
        for (old, new) in self.renamed.iter().rev() {
            // The error that led here is the one to report.
            let _ = fs::rename(new, old);
        }
    }
}

/// `….before-restore`, or the same with the first number that is free: what an earlier run has
/// kept may be all that somebody has.
fn free_name(db: &Path) -> PathBuf {
    let is_free = |name: &PathBuf| {
        let mut all = [""].into_iter().chain(SIDES);
        all.all(|side| beside(name, side).symlink_metadata().is_err())
    };
    let first = beside(db, ".before-restore");
    let numbered = (2..).map(|number: u32| beside(&first, &format!(".{number}")));
    let mut names = std::iter::once(first.clone()).chain(numbered);
    names.find(is_free).unwrap_or(first)
}
