//! One journal file: opened for reading only, read by `pread`, never mapped, so that no truncation
//! can kill this process.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::Id;
use crate::bytes::u64_at;
use crate::error::{Fault, Why};
use crate::header::{Header, SHORTEST};
use crate::object::{ARRAY, KIND_ARRAY, Object, offset};

/// The header as this reader reads it.
const HEADER_BYTES: usize = 272;
const N_ENTRIES: u64 = 152;

pub(crate) struct JournalFile {
    file: File,
    pub header: Header,
}

impl JournalFile {
    /// `Ok(None)`: journald is just creating it, or it is none of ours (a directory, a socket).
    pub fn open(path: &Path) -> Result<Option<Self>, Why> {
        // A FIFO of that name must not block us.
        let flags = (OFlags::NONBLOCK | OFlags::CLOEXEC).bits() as i32;
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Why::from_io)?,
        };
        if !file.metadata().map_err(Why::from_io)?.is_file() {
            return Ok(None);
        }
        let mut bytes = [0; HEADER_BYTES];
        let length = read_full(&file, &mut bytes, 0).map_err(Why::from_io)?;
        let header = Header::parse(&bytes[..length])?;
        Ok(header.map(|header| Self { file, header }))
    }

    /// Looks at the header again. True if entries have come.
    pub fn refresh(&mut self) -> Result<bool, Fault> {
        let mut bytes = [0; HEADER_BYTES];
        let length = read_full(&self.file, &mut bytes, 0)?;
        let parsed = Header::parse(&bytes[..length]);
        let before = self.header.n_entries;
        match parsed {
            Ok(Some(mut header)) if header.file_id == self.header.file_id => {
                // A number is read byte by byte, perhaps while it changes: of two readings the
                // smaller one is no later than the other.
                if header.n_entries != before {
                    header.n_entries = header.n_entries.min(self.n_entries()?);
                }
                header.n_entries = header.n_entries.max(before);
                self.header = header;
                Ok(self.header.n_entries > before)
            }
            _ if self.is_deleted()? => Err(Fault::Deleted),
            _ => Err(Fault::Damaged("the header was destroyed")),
        }
    }

    /// The number of complete entries, now. The one system call of a poll.
    pub fn n_entries(&self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        read_full(&self.file, &mut bytes, N_ENTRIES)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Reads as much as there is.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Fault> {
        let length = read_full(&self.file, buffer, offset)?;
        // journald first deletes, then punches holes: while there is a name, the bytes are real.
        if self.is_deleted()? {
            return Err(Fault::Deleted);
        }
        Ok(length)
    }

    /// Reads exactly as much.
    pub fn read_exact(&self, buffer: &mut [u8], offset: u64) -> Result<(), Fault> {
        match self.read(buffer, offset)? == buffer.len() {
            true => Ok(()),
            false => Err(Fault::Damaged("the file is shorter than it says")),
        }
    }

    pub fn is_deleted(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.nlink() == 0)
    }

    /// Device and inode.
    pub fn inode(&self) -> io::Result<(u64, u64)> {
        let metadata = self.file.metadata()?;
        Ok((metadata.dev(), metadata.ino()))
    }

    /// Space between `offset` and the end of the objects.
    pub fn room(&self, offset: u64) -> u64 {
        self.header.end.saturating_sub(offset)
    }

    /// The offsets of the entries by number, from the arrays that index them: what is left when
    /// the objects themselves cannot be followed. Stops at the first damage.
    pub fn entry_offsets(&self, visit: &mut dyn FnMut(u64, u64) -> bool) -> Result<(), Fault> {
        let width = if self.header.is_compact { 4 } else { 8 };
        let (mut array, mut number) = (self.header.entry_array, 0);
        let mut chunk = vec![0; 8192];
        while array != 0 && number < self.header.n_entries {
            let mut head = [0; ARRAY as usize];
            self.read_exact(&mut head, array)?;
            let object = Object::parse(&head, self.room(array))?;
            if object.kind != KIND_ARRAY || object.size < ARRAY {
                return Err(Fault::Damaged("no array of entries where one should be"));
            }
            let (mut at, end) = (array + ARRAY, array + object.size);
            while at + width <= end && number < self.header.n_entries {
                let length = ((end - at) as usize).min(chunk.len());
                self.read_exact(&mut chunk[..length], at)?;
                for item in chunk[..length].chunks_exact(width as usize) {
                    let is_over = number >= self.header.n_entries;
                    if is_over || !visit(number, offset(item, self.header.is_compact)) {
                        return Ok(());
                    }
                    number += 1;
                }
                at += length as u64;
            }
            // Arrays are appended like all objects: one that points back would be a loop.
            let next = u64_at(&head, 16).unwrap_or(0);
            if next != 0 && next <= array {
                return Err(Fault::Damaged("the arrays of entries run in a circle"));
            }
            array = next;
        }
        Ok(())
    }

    /// Which file this is, wherever it lies.
    pub fn id(&self) -> Id {
        self.header.file_id
    }
}

/// A header as bytes must not be shorter than all versions have.
const _: () = assert!(HEADER_BYTES >= SHORTEST);

fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(length) => done += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
