//! A journald of its own for a test, with its own `/run` and `/var/log/journal`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use roundsman_journal::{Filter, Journal, Pace, Sources, Start};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::golden::journalctl;

const PROGRAM: &str = "/lib/systemd/systemd-journald";
const DEADLINE: Duration = Duration::from_secs(20);

/// Mounts the directories in a namespace of the new process alone. `$ROUNDSMAN_SYSTEMD_TREE` may
/// name the root tree of another release, whose journald is taken.
const SCRIPT: &str = r#"
set -e
mount --bind "$1/run" "$2/run"
mkdir -p "$2/run/systemd/journal" "$2/var/log/journal"
mount --bind "$1/var" "$2/var/log/journal"
[ "$2" = / ] || { mount -t proc proc "$2/proc"; mount --rbind /sys "$2/sys"; }
exec chroot "$2" "$3"
"#;

pub struct Journald {
    root: TempDir,
    child: Child,
}

impl Journald {
    /// None, and said so, where a journald cannot be started.
    pub fn start(test: &str, config: &str) -> Option<Self> {
        let reason = if !rustix::process::geteuid().is_root() {
            "needs root"
        } else if !Path::new(PROGRAM).exists() {
            "systemd-journald is not installed"
        } else {
            return Some(Self::run(config));
        };
        roundsman_tests::skipped::test(test, reason);
        None
    }

    fn run(config: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        // Users reach the sockets in it.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(root.path().join("var")).unwrap();
        let drop_ins = root.path().join("run/systemd/journald.conf.d");
        fs::create_dir_all(&drop_ins).unwrap();
        let common = "[Journal]\nRateLimitIntervalSec=0\nReadKMsg=no\nAudit=no\n";
        fs::write(drop_ins.join("test.conf"), format!("{common}{config}")).unwrap();
        if config.contains("persistent") {
            // As after a boot: without it, journald still writes to `/run`.
            fs::create_dir_all(root.path().join("run/systemd/journal")).unwrap();
            fs::write(root.path().join("run/systemd/journal/flushed"), "").unwrap();
        }
        let child = spawn(root.path());
        let journald = Self { root, child };
        journald.wait_for_socket();
        journald
    }

    fn wait_for_socket(&self) {
        let begun = Instant::now();
        while self.socket().is_none() {
            assert!(begun.elapsed() < DEADLINE, "journald does not start");
            std::thread::yield_now();
        }
    }

    fn socket(&self) -> Option<UnixDatagram> {
        let socket = UnixDatagram::unbound().ok()?;
        socket
            .connect(self.root.path().join("run/systemd/journal/socket"))
            .ok()?;
        Some(socket)
    }

    /// Sends one entry for each number, as its message.
    pub fn send(&self, numbers: std::ops::Range<u32>) {
        let socket = self.socket().unwrap();
        for number in numbers {
            socket
                .send(format!("MESSAGE=number {number}\nPRIORITY=6\n").as_bytes())
                .unwrap();
        }
    }

    /// The same with more behind each number.
    pub fn send_long(&self, numbers: std::ops::Range<u32>, length: usize) {
        let socket = self.socket().unwrap();
        let mut random = fastrand::Rng::with_seed(6);
        for number in numbers {
            // Not compressible.
            let long: String = (0..length).map(|_| random.alphanumeric()).collect();
            let entry = format!("MESSAGE=number {number}\nLONG={long}\n");
            socket.send(entry.as_bytes()).unwrap();
        }
    }

    /// Sends one as another user. False if there is no program for that.
    pub fn send_as(&self, user: u32, number: u32) -> bool {
        let socket = self.root.path().join("run/systemd/journal/dev-log");
        let sent = Command::new("setpriv")
            .args([
                "--clear-groups",
                "--reuid",
                &user.to_string(),
                "logger",
                "-u",
            ])
            .arg(socket)
            .arg(format!("number {number}"))
            .status();
        sent.is_ok_and(|status| status.success())
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Rotates and waits until it is done: the number of files grows.
    pub fn rotate(&self) {
        let before = self.files().len();
        self.signal(Signal::USR2);
        let begun = Instant::now();
        while self.files().len() == before {
            assert!(begun.elapsed() < DEADLINE, "no rotation");
            std::thread::yield_now();
        }
    }

    /// Ends it as a crash would, and starts it again.
    pub fn crash(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let _ = fs::remove_file(self.root.path().join("run/systemd/journal/socket"));
        self.child = spawn(self.root.path());
        self.wait_for_socket();
    }

    pub fn run_directory(&self) -> PathBuf {
        self.root.path().join("run/log/journal")
    }

    pub fn var_directory(&self) -> PathBuf {
        self.root.path().join("var")
    }

    /// All journal files, of both directories.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for directory in [self.run_directory(), self.var_directory()] {
            let machines = fs::read_dir(directory).into_iter().flatten().flatten();
            for machine in machines {
                let files = fs::read_dir(machine.path()).into_iter().flatten().flatten();
                found.extend(files.map(|file| file.path()));
            }
        }
        found.sort();
        found
    }

    pub fn open(&self, start: Start) -> Journal {
        self.open_with(Filter::new().fields(["MESSAGE"]), start)
    }

    pub fn open_with(&self, filter: Filter, start: Start) -> Journal {
        let sources = Sources::none()
            .volatile(self.run_directory())
            .persistent(self.var_directory())
            .counter(self.root.path().join("run/systemd/journal/seqnum"));
        Journal::open(sources, filter, start, Pace::Realtime).unwrap()
    }

    /// The numbers that journalctl finds in the persistent files.
    pub fn numbers_by_journalctl(&self) -> Vec<u32> {
        let machine = fs::read_dir(self.var_directory())
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        let text = journalctl(&machine.path(), &["-o", "cat"]).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().filter_map(number).collect()
    }
}

fn spawn(root: &Path) -> Child {
    let tree = std::env::var("ROUNDSMAN_SYSTEMD_TREE").unwrap_or_else(|_| "/".to_owned());
    Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            SCRIPT,
            "sh",
        ])
        .arg(root)
        .arg(tree)
        .arg(PROGRAM)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Journald {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number in a message of [`Journald::send`].
pub fn number(message: &str) -> Option<u32> {
    message.strip_prefix("number ")?.parse().ok()
}
