//! The doorbell: who commits something that others wait for writes a byte to a file, and whoever
//! waits watches that file with inotify. The row is the truth, the bell only says "look".
//!
//! Watching the `-wal` file instead loses wake-ups, because its bytes change before the commit is
//! visible; polling costs CPU on an idle host.

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::location::Location;

/// The writers' end.
#[derive(Debug)]
pub struct Bell {
    path: PathBuf,
    file: Option<File>,
}

impl Bell {
    /// The bell of a store; it is opened by the first ring.
    pub fn of(location: &Location) -> Self {
        Self {
            path: location.bell.clone(),
            file: None,
        }
    }

    /// Wakes every [`Doorbell`]. Rings that nobody has read yet become one.
    ///
    /// # Errors
    /// The I/O error if the bell is missing or may not be written; the next ring tries anew.
    pub fn ring(&mut self) -> io::Result<()> {
        // Bytes written to a bell that was removed wake nobody.
        let current = match self.file.take() {
            Some(file) if file.metadata()?.nlink() > 0 => file,
            _ => OpenOptions::new().write(true).open(&self.path)?,
        };
        // At a fixed place, so that the file never grows.
        current.write_all_at(b"!", 0)?;
        self.file = Some(current);
        Ok(())
    }
}

/// The readers' end: a descriptor to wait on together with the stop signal.
///
/// It wakes only for writers that ring. Behind it an agent looks again every few seconds, or
/// asks [`crate::Store::changed`], so that a row of a writer that does not ring (another tool,
/// a lost bell) is late and never lost.
#[derive(Debug)]
pub struct Doorbell {
    inotify: OwnedFd,
    bell: PathBuf,
    watched: Option<i32>,
    directory: Option<i32>,
}

impl Doorbell {
    /// Starts to listen. Look at the store once after this: what was committed before makes no
    /// sound.
    ///
    /// # Errors
    /// [`Error::RunFile`] if the bell is missing, [`Error::NoPermission`] if it may not be read.
    pub fn open(location: &Location) -> Result<Self> {
        let failed = |errno: Errno| Error::run_file(&location.bell, errno.into());
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
        let mut doorbell = Self {
            inotify: inotify.map_err(failed)?,
            bell: location.bell.clone(),
            watched: None,
            directory: None,
        };
        doorbell.watch_directory().map_err(failed)?;
        doorbell.watch_bell().map_err(failed)?;
        Ok(doorbell)
    }

    /// Takes what has come in and says whether it rang. A bell that was replaced is watched
    /// again and counts as rung, because a ring may have been missed in between.
    ///
    /// Call it when the descriptor is readable, and once per slow sweep: it also takes up a
    /// bell again whose whole directory had vanished.
    ///
    /// # Errors
    /// The I/O error of reading; without a bell there is silence, not an error.
    pub fn drain(&mut self) -> io::Result<bool> {
        let mut rung = false;
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        let name = self.bell.file_name().map(OsStrExt::as_bytes);
        let (mut bell_lost, mut directory_lost) = (false, false);
        loop {
            let event = match reader.next() {
                Err(Errno::WOULDBLOCK) => break,
                Err(Errno::INTR) => continue,
                other => other?,
            };
            let (source, what) = (Some(event.wd()), event.events());
            let about_bell = event.file_name().map(CStr::to_bytes) == name;
            if what.contains(ReadFlags::QUEUE_OVERFLOW) {
                (rung, bell_lost) = (true, true);
            } else if what.contains(ReadFlags::IGNORED) {
                bell_lost |= source == self.watched;
                directory_lost |= source == self.directory;
            } else if source == self.watched {
                rung |= what.contains(ReadFlags::MODIFY);
            } else if source == self.directory {
                bell_lost |= about_bell;
                directory_lost |= what.contains(ReadFlags::MOVE_SELF);
            }
        }
        Ok(rung | self.recover(bell_lost, directory_lost))
    }

    /// Watches again what was lost; true if there is a bell to hear that was not heard before.
    fn recover(&mut self, bell_lost: bool, directory_lost: bool) -> bool {
        if directory_lost {
            self.directory = None;
        }
        if self.directory.is_none() && self.watch_directory().is_ok() {
            self.watched = None;
        }
        if bell_lost {
            self.watched = None;
        }
        self.watched.is_none() && self.watch_bell().is_ok()
    }

    fn watch_bell(&mut self) -> rustix::io::Result<()> {
        self.watched = Some(inotify::add_watch(
            &self.inotify,
            &self.bell,
            WatchFlags::MODIFY,
        )?);
        Ok(())
    }

    fn watch_directory(&mut self) -> rustix::io::Result<()> {
        let directory = self.bell.parent().unwrap_or(Path::new("/"));
        let changes = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        self.directory = Some(inotify::add_watch(&self.inotify, directory, changes)?);
        Ok(())
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roundsman_kit::Paths;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::fs;

    fn location() -> (tempfile::TempDir, Location) {
        let root = tempfile::tempdir().unwrap();
        let location = Location::new(&Paths::under(root.path()), "/var/lib/roundsman/r.db");
        location.prepare().unwrap();
        (root, location)
    }

    fn readable(doorbell: &Doorbell) -> bool {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut [PollFd::new(doorbell, PollFlags::IN)], Some(&now)).unwrap() == 1
    }

    #[test]
    fn many_rings_are_one_wake_up_for_every_listener() {
        let (_root, location) = location();
        let mut listeners = [(); 3].map(|()| Doorbell::open(&location).unwrap());
        let mut bell = Bell::of(&location);
        for listener in &mut listeners {
            assert!(!readable(listener) && !listener.drain().unwrap());
        }
        for _ in 0..1000 {
            bell.ring().unwrap();
        }
        for listener in &mut listeners {
            assert!(readable(listener) && listener.drain().unwrap());
            assert!(!readable(listener) && !listener.drain().unwrap());
        }
        assert_eq!(fs::metadata(&location.bell).unwrap().len(), 1);
    }

    #[test]
    fn a_replaced_bell_is_heard_again_by_both_ends() {
        let (_root, location) = location();
        let mut doorbell = Doorbell::open(&location).unwrap();
        let mut bell = Bell::of(&location);
        bell.ring().unwrap();
        assert!(doorbell.drain().unwrap());

        fs::remove_file(&location.bell).unwrap();
        assert!(bell.ring().is_err());
        assert!(!doorbell.drain().unwrap());
        File::create(&location.bell).unwrap();
        assert!(readable(&doorbell), "the new bell wakes by itself");
        assert!(doorbell.drain().unwrap());
        bell.ring().unwrap();
        assert!(doorbell.drain().unwrap());

        let other = location.bell.with_extension("new");
        File::create(&other).unwrap();
        fs::rename(&other, &location.bell).unwrap();
        assert!(doorbell.drain().unwrap());
        bell.ring().unwrap();
        assert!(doorbell.drain().unwrap());
    }

    #[test]
    fn a_directory_made_anew_is_found_by_the_next_sweep() {
        let (_root, location) = location();
        let mut doorbell = Doorbell::open(&location).unwrap();
        let directory = location.bell.parent().unwrap();
        fs::remove_dir_all(directory).unwrap();
        assert!(!doorbell.drain().unwrap());
        location.prepare().unwrap();
        assert!(doorbell.drain().unwrap());
        Bell::of(&location).ring().unwrap();
        assert!(doorbell.drain().unwrap());

        fs::rename(directory, directory.with_extension("away")).unwrap();
        location.prepare().unwrap();
        assert!(doorbell.drain().unwrap());
        Bell::of(&location).ring().unwrap();
        assert!(doorbell.drain().unwrap());
    }

    #[test]
    fn other_files_of_the_directory_do_not_ring() {
        let (_root, location) = location();
        let mut doorbell = Doorbell::open(&location).unwrap();
        fs::write(location.ticket.with_extension("x"), "x").unwrap();
        assert!(!doorbell.drain().unwrap());
    }
}
