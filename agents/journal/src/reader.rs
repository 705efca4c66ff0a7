//! One file, entry by entry, in the order of its objects.
//!
//! An object may be read once the header counts an entry behind it: journald completes everything
//! that belongs to an entry before it counts the entry. So the walk ends exactly with the last
//! counted one, never at the end of the file.

use crate::class::Classes;
use crate::error::Fault;
use crate::file::JournalFile;
use crate::filter::{Filter, KNOWN, WANTED};
use crate::object::{
    ENTRY, HEADER, Head, KIND_DATA, KIND_ENTRY, LARGEST_ENTRY, Object, item_width, items,
    payload_at,
};
use crate::position::Position;
use crate::values::{Place, Values, name};
use crate::window::Window;

/// A larger window is given back when there is nothing more to read.
const IDLE_WINDOW: u64 = 64 * 1024;

/// An entry that was found and not handed out yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub head: Head,
    pub offset: u64,
    pub size: u64,
    /// The how-many-th of the file, from 1.
    pub number: u64,
}

/// What a look at the file showed.
pub(crate) enum Look {
    Entry(Found),
    /// All that is complete was read.
    Drained,
    /// A part could not be followed, and this many entries with it; the walk goes on behind it.
    Damaged {
        entries: u64,
        why: &'static str,
    },
}

/// A value of the entry at hand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub place: Place,
    pub object: u64,
}

pub(crate) struct Reader {
    pub file: JournalFile,
    window: Window,
    classes: Classes,
    values: Values,
    /// The next object.
    offset: u64,
    /// Entries before it.
    seen: u64,
    last: Option<Found>,
    /// No entry up to here is tried again.
    tried: u64,
    pending: Option<Found>,
    items: Vec<(u64, u8)>,
    taken: Vec<Taken>,
    pub damaged_fields: usize,
}

impl Reader {
    pub fn new(file: JournalFile) -> Self {
        Self {
            offset: file.header.header_size,
            file,
            window: Window::default(),
            classes: Classes::default(),
            values: Values::default(),
            seen: 0,
            last: None,
            tried: 0,
            pending: None,
            items: Vec::new(),
            taken: Vec::new(),
            damaged_fields: 0,
        }
    }

    /// Looks at the header again. True if entries have come.
    pub fn refresh(&mut self) -> Result<bool, Fault> {
        let has_grown = self.file.refresh()?;
        if has_grown {
            self.window.cut(self.offset);
        }
        Ok(has_grown)
    }

    pub fn is_drained(&self) -> bool {
        self.pending.is_none() && self.seen >= self.file.header.n_entries
    }

    /// Complete entries that were not handed on.
    pub fn unread(&self) -> u64 {
        let pending = u64::from(self.pending.is_some());
        self.file.header.n_entries.saturating_sub(self.seen) + pending
    }

    /// Whether the file counts other entries than are known. An error is news, too.
    pub fn has_news(&self) -> bool {
        self.file.n_entries().ok() != Some(self.file.header.n_entries)
    }

    /// Goes behind the entry of `position`, if it is there.
    pub fn resume(&mut self, position: &Position) -> bool {
        if position.file_id != self.file.id() || position.number > self.file.header.n_entries {
            return false;
        }
        match found(&self.file, position.offset, position.number) {
            Ok(entry) if entry.head.seqnum == position.seqnum => {
                self.stand_behind(entry);
                true
            }
            _ => false,
        }
    }

    /// Goes behind the last entry and gives it.
    pub fn skip_to_end(&mut self) -> Option<Found> {
        let count = self.file.header.n_entries;
        let mut last = None;
        let walked = self.file.entry_offsets(&mut |number, offset| {
            last = Some((number + 1, offset));
            true
        });
        let (number, offset) = last.filter(|(number, _)| walked.is_ok() && *number == count)?;
        let entry = found(&self.file, offset, number).ok()?;
        self.stand_behind(entry);
        Some(entry)
    }

    fn stand_behind(&mut self, entry: Found) {
        self.offset = entry.offset + entry.size.next_multiple_of(8);
        self.seen = entry.number;
        self.last = Some(entry);
        self.pending = None;
    }

    /// The next entry, which stays the next until [`Reader::pass`].
    pub fn look(&mut self, filter: &mut Filter) -> Result<Look, Fault> {
        if let Some(entry) = self.pending {
            return Ok(Look::Entry(entry));
        }
        match self.walk(filter) {
            Ok(Some(entry)) => {
                self.stand_behind(entry);
                self.pending = Some(entry);
                Ok(Look::Entry(entry))
            }
            Ok(None) => {
                if self.window.size() > IDLE_WINDOW as usize {
                    self.window.release();
                }
                Ok(Look::Drained)
            }
            Err(Fault::Damaged(why)) => {
                let entries = self.skip_damage()?;
                Ok(Look::Damaged { entries, why })
            }
            Err(other) => Err(other),
        }
    }

    /// Done with the entry at hand.
    pub fn pass(&mut self) {
        self.pending = None;
    }

    fn walk(&mut self, filter: &mut Filter) -> Result<Option<Found>, Fault> {
        let is_judged = !filter.takes_everything();
        let payload_at = payload_at(self.file.header.is_compact) as usize;
        while self.seen < self.file.header.n_entries {
            let ahead = self
                .window
                .ahead(&self.file, self.offset, HEADER as usize)?;
            let object = Object::parse(ahead, self.file.room(self.offset))?;
            match object.kind {
                KIND_ENTRY => return self.entry(object).map(Some),
                KIND_DATA if is_judged => {
                    let payload = ahead.get(payload_at..).unwrap_or_default();
                    let payload = &payload[..payload.len().min(object.size as usize)];
                    let name = name(payload).filter(|_| object.compression == 0);
                    let by_name = name.map_or(0, |name| filter.by_name(name));
                    if by_name == 0 || by_name & !(KNOWN | WANTED) != 0 {
                        self.judge_ahead(object, filter)?;
                    } else {
                        self.classes.set(self.offset, by_name);
                    }
                }
                _ => {}
            }
            self.offset += object.span();
        }
        Ok(None)
    }

    fn entry(&mut self, object: Object) -> Result<Found, Fault> {
        if !has_entry_size(&self.file, object.size) {
            return Err(Fault::Damaged("impossible size of an entry"));
        }
        let bytes = self
            .window
            .get(&self.file, self.offset, object.size as usize)?;
        let entry = Found {
            head: Head::parse(bytes).ok_or(Fault::Damaged("an entry ends early"))?,
            offset: self.offset,
            size: object.size,
            number: self.seen + 1,
        };
        in_order(&self.file, self.last, entry)
    }

    /// Classifies the data object at the walk's place by its value, unless it is damaged: an entry
    /// that needs it will say so.
    fn judge_ahead(&mut self, object: Object, filter: &mut Filter) -> Result<(), Fault> {
        // In the window, a value costs no call of its own.
        if object.size <= IDLE_WINDOW {
            self.window
                .get(&self.file, self.offset, object.size as usize)?;
        }
        self.values.begin();
        match self.judge(self.offset, filter) {
            Ok(_) | Err(Fault::Damaged(_)) => Ok(()),
            Err(fatal) => Err(fatal),
        }
    }

    /// The class of the value at `offset`, by looking at it.
    fn judge(&mut self, offset: u64, filter: &mut Filter) -> Result<u8, Fault> {
        let longest = filter.longest_value;
        let place = self
            .values
            .load(&self.file, &self.window, offset, longest)?;
        let bytes = self.values.bytes(&self.window, &place);
        let name = name(bytes).ok_or(Fault::Damaged("a field without a name"))?;
        let by_name = filter.by_name(name);
        let class = filter.by_value(by_name, name, &bytes[name.len() + 1..]);
        self.classes.set(offset, class);
        Ok(class)
    }

    /// Collects the wanted values of the entry at hand. False if the filter refuses the entry.
    pub fn take(&mut self, entry: &Found, filter: &mut Filter) -> Result<bool, Fault> {
        self.values.begin();
        self.taken.clear();
        self.damaged_fields = 0;
        self.items.clear();
        let (mut joined, mut is_unknown) = (0, false);
        let every = filter.takes_everything();
        let bytes = self
            .window
            .get(&self.file, entry.offset, entry.size as usize)?;
        for offset in items(&bytes[ENTRY as usize..], self.file.header.is_compact) {
            let class = if every {
                KNOWN | WANTED
            } else {
                self.classes.get(offset)
            };
            joined |= class;
            // Zero is nowhere: journald's way to leave a place empty.
            if (class == 0 || class & WANTED != 0) && offset != 0 {
                self.items.push((offset, class));
                is_unknown |= class == 0;
            }
        }
        if is_unknown {
            joined |= self.judge_behind(filter)?;
        }
        if !filter.takes(joined) {
            return Ok(false);
        }
        for at in 0..self.items.len() {
            let (object, class) = self.items[at];
            if class & WANTED == 0 {
                continue;
            }
            let place = self
                .values
                .load(&self.file, &self.window, object, filter.longest_value);
            if let Some(place) = self.or_damaged(place)? {
                self.taken.push(Taken { place, object });
            }
        }
        Ok(true)
    }

    /// The classes of values that lie before the place where the walk began, joined.
    fn judge_behind(&mut self, filter: &mut Filter) -> Result<u8, Fault> {
        let mut joined = 0;
        for at in 0..self.items.len() {
            let (offset, class) = self.items[at];
            if class == 0 {
                let judged = self.judge(offset, filter);
                let class = self.or_damaged(judged)?.unwrap_or(0);
                self.items[at].1 = class;
                joined |= class;
            }
        }
        Ok(joined)
    }

    /// A damaged value is counted, and costs only itself.
    fn or_damaged<T>(&mut self, result: Result<T, Fault>) -> Result<Option<T>, Fault> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Fault::Damaged(_)) => {
                self.damaged_fields += 1;
                Ok(None)
            }
            Err(fatal) => Err(fatal),
        }
    }

    /// The values of [`Reader::take`].
    pub fn taken(&self) -> &[Taken] {
        &self.taken
    }

    pub fn bytes(&self, taken: &Taken) -> &[u8] {
        self.values.bytes(&self.window, &taken.place)
    }

    /// Finds the next entry that can be read, by the arrays that index them, and says how many
    /// lie between. Each call goes forward by an entry at least, or to the end.
    fn skip_damage(&mut self) -> Result<u64, Fault> {
        self.window.release();
        if self.file.is_deleted()? {
            return Err(Fault::Deleted);
        }
        let (last, mut next) = (self.last, None);
        let tried = last.map_or(0, |last| last.offset).max(self.tried);
        let walked = self.file.entry_offsets(&mut |number, offset| {
            if offset <= tried {
                return true;
            }
            let entry = found(&self.file, offset, number + 1);
            next = entry
                .and_then(|entry| in_order(&self.file, last, entry))
                .ok();
            next.is_none()
        });
        if let Err(fatal @ (Fault::Io(_) | Fault::Deleted)) = walked {
            return Err(fatal);
        }
        let end = next.map_or(self.file.header.n_entries, |entry: Found| entry.number - 1);
        let lost = end.saturating_sub(self.seen);
        self.seen = end;
        if let Some(entry) = next {
            (self.offset, self.tried) = (entry.offset, entry.offset);
        }
        Ok(lost)
    }
}

fn has_entry_size(file: &JournalFile, size: u64) -> bool {
    let width = item_width(file.header.is_compact) as u64;
    (ENTRY..=LARGEST_ENTRY).contains(&size) && (size - ENTRY).is_multiple_of(width)
}

/// The entry at `offset`, by its own bytes.
fn found(file: &JournalFile, offset: u64, number: u64) -> Result<Found, Fault> {
    let mut bytes = [0; ENTRY as usize];
    file.read_exact(&mut bytes, offset)?;
    let object = Object::parse(&bytes, file.room(offset))?;
    let is_entry = object.kind == KIND_ENTRY && has_entry_size(file, object.size);
    let head = Head::parse(&bytes).filter(|_| is_entry && offset.is_multiple_of(8));
    let head = head.ok_or(Fault::Damaged("no entry where one should be"))?;
    Ok(Found {
        head,
        offset,
        size: object.size,
        number,
    })
}

fn in_order(file: &JournalFile, last: Option<Found>, entry: Found) -> Result<Found, Fault> {
    let (seqnum, offset) = last.map_or((0, 0), |last| (last.head.seqnum, last.offset));
    let is_next = entry.head.seqnum > seqnum && entry.offset > offset;
    match is_next && entry.head.seqnum <= file.header.tail_seqnum {
        true => Ok(entry),
        false => Err(Fault::Damaged("entries out of order")),
    }
}
