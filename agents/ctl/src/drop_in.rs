//! Drop-ins in `/etc/systemd/system` that the command writes for a person, and removes again.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use roundsman_kit::{Class, Fault, Paths, atomic};

use crate::host::Host;
use crate::terminal::Out;

const DIRECTORY: &str = "/etc/systemd/system";

/// One drop-in of one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropIn {
    path: PathBuf,
}

impl DropIn {
    /// The drop-in `name` (with its `.conf`) of `unit`.
    pub fn of(paths: &Paths, unit: &str, name: &str) -> Self {
        let directory = paths.at(DIRECTORY).join(format!("{unit}.d"));
        Self {
            path: directory.join(name),
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it; everybody may read it.
    pub fn write(&self, text: &str) -> anyhow::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        make_directory(directory, 0o755)?;
        write_file(&self.path, text.as_bytes(), 0o644)
    }

    /// Removes it, and its directory if nothing else is in there; false if it was not there.
    pub fn remove(&self) -> anyhow::Result<bool> {
        let removed = remove_file(&self.path)?;
        if let Some(directory) = self.path.parent() {
            // It stays when others have drop-ins in it.
            let _ = fs::remove_dir(directory);
        }
        Ok(removed)
    }
}

/// Makes systemd read the changed files. A tree is read by its systemd when it boots.
pub fn reload(host: &Host, out: &mut Out) -> anyhow::Result<()> {
    use std::io::Write;
    match host.manager() {
        Ok(manager) => manager.reload(),
        Err(absent) if host.is_live() => Err(absent.context(
            "the file is written, but systemd has not read it: run systemctl daemon-reload",
        )),
        Err(_) => {
            let root = host.paths().root().display();
            writeln!(out, "systemd in {root} reads it when it starts")?;
            Ok(())
        }
    }
}

/// Makes a directory with `mode`, and those above it with the usual one; what exists stays.
pub fn make_directory(path: &Path, mode: u32) -> anyhow::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let made = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::DirBuilder::new().mode(mode).create(path));
    made.map_err(|error| refused(path, error))
}

/// Replaces a file whole.
pub fn write_file(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    atomic::write(path, bytes, mode).map_err(|error| refused(path, error))
}

/// Removes a file; false if there was none.
pub fn remove_file(path: &Path) -> anyhow::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(refused(path, error)),
    }
}

fn refused(path: &Path, error: io::Error) -> anyhow::Error {
    let (class, remedy) = match error.kind() {
        io::ErrorKind::PermissionDenied => (Class::Config, " (run this as root)"),
        io::ErrorKind::ReadOnlyFilesystem => (
            Class::Config,
            " (it is read-only here; on NixOS declare it in services.roundsman)",
        ),
        _ => (Class::Unavailable, ""),
    };
    let fault = Fault {
        class,
        message: format!("{} cannot be written{remedy}", path.display()),
        source: Some(error.into()),
    };
    fault.into()
}
