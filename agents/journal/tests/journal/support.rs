//! Files to read, and what was read.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use roundsman_journal::{Entry, Filter, Journal, Notice, Pace, Position, Read, Sources, Start};
use tempfile::TempDir;

/// An entry, copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    pub position: Position,
    pub fields: Vec<(String, Vec<u8>)>,
    pub damaged: usize,
}

impl Copied {
    pub fn of(entry: &Entry) -> Self {
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        Self {
            position: *entry.position(),
            fields: entry
                .fields()
                .map(|field| (text(field.name), field.value.to_vec()))
                .collect(),
            damaged: entry.damaged_fields(),
        }
    }

    pub fn message(&self) -> String {
        let message = self.fields.iter().find(|(name, _)| name == "MESSAGE");
        message
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .unwrap_or_default()
    }
}

/// Everything that there is now.
pub fn drain(journal: &mut Journal) -> (Vec<Copied>, Vec<Notice>) {
    let (mut entries, mut notices) = (Vec::new(), Vec::new());
    while let Some(read) = journal.next() {
        match read {
            Read::Entry(entry) => entries.push(Copied::of(&entry)),
            Read::Notice(notice) => notices.push(notice),
        }
    }
    (entries, notices)
}

pub fn open(directory: &Path, filter: Filter, start: Start) -> Journal {
    let sources = Sources::none().persistent(directory);
    Journal::open(sources, filter, start, Pace::Eco).unwrap()
}

pub fn read_all(directory: &Path, filter: Filter) -> (Vec<Copied>, Vec<Notice>) {
    drain(&mut open(directory, filter, Start::Oldest))
}

/// Name and path of the packed files of real writers.
pub fn fixtures() -> Vec<(String, PathBuf)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut found: Vec<(String, PathBuf)> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "zst"))
        .map(|path| {
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                path,
            )
        })
        .collect();
    found.sort();
    assert_eq!(found.len(), 9);
    found
}

pub fn unpack(packed: &Path) -> Vec<u8> {
    let file = io::BufReader::new(fs::File::open(packed).unwrap());
    let mut bytes = Vec::new();
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(file).unwrap();
    decoder.read_to_end(&mut bytes).unwrap();
    bytes
}

/// A directory with one of the packed files in it, and the file.
pub fn unpacked(name: &str) -> (TempDir, PathBuf) {
    let (_, packed) = fixtures()
        .into_iter()
        .find(|(known, _)| known.starts_with(name))
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("system.journal");
    fs::write(&file, unpack(&packed)).unwrap();
    (directory, file)
}
