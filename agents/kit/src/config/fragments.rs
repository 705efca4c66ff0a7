//! Which files make up an agent's configuration, in which order.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Finding;

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
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.refuse(&drop_ins, &error),
            }
        }
        for path in by_name.into_values() {
            self.take(path, false);
        }
    }

    /// Takes one file; false if it does not exist. A link to `/dev/null` reads as empty, which
    /// is what masking means.
    fn take(&mut self, path: PathBuf, is_common: bool) -> bool {
        match fs::read_to_string(&path) {
            Ok(text) => self.fragments.push(Fragment {
                path,
                text,
                is_common,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return path.is_symlink() && {
                    self.refuse(&path, &io::Error::other("the link points nowhere"));
                    true
                };
            }
            Err(error) => self.refuse(&path, &error),
        }
        true
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
