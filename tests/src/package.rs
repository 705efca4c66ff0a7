//! The packages that machines install, built once per process by `packaging/` from the
//! programs that are already built, and held in memory: nothing to share, nothing to clean.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
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
        .get_or_init(|| build("build-deb.sh", "deb").map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow!(error.clone()))
}

fn build(script: &str, extension: &str) -> Result<Package> {
    let script = layout::project().join("packaging").join(script);
    let programs = layout::programs();
    let profile = programs
        .file_name()
        .context("the programs' directory has no name")?;
    let directory = tempfile::tempdir()?;
    run(Command::new(&script).arg(profile).arg(directory.path()))?;
    let built: Vec<PathBuf> = fs::read_dir(directory.path())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension() == Some(OsStr::new(extension)))
        .collect();
    ensure!(
        built.len() == 1,
        "{} made {} packages instead of one",
        script.display(),
        built.len()
    );
    read(&built[0])
}

fn read(path: &Path) -> Result<Package> {
    Ok(Package {
        name: path
            .file_name()
            .context("a package has a name")?
            .to_string_lossy()
            .into_owned(),
        bytes: fs::read(path)?,
    })
}

impl Package {
    /// The same Debian package under another version, for upgrades.
    pub fn with_version(&self, version: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let (file, tree) = (
            directory.path().join(&self.name),
            directory.path().join("tree"),
        );
        fs::write(&file, &self.bytes)?;
        run(Command::new("dpkg-deb").arg("-R").args([&file, &tree]))?;
        let control = tree.join("DEBIAN/control");
        let text = fs::read_to_string(&control)?;
        let changed: String = text
            .lines()
            .map(|line| match line.strip_prefix("Version:") {
                Some(_) => format!("Version: {version}\n"),
                None => format!("{line}\n"),
            })
            .collect();
        ensure!(changed != text, "the package has version {version} already");
        fs::write(&control, changed)?;
        let target = directory.path().join(format!("roundsman_{version}.deb"));
        run(Command::new("dpkg-deb")
            .args(["-Znone", "-b"])
            .args([&tree, &target]))?;
        read(&target)
    }
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
