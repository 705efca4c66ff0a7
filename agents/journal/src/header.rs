//! The header of a journal file.

use crate::Id;
use crate::bytes::{id_at, u32_at, u64_at};
use crate::error::Why;

/// As much of the header as every version of the format has.
pub(crate) const SHORTEST: usize = 208;
/// No version comes near; a larger one is garbage.
const LONGEST: u64 = 64 * 1024;

const SIGNATURE: &[u8; 8] = b"LPKSHHRH";

/// Incompatible flags: XZ, LZ4, keyed hash, ZSTD and compact.
const KNOWN_FLAGS: u32 = 0b1_1111;
const COMPACT: u32 = 0b1_0000;

const ARCHIVED: u8 = 2;

/// What the reader uses of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub is_compact: bool,
    pub is_archived: bool,
    pub file_id: Id,
    pub machine_id: Id,
    pub seqnum_id: Id,
    /// Where the first object lies.
    pub header_size: u64,
    /// Where the space of the objects ends.
    pub end: u64,
    /// The last object, which may not be complete yet.
    pub tail_object: u64,
    /// Entries that are complete.
    pub n_entries: u64,
    pub tail_seqnum: u64,
    pub head_seqnum: u64,
    pub entry_array: u64,
    pub head_realtime: u64,
    pub tail_realtime: u64,
}

impl Header {
    /// Reads the header from the first bytes of a file. `Ok(None)`: the file is being created.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Why> {
        let Some(signature) = bytes.first_chunk::<8>() else {
            return Ok(None);
        };
        if *signature == [0; 8] {
            return Ok(None);
        }
        if signature != SIGNATURE {
            return Err(Why::NotAJournal("wrong signature"));
        }
        let known = bytes.get(..SHORTEST);
        let header = known
            .and_then(Self::fields)
            .ok_or(Why::NotAJournal("the header ends early"))?;
        let flags = u32_at(bytes, 12).unwrap_or(u32::MAX);
        if flags & !KNOWN_FLAGS != 0 {
            return Err(Why::UnknownFlags(flags & !KNOWN_FLAGS));
        }
        let size = header.header_size;
        if size < SHORTEST as u64 || size > LONGEST || !size.is_multiple_of(8) {
            return Err(Why::NotAJournal("impossible size of the header"));
        }
        if i64::try_from(header.end).is_err() {
            return Err(Why::NotAJournal("impossible size of the file"));
        }
        Ok(Some(header))
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        let header_size = u64_at(bytes, 88)?;
        Some(Self {
            is_compact: u32_at(bytes, 12)? & COMPACT != 0,
            is_archived: *bytes.get(16)? == ARCHIVED,
            file_id: id_at(bytes, 24)?,
            machine_id: id_at(bytes, 40)?,
            seqnum_id: id_at(bytes, 72)?,
            header_size,
            end: header_size.saturating_add(u64_at(bytes, 96)?),
            tail_object: u64_at(bytes, 136)?,
            n_entries: u64_at(bytes, 152)?,
            tail_seqnum: u64_at(bytes, 160)?,
            head_seqnum: u64_at(bytes, 168)?,
            entry_array: u64_at(bytes, 176)?,
            head_realtime: u64_at(bytes, 184)?,
            tail_realtime: u64_at(bytes, 192)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Vec<u8> {
        let mut bytes = vec![0; 272];
        bytes[..8].copy_from_slice(SIGNATURE);
        bytes[88] = 16;
        bytes[89] = 1;
        bytes
    }

    #[test]
    fn an_unknown_flag_is_refused_by_its_number() {
        let mut bytes = header();
        bytes[12] = 0b1_1111;
        assert!(Header::parse(&bytes).unwrap().unwrap().is_compact);
        bytes[12] = 0b10_0100;
        let refused = Header::parse(&bytes).unwrap_err();
        assert!(matches!(refused, Why::UnknownFlags(0b10_0000)));
        assert!(refused.to_string().contains("0x20"), "{refused}");
    }

    #[test]
    fn a_file_that_is_being_created_is_no_error_and_garbage_is_one() {
        assert_eq!(Header::parse(b"").unwrap(), None);
        assert_eq!(Header::parse(&[0; 272]).unwrap(), None);
        assert!(Header::parse(&[7; 272]).is_err());
        let short = &header()[..200];
        assert!(Header::parse(short).is_err());
        for size in [[0, 0], [200, 0], [17, 1]] {
            let mut bytes = header();
            bytes[88..90].copy_from_slice(&size);
            assert!(Header::parse(&bytes).is_err(), "{size:?}");
        }
    }
}
