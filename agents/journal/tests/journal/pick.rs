//! What a filter hands out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use roundsman_journal::{Filter, Journal, Pace, Read, Sources, Start, TooManyConditions};

use crate::support::{Copied, fixtures, read_all, unpacked};

fn value<'a>(entry: &'a Copied, name: &str) -> Option<&'a [u8]> {
    let field = entry.fields.iter().find(|(known, _)| known == name);
    field.map(|(_, value)| value.as_slice())
}

#[test]
fn conditions_choose_the_same_entries_in_every_layout() {
    for (name, _) in fixtures() {
        let (directory, _) = unpacked(&name);
        let (all, _) = read_all(directory.path(), Filter::new());
        let is_urgent = |entry: &&Copied| value(entry, "PRIORITY") < Some(&b"4"[..]);
        let has_unit = |entry: &&Copied| {
            let unit = value(entry, "_SYSTEMD_UNIT").unwrap();
            unit == b"unit-1.service" || unit == b"unit-2.service"
        };

        let filter = Filter::new()
            .require(["PRIORITY"], |_, value| value < &b"4"[..])
            .unwrap()
            .only("_SYSTEMD_UNIT", &["unit-1.service", "unit-2.service"])
            .unwrap();
        let (some, _) = read_all(directory.path(), filter);
        let expected: Vec<Copied> = all
            .iter()
            .filter(is_urgent)
            .filter(has_unit)
            .cloned()
            .collect();
        assert!(!expected.is_empty());
        assert!(some == expected, "{name}");

        let filter = Filter::new().without("_SYSTEMD_UNIT", &["unit-1.service", "unit-2.service"]);
        let (others, _) = read_all(directory.path(), filter);
        let expected: Vec<Copied> = all
            .iter()
            .filter(|entry| !has_unit(entry))
            .cloned()
            .collect();
        assert!(others == expected, "{name}");

        let (named, _) = read_all(directory.path(), Filter::new().fields(["MANY", "PRIORITY"]));
        assert_eq!(named.len(), all.len());
        for (named, all) in named.iter().zip(&all) {
            let mut fields = all.fields.clone();
            fields.retain(|(name, _)| name == "MANY" || name == "PRIORITY");
            assert_eq!(named.fields, fields, "{name}");
        }
    }
}

#[test]
fn a_value_is_judged_once_however_many_entries_share_it() {
    let (directory, _) = unpacked("252-compact-zstd");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let filter = Filter::new()
        .require(["_SYSTEMD_UNIT"], move |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
            true
        })
        .unwrap();
    let (entries, _) = read_all(directory.path(), filter);
    assert_eq!(entries.len(), 60);
    assert_eq!(asked.load(Ordering::Relaxed), 9);
}

#[test]
fn a_long_value_is_cut_where_the_filter_says_and_says_so() {
    for (name, _) in fixtures() {
        let (directory, _) = unpacked(&name);
        let (all, _) = read_all(directory.path(), Filter::new());
        let sources = Sources::none().persistent(directory.path());
        let filter = Filter::new().longest_value(300).fields(["MESSAGE"]);
        let mut journal = Journal::open(sources, filter, Start::Oldest, Pace::Eco).unwrap();
        let (mut number, mut cut) = (0, 0);
        while let Some(Read::Entry(entry)) = journal.next() {
            let field = entry.fields().next().unwrap();
            let whole = value(&all[number], "MESSAGE").unwrap();
            let longest = 300 - "MESSAGE=".len();
            assert_eq!(field.value, &whole[..whole.len().min(longest)], "{name}");
            assert_eq!(field.is_cut, whole.len() > longest, "{name}");
            cut += usize::from(field.is_cut);
            number += 1;
        }
        assert_eq!(number, 60);
        assert!(cut > 10, "{cut}");
    }
}

#[test]
fn the_sixth_condition_is_refused() {
    let mut filter = Filter::new();
    for _ in 0..5 {
        filter = filter.only("PRIORITY", &["1"]).unwrap();
    }
    assert!(matches!(
        filter.only("PRIORITY", &["1"]),
        Err(TooManyConditions)
    ));
}

#[test]
fn reading_begins_at_a_time() {
    let (directory, _) = unpacked("262-compact-xz");
    let (all, _) = read_all(directory.path(), Filter::new());
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_micros(all[40].position.realtime);
    let mut journal = crate::support::open(directory.path(), Filter::new(), Start::Since(time));
    let (late, _) = crate::support::drain(&mut journal);
    assert!(late == all[40..]);
}
