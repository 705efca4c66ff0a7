//! The values of a file that do not lie in its window: those of objects that lie far back, and
//! those that had to be decompressed.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::compress::Decoder;
use crate::error::Fault;
use crate::file::JournalFile;
use crate::object::{KIND_DATA, Object, payload_at};
use crate::window::Window;

/// Values up to this length are kept for the next entry.
const SMALL: usize = 16 * 1024;
/// Kept values of one file, in bytes.
const MOST_BYTES: usize = 512 * 1024;
/// Values of one entry that are not kept, in bytes.
const MOST_LARGE: usize = 64 * 1024 * 1024;
/// Compressed bytes that may have to be read beyond those handed out.
const LONGEST_VIEW: usize = 9 * 1024 * 1024;
/// Read at once of an object that lies far back: most are shorter.
const FIRST_READ: usize = 512;
/// A field's name has 64 bytes at most; one that journald itself adds may have a little more.
const LONGEST_NAME: usize = 256;

/// Where the bytes of `FIELD=value` lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub memory: Memory,
    pub start: usize,
    pub length: usize,
    /// The end is missing.
    pub is_cut: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Memory {
    Window,
    Kept,
    Large,
}

#[derive(Default)]
struct OffsetHasher(u64);

impl Hasher for OffsetHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u64(&mut self, offset: u64) {
        // Offsets come from one file, by nobody who could choose them to collide and gain by it.
        self.0 = (self.0 ^ offset)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(26);
    }
}

#[derive(Default)]
pub(crate) struct Values {
    kept: Vec<u8>,
    index: HashMap<u64, Place, BuildHasherDefault<OffsetHasher>>,
    large: Vec<u8>,
    /// Compressed bytes that do not lie in the window.
    input: Vec<u8>,
    decoder: Option<Box<Decoder>>,
}

impl Values {
    /// Makes room for an entry. Places given out before are void.
    pub fn begin(&mut self) {
        if self.kept.len() > MOST_BYTES {
            self.kept.clear();
            self.index.clear();
        }
        self.large.clear();
        if self.large.capacity() > MOST_BYTES {
            self.large.shrink_to(MOST_BYTES);
        }
    }

    pub fn bytes<'a>(&'a self, window: &'a Window, place: &Place) -> &'a [u8] {
        let bytes = match place.memory {
            Memory::Window => return window.at_place(place.start, place.length),
            Memory::Kept => &self.kept,
            Memory::Large => &self.large,
        };
        bytes
            .get(place.start..place.start + place.length)
            .unwrap_or_default()
    }

    /// The value of the data object at `offset`, of which no more than `longest` bytes.
    pub fn load(
        &mut self,
        file: &JournalFile,
        window: &Window,
        offset: u64,
        longest: usize,
    ) -> Result<Place, Fault> {
        if let Some(place) = self.index.get(&offset) {
            return Ok(*place);
        }
        let mut first = [0; FIRST_READ];
        let head = match window.peek(offset, 16) {
            Some(head) => head,
            None => {
                let length =
                    FIRST_READ.min(usize::try_from(file.room(offset)).unwrap_or(FIRST_READ));
                let length = file.read(&mut first[..length], offset)?;
                &first[..length]
            }
        };
        let object = data_object(file, head, offset)?;
        let at = payload_at(file.header.is_compact);
        let size = (object.size - at) as usize;
        if object.compression == 0 {
            let length = size.min(longest);
            if let Some(place) = window.place(offset + at, length) {
                return Ok(Place {
                    is_cut: length < size,
                    ..place
                });
            }
            let begun = head.get(at as usize..).unwrap_or_default();
            return self.read(file, offset, at, begun, length, length < size);
        }
        self.decompress(file, window, offset, object, longest)
    }

    /// Reads the plain payload behind the first bytes, which are here.
    fn read(
        &mut self,
        file: &JournalFile,
        offset: u64,
        at: u64,
        begun: &[u8],
        length: usize,
        is_cut: bool,
    ) -> Result<Place, Fault> {
        let begun = &begun[..begun.len().min(length)];
        let (memory, bytes) = self.target(length)?;
        let start = bytes.len();
        bytes.extend_from_slice(begun);
        bytes.resize(start + length, 0);
        let rest = offset + at + begun.len() as u64;
        if begun.len() < length {
            let read = file.read_exact(&mut bytes[start + begun.len()..], rest);
            if read.is_err() {
                bytes.truncate(start);
            }
            read?;
        }
        Ok(self.note(
            offset,
            Place {
                memory,
                start,
                length,
                is_cut,
            },
        ))
    }

    fn decompress(
        &mut self,
        file: &JournalFile,
        window: &Window,
        offset: u64,
        object: Object,
        longest: usize,
    ) -> Result<Place, Fault> {
        let at = payload_at(file.header.is_compact);
        let size = (object.size - at) as usize;
        // Data is stored compressed only where that is shorter, so that this much is enough for
        // what is handed out, and for what ZSTD keeps in view.
        let size = size.min(longest.saturating_add(LONGEST_VIEW));
        let mut input = std::mem::take(&mut self.input);
        let compressed = match window.peek(offset + at, size) {
            Some(compressed) => compressed,
            None => {
                input.resize(size, 0);
                file.read_exact(&mut input, offset + at)?;
                &input
            }
        };
        if self.large.len() > MOST_LARGE {
            return Err(Fault::Damaged("an entry of impossible size"));
        }
        let decoder = self.decoder.get_or_insert_with(|| Box::new(Decoder::new()));
        let start = self.large.len();
        let done = decoder.decode(object.compression, compressed, longest + 1, &mut self.large);
        input.clear();
        input.shrink_to(SMALL);
        self.input = input;
        if let Err(why) = done {
            self.large.truncate(start);
            return Err(Fault::Damaged(why));
        }
        let is_cut = self.large.len() - start > longest;
        self.large.truncate(start + longest);
        let length = self.large.len() - start;
        let mut place = Place {
            memory: Memory::Large,
            start,
            length,
            is_cut,
        };
        if self.is_kept(length) {
            place.memory = Memory::Kept;
            place.start = self.kept.len();
            self.kept.extend_from_slice(&self.large[start..]);
            self.large.truncate(start);
        }
        Ok(self.note(offset, place))
    }

    fn target(&mut self, length: usize) -> Result<(Memory, &mut Vec<u8>), Fault> {
        if self.large.len() + length > MOST_LARGE {
            return Err(Fault::Damaged("an entry of impossible size"));
        }
        Ok(match self.is_kept(length) {
            true => (Memory::Kept, &mut self.kept),
            false => (Memory::Large, &mut self.large),
        })
    }

    fn is_kept(&self, length: usize) -> bool {
        length <= SMALL && self.kept.len() < 2 * MOST_BYTES
    }

    fn note(&mut self, offset: u64, place: Place) -> Place {
        if matches!(place.memory, Memory::Kept) {
            self.index.insert(offset, place);
        }
        place
    }
}

/// The object at `offset`, which must be data.
fn data_object(file: &JournalFile, head: &[u8], offset: u64) -> Result<Object, Fault> {
    let object = Object::parse(head, file.room(offset))?;
    if object.kind != KIND_DATA || object.size <= payload_at(file.header.is_compact) {
        return Err(Fault::Damaged("no data where data should be"));
    }
    Ok(object)
}

/// The name in `NAME=value`, if the equal sign is near enough for one.
pub(crate) fn name(payload: &[u8]) -> Option<&[u8]> {
    let near = &payload[..payload.len().min(LONGEST_NAME)];
    memchr::memchr(b'=', near).map(|at| &near[..at])
}
