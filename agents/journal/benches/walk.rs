//! What reading costs per entry, beside the raw bytes and journalctl on the same files, in one
//! run. Prints Markdown. `cargo bench -p roundsman-journal`
//!
//! The files are made by `systemd-journal-remote`, or are those in `$JOURNAL_DIRECTORY`.

#![allow(clippy::unwrap_used, reason = "a failed measurement is no measurement")]

#[path = "../tests/corpus/mod.rs"]
#[allow(dead_code, reason = "the tests use other parts")]
mod corpus;

use std::fs::{self, File};
use std::io::{BufWriter, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use roundsman_journal::{Filter, Journal, Pace, Read, Sources, Start};

const ENTRIES: usize = 300_000;
const ROUNDS: usize = 5;

fn main() {
    let made = tempfile::tempdir().unwrap();
    let directory = match std::env::var_os("JOURNAL_DIRECTORY") {
        Some(directory) => PathBuf::from(directory),
        None => make(made.path()),
    };
    let entries = walk(&directory, Filter::new().fields([]));
    let bytes: u64 = files(&directory)
        .iter()
        .map(|path| path.metadata().unwrap().len())
        .sum();
    println!(
        "{entries} entries, {} MB, best of {ROUNDS}\n",
        bytes / 1_000_000
    );
    println!("| what | CPU, µs/entry | entries per CPU second | x raw scan |");
    println!("| --- | --- | --- | --- |");
    let raw = best(|| scan(&directory));
    let show = |what: &str, cpu: f64| {
        println!(
            "| {what} | {:.3} | {:.0} | {:.1} |",
            cpu * 1e6 / entries as f64,
            entries as f64 / cpu,
            cpu / raw
        );
    };
    show("raw scan: `read` and memchr", raw);
    let three = || Filter::new().fields(["MESSAGE", "_SYSTEMD_UNIT", "PRIORITY"]);
    show(
        "walk, no field",
        best(|| walk(&directory, Filter::new().fields([]))),
    );
    show("walk, three fields", best(|| walk(&directory, three())));
    let errors = || three().only("PRIORITY", &["3"]).unwrap();
    show(
        "walk, three fields of errors (2 %)",
        best(|| walk(&directory, errors())),
    );
    let word = || {
        three().require(["MESSAGE"], |_, message| {
            memchr::memmem::find(message, b"panic").is_some()
        })
    };
    show(
        "walk, a word in each message",
        best(|| walk(&directory, word().unwrap())),
    );
    show(
        "walk, every field",
        best(|| walk(&directory, Filter::new())),
    );
    for output in ["cat", "export", "json"] {
        let what = format!("`journalctl -o {output}`");
        match journalctl(&directory, output) {
            Some(cpu) => show(&what, cpu),
            None => println!("| {what} | not installed | | |"),
        }
    }
}

fn make(directory: &Path) -> PathBuf {
    let program = [
        "systemd-journal-remote",
        "/lib/systemd/systemd-journal-remote",
    ]
    .into_iter()
    .find(|program| Command::new(program).arg("--version").output().is_ok());
    let program = program.expect("systemd-journal-remote, or $JOURNAL_DIRECTORY");
    let mut child = Command::new(program)
        .arg("-o")
        .arg(directory.join("system.journal"))
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufWriter::new(child.stdin.take().unwrap());
    corpus::export(corpus::usual(ENTRIES), &mut out).unwrap();
    drop(out);
    assert!(child.wait().unwrap().success());
    directory.to_path_buf()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "journal")
        })
        .collect()
}

fn scan(directory: &Path) -> usize {
    let mut buffer = vec![0; 1 << 20];
    let mut lines = 0;
    for path in files(directory) {
        let mut file = File::open(path).unwrap();
        loop {
            let length = file.read(&mut buffer).unwrap();
            if length == 0 {
                break;
            }
            lines += memchr::memchr_iter(b'\n', &buffer[..length]).count();
        }
    }
    lines
}

/// Entries that the filter hands out. Their fields are looked at.
fn walk(directory: &Path, filter: Filter) -> usize {
    let sources = Sources::none().persistent(directory);
    let mut journal = Journal::open(sources, filter, Start::Oldest, Pace::Eco).unwrap();
    let (mut entries, mut bytes) = (0, 0);
    while let Some(read) = journal.next() {
        match read {
            Read::Entry(entry) => {
                entries += 1;
                bytes += entry.fields().map(|field| field.value.len()).sum::<usize>();
            }
            Read::Notice(notice) => panic!("{notice:?}"),
        }
    }
    std::hint::black_box(bytes);
    entries
}

fn best(mut work: impl FnMut() -> usize) -> f64 {
    let once = |_| {
        let before = cpu(UsageWho::RUSAGE_SELF);
        std::hint::black_box(work());
        cpu(UsageWho::RUSAGE_SELF) - before
    };
    (0..ROUNDS).map(once).fold(f64::INFINITY, f64::min)
}

/// Run once: it takes as long as all the others together.
fn journalctl(directory: &Path, output: &str) -> Option<f64> {
    let (before, begun) = (cpu(UsageWho::RUSAGE_CHILDREN), Instant::now());
    let mut command = Command::new("journalctl");
    command
        .arg("-D")
        .arg(directory)
        .args(["-o", output])
        .stdout(Stdio::null());
    assert!(command.status().ok()?.success());
    eprintln!(
        "journalctl -o {output}: {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    Some(cpu(UsageWho::RUSAGE_CHILDREN) - before)
}

fn cpu(who: UsageWho) -> f64 {
    let usage = getrusage(who).unwrap();
    (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6
}
