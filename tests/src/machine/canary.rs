//! Which limits this machine really enforces. systemd accepts a limit that the kernel or the
//! container cannot enforce without a word, so a test of a limit asks the canary first.

use anyhow::Result;

use super::Machine;

/// A resource limit of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `IPAddressDeny=`: needs cgroup v2 and BPF.
    IpAddressDeny,
    /// `MemoryMax=`: needs the memory controller on v2.
    MemoryMax,
    /// `TasksMax=`: needs the pids controller on v2.
    TasksMax,
}

impl Limit {
    /// A setting, and a script that succeeds exactly when it is not enforced.
    fn probe(self) -> (&'static str, &'static str) {
        match self {
            // A datagram to a port where nobody listens is sent without an error.
            Self::IpAddressDeny => (
                "IPAddressDeny=any",
                "exec bash -c 'echo canary >/dev/udp/127.0.0.1/9'",
            ),
            // tail keeps the one endless line in memory.
            Self::MemoryMax => (
                "MemoryMax=16M",
                "head -c 128M /dev/zero | tail -n 1 >/dev/null",
            ),
            Self::TasksMax => ("TasksMax=1", "(true); true"),
        }
    }
}

impl Machine {
    /// `Ok(None)` when the limit is enforced here, else why a test of it cannot say anything.
    pub fn enforces(&self, limit: Limit) -> Result<Option<String>> {
        let (setting, script) = limit.probe();
        let output = self.run([
            "systemd-run",
            "--wait",
            "--pipe",
            "--quiet",
            "-p",
            setting,
            "-p",
            "MemorySwapMax=0",
            "sh",
            "-c",
            script,
        ])?;
        let controllers = self.read_file("/sys/fs/cgroup/cgroup.controllers")?;
        Ok((output.success()).then(|| {
            format!(
                "{setting} is not enforced in this machine (its v2 controllers: {:?})",
                controllers.trim()
            )
        }))
    }
}
