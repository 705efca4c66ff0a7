//! Behind a real journald: rotation, crashes, flushes, vacuuming, users. No entry is lost, none
//! comes twice, and what is gone is counted.

use std::fs;
use std::time::{Duration, Instant};

use roundsman_journal::{Bookmark, Filter, Journal, Notice, Pace, Read, Start};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;

use crate::journald::{Journald, number};
use crate::support::Copied;

const DEADLINE: Duration = Duration::from_secs(30);

/// What a follower has seen.
#[derive(Default)]
pub struct Seen {
    pub numbers: Vec<u32>,
    pub notices: Vec<Notice>,
}

impl Seen {
    pub fn take(&mut self, journal: &mut Journal) {
        while let Some(read) = journal.next() {
            match read {
                Read::Entry(entry) => self.numbers.extend(number(&Copied::of(&entry).message())),
                Read::Notice(notice) => self.notices.push(notice),
            }
        }
    }

    /// Follows until the number has come.
    pub fn follow(&mut self, journal: &mut Journal, last: u32) {
        let begun = Instant::now();
        loop {
            self.take(journal);
            if self.numbers.last().is_some_and(|number| *number >= last) {
                return;
            }
            assert!(
                begun.elapsed() < DEADLINE,
                "{last} never comes behind {:?}: {:?}",
                self.numbers.last(),
                self.notices
            );
            wait(journal);
        }
    }

    fn assert_all(&self, expected: std::ops::Range<u32>) {
        assert!(self.notices.is_empty(), "{:?}", self.notices);
        assert!(
            self.numbers.iter().copied().eq(expected.clone()),
            "{expected:?}: {:?}",
            self.numbers
        );
    }
}

/// Waits as a program would.
fn wait(journal: &mut Journal) {
    let begun = Instant::now();
    while !journal.rung() {
        assert!(begun.elapsed() < DEADLINE, "nothing wakes");
        let period = journal.period().map(|period| period.try_into().unwrap());
        let doorbell = journal.doorbell();
        poll(
            &mut [PollFd::new(&doorbell, PollFlags::IN)],
            period.as_ref(),
        )
        .unwrap();
    }
}

#[test]
fn rotations_lose_nothing_and_repeat_nothing() {
    let name = "rotations_lose_nothing_and_repeat_nothing";
    let Some(journald) = Journald::start(name, "Storage=persistent") else {
        return;
    };
    let mut journal = journald.open(Start::Oldest);
    let mut seen = Seen::default();
    for round in 0..8 {
        let begin = round * 500;
        journald.send(begin..begin + 250);
        if round % 2 == 0 {
            seen.follow(&mut journal, begin + 100);
        }
        journald.rotate();
        journald.send(begin + 250..begin + 500);
        seen.take(&mut journal);
    }
    seen.follow(&mut journal, 3999);
    seen.assert_all(0..4000);
}

#[test]
fn a_flood_is_followed_while_it_comes_and_while_files_rotate() {
    let name = "a_flood_is_followed_while_it_comes_and_while_files_rotate";
    let config = "Storage=persistent\nSystemMaxFileSize=1M";
    let Some(journald) = Journald::start(name, config) else {
        return;
    };
    let mut journal = journald.open(Start::Oldest);
    let mut seen = Seen::default();
    std::thread::scope(|scope| {
        scope.spawn(|| journald.send(0..30_000));
        seen.follow(&mut journal, 29_999);
    });
    seen.assert_all(0..30_000);
    assert!(journald.files().len() > 2, "{:?}", journald.files());
}

#[test]
fn a_reader_that_stops_anywhere_goes_on_with_the_next_entry() {
    let name = "a_reader_that_stops_anywhere_goes_on_with_the_next_entry";
    let Some(journald) = Journald::start(name, "Storage=persistent") else {
        return;
    };
    let (mut bookmark, mut numbers) = (Bookmark::default(), Vec::new());
    let mut random = fastrand::Rng::with_seed(3);
    let mut sent = 0;
    while sent < 3000 {
        let more = random.u32(1..200);
        journald.send(sent..sent + more);
        sent += more;
        if random.u8(0..4) == 0 {
            journald.rotate();
        }
        let text = bookmark.to_string();
        let mut journal = journald.open(Start::After(text.parse().unwrap()));
        for _ in 0..random.usize(0..300) {
            match journal.next() {
                Some(Read::Entry(entry)) => numbers.extend(number(&Copied::of(&entry).message())),
                Some(Read::Notice(notice)) => panic!("{notice:?}"),
                None => break,
            }
        }
        bookmark = journal.bookmark();
    }
    let mut seen = Seen {
        numbers,
        notices: Vec::new(),
    };
    seen.follow(&mut journald.open(Start::After(bookmark)), sent - 1);
    seen.assert_all(0..sent);
}

#[test]
fn a_flush_shows_no_entry_twice_to_a_follower_or_to_a_reader_that_comes_back() {
    let name = "a_flush_shows_no_entry_twice_to_a_follower_or_to_a_reader_that_comes_back";
    let Some(journald) = Journald::start(name, "Storage=auto") else {
        return;
    };
    let mut journal = journald.open(Start::Oldest);
    let mut seen = Seen::default();
    journald.send(0..100);
    seen.follow(&mut journal, 99);
    let mut half = journald.open(Start::Oldest);
    let mut back = Seen::default();
    back.take(&mut half);
    let bookmark = half.bookmark();
    drop(half);
    journald.send(100..200);
    seen.follow(&mut journal, 150);

    fs::create_dir_all(journald.var_directory()).unwrap();
    journald.signal(Signal::USR1);
    let begun = Instant::now();
    while fs::read_dir(journald.var_directory())
        .unwrap()
        .next()
        .is_none()
    {
        assert!(begun.elapsed() < DEADLINE, "no flush");
        std::thread::yield_now();
    }
    journald.send(200..300);
    seen.follow(&mut journal, 299);
    seen.assert_all(0..300);
    back.follow(&mut journald.open(Start::After(bookmark)), 299);
    back.assert_all(0..300);
}

#[test]
fn entries_of_users_are_no_gaps_and_come_in_their_place() {
    let name = "entries_of_users_are_no_gaps_and_come_in_their_place";
    let Some(journald) = Journald::start(name, "Storage=persistent") else {
        return;
    };
    let mut journal = journald.open(Start::Oldest);
    let mut seen = Seen::default();
    for round in 0..20 {
        journald.send(round * 10..round * 10 + 9);
        if !journald.send_as(4242 + round % 2, round * 10 + 9) {
            roundsman_tests::skipped::test(name, "setpriv or logger is not installed");
            return;
        }
        if round == 10 {
            journald.rotate();
        }
        if round % 3 == 0 {
            seen.follow(&mut journal, round * 10 + 5);
        }
    }
    let every = |seen: &mut Seen| {
        // They came by two sockets, which journald empties as it likes.
        seen.numbers.sort_unstable();
        seen.assert_all(0..200);
    };
    let begun = Instant::now();
    while seen.numbers.len() < 200 && begun.elapsed() < DEADLINE {
        wait(&mut journal);
        seen.take(&mut journal);
    }
    every(&mut seen);
    let users = journald
        .files()
        .iter()
        .filter(|path| path.to_string_lossy().contains("user-42"))
        .count();
    assert!(users >= 2, "{:?}", journald.files());

    let mut again = Seen::default();
    again.take(&mut journald.open(Start::Oldest));
    every(&mut again);
}

#[test]
fn the_end_is_behind_what_exists_and_before_what_comes() {
    let name = "the_end_is_behind_what_exists_and_before_what_comes";
    let Some(journald) = Journald::start(name, "Storage=persistent") else {
        return;
    };
    let mut first = Seen::default();
    journald.send(0..50);
    first.follow(&mut journald.open(Start::Oldest), 49);
    journald.rotate();
    journald.send(50..60);
    first.follow(&mut journald.open(Start::Oldest), 59);

    let mut journal = journald.open(Start::End);
    let mut seen = Seen::default();
    seen.take(&mut journal);
    assert!(seen.numbers.is_empty(), "{:?}", seen.numbers);
    journald.send(60..80);
    seen.follow(&mut journal, 79);
    seen.assert_all(60..80);
}

#[test]
fn in_eco_the_descriptor_alone_wakes() {
    let Some(journald) = Journald::start("in_eco_the_descriptor_alone_wakes", "Storage=persistent")
    else {
        return;
    };
    let sources = roundsman_journal::Sources::none()
        .volatile(journald.run_directory())
        .persistent(journald.var_directory());
    let mut journal = Journal::open(sources, Filter::new(), Start::Oldest, Pace::Eco).unwrap();
    let mut seen = Seen::default();
    journald.send(0..1);
    seen.follow(&mut journal, 0);
    for number in 1..4 {
        assert_eq!(journal.period(), None);
        journald.send(number..number + 1);
        seen.follow(&mut journal, number);
    }
    seen.assert_all(0..4);
}
