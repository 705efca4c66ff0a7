//! Mounted file systems: `/proc/1/mountinfo` and `statvfs(2)`.
//!
//! The mounts and their flags are those that PID 1 sees, because a sandbox gives this process
//! mounts of its own (read-only ones, empty homes). A mount that a path does not lead this
//! process to is shown as not reachable, never with the figures of what lies there instead.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::calls::Space;
use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::file::{Buffer, File};
use crate::filters::Filters;
use crate::root::Root;
use crate::text::Text;

mod families;
mod mountinfo;
mod space;

use mountinfo::Entry;
use space::{Answer, Asker, Question};

/// Types that answer from memory, whatever state their disk is in.
const ANSWERS_FROM_MEMORY: [&str; 24] = [
    "bpf", "btrfs", "cgroup2", "devtmpfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs",
    "iso9660", "jfs", "msdos", "ntfs3", "overlay", "proc", "ramfs", "rootfs", "squashfs", "sysfs",
    "tmpfs", "udf", "vfat", "xfs",
];

/// Whose mounts are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// Those of PID 1.
    #[default]
    Host,
    /// Those of this process, because `/proc/1` is hidden from it.
    Own,
}

/// The mounts that the filters keep.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mounts {
    /// Whose mounts these are.
    pub view: View,
    /// The mounts, in the order of the kernel.
    pub list: Vec<Mount>,
    /// Lines of the kernel's list that were malformed and are left out.
    pub malformed_lines: usize,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted, as the kernel names it.
    pub device: String,
    /// Where.
    pub mount_point: String,
    /// The type of the file system.
    pub fs_type: String,
    /// Major number of its device.
    pub major: u64,
    /// Minor number of its device.
    pub minor: u64,
    /// It cannot be written to through this mount.
    pub read_only: bool,
    /// Its space, or why it is not known.
    pub status: Status,
}

/// Whether the figures of a mount are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// They are.
    Known(Space),
    /// The mount cannot be reached; why, in a few words.
    Unreachable(String),
}

impl Status {
    /// Why the mount cannot be reached; empty where it can.
    pub fn why(&self) -> &str {
        match self {
            Self::Known(_) => "",
            Self::Unreachable(why) => why,
        }
    }
}

impl Mount {
    /// Its space, where it is known.
    pub fn space(&self) -> Option<&Space> {
        match &self.status {
            Status::Known(space) => Some(space),
            Status::Unreachable(_) => None,
        }
    }
}

impl Space {
    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.size.saturating_sub(self.free)
    }

    /// Bytes in use, in per cent of what anyone but root can use: the figure of `df`. `None`
    /// for a file system without a size.
    pub fn used_percent(&self) -> Option<f64> {
        let usable = self.used().checked_add(self.available)?;
        (usable > 0).then(|| 100.0 * self.used() as f64 / usable as f64)
    }

    /// Inodes in use, in per cent; `None` where they are made as needed.
    pub fn files_used_percent(&self) -> Option<f64> {
        let used = self.files.checked_sub(self.files_free)?;
        (self.files > 0).then(|| 100.0 * used as f64 / self.files as f64)
    }
}

/// Reads all mounts now. Waits for those that hang no longer than [`Host::mount_deadline`].
pub fn read(host: &Host) -> Result<Mounts, Error> {
    let mut reader = Reader::new(host);
    reader.refresh(&mut Buffer::new(), None)?;
    Ok(reader.mounts)
}

/// Reads mounts again and again; what did not change is not parsed anew.
struct Reader {
    root: Root,
    filters: Filters,
    init: File,
    own: File,
    init_text: Vec<u8>,
    own_text: Vec<u8>,
    mounts: Mounts,
    /// Where each mount is asked for, and whether it may hang.
    places: Vec<Place>,
    asker: Asker,
    deadline: Duration,
    bad: Vec<Error>,
}

struct Place {
    path: PathBuf,
    slow: bool,
    /// This process's path leads to the mount.
    reached: bool,
}

impl Reader {
    fn new(host: &Host) -> Self {
        let listing = |name| File::listing(&host.root, host.root.proc(name));
        Self {
            root: host.root.clone(),
            filters: host.filters.clone(),
            init: listing("1/mountinfo"),
            own: listing("self/mountinfo"),
            init_text: Vec::new(),
            own_text: Vec::new(),
            mounts: Mounts::default(),
            places: Vec::new(),
            asker: Asker::new(host.calls.space),
            deadline: host.mount_deadline,
            bad: Vec::new(),
        }
    }

    /// Waits for mounts that hang no longer than allowed, and not beyond `ends`.
    fn refresh(&mut self, buffer: &mut Buffer, ends: Option<Instant>) -> Result<(), Error> {
        self.mounts.view = match self.init.read(buffer) {
            Ok(_) => View::Host,
            Err(_) => View::Own,
        };
        let source = match self.mounts.view {
            View::Host => &mut self.init,
            View::Own => &mut self.own,
        };
        let text = source.read(buffer)?;
        // A malformed line is noted at every scrape, so it is looked for at every scrape.
        let mut changed = self.mounts.malformed_lines > 0 || text.bytes() != self.init_text;
        if changed {
            self.init_text.clear();
            self.init_text.extend_from_slice(text.bytes());
        }
        if self.mounts.view == View::Host && !self.own.is_unchanged() {
            let own = self.own.read(buffer);
            let own = own.map(|text| text.bytes()).unwrap_or_default();
            if own != self.own_text {
                changed = true;
                self.own_text.clear();
                self.own_text.extend_from_slice(own);
            }
        }
        if changed {
            self.rebuild();
        }
        let until = Instant::now() + self.deadline;
        self.ask(ends.map_or(until, |ends| ends.min(until)));
        Ok(())
    }

    fn rebuild(&mut self) {
        self.bad.clear();
        let path = match self.mounts.view {
            View::Host => self.init.path(),
            View::Own => self.own.path(),
        };
        let entries = mountinfo::parse(Text::new(path, &self.init_text), &mut self.bad);
        self.mounts.malformed_lines = self.bad.len();
        let own = (self.mounts.view == View::Host && !self.own_text.is_empty())
            .then(|| OwnView::new(Text::new(self.own.path(), &self.own_text)));
        let slow = |entry: &Entry| !ANSWERS_FROM_MEMORY.contains(&&*entry.fs_type);
        let slow_points: Vec<_> = entries
            .iter()
            .filter(|entry| slow(entry))
            .map(|entry| entry.mount_point.clone())
            .collect();
        let reached = mountinfo::reached(&entries);
        self.mounts.list.clear();
        self.places.clear();
        for (entry, reached) in entries.into_iter().zip(reached) {
            if !reached || !self.filters.keeps_mount(&entry.mount_point, &entry.fs_type) {
                continue;
            }
            let below_slow = mountinfo::ancestors(&entry.mount_point)
                .any(|ancestor| slow_points.iter().any(|point| point == ancestor));
            self.places.push(Place {
                path: self.root.at(&entry.mount_point),
                slow: below_slow || slow(&entry),
                reached: own.as_ref().is_none_or(|own| own.leads_to(&entry)),
            });
            self.mounts.list.push(entry.into());
        }
    }

    fn ask(&mut self, until: Instant) {
        let asked = self.places.iter().filter(|place| place.reached);
        let questions: Vec<_> = asked
            .map(|place| Question {
                path: &place.path,
                slow: place.slow,
            })
            .collect();
        let mut answers = self.asker.ask(&questions, until).into_iter();
        for (mount, place) in self.mounts.list.iter_mut().zip(&self.places) {
            let unreachable = |why: &str| Status::Unreachable(why.to_owned());
            mount.status = match place.reached.then(|| answers.next()).flatten() {
                Some(Answer::Space(space)) => Status::Known(space),
                Some(Answer::Failed(error)) => Status::Unreachable(in_words(&error)),
                Some(Answer::TimedOut) => unreachable("mountpoint timeout"),
                None => unreachable("not visible to this process"),
            };
        }
    }
}

impl From<Entry> for Mount {
    fn from(entry: Entry) -> Self {
        Self {
            device: entry.device,
            mount_point: entry.mount_point,
            fs_type: entry.fs_type,
            major: entry.major,
            minor: entry.minor,
            read_only: entry.read_only,
            status: Status::Unreachable(String::new()),
        }
    }
}

/// What the system calls the error: `permission denied`.
fn in_words(error: &std::io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    words.to_lowercase()
}

/// Where paths lead this process, which may have mounts of its own.
struct OwnView(HashMap<String, (u64, u64)>);

impl OwnView {
    fn new(text: Text<'_>) -> Self {
        let entries = mountinfo::parse(text, &mut Vec::new());
        let reached = mountinfo::reached(&entries);
        let mounts = entries.into_iter().zip(reached);
        Self(
            mounts
                .filter(|(_, reached)| *reached)
                .map(|(entry, _)| (entry.mount_point, (entry.major, entry.minor)))
                .collect(),
        )
    }

    /// The same file system lies at the same place.
    fn leads_to(&self, entry: &Entry) -> bool {
        self.0.get(&entry.mount_point) == Some(&(entry.major, entry.minor))
    }
}

pub(crate) struct FilesystemCollector(Reader);

impl FilesystemCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self(Reader::new(host)))
    }
}

impl Collector for FilesystemCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        self.0.refresh(scrape.buffer, scrape.ends)?;
        families::write(&self.0.mounts.list, scrape.page);
        if self.0.mounts.view == View::Own {
            scrape.skipped(Error::OwnView {
                path: self.0.init.path().to_owned(),
            });
        }
        for error in self.0.bad.drain(..) {
            scrape.failed(error);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
