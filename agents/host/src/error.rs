//! Why a figure could not be had.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};

use roundsman_kit::Class;

/// How much of a malformed item is quoted in a message.
const QUOTED_BYTES: usize = 60;

/// A figure that could not be read. Every variant names the source it was to come from.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A file holds something other than its documented format.
    #[error("{}:{line}: {item} is not what the format says: {found:?}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The item that was looked for.
        item: &'static str,
        /// What stood there, shortened.
        found: String,
    },
    /// A file lacks an item that it always has.
    #[error("{}: no {item} in it", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The item that was looked for.
        item: &'static str,
    },
    /// A system call failed.
    #[error("system call {call} failed")]
    Call {
        /// Its name.
        call: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The figures are those of another view than the host's, because the host's is not readable.
    #[error("cannot read {}, the figures are this process's own view", path.display())]
    OwnView {
        /// The file with the host's view.
        path: PathBuf,
    },
    /// This host has no such thing; nothing is wrong.
    #[error("no {what} on this host")]
    NoData {
        /// What the host does not have.
        what: &'static str,
    },
}

impl Error {
    /// What an agent does about it: the exit code, the log level, whether it tries again.
    pub fn class(&self) -> Class {
        match self {
            Self::NoData { .. } => Class::NoData,
            Self::Read { .. }
            | Self::Malformed { .. }
            | Self::Missing { .. }
            | Self::Call { .. }
            | Self::OwnView { .. } => Class::Unavailable,
        }
    }

    /// Whether there was simply nothing to report: the hardware or the module is not there.
    pub fn is_no_data(&self) -> bool {
        matches!(self, Self::NoData { .. })
    }

    /// Whether the file does not exist (any more).
    pub fn is_missing_file(&self) -> bool {
        match self {
            Self::Read { source, .. } => {
                source.kind() == io::ErrorKind::NotFound
                    || matches!(
                        source.raw_os_error(),
                        Some(libc::ENODEV | libc::ENXIO | libc::ESRCH)
                    )
            }
            _ => false,
        }
    }

    /// Turns "the file does not exist" into [`Error::NoData`].
    pub(crate) fn or_no_data(self, what: &'static str) -> Self {
        if self.is_missing_file() {
            Self::NoData { what }
        } else {
            self
        }
    }

    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn malformed(path: &Path, line: usize, item: &'static str, found: &[u8]) -> Self {
        let shown = &found[..found.len().min(QUOTED_BYTES)];
        Self::Malformed {
            path: path.to_owned(),
            line,
            item,
            found: String::from_utf8_lossy(shown).into_owned(),
        }
    }
}

/// The class of an error of this crate: the classifier that agents list for `kit::run`.
pub fn class_of(error: &(dyn StdError + 'static)) -> Option<Class> {
    error.downcast_ref::<Error>().map(Error::class)
}
