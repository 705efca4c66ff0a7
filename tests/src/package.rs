//! The packages that machines install, built once per process by `packaging/` from the
//! programs that are already built, and held in memory: nothing to share, nothing to clean.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};

use crate::layout;

/// A package file.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its file name.
    pub name: String,
    /// Its contents.
    pub bytes: Vec<u8>,
}

/// The Debian package of the programs under test.
pub fn deb() -> Result<&'static Package> {
    static BUILT: OnceLock<Result<Package, String>> = OnceLock::new();
    BUILT
        .get_or_init(|| build_deb(&[]).map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow!(error.clone()))
}

/// The same programs in a package of another version, for upgrades.
pub fn deb_of_version(version: &str) -> Result<Package> {
    build_deb(&[version])
}

fn build_deb(version: &[&str]) -> Result<Package> {
    let script = layout::project().join("packaging/build-deb.sh");
    let programs = layout::programs();
    let profile = programs
        .file_name()
        .context("the programs' directory has no name")?;
    let directory = tempfile::tempdir()?;
    run(Command::new(&script)
        .arg(profile)
        .arg(directory.path())
        .args(version)
        .env("ROUNDSMAN_BIN_DIR", &programs))?;
    let built: Vec<PathBuf> = fs::read_dir(directory.path())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension() == Some(OsStr::new("deb")))
        .collect();
    ensure!(
        built.len() == 1,
        "{} made {} packages instead of one",
        script.display(),
        built.len()
    );
    Ok(Package {
        name: built[0]
            .file_name()
            .context("a package has a name")?
            .to_string_lossy()
            .into_owned(),
        bytes: fs::read(&built[0])?,
    })
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
