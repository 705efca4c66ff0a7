//! One LZ4 block, as far as `limit` bytes.

const BROKEN: &str = "broken LZ4 data";
/// What four bits can hold: the length goes on in the next bytes.
const LONG: usize = 15;
const SHORTEST_MATCH: usize = 4;

/// Appends what `input` decompresses to, and stops where `out` has grown by `limit`.
pub(crate) fn decode(
    mut input: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let begin = out.len();
    while let Some((&token, rest)) = input.split_first() {
        input = rest;
        let length = length(usize::from(token >> 4), &mut input)?;
        let (literals, rest) = input.split_at_checked(length).ok_or(BROKEN)?;
        let room = limit - (out.len() - begin);
        out.extend_from_slice(&literals[..length.min(room)]);
        // The last sequence has no match.
        if rest.is_empty() || length >= room {
            return Ok(());
        }
        let (distance, rest) = rest.split_first_chunk::<2>().ok_or(BROKEN)?;
        input = rest;
        let distance = usize::from(u16::from_le_bytes(*distance));
        let length = self::length(usize::from(token & 15), &mut input)? + SHORTEST_MATCH;
        let room = limit - (out.len() - begin);
        repeat(out, begin, distance, length.min(room))?;
        if length >= room {
            return Ok(());
        }
    }
    Err(BROKEN)
}

fn length(nibble: usize, input: &mut &[u8]) -> Result<usize, &'static str> {
    let mut length = nibble;
    if nibble == LONG {
        loop {
            let (&more, rest) = input.split_first().ok_or(BROKEN)?;
            *input = rest;
            length += usize::from(more);
            if more != u8::MAX {
                break;
            }
        }
    }
    Ok(length)
}

/// Copies `length` bytes from `distance` back; they may overlap with what is being written.
fn repeat(
    out: &mut Vec<u8>,
    begin: usize,
    distance: usize,
    length: usize,
) -> Result<(), &'static str> {
    if distance == 0 || distance > out.len() - begin {
        return Err(BROKEN);
    }
    let mut left = length;
    let from = out.len() - distance;
    while left > 0 {
        let piece = left.min(out.len() - from);
        out.extend_from_within(from..from + piece);
        left -= piece;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(input: &[u8], limit: usize) -> Result<Vec<u8>, &'static str> {
        let mut out = b"before".to_vec();
        decode(input, limit, &mut out)?;
        Ok(out.split_off(6))
    }

    #[test]
    fn literals_matches_and_overlaps_are_joined_and_cut_at_the_limit() {
        // "ab", 9 bytes from 2 back, then "z".
        let block = [0x25, b'a', b'b', 2, 0, 0x10, b'z'];
        assert_eq!(decoded(&block, 100).unwrap(), b"abababababaz");
        for limit in 0..12 {
            assert_eq!(decoded(&block, limit).unwrap(), b"abababababaz"[..limit]);
        }
    }

    #[test]
    fn a_match_never_reaches_before_its_own_beginning() {
        assert_eq!(
            decoded(&[0x25, b'a', b'b', 3, 0, 0x10, b'z'], 100),
            Err(BROKEN)
        );
        assert_eq!(
            decoded(&[0x25, b'a', b'b', 0, 0, 0x10, b'z'], 100),
            Err(BROKEN)
        );
    }

    #[test]
    fn any_bytes_end_in_a_result() {
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..random.usize(0..40)).map(|_| random.u8(..)).collect();
            if let Ok(out) = decoded(&bytes, 1000) {
                assert!(out.len() <= 1000);
            }
        }
    }
}
