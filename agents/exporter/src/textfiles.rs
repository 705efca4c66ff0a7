//! `.prom` files: what oneshots of the suite leave in `/run/roundsman/metrics`, and what any other
//! program leaves in a configured directory (node_exporter's textfile convention).
//!
//! A file is read again only when it has changed. One that is malformed, too large, not a regular
//! file, or older than allowed costs its own families and nothing else.

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
    /// The path as it is shown.
    pub label: String,
    /// When it was last written.
    pub written: Timestamp,
    /// Whether that is too long ago.
    pub is_stale: bool,
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
            Ok(families) if !self.is_stale => families,
            _ => &[],
        }
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
        for directory in directories {
            let place = root.join(directory.strip_prefix("/").unwrap_or(directory));
            if let Err(error) = self.directory(&place, directory, size) {
                self.unreadable.push((directory.clone(), error));
            }
        }
        self.files.retain(|_, file| file.seen);
        for file in self.files.values_mut() {
            file.is_stale = now.since(file.written) > max_age;
        }
    }

    /// Whether a file or a directory could not be read.
    pub fn has_error(&self) -> bool {
        !self.unreadable.is_empty() || self.files().any(|file| file.families.is_err())
    }

    /// The files that are there, by path.
    pub fn files(&self) -> impl Iterator<Item = &Textfile> {
        self.files.values()
    }

    fn directory(&mut self, place: &Path, shown: &Path, size: u64) -> io::Result<()> {
        for entry in fs::read_dir(place)? {
            let name = entry?.file_name();
            if Path::new(&name)
                .extension()
                .is_none_or(|suffix| suffix != "prom")
            {
                continue;
            }
            let path = place.join(&name);
            let known = self.files.get_mut(&path);
            // Removed since the directory was read: nothing is wrong.
            let Ok(metadata) = fs::metadata(&path) else {
                if fs::symlink_metadata(&path).is_ok() {
                    self.files
                        .insert(path, Textfile::broken(&shown.join(&name)));
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
            label: shown.to_string_lossy().into_owned(),
            written: written(metadata),
            is_stale: false,
            families: families(path, size),
            state: State::of(metadata),
            seen: true,
        }
    }

    /// A link that leads nowhere.
    fn broken(shown: &Path) -> Self {
        Self {
            label: shown.to_string_lossy().into_owned(),
            written: Timestamp(i64::MAX),
            is_stale: false,
            families: Err(Fault::Io(io::ErrorKind::NotFound.into())),
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
mod tests {
    use super::*;
    use std::time::SystemTime;

    struct Dir {
        root: tempfile::TempDir,
        textfiles: Textfiles,
    }

    impl Dir {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join("d")).unwrap();
            Self {
                root,
                textfiles: Textfiles::default(),
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.root.path().join("d").join(name)
        }

        fn write(&self, name: &str, text: &str) {
            let temporary = self.root.path().join("new");
            fs::write(&temporary, text).unwrap();
            fs::rename(temporary, self.path(name)).unwrap();
        }

        /// Each file with the names of its families, or what is wrong with it.
        fn scan(&mut self) -> Vec<(String, String)> {
            let (age, now) = (Duration::from_secs(3600), SystemTime::now().into());
            let root = self.root.path().to_owned();
            self.textfiles.scan(&root, &["/d".into()], age, 64, now);
            let shown = |file: &Textfile| match &file.families {
                Ok(_) if file.is_stale => "stale".to_owned(),
                Ok(_) => file.shown().iter().map(|family| &*family.name).collect(),
                Err(fault) => fault.to_string(),
            };
            let files = self.textfiles.files();
            files
                .map(|file| (file.label.clone(), shown(file)))
                .collect()
        }
    }

    fn pair(label: &str, shown: &str) -> (String, String) {
        (label.to_owned(), shown.to_owned())
    }

    #[test]
    fn each_file_stands_for_itself() {
        let mut dir = Dir::new();
        dir.write("a.prom", "a 1\n");
        dir.write("b.prom", "b 1 5\n");
        dir.write("c.prom", &"c 1\n".repeat(20));
        dir.write("d.prom.tmp", "d 1\n");
        fs::create_dir(dir.path("e.prom")).unwrap();
        std::os::unix::fs::symlink("/nowhere", dir.path("f.prom")).unwrap();
        let socket = std::os::unix::net::UnixListener::bind(dir.path("g.prom"));
        socket.unwrap();
        let seen = dir.scan();
        let told = |at: usize| (seen[at].0.as_str(), seen[at].1.as_str());
        assert_eq!(told(0), ("/d/a.prom", "a"));
        assert_eq!(told(1), ("/d/b.prom", "b has a timestamp"));
        assert_eq!(told(2), ("/d/c.prom", "is larger than 64 bytes"));
        assert_eq!(told(3), ("/d/e.prom", "is not a regular file"));
        assert_eq!(seen[4].0, "/d/f.prom");
        assert_eq!(seen[5].0, "/d/g.prom");
        assert_eq!(seen.len(), 6);
    }

    #[test]
    fn a_fifo_does_not_block() {
        let mut dir = Dir::new();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, dir.path("a.prom"), kind, mode, 0).unwrap();
        assert_eq!(dir.scan(), [pair("/d/a.prom", "is not a regular file")]);
    }

    #[test]
    fn a_file_is_followed_through_change_age_and_removal() {
        let mut dir = Dir::new();
        dir.write("a.prom", "a 1\n");
        assert_eq!(dir.scan(), [pair("/d/a.prom", "a")]);
        dir.write("a.prom", "b 1\n");
        assert_eq!(
            dir.scan(),
            [pair("/d/a.prom", "b")],
            "same size, same second"
        );
        let long_ago = SystemTime::now() - Duration::from_secs(7200);
        let file = File::options()
            .write(true)
            .open(dir.path("a.prom"))
            .unwrap();
        file.set_modified(long_ago).unwrap();
        assert_eq!(dir.scan(), [pair("/d/a.prom", "stale")]);
        assert!(dir.textfiles.files().all(|file| file.shown().is_empty()));
        fs::remove_file(dir.path("a.prom")).unwrap();
        assert_eq!(dir.scan(), []);
        assert!(dir.textfiles.unreadable.is_empty());
        fs::remove_dir(dir.root.path().join("d")).unwrap();
        assert_eq!(dir.scan(), []);
        assert_eq!(dir.textfiles.unreadable.len(), 1);
    }
}
