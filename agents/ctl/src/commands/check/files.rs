//! The files and directories that tmpfiles.d makes, and the accounts that sysusers.d makes.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use roundsman_kit::config::Refused;

use super::{Part, Report, Surroundings};
use crate::accounts::{self, Group};

const GROUP: &str = "roundsman";
const TMPFILES: &str = "systemd-tmpfiles --create roundsman.conf (as root)";

const MISSING: &str = "it is missing";

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
        Some(_) => report.sound(Part::Account, "group roundsman"),
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
        Err(failure) => refused(&failure, report),
    }
}

/// What is wrong with `common.toml`, where no agent's program has said so already.
fn refused(failure: &anyhow::Error, report: &mut Report) {
    let refused = failure
        .chain()
        .find_map(|cause| cause.downcast_ref::<Refused>());
    let Some(refused) = refused else {
        return report.found(Part::Config, ("", ""), format!("{failure:#}"), "");
    };
    for finding in &refused.findings {
        report.add(Part::Config, finding.clone());
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
            if is_directory && wrong != MISSING && !is_for_store_alone(directory, db) {
                return report.found(Part::File, (shown, ""), wrong, move_out(db));
            }
            let (make, mode) = if is_directory {
                ("install -d", "2770")
            } else {
                ("install -T /dev/null", "0660")
            };
            let remedy = if wrong == MISSING {
                format!("{make} -o root -g roundsman -m {mode} {shown}")
            } else {
                format!("chown root:roundsman {shown}; chmod {mode} {shown}")
            };
            report.found(Part::File, (shown, ""), wrong, remedy);
        }
    }
}

/// Whether nothing else lies in the directory, so that its owner and mode are ours to change.
fn is_for_store_alone(directory: &Path, db: &Path) -> bool {
    let is_default = directory.ends_with("var/lib/roundsman");
    let Some(name) = db.file_name().filter(|_| !is_default) else {
        return is_default;
    };
    let is_ours = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| {
            let found = entry.file_name();
            found.as_bytes().starts_with(name.as_bytes())
        })
    };
    // `/` is nobody's alone, however little lies in it.
    directory.parent().is_some()
        && fs::read_dir(directory).is_ok_and(|mut entries| entries.all(is_ours))
}

/// The remedy where the directory belongs to others, too.
fn move_out(db: &Path) -> String {
    let own = db.with_file_name("roundsman");
    format!(
        "give the store a directory of its own: install -d -o root -g roundsman -m 2770 {}; stop \
         roundsman.target, move the store there, and set `store` in common.toml to that place",
        own.display()
    )
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
            return Some(MISSING.to_owned());
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
