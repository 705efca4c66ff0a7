//! Signs of life, and what herald does not tell again: its own events, and those that come round.

use std::time::Duration;

use ring::digest::{SHA256, digest};
use roundsman_store::delivery::State;
use roundsman_store::event::{self, Severity};
use serde_json::{Value, json};

use crate::groups::{put, seen, wait_taken};
use crate::receiver::{Answer, Receiver};
use crate::support::{World, trigger};

const SLOT: Duration = Duration::from_secs(300);

#[test]
fn an_endpoint_gets_a_sign_of_life_in_each_slot_and_it_is_no_event() {
    let ops = Receiver::kind();
    let world = World::with_clock(&ops.endpoint("ops", "heartbeat = '5m'"));
    let herald = world.start();
    ops.wait_for(1);
    world.wait("done", |world| world.deliveries()[0].state == State::Done);
    herald.stop();
    // The same slot again has nothing new to say.
    let herald = world.start();
    world.advance(SLOT);
    let arrivals = ops.wait_for(2);
    herald.stop();
    assert_eq!(ops.arrivals().len(), 2);
    assert_ne!(arrivals[0].id(), arrivals[1].id());
    let body: Value = serde_json::from_slice(&arrivals[1].body).unwrap();
    assert_eq!(body["type"], "herald.heartbeat");
    assert_eq!(body["data"]["data"]["interval_seconds"], 300);
    let newest = world.store().read(event::newest_id).unwrap();
    assert_eq!(newest.0, 0);
}

#[test]
fn a_clock_that_steps_back_stops_no_sign_of_life() {
    let ops = Receiver::kind();
    let world = World::with_clock(&ops.endpoint("ops", "heartbeat = '5m'"));
    let herald = world.start();
    for n in 1..4 {
        ops.wait_for(n);
        world.wait("done", |world| {
            let all = world.deliveries();
            all.len() == n && all.iter().all(|one| one.state == State::Done)
        });
        world.advance(SLOT);
    }
    ops.wait_for(4);
    world.step_back(3 * SLOT);
    ops.wait_for(5);
    world.advance(SLOT);
    let arrivals = ops.wait_for(6);
    herald.stop();
    let ids: std::collections::BTreeSet<_> = arrivals.iter().map(|one| one.id()).collect();
    assert_eq!(ids.len(), 6);
}

#[test]
fn signs_of_life_that_are_owed_do_not_pile_up() {
    let ops = Receiver::new(|_| Answer::Status(503));
    let world = World::with_clock(&ops.endpoint("ops", "heartbeat = '5m'\nschedule = ['1h']"));
    let herald = world.start();
    for n in 1..4 {
        ops.wait_for(n);
        world.wait("one that is owed", |world| {
            let all = world.deliveries();
            all.len() == 1 && all[0].last_status == Some(503)
        });
        world.advance(SLOT);
    }
    ops.wait_for(4);
    herald.stop();
    assert_eq!(world.deliveries().len(), 1);
}

#[test]
fn what_comes_of_an_event_of_its_own_is_no_event() {
    let down = Receiver::new(|_| Answer::Status(503));
    let other = Receiver::new(|_| Answer::Status(503));
    let schedule = "schedule = ['1s', '1s', '1s', '1s', '1s', '1s', '1s', '1s']";
    let toml = format!(
        "{}[triggers.own]\nkinds = ['herald.*']\nendpoints = ['other']\n{}{}",
        trigger("all", &["down"]),
        down.endpoint("down", schedule),
        other.endpoint("other", schedule)
    );
    let world = World::with_clock(&toml);
    let herald = world.start();
    put(&world, seen(&world, "one", Severity::Info));
    let is_open = |world: &World, name| world.endpoint(name).unwrap().opened_at.is_some();
    world.wait_while(
        "two open circuits",
        |world| is_open(world, "down") && is_open(world, "other"),
        || world.advance(Duration::from_secs(2)),
    );
    let output = herald.stop();
    assert!(
        output.stderr.contains("other: does not take deliveries"),
        "{output}"
    );
    assert_eq!(world.told("down").len(), 1);
    assert_eq!(world.told("other").len(), 0);
}

#[test]
fn an_event_that_has_passed_this_host_is_not_sent_again_and_others_name_it() {
    let ops = Receiver::kind();
    let world = World::with_clock(&(trigger("all", &["ops"]) + &ops.endpoint("ops", "")));
    world
        .root
        .write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    let hash = digest(&SHA256, b"roundsman host 0123456789abcdef0123456789abcdef");
    let own: String = hash.as_ref()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let herald = world.start();
    let come = |uid, path: Value| {
        put(
            &world,
            seen(&world, uid, Severity::Info).datum("path", path),
        )
    };
    come("round", json!(["aa", own]));
    come("once", json!(["aa"]));
    come("no-way", json!("/home"));
    ops.wait_for(2);
    wait_taken(&world, "3");
    let looped = "roundsman_herald_looped_total 1";
    world.wait("figure", |world| crate::quiet::shows(world, looped));
    herald.stop();
    assert!(world.delivery("round").is_none());
    let mut paths: Vec<_> = ops
        .arrivals()
        .iter()
        .map(|one| {
            let body: Value = serde_json::from_slice(&one.body).unwrap();
            (one.id().to_owned(), body["data"]["data"]["path"].clone())
        })
        .collect();
    paths.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("no-way".to_owned(), json!("/home")),
        ("once".to_owned(), json!(["aa", own])),
    ];
    assert_eq!(paths, expected);
}
