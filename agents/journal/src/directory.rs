//! Which files there are.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::error::{Refused, Why};

/// More files than any host keeps.
const MOST_FILES: usize = 100_000;

/// Whose journals are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    roots: Vec<(PathBuf, bool)>,
    users: bool,
    namespaces: bool,
    remote: bool,
    pub(crate) counter: Option<PathBuf>,
}

impl Default for Sources {
    /// The journals of this host: system and users.
    fn default() -> Self {
        Self::none()
            .volatile("/run/log/journal")
            .persistent("/var/log/journal")
            .counter("/run/systemd/journal/seqnum")
    }
}

impl Sources {
    /// No directory yet.
    pub fn none() -> Self {
        Self {
            roots: Vec::new(),
            users: true,
            namespaces: false,
            remote: false,
            counter: None,
        }
    }

    /// Reads a directory such as `/var/log/journal`: its own files, and those of the directories
    /// in it that are named as journald names them.
    #[must_use]
    pub fn persistent(mut self, directory: impl Into<PathBuf>) -> Self {
        self.roots.push((directory.into(), false));
        self
    }

    /// The same for a directory whose files a flush moves into a persistent one.
    #[must_use]
    pub fn volatile(mut self, directory: impl Into<PathBuf>) -> Self {
        self.roots.push((directory.into(), true));
        self
    }

    /// Where journald shows its counter. It need not exist.
    #[must_use]
    pub fn counter(mut self, file: impl Into<PathBuf>) -> Self {
        self.counter = Some(file.into());
        self
    }

    /// Whether the journals of users are read, too. They are by default.
    #[must_use]
    pub fn users(mut self, yes: bool) -> Self {
        self.users = yes;
        self
    }

    /// Whether the journals of namespaces are read, too.
    #[must_use]
    pub fn namespaces(mut self, yes: bool) -> Self {
        self.namespaces = yes;
        self
    }

    /// Whether the journals that other hosts have sent here are read, too.
    #[must_use]
    pub fn remote(mut self, yes: bool) -> Self {
        self.remote = yes;
        self
    }

    /// Every directory that may hold journal files, whether it exists or not.
    pub(crate) fn directories(&self) -> Vec<Directory> {
        let mut found = Vec::new();
        for (root, is_volatile) in &self.roots {
            let directory = |path: PathBuf, family: String, is_mixed| Directory {
                path,
                family,
                is_mixed,
                is_volatile: *is_volatile,
            };
            found.push(directory(root.clone(), root.display().to_string(), false));
            let Ok(entries) = fs::read_dir(root) else {
                continue;
            };
            let mut names: Vec<String> = entries
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .filter(|name| self.takes_directory(name))
                .collect();
            names.sort();
            for name in names {
                let is_remote = name == "remote";
                found.push(directory(root.join(&name), name, is_remote));
            }
        }
        found
    }

    fn takes_directory(&self, name: &str) -> bool {
        let (machine, namespace) = match name.split_once('.') {
            Some((machine, _)) => (machine, true),
            None => (name, false),
        };
        let is_machine = machine.parse::<crate::Id>().is_ok();
        (is_machine && (!namespace || self.namespaces)) || (name == "remote" && self.remote)
    }

    /// The journal files of a directory.
    pub(crate) fn files(&self, directory: &Directory) -> Result<Vec<Listed>, Refused> {
        let refused = |error| Refused {
            path: directory.path.clone(),
            why: Why::from_io(error),
        };
        let entries = match fs::read_dir(&directory.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(refused)?,
        };
        let mut files = Vec::new();
        for entry in entries.take(MOST_FILES) {
            let entry = entry.map_err(refused)?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_journal(name)) else {
                continue;
            };
            let is_user = name.starts_with("user-");
            if is_user && !self.users {
                continue;
            }
            // Gone since the listing: nothing to read.
            let Ok(metadata) = fs::metadata(entry.path()) else {
                continue;
            };
            files.push(Listed {
                path: entry.path(),
                is_user,
                is_active: !name.ends_with('~') && !name.contains('@'),
                inode: (metadata.dev(), metadata.ino()),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }
}

fn is_journal(name: &str) -> bool {
    name.ends_with(".journal") || name.ends_with(".journal~")
}

/// A directory with journal files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory {
    pub path: PathBuf,
    /// Files of the same family were written by one journald: the machine, with its namespace.
    pub family: String,
    /// Its files have nothing to do with each other.
    pub is_mixed: bool,
    pub is_volatile: bool,
}

/// A file as a directory shows it.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub path: PathBuf,
    pub is_user: bool,
    /// By its name it is still being written.
    pub is_active: bool,
    pub inode: (u64, u64),
    /// Also moves when a file is renamed.
    pub changed: (i64, i64),
}
