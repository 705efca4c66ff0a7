//! Space on mounts, and traffic of the devices below them.

use std::collections::BTreeSet;

use roundsman_host::filesystem::{self as fs, Mount, View};
use roundsman_host::{Error, disk};
use serde_json::Map;

use super::{Gathering, put};
use crate::previous::rate;

/// A mount that cannot be entered or does not answer is unknown: neither gone nor empty. It is
/// counted and is no failure, because on some hosts that is how it is meant.
pub(super) fn filesystem(gathering: &mut Gathering<'_>) -> Result<(), Error> {
    let mounts = fs::read(gathering.host)?;
    if mounts.view == View::Own {
        // What a sandbox shows would be taken for the host's.
        let reason = "cannot read /proc/1/mountinfo, which alone has the host's mounts";
        gathering.lacks("filesystem", reason);
        return Ok(());
    }
    if mounts.malformed_lines > 0 {
        let reason = format!("{} malformed lines in mountinfo", mounts.malformed_lines);
        gathering.lacks("filesystem", &reason);
    } else {
        gathering.list(&["disk", "inodes"]);
    }
    let measure = gathering.measure;
    let mut measured = BTreeSet::new();
    for mount in mounts.list {
        // Two mounts of one path have the same figures: the path leads to one of them.
        if measure.keeps_mount(&mount.mount_point) && measured.insert(mount.mount_point.clone()) {
            mounted(gathering, mount);
        }
    }
    Ok(())
}

fn mounted(gathering: &mut Gathering<'_>, mount: Mount) {
    let Some(space) = mount.space() else {
        gathering.round.mounts_unreadable += 1;
        gathering.exists("disk", &mount.mount_point);
        gathering.exists("inodes", &mount.mount_point);
        return;
    };
    let (used, files_used) = (space.used_percent(), space.files_used_percent());
    let mut payload = Map::new();
    for (key, value) in [
        ("total", space.size),
        ("used", space.used()),
        ("free", space.available),
        ("files", space.files),
        ("files_free", space.files_free),
    ] {
        payload.insert(key.into(), value.into());
    }
    put(&mut payload, "used_percent", used);
    put(&mut payload, "files_used_percent", files_used);
    // A file system without a size, or one that makes inodes as needed, has nothing to fill.
    for (kind, percent, limit) in [
        ("disk", used, space.size),
        ("inodes", files_used, space.files),
    ] {
        if limit > 0 {
            gathering.exists(kind, &mount.mount_point);
        }
        // One that cannot be written cannot fill up, but what it was filled with is still there.
        if !mount.read_only {
            gathering.reading(kind, &mount.mount_point, percent);
        }
    }
    gathering
        .sample("disk")
        .insert(mount.mount_point, payload.into());
}

pub(super) fn io(gathering: &mut Gathering<'_>) -> Result<(), Error> {
    for device in disk::read(gathering.host)? {
        let counters = [device.read_bytes, device.written_bytes, device.busy_millis];
        let mut payload = Map::new();
        for (key, value) in [
            ("read_bytes", device.read_bytes),
            ("written_bytes", device.written_bytes),
            ("reads", device.reads),
            ("writes", device.writes),
        ] {
            payload.insert(key.into(), value.into());
        }
        let before = gathering
            .before
            .and_then(|(before, seconds)| Some((before.disks.get(&device.name)?, seconds)));
        if let Some((before, seconds)) = before {
            let since = |at: usize| rate(before[at], counters[at], seconds);
            put(&mut payload, "read_bytes_per_second", since(0));
            put(&mut payload, "written_bytes_per_second", since(1));
            put(
                &mut payload,
                "busy_percent",
                since(2).map(|millis| (millis / 10.0).min(100.0)),
            );
        }
        gathering
            .counters
            .disks
            .insert(device.name.clone(), counters);
        gathering
            .sample("disk_io")
            .insert(device.name, payload.into());
    }
    Ok(())
}
