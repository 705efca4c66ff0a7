//! Decompression of one value, with a bound.

use std::io::Read;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::{lz4, xz};

const XZ: u8 = 1;
const LZ4: u8 = 2;
const ZSTD: u8 = 4;

/// journald's level keeps 2 MiB in view.
const LARGEST_WINDOW: u64 = 8 * 1024 * 1024;
/// How much is decompressed before it is handed on.
const STEP: usize = 128 * 1024;

/// Keeps the buffers of ZSTD from one value to the next.
pub(crate) struct Decoder {
    zstd: FrameDecoder,
}

impl Decoder {
    pub fn new() -> Self {
        let mut zstd = FrameDecoder::new();
        zstd.set_max_window_size(LARGEST_WINDOW);
        Self { zstd }
    }

    /// Appends the value to `out`; what is longer than `limit` is cut there.
    pub fn decode(
        &mut self,
        compression: u8,
        input: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        let begin = out.len();
        match compression {
            XZ => {
                let reader = xz::open(input).ok_or("broken XZ data")?;
                let done = reader.take(limit as u64).read_to_end(out);
                done.map_err(|_| "broken XZ data")?;
            }
            LZ4 => {
                // The size stands before the block; the block says the same.
                let block = input.get(8..).ok_or("broken LZ4 data")?;
                lz4::decode(block, limit, out)?;
            }
            ZSTD => self
                .zstd(input, limit, out)
                .map_err(|_| "broken ZSTD data")?,
            _ => return Err("two compressions at once"),
        }
        out.truncate(begin + limit);
        Ok(())
    }

    fn zstd(
        &mut self,
        mut input: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let begin = out.len();
        self.zstd.reset(&mut input)?;
        while !self.zstd.is_finished() && out.len() - begin < limit {
            let step = BlockDecodingStrategy::UptoBytes(STEP);
            self.zstd.decode_blocks(&mut input, step)?;
            self.zstd.collect_to_writer(&mut *out)?;
        }
        Ok(())
    }
}
