//! Names of machines. A name tells whose the machine is, so that what a killed run has left can
//! be told from what is in use.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use super::cgroup::{self, Cgroups};

/// Every machine's name begins so, and so do its cgroups and its directory in [`RUN`].
const PREFIX: &str = "roundsman-nspawn-";
const RUN: &str = "/run";

/// The directory of a machine: its notify socket, and the mount point of its disk.
pub(super) fn run_dir(machine: &str) -> PathBuf {
    Path::new(RUN).join(machine)
}

/// A name that no other machine has, and that tells whose it is: prefix, then pid namespace,
/// process id and start time of the keeper, then a number.
pub(super) fn fresh() -> Result<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let pid = std::process::id();
    let started = start_time(pid).context("this process has no start time")?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Ok(format!("{PREFIX}{}-{pid}-{started}-{number}", namespace()?))
}

/// The pid namespace of this process: ids of another namespace say nothing here.
fn namespace() -> Result<u64> {
    Ok(fs::metadata("/proc/self/ns/pid")?.ino())
}

/// When a living process started, in clock ticks since boot: field 22 of `/proc/PID/stat`,
/// counted from behind the command name, which may hold anything.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    match fields.next()? {
        "Z" | "X" => None,
        _ => fields.nth(18)?.parse().ok(),
    }
}

/// Removes what killed runs have left: cgroups and directories whose keeper is gone. Every boot
/// begins with it.
pub fn sweep() {
    let mut places = cgroup::hierarchies();
    places.push(PathBuf::from(RUN));
    let mut names: Vec<String> = places
        .iter()
        .filter_map(|place| fs::read_dir(place).ok())
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_orphan(name))
        .collect();
    names.sort();
    names.dedup();
    for name in names {
        let dir = run_dir(&name);
        // Another run may be sweeping at the same moment; only what stays matters.
        drop(Cgroups::of(&name).remove());
        drop(fs::remove_dir_all(dir));
    }
}

fn is_orphan(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return false;
    };
    let mut parts = rest.split('-');
    let mut number = || parts.next()?.parse::<u64>().ok();
    let (Some(space), Some(pid), Some(started)) = (number(), number(), number()) else {
        return false;
    };
    namespace().is_ok_and(|own| own == space)
        && u32::try_from(pid).is_ok_and(|pid| start_time(pid) != Some(started))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_orphan_only_when_its_keeper_is_gone() {
        let own = fresh().unwrap();
        assert!(!is_orphan(&own));
        let (space, pid) = (namespace().unwrap(), std::process::id());
        assert!(is_orphan(&format!("{PREFIX}{space}-{pid}-0-1")));
        assert!(!is_orphan(&format!("{PREFIX}{}-{pid}-0-1", space + 1)));
        assert!(!is_orphan("system.slice"));
        assert!(!is_orphan(PREFIX));
    }
}
