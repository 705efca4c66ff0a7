//! `.prom` files: what oneshots of the suite leave in `/run/roundsman/metrics`, and what any other
//! program leaves in a configured directory (node_exporter's textfile convention).
//!
//! A file is read again only when it has changed. One that is malformed, too large, not a regular
//! file, or older than allowed costs its own families and nothing else; so do those beyond what
//! all of them may hold.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use roundsman_host::exposition::parse::Limits;
use roundsman_kit::clock::Timestamp;
use rustix::fs::OFlags;

use crate::family::{self, Family, Unfit};

/// How many samples all files may hold: twice what one may.
const SAMPLES: usize = 100_000;

/// How many files are looked at.
const FILES: usize = 1000;

/// The files of all directories.
#[derive(Debug, Default)]
pub struct Textfiles {
    files: BTreeMap<PathBuf, Textfile>,
    /// Directories that cannot be read, and why.
    pub unreadable: Vec<(PathBuf, io::Error)>,
}

/// One file, as it was last seen.
#[derive(Debug)]
pub struct Textfile {
    /// The path as it is shown, which is a different one for each file.
    pub label: String,
    /// When it was last written.
    pub written: Timestamp,
    /// Whether that is too long ago, or as far in the future.
    pub is_stale: bool,
    /// Whether the files before it hold as much as is shown.
    pub is_beyond: bool,
    /// What it holds.
    pub families: Result<Vec<Family>, Fault>,
    state: State,
    seen: bool,
}

/// What tells two contents of a file apart.
#[derive(Debug, PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// Why a file is not shown.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("is not a regular file")]
    NotAFile,
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
    #[error("{0}")]
    Unfit(#[from] Unfit),
}

impl Textfile {
    /// The families to show: none of a stale file.
    pub fn shown(&self) -> &[Family] {
        match &self.families {
            Ok(families) if !self.is_stale && !self.is_beyond => families,
            _ => &[],
        }
    }

    fn samples(&self) -> usize {
        self.shown().iter().map(Family::len).sum()
    }
}

impl Textfiles {
    /// Looks at every file. `root` is the prefix below which the directories lie; it is not
    /// part of the paths that are shown.
    pub fn scan(
        &mut self,
        root: &Path,
        directories: &[PathBuf],
        max_age: Duration,
        size: u64,
        now: Timestamp,
    ) {
        self.unreadable.clear();
        self.files.values_mut().for_each(|file| file.seen = false);
        let mut room = FILES;
        for directory in directories {
            let place = root.join(directory.strip_prefix("/").unwrap_or(directory));
            if let Err(error) = self.directory(&place, directory, size, &mut room) {
                self.unreadable.push((directory.clone(), error));
            }
        }
        self.files.retain(|_, file| file.seen);
        let mut left = SAMPLES;
        for file in self.files.values_mut() {
            // A clock that was wrong when the file was written says nothing about its age.
            let distance = now.since(file.written).max(file.written.since(now));
            file.is_stale = distance > max_age;
            file.is_beyond = false;
            match left.checked_sub(file.samples()) {
                Some(less) => left = less,
                None => file.is_beyond = true,
            }
        }
    }

    /// Whether a file or a directory could not be read.
    pub fn has_error(&self) -> bool {
        let is_bad = |file: &Textfile| file.families.is_err() || file.is_beyond;
        !self.unreadable.is_empty() || self.files().any(is_bad)
    }

    /// The files that are there, by path.
    pub fn files(&self) -> impl Iterator<Item = &Textfile> {
        self.files.values()
    }

    fn directory(
        &mut self,
        place: &Path,
        shown: &Path,
        size: u64,
        room: &mut usize,
    ) -> io::Result<()> {
        for entry in fs::read_dir(place)? {
            let name = entry?.file_name();
            if Path::new(&name)
                .extension()
                .is_none_or(|suffix| suffix != "prom")
            {
                continue;
            }
            let less = room.checked_sub(1).ok_or_else(too_many)?;
            *room = less;
            let path = place.join(&name);
            let known = self.files.get_mut(&path);
            // Removed since the directory was read: nothing is wrong.
            let Ok(metadata) = fs::metadata(&path) else {
                if fs::symlink_metadata(&path).is_ok() {
                    let missing = io::ErrorKind::NotFound.into();
                    let file = Textfile::unread(&shown.join(&name), Fault::Io(missing));
                    self.files.insert(path, file);
                }
                continue;
            };
            let state = State::of(&metadata);
            match known.filter(|file| file.state == state) {
                Some(file) => file.seen = true,
                None => {
                    let file = Textfile::read(&path, &shown.join(&name), &metadata, size);
                    self.files.insert(path, file);
                }
            }
        }
        Ok(())
    }
}

impl State {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Textfile {
    fn read(path: &Path, shown: &Path, metadata: &fs::Metadata, size: u64) -> Self {
        Self {
            label: label(shown),
            written: written(metadata),
            is_stale: false,
            is_beyond: false,
            families: families(path, size),
            state: State::of(metadata),
            seen: true,
        }
    }

    /// One whose metadata could not be read or was not asked for.
    fn unread(shown: &Path, fault: Fault) -> Self {
        Self {
            label: label(shown),
            written: Timestamp(i64::MAX),
            is_stale: false,
            is_beyond: false,
            families: Err(fault),
            state: State {
                device: 0,
                inode: 0,
                size: 0,
                changed: (0, 0),
            },
            seen: true,
        }
    }
}

fn too_many() -> io::Error {
    io::Error::other(format!("no more than {FILES} files are read"))
}

/// The path in printable characters: what is none is shown by its bytes, and a backslash as two,
/// so that two paths never look the same.
fn label(path: &Path) -> String {
    let mut label = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\\' => label.push_str("\\\\"),
                char if char.is_control() => label.extend(char.escape_unicode()),
                char => label.push(char),
            }
        }
        for byte in chunk.invalid() {
            label.push_str(&format!("\\x{byte:02x}"));
        }
    }
    label
}

fn written(metadata: &fs::Metadata) -> Timestamp {
    let millis = metadata.mtime().saturating_mul(1000);
    Timestamp(millis.saturating_add(metadata.mtime_nsec() / 1_000_000))
}

fn families(path: &Path, size: u64) -> Result<Vec<Family>, Fault> {
    let file = open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Fault::NotAFile);
    }
    let mut bytes = Vec::new();
    file.take(size + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > size {
        return Err(Fault::TooLarge(size));
    }
    let limits = Limits {
        bytes: bytes.len(),
        ..Limits::default()
    };
    Ok(family::read(&bytes, &limits)?)
}

/// Opens without waiting: somebody may have put a FIFO there.
fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.cast_signed())
        .open(path)
}

#[cfg(test)]
mod tests;
