//! The container around the LZMA2 data of one value: one stream of one block with one filter,
//! which is all that journald writes.

use lzma_rust2::Lzma2Reader;

/// A larger dictionary is garbage: journald's has 1 MiB at most.
const LARGEST_DICTIONARY: u32 = 8 * 1024 * 1024;
const STREAM_HEADER: usize = 12;
const LZMA2: u8 = 0x21;

const HAS_COMPRESSED_SIZE: u8 = 0x40;
const HAS_SIZE: u8 = 0x80;
/// Bits of the number of filters, less one, and those that must be zero.
const OTHER_FLAGS: u8 = 0x3f;

/// A reader of what the one block of an XZ stream decompresses to.
pub(crate) fn open(input: &[u8]) -> Option<Lzma2Reader<&[u8]>> {
    let (stream, rest) = input.split_at_checked(STREAM_HEADER)?;
    if !stream.starts_with(b"\xfd7zXZ\0") {
        return None;
    }
    let size = (usize::from(*rest.first()?) + 1) * 4;
    let (header, data) = rest.split_at_checked(size)?;
    let flags = header[1];
    let mut fields = header.get(2..)?;
    if flags & OTHER_FLAGS != 0 {
        return None;
    }
    for flag in [HAS_COMPRESSED_SIZE, HAS_SIZE] {
        if flags & flag != 0 {
            // A number of which each byte but the last has the highest bit.
            let last = fields.iter().position(|byte| byte & 0x80 == 0)?;
            fields = &fields[last + 1..];
        }
    }
    match fields {
        [LZMA2, 1, dictionary, ..] => {
            let size = dictionary_size(*dictionary)?;
            Some(Lzma2Reader::new(data, size, None))
        }
        _ => None,
    }
}

fn dictionary_size(bits: u8) -> Option<u32> {
    if bits >= 40 {
        return None;
    }
    let size = (2 | u64::from(bits & 1)) << (bits / 2 + 11);
    u32::try_from(size)
        .ok()
        .filter(|size| *size <= LARGEST_DICTIONARY)
}
