//! The files that one journald wrote, read as one sequence.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;

use crate::Id;
use crate::adopt::position;
use crate::error::{Fault, Refused, Why};
use crate::file::JournalFile;
use crate::filter::Filter;
use crate::notice::{Gap, Notice, Skipped};
use crate::position::Position;
use crate::reader::{Found, Look, Reader};
use crate::stream::{Counters, Frontier, Key, Stream, Turn};

/// A file of the family that has, or may still get, entries to read.
pub(crate) struct Slot {
    pub path: PathBuf,
    pub inode: (u64, u64),
    /// When the directory last said that it changed.
    pub changed: (i64, i64),
    pub file_id: Id,
    pub is_active: bool,
    pub is_user: bool,
    pub is_volatile: bool,
    pub stream: usize,
    pub state: State,
}

pub(crate) enum State {
    /// Its turn has not come: it is closed. This is what its header said.
    Waiting {
        entries: u64,
        key: Key,
    },
    Open(Box<Reader>),
    /// Nothing more comes from it.
    Finished,
}

impl Slot {
    pub fn reader(&mut self) -> Option<&mut Reader> {
        match &mut self.state {
            State::Open(reader) => Some(reader),
            State::Waiting { .. } | State::Finished => None,
        }
    }
}

/// What comes next.
pub(crate) enum Next {
    /// The entry at hand in this slot, with its position behind it.
    Entry(usize, Position),
    /// Numbers are missing: look for files and entries that have come in the meantime, then ask
    /// again.
    LookAgain,
    Drained,
}

#[derive(Default)]
pub(crate) struct Family {
    pub slots: Vec<Slot>,
    pub streams: Vec<Stream>,
    counters: Counters,
    frontiers: [Frontier; 2],
    /// The file that is being read, and the entry of another before which it may go on.
    current: Option<(usize, Option<Key>)>,
    /// The entry for which a look for missing ones was made.
    looked: Option<(usize, u64)>,
    /// Files that may not be read: what is missing may be in them.
    pub has_hidden: bool,
    /// A file was closed since the last listing: another has taken its place.
    pub has_ended: bool,
    /// A file is no longer where it was.
    is_outdated: bool,
}

impl Family {
    /// The stream of an id, made if it is new; `last` gives where it was left.
    pub fn stream(&mut self, id: Id, last: impl FnOnce() -> Option<Position>) -> usize {
        let known = self.streams.iter().position(|stream| stream.id == id);
        known.unwrap_or_else(|| {
            self.streams.push(Stream::new(id, last()));
            self.streams.len() - 1
        })
    }

    /// Takes a position as read.
    pub fn note(&mut self, position: &Position) {
        let tier = usize::from(position.is_volatile);
        self.frontiers[tier].pass(position.boot, position.monotonic, position.xor_hash);
        self.counters
            .set(position.boot, position.is_volatile, position.seqnum);
    }

    pub fn next(
        &mut self,
        filter: &mut Filter,
        since: u64,
        notices: &mut VecDeque<Notice>,
    ) -> Next {
        while let Some((at, entry)) = self.choose(filter, notices) {
            let slot = &self.slots[at];
            let tier = slot.is_volatile;
            let counter = self.counters.get(entry.head.boot, tier);
            let turn = self.streams[slot.stream].turn(&entry, slot.is_user, counter);
            if let Turn::Missing { first, last } = turn {
                let key = (slot.stream, entry.head.seqnum);
                if self.looked != Some(key) {
                    self.looked = Some(key);
                    return Next::LookAgain;
                }
                notices.push_back(self.gap(at, first, Some(last)));
            }
            let is_copy = self.frontiers[usize::from(!tier)].has(&entry);
            let is_wanted = turn != Turn::Seen && !is_copy && entry.head.realtime >= since;
            let taken = match self.slots[at].reader() {
                Some(reader) if is_wanted => reader.take(&entry, filter),
                _ => Ok(false),
            };
            match taken {
                Err(fault) => self.give_up(at, &fault, notices),
                Ok(is_taken) => {
                    let position = self.pass(at, &entry, turn);
                    if let Some(position) = position.filter(|_| is_taken) {
                        return Next::Entry(at, position);
                    }
                }
            }
        }
        match std::mem::take(&mut self.is_outdated) {
            true => Next::LookAgain,
            false => Next::Drained,
        }
    }

    fn pass(&mut self, at: usize, entry: &Found, turn: Turn) -> Option<Position> {
        let slot = &mut self.slots[at];
        let (stream, is_volatile) = (slot.stream, slot.is_volatile);
        let reader = slot.reader()?;
        reader.pass();
        let position = position(reader, entry, is_volatile);
        if turn != Turn::Seen {
            self.note(&position);
            self.streams[stream].last = Some(position);
        }
        Some(position)
    }

    fn gap(&self, at: usize, first: u64, last: Option<u64>) -> Notice {
        let stream = &self.streams[self.slots[at].stream];
        Notice::Gap(Gap {
            seqnum_id: stream.id,
            first,
            last,
            after: stream.last,
            is_hidden: self.has_hidden,
        })
    }

    /// The file whose entry comes next. It goes on with one file as long as no other is earlier.
    fn choose(
        &mut self,
        filter: &mut Filter,
        notices: &mut VecDeque<Notice>,
    ) -> Option<(usize, Found)> {
        if let Some((at, limit)) = self.current
            && let Some(entry) = self.look(at, filter, notices)
        {
            let key = Key::of(self.slots[at].stream, &entry);
            if limit.is_none_or(|limit| key.is_before(&limit)) {
                return Some((at, entry));
            }
        }
        self.current = None;
        loop {
            let (mut best, mut second): (Option<(usize, Key)>, Option<Key>) = (None, None);
            for at in 0..self.slots.len() {
                let Some(key) = self.key(at, filter, notices) else {
                    continue;
                };
                match best {
                    Some((_, first)) if !key.is_before(&first) => {
                        if second.is_none_or(|second| key.is_before(&second)) {
                            second = Some(key);
                        }
                    }
                    _ => {
                        second = best.map(|(_, key)| key);
                        best = Some((at, key));
                    }
                }
            }
            let (at, _) = best?;
            if matches!(self.slots[at].state, State::Waiting { .. }) {
                self.open(at, notices);
                if self.is_outdated {
                    return None;
                }
                continue;
            }
            if let Some(entry) = self.look(at, filter, notices) {
                self.current = Some((at, second));
                return Some((at, entry));
            }
        }
    }

    fn key(
        &mut self,
        at: usize,
        filter: &mut Filter,
        notices: &mut VecDeque<Notice>,
    ) -> Option<Key> {
        if let State::Waiting { key, .. } = &self.slots[at].state {
            return Some(*key);
        }
        let entry = self.look(at, filter, notices)?;
        Some(Key::of(self.slots[at].stream, &entry))
    }

    fn look(
        &mut self,
        at: usize,
        filter: &mut Filter,
        notices: &mut VecDeque<Notice>,
    ) -> Option<Found> {
        loop {
            let looked = self.slots.get_mut(at)?.reader()?.look(filter);
            match looked {
                Ok(Look::Entry(entry)) => return Some(entry),
                Ok(Look::Drained) => return None,
                Ok(Look::Damaged { entries, why }) => {
                    let path = self.slots[at].path.clone();
                    notices.push_back(Notice::Skipped(Skipped { path, entries, why }));
                }
                Err(fault) => {
                    self.give_up(at, &fault, notices);
                    return None;
                }
            }
        }
    }

    /// Opens a file whose turn has come.
    fn open(&mut self, at: usize, notices: &mut VecDeque<Notice>) {
        let slot = &mut self.slots[at];
        match JournalFile::open(&slot.path) {
            Ok(Some(file)) if file.id() == slot.file_id => {
                slot.state = State::Open(self.streams[slot.stream].reader(file));
            }
            // It has another name now, or none: a look at the directory will tell.
            Ok(_) => {
                slot.changed = (0, 0);
                self.is_outdated = true;
            }
            Err(why) => {
                let path = slot.path.clone();
                notices.push_back(Notice::Refused(Refused { path, why }));
                slot.state = State::Finished;
            }
        }
    }

    /// Sees to it that nothing more is read of a file, and says what is lost by that.
    pub fn give_up(&mut self, at: usize, fault: &Fault, notices: &mut VecDeque<Notice>) {
        let slot = &mut self.slots[at];
        let path = slot.path.clone();
        let entries = match &slot.state {
            State::Waiting { entries, .. } => *entries,
            State::Open(reader) => reader.unread(),
            State::Finished => 0,
        };
        match fault {
            // A flush deletes what it has copied.
            Fault::Deleted if slot.is_volatile || entries == 0 => {}
            Fault::Deleted => {
                let why = "the file was deleted before it was read";
                notices.push_back(Notice::Skipped(Skipped { path, entries, why }));
            }
            Fault::Damaged(why) => {
                notices.push_back(Notice::Skipped(Skipped { path, entries, why }));
            }
            Fault::Io(error) => {
                let error = std::io::Error::new(error.kind(), error.to_string());
                notices.push_back(Notice::Refused(Refused {
                    path,
                    why: Why::from_io(error),
                }));
            }
        }
        slot.state = State::Finished;
        self.current = None;
    }

    /// Looks at the headers of the open files. True if entries have come.
    pub fn refresh(&mut self, notices: &mut VecDeque<Notice>) -> bool {
        let mut has_grown = false;
        for at in 0..self.slots.len() {
            let slot = &mut self.slots[at];
            let is_active = slot.is_active;
            let Some(reader) = slot.reader() else {
                continue;
            };
            match reader.refresh() {
                Ok(true) => has_grown = true,
                Ok(false)
                    if reader.is_drained() && (!is_active || reader.file.header.is_archived) =>
                {
                    slot.state = State::Finished;
                    self.has_ended = true;
                }
                Ok(false) => {}
                Err(fault) => self.give_up(at, &fault, notices),
            }
        }
        if has_grown {
            self.current = None;
        }
        has_grown
    }

    /// Whether the counter numbers what its open files get.
    pub fn is_counted_by(&self, id: Id) -> bool {
        let mut open = self.slots.iter().filter(|slot| slot.is_active).peekable();
        open.peek().is_some() && open.all(|slot| self.streams[slot.stream].id == id)
    }

    /// The last number that was read of a counter.
    pub fn last_number(&self, id: Id) -> u64 {
        let stream = self.streams.iter().find(|stream| stream.id == id);
        stream
            .and_then(|stream| stream.last)
            .map_or(0, |last| last.seqnum)
    }

    /// Whether an open file counts more entries than were known: one small read per file.
    pub fn has_news(&self) -> bool {
        self.slots.iter().any(|slot| match &slot.state {
            State::Open(reader) => reader.has_news(),
            _ => false,
        })
    }

    /// Forgets streams without files, but for the newest: a bookmark need not know them.
    pub fn forget_gone(&mut self, done: HashSet<Id>) {
        let newest = self
            .streams
            .iter()
            .filter_map(|stream| stream.last)
            .map(|last| last.realtime);
        let newest = newest.max();
        for (number, stream) in self.streams.iter_mut().enumerate() {
            let has_file =
                done.contains(&stream.id) || self.slots.iter().any(|slot| slot.stream == number);
            stream.is_gone = !has_file && stream.last.map(|last| last.realtime) != newest;
        }
    }

    /// Takes out the finished files.
    pub fn sweep(&mut self) -> Vec<Slot> {
        self.current = None;
        let (finished, slots) = std::mem::take(&mut self.slots)
            .into_iter()
            .partition(|slot| matches!(slot.state, State::Finished));
        self.slots = slots;
        finished
    }
}
