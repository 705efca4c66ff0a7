//! The objects of which a journal file is made: their kinds, sizes and fixed fields.

use crate::Id;
use crate::bytes::{id_at, u32_at, u64_at};
use crate::error::Fault;

/// The part that all objects begin with.
pub(crate) const HEADER: u64 = 16;
/// An entry before its items.
pub(crate) const ENTRY: u64 = 64;
/// An array of entries before its items.
pub(crate) const ARRAY: u64 = 24;
/// journald takes 1024 fields per entry; this leaves room for 65,000 in the longer form.
pub(crate) const LARGEST_ENTRY: u64 = 1024 * 1024;

/// Kind 1, a field with its value.
pub(crate) const KIND_DATA: u8 = 1;
/// Kind 3, an entry.
pub(crate) const KIND_ENTRY: u8 = 3;
/// Kind 6, an array of entries.
pub(crate) const KIND_ARRAY: u8 = 6;

/// The common part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Object {
    pub kind: u8,
    /// Bits of the compression of a data object.
    pub compression: u8,
    pub size: u64,
}

impl Object {
    /// Reads the common part. `room` is what lies between the object and the end of the file.
    pub fn parse(bytes: &[u8], room: u64) -> Result<Self, Fault> {
        let size = u64_at(bytes, 8).ok_or(Fault::Damaged("an object ends early"))?;
        let object = Self {
            kind: bytes[0],
            compression: bytes[1] & 0b111,
            size,
        };
        if object.kind == 0 {
            return Err(Fault::Damaged("nothing where an object should be"));
        }
        if size < HEADER || size > room {
            return Err(Fault::Damaged("impossible size of an object"));
        }
        Ok(object)
    }

    /// From the beginning of this object to that of the next one.
    pub fn span(&self) -> u64 {
        // The size is bounded by the file's, far from overflow.
        self.size.next_multiple_of(8)
    }
}

/// Where the payload of a data object begins.
pub(crate) fn payload_at(is_compact: bool) -> u64 {
    if is_compact { 72 } else { 64 }
}

/// The fixed part of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub seqnum: u64,
    pub realtime: u64,
    pub monotonic: u64,
    pub boot: Id,
    pub xor_hash: u64,
}

impl Head {
    /// Reads it from the first bytes of the object.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            seqnum: u64_at(bytes, 16)?,
            realtime: u64_at(bytes, 24)?,
            monotonic: u64_at(bytes, 32)?,
            boot: id_at(bytes, 40)?,
            xor_hash: u64_at(bytes, 56)?,
        })
    }
}

/// Bytes of one item of an entry.
pub(crate) fn item_width(is_compact: bool) -> usize {
    if is_compact { 4 } else { 16 }
}

/// The offsets of the data objects of an entry; `items` is the object behind its fixed part.
pub(crate) fn items(items: &[u8], is_compact: bool) -> impl Iterator<Item = u64> + '_ {
    items
        .chunks_exact(item_width(is_compact))
        .map(move |item| offset(item, is_compact))
}

/// One offset, in the short or the long form.
pub(crate) fn offset(bytes: &[u8], is_compact: bool) -> u64 {
    let short = || u32_at(bytes, 0).map(u64::from);
    let long = || u64_at(bytes, 0);
    let offset = if is_compact { short() } else { long() };
    offset.unwrap_or(0)
}
