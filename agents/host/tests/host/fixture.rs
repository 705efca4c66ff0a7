//! Trees of files that stand for hosts, and the answers of their system calls.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use roundsman_host::calls::{Calls, ClockState, Space, Uname};
use roundsman_host::exposition::{Format, Page};
use roundsman_host::{Collectors, Host, REGISTRY, Report, Root};
use roundsman_tests::layout;

/// The hosts.
pub const NAMES: [&str; 2] = ["amd-server", "intel-desktop"];

/// Where a host's tree lies.
pub fn tree(name: &str) -> PathBuf {
    layout::project().join("tests/fixtures/host").join(name)
}

/// The host below `root`, with system calls that always answer the same.
pub fn host(root: &Path) -> Host {
    let mut host = Host::new(Root::new(root));
    host.calls = Calls {
        space,
        uname,
        clock_state,
        now,
        page_size: 4096,
    };
    // Ample: what is tested here is not how long a mount may take.
    host.mount_deadline = Duration::from_secs(60);
    host
}

fn space(path: &Path) -> io::Result<Space> {
    if path.ends_with("gone") {
        return Err(io::Error::from_raw_os_error(5));
    }
    let name = path.file_name().map_or(1, |name| name.len() as u64);
    let size = name << 32;
    Ok(Space {
        size,
        free: size / 2,
        available: size / 2 - 4096,
        files: name * 1000,
        files_free: name * 600,
    })
}

fn uname() -> Uname {
    Uname {
        system: "Linux".into(),
        release: "6.1.0-40-amd64".into(),
        version: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.153-1".into(),
        machine: "x86_64".into(),
        node: "example".into(),
        domain: "(none)".into(),
    }
}

fn clock_state() -> io::Result<ClockState> {
    Ok(ClockState {
        synchronised: true,
        nanoseconds: true,
        status: 0x2001,
        offset: -1_234_567,
        frequency: 1_316_000,
        max_error: 16_500,
        estimated_error: 120,
        constant: 7,
        tick: 10_000,
        tai: 37,
        ..ClockState::default()
    })
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::new(1_761_160_300, 250_000_000)
}

/// All collectors, those that are off by default too.
pub fn all_collectors(host: &Host) -> Collectors {
    let names: Vec<_> = REGISTRY.iter().map(|entry| entry.name).collect();
    Collectors::select(host, &names, &[]).unwrap()
}

/// One page of all collectors, and how they fared.
pub fn page(root: &Path, format: Format) -> (String, String) {
    let mut page = Page::new(format);
    let mut collectors = all_collectors(&host(root));
    let reports = collectors.collect(&mut page, None);
    let reports: Vec<_> = reports.iter().map(|report| shown(report, root)).collect();
    (
        String::from_utf8(page.finish().to_vec()).unwrap(),
        reports.concat(),
    )
}

fn shown(report: &Report, root: &Path) -> String {
    let fault = report.fault.as_ref().map(|fault| {
        let fault = fault.to_string();
        format!(": {}", fault.replace(root.to_str().unwrap(), ""))
    });
    format!(
        "{} {:?} skipped={}{}\n",
        report.name,
        report.outcome,
        report.skipped,
        fault.unwrap_or_default()
    )
}

/// Copies a tree, links as links.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            symlink(fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else if kind.is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Compares `seen` with the file, or makes the file so with `ROUNDSMAN_BLESS=1`.
#[track_caller]
pub fn compare(path: &Path, seen: &str) {
    if std::env::var_os("ROUNDSMAN_BLESS").is_some() {
        fs::write(path, seen).unwrap();
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    let mut lines = seen.lines().zip(expected.lines()).enumerate();
    if let Some((at, (seen, expected))) = lines.find(|(_, (seen, expected))| seen != expected) {
        panic!(
            "{}:{}: not as expected (ROUNDSMAN_BLESS=1 takes it over)\n  expected {expected}\n  seen     {seen}",
            path.display(),
            at + 1
        );
    }
    assert_eq!(
        seen.lines().count(),
        expected.lines().count(),
        "{}: lines at the end are missing or too many (ROUNDSMAN_BLESS=1 takes it over)",
        path.display()
    );
}

/// The names and escaped values of a sample's labels.
pub fn labels(written: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    let mut rest = written;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut escaped = false;
        let end = after.find(|c: char| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (value, next) = after.split_at(end.unwrap());
        labels.push((name.trim_start_matches(',').to_owned(), value.to_owned()));
        rest = &next[1..];
    }
    labels
}
