//! Where the project and what it builds lie.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The top of the project's tree.
pub fn project() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// Where the built programs lie: `$ROUNDSMAN_BIN_DIR`, else the profile directory the running
/// executable was built into (`target/<profile>`).
///
/// # Panics
/// When the running executable's path is unknown, which the kernel does not let happen.
#[track_caller]
pub fn programs() -> PathBuf {
    std::env::var_os("ROUNDSMAN_BIN_DIR").map_or_else(profile, PathBuf::from)
}

/// `target/<profile>`, where the running executable was built.
#[track_caller]
fn profile() -> PathBuf {
    let executable = match std::env::current_exe() {
        Ok(path) => path,
        Err(error) => panic!("path of the running executable: {error}"),
    };
    // A test executable lies in target/<profile>/deps, a program in target/<profile>.
    let mut dir = executable.parent().unwrap_or(Path::new("/"));
    if dir.file_name() == Some(OsStr::new("deps")) {
        dir = dir.parent().unwrap_or(dir);
    }
    dir.to_owned()
}

/// The path of a built program (`roundsman`, `roundsman-hostmetrics`).
///
/// # Panics
/// When it is not built, with the command that builds it.
#[track_caller]
pub fn program(name: &str) -> PathBuf {
    let path = programs().join(name);
    let package = if name == "roundsman" {
        "roundsman-ctl"
    } else {
        name
    };
    assert!(
        path.exists(),
        "{} is not built: cargo build --profile ci -p {package}",
        path.display()
    );
    path
}

/// What the systemd level keeps between runs: root tree, packages, evidence of failures.
pub fn cache() -> PathBuf {
    profile()
        .parent()
        .unwrap_or(Path::new("target"))
        .join("nspawn")
}
