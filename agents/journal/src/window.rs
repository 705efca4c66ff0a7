//! The part of a file that lies in memory: read forwards, in pieces.

use crate::error::Fault;
use crate::file::JournalFile;
use crate::values::{Memory, Place};

/// How much is read at once while there is much to read.
const PIECE: usize = 256 * 1024;
/// And after a jump, which may lead to a table that is jumped over, too.
const FIRST_PIECE: usize = 16 * 1024;
/// Read beyond the last object that the header names, which is usually the entry itself.
const BEYOND: u64 = 4096;

#[derive(Default)]
pub(crate) struct Window {
    bytes: Vec<u8>,
    /// Bytes of them that are filled.
    length: usize,
    start: u64,
}

impl Window {
    /// `length` bytes at `offset`, read if they are not here.
    pub fn get(&mut self, file: &JournalFile, offset: u64, length: usize) -> Result<&[u8], Fault> {
        Ok(&self.ahead(file, offset, length)?[..length])
    }

    /// Everything from `offset` on that is here, and `length` bytes at least.
    #[inline]
    pub fn ahead(
        &mut self,
        file: &JournalFile,
        offset: u64,
        length: usize,
    ) -> Result<&[u8], Fault> {
        // Before the start is far behind the end.
        let from = offset.wrapping_sub(self.start);
        if from.saturating_add(length as u64) > self.length as u64 {
            self.fill(file, offset, length)?;
            if self.length < length {
                return Err(Fault::Damaged("the file is shorter than it says"));
            }
        }
        let from = (offset - self.start) as usize;
        Ok(&self.bytes[from..self.length])
    }

    /// `length` bytes at `offset`, if they are here.
    pub fn peek(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes[..self.length].get(from..from.checked_add(length)?)
    }

    /// Where `length` bytes at `offset` lie in the window, if they do.
    pub fn place(&self, offset: u64, length: usize) -> Option<Place> {
        self.peek(offset, length)?;
        Some(Place {
            memory: Memory::Window,
            start: usize::try_from(offset - self.start).ok()?,
            length,
            is_cut: false,
        })
    }

    /// The bytes of such a place.
    pub fn at_place(&self, start: usize, length: usize) -> &[u8] {
        self.bytes.get(start..start + length).unwrap_or_default()
    }

    fn fill(&mut self, file: &JournalFile, offset: u64, length: usize) -> Result<(), Fault> {
        let used = file.header.tail_object.saturating_add(BEYOND);
        let rest = usize::try_from(used.saturating_sub(offset)).unwrap_or(usize::MAX);
        let behind = offset.wrapping_sub(self.start);
        let is_next = self.length > 0 && behind <= self.length as u64;
        let piece = if is_next { PIECE } else { FIRST_PIECE };
        let wanted = rest.clamp(length, length.max(piece));
        self.length = 0;
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
        self.length = file.read(&mut self.bytes[..wanted], offset)?;
        self.start = offset;
        Ok(())
    }

    /// Forgets what lies at `offset` and behind: it was read before the header said that it is
    /// complete.
    pub fn cut(&mut self, offset: u64) {
        let keep = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.length = self.length.min(keep);
    }

    /// Memory in use.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Gives the memory back; what comes next will be small.
    pub fn release(&mut self) {
        *self = Self::default();
    }
}
