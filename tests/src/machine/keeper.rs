//! What keeps a machine alive, and lets it die.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal};

use super::BOOT;
use crate::{Manager, Process};

/// The process tree of a machine and the thread that it lives and dies with. A parent-death
/// signal follows the *thread* that started the child; a test's thread may end before a machine
/// that several tests share.
pub(super) struct Keeper {
    process: Option<Process>,
    /// nspawn, as this process sees it; the script above it is pid 1 of their namespace.
    nspawn: i32,
    _alive: mpsc::Sender<()>,
}

impl Keeper {
    pub(super) fn start(mut command: Command) -> Result<Self> {
        let (alive, ended) = mpsc::channel::<()>();
        let (started, process) = mpsc::channel();
        std::thread::Builder::new()
            .name("keeper".to_owned())
            .spawn(move || {
                drop(started.send(Process::spawn(&mut command, None)));
                // Ends when the other side is dropped.
                let _ = ended.recv();
            })?;
        Ok(Self {
            process: Some(process.recv()?.context("starting systemd-nspawn")?),
            nspawn: 0,
            _alive: alive,
        })
    }

    fn process(&self) -> Result<&Process> {
        self.process.as_ref().context("the machine is gone")
    }

    /// Waits for nspawn's word that the machine's init runs and is ready; gives init's pid.
    pub(super) fn await_boot(&mut self, notify: &Manager) -> Result<i32> {
        let until = Instant::now() + BOOT;
        let (mut born, mut ready) = (false, false);
        while !(born && ready) {
            // A machine that dies says nothing on the socket: look at it once a second.
            if let Some(message) = notify.next(Duration::from_secs(1))? {
                born |= message.get("X_NSPAWN_LEADER_PID").is_some();
                ready |= born && message.is("READY", "1");
            } else if Instant::now() > until || self.process()?.ended(Duration::ZERO)? {
                bail!("no machine after {BOOT:?} or its end:\n{}", self.console());
            }
        }
        let script = only_child(self.process()?.id().cast_signed())?;
        self.nspawn = only_child(script)?;
        only_child(self.nspawn)
    }

    /// Everything nspawn and the machine's console have printed.
    pub(super) fn console(&self) -> String {
        self.process
            .as_ref()
            .map(|process| process.stdout() + &process.stderr())
            .unwrap_or_default()
    }

    /// The directory that holds what the machine has written, while nspawn lives.
    pub(super) fn upper(&self, run_dir: &Path) -> PathBuf {
        let disk = run_dir.join("disk/upper");
        Path::new("/proc")
            .join(self.nspawn.to_string())
            .join("root")
            .join(disk.strip_prefix("/").unwrap_or(&disk))
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.nspawn).context("nspawn has no pid yet")?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    pub(super) fn ended(&self, within: Duration) -> Result<bool> {
        Ok(self.process()?.ended(within)?)
    }

    /// Kills the whole tree: pid 1 of its namespace dies with the process dropped here, and
    /// everything else in the namespace with that.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }
}

/// The only child of a process: what `unshare` forked, what nspawn booted.
fn only_child(pid: i32) -> Result<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .with_context(|| format!("children of process {pid}"))?;
    let mut children = children.split_whitespace();
    match (children.next(), children.next()) {
        (Some(child), None) => Ok(child.parse()?),
        _ => Err(anyhow!("process {pid} has no or several children")),
    }
}
