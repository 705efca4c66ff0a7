//! The installed tree, staged by `packaging/install.sh` in a directory of its own. The programs
//! in it are stand-ins: what matters here is which files there are and what they say.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use roundsman_tests::{Output, PATIENCE, Process};
use tempfile::TempDir;

use crate::agents::{agents, at};

/// Runs a program to its end. On a loaded machine lintian and promtool take far longer than ours.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    match Process::spawn(command, None) {
        Ok(process) => process.wait(6 * PATIENCE),
        Err(error) => panic!("starting {command:?}: {error}"),
    }
}

/// Whether a program is on `PATH`.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Stand-ins for the programs that cargo builds, as `BUILD` and `ROUNDSMAN_BIN_DIR`.
pub fn stand_ins() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let command = "#!/bin/sh\ncase $1 in\n\
                   man) echo '.TH roundsman 1' > \"$3/roundsman.1\" ;;\n\
                   completions) echo \"# for $2\" ;;\nesac\n";
    let mut programs = vec![("roundsman".to_owned(), command)];
    programs.extend(
        agents()
            .iter()
            .map(|name| (format!("roundsman-{name}"), "#!/bin/sh\n")),
    );
    for (name, text) in programs {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    directory
}

/// The whole suite installed below a prefix inside a temporary directory, as on a host whose
/// `/usr` is that directory: every path in a unit leads to a file that is there.
pub struct Stage {
    directory: TempDir,
}

impl Stage {
    /// Stages the tree.
    #[track_caller]
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let prefix = directory.path().to_owned();
        install(&[
            ("PREFIX", &prefix),
            ("CONFDIR", &prefix.join("etc")),
            ("KILL", Path::new("/bin/kill")),
        ]);
        Self { directory }
    }

    /// `path` below the prefix.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(path)
    }

    /// `systemd-analyze`, to which the staged units are installed ones.
    pub fn analyze(&self) -> Command {
        let mut command = Command::new("systemd-analyze");
        let units = format!("{}:", self.at("lib/systemd/system").display());
        command
            .env("SYSTEMD_UNIT_PATH", units)
            .env("SYSTEMD_COLORS", "0")
            .env("LC_ALL", "C.UTF-8");
        command
    }
}

/// Runs `install.sh` over the stand-ins with these variables.
#[track_caller]
pub fn install(variables: &[(&str, &Path)]) {
    let programs = stand_ins();
    let mut command = Command::new(at("packaging/install.sh"));
    command
        .env("BUILD", programs.path())
        .envs(variables.iter().copied());
    run(&mut command).expect_code(0);
}

/// Every file below `directory`, by its path from there, sorted.
pub fn files(directory: &Path) -> Vec<String> {
    fn walk(top: &Path, directory: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                walk(top, &path, found);
            } else {
                found.push(path.strip_prefix(top).unwrap().display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    walk(directory, directory, &mut found);
    found.sort();
    found
}
