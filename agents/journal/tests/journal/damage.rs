//! Files that are not as they should be: whatever the bytes, reading ends, says what it left out,
//! and gives the rest.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use roundsman_journal::{Filter, Notice};

use crate::support::{Copied, fixtures, read_all, unpack, unpacked};

fn skipped(notices: &[Notice]) -> u64 {
    let entries = notices.iter().map(|notice| match notice {
        Notice::Skipped(skipped) => skipped.entries,
        _ => 0,
    });
    entries.sum()
}

/// Where the used part of a file ends.
fn used(bytes: &[u8]) -> usize {
    let tail = u64::from_le_bytes(bytes[136..144].try_into().unwrap());
    tail as usize + 512
}

#[test]
fn one_entry_of_garbage_costs_one_entry() {
    let (directory, path) = unpacked("262-compact-zstd");
    let (all, _) = read_all(directory.path(), Filter::new());
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    // The kind of the object, then its size.
    for (number, at, garbage) in [(0, 0, 0), (20, 8, 0xff), (59, 15, 1)] {
        let offset = all[number].position.offset + at;
        let mut before = [0];
        File::open(&path)
            .unwrap()
            .read_exact_at(&mut before, offset)
            .unwrap();
        file.write_all_at(&[garbage], offset).unwrap();
        let (rest, notices) = read_all(directory.path(), Filter::new());
        assert_eq!(skipped(&notices), 1, "entry {number}: {notices:?}");
        let mut expected = all.clone();
        expected.remove(number);
        assert!(rest == expected, "entry {number}");
        // The numbers say the same, where one comes before and one behind.
        let gaps: Vec<_> = notices
            .iter()
            .filter_map(|notice| match notice {
                Notice::Gap(gap) => Some((gap.first, gap.last)),
                _ => None,
            })
            .collect();
        let expected = if number == 20 {
            vec![(21, Some(21))]
        } else {
            vec![]
        };
        assert_eq!(gaps, expected, "entry {number}");
        file.write_all_at(&before, offset).unwrap();
    }
}

#[test]
fn a_damaged_value_costs_itself_alone() {
    for name in ["257-compact-lz4", "257-regular-xz", "262-compact-zstd"] {
        let (directory, path) = unpacked(name);
        let (all, _) = read_all(directory.path(), Filter::new());
        // Entry 3 has a compressed message: the first object that the entry has of its own.
        let bytes = fs::read(&path).unwrap();
        let header = if name.contains("compact") { 72 } else { 64 };
        let mut object = all[2].position.offset as usize;
        while bytes[object] != 1 || bytes[object + 1] == 0 {
            let size = u64::from_le_bytes(bytes[object + 8..object + 16].try_into().unwrap());
            object += size.next_multiple_of(8) as usize;
        }
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[0xff; 12], (object + header) as u64)
            .unwrap();
        let (rest, notices) = read_all(directory.path(), Filter::new());
        assert_eq!(skipped(&notices), 0, "{name}");
        assert_eq!(rest.len(), 60, "{name}");
        let damaged: usize = rest.iter().map(|entry| entry.damaged).sum();
        assert_eq!(damaged, 1, "{name}");
        assert_eq!(rest[3].fields.len() + 1, all[3].fields.len(), "{name}");
    }
}

#[test]
fn a_file_that_was_cut_off_gives_what_is_left_and_counts_the_rest() {
    let (directory, path) = unpacked("252-regular-zstd");
    let (all, _) = read_all(directory.path(), Filter::new());
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let length = used(&fs::read(&path).unwrap()) as u64;
    for cut in (400..length).rev().step_by(4099) {
        file.set_len(cut).unwrap();
        let (rest, notices) = read_all(directory.path(), Filter::new());
        assert_eq!(
            rest.len() as u64 + skipped(&notices),
            60,
            "at {cut}: {notices:?}"
        );
        for (entry, whole) in rest.iter().zip(&all) {
            assert_eq!(entry.position, whole.position);
        }
    }
}

#[test]
fn no_bytes_lead_it_astray() {
    let mut random = fastrand::Rng::with_seed(11);
    for (name, packed) in fixtures() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("system.journal");
        let bytes = unpack(&packed);
        fs::write(&path, &bytes).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let (all, _) = read_all(directory.path(), Filter::new());
        for round in 0..60 {
            let changes = changes(&mut random, &bytes, round);
            for (at, garbage) in &changes {
                file.write_all_at(garbage, *at as u64).unwrap();
            }
            check(&name, directory.path(), &all, &changes);
            for (at, garbage) in &changes {
                file.write_all_at(&bytes[*at..*at + garbage.len()], *at as u64)
                    .unwrap();
            }
        }
        assert!(read_all(directory.path(), Filter::new()).0 == all, "{name}");
    }
}

/// Where, and which bytes.
type Changes = Vec<(usize, Vec<u8>)>;

fn changes(random: &mut fastrand::Rng, bytes: &[u8], round: usize) -> Changes {
    let hash_tables = 4 * 1024 * 1024;
    let begin = if round.is_multiple_of(5) { 0 } else { 272 };
    let mut places: Vec<usize> = Vec::new();
    for _ in 0..random.usize(1..8) {
        let at = random.usize(begin..used(bytes));
        // The hash tables are of no concern to a reader.
        let at = if (272..hash_tables).contains(&at) {
            used(bytes) - at % 200_000
        } else {
            at
        };
        places.push(at.min(bytes.len() - 64));
    }
    places
        .into_iter()
        .map(|at| {
            let garbage = match random.u8(0..4) {
                0 => vec![0; random.usize(1..64)],
                1 => vec![0xff; random.usize(1..64)],
                2 => vec![bytes[at] ^ (1 << random.u8(0..8))],
                _ => (0..random.usize(1..64)).map(|_| random.u8(..)).collect(),
            };
            (at, garbage)
        })
        .collect()
}

fn check(name: &str, directory: &Path, all: &[Copied], changes: &Changes) {
    let (rest, notices) = read_all(directory, Filter::new());
    let is_header_whole = changes.iter().all(|(at, _)| *at >= 272);
    if is_header_whole {
        assert_eq!(
            rest.len() as u64 + skipped(&notices),
            60,
            "{name}: {changes:?}: {notices:?}"
        );
    }
    assert!(rest.len() <= all.len(), "{name}: {changes:?}");
}

#[test]
fn what_cannot_be_read_is_said_once_and_the_others_are_read() {
    let (directory, path) = unpacked("252-compact-zstd");
    let whole = fs::read(&path).unwrap();
    let other = |name: &str, bytes: &[u8]| fs::write(directory.path().join(name), bytes).unwrap();
    other(
        "garbage.journal",
        b"this is no journal file, although it is named like one",
    );
    other("empty@1.journal", b"");
    other("note.txt", b"none of ours");
    let mut newer = whole.clone();
    newer[12] |= 0x20;
    other("newer.journal", &newer);
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        directory.path().join("fifo.journal"),
        0o600.into(),
    )
    .unwrap();

    let mut journal = crate::support::open(directory.path(), Filter::new(), Default::default());
    let (entries, notices) = crate::support::drain(&mut journal);
    assert_eq!(entries.len(), 60);
    let mut said: Vec<String> = notices
        .iter()
        .map(|notice| match notice {
            Notice::Refused(refused) => {
                format!(
                    "{}: {}",
                    refused.path.file_name().unwrap().display(),
                    refused.why
                )
            }
            other => format!("{other:?}"),
        })
        .collect();
    said.sort();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(
        said[0].starts_with("empty@1.journal: not a journal file"),
        "{said:?}"
    );
    assert!(
        said[1].starts_with("garbage.journal: not a journal file"),
        "{said:?}"
    );
    assert!(
        said[2].starts_with("newer.journal: ") && said[2].contains("0x20"),
        "{said:?}"
    );

    other("one-more@1.journal", b"");
    assert!(journal.rung());
    let (_, notices) = crate::support::drain(&mut journal);
    assert_eq!(notices.len(), 1, "{notices:?}");
}
