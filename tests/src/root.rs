//! A tree of its own for one test: everything a program finds below `ROUNDSMAN_ROOT`.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{AgentCommand, Manager};

/// What tmpfiles.d makes on a real host, in a temporary directory that goes with the value:
/// `/run/roundsman/{bell,ticket,metrics,trigger}`, `/var/lib/roundsman/roundsman.db` (empty),
/// and an empty `/etc/roundsman`.
///
/// There is no `/proc` or `/sys` in it: link a fixture or the real one by [`Root::link`].
pub struct Root {
    dir: TempDir,
    sockets: Cell<u32>,
}

impl Default for Root {
    fn default() -> Self {
        Self::new()
    }
}

impl Root {
    /// A fresh tree.
    ///
    /// # Panics
    /// When the temporary directory cannot be written.
    #[track_caller]
    pub fn new() -> Self {
        let dir = match tempfile::Builder::new().prefix("roundsman-").tempdir() {
            Ok(dir) => dir,
            Err(error) => panic!("making a root tree: {error}"),
        };
        let root = Self {
            dir,
            sockets: Cell::new(0),
        };
        for (directory, mode) in [
            ("/run/roundsman", 0o2750),
            ("/run/roundsman/metrics", 0o3770),
            ("/run/roundsman/trigger", 0o2770),
            ("/var/lib/roundsman", 0o2770),
            ("/var/lib/roundsman/failed", 0o2770),
            ("/etc/roundsman", 0o755),
        ] {
            root.check(directory, fs::create_dir_all(root.at(directory)));
            root.mode(directory, mode);
        }
        for file in [
            "/run/roundsman/bell",
            "/run/roundsman/ticket",
            "/var/lib/roundsman/roundsman.db",
        ] {
            root.write(file, "");
            root.mode(file, 0o660);
        }
        root
    }

    /// The directory that stands for `/`.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// `path` (absolute) inside the tree.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.dir.path().join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The store's file.
    pub fn store(&self) -> PathBuf {
        self.at("/var/lib/roundsman/roundsman.db")
    }

    /// Writes a file, with the directories above it.
    #[track_caller]
    pub fn write(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) {
        let file = self.at(&path);
        if let Some(directory) = file.parent() {
            self.check(&path, fs::create_dir_all(directory));
        }
        self.check(&path, fs::write(&file, contents));
    }

    /// Reads a file.
    #[track_caller]
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        match fs::read_to_string(self.at(&path)) {
            Ok(text) => text,
            Err(error) => panic!("{} in the root tree: {error}", path.as_ref().display()),
        }
    }

    /// Sets the permission bits of a path.
    #[track_caller]
    pub fn mode(&self, path: impl AsRef<Path>, mode: u32) {
        let permissions = fs::Permissions::from_mode(mode);
        self.check(&path, fs::set_permissions(self.at(&path), permissions));
    }

    /// Puts a symbolic link to `target` (a path outside the tree, `/proc` for instance).
    #[track_caller]
    pub fn link(&self, path: impl AsRef<Path>, target: impl AsRef<Path>) {
        let link = self.at(&path);
        if let Some(directory) = link.parent() {
            self.check(&path, fs::create_dir_all(directory));
        }
        self.check(&path, symlink(target, &link));
    }

    /// Writes `/etc/roundsman/<name>.toml`; `name` is an agent's, or `common`.
    #[track_caller]
    pub fn config(&self, name: &str, toml: &str) {
        self.write(format!("/etc/roundsman/{name}.toml"), toml);
    }

    /// Gives the tree a clock that shows `millis` since the epoch and stands still, or sets it.
    #[track_caller]
    pub fn clock(&self, millis: i64) {
        self.write("/clock", millis.to_string());
    }

    /// A notify socket inside the tree; see [`AgentCommand::manager`].
    #[track_caller]
    pub fn manager(&self) -> Manager {
        let number = self.sockets.replace(self.sockets.get() + 1);
        match Manager::bind(self.at(format!("/notify-{number}"))) {
            Ok(manager) => manager,
            Err(error) => panic!("binding a notify socket: {error}"),
        }
    }

    /// The program `roundsman-<agent>`, set to live in this tree.
    #[track_caller]
    pub fn agent(&self, agent: &str) -> AgentCommand {
        AgentCommand::new(self, &format!("roundsman-{agent}"))
    }

    /// The command `roundsman`, set to live in this tree.
    #[track_caller]
    pub fn ctl(&self) -> AgentCommand {
        AgentCommand::new(self, "roundsman")
    }

    #[track_caller]
    fn check<T>(&self, path: impl AsRef<Path>, result: std::io::Result<T>) -> T {
        match result {
            Ok(value) => value,
            Err(error) => panic!("{} in the root tree: {error}", path.as_ref().display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_what_tmpfiles_makes() {
        let root = Root::new();
        let mode = |path: &str| fs::metadata(root.at(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode("/run/roundsman"), 0o2750);
        assert_eq!(mode("/run/roundsman/ticket"), 0o660);
        assert_eq!(fs::metadata(root.store()).unwrap().len(), 0);
        let path = root.path().to_owned();
        drop(root);
        assert!(!path.exists());
    }
}
