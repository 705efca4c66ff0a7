//! What can be wrong with a file, and with a file as a whole.

use std::io;
use std::path::PathBuf;

/// Why a place in a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Deleted: journald punches holes into what it deletes, so that nothing read now is to be
    /// trusted.
    #[error("the file was deleted")]
    Deleted,
    #[error("{0}")]
    Damaged(&'static str),
}

/// A file or directory of which nothing is read. The others go on.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct Refused {
    /// The file or directory.
    pub path: PathBuf,
    /// Why.
    pub why: Why,
}

/// Why nothing of a file is read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// The kernel refuses to let us read it.
    #[error("no permission to read; a member of the group systemd-journal may")]
    NoPermission,
    /// The file uses features of the format that this reader does not know: reading on would be
    /// guessing.
    #[error(
        "it needs features of the format that this reader does not know: incompatible flags {0:#x}"
    )]
    UnknownFlags(u32),
    /// It is not a journal file, or its header is destroyed.
    #[error("not a journal file: {0}")]
    NotAJournal(&'static str),
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Why {
    pub(crate) fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::NoPermission,
            _ => Self::Io(error),
        }
    }
}
