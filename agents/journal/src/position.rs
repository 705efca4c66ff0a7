//! Where the reading stands: after which entry, in terms that survive rotation, renaming,
//! vacuuming and flushing.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use crate::Id;

/// A place behind one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The machine whose journal it is, as the file says.
    pub machine: Id,
    /// The boot in which the entry was written.
    pub boot: Id,
    /// The counter that numbered the entry.
    pub seqnum_id: Id,
    /// Its number, which counts by one across all files of that counter.
    pub seqnum: u64,
    /// Wall clock, microseconds since 1970.
    pub realtime: u64,
    /// Monotonic clock of that boot, in microseconds.
    pub monotonic: u64,
    /// journald's hash of all values: tells entries of the same microsecond apart.
    pub xor_hash: u64,
    /// The file that it was read from, wherever that lies now.
    pub file_id: Id,
    /// Where the entry lies in the file.
    pub offset: u64,
    /// The how-many-th of the file it is, from 1.
    pub number: u64,
    /// It was read from `/run`, whose files a flush moves.
    pub is_volatile: bool,
    /// Every file of this counter was read to its end and closed: nothing more comes.
    pub is_closed: bool,
}

impl Position {
    /// The cursor that `journalctl --after-cursor` understands.
    pub fn cursor(&self) -> String {
        format!(
            "s={};i={:x};b={};m={:x};t={:x};x={:x}",
            self.seqnum_id, self.seqnum, self.boot, self.monotonic, self.realtime, self.xor_hash
        )
    }
}

impl fmt::Display for Position {
    /// The cursor, and behind it what only this reader knows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (volatile, closed) = (u8::from(self.is_volatile), u8::from(self.is_closed));
        write!(
            f,
            "{};d={};f={};o={:x};n={:x};v={volatile};c={closed}",
            self.cursor(),
            self.machine,
            self.file_id,
            self.offset,
            self.number
        )
    }
}

/// The text is no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a position in the journal: {0:?}")]
pub struct BadPosition(pub String);

impl FromStr for Position {
    type Err = BadPosition;

    fn from_str(text: &str) -> Result<Self, BadPosition> {
        let bad = || BadPosition(text.chars().take(200).collect());
        let part = |name: &str| {
            let mut parts = text.split(';').filter_map(|part| part.split_once('='));
            parts
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
                .ok_or_else(bad)
        };
        let id = |name: &str| part(name)?.parse::<Id>().map_err(|_| bad());
        let number = |name: &str| u64::from_str_radix(part(name)?, 16).map_err(|_| bad());
        Ok(Self {
            machine: id("d")?,
            boot: id("b")?,
            seqnum_id: id("s")?,
            seqnum: number("i")?,
            realtime: number("t")?,
            monotonic: number("m")?,
            xor_hash: number("x")?,
            file_id: id("f")?,
            offset: number("o")?,
            number: number("n")?,
            is_volatile: number("v")? != 0,
            is_closed: number("c")? != 0,
        })
    }
}

/// Everything that is needed to go on: the position of each counter of a journal. As text it is
/// one line per position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bookmark {
    /// One position for each counter.
    pub positions: Vec<Position>,
}

impl fmt::Display for Bookmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, position) in self.positions.iter().enumerate() {
            if number > 0 {
                f.write_char('\n')?;
            }
            fmt::Display::fmt(position, f)?;
        }
        Ok(())
    }
}

impl FromStr for Bookmark {
    type Err = BadPosition;

    fn from_str(text: &str) -> Result<Self, BadPosition> {
        let positions = text
            .lines()
            .map(Position::from_str)
            .collect::<Result<_, _>>()?;
        Ok(Self { positions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bookmark_comes_back_from_its_text_and_garbage_does_not() {
        let position = Position {
            machine: Id([1; 16]),
            boot: Id([2; 16]),
            seqnum_id: Id([3; 16]),
            seqnum: 4,
            realtime: u64::MAX,
            monotonic: 6,
            xor_hash: 7,
            file_id: Id([8; 16]),
            offset: 9,
            number: 10,
            is_volatile: true,
            is_closed: false,
        };
        let other = Position {
            is_volatile: false,
            is_closed: true,
            ..position
        };
        let bookmark = Bookmark {
            positions: vec![position, other],
        };
        assert_eq!(bookmark.to_string().parse(), Ok(bookmark));
        assert_eq!("".parse(), Ok(Bookmark::default()));
        let text = position.to_string();
        for bad in [
            "x",
            &text[..text.len() - 4],
            &text.replace("i=4", "i=g"),
            &text.replace("b=02", "b="),
        ] {
            assert!(bad.parse::<Bookmark>().is_err(), "{bad}");
        }
    }
}
