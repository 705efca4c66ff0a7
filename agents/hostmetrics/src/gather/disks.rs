//! Space on mounts, and traffic of the devices below them.

use roundsman_host::{Error, disk, filesystem as fs};
use serde_json::Map;

use super::{Gathering, put};
use crate::previous::rate;

pub(super) fn filesystem(gathering: &mut Gathering<'_>) -> Result<(), Error> {
    let excluded = &gathering.measure.exclude_mounts;
    let mounts = fs::read(gathering.host)?;
    let measured = mounts.list.into_iter().filter(|mount| {
        !excluded
            .iter()
            .any(|prefix| mount.mount_point.starts_with(prefix))
    });
    let mut all_read = true;
    for mount in measured {
        // A mount that cannot be entered or does not answer is unknown, not gone and not empty.
        let Some(space) = mount.space() else {
            all_read = false;
            continue;
        };
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
        put(&mut payload, "used_percent", space.used_percent());
        put(
            &mut payload,
            "files_used_percent",
            space.files_used_percent(),
        );
        // A file system that cannot be written cannot fill up either.
        if !mount.read_only {
            gathering.reading("disk", &mount.mount_point, space.used_percent());
            gathering.reading("inodes", &mount.mount_point, space.files_used_percent());
        }
        gathering
            .sample("disk")
            .insert(mount.mount_point, payload.into());
    }
    if all_read {
        gathering.complete(&["disk", "inodes"]);
    }
    Ok(())
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
