//! A directory with one file of any bytes: reading ends, memory is bounded, and what the file's
//! header counts is what was read and what was skipped.
//!
//! The input is the file without its long runs of zeros: pieces of a 32-bit offset, a 16-bit
//! length, and the bytes.

#![no_main]

use std::cell::RefCell;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use libfuzzer_sys::fuzz_target;
use roundsman_journal::{Filter, Journal, Notice, Pace, Read, Sources, Start};
use tempfile::TempDir;

/// Larger offsets only make larger holes.
const LARGEST: u64 = 16 * 1024 * 1024;

thread_local! {
    static DIRECTORY: RefCell<TempDir> = RefCell::new(TempDir::new().expect("a directory"));
}

fn unpack(mut input: &[u8], file: &File) -> std::io::Result<()> {
    while let Some((head, rest)) = input.split_first_chunk::<6>() {
        let offset = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let length = usize::from(u16::from_le_bytes([head[4], head[5]])).min(rest.len());
        file.write_all_at(&rest[..length], u64::from(offset) % LARGEST)?;
        input = &rest[length..];
    }
    Ok(())
}

fuzz_target!(|input: &[u8]| {
    DIRECTORY.with_borrow(|directory| {
        let path = directory.path().join("system.journal");
        let _ = fs::remove_file(&path);
        let file = File::create(&path).expect("a file");
        unpack(input, &file).expect("room for the file");
        file.set_len(LARGEST).expect("room for the file");
        let filters = [
            Filter::new(),
            Filter::new()
                .fields(["MESSAGE"])
                .only("PRIORITY", &["3", "6"])
                .expect("one condition")
                .longest_value(300),
        ];
        for filter in filters {
            read(directory, filter);
        }
    });
});

fn read(directory: &TempDir, filter: Filter) {
    let sources = Sources::none().persistent(directory.path());
    let journal = Journal::open(sources, filter, Start::Oldest, Pace::Normal);
    let mut journal = journal.expect("a descriptor");
    let mut last = 0;
    while let Some(read) = journal.next() {
        match read {
            Read::Entry(entry) => {
                let seqnum = entry.position().seqnum;
                assert!(seqnum > last, "{last} then {seqnum}");
                last = seqnum;
                let text = entry.position().to_string();
                assert_eq!(text.parse().as_ref(), Ok(entry.position()));
                assert!(entry.fields().all(|field| field.value.len() <= 4 * 1024 * 1024));
            }
            Read::Notice(Notice::Gap(gap)) => assert!(gap.entries().is_none_or(|lost| lost > 0)),
            Read::Notice(_) => {}
        }
    }
    assert!(journal.next().is_none());
    let text = journal.bookmark().to_string();
    assert_eq!(text.parse(), Ok(journal.bookmark()));
}
