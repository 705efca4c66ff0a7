//! Every field of every entry, in files of three versions of systemd, of each layout and
//! compression: as they were written, and as `journalctl -o export` shows them.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use roundsman_journal::{Filter, Start};
use roundsman_tests::skipped;

use crate::corpus;
use crate::support::{Copied, drain, fixtures, open, read_all, unpacked};

/// The fields of the corpus in the order of a file: that in which values first appeared.
fn written(count: usize) -> Vec<Vec<(String, Vec<u8>)>> {
    let mut order = HashMap::new();
    let mut all = Vec::new();
    for fields in corpus::hard(count) {
        let mut entry: Vec<(usize, (String, Vec<u8>))> = Vec::new();
        let boot = ("_BOOT_ID", corpus::BOOT.as_bytes().to_vec());
        for (name, value) in [boot].into_iter().chain(fields) {
            let field = (name.to_owned(), value);
            let next = order.len();
            entry.push((*order.entry(field.clone()).or_insert(next), field));
        }
        entry.sort();
        entry.dedup();
        all.push(entry.into_iter().map(|(_, field)| field).collect());
    }
    all
}

#[test]
fn every_field_of_every_layout_is_read_as_it_was_written() {
    let written = written(60);
    for (name, _) in fixtures() {
        let (directory, _) = unpacked(&name);
        let (entries, notices) = read_all(directory.path(), Filter::new());
        assert!(notices.is_empty(), "{name}: {notices:?}");
        assert_eq!(entries.len(), 60, "{name}");
        for (number, (entry, written)) in entries.iter().zip(&written).enumerate() {
            // Where `_BOOT_ID` stands depends on the writer.
            let mut fields = entry.fields.clone();
            let mut written = written.clone();
            for fields in [&mut fields, &mut written] {
                fields.sort_by_key(|(name, _)| name == "_BOOT_ID");
            }
            assert!(fields == written, "{name}: entry {number}");
            assert_eq!(entry.damaged, 0, "{name}");
            let later = number as u64 * 1000;
            assert_eq!(entry.position.realtime, corpus::REALTIME + later);
            assert_eq!(entry.position.monotonic, corpus::MONOTONIC + later);
            assert_eq!(entry.position.boot.to_string(), corpus::BOOT);
            assert_eq!(entry.position.seqnum, number as u64 + 1);
        }
    }
}

#[test]
fn journalctl_shows_the_same_bytes() {
    let files = fixtures();
    let mut compared = 0;
    for (name, _) in &files {
        let (directory, _) = unpacked(name);
        let (entries, _) = read_all(directory.path(), Filter::new());
        let Some(theirs) = journalctl(directory.path(), &["-o", "export", "--all"]) else {
            break;
        };
        let ours: Vec<u8> = entries.iter().flat_map(export).collect();
        assert!(ours == without_numbers(&theirs), "{name}");
        compared += 1;
    }
    if compared == 0 {
        skipped::test(
            "journalctl_shows_the_same_bytes",
            "journalctl is not installed",
        );
        return;
    }
    assert_eq!(compared, files.len());
}

/// What journalctl prints of a directory; None if there is no journalctl.
pub fn journalctl(directory: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let mut command = Command::new("journalctl");
    let output = command
        .arg("-D")
        .arg(directory)
        .args(arguments)
        .output()
        .ok()?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(output.stdout)
}

/// The export format of one entry.
pub fn export(entry: &Copied) -> Vec<u8> {
    let position = &entry.position;
    let mut out = format!(
        "__CURSOR={}\n__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID={}\n",
        position.cursor(),
        position.realtime,
        position.monotonic,
        position.boot
    )
    .into_bytes();
    for (name, value) in entry.fields.iter().filter(|(name, _)| name != "_BOOT_ID") {
        out.extend(name.as_bytes());
        let text = std::str::from_utf8(value);
        if text.is_ok_and(|text| text.chars().all(|c| c == '\t' || c >= ' ' && c != '\x7f')) {
            out.push(b'=');
        } else {
            out.push(b'\n');
            out.extend((value.len() as u64).to_le_bytes());
        }
        out.extend(value);
        out.push(b'\n');
    }
    out.push(b'\n');
    out
}

/// Since 254 journalctl prints the number of an entry beside the cursor, which holds it, too.
fn without_numbers(export: &[u8]) -> Vec<u8> {
    let lines = export.split_inclusive(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.starts_with(b"__SEQNUM"))
        .flatten()
        .copied()
        .collect()
}

#[test]
fn many_files_are_one_sequence_and_each_entry_comes_once() {
    let directory = tempfile::tempdir().unwrap();
    for (name, packed) in fixtures() {
        let bytes = crate::support::unpack(&packed);
        // The same file twice, as a backup in the directory would be.
        std::fs::write(directory.path().join(format!("system@{name}")), &bytes).unwrap();
        std::fs::write(
            directory.path().join(format!("system@{name}-copy.journal")),
            &bytes,
        )
        .unwrap();
    }
    let (entries, notices) = read_all(directory.path(), Filter::new());
    assert!(notices.is_empty(), "{notices:?}");
    assert_eq!(entries.len(), 9 * 60);
    assert!(entries.is_sorted_by_key(|entry| entry.position.monotonic));

    // Stopped after any entry, the reading goes on with the next one.
    for stop in [0, 1, 100, 539] {
        let mut journal = open(directory.path(), Filter::new(), Start::Oldest);
        for _ in 0..stop {
            journal.next().unwrap();
        }
        let text = journal.bookmark().to_string();
        let start = Start::After(text.parse().unwrap());
        let (rest, notices) = drain(&mut open(directory.path(), Filter::new(), start));
        assert!(notices.is_empty(), "{notices:?}");
        assert!(
            rest == entries[stop..],
            "after {stop}: {} entries",
            rest.len()
        );
    }
    let (none, _) = drain(&mut open(directory.path(), Filter::new(), Start::End));
    assert!(none.is_empty());
}
