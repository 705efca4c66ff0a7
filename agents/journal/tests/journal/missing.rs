//! Behind a real journald that is killed, and whose files are deleted: what is gone is counted, and
//! everything else is there once.

use std::fs;

use roundsman_journal::{Bookmark, Gap, Notice, Read, Start};

use crate::follow::Seen;
use crate::golden::journalctl;
use crate::journald::{Journald, number};
use crate::support::Copied;

#[test]
fn a_journald_that_is_killed_leaves_its_file_to_be_read_to_the_end() {
    let name = "a_journald_that_is_killed_leaves_its_file_to_be_read_to_the_end";
    let Some(mut journald) = Journald::start(name, "Storage=persistent") else {
        return;
    };
    let mut journal = journald.open(Start::Oldest);
    let mut seen = Seen::default();
    let mut sent = 0;
    for round in 0..6 {
        // At any moment: some of these are still in the socket.
        journald.send(sent..sent + 100 * (round + 1));
        sent += 100 * (round + 1);
        seen.take(&mut journal);
        journald.crash();
        journald.send(sent..sent + 50);
        sent += 50;
        seen.follow(&mut journal, sent - 1);
    }
    // journald may be killed when it has given a number to an entry that it has not written yet.
    let missing: u64 = gaps(&seen.notices).map(|gap| gap.entries().unwrap()).sum();
    assert!(
        missing <= 6 && gaps(&seen.notices).count() == seen.notices.len(),
        "{:?}",
        seen.notices
    );
    assert_eq!(seen.numbers, journald.numbers_by_journalctl());
}

#[test]
fn vacuumed_entries_are_a_gap_of_their_exact_number() {
    let name = "vacuumed_entries_are_a_gap_of_their_exact_number";
    let Some(journald) = Journald::start(name, "Storage=persistent") else {
        return;
    };
    let mut journal = journald.open(Start::Oldest);
    let mut seen = Seen::default();
    journald.send(0..100);
    seen.follow(&mut journal, 99);
    let bookmark = journal.bookmark();
    // In one archived file there is the end of what was read, in the next one there is none.
    for numbers in [100..150, 150..400] {
        let last = numbers.end - 1;
        journald.send(numbers);
        Seen::default().follow(&mut journald.open(Start::Oldest), last);
        journald.rotate();
    }
    journald.send(400..500);
    let mut archived: Vec<_> = journald
        .files()
        .into_iter()
        .filter(|path| path.to_string_lossy().contains('@'))
        .collect();
    archived.sort();
    assert_eq!(archived.len(), 2);
    fs::remove_file(&archived[1]).unwrap();

    let check = |seen: &Seen, what: &str| {
        let expected: Vec<u32> = (0..150).chain(400..500).collect();
        assert_eq!(seen.numbers, expected, "{what}");
        let gaps: Vec<&Gap> = gaps(&seen.notices).collect();
        // journald itself says a word or two in each file.
        let [gap] = gaps[..] else {
            panic!("{what}: {:?}", seen.notices)
        };
        let entries = gap.entries().unwrap();
        assert!((250..260).contains(&entries), "{what}: {gap:?}");
    };
    let mut back = Seen {
        numbers: seen.numbers.clone(),
        notices: Vec::new(),
    };
    seen.follow(&mut journal, 499);
    check(&seen, "a follower");
    back.follow(&mut journald.open(Start::After(bookmark)), 499);
    check(&back, "a reader that comes back");
}

#[test]
fn a_file_that_is_emptied_while_it_is_read_gives_nothing_false() {
    let name = "a_file_that_is_emptied_while_it_is_read_gives_nothing_false";
    let Some(journald) = Journald::start(name, "Storage=persistent") else {
        return;
    };
    // Larger than what the reader holds in memory at a time.
    journald.send_long(0..400, 4000);
    Seen::default().follow(&mut journald.open(Start::Oldest), 399);
    let mut journal = journald.open(Start::Oldest);
    let mut seen = Seen::default();
    while seen.numbers.last().is_none_or(|last| *last < 10) {
        let Some(Read::Entry(entry)) = journal.next() else {
            panic!("ends early")
        };
        seen.numbers.extend(number(&Copied::of(&entry).message()));
    }
    journald.rotate();
    let machine = journald.files()[0].parent().unwrap().to_path_buf();
    // journald's own way: it deletes the file and frees its space under whoever reads it.
    journalctl(&machine, &["--vacuum-files=1"]).unwrap();
    journald.send(400..500);
    seen.follow(&mut journal, 499);

    let read = seen
        .numbers
        .iter()
        .position(|number| *number == 400)
        .unwrap();
    assert!(read < 400, "nothing was vacuumed");
    let expected: Vec<u32> = (0..read as u32).chain(400..500).collect();
    assert_eq!(seen.numbers, expected);
    let missing: u64 = gaps(&seen.notices).map(|gap| gap.entries().unwrap()).sum();
    let expected = 400 - read as u64;
    assert!(
        (expected..expected + 10).contains(&missing),
        "{missing}: {:?}",
        seen.notices
    );
}

#[test]
fn kills_of_the_reader_and_of_journald_leave_each_entry_once() {
    let name = "kills_of_the_reader_and_of_journald_leave_each_entry_once";
    let Some(mut journald) = Journald::start(name, "Storage=persistent") else {
        return;
    };
    let mut random = fastrand::Rng::with_seed(5);
    let (mut bookmark, mut seen, mut sent) = (Bookmark::default(), Seen::default(), 0);
    for _ in 0..12 {
        let more = random.u32(1..150);
        journald.send(sent..sent + more);
        sent += more;
        let mut journal = journald.open(Start::After(bookmark));
        for _ in 0..random.usize(0..200) {
            match journal.next() {
                Some(Read::Entry(entry)) => {
                    seen.numbers.extend(number(&Copied::of(&entry).message()));
                }
                Some(Read::Notice(notice)) => seen.notices.push(notice),
                None => break,
            }
        }
        bookmark = journal.bookmark().to_string().parse().unwrap();
        match random.u8(0..3) {
            0 => journald.crash(),
            1 => journald.rotate(),
            _ => {}
        }
    }
    journald.send(sent..sent + 1);
    seen.follow(&mut journald.open(Start::After(bookmark)), sent);
    let missing: u64 = gaps(&seen.notices).map(|gap| gap.entries().unwrap()).sum();
    assert!(
        missing <= 12 && gaps(&seen.notices).count() == seen.notices.len(),
        "{:?}",
        seen.notices
    );
    assert_eq!(seen.numbers, journald.numbers_by_journalctl());
}

fn gaps(notices: &[Notice]) -> impl Iterator<Item = &Gap> {
    notices.iter().filter_map(|notice| match notice {
        Notice::Gap(gap) => Some(gap),
        _ => None,
    })
}
