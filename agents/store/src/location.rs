//! Where the store lies, and making what is missing there.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use roundsman_kit::Paths;

use crate::error::{At, Error, OPEN, Result};

/// The files of one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    pub(crate) db: PathBuf,
    pub(crate) ticket: PathBuf,
    pub(crate) bell: PathBuf,
}

impl Location {
    /// The database at the configured path `store` (as `/var/lib/roundsman/roundsman.db`), and
    /// the ticket and the bell in `/run/roundsman`; all below the root of `paths`.
    pub fn new(paths: &Paths, store: impl AsRef<Path>) -> Self {
        Self {
            db: paths.at(store),
            ticket: paths.ticket(),
            bell: paths.bell(),
        }
    }

    /// The database file. It is for messages and for handing to SQLite; see the crate's
    /// invariants before opening it.
    pub fn db(&self) -> &Path {
        &self.db
    }

    /// Makes what tmpfiles.d makes on an installed host, for containers and tests: the two
    /// directories, the empty database, the ticket and the bell. What exists stays as it is.
    pub(crate) fn prepare(&self) -> Result<()> {
        for (file, dir_mode) in [
            (&self.db, 0o2770),
            (&self.ticket, 0o2750),
            (&self.bell, 0o2750),
        ] {
            let made = directory_of(file, dir_mode).and_then(|()| create(file));
            made.map_err(|source| self.not_made(file, source))?;
        }
        Ok(())
    }

    fn not_made(&self, file: &Path, source: io::Error) -> Error {
        if file == self.db {
            Error::io(At::new(file, "create"), source)
        } else {
            Error::run_file(file, source)
        }
    }

    /// Refuses what cannot be a store before SQLite touches it.
    pub(crate) fn inspect(&self) -> Result<()> {
        let at = || At::new(&self.db, OPEN);
        let metadata = fs::metadata(&self.db).map_err(|error| Error::io(at(), error))?;
        if !metadata.is_file() {
            return Err(Error::NotAFile {
                path: self.db.clone(),
            });
        }
        let fs = rustix::fs::statfs(&self.db).map_err(|error| Error::errno(at(), error))?;
        match network_file_system(fs.f_type as u32) {
            Some(kind) => Err(Error::NetworkFileSystem {
                path: self.db.clone(),
                kind,
            }),
            None => Ok(()),
        }
    }
}

fn directory_of(file: &Path, mode: u32) -> io::Result<()> {
    let Some(dir) = file.parent() else {
        return Ok(());
    };
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o750).create(dir)?;
    // mkdir ignores the setgid bit and heeds the umask.
    fs::set_permissions(dir, Permissions::from_mode(mode))
}

/// Creates an empty file that the whole group may write. Only a file that did not exist is ever
/// opened here, so no lock of SQLite can hang on it.
fn create(path: &Path) -> io::Result<()> {
    let file = match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o660)
        .open(path)
    {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        other => other?,
    };
    // SQLite gives -wal and -shm the same mode; the umask must not take the group's share away.
    file.set_permissions(Permissions::from_mode(0o660))
}

/// The name of the network file system with this magic number (statfs(2), linux/magic.h).
fn network_file_system(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "nfs",
        0x517b => "smb",
        0xff53_4d42 => "cifs",
        0xfe53_4d42 => "smb3",
        0x0102_1997 => "9p",
        0x5346_414f | 0x6b41_4653 => "afs",
        0x00c3_6400 => "ceph",
        0x7375_7245 => "coda",
        0x0bd0_0bd0 => "lustre",
        0x564c => "ncp",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_their_magic_and_local_ones_are_not() {
        for (magic, kind) in [(0x6969, "nfs"), (0xff53_4d42, "cifs"), (0x0102_1997, "9p")] {
            assert_eq!(network_file_system(magic), Some(kind));
        }
        for local in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630] {
            assert_eq!(network_file_system(local), None, "{local:#x}");
        }
    }

    #[test]
    fn prepare_makes_group_writable_files_and_leaves_what_exists() {
        let root = tempfile::tempdir().unwrap();
        let location = Location::new(&Paths::under(root.path()), "/var/lib/roundsman/r.db");
        assert!(matches!(location.inspect(), Err(Error::Missing { .. })));

        location.prepare().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&location.db), 0o660);
        assert_eq!(mode(location.db.parent().unwrap()), 0o2770);
        assert_eq!(mode(location.bell.parent().unwrap()), 0o2750);

        fs::set_permissions(&location.ticket, Permissions::from_mode(0o600)).unwrap();
        location.prepare().unwrap();
        assert_eq!(mode(&location.ticket), 0o600);
        location.inspect().unwrap();

        let directory = Location::new(&Paths::under(root.path()), "/var/lib");
        assert!(matches!(directory.inspect(), Err(Error::NotAFile { .. })));
    }
}
