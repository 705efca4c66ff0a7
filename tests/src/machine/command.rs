//! Commands inside a machine, through `nsenter`.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{COMMAND, GuestProcess, Machine};
use crate::{Output, Process};

/// A command inside a machine. Its environment is `PATH`, `LANG` and what is set here.
pub struct GuestCommand<'a> {
    machine: &'a Machine,
    argv: Vec<String>,
    user: Option<String>,
    environment: Vec<(String, String)>,
    input: Option<Vec<u8>>,
    deadline: Duration,
}

impl<'a> GuestCommand<'a> {
    pub(super) fn new<S: AsRef<str>>(
        machine: &'a Machine,
        argv: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            machine,
            argv: argv
                .into_iter()
                .map(|arg| arg.as_ref().to_owned())
                .collect(),
            user: None,
            environment: Vec::new(),
            input: None,
            deadline: COMMAND,
        }
    }

    /// Runs it as this user, with the user's groups.
    pub fn user(mut self, name: &str) -> Self {
        self.user = Some(name.to_owned());
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    /// What it reads on standard input; nothing unless set.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// How long it may take.
    pub fn deadline(mut self, within: Duration) -> Self {
        self.deadline = within;
        self
    }

    /// Runs it on the standard streams of this process, for a person to use.
    pub fn interactive(self) -> Result<ExitStatus> {
        self.outside()
            .stdin(Stdio::inherit())
            .status()
            .with_context(|| format!("running {:?}", self.argv))
    }

    /// Starts it in a process group of its own, so that Ctrl-C does not reach it, with its
    /// output on that of this process.
    pub fn spawn_inherited(self) -> Result<GuestProcess> {
        let process = Process::spawn_inherited(self.outside().process_group(0))
            .with_context(|| format!("starting {:?}", self.argv))?;
        Ok(process.as_wrapper())
    }

    fn outside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.machine.leader.to_string(), "--all"])
            // Its root directory is not its namespace's root when this process runs in a chroot.
            .args(["--root", "--wd", "--"])
            // nsenter stays outside the machine's pid namespace and forks: the command has to
            // die with it, or a deadline would leave it running.
            .args(["setpriv", "--pdeathsig", "KILL", "--"]);
        if let Some(user) = &self.user {
            command.args(["runuser", "-u", user, "--"]);
        }
        command
            .args(&self.argv)
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("LANG", "C.UTF-8")
            .env("SYSTEMD_PAGER", "")
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null());
        command
    }

    /// Starts it, to run beside the test.
    pub fn spawn(self) -> Result<GuestProcess> {
        let process = Process::spawn(&mut self.outside(), self.input.clone())
            .with_context(|| format!("starting {:?}", self.argv))?;
        Ok(process.as_wrapper())
    }

    /// Runs it to its end; any exit code is a result, a passed deadline is an error.
    pub fn run(self) -> Result<Output> {
        let (argv, deadline) = (self.argv.clone(), self.deadline);
        self.spawn()?.finish(deadline)?.map_err(|running| {
            anyhow::anyhow!(
                "{argv:?} still runs after {deadline:?}:\n{}{}",
                running.stdout(),
                running.stderr()
            )
        })
    }

    /// Runs it; it has to exit with 0. Gives standard output without the newline at the end.
    pub fn succeed(self) -> Result<String> {
        let argv = self.argv.clone();
        let output = self.run()?;
        ensure!(output.success(), "{argv:?}: {output}");
        Ok(output.stdout.trim_end_matches('\n').to_owned())
    }
}
