//! Files that are cut off, garbled or missing: nothing panics, and no figure is made up.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use roundsman_host::exposition::Format;
use roundsman_host::exposition::parse::{Limits, parse};

use crate::fixture::{NAMES, copy, page, tree};

/// Files whose words become labels, or are counted: garbage in them is a word like another.
const WORDS: [&str; 32] = [
    "address",
    "broadcast",
    "duplex",
    "ifalias",
    "operstate",
    "flags",
    "type",
    "name",
    "status",
    "technology",
    "model_name",
    "manufacturer",
    "serial_number",
    "capacity_level",
    "scope",
    "scaling_governor",
    "scaling_available_governors",
    "available_clocksource",
    "current_clocksource",
    "bonding_masters",
    "slaves",
    "mii_status",
    "os-release",
    "temp1_label",
    "temp2_label",
    "temp3_label",
    "temp4_label",
    "temp5_label",
    "freq1_label",
    "in0_label",
    "rotational",
    "beep_enable",
];

struct Patient {
    directory: tempfile::TempDir,
    whole: HashSet<String>,
}

impl Patient {
    fn new(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy(&tree(name), directory.path());
        let whole = samples(directory.path());
        Self { directory, whole }
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for part in ["proc", "sys", "etc", "usr", "run"] {
            walk(&self.directory.path().join(part), &mut files);
        }
        // One processor, interface or sensor stands for its likes.
        let mut seen: HashMap<_, u32> = HashMap::new();
        files.retain(|file| {
            let count = seen
                .entry(file.file_name().unwrap().to_owned())
                .or_default();
            *count += 1;
            *count <= 2 || file.starts_with(self.directory.path().join("proc"))
        });
        files
    }

    /// The page while the file holds `content`, or is missing.
    fn with(&self, file: &Path, content: Option<&[u8]>) -> HashSet<String> {
        let before = fs::read(file).unwrap();
        match content {
            Some(content) => fs::write(file, content).unwrap(),
            None => fs::remove_file(file).unwrap(),
        }
        let samples = samples(self.directory.path());
        fs::write(file, before).unwrap();
        samples
    }
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            walk(&entry.path(), files);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
}

/// The samples of a page, which must be well-formed whatever the files hold.
fn samples(root: &Path) -> HashSet<String> {
    let (text, _) = page(root, Format::Text);
    if let Err(error) = parse(text.as_bytes(), &Limits::default()) {
        panic!("{error}\n{text}");
    }
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn is_wordy(file: &Path) -> bool {
    let name = file.file_name().unwrap().to_str().unwrap();
    let process = file.ends_with("stat") && !file.ends_with("proc/stat");
    let udev = file.to_str().unwrap().contains("/udev/");
    // What this process can reach is judged by it; the kernel always has it.
    let own_view = file.ends_with("self/mountinfo");
    WORDS.contains(&name) || process || udev || own_view
}

fn assert_nothing_new(patient: &Patient, samples: &HashSet<String>, file: &Path, how: &str) {
    let made_up: Vec<_> = samples.difference(&patient.whole).collect();
    assert!(made_up.is_empty(), "{} {how}: {made_up:#?}", file.display());
}

#[test]
fn garbage_costs_its_own_figures_and_makes_none_up() {
    for name in NAMES {
        let patient = Patient::new(name);
        for file in patient.files() {
            for garbage in [&b"garb\xff\0ge :\n"[..], b""] {
                let samples = patient.with(&file, Some(garbage));
                if !is_wordy(&file) {
                    assert_nothing_new(&patient, &samples, &file, "garbled");
                }
            }
        }
    }
}

#[test]
fn a_missing_file_costs_its_own_figures_only() {
    for name in NAMES {
        let patient = Patient::new(name);
        for file in patient.files() {
            let samples = patient.with(&file, None);
            // Without these the host has no IPv6, and the mounts are this process's own.
            let other_host = file.ends_with("net/tcp6") || file.ends_with("1/mountinfo");
            if !is_wordy(&file) && !other_host {
                assert_nothing_new(&patient, &samples, &file, "removed");
            }
        }
    }
}

/// A cut may leave a shorter number, so only the form of the page is judged.
#[test]
fn no_cut_of_a_file_of_proc_makes_a_collector_panic() {
    const CUTS: usize = 9;
    for name in NAMES {
        let patient = Patient::new(name);
        let mut files = Vec::new();
        walk(&patient.directory.path().join("proc"), &mut files);
        for file in files {
            let content = fs::read(&file).unwrap();
            for cut in 1..CUTS {
                patient.with(&file, Some(&content[..content.len() * cut / CUTS]));
            }
        }
    }
}

#[test]
fn one_bad_line_costs_that_line_and_shows_in_the_success() {
    let patient = Patient::new("intel-desktop");
    let root = patient.directory.path();
    let spoil = |file: &str, good: &str, bad: &str| {
        let path = root.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(good));
        fs::write(&path, text.replace(good, bad)).unwrap();
    };
    spoil(
        "proc/meminfo",
        "SwapCached:        10240 kB",
        "SwapCached:        1O240 kB",
    );
    spoil("proc/1/mountinfo", "45 30 259:1", "45 30 259.1");
    let (text, reports) = page(root, Format::Text);
    assert!(!text.contains("node_memory_SwapCached_bytes"));
    assert!(text.contains("node_memory_SwapFree_bytes"));
    assert!(!text.contains("/boot/efi"));
    assert!(text.contains("mountpoint=\"/home\""));
    for line in [
        "meminfo Partial skipped=0: /proc/meminfo:6: amount of memory is not what the format says: \"1O240\"",
        "filesystem Partial skipped=0: /proc/1/mountinfo:7: mount is not what the format says:",
    ] {
        assert!(reports.contains(line), "{reports}");
    }
}
