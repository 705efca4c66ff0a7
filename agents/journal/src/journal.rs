//! The journal: all its files, as one sequence per journald.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Id;
use crate::counter::Counter;
use crate::directory::{Directory, Sources};
use crate::doorbell::{Doorbell, Pace};
use crate::entry::Entry;
use crate::error::Fault;
use crate::family::{Family, Next, Slot, State};
use crate::file::JournalFile;
use crate::filter::Filter;
use crate::notice::Notice;
use crate::position::{Bookmark, Position};

/// Where to begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Start {
    /// With the oldest entry that exists.
    #[default]
    Oldest,
    /// Behind the newest one.
    End,
    /// With the entries of this time or later.
    Since(SystemTime),
    /// Where a [`Journal::bookmark`] was made. Journals that it does not know are read whole.
    After(Bookmark),
}

/// What [`Journal::next`] gives.
pub enum Read<'a> {
    /// The next entry.
    Entry(Entry<'a>),
    /// Something was lost or is not readable.
    Notice(Notice),
}

/// What identifies the state of a file in a directory: its inode, and when it last changed.
pub(crate) type Stamp = ((u64, u64), (i64, i64));

/// A file of which nothing more is needed.
pub(crate) struct Done {
    /// When the directory said that it last changed.
    pub changed: (i64, i64),
    pub file_id: Id,
    pub seqnum_id: Id,
}

/// A reader of the journal.
///
/// Entries of one journald (the system's and the users' files, `/run` and `/var`) come in the
/// order of their numbers. Journals of different machines and namespaces follow each other in no
/// particular order.
pub struct Journal {
    sources: Sources,
    filter: Filter,
    pub(crate) families: Vec<(String, Family)>,
    /// Which of them is being read.
    at: usize,
    pub(crate) notices: VecDeque<Notice>,
    /// By inode.
    pub(crate) done: HashMap<(u64, u64), Done>,
    /// What is not read, and whether that is for lack of permission.
    pub(crate) refused: HashMap<PathBuf, (Stamp, bool)>,
    pub(crate) start: Start,
    pub(crate) since: u64,
    pub(crate) doorbell: Doorbell,
    counter: Option<Counter>,
    /// Files may have come or gone.
    is_outdated: bool,
}

impl Journal {
    /// Opens the files of `sources` and stands at `start`. What cannot be opened is a
    /// [`Notice`], never the end of the rest.
    ///
    /// # Errors
    /// If there is no descriptor left to wait on.
    pub fn open(sources: Sources, filter: Filter, start: Start, pace: Pace) -> io::Result<Self> {
        let mut journal = Self {
            counter: sources.counter.clone().map(Counter::new),
            sources,
            filter,
            families: Vec::new(),
            at: 0,
            notices: VecDeque::new(),
            done: HashMap::new(),
            refused: HashMap::new(),
            start: Start::Oldest,
            since: 0,
            doorbell: Doorbell::new(pace)?,
            is_outdated: false,
        };
        journal.seek(start);
        Ok(journal)
    }

    /// Stands somewhere else. All files are looked at anew.
    pub fn seek(&mut self, start: Start) {
        self.families.clear();
        self.notices.clear();
        self.done.clear();
        self.refused.clear();
        self.at = 0;
        self.since = match &start {
            Start::Since(time) => micros(*time),
            _ => 0,
        };
        self.start = start;
        self.list();
        self.stand();
        // What comes from now on is read whole.
        if self.start == Start::End {
            self.start = Start::Oldest;
        }
    }

    /// Everything that is needed to go on from here with [`Start::After`]. Entries that were
    /// handed out are behind it, and so are those that the filter has refused.
    pub fn bookmark(&self) -> Bookmark {
        let mut positions = Vec::new();
        for (_, family) in &self.families {
            for (number, stream) in family.streams.iter().enumerate() {
                if let Some(last) = stream.last.filter(|_| !stream.is_gone) {
                    let is_closed = family.slots.iter().all(|slot| slot.stream != number);
                    positions.push(Position { is_closed, ..last });
                }
            }
        }
        Bookmark { positions }
    }

    /// The next entry or notice. None: everything was read, as of now.
    #[expect(
        clippy::should_implement_trait,
        reason = "what it gives borrows from the journal"
    )]
    pub fn next(&mut self) -> Option<Read<'_>> {
        let (slot, position) = loop {
            if let Some(notice) = self.notices.pop_front() {
                return Some(Read::Notice(notice));
            }
            let Some((_, family)) = self.families.get_mut(self.at) else {
                self.at = 0;
                if !self.look_around() {
                    // From now on entries are new, even if the clock is set back behind it.
                    self.since = 0;
                    return None;
                }
                continue;
            };
            match family.next(&mut self.filter, self.since, &mut self.notices) {
                Next::Entry(slot, position) => break (slot, position),
                Next::Drained => self.at += 1,
                Next::LookAgain => {
                    if !family.has_hidden {
                        self.list();
                    }
                    self.refresh();
                }
            }
        };
        self.doorbell.stir();
        match &self.families[self.at].1.slots[slot].state {
            State::Open(reader) => Some(Read::Entry(Entry { reader, position })),
            _ => None,
        }
    }

    /// The descriptor to wait on. It becomes readable when files come and go, and in
    /// [`Pace::Eco`] also when journald says that it wrote something.
    pub fn doorbell(&self) -> BorrowedFd<'_> {
        self.doorbell.as_fd()
    }

    /// How long to wait on the descriptor before [`Journal::rung`] is to be asked. None: the
    /// descriptor alone wakes.
    pub fn period(&self) -> Option<Duration> {
        self.doorbell.period()
    }

    /// Whether [`Journal::next`] has something to look at. This costs one small read where
    /// journald shows its counter (systemd 254 and later), else one per file that is written.
    pub fn rung(&mut self) -> bool {
        let (files, entries) = self.doorbell.drain();
        self.is_outdated |= files | self.doorbell.is_listing_due();
        let has_news = self.is_outdated || entries || !self.notices.is_empty() || self.has_news();
        self.doorbell.tick();
        has_news
    }

    fn has_news(&self) -> bool {
        let counted = self.counter.as_ref().and_then(Counter::read);
        let mut families = self.families.iter().map(|(_, family)| family);
        families.any(|family| match counted {
            // One look for all its files. An entry gets its number before it is complete, so that
            // the number is compared with what was read, not with what it was before.
            Some((id, number)) if family.is_counted_by(id) => family.last_number(id) != number,
            _ => family.has_news(),
        })
    }

    /// Why files that come and go are noticed late, if they are: inotify is exhausted.
    pub fn deafness(&self) -> Option<&io::Error> {
        self.doorbell.deafness()
    }

    /// True if there may be something to read now.
    fn look_around(&mut self) -> bool {
        self.is_outdated |= self.doorbell.drain().0 | self.doorbell.is_listing_due();
        let is_outdated = std::mem::take(&mut self.is_outdated);
        if is_outdated {
            self.list();
        }
        let has_grown = self.refresh();
        // The next file of a rotation exists before the old one is marked as ended.
        let has_ended = self.families.iter().any(|(_, family)| family.has_ended);
        if has_ended {
            self.list();
        }
        // A file that was taken up has entries, but none has come since.
        is_outdated || has_ended || has_grown || !self.notices.is_empty()
    }

    fn refresh(&mut self) -> bool {
        let mut has_grown = false;
        for (_, family) in &mut self.families {
            has_grown |= family.refresh(&mut self.notices);
        }
        has_grown
    }

    /// Takes up the files that have come, and lets go of those that have gone.
    fn list(&mut self) {
        self.doorbell.begin_listing();
        if let Some(counter) = &mut self.counter {
            counter.open();
        }
        for (_, family) in &mut self.families {
            family.has_hidden = false;
        }
        let directories = self.watched_directories();
        let mut listed = HashSet::new();
        for directory in &directories {
            match self.sources.files(directory) {
                Ok(files) => {
                    for file in files {
                        listed.insert(file.inode);
                        self.adopt(directory, file);
                    }
                }
                Err(refused) => self.refuse(directory, refused, ((0, 0), (0, 0))),
            }
        }
        self.done.retain(|inode, _| listed.contains(inode));
        self.refused
            .retain(|_, ((inode, _), _)| *inode == (0, 0) || listed.contains(inode));
        for (_, family) in &mut self.families {
            family.has_ended = false;
            for at in 0..family.slots.len() {
                if !listed.contains(&family.slots[at].inode) && is_deleted(&family.slots[at]) {
                    family.give_up(at, &Fault::Deleted, &mut self.notices);
                }
            }
            for slot in family.sweep() {
                let done = Done {
                    changed: (0, 0),
                    file_id: slot.file_id,
                    seqnum_id: family.streams[slot.stream].id,
                };
                if listed.contains(&slot.inode) {
                    self.done.insert(slot.inode, done);
                }
            }
            family.forget_gone(self.done.values().map(|done| done.seqnum_id).collect());
        }
        self.doorbell.end_listing();
    }

    /// The directories, each of them watched before it is read.
    fn watched_directories(&mut self) -> Vec<Directory> {
        let mut directories = self.sources.directories();
        // One directory may come after the other: root, journal, machine.
        for _ in 0..8 {
            let paths = directories.iter().map(|directory| directory.path.as_path());
            if !self.doorbell.watch(paths) {
                break;
            }
            directories = self.sources.directories();
        }
        directories
    }
}

/// Of a file that no directory shows.
fn is_deleted(slot: &Slot) -> bool {
    match &slot.state {
        State::Open(reader) => reader.file.is_deleted().unwrap_or(true),
        State::Waiting { .. } => match JournalFile::open(&slot.path) {
            Ok(Some(file)) => file.id() != slot.file_id,
            _ => true,
        },
        State::Finished => false,
    }
}

pub(crate) fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
