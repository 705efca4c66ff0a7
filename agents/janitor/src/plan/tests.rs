use std::path::PathBuf;
use std::time::Duration;

use roundsman_kit::quantity::Span;
use roundsman_kit::threshold::Level;
use roundsman_store::event::{Brief, EventId};
use roundsman_store::retention::Reader;

use super::*;
use crate::config::{Events, Kind, Storage};

const NOW: Timestamp = Timestamp(1_795_176_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn events(kinds: &[(&str, u64)]) -> Events {
    let kinds = kinds.iter().map(|(glob, days)| {
        let keep = Span(DAY * *days as u32);
        ((*glob).to_owned(), Kind { keep })
    });
    Events {
        kinds: kinds.collect(),
        ..Events::default()
    }
}

fn reader(name: &str, position: i64, seen: Timestamp) -> Reader {
    Reader {
        name: name.into(),
        position: EventId(position),
        updated_at: seen,
    }
}

fn event(id: i64, kind: &str) -> Brief {
    Brief {
        id: EventId(id),
        at: NOW,
        kind: kind.into(),
    }
}

#[test]
fn the_longest_glob_that_fits_says_how_long_a_kind_is_kept() {
    let events = events(&[
        ("logscan.*", 7),
        ("logscan.hit.*", 2),
        ("*.failed", 60),
        ("sync.done", 1),
    ]);
    for (kind, days) in [
        ("logscan.miss", 7),
        ("logscan.hit.ssh", 2),
        ("logscan.failed", 7),
        ("sync.failed", 60),
        ("sync.done", 1),
        ("sync.done.late", 30),
        ("hostmetrics.disk", 30),
    ] {
        assert_eq!(Keep(&events).of(kind), DAY * days, "{kind}");
    }
}

#[test]
fn a_star_in_the_middle_stands_for_anything() {
    let events = events(&[("a*b*c", 1)]);
    let fits = |kind: &str| Keep(&events).of(kind) == DAY;
    assert!(["abc", "aXbYc", "abbcc", "abcbc"].into_iter().all(fits));
    assert!(!["ab", "ac", "acb", "xabc", "abcx"].into_iter().any(fits));
}

#[test]
fn only_what_has_become_old_since_the_last_sweep_is_looked_at() {
    let window = |from: Timestamp, before: Timestamp| Window { from, before };
    let beginning = Timestamp(i64::MIN);
    let keeps = [30 * DAY, 7 * DAY, 2 * DAY, 7 * DAY];
    let first = windows(&keeps, NOW, None);
    assert_eq!(first, [window(beginning, NOW.minus(2 * DAY))]);
    // A clock that was set back says nothing about what was swept.
    assert_eq!(windows(&keeps, NOW, Some(NOW.plus(HOUR))), first);

    let since = NOW.minus(HOUR);
    let expected = [
        window(beginning, NOW.minus(30 * DAY)),
        window(NOW.minus(7 * DAY + 2 * HOUR), NOW.minus(7 * DAY)),
        window(NOW.minus(2 * DAY + 2 * HOUR), NOW.minus(2 * DAY)),
    ];
    assert_eq!(windows(&keeps, NOW, Some(since)), expected);

    // After a long pause they meet, and no row is looked at twice.
    let expected = [
        window(beginning, NOW.minus(30 * DAY)),
        window(NOW.minus(27 * DAY + HOUR), NOW.minus(7 * DAY)),
        window(NOW.minus(7 * DAY), NOW.minus(2 * DAY)),
    ];
    assert_eq!(windows(&keeps, NOW, Some(NOW.minus(20 * DAY))), expected);
}

#[test]
fn every_row_that_has_become_old_lies_in_one_window() {
    let keeps = [30 * DAY, 7 * DAY, 2 * DAY];
    for pause in [HOUR, 3 * DAY, 6 * DAY, 24 * DAY, 40 * DAY] {
        let swept = NOW.minus(pause);
        let windows = windows(&keeps, NOW, Some(swept));
        for hours in 0..24 * 80 {
            let at = NOW.minus(HOUR * hours);
            let found = windows.iter().filter(|w| w.from <= at && at < w.before);
            let found = found.count();
            let is_due = |keep: &Duration| at < NOW.minus(*keep) && at >= swept.minus(*keep);
            assert!(found <= 1, "{pause:?} {hours}");
            assert!(found == 1 || !keeps.iter().any(is_due), "{pause:?} {hours}");
        }
    }
}

#[test]
fn events_wait_for_the_slowest_reader_that_lives() {
    let max_age = 90 * DAY;
    let none = hold(&[], NOW, max_age);
    assert_eq!(none.read_up_to, EventId(i64::MAX));
    assert!(none.deliveries);
    let readers = [
        reader("herald/ops", 50, NOW.minus(HOUR)),
        reader("ship/all", 20, NOW.minus(90 * DAY)),
        reader("herald/gone", 3, NOW.minus(91 * DAY)),
    ];
    assert_eq!(hold(&readers, NOW, max_age).read_up_to, EventId(20));

    let removed = [event(3, "a"), event(4, "a"), event(20, "b"), event(21, "b")];
    let lost = lost(&removed, &readers);
    assert_eq!(lost.kinds, [("a".into(), 1), ("b".into(), 2)].into());
    let by_reader = [("herald/gone".into(), 3), ("ship/all".into(), 1)];
    assert_eq!(lost.readers, by_reader.into());
    assert_eq!(lost.events(), 3);
}

#[test]
fn names_beyond_a_number_are_counted_together() {
    let mut dropped = Dropped::default();
    for number in 0..300 {
        dropped.event(&format!("kind.{number}"), ["r"]);
    }
    assert_eq!(dropped.events(), 300);
    assert_eq!((dropped.kinds.len(), dropped.kinds["(others)"]), (101, 200));
    assert_eq!(dropped.readers["r"], 300);
}

#[test]
fn the_night_comes_once_and_a_clock_set_back_does_not_keep_it_away() {
    let mut config = Config::default();
    let night = NOW.minus(HOUR);
    let at = |at: Option<Timestamp>| State {
        swept_at: Some(NOW.minus(HOUR)),
        night_at: at,
        backup_at: at,
        ..State::default()
    };
    let due = |config: &Config, state: &State| {
        let work = work(config, state, NOW, night);
        (work.is_night, work.backs_up)
    };
    assert_eq!(due(&config, &at(None)), (true, false));
    config.backup.directory = PathBuf::from("/srv");
    assert_eq!(due(&config, &at(None)), (true, true));
    assert_eq!(due(&config, &at(Some(night))), (false, false));
    assert_eq!(due(&config, &at(Some(night.minus(HOUR)))), (true, true));
    assert_eq!(due(&config, &at(Some(NOW.plus(DAY)))), (true, true));
    assert_eq!(work(&config, &at(None), NOW, night).events.len(), 1);
    assert_eq!(work(&config, &at(None), NOW, night).samples.len(), 1);
    assert_eq!(work(&config, &at(Some(NOW)), NOW, night).samples.len(), 2);
}

#[test]
fn a_level_is_left_only_by_the_hysteresis() {
    let storage = Storage::default();
    let mut conditions = Conditions::new();
    let mut told = Vec::new();
    // 85, 95, 2.
    for value in [84.0, 85.0, 94.9, 96.0, 93.5, 92.9, 84.0, 82.9, 84.9] {
        let subject = "volume";
        let readings = [Reading { subject, value }];
        let (after, changes) = judge(&conditions, &readings, &storage, NOW);
        conditions = after;
        told.extend(changes.into_iter().map(|change| (change.level, value)));
    }
    let expected = [
        (Some(Level::Warning), 85.0),
        (Some(Level::Critical), 96.0),
        (Some(Level::Warning), 92.9),
        (None, 82.9),
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_is_not_known_changes_nothing_and_what_is_not_judged_ends() {
    let mut storage = Storage::default();
    let reading = Reading {
        subject: "wal",
        value: f64::from(300 << 20),
    };
    let (open, _) = judge(&Conditions::new(), &[reading], &storage, NOW);
    assert_eq!(open["wal"].level, Level::Critical);
    let later = NOW.plus(HOUR);
    let (still, changes) = judge(&open, &[], &storage, later);
    assert_eq!((&still, changes.len()), (&open, 0));
    storage.wal.enabled = false;
    let (after, changes) = judge(&open, &[reading], &storage, later);
    assert!(after.is_empty());
    assert_eq!((changes[0].level, changes[0].since), (None, NOW));
}
