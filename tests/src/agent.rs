//! One of our real programs, set to live in a [`Root`].

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::layout;
use crate::{Manager, Output, PATIENCE, Process, Root};

/// A builder for one run of a program. The environment is empty but for `PATH`, `LANG` and
/// what the builder sets, so that nothing of the machine leaks in.
pub struct AgentCommand {
    program: PathBuf,
    command: Command,
    root: PathBuf,
    input: Option<Vec<u8>>,
    passed: Option<OwnedFd>,
    deadline: Duration,
}

impl AgentCommand {
    /// The program `name` (`roundsman-hostmetrics`, `roundsman`) with `ROUNDSMAN_ROOT` set.
    #[track_caller]
    pub fn new(root: &Root, name: &str) -> Self {
        let program = layout::program(name);
        // A passed socket arrives as standard input and becomes fd 3 here, because LISTEN_PID
        // has to be the id of the process that this shell turns into.
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(
                "if [ -n \"$LISTEN_FDS\" ]; then exec 3<&0 0</dev/null; export LISTEN_PID=$$; fi\n\
                 exec \"$0\" \"$@\"",
            )
            .arg(&program)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8")
            .env("ROUNDSMAN_ROOT", root.path())
            .current_dir("/")
            .stdin(Stdio::null());
        Self {
            program,
            command,
            root: root.path().to_owned(),
            input: None,
            passed: None,
            deadline: PATIENCE,
        }
    }

    /// One argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Several arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// One environment variable.
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// What the program reads on standard input.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Reports to `manager`.
    pub fn manager(self, manager: &Manager) -> Self {
        let path = manager.path().to_owned();
        self.env("NOTIFY_SOCKET", path)
    }

    /// Sets the watchdog period that systemd would announce.
    pub fn watchdog(self, period: Duration) -> Self {
        self.env("WATCHDOG_USEC", period.as_micros().to_string())
    }

    /// Puts a credential into the program's `CREDENTIALS_DIRECTORY`.
    #[track_caller]
    pub fn credential(self, name: &str, secret: impl AsRef<[u8]>) -> Self {
        let dir = self.root.join("credentials");
        let written =
            std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(dir.join(name), secret));
        if let Err(error) = written {
            panic!("credential {name}: {error}");
        }
        self.env("CREDENTIALS_DIRECTORY", dir)
    }

    /// Passes a listening socket the way a socket unit does: fd 3 with this
    /// `FileDescriptorName=`. One per program; it takes the place of [`Self::input`].
    pub fn listener(mut self, name: &str, socket: impl Into<OwnedFd>) -> Self {
        self.passed = Some(socket.into());
        self.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", name)
    }

    /// How long [`Self::run`] waits for the end ([`PATIENCE`] unless set).
    pub fn deadline(mut self, within: Duration) -> Self {
        self.deadline = within;
        self
    }

    /// Starts the program.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn spawn(mut self) -> Process {
        if let Some(socket) = self.passed.take() {
            self.command.stdin(Stdio::from(socket));
            self.input = None;
        }
        match Process::spawn(&mut self.command, self.input.take()) {
            Ok(process) => process,
            Err(error) => panic!("starting {}: {error}", self.program.display()),
        }
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// When it cannot be started, or still runs at the deadline.
    #[track_caller]
    pub fn run(self) -> Output {
        let deadline = self.deadline;
        self.spawn().wait(deadline)
    }
}
