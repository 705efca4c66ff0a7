//! A copy of the flake, evaluated without a network.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use roundsman_tests::{Output, skipped};
use serde_json::Value;
use tempfile::TempDir;

use crate::agents::at;
use crate::stage::{has, run};

/// A copy of what the flake reads, which a test may change, with a store of its own.
pub struct Flake {
    directory: TempDir,
}

impl Flake {
    /// The copy, or `None` with a note when there is no nix.
    pub fn copy(test: &str) -> Option<Self> {
        if !has("nix") {
            skipped::test(test, "nix is not installed (Debian: nix-bin)");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let project = directory.path().join("project");
        fs::create_dir(&project).unwrap();
        let parts = [
            "Cargo.lock",
            "Cargo.toml",
            "CHANGELOG.md",
            "README.md",
            "agents",
            "config",
            "docs",
            "flake.lock",
            "flake.nix",
            "nix",
            "packaging",
            "units",
        ];
        run(Command::new("cp")
            .arg("-R")
            .args(parts.map(at))
            .arg(&project))
        .expect_code(0);
        // Named by the package; nothing of it is read.
        fs::create_dir(project.join("tests")).unwrap();
        Some(Self { directory })
    }

    /// Where the copy lies.
    pub fn project(&self) -> PathBuf {
        self.directory.path().join("project")
    }

    /// Replaces text in a file of the copy.
    #[track_caller]
    pub fn change(&self, file: &str, from: &str, to: &str) {
        let path = self.project().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}: no {from}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    /// Runs `nix ARGUMENTS` on the copy; `#` stands for the flake.
    pub fn nix(&self, arguments: &[&str]) -> Output {
        let flake = format!("path:{}#", self.project().display());
        let mut command = Command::new("nix");
        command
            .args([
                "--extra-experimental-features",
                "nix-command flakes",
                "--store",
            ])
            .arg(self.directory.path().join("store"))
            .args(
                arguments
                    .iter()
                    .map(|argument| argument.replacen('#', &flake, 1)),
            )
            .args(["--offline", "--override-input", "nixpkgs"])
            .arg(format!("path:{}", at("tests/nix/stub").display()))
            // What a builder of this store may use of the machine.
            .args(["--option", "build-users-group", ""])
            .args(["--option", "sandbox-paths", "/bin /lib /lib64 /usr"])
            .env("HOME", self.directory.path());
        run(&mut command)
    }

    /// `nix flake check`, which evaluates every output.
    pub fn check(&self) -> Output {
        let path = format!("path:{}", self.project().display());
        self.nix(&["flake", "check", "--no-build", &path])
    }

    /// A value of the example configuration, by an expression over `c`.
    #[track_caller]
    pub fn eval(&self, expression: &str) -> Value {
        let function = format!("c: {expression}");
        let installable = "#nixosConfigurations.example.config";
        let output = self
            .nix(&["eval", "--json", installable, "--apply", &function])
            .expect_code(0);
        serde_json::from_str(&output.stdout).unwrap()
    }
}

impl Drop for Flake {
    fn drop(&mut self) {
        // A store is read-only.
        let store = self.directory.path().join("store");
        drop(
            Command::new("chmod")
                .args(["-R", "u+w"])
                .arg(store)
                .output(),
        );
    }
}
