//! The numbers of entries: which is next, which was seen, which is missing.
//!
//! journald numbers its entries by one counter for all its files, the system's and the users'.
//! Since systemd 254 all files of a counter bear its id. Before, each series of files has an id
//! of its own, although the numbers still come from the one counter: what is missing in one
//! series may just be in another.

use crate::Id;
use crate::file::JournalFile;
use crate::header::Header;
use crate::position::Position;
use crate::reader::{Found, Reader};

/// The entries with one seqnum id.
#[derive(Debug)]
pub(crate) struct Stream {
    pub id: Id,
    /// Behind which entry the reading stands.
    pub last: Option<Position>,
    /// A file of it is the system's: nobody but a missing file accounts for its gaps.
    pub has_system: bool,
    /// None of its files exists any more.
    pub is_gone: bool,
}

/// What an entry is in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is the next one.
    Next,
    /// It was read before.
    Seen,
    /// It is the next that exists; these numbers before it are missing.
    Missing { first: u64, last: u64 },
}

impl Stream {
    pub fn new(id: Id, last: Option<Position>) -> Self {
        Self {
            id,
            last,
            has_system: false,
            is_gone: false,
        }
    }

    /// A reader of a file of this stream, behind what was read.
    pub fn reader(&self, file: JournalFile) -> Box<Reader> {
        let mut reader = Reader::new(file);
        if let Some(last) = &self.last {
            reader.resume(last);
        }
        Box::new(reader)
    }

    /// Whether all of a file was read, by what its header says.
    pub fn has_read(&self, header: &Header) -> bool {
        self.last.is_some_and(|last| {
            header.tail_seqnum <= last.seqnum && header.tail_realtime <= last.realtime
        })
    }

    /// `counter` is the number that the whole journal gave last in the entry's boot.
    pub fn turn(&self, entry: &Found, is_user: bool, counter: Option<u64>) -> Turn {
        let Some(last) = &self.last else {
            return Turn::Next;
        };
        let head = &entry.head;
        if head.seqnum <= last.seqnum {
            // After a power cut numbers are given again, in a later boot, to other entries.
            let is_later = head.boot != last.boot && head.realtime > last.realtime;
            return if is_later { Turn::Next } else { Turn::Seen };
        }
        if head.boot != last.boot && is_user && !self.has_system {
            return Turn::Next;
        }
        let explained = counter.map_or(0, |counter| counter.saturating_add(1));
        let first = explained.max(last.seqnum + 1);
        match first < head.seqnum {
            true => Turn::Missing {
                first,
                last: head.seqnum - 1,
            },
            false => Turn::Next,
        }
    }
}

/// The number last given in each of the latest boots, per tier.
#[derive(Debug, Default)]
pub(crate) struct Counters(Vec<(Id, bool, u64)>);

impl Counters {
    const MOST: usize = 16;

    pub fn get(&self, boot: Id, is_volatile: bool) -> Option<u64> {
        let mut all = self.0.iter();
        all.find(|(id, tier, _)| *id == boot && *tier == is_volatile)
            .map(|(.., number)| *number)
    }

    pub fn set(&mut self, boot: Id, is_volatile: bool, number: u64) {
        let place = self
            .0
            .iter()
            .position(|(id, tier, _)| *id == boot && *tier == is_volatile);
        match place {
            Some(place) => {
                self.0[place].2 = number;
                self.0.swap(0, place);
            }
            None => {
                self.0.truncate(Self::MOST - 1);
                self.0.insert(0, (boot, is_volatile, number));
            }
        }
    }
}

/// How far one tier (`/run`, or `/var`) was read in its latest boot. A flush copies entries from
/// the one to the other, with other numbers: they are known by boot, monotonic time and hash.
#[derive(Debug, Default)]
pub(crate) struct Frontier {
    boot: Id,
    monotonic: u64,
    /// Of the entries at exactly that time.
    hashes: Vec<u64>,
}

impl Frontier {
    /// As many entries in one microsecond are told apart.
    const MOST: usize = 1024;

    pub fn pass(&mut self, boot: Id, monotonic: u64, hash: u64) {
        if boot != self.boot || monotonic > self.monotonic {
            self.hashes.clear();
            (self.boot, self.monotonic) = (boot, monotonic);
        }
        if monotonic == self.monotonic && self.hashes.len() < Self::MOST {
            self.hashes.push(hash);
        }
    }

    /// Whether an entry of the other tier was read on this side.
    pub fn has(&self, entry: &Found) -> bool {
        let head = &entry.head;
        head.boot == self.boot
            && (head.monotonic < self.monotonic
                || (head.monotonic == self.monotonic && self.hashes.contains(&head.xor_hash)))
    }
}

/// What decides which of two entries comes first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub stream: usize,
    pub seqnum: u64,
    /// None: only the head of the file is known, not its boot.
    pub boot: Option<(Id, u64)>,
    pub realtime: u64,
}

impl Key {
    pub fn of(stream: usize, entry: &Found) -> Self {
        Self {
            stream,
            seqnum: entry.head.seqnum,
            boot: Some((entry.head.boot, entry.head.monotonic)),
            realtime: entry.head.realtime,
        }
    }

    /// By number where both were numbered alike, by the clock that never steps back where both
    /// are of one boot, else by the wall clock.
    pub fn is_before(&self, other: &Self) -> bool {
        if self.stream == other.stream {
            return self.seqnum < other.seqnum;
        }
        match (self.boot, other.boot) {
            (Some((boot, mine)), Some((same, theirs))) if boot == same => {
                (mine, self.seqnum) < (theirs, other.seqnum)
            }
            _ => (self.realtime, self.seqnum) < (other.realtime, other.seqnum),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Head;

    const BOOT: Id = Id([1; 16]);
    const LATER_BOOT: Id = Id([2; 16]);

    fn entry(boot: Id, seqnum: u64, time: u64) -> Found {
        let head = Head {
            seqnum,
            realtime: 1_000_000 + time,
            monotonic: time,
            boot,
            xor_hash: seqnum,
        };
        Found {
            head,
            offset: 1000,
            size: 64,
            number: 1,
        }
    }

    fn stream(seqnum: u64, time: u64) -> Stream {
        let entry = entry(BOOT, seqnum, time);
        let head = entry.head;
        let last = Position {
            machine: Id::NONE,
            boot: head.boot,
            seqnum_id: Id::NONE,
            seqnum: head.seqnum,
            realtime: head.realtime,
            monotonic: head.monotonic,
            xor_hash: head.xor_hash,
            file_id: Id::NONE,
            offset: 1000,
            number: 1,
            is_volatile: false,
            is_closed: false,
        };
        Stream::new(Id::NONE, Some(last))
    }

    #[test]
    fn the_next_number_is_next_and_a_jump_is_missing_exactly() {
        let stream = stream(10, 50);
        assert_eq!(
            stream.turn(&entry(BOOT, 11, 60), false, Some(10)),
            Turn::Next
        );
        assert_eq!(
            stream.turn(&entry(BOOT, 10, 50), false, Some(10)),
            Turn::Seen
        );
        assert_eq!(
            stream.turn(&entry(BOOT, 3, 20), false, Some(10)),
            Turn::Seen
        );
        let missing = Turn::Missing {
            first: 11,
            last: 14,
        };
        assert_eq!(stream.turn(&entry(BOOT, 15, 60), false, Some(10)), missing);
        assert_eq!(
            stream.turn(&entry(LATER_BOOT, 15, 60), false, None),
            missing
        );
    }

    #[test]
    fn what_other_files_of_the_counter_hold_is_not_missing() {
        let stream = stream(10, 50);
        assert_eq!(
            stream.turn(&entry(BOOT, 15, 60), false, Some(14)),
            Turn::Next
        );
        let missing = Turn::Missing {
            first: 13,
            last: 14,
        };
        assert_eq!(stream.turn(&entry(BOOT, 15, 60), false, Some(12)), missing);
        // A user's series of before 254 says nothing across boots; the system's does.
        assert_eq!(
            stream.turn(&entry(LATER_BOOT, 15, 60), true, None),
            Turn::Next
        );
    }

    #[test]
    fn numbers_that_are_given_again_after_a_power_cut_are_new_entries() {
        let stream = stream(10, 50);
        assert_eq!(
            stream.turn(&entry(LATER_BOOT, 8, 90), false, None),
            Turn::Next
        );
        assert_eq!(
            stream.turn(&entry(LATER_BOOT, 8, 40), false, None),
            Turn::Seen
        );
    }

    #[test]
    fn a_copy_is_known_by_its_time_and_in_the_same_microsecond_by_its_hash() {
        let mut frontier = Frontier::default();
        for (seqnum, time) in [(1, 10), (2, 20), (3, 20)] {
            let head = entry(BOOT, seqnum, time).head;
            frontier.pass(head.boot, head.monotonic, head.xor_hash);
        }
        for (seqnum, time, is_copy) in [
            (1, 10, true),
            (2, 20, true),
            (3, 20, true),
            (4, 20, false),
            (5, 21, false),
        ] {
            assert_eq!(
                frontier.has(&entry(BOOT, seqnum, time)),
                is_copy,
                "{seqnum}"
            );
        }
        assert!(!frontier.has(&entry(LATER_BOOT, 1, 10)));
    }
}
