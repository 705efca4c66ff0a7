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
    let newest = name(now);
    let copy = directory.join(&newest);
    store.backup(&copy)?;
    rotate(directory, keep, &newest).map_err(unusable)?;
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

/// Removes the oldest copies but `keep`. One whose name is later than that of the `newest` was made
/// before the clock stepped back: by its name it would stay, and the newest go, for the whole step.
fn rotate(directory: &Path, keep: usize, newest: &str) -> io::Result<()> {
    let mut copies = Vec::new();
    for entry in fs::read_dir(directory)? {
        // What has another name is somebody else's.
        copies.extend(
            entry?
                .file_name()
                .into_string()
                .ok()
                .filter(|name| is_ours(name)),
        );
    }
    copies.sort_unstable_by(|one, other| {
        let is_past = |name: &str| name <= newest;
        (is_past(one), one).cmp(&(is_past(other), other))
    });
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
        rotate(directory.path(), 2, &ours[2]).unwrap();
        let left = |file: &str| directory.path().join(file).exists();
        assert_eq!(
            ours.iter().map(|f| left(f)).collect::<Vec<_>>(),
            [false, true, true]
        );
        assert!(others.iter().all(|file| left(file)));
    }

    #[test]
    fn after_a_step_back_the_newest_copy_stays_and_those_of_the_future_go_first() {
        let directory = tempfile::tempdir().unwrap();
        let days =
            [0, 1, 2, 9, 10].map(|day| name(Timestamp(1_795_197_600_000 + day * 86_400_000)));
        for file in &days {
            fs::write(directory.path().join(file), "").unwrap();
        }
        rotate(directory.path(), 3, &days[2]).unwrap();
        let left = |file: &String| directory.path().join(file).exists();
        let left: Vec<_> = days.iter().map(left).collect();
        assert_eq!(left, [true, true, true, false, false]);
    }
}
