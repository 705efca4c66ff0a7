//! Quiet hours. The clock of a tree begins at 18:00 UTC.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use roundsman_store::delivery::State;
use roundsman_store::event::Severity;

use crate::groups::{put, seen, wait_taken};
use crate::receiver::{Answer, Arrival, Receiver};
use crate::support::{World, trigger};

const HOUR: Duration = Duration::from_secs(3600);
const EVENING: &str = "quiet = ['17:00-19:00']\ntimezone = 'UTC'\n";

#[test]
fn a_delivery_of_quiet_hours_goes_when_they_end_and_is_not_older_for_it() {
    let ops = Receiver::kind();
    let endpoint = ops.endpoint("ops", "max_age = '1m'");
    let world = World::with_clock(&(trigger("all", &["ops"]) + EVENING + &endpoint));
    let herald = world.start();
    put(&world, seen(&world, "one", Severity::Error));
    world.wait("delivery", |world| world.delivery("one").is_some());
    let row = world.delivery("one").unwrap();
    assert_eq!(row.held_by.as_deref(), Some("quiet"));
    assert_eq!(row.next_at, world.now().plus(HOUR));
    assert_eq!(row.owed_at, Some(row.next_at));
    drop(herald);
    world.advance(HOUR - Duration::from_secs(1));
    // The first turn looks for what is too old.
    let herald = world.start();
    put(&world, seen(&world, "two", Severity::Error));
    wait_taken(&world, "2");
    assert_eq!(ops.arrivals().len(), 0);
    world.advance(Duration::from_secs(1));
    ops.wait_for(2);
    world.wait_done("one");
    herald.stop();
}

#[test]
fn what_is_urgent_passes_and_takes_with_it_what_waits_before_it() {
    let ops = Receiver::kind();
    let toml = trigger("all", &["ops"]) + EVENING + &ops.endpoint("ops", "");
    let world = World::with_clock(&toml);
    let herald = world.start();
    for (uid, key, severity) in [
        ("k1", "k", Severity::Info),
        ("other", "o", Severity::Info),
        ("k2", "k", Severity::Warning),
        ("k3", "k", Severity::Critical),
    ] {
        put(&world, seen(&world, uid, severity).order_key(key));
    }
    ops.wait_for(3);
    world.wait_done("k3");
    herald.stop();
    let ids: Vec<_> = ops
        .arrivals()
        .iter()
        .map(|one| one.id().to_owned())
        .collect();
    assert_eq!(ids, ["k1", "k2", "k3"]);
    assert_eq!(world.delivery("other").unwrap().state, State::Due);
}

#[test]
fn what_these_hours_let_pass_takes_along_what_they_hold_and_no_more() {
    let ops = Receiver::kind();
    let more = format!("{EVENING}quiet_passes = 'warning'\n");
    let world = World::with_clock(&(trigger("all", &["ops"]) + &more + &ops.endpoint("ops", "")));
    let until = world.now().plus(2 * HOUR);
    let silence = format!("until = '{until}'\nreason = 'x'\nsubject = 'silent'\n");
    world
        .root
        .write("/etc/roundsman/silences.d/s.toml", silence);
    let herald = world.start();
    for (uid, key, subject, severity) in [
        ("k1", "k", "loud", Severity::Info),
        ("s1", "s", "silent", Severity::Info),
        ("s2", "s", "loud", Severity::Warning),
        ("k2", "k", "loud", Severity::Warning),
    ] {
        put(
            &world,
            seen(&world, uid, severity).order_key(key).subject(subject),
        );
    }
    ops.wait_for(2);
    world.wait_done("k2");
    herald.stop();
    let arrivals = ops.arrivals();
    let ids: Vec<_> = arrivals.iter().map(Arrival::id).collect();
    assert_eq!(ids, ["k1", "k2"]);
    for uid in ["s1", "s2"] {
        let held_by = world.delivery(uid).unwrap().held_by;
        assert_eq!(held_by.as_deref(), Some("silence:s"), "{uid}");
    }
}

#[test]
fn hours_that_are_shortened_or_let_more_pass_count_for_what_they_hold() {
    let ops = Receiver::kind();
    let config = |quiet: &str| trigger("all", &["ops"]) + quiet + &ops.endpoint("ops", "");
    let world = World::with_clock(&config(EVENING));
    let herald = world.start();
    put(&world, seen(&world, "warning", Severity::Warning));
    put(&world, seen(&world, "info", Severity::Info));
    world.wait("deliveries", |world| world.deliveries().len() == 2);
    let shorter = EVENING.replace("19:00", "18:30");
    world.config(&config(&shorter));
    herald.reload();
    let soon = world.now().plus(HOUR / 2);
    for row in world.deliveries() {
        assert_eq!(
            (row.next_at, row.owed_at),
            (soon, Some(soon)),
            "{}",
            row.uid
        );
    }
    world.config(&config(&(shorter + "quiet_passes = 'warning'\n")));
    herald.reload();
    world.wait_done("warning");
    assert_eq!(world.delivery("info").unwrap().next_at, soon);
    world.advance(HOUR / 2);
    world.wait_done("info");
    herald.stop();
}

/// Whether herald's registry shows this line.
pub fn shows(world: &World, line: &str) -> bool {
    let socket = world.root.at("/run/roundsman/herald/metrics.sock");
    let mut stream = UnixStream::connect(socket).unwrap();
    let ask = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(ask.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page.lines().any(|one| one == line)
}

#[test]
fn with_none_nothing_passes() {
    let ops = Receiver::kind();
    let more = format!("{EVENING}quiet_passes = 'none'\n");
    let world = World::with_clock(&(trigger("all", &["ops"]) + &more + &ops.endpoint("ops", "")));
    let herald = world.start();
    put(&world, seen(&world, "one", Severity::Emergency));
    world.wait("delivery", |world| world.delivery("one").is_some());
    assert_eq!(
        world.delivery("one").unwrap().held_by.as_deref(),
        Some("quiet")
    );
    herald.stop();
    let herald = world.start();
    assert!(shows(&world, "roundsman_herald_held{by=\"quiet\"} 1"));
    assert!(shows(&world, "roundsman_herald_held{by=\"silence\"} 0"));
    herald.stop();
    assert_eq!(ops.arrivals().len(), 0);
}

#[test]
fn a_group_that_would_close_in_quiet_hours_closes_at_their_end() {
    let ops = Receiver::kind();
    let toml = trigger("all", &["ops"]) + EVENING + "group_by = []\n" + &ops.endpoint("ops", "");
    let world = World::with_clock(&toml);
    let herald = world.start();
    put(&world, seen(&world, "a", Severity::Info));
    wait_taken(&world, "1");
    world.advance(HOUR / 2);
    put(&world, seen(&world, "b", Severity::Info));
    wait_taken(&world, "2");
    assert_eq!(world.deliveries().len(), 0);
    world.advance(HOUR / 2);
    let arrivals = ops.wait_for(1);
    herald.stop();
    let total = |one: &Arrival| {
        let body: serde_json::Value = serde_json::from_slice(&one.body).unwrap();
        body["data"]["total"].clone()
    };
    assert_eq!(arrivals.iter().map(total).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_reload_ends_no_quiet_hours_whatever_they_let_pass() {
    let ops = Receiver::kind();
    let more = format!("{EVENING}quiet_passes = 'err'\n");
    let world = World::with_clock(&(trigger("all", &["ops"]) + &more + &ops.endpoint("ops", "")));
    let herald = world.start();
    for (uid, severity) in [("a", Severity::Info), ("b", Severity::Warning)] {
        put(&world, seen(&world, uid, severity).order_key(uid));
    }
    wait_taken(&world, "2");
    herald.reload();
    put(&world, seen(&world, "loud", Severity::Error));
    world.wait_done("loud");
    for uid in ["a", "b"] {
        let row = world.delivery(uid).unwrap();
        assert_eq!(row.held_by.as_deref(), Some("quiet"), "{uid}");
        assert_eq!(row.next_at, world.now().plus(HOUR));
    }
    world.config(&(trigger("all", &["ops"]) + &ops.endpoint("ops", "")));
    herald.reload();
    ops.wait_for(3);
    herald.stop();
}

#[test]
fn what_is_owed_when_quiet_hours_begin_waits_for_their_end() {
    let ops = Receiver::new(|_| Answer::Status(503));
    let hours = "quiet = ['18:30-19:00']\ntimezone = 'UTC'\n";
    let endpoint = ops.endpoint("ops", "schedule = ['45m']");
    let world = World::with_clock(&(trigger("all", &["ops"]) + hours + &endpoint));
    let herald = world.start();
    put(&world, seen(&world, "one", Severity::Error));
    put(&world, seen(&world, "loud", Severity::Critical));
    world.wait("failures", |world| {
        let all = world.deliveries();
        all.len() == 2 && all.iter().all(|one| one.last_status == Some(503))
    });
    world.advance(HOUR / 2);
    world.wait("hold", |world| {
        world.delivery("one").unwrap().held_by.as_deref() == Some("quiet")
    });
    herald.stop();
    let end = world.now().plus(HOUR / 2);
    assert_eq!(world.delivery("one").unwrap().next_at, end);
    assert_eq!(world.delivery("loud").unwrap().held_by, None);
}

#[test]
fn of_two_triggers_the_one_that_tells_soonest_wins() {
    let ops = Receiver::kind();
    let more = format!("{EVENING}group_by = []\n");
    let first = trigger("a", &["ops"]) + "group_by = []\n";
    let quiet = trigger("all", &["ops"]) + &more;
    let toml = first + &quiet + &trigger("single", &["ops"]) + &ops.endpoint("ops", "");
    let world = World::with_clock(&toml);
    let herald = world.start();
    put(&world, seen(&world, "one", Severity::Info));
    world.wait_done("one");
    herald.stop();
    assert_eq!(world.delivery("one").unwrap().trigger, "single");
    assert_eq!(ops.arrivals().len(), 1);
}
