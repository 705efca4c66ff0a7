//! What one run of hostmetrics costs on this machine: CPU, wall time, peak memory.
//! Prints Markdown. `cargo bench -p roundsman-hostmetrics`

#![allow(clippy::unwrap_used)] // a failed measurement is no measurement

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use roundsman_kit::Paths;
use roundsman_store::{Location, Role, Store};

const PROGRAM: &str = env!("CARGO_BIN_EXE_roundsman-hostmetrics");
const RUNS: usize = 100;

fn main() {
    let root = tempfile::tempdir().unwrap();
    for directory in ["run/roundsman/metrics", "var/lib/roundsman", "etc"] {
        fs::create_dir_all(root.path().join(directory)).unwrap();
    }
    for real in ["proc", "sys"] {
        symlink(format!("/{real}"), root.path().join(real)).unwrap();
    }
    let location = Location::new(
        &Paths::under(root.path()),
        "/var/lib/roundsman/roundsman.db",
    );
    // As on a host with a daemon: one connection stays open, so no run closes the store for good.
    let keeper = Store::open(&location, Role::Migrate).unwrap();

    // The first run makes what the others find.
    run(root.path());
    let (mut cpu, mut wall): (Vec<f64>, Vec<f64>) = (0..RUNS).map(|_| run(root.path())).unzip();
    println!("| one run of {RUNS} | median | worst |");
    println!("| --- | --- | --- |");
    for (name, figures) in [("CPU, ms", &mut cpu), ("wall, ms", &mut wall)] {
        figures.sort_by(f64::total_cmp);
        println!(
            "| {name} | {:.1} | {:.1} |",
            figures[RUNS / 2],
            figures[RUNS - 1]
        );
    }
    println!(
        "| peak RSS, MB | | {:.1} |",
        children().max_rss() as f64 / 1024.0
    );
    drop(keeper);
}

/// CPU and wall milliseconds of one run.
fn run(root: &Path) -> (f64, f64) {
    let before = cpu_millis();
    let begun = Instant::now();
    let output = Command::new(PROGRAM)
        .env("ROUNDSMAN_ROOT", root)
        .output()
        .unwrap();
    let wall = begun.elapsed().as_secs_f64() * 1000.0;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (cpu_millis() - before, wall)
}

fn cpu_millis() -> f64 {
    let usage = children();
    (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1000.0
}

/// What all children that have ended have used: getrusage(2).
fn children() -> Usage {
    getrusage(UsageWho::RUSAGE_CHILDREN).unwrap()
}
