//! `/proc/<pid>/mountinfo`: which mounts there are, and which of them a path really leads to.

use std::collections::{HashMap, HashSet};

use crate::error::Error;
use crate::text::{Line, Text, decimal, printable};

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    id: u64,
    parent: u64,
    pub(super) major: u64,
    pub(super) minor: u64,
    pub(super) mount_point: String,
    pub(super) fs_type: String,
    pub(super) device: String,
    /// The mount or the file system below it is read-only.
    pub(super) read_only: bool,
}

/// Reads the lines; a malformed one is given to `bad` and left out.
pub(super) fn parse(text: Text<'_>, bad: &mut Vec<Error>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for line in text.lines() {
        match entry(line) {
            Some(entry) => entries.push(entry),
            None => bad.push(line.malformed("mount")),
        }
    }
    entries
}

/// `36 35 98:0 /sub /mnt ro,noatime master:1 - ext4 /dev/sda1 rw,errors=continue`
fn entry(line: Line<'_>) -> Option<Entry> {
    // Single blanks: a field may be empty.
    let mut fields = line.bytes().split(|byte| *byte == b' ');
    let id = decimal(fields.next()?)?;
    let parent = decimal(fields.next()?)?;
    let mut numbers = fields.next()?.splitn(2, |byte| *byte == b':');
    let major = decimal(numbers.next()?)?;
    let minor = decimal(numbers.next()?)?;
    let mount_point = unescaped(fields.nth(1)?);
    let options = fields.next()?;
    fields.find(|field| *field == b"-")?;
    let fs_type = unescaped(fields.next()?);
    let device = unescaped(fields.next()?);
    let super_options = fields.next()?;
    let has = |options: &[u8], wanted: &[&[u8]]| {
        options
            .split(|byte| *byte == b',')
            .any(|option| wanted.contains(&option))
    };
    if !mount_point.starts_with('/') {
        return None;
    }
    Some(Entry {
        id,
        parent,
        major,
        minor,
        mount_point,
        fs_type,
        device,
        read_only: has(options, &[b"ro"]) || has(super_options, &[b"ro", b"emergency_ro"]),
    })
}

/// Undoes `\040` and the like, which stand for blanks, tabs, line feeds and backslashes.
fn unescaped(field: &[u8]) -> String {
    let octal = |code: &[u8]| {
        code.iter().try_fold(0_u8, |value, digit| {
            let digit = digit.wrapping_sub(b'0');
            (digit < 8).then_some(())?;
            value.checked_mul(8)?.checked_add(digit)
        })
    };
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let code = match first {
            b'\\' => after.get(..3).and_then(octal),
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = &after[if code.is_some() { 3 } else { 0 }..];
    }
    printable(&bytes).into_owned()
}

/// Which of the entries a path leads to: those that no other mount lies on top of.
pub(super) fn reached(entries: &[Entry]) -> Vec<bool> {
    let tree = Tree::new(entries);
    (0..entries.len())
        .map(|at| tree.stands(at, entries.len()) && !tree.is_covered(at))
        .collect()
}

struct Tree<'a> {
    entries: &'a [Entry],
    by_id: HashMap<u64, usize>,
    /// Parent and mount point of every mount.
    places: HashSet<(u64, &'a str)>,
}

impl<'a> Tree<'a> {
    fn new(entries: &'a [Entry]) -> Self {
        Self {
            entries,
            by_id: entries
                .iter()
                .enumerate()
                .map(|(at, entry)| (entry.id, at))
                .collect(),
            places: entries
                .iter()
                .map(|entry| (entry.parent, &*entry.mount_point))
                .collect(),
        }
    }

    /// Another mount lies on the root of this one.
    fn is_covered(&self, at: usize) -> bool {
        let entry = &self.entries[at];
        entry.id != entry.parent && self.places.contains(&(entry.id, &*entry.mount_point))
    }

    /// The way to the mount's place is not cut off. `depth` ends a chain that is a ring, which
    /// the kernel does not make.
    fn stands(&self, at: usize, depth: usize) -> bool {
        let entry = &self.entries[at];
        let parent = match self.by_id.get(&entry.parent) {
            Some(parent) if *parent != at && depth > 0 => *parent,
            _ => return true,
        };
        if !self.stands(parent, depth - 1) {
            return false;
        }
        let below = &self.entries[parent].mount_point;
        if entry.mount_point == *below {
            return true;
        }
        let cut_off = ancestors(&entry.mount_point)
            .take_while(|ancestor| ancestor.len() > below.len())
            .any(|ancestor| self.places.contains(&(entry.parent, ancestor)));
        !cut_off && !self.is_covered(parent)
    }
}

/// The directories above `path`, the nearest first, without the root.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/')
        .map(|(at, _)| &path[..at])
        .filter(|ancestor| !ancestor.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parsed(text: &str) -> (Vec<Entry>, usize) {
        let mut bad = Vec::new();
        let text = Text::new(Path::new("/proc/1/mountinfo"), text.as_bytes());
        let entries = parse(text, &mut bad);
        (entries, bad.len())
    }

    #[test]
    fn flags_escapes_and_empty_fields_are_read() {
        let (entries, bad) = parsed(
            "36 35 98:0 /sub /mnt/a\\040b\\134c ro,noatime master:1 shared:2 - ext4 /dev/sda1 rw\n\
             37 35 0:5 / /x rw - tmpfs  rw,size=4k\n\
             38 35 0:6 / /y rw - ext4 /dev/sdb rw,emergency_ro\n\
             garbage\n\
             39 35 0:7 / relative rw - ext4 /dev/sdb rw\n",
        );
        assert_eq!(bad, 2);
        assert_eq!(entries[0].mount_point, "/mnt/a b\\c");
        assert!(entries[0].read_only);
        assert_eq!((entries[0].major, entries[0].minor), (98, 0));
        assert_eq!((&*entries[1].device, entries[1].read_only), ("", false));
        assert!(entries[2].read_only);
    }

    #[test]
    fn only_the_topmost_mount_of_a_place_is_reached() {
        let (entries, _) = parsed(
            "1 0 0:1 / / rw - rootfs rootfs rw\n\
             20 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
             21 20 8:2 / /mnt rw - ext4 /dev/sda2 rw\n\
             22 21 8:3 / /mnt/deep rw - ext4 /dev/sda3 rw\n\
             23 21 8:4 / /mnt ro - ext4 /dev/sda4 rw\n\
             24 20 8:5 / /srv/a/b rw - ext4 /dev/sda5 rw\n\
             25 20 8:6 / /srv rw - ext4 /dev/sda6 rw\n\
             26 25 8:7 / /srv/a rw - ext4 /dev/sda7 rw\n\
             27 20 8:8 / /srvx rw - ext4 /dev/sda8 rw\n",
        );
        let reached: Vec<_> = entries
            .iter()
            .zip(reached(&entries))
            .filter(|(_, reached)| *reached)
            .map(|(entry, _)| &*entry.device)
            .collect();
        // sda2 lies below sda4, sda3 on the covered sda2; sda5 is cut off by sda6.
        assert_eq!(
            reached,
            [
                "/dev/sda1",
                "/dev/sda4",
                "/dev/sda6",
                "/dev/sda7",
                "/dev/sda8"
            ]
        );
    }

    #[test]
    fn a_ring_of_parents_ends() {
        let (entries, _) = parsed(
            "1 2 0:1 / /a rw - ext4 a rw\n2 1 0:2 / /a/b rw - ext4 b rw\n3 3 0:3 / / rw - ext4 c rw\n",
        );
        assert_eq!(reached(&entries).len(), 3);
    }
}
