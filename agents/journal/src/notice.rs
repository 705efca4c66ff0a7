//! What a reader must be told beside the entries: nothing is lost in silence.

use std::path::PathBuf;

use crate::Id;
use crate::error::Refused;
use crate::position::Position;

/// Entries that journald numbered and that are nowhere to be found.
///
/// The numbers count by one across all files of a journal, so that the count is exact. This is
/// the authority on what was lost; [`Skipped`] says why and where, of the same entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The counter.
    pub seqnum_id: Id,
    /// The first missing number.
    pub first: u64,
    /// The last missing one. None: all files of the counter are gone, and with them the number.
    pub last: Option<u64>,
    /// The last entry before.
    pub after: Option<Position>,
    /// The journal has files that may not be read; the entries may be in them.
    pub is_hidden: bool,
}

impl Gap {
    /// How many entries are missing, where that is known.
    pub fn entries(&self) -> Option<u64> {
        self.last
            .map(|last| last.saturating_sub(self.first).saturating_add(1))
    }
}

/// A part of a file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Entries in that part, by the file's own count.
    pub entries: u64,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Something else than an entry.
#[derive(Debug)]
pub enum Notice {
    /// Entries are missing.
    Gap(Gap),
    /// A damaged or deleted part of a file was passed over.
    Skipped(Skipped),
    /// A file or directory is not read at all. Said once, until the file changes.
    Refused(Refused),
}
