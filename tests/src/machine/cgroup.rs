//! A cgroup of its own for each machine, in the unified hierarchy and, on hosts that still have
//! both, in systemd's named one. Without it the machines of one host would share `/payload`,
//! and the first shutdown would take the others along.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal};

const MOUNT: &str = "/sys/fs/cgroup";

/// The directories of one machine.
pub(super) struct Cgroups {
    pub(super) dirs: Vec<PathBuf>,
}

/// Where cgroups are made: the mount itself on a pure v2 host, the two hierarchies that
/// systemd uses on a hybrid one, nothing on a host without v2.
pub(super) fn hierarchies() -> Vec<PathBuf> {
    let mount = Path::new(MOUNT);
    if mount.join("cgroup.controllers").exists() {
        return vec![mount.to_owned()];
    }
    if !mount.join("unified/cgroup.controllers").exists() {
        return Vec::new();
    }
    ["systemd", "unified"]
        .map(|name| mount.join(name))
        .into_iter()
        .filter(|dir| dir.join("cgroup.procs").exists())
        .collect()
}

impl Cgroups {
    pub(super) fn of(machine: &str) -> Self {
        Self {
            dirs: hierarchies().iter().map(|dir| dir.join(machine)).collect(),
        }
    }

    /// Kills what runs in them and removes the directories.
    pub(super) fn remove(&self) -> Result<()> {
        // A killed process leaves its cgroup only when it has been reaped, and no event of both
        // hierarchies says so: the one place of this harness that has to try again.
        let until = Instant::now() + Duration::from_secs(10);
        for dir in &self.dirs {
            while let Err(error) = remove_tree(dir) {
                if Instant::now() >= until {
                    bail!("{} stays: {error}", dir.display());
                }
                kill_all(dir);
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }
}

/// Removes a cgroup and those below it; one that does not exist is removed.
fn remove_tree(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(dir)
}

fn kill_all(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.path().is_dir() {
            kill_all(&entry.path());
        }
    }
    for pid in fs::read_to_string(dir.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok().and_then(Pid::from_raw))
    {
        // It may have ended in the meantime.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}
