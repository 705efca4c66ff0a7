//! A booted Debian with real systemd, thrown away after use: `systemd-nspawn` on an overlay
//! over the cached root tree that `tests/nspawn/rootfs.sh` makes.
//!
//! Invariants:
//! - a machine never outlives the process that booted it, however that ends: it lives in a pid
//!   and a mount namespace of its own whose first process dies with the thread that keeps it;
//! - mounts are made in that mount namespace only, network interfaces in the machine's only;
//!   what can be left behind by `kill -9` are empty cgroup directories and one directory in
//!   `/run`, which the next boot removes by name;
//! - every command has a deadline.

mod boot;
mod canary;
mod cgroup;
mod command;
mod evidence;
mod forward;
pub mod http;
mod journal;
mod keeper;
mod names;
mod wait;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

pub use boot::{Options, missing};
pub use canary::Limit;
pub use command::GuestCommand;
pub use journal::Entry;
pub use names::sweep;

use crate::package::Package;
use crate::{Manager, Output, Process};

/// How long a command in a machine may take unless it is given a time of its own.
const COMMAND: Duration = Duration::from_secs(60);
/// How long a boot, a reboot or a shutdown may take.
const BOOT: Duration = Duration::from_secs(90);

/// A running machine. Dropping it kills it and removes every trace; while a panic unwinds, its
/// journal and console are kept first (see [`Options::run`]).
pub struct Machine {
    test: String,
    cgroups: cgroup::Cgroups,
    run_dir: PathBuf,
    keeper: keeper::Keeper,
    notify: Manager,
    /// The machine's init, as this process sees it.
    leader: i32,
    stopped: bool,
}

impl Machine {
    /// The process id of the machine's init, in this process's namespace.
    pub fn leader(&self) -> i32 {
        self.leader
    }

    /// A file of the machine, reachable from outside while it runs.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        Path::new("/proc")
            .join(self.leader.to_string())
            .join("root")
            .join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Writes a file (0644), with the directories above it.
    pub fn write_file(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> Result<()> {
        let file = self.path(&path);
        if let Some(directory) = file.parent() {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("{} in the machine", directory.display()))?;
        }
        std::fs::write(&file, contents)
            .with_context(|| format!("{} in the machine", path.as_ref().display()))
    }

    /// Reads a file.
    pub fn read_file(&self, path: impl AsRef<Path>) -> Result<String> {
        std::fs::read_to_string(self.path(&path))
            .with_context(|| format!("{} in the machine", path.as_ref().display()))
    }

    /// Runs a command as root, outside every unit; any exit code is a result.
    pub fn run<S: AsRef<str>>(&self, argv: impl IntoIterator<Item = S>) -> Result<Output> {
        self.command(argv).run()
    }

    /// Runs a command that has to exit with 0, and gives its standard output without the
    /// newline at the end.
    pub fn succeed<S: AsRef<str>>(&self, argv: impl IntoIterator<Item = S>) -> Result<String> {
        self.command(argv).succeed()
    }

    /// Runs a shell script that has to exit with 0, and gives its standard output.
    pub fn sh(&self, script: &str) -> Result<String> {
        self.succeed(["bash", "-euo", "pipefail", "-c", script])
    }

    /// A command with settings of its own: user, input, deadline.
    pub fn command<S: AsRef<str>>(&self, argv: impl IntoIterator<Item = S>) -> GuestCommand<'_> {
        GuestCommand::new(self, argv)
    }

    /// One property of a unit (`systemctl show`).
    pub fn property(&self, unit: &str, property: &str) -> Result<String> {
        self.succeed(["systemctl", "show", "--value", "-p", property, unit])
    }

    /// Installs a Debian package with dpkg.
    pub fn install_deb(&self, package: &Package) -> Result<Output> {
        let inside = format!("/var/tmp/{}", package.name);
        self.write_file(&inside, &package.bytes)?;
        let output = self
            .command(["dpkg", "--install", &inside])
            .deadline(Duration::from_secs(180))
            .run()?;
        ensure!(output.success(), "dpkg --install {inside}: {output}");
        std::fs::remove_file(self.path(&inside))?;
        Ok(output)
    }

    /// Reboots, waits until it is up again.
    pub fn reboot(&mut self) -> Result<()> {
        // The command's own connection may go down with the machine: its end says nothing.
        drop(self.run(["systemctl", "reboot", "--no-block"]));
        self.leader = self.keeper.await_boot(&self.notify)?;
        self.settle()
    }

    /// Waits until the boot's jobs are done, whatever became of the units.
    fn settle(&self) -> Result<()> {
        let state = self
            .command(["systemctl", "is-system-running", "--wait"])
            .deadline(BOOT)
            .run()?;
        match state.stdout.trim() {
            "running" | "degraded" => Ok(()),
            other => bail!("the machine's state after boot is {other:?}: {state}"),
        }
    }

    /// Keeps journal, console and unit list, as for a failed test; gives their directory.
    pub fn keep_evidence(&self) -> PathBuf {
        evidence::keep(self)
    }

    /// Shuts down in good order and removes every trace; an error names what is left.
    pub fn stop(mut self) -> Result<()> {
        self.keeper.signal(Signal::TERM)?;
        let in_time = self.keeper.ended(BOOT)?;
        self.clean()?;
        ensure!(in_time, "the machine did not shut down within {BOOT:?}");
        Ok(())
    }

    fn clean(&mut self) -> Result<()> {
        if self.stopped {
            return Ok(());
        }
        self.stopped = true;
        self.keeper.kill();
        self.cgroups.remove()?;
        std::fs::remove_dir_all(&self.run_dir)
            .with_context(|| format!("removing {}", self.run_dir.display()))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if !self.stopped && std::thread::panicking() {
            let kept = evidence::keep(self);
            eprintln!("{}: journal and console: {}", self.test, kept.display());
        }
        if let Err(error) = self.clean() {
            eprintln!("{}: cleaning up: {error:#}", self.test);
        }
    }
}

/// A process inside the machine that runs beside the test; killed when dropped.
pub type GuestProcess = Process;
