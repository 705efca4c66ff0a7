//! The files and directories that tmpfiles.d makes, and the accounts that sysusers.d makes.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::process::{getegid, geteuid, getgroups};

use super::{Part, Report, Surroundings};
use crate::accounts::{self, Group};

const GROUP: &str = "roundsman";
const TMPFILES: &str = "systemd-tmpfiles --create roundsman.conf (as root)";

/// What must hold of one path.
struct Wanted {
    path: &'static str,
    is_directory: bool,
    /// Bits that must be set: what the group needs.
    needs: u32,
}

/// `units/tmpfiles.d/roundsman.conf`, without the store, whose place is configured.
const WANTED: [Wanted; 5] = [
    Wanted {
        path: "/run/roundsman",
        is_directory: true,
        needs: 0o2050,
    },
    Wanted {
        path: "/run/roundsman/bell",
        is_directory: false,
        needs: 0o060,
    },
    Wanted {
        path: "/run/roundsman/ticket",
        is_directory: false,
        needs: 0o060,
    },
    Wanted {
        path: "/run/roundsman/metrics",
        is_directory: true,
        needs: 0o3070,
    },
    Wanted {
        path: "/run/roundsman/trigger",
        is_directory: true,
        needs: 0o2070,
    },
];

/// What others must not have anywhere.
const OTHERS: u32 = 0o007;

/// Looks at them all.
pub fn check(around: &Surroundings, report: &mut Report) {
    let group = accounts::group(around.host.paths(), GROUP);
    match &group {
        Some(group) => membership(group, around, report),
        None => report.found(
            Part::Account,
            ("/etc/group", GROUP),
            "there is no group roundsman, which all agents share",
            "systemd-sysusers (as root)",
        ),
    }
    for wanted in WANTED {
        path(around, &wanted, group.as_ref(), report);
    }
    match around.host.location() {
        Ok(location) => store(location.db(), group.as_ref(), report),
        // The configuration is refused: that is a finding of its own.
        Err(failure) => report.found(
            Part::Config,
            ("", ""),
            format!("{failure:#}"),
            "correct common.toml",
        ),
    }
}

/// Whether whoever runs this can see everything.
fn membership(group: &Group, around: &Surroundings, report: &mut Report) {
    if !around.host.is_live() {
        return;
    }
    let groups = getgroups().unwrap_or_default();
    let is_member = geteuid().is_root()
        || getegid().as_raw() == group.gid
        || groups.iter().any(|own| own.as_raw() == group.gid);
    if is_member {
        report.sound(Part::Account, "group roundsman");
    } else {
        let reason = "you are not in the group roundsman: sudo usermod -aG roundsman \"$USER\", \
                      then log in again";
        report.unchecked(Part::Account, "store and run files", reason);
    }
}

fn path(around: &Surroundings, wanted: &Wanted, group: Option<&Group>, report: &mut Report) {
    let path = around.host.paths().at(wanted.path);
    if let Some(wrong) = judge(&path, wanted.is_directory, wanted.needs, group, report) {
        report.found(
            Part::File,
            (path.display().to_string(), ""),
            wrong,
            TMPFILES,
        );
    }
}

/// The store's file, and its directory, where SQLite makes files of its own.
fn store(db: &Path, group: Option<&Group>, report: &mut Report) {
    let directory = db.parent().unwrap_or(Path::new("/"));
    for (path, is_directory, needs) in [(directory, true, 0o2070), (db, false, 0o060)] {
        if let Some(wrong) = judge(path, is_directory, needs, group, report) {
            let shown = path.display().to_string();
            let mode = if is_directory { "2770" } else { "0660" };
            let remedy = format!("chown root:roundsman {shown}; chmod {mode} {shown}");
            report.found(Part::File, (shown, ""), wrong, remedy);
        }
    }
}

/// What is wrong with the owner, the mode or the type of `path`.
fn judge(
    path: &Path,
    is_directory: bool,
    needs: u32,
    group: Option<&Group>,
    report: &mut Report,
) -> Option<String> {
    let about = path.display().to_string();
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Some("it is missing".to_owned());
        }
        Err(error) => {
            report.unchecked(Part::File, about, format!("{error}; run this as root"));
            return None;
        }
    };
    let kind = metadata.file_type();
    let mode = metadata.mode() & 0o7777;
    if is_directory != kind.is_dir() || kind.is_symlink() || kind.is_socket() {
        let kind = if is_directory { "directory" } else { "file" };
        return Some(format!("it is not a {kind}"));
    }
    if group.is_some_and(|group| group.gid != metadata.gid()) {
        let gid = metadata.gid();
        return Some(format!(
            "it belongs to the group with the id {gid}, not to roundsman"
        ));
    }
    if mode & needs != needs {
        return Some(format!(
            "mode {mode:04o} keeps the group out: at least {needs:04o} is needed"
        ));
    }
    if mode & OTHERS != 0 {
        return Some(format!("mode {mode:04o} lets everybody in"));
    }
    report.sound(Part::File, about);
    None
}
