//! Whether the path still names the file that SQLite has open. SQLite itself goes on with a file
//! that was removed or replaced, as by restoring a copy under a running agent: what is committed
//! then is lost, and what is read stays as it was.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{At, Error, Result};

/// Device and inode of the open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SameFile(u64, u64);

impl SameFile {
    /// The file at `path`, to be called before SQLite opens it.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        Self::look(path).map_err(|error| Error::io(At::new(path, "look at"), error))
    }

    fn look(path: &Path) -> io::Result<Self> {
        // This asks for the name, it does not open the file.
        let found = std::fs::metadata(path)?;
        Ok(Self(found.dev(), found.ino()))
    }

    /// # Errors
    /// [`Error::Replaced`] if the path names another file by now, or none.
    pub(crate) fn ensure(self, path: &Path) -> Result<()> {
        let source = match Self::look(path) {
            Ok(found) if found == self => return Ok(()),
            Ok(_) => io::Error::other("another file lies there now"),
            Err(error) => error,
        };
        let at = At::new(path, "look at");
        Err(Error::Replaced {
            at,
            source: source.into(),
        })
    }
}
