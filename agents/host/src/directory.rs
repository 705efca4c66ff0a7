//! Directories that are listed again at each scrape.

use std::fs;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use rustix::fs::{RawDir, SeekFrom, seek};

use crate::error::Error;

/// Room for the names of about 300 entries per system call.
const ENTRIES_ROOM: usize = 8 * 1024;

/// A directory of `/proc` or `/sys`, kept open.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    open: Option<fs::File>,
    /// The names as the kernel gave them last, each ended by a zero byte.
    listed: Vec<u8>,
    fresh: Vec<u8>,
    names: Vec<String>,
}

impl Directory {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            open: None,
            listed: Vec::new(),
            fresh: Vec::new(),
            names: Vec::new(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The names found by the last [`Self::refresh`], sorted; hidden ones are left out.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Lists the directory again and says whether it holds other names than before.
    pub(crate) fn refresh(&mut self) -> Result<bool, Error> {
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.clear();
        let listed = self.each(|name| {
            if !name.starts_with(b".") {
                fresh.extend_from_slice(name);
                fresh.push(0);
            }
        });
        let changed = listed.is_ok() && fresh != self.listed;
        if changed {
            std::mem::swap(&mut fresh, &mut self.listed);
            self.names = self
                .listed
                .split(|byte| *byte == 0)
                .filter(|name| !name.is_empty())
                .map(|name| String::from_utf8_lossy(name).into_owned())
                .collect();
            self.names.sort_by(|a, b| numbered(a).cmp(&numbered(b)));
        }
        self.fresh = fresh;
        listed.map(|()| changed)
    }

    /// Calls `seen` with the name of every entry.
    pub(crate) fn each(&mut self, seen: impl FnMut(&[u8])) -> Result<(), Error> {
        let result = match &self.open {
            Some(directory) => seek(directory, SeekFrom::Start(0))
                .map_err(Into::into)
                .and_then(|_| list(directory, seen)),
            None => fs::File::open(&self.path).and_then(|directory| {
                let done = list(&directory, seen);
                self.open = Some(directory);
                done
            }),
        };
        result.map_err(|source| {
            self.open = None;
            Error::read(&self.path, source)
        })
    }
}

fn list(directory: &fs::File, mut seen: impl FnMut(&[u8])) -> std::io::Result<()> {
    let mut room = [MaybeUninit::<u8>::uninit(); ENTRIES_ROOM];
    let mut entries = RawDir::new(directory, &mut room);
    while let Some(entry) = entries.next() {
        seen(entry?.file_name().to_bytes());
    }
    Ok(())
}

/// The entries of a directory once, sorted; none when it does not exist.
pub(crate) fn names_once(path: &Path) -> Result<Vec<String>, Error> {
    let mut directory = Directory::new(path.to_owned());
    match directory.refresh() {
        Ok(_) => Ok(directory.names),
        Err(error) if error.is_missing_file() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Sorts `cpu10` after `cpu9`.
fn numbered(name: &str) -> (&str, u64, &str) {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name[stem.len()..].parse().unwrap_or(0);
    (stem, number, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_noticed_and_numbers_sorted() {
        let tree = tempfile::tempdir().unwrap();
        for name in ["cpu10", "cpu9", "cpufreq", ".hidden"] {
            fs::write(tree.path().join(name), "").unwrap();
        }
        let mut directory = Directory::new(tree.path().to_owned());
        assert!(directory.refresh().unwrap());
        assert_eq!(directory.names(), ["cpu9", "cpu10", "cpufreq"]);
        assert!(!directory.refresh().unwrap());
        fs::remove_file(tree.path().join("cpu9")).unwrap();
        assert!(directory.refresh().unwrap());
        assert_eq!(directory.names(), ["cpu10", "cpufreq"]);
    }

    #[test]
    fn an_absent_directory_is_an_error_once_and_empty_for_a_reader() {
        let absent = Path::new("/nonexistent/x");
        assert!(
            Directory::new(absent.to_owned())
                .refresh()
                .unwrap_err()
                .is_missing_file()
        );
        assert!(names_once(absent).unwrap().is_empty());
    }
}
