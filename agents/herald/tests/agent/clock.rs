//! A clock that is set back.

use std::time::Duration;

use roundsman_store::delivery::State;
use roundsman_store::event::Severity;

use crate::groups::{put, seen};
use crate::receiver::{Answer, Receiver};
use crate::support::{World, trigger};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[test]
fn what_it_has_put_off_goes_at_the_next_start_and_what_is_held_back_stays() {
    for back in [DAY / 24, 30 * DAY] {
        let ops = Receiver::new(|arrival| match (arrival.id(), arrival.earlier) {
            ("one", 0) => Answer::Status(500),
            _ => Answer::Status(204),
        });
        let quiet = "quiet = ['17:00-19:00']\ntimezone = 'UTC'\nquiet_passes = 'info'\n";
        let toml = trigger("all", &["ops"]) + quiet + &ops.endpoint("ops", "schedule = ['10m']");
        let world = World::with_clock(&toml);
        let herald = world.start();
        put(&world, seen(&world, "held", Severity::Debug));
        for uid in ["one", "behind"] {
            put(&world, seen(&world, uid, Severity::Info).order_key("k"));
        }
        world.wait("failed attempt", |world| {
            world.delivery("one").is_some_and(|one| one.attempts == 1)
        });
        herald.stop();
        world.retreat(back);
        let herald = world.start();
        world.wait_done("one");
        world.wait_done("behind");
        herald.stop();
        let ids: Vec<_> = ops
            .arrivals()
            .iter()
            .map(|one| one.id().to_owned())
            .collect();
        assert_eq!(ids, ["one", "one", "behind"]);
        assert_eq!(world.delivery("held").unwrap().state, State::Due);
    }
}

#[test]
fn an_endpoint_that_comes_back_gets_what_was_made_before_the_step() {
    let ops = Receiver::new(|arrival| match (arrival.id(), arrival.earlier) {
        ("one", 0..=5) => Answer::Status(503),
        _ => Answer::Status(204),
    });
    let world =
        World::with_clock(&(trigger("all", &["ops"]) + &ops.endpoint("ops", "concurrency = 1")));
    let herald = world.start();
    world.publish("one", None);
    world.wait_while(
        "open circuit",
        |world| {
            world
                .endpoint("ops")
                .is_some_and(|row| row.opened_at.is_some())
        },
        || world.advance(Duration::from_secs(600)),
    );
    world.publish("two", None);
    world.wait("second delivery", |world| world.delivery("two").is_some());
    world.retreat(DAY);
    world.wait_while(
        "both",
        |world| {
            world
                .deliveries()
                .iter()
                .all(|one| one.state == State::Done)
        },
        || world.advance(Duration::from_secs(1)),
    );
    herald.stop();
}
