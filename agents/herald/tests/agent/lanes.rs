//! Endpoints that are down, gone, or ask for time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use roundsman_store::delivery::State;
use roundsman_store::endpoint;
use roundsman_store::event::State as EventState;

use crate::receiver::{Answer, Receiver};
use crate::support::{World, assert_model, has_all, publish, trigger};

const HOUR: Duration = Duration::from_secs(3600);

/// A receiver that can be taken away and brought back.
fn switched() -> (Arc<AtomicBool>, Receiver) {
    let is_up = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_up);
    let receiver = Receiver::new(move |_| match switch.load(Ordering::SeqCst) {
        true => Answer::Status(204),
        false => Answer::Close,
    });
    (is_up, receiver)
}

/// A receiver whose status is turned like a dial.
fn dial(status: u16) -> (Arc<AtomicU16>, Receiver) {
    let dial = Arc::new(AtomicU16::new(status));
    let turned = Arc::clone(&dial);
    let receiver = Receiver::new(move |_| Answer::Status(turned.load(Ordering::SeqCst)));
    (dial, receiver)
}

fn states(world: &World, endpoint: &str) -> Vec<EventState> {
    let told = world.told(endpoint);
    told.iter().map(|event| event.state).collect()
}

#[test]
fn a_long_outage_costs_no_attempts_and_ends_in_order() {
    let (is_up, ops) = switched();
    let other = Receiver::kind();
    let toml = format!(
        "{}[triggers.own]\nkinds = ['herald.*']\nendpoints = ['ops', 'other']\n{}{}",
        trigger("all", &["ops", "other"]),
        ops.endpoint("ops", "schedule = ['5s', '5m', '1h']"),
        other.endpoint("other", "")
    );
    let world = World::with_clock(&toml);
    let herald = world.start();
    let mut published = Vec::new();
    let mut store = world.store();
    for n in 0..120 {
        let (uid, key) = (format!("e{n:03}"), format!("key{}", n % 4));
        publish(&mut store, world.now(), &uid, Some(&key));
        published.push((uid.clone(), key));
        let arrived = |all: &[_]| has_all(all, [uid.clone()].iter());
        other.wait("the event at the other endpoint", arrived);
        world.advance(Duration::from_secs(600));
    }
    world.wait_while(
        "open circuit",
        |world| world.endpoint("ops").unwrap().opened_at.is_some(),
        || world.advance(Duration::from_secs(60)),
    );
    assert!(
        world
            .now()
            .since(roundsman_kit::clock::Timestamp(crate::support::START))
            >= 20 * HOUR
    );
    assert_eq!(states(&world, "ops"), [EventState::Firing]);
    let is_owed = |row: &&_| {
        let row: &roundsman_store::delivery::Delivery = row;
        row.endpoint == "ops" && row.state == State::Due
    };
    let rows = world.deliveries();
    assert_eq!(rows.iter().filter(is_owed).count(), 120);
    let spent: u32 = rows.iter().filter(is_owed).map(|row| row.attempts).sum();
    assert!(spent < 5, "{spent}");
    let before = ops.arrivals().len();
    is_up.store(true, Ordering::SeqCst);
    world.wait_while(
        "recovery",
        |world| states(world, "ops").len() == 2,
        || world.advance(Duration::from_secs(60)),
    );
    // From here on the clock stands still: nothing waits for a pause.
    let late = |all: &[crate::receiver::Arrival]| {
        let late: Vec<_> = all.iter().skip(before).cloned().collect();
        has_all(&late, published.iter().map(|(uid, _)| uid))
    };
    let arrivals = ops.wait("backlog", late);
    assert_model(&published, &arrivals);
    assert_model(&published, &arrivals[before..]);
    assert_eq!(
        states(&world, "ops"),
        [EventState::Firing, EventState::Resolved]
    );
    other.wait("both events about the endpoint", |all| all.len() == 122);
    herald.stop();
    let owed = world.deliveries();
    let about = owed.iter().filter(|row| row.trigger == "own");
    assert!(about.clone().count() == 2 && about.clone().all(|row| row.endpoint == "other"));
}

#[test]
fn gone_disables_once_and_keeps_the_queue_until_it_is_enabled() {
    let (status, ops) = dial(410);
    let toml = trigger("all", &["ops"]) + &ops.endpoint("ops", "schedule = ['1h']");
    let world = World::with_clock(&toml);
    for n in 0..4 {
        world.publish(&format!("e{n}"), None);
    }
    let herald = world.start();
    // All four were under way when the first answer came.
    ops.wait_for(4);
    world.wait("disabled endpoint", |world| {
        let is_tried = |row: &roundsman_store::delivery::Delivery| row.last_status == Some(410);
        world
            .deliveries()
            .iter()
            .filter(|row| is_tried(row))
            .count()
            == 4
    });
    let row = world.endpoint("ops").unwrap();
    assert_eq!(row.disabled_reason.as_deref(), Some("it answered 410 Gone"));
    assert_eq!(states(&world, "ops"), [EventState::Firing]);
    world.publish("later", None);
    world.wait("the later one", |world| world.delivery("later").is_some());
    world.advance(20 * HOUR);
    assert_eq!(ops.arrivals().len(), 4);
    assert!(
        world
            .deliveries()
            .iter()
            .all(|row| row.state == State::Due && row.attempts == 0)
    );

    status.store(204, Ordering::SeqCst);
    let enabled = world.store().write(|tx| endpoint::enable(tx, "ops"));
    assert!(enabled.unwrap());
    ops.wait_for(9);
    world.wait("resolved event", |world| {
        states(world, "ops") == [EventState::Firing, EventState::Resolved]
    });
    herald.stop();
    assert!(
        world
            .deliveries()
            .iter()
            .all(|row| row.state == State::Done)
    );
}

#[test]
fn the_pause_that_an_endpoint_asks_for_is_kept_and_capped() {
    for (asked, granted) in [("120", 120), ("99999999999999999999999", 3600)] {
        let ops = Receiver::new(move |arrival| match arrival.earlier {
            0 => Answer::With(429, format!("retry-after: {asked}\r\n")),
            _ => Answer::Status(204),
        });
        let more = "schedule = ['1s']\nconcurrency = 1\nmax_retry_after = '1h'";
        let world = World::with_clock(&(trigger("all", &["ops"]) + &ops.endpoint("ops", more)));
        let herald = world.start();
        world.publish("one", None);
        world.wait("pause", |world| {
            world.endpoint("ops").unwrap().not_before.is_some()
        });
        let until = world.endpoint("ops").unwrap().not_before.unwrap();
        assert_eq!(until.since(world.now()), Duration::from_secs(granted));
        // What comes meanwhile waits too.
        world.publish("two", None);
        world.advance(Duration::from_secs(granted - 1));
        world.wait("the second", |world| world.delivery("two").is_some());
        assert_eq!(ops.arrivals().len(), 1);
        world.advance(Duration::from_secs(1));
        ops.wait_for(2);
        world.wait_while(
            "everything",
            |world| {
                world
                    .deliveries()
                    .iter()
                    .all(|row| row.state == State::Done)
            },
            || world.advance(Duration::from_secs(granted)),
        );
        herald.stop();
    }
}
