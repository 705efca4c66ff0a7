//! The bytes of an answer: pages put together in a buffer that comes back when the client has
//! taken it, and packed if it asks for that.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use roundsman_net::Bytes;

/// How many buffers are kept for the next answers.
const KEPT: usize = 2;

/// Buffers that are not in use.
#[derive(Debug, Clone, Default)]
pub struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer on its way to a client.
struct Lent {
    bytes: Vec<u8>,
    pool: Pool,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.pool.give_back(mem::take(&mut self.bytes));
    }
}

impl Pool {
    /// An empty buffer, with the capacity of an earlier answer.
    pub fn take(&self) -> Vec<u8> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.pop().unwrap_or_default()
    }

    /// Hands a buffer to a client; it comes back by itself.
    pub fn lend(&self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent {
            bytes,
            pool: self.clone(),
        })
    }

    /// Keeps a buffer for the next answer.
    pub fn give_back(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(bytes);
        }
    }
}

/// Packs answers, with memory that is made once: level 1, because a scrape is packed each time
/// and unpacked once.
pub struct Gzip(Compress);

impl Default for Gzip {
    fn default() -> Self {
        Self(Compress::new(Compression::fast(), false))
    }
}

impl Gzip {
    /// Packs `bytes` into `packed` (RFC 1952).
    pub fn pack(&mut self, bytes: &[u8], packed: &mut Vec<u8>) {
        // No name, no time; "fastest"; Unix.
        packed.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3]);
        self.0.reset();
        loop {
            packed.reserve(bytes.len() / 4 + 64);
            let taken = usize::try_from(self.0.total_in()).unwrap_or(usize::MAX);
            let status = self
                .0
                .compress_vec(&bytes[taken..], packed, FlushCompress::Finish);
            if status.expect("a deflate stream that was just begun takes any bytes")
                == Status::StreamEnd
            {
                break;
            }
        }
        let mut crc = Crc::new();
        crc.update(bytes);
        packed.extend_from_slice(&crc.sum().to_le_bytes());
        packed.extend_from_slice(&crc.amount().to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn what_is_packed_unpacks_to_the_same() {
        let mut gzip = Gzip::default();
        let page = "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 1.5\n".repeat(5000);
        for page in [page.as_bytes(), b"", b"x"] {
            let mut packed = Vec::new();
            gzip.pack(page, &mut packed);
            let mut unpacked = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(&packed[..]);
            decoder.read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, page);
        }
    }

    #[test]
    fn a_buffer_comes_back_when_the_client_has_taken_it() {
        let pool = Pool::default();
        let mut buffer = pool.take();
        buffer.reserve(1 << 20);
        let capacity = buffer.capacity();
        let sent = pool.lend(buffer);
        assert_eq!(pool.take().capacity(), 0);
        drop(sent);
        assert_eq!(pool.take().capacity(), capacity);
    }
}
