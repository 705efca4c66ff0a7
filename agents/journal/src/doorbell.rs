//! When to look: a descriptor that becomes readable when files come and go, and how long to wait
//! beside it.
//!
//! journald writes through a mapping, which wakes nobody; about four times a second it makes
//! inotify report a write. Whoever wants to know sooner must look: the number of entries in the
//! header moves at once.

use std::ffi::{CStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// How soon an entry is seen, and at which cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// Waits for journald's own signal, 0.25 to 0.5 s after the entry. No wake-up without one.
    Eco,
    /// Looks each 50 ms, and less often while the journal is quiet.
    #[default]
    Normal,
    /// Looks each 10 ms.
    Fast,
    /// Looks each millisecond.
    Realtime,
}

/// The longest pause of [`Pace::Normal`].
const LONGEST: Duration = Duration::from_millis(250);
/// A journal without entries for so long is quiet.
const QUIET: Duration = Duration::from_secs(2);
/// Between two looks at the directories where inotify does not tell.
const DEAF: Duration = Duration::from_secs(1);
/// Between two looks for the header of a file that is being created.
const SOON: Duration = Duration::from_millis(50);
/// Looks for it.
const MOST_LOOKS: u8 = 20;

const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::ONLYDIR);

pub(crate) struct Doorbell {
    pace: Pace,
    /// Inotify, or what never becomes readable in its stead.
    descriptor: OwnedFd,
    watches: Vec<Watch>,
    deafness: Option<io::Error>,
    /// Near the last entry, or the start.
    stirred: Instant,
    is_stirred: bool,
    period: Duration,
    listed: Instant,
    looks_left: u8,
    expects_more: bool,
}

struct Watch {
    path: PathBuf,
    number: i32,
    /// The directory does not exist yet: this is what it, or one above it, will be called.
    awaited: Option<OsString>,
}

impl Doorbell {
    pub fn new(pace: Pace) -> io::Result<Self> {
        let (descriptor, deafness) =
            match inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) {
                Ok(descriptor) => (descriptor, None),
                Err(errno) => (eventfd(0, EventfdFlags::CLOEXEC)?, Some(errno.into())),
            };
        let mut doorbell = Self {
            pace,
            descriptor,
            watches: Vec::new(),
            deafness,
            stirred: Instant::now(),
            is_stirred: false,
            period: Duration::ZERO,
            listed: Instant::now(),
            looks_left: 0,
            expects_more: false,
        };
        doorbell.tick();
        Ok(doorbell)
    }

    /// The directories are being listed. What comes from now on is heard, or seen by that.
    pub fn begin_listing(&mut self) {
        self.listed = Instant::now();
        self.looks_left = self.looks_left.saturating_sub(1);
        self.expects_more = false;
    }

    /// They were.
    pub fn end_listing(&mut self) {
        if !self.expects_more {
            self.looks_left = 0;
        }
    }

    /// Watches these directories from now on, and where one does not exist, for it to come. True
    /// if a watch is new: what came before it was not heard.
    pub fn watch<'a>(&mut self, directories: impl Iterator<Item = &'a Path>) -> bool {
        if self.deafness.is_some() && self.watches.is_empty() {
            return false;
        }
        let wanted: Vec<(&Path, Option<OsString>)> = directories.filter_map(existing).collect();
        let descriptor = &self.descriptor;
        self.watches.retain(|watch| {
            let is_wanted = wanted
                .iter()
                .any(|(path, name)| *path == watch.path && *name == watch.awaited);
            // One number may stand for two awaited names; it is removed with the last of them.
            let is_shared = wanted.iter().any(|(path, _)| *path == watch.path);
            if !is_wanted && !is_shared {
                // It may be gone with its directory.
                let _ = inotify::remove_watch(descriptor, watch.number);
            }
            is_wanted
        });
        let mut is_new = false;
        for (path, awaited) in wanted {
            let is_known = |watch: &Watch| *watch.path == *path && watch.awaited == awaited;
            if !self.watches.iter().any(is_known) {
                self.add(path, awaited);
                is_new = true;
            }
        }
        is_new
    }

    fn add(&mut self, path: &Path, awaited: Option<OsString>) {
        let flags = match self.pace {
            Pace::Eco if awaited.is_none() => CHANGES.union(WatchFlags::MODIFY),
            _ => CHANGES,
        };
        match inotify::add_watch(&self.descriptor, path, flags) {
            Ok(number) => self.watches.push(Watch {
                path: path.to_path_buf(),
                number,
                awaited,
            }),
            // Gone in the meantime: what is above tells.
            Err(Errno::NOENT | Errno::NOTDIR) => self.expect_more(),
            Err(errno) => self.deafness = Some(errno.into()),
        }
    }

    /// Takes what has come in: whether files came or went, and whether something was written.
    pub fn drain(&mut self) -> (bool, bool) {
        let (mut files, mut written) = (false, false);
        if self.deafness.is_some() && self.watches.is_empty() {
            return (false, false);
        }
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = Reader::new(&self.descriptor, &mut buffer);
        loop {
            let event = match reader.next() {
                Err(Errno::INTR) => continue,
                Err(Errno::WOULDBLOCK) => break,
                Err(errno) => {
                    self.deafness = Some(errno.into());
                    break;
                }
                Ok(event) => event,
            };
            let what = event.events();
            if what.contains(ReadFlags::MODIFY) {
                written = true;
                continue;
            }
            if what.contains(ReadFlags::IGNORED) {
                self.watches.retain(|watch| watch.number != event.wd());
            }
            let name = event.file_name().map(CStr::to_bytes);
            let concerns = |watch: &Watch| {
                watch.number == event.wd()
                    && match &watch.awaited {
                        Some(awaited) => name == Some(awaited.as_bytes()),
                        None => true,
                    }
            };
            let is_about_all = what.intersects(ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED);
            files |= is_about_all || self.watches.iter().any(concerns);
        }
        (files, written)
    }

    /// A file or directory is just being made: looks again soon.
    pub fn expect_more(&mut self) {
        self.expects_more = true;
        if self.looks_left == 0 {
            self.looks_left = MOST_LOOKS;
        }
    }

    /// Whether to look at the directories although nothing was heard.
    pub fn is_listing_due(&self) -> bool {
        let since = self.listed.elapsed();
        (self.looks_left > 0 && since >= SOON) || (self.deafness.is_some() && since >= DEAF)
    }

    /// An entry came. The clock is read later, once for many of them.
    pub fn stir(&mut self) {
        self.is_stirred = true;
    }

    /// The caller has waited: the next pause may be longer.
    pub fn tick(&mut self) {
        if std::mem::take(&mut self.is_stirred) {
            self.stirred = Instant::now();
        }
        self.period = match self.pace {
            Pace::Eco => LONGEST,
            Pace::Normal if self.stirred.elapsed() < QUIET => Duration::from_millis(50),
            Pace::Normal => (self.period * 2).min(LONGEST),
            Pace::Fast => Duration::from_millis(10),
            Pace::Realtime => Duration::from_millis(1),
        };
    }

    /// How long to wait; None: the descriptor alone wakes.
    pub fn period(&self) -> Option<Duration> {
        match self.pace {
            Pace::Eco if self.deafness.is_none() => (self.looks_left > 0).then_some(SOON),
            _ => Some(self.period),
        }
    }

    pub fn deafness(&self) -> Option<&io::Error> {
        self.deafness.as_ref()
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// The directory, or the nearest one above it with the name that is missing there.
fn existing(path: &Path) -> Option<(&Path, Option<OsString>)> {
    let nearest = path.ancestors().find(|path| path.is_dir())?;
    let rest = path.strip_prefix(nearest).ok()?;
    let missing = rest
        .components()
        .next()
        .map(|name| name.as_os_str().to_owned());
    Some((nearest, missing))
}
