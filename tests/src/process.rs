//! A child process whose output is captured while it runs and whose end is awaited with a
//! deadline.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

/// What a finished process left: its status and everything it printed.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output, invalid UTF-8 replaced.
    pub stdout: String,
    /// Standard error, invalid UTF-8 replaced.
    pub stderr: String,
}

impl Output {
    /// The exit code; `None` when a signal ended the process.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Whether the process exited with 0.
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// Itself, when the exit code is `code`.
    ///
    /// # Panics
    /// With everything the process printed, when it ended otherwise.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "unexpected end:\n{self}");
        self
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => writeln!(f, "exit code {code}")?,
            (None, Some(signal)) => writeln!(f, "ended by signal {signal}")?,
            (None, None) => writeln!(f, "{}", self.status)?,
        }
        write!(f, "--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr)
    }
}

/// One captured stream: grows while the process runs.
#[derive(Default)]
struct Captured {
    state: Mutex<Stream>,
    changed: Condvar,
}

#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    closed: bool,
}

impl Captured {
    /// Captures a stream in a thread of its own; one that is not there has ended.
    fn of(source: Option<impl Read + Send + 'static>) -> Arc<Self> {
        let captured = Arc::new(Self::default());
        let sink = Arc::clone(&captured);
        match source {
            Some(source) => drop(std::thread::spawn(move || sink.fill(source))),
            None => captured.lock().closed = true,
        }
        captured
    }

    fn lock(&self) -> MutexGuard<'_, Stream> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    fn fill(&self, mut source: impl Read) {
        let mut buffer = [0; 8192];
        loop {
            match source.read(&mut buffer) {
                Ok(n) if n > 0 => {
                    self.lock().bytes.extend_from_slice(&buffer[..n]);
                    self.changed.notify_all();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits until `enough` holds; `false` when it did not before the stream's end or `until`.
    fn wait(&self, until: Instant, enough: impl Fn(&Stream) -> bool) -> bool {
        let mut stream = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if enough(&stream) {
                return true;
            } else if stream.closed || left.is_zero() {
                return false;
            }
            stream = self
                .changed
                .wait_timeout(stream, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// A running child process. Dropping it kills and reaps it.
pub struct Process {
    name: String,
    child: Child,
    pidfd: OwnedFd,
    stdout: Arc<Captured>,
    stderr: Arc<Captured>,
    wrapper: bool,
}

impl Process {
    /// Starts `command` with captured output; `input` is written to its standard input by a
    /// thread of its own, `None` leaves standard input as the command has it.
    pub fn spawn(command: &mut Command, input: Option<Vec<u8>>) -> io::Result<Self> {
        if input.is_some() {
            command.stdin(Stdio::piped());
        }
        Self::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()), input)
    }

    /// Starts `command` with the output where that of this process goes.
    pub fn spawn_inherited(command: &mut Command) -> io::Result<Self> {
        Self::start(command, None)
    }

    fn start(command: &mut Command, input: Option<Vec<u8>>) -> io::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command.spawn()?;
        let pidfd = rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        let stdout = Captured::of(child.stdout.take());
        let stderr = Captured::of(child.stderr.take());
        if let (Some(mut sink), Some(bytes)) = (child.stdin.take(), input) {
            // A process that does not read its input to the end is free to do so.
            std::thread::spawn(move || drop(sink.write_all(&bytes)));
        }
        Ok(Self {
            name,
            child,
            pidfd,
            stdout,
            stderr,
            wrapper: false,
        })
    }

    /// Says that the process only waits for the child that does the work, as `nsenter` does.
    /// Killing begins with that child then, so that the wrapper reaps it: nobody inside a pid
    /// namespace can reap a process whose parent was outside.
    pub fn as_wrapper(mut self) -> Self {
        self.wrapper = true;
        self
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has printed to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Sends `signal`.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(rustix::process::pidfd_send_signal(&self.pidfd, signal)?)
    }

    /// Waits until standard error contains `needle`.
    ///
    /// # Panics
    /// With everything printed so far, when `within` has passed.
    #[track_caller]
    pub fn wait_for_stderr(&self, needle: &str, within: Duration) {
        let has = |stream: &Stream| String::from_utf8_lossy(&stream.bytes).contains(needle);
        if !self.stderr.wait(Instant::now() + within, has) {
            panic!(
                "{} did not print {needle:?} within {within:?}:\n{}",
                self.name,
                self.stderr()
            );
        }
    }

    /// Waits until standard output is longer than `seen` bytes, ends, or `until` has come; gives
    /// its length.
    pub fn wait_for_growth(&self, seen: usize, until: Instant) -> usize {
        self.stdout.wait(until, |stream| stream.bytes.len() > seen);
        self.stdout.lock().bytes.len()
    }

    /// Whether the process ended within the time; leaves it as it is either way.
    pub fn ended(&self, within: Duration) -> io::Result<bool> {
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut ready = [PollFd::new(&self.pidfd, PollFlags::IN)];
            match rustix::event::poll(&mut ready, Some(&timeout)) {
                Ok(n) => return Ok(n > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for the end and gives the output; `Err(self)` when it still runs after `within`.
    pub fn finish(mut self, within: Duration) -> io::Result<Result<Output, Self>> {
        if !self.ended(within)? {
            return Ok(Err(self));
        }
        let status = self.child.wait()?;
        // Grandchildren may hold the pipes open for ever: what was printed by now counts.
        let until = Instant::now() + Duration::from_secs(1);
        for stream in [&self.stdout, &self.stderr] {
            stream.wait(until, |stream| stream.closed);
        }
        Ok(Ok(Output {
            status,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }))
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it still runs after `within`; it is killed then, and what it printed is shown.
    #[track_caller]
    pub fn wait(self, within: Duration) -> Output {
        match self.finish(within) {
            Ok(Ok(output)) => output,
            Ok(Err(running)) => panic!(
                "{} still runs after {within:?}:\n--- stdout\n{}--- stderr\n{}",
                running.name,
                running.stdout(),
                running.stderr()
            ),
            Err(error) => panic!("waiting for a child process: {error}"),
        }
    }

    /// Asks it to stop with SIGTERM and waits for the end.
    ///
    /// # Panics
    /// When it still runs after `within`.
    #[track_caller]
    pub fn stop(self, within: Duration) -> Output {
        if let Err(error) = self.signal(Signal::TERM) {
            panic!("signalling {}: {error}", self.name);
        }
        self.wait(within)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.wrapper {
            let pid = self.id();
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            for child in children.unwrap_or_default().split_whitespace() {
                if let Some(child) = child.parse().ok().and_then(Pid::from_raw) {
                    let _ = rustix::process::kill_process(child, Signal::KILL);
                }
            }
            let _ = self.ended(Duration::from_secs(1));
        }
        // Fails only when it has ended already, which is what we want.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::null());
        command
    }

    #[test]
    fn both_streams_and_the_code_are_captured() {
        let process = Process::spawn(&mut shell("echo out; echo err >&2; exit 7"), None).unwrap();
        let output = process.wait(Duration::from_secs(10)).expect_code(7);
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("out\n", "err\n")
        );
    }

    #[test]
    fn input_larger_than_a_pipe_does_not_block() {
        let input = vec![b'x'; 1 << 20];
        let process = Process::spawn(&mut shell("wc -c"), Some(input)).unwrap();
        let output = process.wait(Duration::from_secs(10)).expect_code(0);
        assert_eq!(output.stdout.trim(), "1048576");
    }

    #[test]
    fn a_process_past_its_deadline_is_handed_back_and_dies_with_its_handle() {
        let process = Process::spawn(&mut shell("echo on; exec sleep 600"), None).unwrap();
        let pid = Pid::from_raw(process.id().cast_signed()).unwrap();
        let running = process.finish(Duration::from_millis(50)).unwrap();
        let Err(running) = running else {
            panic!("sleep 600 ended");
        };
        drop(running);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    #[test]
    fn a_line_on_stderr_is_awaited_and_a_signal_is_told_apart_from_a_code() {
        let mut command = shell("echo ready >&2; exec sleep 600");
        let process = Process::spawn(&mut command, None).unwrap();
        process.wait_for_stderr("ready", Duration::from_secs(10));
        let output = process.stop(Duration::from_secs(10));
        assert_eq!(output.code(), None);
        assert!(output.to_string().contains("ended by signal 15"));
    }
}
