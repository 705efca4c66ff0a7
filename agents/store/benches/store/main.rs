//! What the store does in a second, against plain rusqlite on the same disk in the same run.
//! Prints Markdown. `cargo bench -p roundsman-store`; this program starts itself as children.

#![allow(clippy::unwrap_used)] // a measurement that fails has no better answer

mod commits;
mod wakeups;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use roundsman_kit::Paths;
use roundsman_kit::clock::Timestamp;
use roundsman_store::event::NewEvent;
use roundsman_store::{Location, Role, Store};

const JOB: &str = "ROUNDSMAN_BENCH_JOB";
const ROOT: &str = "ROUNDSMAN_BENCH_ROOT";

/// How many processes take part.
const PROCESSES: [usize; 3] = [1, 4, 8];

fn main() {
    let Ok(job) = std::env::var(JOB) else {
        print_machine();
        commits::compare();
        wakeups::compare();
        return;
    };
    let root = PathBuf::from(std::env::var_os(ROOT).unwrap());
    let words: Vec<&str> = job.split(' ').collect();
    match words[..] {
        ["commit", who, synchronous] => commits::commit_for_a_while(&root, who, synchronous),
        ["publish", synchronous] => wakeups::publish(&root, synchronous),
        ["watch", how] => wakeups::watch(&root, how),
        _ => panic!("no such job: {job}"),
    }
}

fn print_machine() {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.unwrap_or("?").trim_start_matches([' ', '\t', ':']);
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    println!("- {cpus} CPUs, {model}");
    println!("- kernel {}", read("/proc/sys/kernel/osrelease").trim());
    println!("- load average {}", read("/proc/loadavg").trim());
    println!("- SQLite {}", rusqlite::version());
}

fn location(root: &Path) -> Location {
    Location::new(&Paths::under(root), "/var/lib/roundsman/roundsman.db")
}

fn open(root: &Path, role: Role) -> Store {
    Store::open(&location(root), role).unwrap()
}

fn event() -> NewEvent {
    NewEvent::occurred(Timestamp(1_795_197_600_000), "bench", "bench.seen")
        .subject("/var/lib/somewhere")
        .message("a sentence of the usual length that tells a person what was seen")
}

/// A migrated store on the disk that the build lies on, with `/run` in memory as on a host.
struct Stage {
    root: tempfile::TempDir,
    _run: Option<tempfile::TempDir>,
}

impl Stage {
    fn new() -> Self {
        let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let run = tempfile::tempdir_in("/dev/shm").ok();
        if let Some(run) = &run {
            symlink(run.path(), root.path().join("run")).unwrap();
        }
        open(root.path(), Role::Migrate);
        Self { root, _run: run }
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn start(&self, job: &str) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .env(JOB, job)
            .env(ROOT, self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// The value below which `share` of the sorted values lie.
fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * share) as usize)
        .copied()
        .unwrap_or_default()
}

fn millis(span: Duration) -> String {
    format!("{:.3}", span.as_secs_f64() * 1000.0)
}
