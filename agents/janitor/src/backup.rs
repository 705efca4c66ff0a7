//! The copy of each night, and the removal of the oldest ones.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use roundsman_kit::clock::Timestamp;
use roundsman_store::Store;

use crate::volume;

/// How our copies are called: `roundsman-20261120T180000Z.db`.
const PREFIX: &str = "roundsman-";
const SUFFIX: &str = ".db";

/// Why there is no new copy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory cannot be used.
    #[error(
        "{}: {source}; the directory must exist, belong to roundsman-janitor, and stand in \
         ReadWritePaths= of a drop-in of roundsman-janitor.service", path.display()
    )]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The copy would fill the file system.
    #[error("{}: there is no room for a copy of {bytes} bytes", path.display())]
    NoRoom {
        /// The directory.
        path: PathBuf,
        /// How large the copy would be.
        bytes: u64,
    },
    /// The store could not be copied.
    #[error(transparent)]
    Store(#[from] roundsman_store::Error),
}

/// Makes a copy in `directory` and then removes the oldest copies but `keep`.
///
/// # Errors
/// Why there is no new copy, or an old one stays.
pub fn back_up(
    store: &mut Store,
    directory: &Path,
    keep: usize,
    now: Timestamp,
) -> Result<PathBuf, Error> {
    let unusable = |source| Error::Directory {
        path: directory.to_path_buf(),
        source,
    };
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(unusable(error)),
        _ => {}
    }
    let bytes = store.space()?.used_bytes();
    if !volume::has_room(directory, bytes).map_err(unusable)? {
        return Err(Error::NoRoom {
            path: directory.to_path_buf(),
            bytes,
        });
    }
    let copy = directory.join(name(now));
    store.backup(&copy)?;
    rotate(directory, keep).map_err(unusable)?;
    Ok(copy)
}

/// The name says when, to the second and in UTC, so that names sort by time.
fn name(now: Timestamp) -> String {
    let stamp = now.to_second().to_string();
    let digits = stamp.split('.').next().unwrap_or(&stamp);
    let digits: String = digits.chars().filter(|c| !['-', ':'].contains(c)).collect();
    format!("{PREFIX}{digits}Z{SUFFIX}")
}

fn is_ours(name: &str) -> bool {
    const SHAPE: &str = "00000000T000000Z";
    let stamp = name
        .strip_prefix(PREFIX)
        .and_then(|name| name.strip_suffix(SUFFIX));
    stamp.is_some_and(|stamp| {
        let shape = stamp
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c });
        shape.eq(SHAPE.chars())
    })
}

fn rotate(directory: &Path, keep: usize) -> io::Result<()> {
    let mut copies = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        // What has another name is somebody else's.
        if name.to_str().is_some_and(is_ours) {
            copies.push(name);
        }
    }
    copies.sort_unstable();
    let too_many = copies.len().saturating_sub(keep);
    for copy in &copies[..too_many] {
        fs::remove_file(directory.join(copy))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_oldest_copies_of_ours_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let stamps = [1_795_197_600_123, 1_795_284_000_000, 1_795_370_400_000];
        let ours: Vec<String> = stamps.map(|at| name(Timestamp(at))).into();
        assert_eq!(ours[0], "roundsman-20261120T180000Z.db");
        let others = ["roundsman-old.db", "roundsman-20251120T180000Z.db.gz", "x"];
        for file in ours.iter().map(String::as_str).chain(others) {
            fs::write(directory.path().join(file), "").unwrap();
        }
        rotate(directory.path(), 2).unwrap();
        let left = |file: &str| directory.path().join(file).exists();
        assert_eq!(
            ours.iter().map(|f| left(f)).collect::<Vec<_>>(),
            [false, true, true]
        );
        assert!(others.iter().all(|file| left(file)));
    }
}
