//! Header fields that belong to a format, over several attempts.

use std::collections::BTreeSet;
use std::time::Duration;

use roundsman_store::delivery::State;
use roundsman_store::event::Severity;

use crate::groups::{put, seen, wait_taken};
use crate::receiver::{Answer, Arrival, Receiver};
use crate::support::{World, trigger};

/// One that takes nothing at first.
fn reluctant() -> Receiver {
    Receiver::new(|arrival| match arrival.earlier {
        0 | 1 => Answer::Status(503),
        _ => Answer::Status(204),
    })
}

fn values<'a>(arrivals: &'a [Arrival], name: &str) -> Vec<&'a str> {
    let values = arrivals.iter();
    values.map(|one| one.headers[name].as_str()).collect()
}

/// Waits until the only delivery has arrived, at the third attempt.
fn arrive(world: &World, ops: &Receiver) -> Vec<Arrival> {
    let has_arrived = |world: &World| {
        let all = world.deliveries();
        all.len() == 1 && all[0].state == State::Done
    };
    world.wait_while("delivery", has_arrived, || {
        world.advance(Duration::from_secs(600))
    });
    let arrivals = ops.arrivals();
    assert_eq!(arrivals.len(), 3);
    let bodies: BTreeSet<_> = arrivals.iter().map(|one| &one.body).collect();
    assert_eq!(bodies.len(), 1);
    arrivals
}

#[test]
fn each_attempt_of_beacons_format_is_a_request_with_a_fresh_id() {
    let ops = reluctant();
    let toml = trigger("all", &["ops"]) + &ops.endpoint("ops", "format = 'beacon'");
    let world = World::with_clock(&toml);
    let herald = world.start();
    world.publish("one", None);
    let arrivals = arrive(&world, &ops);
    herald.stop();
    let ids: BTreeSet<_> = values(&arrivals, "x-request-id").into_iter().collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    for id in ids {
        let groups: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!((groups, id.as_bytes()[14]), (vec![8, 4, 4, 4, 12], b'4'));
        assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
    }
}

#[test]
fn an_id_that_is_configured_goes_before_the_fresh_one() {
    let ops = Receiver::kind();
    let more = "format = 'beacon'\nheaders = { X-Request-ID = 'roundsman' }";
    let world = World::new(&(trigger("all", &["ops"]) + &ops.endpoint("ops", more)));
    let herald = world.start();
    world.publish("one", None);
    let arrivals = ops.wait_for(1);
    herald.stop();
    assert_eq!(values(&arrivals, "x-request-id"), ["roundsman"]);
}

/// The attempts of a digest, with a restart between the first two.
fn digest(format: &str) -> Vec<Arrival> {
    let ops = reluctant();
    let more = format!("format = '{format}'");
    let toml = trigger("all", &["ops"]) + "group_by = []\n" + &ops.endpoint("ops", &more);
    let world = World::with_clock(&toml);
    let herald = world.start();
    put(&world, seen(&world, "a", Severity::Info));
    put(&world, seen(&world, "b", Severity::Info));
    wait_taken(&world, "2");
    world.advance(Duration::from_secs(30));
    world.wait("attempt", |world| {
        world
            .deliveries()
            .iter()
            .any(|one| one.last_status == Some(503))
    });
    herald.stop();
    let herald = world.start();
    let arrivals = arrive(&world, &ops);
    herald.stop();
    arrivals
}

#[test]
fn a_digest_keeps_the_header_fields_of_its_format() {
    let arrivals = digest("tinyforge");
    assert_eq!(values(&arrivals, "user-agent"), ["Tinyforge-Webhook/1"; 3]);
    assert_eq!(values(&arrivals, "x-tinyforge-tier"), ["event-trigger"; 3]);
    assert_eq!(values(&arrivals, "x-tinyforge-event"), ["herald.digest"; 3]);
    let body: serde_json::Value = serde_json::from_slice(&arrivals[2].body).unwrap();
    let id = body["delivery_id"].as_str().unwrap();
    assert_eq!(values(&arrivals, "x-tinyforge-delivery"), [id; 3]);

    let arrivals = digest("beacon");
    for agent in values(&arrivals, "user-agent") {
        assert!(agent.starts_with("beacon"), "{agent}");
    }
    let ids: BTreeSet<_> = values(&arrivals, "x-request-id").into_iter().collect();
    assert_eq!(ids.len(), 3);
}
