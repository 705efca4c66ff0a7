//! This test program once more, as another process with a job.
//!
//! A child talks in lines that begin with `@`, on standard error, where the test harness itself
//! prints nothing; what else comes there is shown if the child fails.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child as Process, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::{contention, doorbell, files, kill, mounts, restore};

const JOB: &str = "ROUNDSMAN_STORE_JOB";
const ROOT: &str = "ROUNDSMAN_STORE_ROOT";

/// A child that has not ended by then has hung; it aborts itself.
const LIFETIME: Duration = Duration::from_secs(120);

/// The entry of every child; started without a job, it checks that starting one works.
#[test]
fn entry() {
    let Ok(job) = std::env::var(JOB) else {
        let mut child = Child::start("echo there", Path::new("/"));
        assert_eq!(child.line().as_deref(), Some("there"));
        assert_eq!(child.finish(), Vec::<String>::new());
        return;
    };
    std::thread::spawn(|| {
        std::thread::sleep(LIFETIME);
        std::process::abort();
    });
    let root = std::env::var_os(ROOT).unwrap();
    let root = Path::new(&root);
    let words: Vec<&str> = job.split(' ').collect();
    match words[..] {
        ["echo", word] => say(word),
        ["kill", tag] => kill::write_for_ever(root, tag),
        ["count", tag, n] => contention::write_many(root, tag, n.parse().unwrap()),
        ["hold"] => contention::hold_the_turn(root),
        ["publish"] => doorbell::publish_on_demand(root),
        ["open", role] => files::open_and_write(root, role),
        ["await", millis] => files::await_migration(root, millis.parse().unwrap()),
        ["keep", role] => restore::keep(root, role),
        ["fill"] => mounts::fill_the_disk(root),
        ["look"] => mounts::look(root),
        _ => panic!("no such job: {job}"),
    }
}

/// Says a line to the parent.
pub fn say(line: impl std::fmt::Display) {
    // One write, so that a kill never leaves half a line; not eprintln, which libtest captures.
    io::stderr()
        .write_all(format!("@{line}\n").as_bytes())
        .unwrap();
}

/// The environment that makes this program do a job, for a shell between us and the child.
pub fn with_job(command: &mut Command, job: &str, root: &Path) {
    command
        .env(JOB, job)
        .env(ROOT, root)
        .env_remove("RUST_BACKTRACE");
}

/// The arguments that lead to [`entry`].
pub const ARGUMENTS: [&str; 3] = ["child::entry", "--exact", "--nocapture"];

/// A running child; dropping it kills it.
pub struct Child {
    process: Process,
    lines: BufReader<ChildStderr>,
    noise: String,
    /// To send it lines.
    pub input: Option<ChildStdin>,
}

impl Child {
    pub fn start(job: &str, root: &Path) -> Self {
        Self::start_as(job, root, |_| {})
    }

    pub fn start_as(job: &str, root: &Path, adapt: impl FnOnce(&mut Command)) -> Self {
        // The link works for a user who may not walk the path to this program.
        let mut command = Command::new("/proc/self/exe");
        command.args(ARGUMENTS);
        with_job(&mut command, job, root);
        adapt(&mut command);
        Self::spawn(command)
    }

    pub fn spawn(mut command: Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            lines: BufReader::new(process.stderr.take().unwrap()),
            input: process.stdin.take(),
            noise: String::new(),
            process,
        }
    }

    /// The next line it says; none when it has ended.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            if let Some(said) = line.strip_prefix('@') {
                return Some(said.trim_end().to_owned());
            }
            self.noise += &line;
            line.clear();
        }
        None
    }

    /// Sends it a line.
    pub fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Kills it in whatever it does.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.input = None;
        self.process.wait().unwrap()
    }

    /// Waits for its end, which must be a good one, and returns the lines that were left.
    pub fn finish(mut self) -> Vec<String> {
        self.input = None;
        let mut left = Vec::new();
        while let Some(line) = self.line() {
            left.push(line);
        }
        let status = self.wait();
        assert!(status.success(), "{status}\n{}", self.noise);
        left
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It has ended already where this fails.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
