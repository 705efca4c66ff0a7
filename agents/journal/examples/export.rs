//! Prints a directory of journal files as `journalctl -o export` does.
//! `cargo run -p roundsman-journal --example export -- DIRECTORY`

use std::io::{self, BufWriter, Write};

use roundsman_journal::{Entry, Filter, Journal, Pace, Read, Sources, Start};

fn main() -> io::Result<()> {
    let directory = std::env::args_os()
        .nth(1)
        .unwrap_or_else(|| "/var/log/journal".into());
    let sources = Sources::none().persistent(directory);
    let mut journal = Journal::open(sources, Filter::new(), Start::Oldest, Pace::Normal)?;
    let mut out = BufWriter::new(io::stdout().lock());
    while let Some(read) = journal.next() {
        match read {
            Read::Entry(entry) => print(&mut out, &entry)?,
            Read::Notice(notice) => eprintln!("{notice:?}"),
        }
    }
    out.flush()
}

fn print(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let position = entry.position();
    writeln!(out, "__CURSOR={}", position.cursor())?;
    writeln!(out, "__REALTIME_TIMESTAMP={}", position.realtime)?;
    writeln!(out, "__MONOTONIC_TIMESTAMP={}", position.monotonic)?;
    writeln!(out, "_BOOT_ID={}", position.boot)?;
    for field in entry.fields().filter(|field| field.name != b"_BOOT_ID") {
        out.write_all(field.name)?;
        let is_text = std::str::from_utf8(field.value)
            .is_ok_and(|text| text.chars().all(|c| c == '\t' || !c.is_control()));
        if is_text {
            out.write_all(b"=")?;
        } else {
            out.write_all(b"\n")?;
            out.write_all(&(field.value.len() as u64).to_le_bytes())?;
        }
        out.write_all(field.value)?;
        out.write_all(b"\n")?;
    }
    out.write_all(b"\n")
}
