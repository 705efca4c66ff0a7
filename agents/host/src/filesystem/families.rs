//! The families of mounted file systems.

use std::collections::HashSet;

use super::Mount;
use crate::calls::Space;
use crate::exposition::{self, Page, Value};

type Family = (&'static str, &'static str, fn(&Space) -> u64);

const SPACES: [Family; 5] = [
    (
        "node_filesystem_size_bytes",
        "Size of the file system, in bytes.",
        |space| space.size,
    ),
    (
        "node_filesystem_free_bytes",
        "Bytes of the file system that are not used.",
        |space| space.free,
    ),
    (
        "node_filesystem_avail_bytes",
        "Bytes of the file system that are not used and that anyone may use.",
        |space| space.available,
    ),
    (
        "node_filesystem_files",
        "Inodes of the file system.",
        |space| space.files,
    ),
    (
        "node_filesystem_files_free",
        "Inodes of the file system that are not used.",
        |space| space.files_free,
    ),
];

/// Writes the families of all mounts.
pub(super) fn write(mounts: &[Mount], page: &mut Page) {
    let unique = unique(mounts);
    let mut family = page.gauge(
        "node_filesystem_device_error",
        "Whether the figures of the file system could not be had: 1 yes, 0 no.",
    );
    for mount in &unique {
        let failed = mount.space().is_none();
        sample(&mut family, mount, mount.status.why(), failed);
    }
    let mut family = page.gauge(
        "node_filesystem_readonly",
        "Whether the file system cannot be written to through this mount: 1 yes, 0 no.",
    );
    for mount in &unique {
        sample(&mut family, mount, mount.status.why(), mount.read_only);
    }
    for (name, help, value) in SPACES {
        let mut family = page.gauge(name, help);
        for mount in &unique {
            if let Some(space) = mount.space() {
                sample(&mut family, mount, "", value(space));
            }
        }
    }
    let mut family = page.gauge(
        "node_filesystem_mount_info",
        "Where the device is mounted; always 1.",
    );
    for mount in unique.iter().filter(|mount| mount.space().is_some()) {
        let (major, minor) = (mount.major.to_string(), mount.minor.to_string());
        let labels = [
            ("device", &*mount.device),
            ("major", &major),
            ("minor", &minor),
            ("mountpoint", &mount.mount_point),
        ];
        family.sample(&labels, 1_u64);
    }
}

fn sample(
    family: &mut exposition::Family<'_>,
    mount: &Mount,
    device_error: &str,
    value: impl Into<Value>,
) {
    let labels = [
        ("device", &*mount.device),
        ("mountpoint", &mount.mount_point),
        ("fstype", &mount.fs_type),
        ("device_error", device_error),
    ];
    family.sample(&labels, value);
}

/// Each series once.
fn unique(mounts: &[Mount]) -> Vec<&Mount> {
    let mut seen = HashSet::new();
    mounts
        .iter()
        .filter(|mount| seen.insert((&mount.device, &mount.mount_point, &mount.fs_type)))
        .collect()
}
