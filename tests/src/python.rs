//! Receivers' own libraries in Python: what they make of our output is what our users will see.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Output, Process, layout};

/// Standard Webhooks' reference library (<https://pypi.org/project/standardwebhooks/>).
pub const STANDARD_WEBHOOKS: &str = "standardwebhooks==1.1.0";
/// The SDK of CloudEvents (<https://pypi.org/project/cloudevents/>).
pub const CLOUDEVENTS: &str = "cloudevents==2.2.0";

/// How long installing a package may take.
const INSTALLING: Duration = Duration::from_secs(120);
/// How long a script may take.
const RUNNING: Duration = Duration::from_secs(60);

/// An interpreter that has a library.
pub struct Python(PathBuf);

impl Python {
    /// One with `requirement` (`name==version`), installed from the package index that pip is set
    /// to, and kept beside the build.
    ///
    /// # Errors
    /// In a sentence, why there is none here: the reason of a skip.
    pub fn with(requirement: &str) -> Result<Self, String> {
        let directory = layout::cache()
            .with_file_name("python")
            .join(requirement.replace("==", "-"));
        fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        // Tests that want the same one wait for whoever is first.
        let lock = File::create(directory.join("lock")).map_err(|error| error.to_string())?;
        lock.lock().map_err(|error| error.to_string())?;
        let python = Self(directory.join("venv/bin/python"));
        let ready = directory.join("ready");
        if !ready.exists() {
            install(&directory.join("venv"), requirement)?;
            fs::write(&ready, "").map_err(|error| error.to_string())?;
        }
        Ok(python)
    }

    /// Runs a script of `tests/python` that reads `input`.
    ///
    /// # Errors
    /// When it cannot be started, or does not end.
    pub fn run(&self, script: &str, input: &serde_json::Value) -> anyhow::Result<Output> {
        let script = layout::project().join("tests/python").join(script);
        let mut command = Command::new(&self.0);
        command.arg("-I").arg(script);
        Process::spawn(&mut command, Some(input.to_string().into_bytes()))?
            .finish(RUNNING)?
            .map_err(|_| anyhow::anyhow!("the script still runs after {RUNNING:?}"))
    }
}

fn install(venv: &Path, requirement: &str) -> Result<(), String> {
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(venv);
    ended_well(&mut make, "python3 with venv is not installed")?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--retries=1"])
        .args(["--disable-pip-version-check", requirement]);
    ended_well(&mut pip, &format!("pip cannot install {requirement}"))
}

fn ended_well(command: &mut Command, otherwise: &str) -> Result<(), String> {
    let process = Process::spawn(command, None).map_err(|error| format!("{otherwise}: {error}"))?;
    match process.finish(INSTALLING) {
        Ok(Ok(output)) if output.success() => Ok(()),
        Ok(Ok(output)) => {
            let said = output.stderr.lines().last().unwrap_or_default().to_owned();
            Err(format!("{otherwise}: {said}"))
        }
        Ok(Err(_)) => Err(format!("{otherwise}: not within {INSTALLING:?}")),
        Err(error) => Err(format!("{otherwise}: {error}")),
    }
}
