//! What goes, what stays, and what is said about it.

use roundsman_kit::clock::Timestamp;
use roundsman_store::cursor::{self, Cursor};
use roundsman_store::delivery::{self, Attempt};
use roundsman_store::endpoint::{self, Endpoint};
use roundsman_store::event::{EventId, Severity};
use roundsman_store::{cycle, sample};
use serde_json::json;

use crate::house::{DAY, HOUR, House, MINUTE, NOON};

#[test]
fn events_go_when_old_by_kind_and_stay_while_they_are_read() {
    let house = House::new();
    house.config("[events]\nkeep = '30d'\n[events.kinds.'logscan.*']\nkeep = '7d'");
    house.events("sync.done", [NOON - 31 * DAY, NOON - 29 * DAY]);
    let scans = house.events("logscan.hit", [NOON - 20 * DAY, NOON - 8 * DAY, NOON - DAY]);
    house.reader("ops", scans[0], NOON);
    house.run(NOON);
    assert_eq!(house.count(), 3, "one of each kind, but one is unread");
    house.reader("ops", scans[2], NOON);
    house.run(NOON + MINUTE);
    // It became old before the last sweep, so the night looks for it.
    assert_eq!(house.count(), 3);
    house.run(NOON + DAY);
    assert_eq!(house.count(), 2);
    assert!(house.told().is_empty(), "nothing was lost");
    let cycle = house.cycle();
    assert_eq!(cycle.outcome, cycle::Outcome::Ok);
    assert_eq!(cycle.figures["events_removed"], 1);
    let textfile = house.root.read("/run/roundsman/metrics/janitor.prom");
    let line = "roundsman_janitor_removed_total{table=\"event\"} 3\n";
    assert!(textfile.contains(line), "{textfile}");
}

#[test]
fn a_reader_that_stands_still_for_too_long_is_not_waited_for_and_that_is_told_once() {
    let house = House::new();
    let all = house.events("sync.done", (0..2500).map(|n| NOON - 40 * DAY + n));
    house.reader("ops", all[99], NOON - 89 * DAY);
    house.run(NOON);
    assert_eq!(house.count(), 2400);
    house.reader("quick", all[2000], NOON);
    house.run(NOON + 2 * DAY);
    assert_eq!(house.count(), 499);
    house.run(NOON + 2 * DAY + HOUR);
    let told = house.told();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].kind.as_str(), told[0].severity),
        ("janitor.dropped", Severity::Warning)
    );
    assert_eq!(told[0].data["kinds"], json!({ "sync.done": 1901 }));
    assert_eq!(told[0].data["readers"], json!({ "herald/ops": 1901 }));
    assert_eq!(told[0].data["by_size"], 0);
    let textfile = house.root.read("/run/roundsman/metrics/janitor.prom");
    assert!(textfile.contains("roundsman_janitor_dropped_total 1901\n"));
}

#[test]
fn what_a_killed_run_dropped_is_told_by_the_next() {
    let house = House::new();
    let untold =
        json!({ "untold": { "kinds": { "sync.done": 7 }, "readers": { "herald/ops": 7 } } });
    let row = Cursor {
        agent: "janitor".into(),
        stream: "previous-run".into(),
        position: untold.to_string(),
        updated_at: Timestamp(NOON),
    };
    house
        .with(|store| store.write(|tx| cursor::set(tx, &row)))
        .unwrap();
    let output = house.run(NOON);
    let sentence = "dropped (too old to wait any longer): events not read by herald/ops: 7";
    assert!(output.stderr.contains(sentence), "{output}");
    house.run(NOON + HOUR);
    let told = house.told();
    assert_eq!((told.len(), told[0].message.as_str()), (1, sentence));
}

#[test]
fn deliveries_keep_their_events_until_they_are_over() {
    let house = House::new();
    let all = house.events("sync.done", [NOON - 100 * DAY; 4]);
    let old = NOON - 91 * DAY;
    let done = house.owed(all[0], "a", old);
    let parked = house.owed(all[1], "a", NOON - 80 * DAY);
    house.owed(all[2], "gone", old);
    house.owed(all[3], "a", old);
    let attempt = |days: i64| Attempt::at(Timestamp(NOON - days * DAY));
    let mut gone = Endpoint::new("gone", "f");
    gone.gone_at = Some(Timestamp(NOON - DAY));
    let wrote = house.with(|store| {
        store.write(|tx| {
            delivery::done(tx, done, &attempt(8))?;
            delivery::park(tx, parked, &attempt(80), false)?;
            endpoint::set(tx, &Endpoint::new("a", "f"))?;
            endpoint::set(tx, &gone)
        })
    });
    wrote.unwrap();
    house.run(NOON);
    let left = house.with(|store| store.read(delivery::counts)).unwrap();
    let left: u64 = left.iter().map(|count| count.total).sum();
    assert_eq!((left, house.count()), (2, 2), "parked and due ones stay");
    let told = house.told();
    assert_eq!(told[0].data["deliveries"], json!({ "gone": 1 }));
    house.run(NOON + 11 * DAY);
    assert_eq!(house.count(), 1);
    assert_eq!(house.told()[1].data["deliveries"], json!({ "a": 1 }));
}

#[test]
fn samples_are_thinned_to_one_an_hour_and_go_at_last() {
    let house = House::new();
    let day = |days: i64| NOON - days * DAY;
    house.samples((0..60).map(|minute| day(1) + minute * MINUTE));
    house.samples((0..120).map(|minute| day(3) + minute * MINUTE));
    house.samples((0..60).map(|minute| day(401) + minute * MINUTE));
    house.run(NOON);
    let at = |house: &House| {
        let (from, to) = (Timestamp(0), Timestamp(i64::MAX));
        let range =
            house.with(|store| store.read(|tx| sample::range(tx, "mill", "cpu", from, to, 10_000)));
        let range = range.unwrap().rows.found.into_iter();
        range.map(|sample| sample.at.0).collect::<Vec<_>>()
    };
    let left = at(&house);
    assert_eq!(left.len(), 62);
    assert_eq!(left[..2], [day(3), day(3) + HOUR]);
    house.run(NOON + DAY + 30 * MINUTE);
    assert_eq!(at(&house).len(), 3 + 30);
    house.run(NOON + 3 * DAY);
    assert_eq!(at(&house).len(), 3);
}

#[test]
fn a_database_that_is_too_large_loses_the_oldest_and_says_what() {
    let house = House::new();
    house.config("[events]\nsize = '16MiB'");
    let all = house.events("sync.done", (0..40_000).map(|n| NOON - DAY + n));
    house.reader("ops", all[999], NOON);
    let owed = house.owed(all[15_000], "chat", NOON);
    house.owed(*all.last().unwrap(), "chat", NOON);
    let size = house.with(|store| store.space()).unwrap().used_bytes();
    assert!(size > 17 << 20, "{size}");
    house.run(NOON);
    let size = house.with(|store| store.space()).unwrap().used_bytes();
    assert!(size <= 16 << 20 && size > 14 << 20, "{size}");
    assert!(house.file_bytes() <= 17 << 20);
    let told = house.told();
    let left = house.count();
    let lost = 39_000 - left as u64;
    assert_eq!(told[0].data["events"], lost);
    assert!(told[0].data["by_size"].as_u64().unwrap() >= lost);
    assert!(told[0].message.contains("too large"), "{}", told[0].message);
    let first = house
        .with(|store| store.read(|tx| delivery::get(tx, owed)))
        .unwrap();
    assert_eq!(first.is_none(), left < 25_000);
    assert_eq!(house.run(NOON + MINUTE).stderr, "");
    assert_eq!(house.told().len(), 1);
}

#[test]
fn a_dry_run_says_what_a_run_would_do_and_changes_nothing() {
    let house = House::new();
    house.config("[backup]\ndirectory = '/backup'");
    let all = house.events("sync.done", (0..3000).map(|n| NOON - 100 * DAY + n));
    house.events("sync.done", [NOON]);
    house.reader("ops", EventId(2900), NOON - 91 * DAY);
    house.owed(all[7], "chat", NOON);
    house.samples((0..120).map(|minute| NOON - 3 * DAY + minute * MINUTE));
    let before = house
        .with(|store| (store.changed().unwrap(), store.space().unwrap()))
        .1;
    let output = house.root.agent("janitor").args(["--dry-run"]).run();
    let output = output.expect_code(0);
    for line in [
        "events to remove: 2999\n",
        "  of sync.done, not read by everybody: 100\n",
        "  not read by herald/ops, which is not waited for: 100\n",
        "deliveries to remove, delivered: 0\n",
        "samples to remove: 118\n",
        "backup: due\n",
    ] {
        assert!(output.stdout.contains(line), "{line}{output}");
    }
    assert_eq!(house.count(), 3001);
    let (changed, after) = house.with(|store| (store.changed().unwrap(), store.space().unwrap()));
    assert!(!changed && after == before);
    assert!(!house.root.at("/backup").exists());
    house.run(NOON);
    assert_eq!(house.count(), 2);
}

#[test]
fn a_run_ends_when_its_time_is_up_and_the_next_goes_on() {
    let house = House::new();
    house.config("max_run = '50ms'");
    house.events("sync.done", (0..40_000).map(|n| NOON - 40 * DAY + n));
    let mut runs = 0;
    let mut left = house.count();
    while house.count() > 0 {
        house.run(NOON + runs * MINUTE);
        // On a busy machine the time may be up before anything was removed.
        assert!(house.count() <= left && runs < 1000);
        left = house.count();
        runs += 1;
        if house.count() > 0 {
            assert!(house.cycle().sentence.contains("the time was up"));
        }
    }
    assert!(runs > 1, "{runs}");
    house.run(NOON + DAY);
    assert_eq!(house.cycle().outcome, cycle::Outcome::Ok);
}

#[test]
fn a_dead_reader_is_waited_for_no_longer_because_the_clock_was_set_back() {
    let house = House::new();
    house.config("[events]\nkeep = '1d'\nmax_age = '2d'\n");
    house.reader("gone", EventId(0), NOON + 365 * DAY);
    house.events("a", [NOON - 2 * DAY]);
    house.run(NOON);
    assert_eq!(house.count(), 1);
    house.run(NOON + DAY);
    assert_eq!(house.count(), 1, "its age began a day ago");
    house.run(NOON + 3 * DAY);
    assert_eq!(house.count(), 0);
}
