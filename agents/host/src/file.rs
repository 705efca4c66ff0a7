//! Files that are kept open between scrapes and read again with `pread`.
//!
//! Opening costs more than reading for most files of `/proc` and `/sys`, so this is where the
//! price of a scrape is made.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::Error;
use crate::root::{Lease, Root};
use crate::text::Text;

/// Room that a buffer starts with: enough for all but a few files.
const FIRST_ROOM: usize = 16 * 1024;

/// Nothing in `/proc` that is read here is larger on the largest of hosts.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Attributes of sysfs are at most one page.
const ATTRIBUTE_BYTES: usize = 4096;

/// A place to read into, shared by all files of a set of collectors.
#[derive(Debug)]
pub(crate) struct Buffer(Vec<u8>);

impl Buffer {
    pub(crate) fn new() -> Self {
        Self(vec![0; FIRST_ROOM])
    }

    /// The first `length` bytes, as what was read from `path`.
    pub(crate) fn text<'a>(&'a self, path: &'a Path, length: usize) -> Text<'a> {
        Text::new(path, &self.0[..length.min(self.0.len())])
    }
}

/// How a file is read and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// A listing of `/proc` of any size; always kept open.
    Listing,
    /// One value of `/sys` or `/proc/sys`, had by a single `pread`; kept open within the budget.
    Attribute,
    /// A file on a disk, which is replaced by renaming: opened each time.
    Replaced,
}

/// A file of the host.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    manner: Manner,
    open: Option<(fs::File, Option<Lease>)>,
    root: Root,
}

impl File {
    /// A listing of `/proc`, kept open.
    pub(crate) fn listing(root: &Root, path: PathBuf) -> Self {
        Self::new(root, path, Manner::Listing)
    }

    /// A file with one value, kept open while the budget lasts.
    pub(crate) fn attribute(root: &Root, path: PathBuf) -> Self {
        Self::new(root, path, Manner::Attribute)
    }

    /// A file that other programs replace by renaming, opened at each reading.
    pub(crate) fn replaced(root: &Root, path: PathBuf) -> Self {
        Self::new(root, path, Manner::Replaced)
    }

    fn new(root: &Root, path: PathBuf, manner: Manner) -> Self {
        Self {
            path,
            manner,
            open: None,
            root: root.clone(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the whole file as it is now.
    pub(crate) fn read<'a>(&'a mut self, buffer: &'a mut Buffer) -> Result<Text<'a>, Error> {
        let n = self
            .fill(&mut buffer.0)
            .map_err(|source| Error::read(&self.path, source))?;
        Ok(Text::new(&self.path, &buffer.0[..n]))
    }

    /// Reads an attribute that a device need not have: `None` where the kernel says that it is
    /// not offered here or not to this user.
    pub(crate) fn offered<'a>(
        &'a mut self,
        buffer: &'a mut Buffer,
    ) -> Result<Option<Text<'a>>, Error> {
        match self.fill(&mut buffer.0) {
            Ok(n) => Ok(Some(Text::new(&self.path, &buffer.0[..n]))),
            Err(source) if not_offered(&source) => Ok(None),
            Err(source) => Err(Error::read(&self.path, source)),
        }
    }

    fn fill(&mut self, room: &mut Vec<u8>) -> io::Result<usize> {
        if let Some((file, _)) = &self.open {
            match contents(file, self.manner, room) {
                Err(error) if is_stale(&error) => self.open = None,
                done => return done,
            }
        }
        let file = fs::File::open(&self.path)?;
        let done = contents(&file, self.manner, room);
        // Kept even when it cannot be read now: the speed of a link that is down, for one.
        self.open = match self.manner {
            Manner::Listing => Some((file, None)),
            Manner::Attribute => self.root.lease().map(|lease| (file, Some(lease))),
            Manner::Replaced => None,
        };
        done
    }

    /// Whether the kernel promises that an open file holds what it held when it was read last.
    /// Only lists of mounts make this promise, and only for which mounts there are.
    pub(crate) fn is_unchanged(&self) -> bool {
        let Some((file, _)) = &self.open else {
            return false;
        };
        let mut polled = [PollFd::new(file, PollFlags::PRI)];
        let at_once = Timespec::default();
        let changed = PollFlags::PRI | PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        poll(&mut polled, Some(&at_once)).is_ok() && !polled[0].revents().intersects(changed)
    }
}

fn contents(file: &fs::File, manner: Manner, room: &mut Vec<u8>) -> io::Result<usize> {
    let mut n = 0;
    loop {
        if n == room.len() {
            if n >= MOST_BYTES {
                return Err(io::Error::new(ErrorKind::FileTooLarge, "more than 64 MiB"));
            }
            room.resize(n * 2, 0);
        }
        match file.read_at(&mut room[n..], n as u64) {
            Ok(0) => return Ok(n),
            Ok(read) => n += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if manner == Manner::Attribute && n < ATTRIBUTE_BYTES {
            return Ok(n);
        }
    }
}

/// The device behind an open attribute has gone; another may have taken its name.
fn is_stale(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ESTALE))
}

fn not_offered(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENOENT
                | libc::ENODEV
                | libc::ENXIO
                | libc::EINVAL
                | libc::EOPNOTSUPP
                | libc::EACCES
                | libc::EPERM
                | libc::ENODATA
                | libc::EISDIR
        )
    )
}

/// Reads `path` once and gives it to `parse`, for the typed face of a subject.
pub(crate) fn read_once<T>(
    path: &Path,
    parse: impl FnOnce(Text<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let bytes = fs::read(path).map_err(|source| Error::read(path, source))?;
    parse(Text::new(path, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_shows_what_is_in_it_now() {
        let tree = tempfile::tempdir().unwrap();
        let path = tree.path().join("value");
        fs::write(&path, "1\n").unwrap();
        let root = Root::new(tree.path());
        let mut buffer = Buffer::new();
        let mut file = File::attribute(&root, path.clone());
        assert_eq!(file.read(&mut buffer).unwrap().number("n").unwrap(), 1);
        fs::write(&path, "22\n").unwrap();
        assert_eq!(file.read(&mut buffer).unwrap().number("n").unwrap(), 22);

        let mut replaced = File::replaced(&root, path.clone());
        assert_eq!(replaced.read(&mut buffer).unwrap().number("n").unwrap(), 22);
        fs::write(tree.path().join("new"), "333\n").unwrap();
        fs::rename(tree.path().join("new"), &path).unwrap();
        assert_eq!(
            replaced.read(&mut buffer).unwrap().number("n").unwrap(),
            333
        );
    }

    #[test]
    fn a_listing_larger_than_the_buffer_is_read_whole() {
        let tree = tempfile::tempdir().unwrap();
        let path = tree.path().join("listing");
        let long = "x".repeat(3 * FIRST_ROOM + 5);
        fs::write(&path, &long).unwrap();
        let mut file = File::listing(&Root::new(tree.path()), path);
        let mut buffer = Buffer::new();
        assert_eq!(
            file.read(&mut buffer).unwrap().bytes().len(),
            3 * FIRST_ROOM + 5
        );
    }

    #[test]
    fn what_is_not_offered_is_told_from_what_fails() {
        let tree = tempfile::tempdir().unwrap();
        let root = Root::new(tree.path());
        let mut buffer = Buffer::new();
        let mut absent = File::attribute(&root, tree.path().join("absent"));
        assert!(absent.offered(&mut buffer).unwrap().is_none());
        assert!(absent.read(&mut buffer).unwrap_err().is_missing_file());
        let mut directory = File::attribute(&root, tree.path().to_owned());
        assert!(directory.offered(&mut buffer).unwrap().is_none());
    }
}
