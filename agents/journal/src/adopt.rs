//! Taking up a file: what it belongs to, and what of it was read before.

use std::time::SystemTime;

use crate::Id;
use crate::directory::{Directory, Listed};
use crate::error::{Fault, Refused, Why};
use crate::family::{Family, Slot, State};
use crate::file::JournalFile;
use crate::journal::{Done, Journal, Stamp, Start, micros};
use crate::notice::{Gap, Notice};
use crate::position::Position;
use crate::reader::Reader;
use crate::stream::Key;

impl Journal {
    /// Takes up a listed file, unless it is known.
    pub(crate) fn adopt(&mut self, directory: &Directory, listed: Listed) {
        let stamp = (listed.inode, listed.changed);
        let is_done = |done: &Done| done.changed == listed.changed;
        if self.knows_again(&listed) || self.done.get(&listed.inode).is_some_and(is_done) {
            return;
        }
        if let Some((known, is_hidden)) = self.refused.get(&listed.path)
            && *known == stamp
        {
            if *is_hidden {
                family(&mut self.families, directory, Id::NONE).has_hidden = true;
            }
            return;
        }
        let file = match JournalFile::open(&listed.path) {
            Ok(Some(file)) => file,
            // journald writes the header right after it has created the file.
            Ok(None) if listed.is_active => return self.doorbell.expect_more(),
            Ok(None) => {
                let why = Why::NotAJournal("it is empty");
                return self.refuse(
                    directory,
                    Refused {
                        path: listed.path,
                        why,
                    },
                    stamp,
                );
            }
            Err(why) => {
                return self.refuse(
                    directory,
                    Refused {
                        path: listed.path,
                        why,
                    },
                    stamp,
                );
            }
        };
        // Replaced since the listing.
        if file.inode().ok() != Some(listed.inode) {
            return self.doorbell.expect_more();
        }
        if let Some(done) = self.done.get_mut(&listed.inode)
            && done.file_id == file.id()
        {
            done.changed = listed.changed;
            return;
        }
        self.take_up(directory, listed, file);
    }

    /// Whether it is one of the files at hand, perhaps by a new name.
    fn knows_again(&mut self, listed: &Listed) -> bool {
        for (_, family) in &mut self.families {
            let same = |slot: &Slot| slot.inode == listed.inode;
            let Some(at) = family.slots.iter().position(same) else {
                continue;
            };
            let slot = &mut family.slots[at];
            let is_it = match &slot.state {
                // An open file keeps its inode.
                State::Open(_) => true,
                State::Waiting { .. } if slot.changed == listed.changed => true,
                State::Waiting { .. } => match JournalFile::open(&listed.path) {
                    Ok(Some(file)) => file.id() == slot.file_id,
                    _ => false,
                },
                State::Finished => return true,
            };
            if is_it {
                slot.path.clone_from(&listed.path);
                slot.is_active = listed.is_active;
                slot.changed = listed.changed;
                return true;
            }
            // Its inode is another file's now.
            family.give_up(at, &Fault::Deleted, &mut self.notices);
            family.sweep();
        }
        false
    }

    fn take_up(&mut self, directory: &Directory, listed: Listed, file: JournalFile) {
        let header = file.header.clone();
        let (since, start) = (self.since, &self.start);
        let family = family(&mut self.families, directory, header.seqnum_id);
        let number = family.stream(header.seqnum_id, || left_at(start, header.seqnum_id));
        let stream = &mut family.streams[number];
        stream.has_system |= !listed.is_user;
        let is_over =
            header.n_entries == 0 || stream.has_read(&header) || header.tail_realtime < since;
        let state = if !listed.is_active && is_over {
            State::Finished
        } else if *start == Start::End {
            let mut reader = Box::new(Reader::new(file));
            match reader.skip_to_end() {
                Some(entry) => {
                    let position = position(&reader, &entry, directory.is_volatile);
                    if stream
                        .last
                        .is_none_or(|last| last.realtime <= position.realtime)
                    {
                        stream.last = Some(position);
                    }
                }
                // Its end cannot be found: what is newer than now will be.
                None if header.n_entries > 0 => self.since = micros(SystemTime::now()),
                None => {}
            }
            State::Open(reader)
        } else if listed.is_active {
            State::Open(stream.reader(file))
        } else {
            State::Waiting {
                entries: header.n_entries,
                key: Key {
                    stream: number,
                    seqnum: header.head_seqnum,
                    boot: None,
                    realtime: header.head_realtime,
                },
            }
        };
        let slot = Slot {
            path: listed.path,
            inode: listed.inode,
            changed: listed.changed,
            file_id: header.file_id,
            is_active: listed.is_active,
            is_user: listed.is_user,
            is_volatile: directory.is_volatile,
            stream: number,
            state,
        };
        family.slots.push(slot);
    }

    /// Says once that a file or directory is not read.
    pub(crate) fn refuse(&mut self, directory: &Directory, refused: Refused, stamp: Stamp) {
        let is_hidden = matches!(refused.why, Why::NoPermission);
        if is_hidden {
            family(&mut self.families, directory, Id::NONE).has_hidden = true;
        }
        let said = (stamp, is_hidden);
        if self.refused.insert(refused.path.clone(), said) != Some(said) {
            self.notices.push_back(Notice::Refused(refused));
        }
    }

    /// After the first listing: what was read before this process began, and what of it is gone.
    pub(crate) fn stand(&mut self) {
        let mut known: Vec<Position> = match &self.start {
            Start::After(bookmark) => bookmark.positions.clone(),
            _ => Vec::new(),
        };
        let is_found = |families: &[(String, Family)], id: Id| {
            families
                .iter()
                .any(|(_, family)| family.streams.iter().any(|stream| stream.id == id))
        };
        let has_persistent = self
            .families
            .iter()
            .any(|(_, family)| family.slots.iter().any(|slot| !slot.is_volatile));
        for position in &known {
            // What lay in `/run` was moved by a flush, and comes from there.
            let is_moved = position.is_volatile && has_persistent;
            if position.is_closed || is_moved || is_found(&self.families, position.seqnum_id) {
                continue;
            }
            self.notices.push_back(Notice::Gap(Gap {
                seqnum_id: position.seqnum_id,
                first: position.seqnum.saturating_add(1),
                last: None,
                after: Some(*position),
                is_hidden: false,
            }));
        }
        for (_, family) in &self.families {
            known.extend(family.streams.iter().filter_map(|stream| stream.last));
        }
        known.sort_by_key(|position| position.realtime);
        for (_, family) in &mut self.families {
            for position in &known {
                family.note(position);
            }
        }
    }
}

fn family<'a>(
    families: &'a mut Vec<(String, Family)>,
    directory: &Directory,
    seqnum_id: Id,
) -> &'a mut Family {
    let name = match directory.is_mixed {
        true => format!("{}/{seqnum_id}", directory.path.display()),
        false => directory.family.clone(),
    };
    let at = families.iter().position(|(known, _)| *known == name);
    let at = at.unwrap_or_else(|| {
        families.push((name, Family::default()));
        families.len() - 1
    });
    &mut families[at].1
}

fn left_at(start: &Start, seqnum_id: Id) -> Option<Position> {
    let Start::After(bookmark) = start else {
        return None;
    };
    let mut positions = bookmark.positions.iter();
    positions
        .find(|position| position.seqnum_id == seqnum_id)
        .copied()
}

/// The position behind an entry.
pub(crate) fn position(
    reader: &Reader,
    entry: &crate::reader::Found,
    is_volatile: bool,
) -> Position {
    let (header, head) = (&reader.file.header, &entry.head);
    Position {
        machine: header.machine_id,
        boot: head.boot,
        seqnum_id: header.seqnum_id,
        seqnum: head.seqnum,
        realtime: head.realtime,
        monotonic: head.monotonic,
        xor_hash: head.xor_hash,
        file_id: header.file_id,
        offset: entry.offset,
        number: entry.number,
        is_volatile,
        is_closed: false,
    }
}
