//! Which mounts, disks and interfaces are shown. The defaults are those of node_exporter 1.12.

use serde::Deserialize;

/// What is left out. In a pattern `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filters {
    /// Patterns of mount points; what lies below a match is left out too.
    pub mount_points_exclude: Vec<String>,
    /// Types of file systems.
    pub fs_types_exclude: Vec<String>,
    /// Patterns of block devices, in addition to partitions, RAM disks, loop devices and floppies.
    pub disks_exclude: Vec<String>,
    /// Patterns of network interfaces.
    pub interfaces_exclude: Vec<String>,
}

const MOUNT_POINTS: [&str; 6] = [
    "/dev",
    "/proc",
    "/run/credentials/*",
    "/sys",
    "/var/lib/docker/*",
    "/var/lib/containers/storage/*",
];

const FS_TYPES: [&str; 25] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
];

impl Default for Filters {
    fn default() -> Self {
        Self {
            mount_points_exclude: MOUNT_POINTS.map(String::from).to_vec(),
            fs_types_exclude: FS_TYPES.map(String::from).to_vec(),
            disks_exclude: Vec::new(),
            interfaces_exclude: Vec::new(),
        }
    }
}

impl Filters {
    /// Whether the file system mounted there is shown.
    pub(crate) fn keeps_mount(&self, mount_point: &str, fs_type: &str) -> bool {
        !self.fs_types_exclude.iter().any(|hidden| hidden == fs_type)
            && !self
                .mount_points_exclude
                .iter()
                .any(|hidden| is_at_or_below(mount_point, hidden))
    }

    /// Whether the block device is shown.
    pub(crate) fn keeps_disk(&self, device: &str) -> bool {
        !is_part_or_pseudo_disk(device) && !any_matches(&self.disks_exclude, device)
    }

    /// Whether the network interface is shown.
    pub(crate) fn keeps_interface(&self, device: &str) -> bool {
        !any_matches(&self.interfaces_exclude, device)
    }
}

fn any_matches(patterns: &[String], name: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
}

/// Whether some leading part of `path`, cut at a slash or whole, matches the pattern.
fn is_at_or_below(path: &str, pattern: &str) -> bool {
    let cuts = path.match_indices('/').map(|(at, _)| at).skip(1);
    cuts.chain([path.len()])
        .any(|at| matches(pattern.as_bytes(), &path.as_bytes()[..at]))
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|from| matches(rest, &name[from..])),
        Some((first, rest)) => name
            .split_first()
            .is_some_and(|(byte, name)| byte == first && matches(rest, name)),
    }
}

/// Partitions (`sda1`, `nvme0n1p2`), RAM disks, loop devices and floppies: their figures are
/// either part of their disk's, or of no interest.
fn is_part_or_pseudo_disk(device: &str) -> bool {
    let stem = device.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == device.len() {
        return false;
    }
    if matches!(stem, "ram" | "zram" | "loop" | "fd") {
        return true;
    }
    let letter = |rest: &str| matches!(rest.as_bytes(), [b'a'..=b'z']);
    if ["hd", "sd", "vd", "xvd"]
        .iter()
        .any(|bus| stem.strip_prefix(bus).is_some_and(letter))
    {
        return true;
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    stem.strip_prefix("nvme")
        .and_then(|rest| rest.strip_suffix('p'))
        .and_then(|rest| rest.split_once('n'))
        .is_some_and(|(controller, namespace)| digits(controller) && digits(namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_mounts_are_those_of_node_exporter() {
        let filters = Filters::default();
        let kept = |path, kind| filters.keeps_mount(path, kind);
        for path in [
            "/",
            "/home",
            "/devel",
            "/run",
            "/run/credentials",
            "/var/lib/docker",
        ] {
            assert!(kept(path, "ext4"), "{path}");
        }
        for path in [
            "/dev",
            "/dev/shm",
            "/proc/sys/fs",
            "/sys/fs/cgroup",
            "/run/credentials/x.service",
            "/run/credentials/x.service/deep",
            "/var/lib/docker/overlay2/abc/merged",
            "/var/lib/containers/storage/overlay",
        ] {
            assert!(!kept(path, "ext4"), "{path}");
        }
        assert!(!kept("/", "overlay"));
        assert!(!kept("/", "erofs"));
        assert!(kept("/", "tmpfs"));
    }

    #[test]
    fn whole_disks_are_kept_and_their_parts_are_not() {
        let filters = Filters {
            disks_exclude: vec!["dm-*".into()],
            ..Filters::default()
        };
        for disk in [
            "sda",
            "vdb",
            "nvme0n1",
            "md0",
            "mmcblk0",
            "mmcblk0p1",
            "sdaa1",
            "sr0",
        ] {
            assert!(filters.keeps_disk(disk), "{disk}");
        }
        for part in [
            "sda1",
            "xvdf12",
            "nvme0n1p2",
            "ram0",
            "zram0",
            "loop7",
            "fd0",
            "dm-3",
        ] {
            assert!(!filters.keeps_disk(part), "{part}");
        }
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        let filters = Filters {
            interfaces_exclude: vec!["veth*".into(), "br-*x".into()],
            ..Filters::default()
        };
        assert!(!filters.keeps_interface("veth"));
        assert!(!filters.keeps_interface("vethab12"));
        assert!(!filters.keeps_interface("br-12x"));
        assert!(filters.keeps_interface("br-12"));
        assert!(filters.keeps_interface("eth0"));
    }
}
