//! Which files make up an agent's configuration, in which order.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Finding;

/// No configuration is larger; what is, is some other file.
const MOST_BYTES: u64 = 1024 * 1024;

/// The directories of one suite, lowest priority first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories(Vec<PathBuf>);

/// One file that takes part.
#[derive(Debug)]
pub struct Fragment {
    pub path: PathBuf,
    pub text: String,
    /// `common.toml` may hold only the keys that every agent knows.
    pub is_common: bool,
}

impl Directories {
    /// `/usr/lib/roundsman`, `/run/roundsman`, `/etc/roundsman`, all below `root`.
    ///
    /// The first one is beside the programs where they are installed under another prefix:
    /// `<prefix>/libexec/roundsman/roundsman-<agent>` reads `<prefix>/lib/roundsman`.
    pub fn under(root: &Path) -> Self {
        let vendor = installed_prefix().filter(|_| root == Path::new("/"));
        let vendor = vendor
            .unwrap_or_else(|| root.join("usr"))
            .join("lib/roundsman");
        Self(vec![
            vendor,
            root.join("run/roundsman"),
            root.join("etc/roundsman"),
        ])
    }

    /// Reads every file of `agent` that takes part, lowest priority first. What cannot be read
    /// is a finding, never a silent default.
    pub(super) fn read(
        &self,
        agent: &str,
        instance: Option<&str>,
    ) -> (Vec<Fragment>, Vec<Finding>) {
        let mut reader = Reader::default();
        for directory in self.descending() {
            reader.refuse_dangling(directory);
        }
        reader.read_main(self, "common", true);
        reader.read_main(self, agent, false);
        let unit = instance.map(|instance| format!("{agent}@{instance}"));
        if let Some(unit) = &unit {
            reader.read_main(self, unit, false);
        }
        for name in [Some(agent), unit.as_deref()].into_iter().flatten() {
            reader.read_drop_ins(self, name);
        }
        (reader.fragments, reader.findings)
    }

    /// Highest priority first.
    fn descending(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.iter().rev()
    }
}

/// `<prefix>` of an installed program: an agent lies in `<prefix>/libexec/roundsman`, the command
/// in `<prefix>/bin` beside it.
fn installed_prefix() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let directory = program.parent()?;
    let prefix = if directory.ends_with("libexec/roundsman") {
        directory.parent()?.parent()?
    } else {
        directory
            .parent()
            .filter(|prefix| prefix.join("libexec/roundsman").is_dir())?
    };
    Some(prefix.to_path_buf())
}

#[derive(Default)]
struct Reader {
    fragments: Vec<Fragment>,
    findings: Vec<Finding>,
}

impl Reader {
    fn read_main(&mut self, directories: &Directories, name: &str, is_common: bool) {
        for directory in directories.descending() {
            let path = directory.join(format!("{name}.toml"));
            if self.take(path, is_common) {
                return;
            }
        }
    }

    fn read_drop_ins(&mut self, directories: &Directories, name: &str) {
        let mut by_name: BTreeMap<OsString, PathBuf> = BTreeMap::new();
        for directory in directories.descending() {
            let drop_ins = directory.join(format!("{name}.d"));
            match list(&drop_ins) {
                Ok(paths) => {
                    for path in paths {
                        let name = path.file_name().unwrap_or_default().to_owned();
                        by_name.entry(name).or_insert(path);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.refuse_dangling(&drop_ins);
                }
                Err(error) => self.refuse(&drop_ins, &error),
            }
        }
        for path in by_name.into_values() {
            self.take(path, false);
        }
    }

    /// Takes one file; false if it does not exist.
    fn take(&mut self, path: PathBuf, is_common: bool) -> bool {
        match read(&path) {
            Ok(text) => self.fragments.push(Fragment {
                path,
                text,
                is_common,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.refuse_dangling(&path);
            }
            Err(error) => self.refuse(&path, &error),
        }
        true
    }

    /// A link to nothing is a mistake and no absence; true if `path` is one.
    fn refuse_dangling(&mut self, path: &Path) -> bool {
        let dangles = path.is_symlink() && !path.exists();
        if dangles {
            self.refuse(path, &io::Error::other("the link points nowhere"));
        }
        dangles
    }

    fn refuse(&mut self, path: &Path, error: &io::Error) {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "make it readable: files 0644, directories 0755; secrets belong in credentials"
            }
            io::ErrorKind::InvalidData => "save it as UTF-8",
            _ => "remove it or make it a readable file",
        };
        self.findings.push(Finding {
            file: path.display().to_string(),
            key: String::new(),
            reason: format!("cannot be read: {error}"),
            remedy: remedy.into(),
        });
    }
}

/// The text of a regular file. A link to `/dev/null` reads as empty, which is what masking
/// means; anything else could block, have no end, or do something when it is opened.
fn read(path: &Path) -> io::Result<String> {
    let found = fs::metadata(path)?;
    let (null, device) = ((1, 3), found.rdev());
    let device = (rustix::fs::major(device), rustix::fs::minor(device));
    if found.file_type().is_char_device() && device == null {
        return Ok(String::new());
    }
    if !found.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // Should it have become a pipe meanwhile, this does not wait for a writer.
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.cast_signed())
        .open(path)?;
    let mut text = String::new();
    file.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    // Some editors put a byte order mark in front.
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
}

fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            paths.push(path);
        }
    }
    Ok(paths)
}
