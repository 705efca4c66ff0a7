//! Events that are told together, and what is told again.

use std::time::Duration;

use roundsman_store::delivery::{Delivery, State};
use roundsman_store::event::{self, NewEvent, Severity};
use roundsman_store::{delivery, delivery_group};
use serde_json::Value;

use crate::receiver::{Answer, Arrival, Receiver};
use crate::support::{World, trigger};

const MINUTE: Duration = Duration::from_secs(60);

/// Commits an event and rings.
pub fn put(world: &World, event: NewEvent) {
    let put = world.store().publish(|tx| event::insert(tx, &event));
    put.unwrap();
}

/// Something that happened.
pub fn seen(world: &World, uid: &str, severity: Severity) -> NewEvent {
    let event = NewEvent::occurred(world.now(), "test", "test.thing");
    event.uid(uid).severity(severity).message(uid)
}

/// Waits until everything up to this event was looked at.
#[track_caller]
pub fn wait_taken(world: &World, position: &str) {
    world.wait("position", |world| {
        world.position("all").as_deref() == Some(position)
    });
}

fn json(arrival: &Arrival) -> Value {
    serde_json::from_slice(&arrival.body).unwrap()
}

fn uids(arrival: &Arrival) -> Vec<String> {
    let body = json(arrival);
    let events = body["data"]["events"].as_array().unwrap();
    let uid = |event: &Value| event["uid"].as_str().unwrap().to_owned();
    events.iter().map(uid).collect()
}

fn groups(world: &World) -> u64 {
    world.store().read(delivery_group::count).unwrap()
}

fn waiting(world: &World) -> u64 {
    let now = world.now();
    let held = world.store().read(|tx| delivery::held(tx, now)).unwrap();
    held.iter().map(|one| one.count).sum()
}

#[test]
fn a_group_survives_a_kill_and_is_one_digest_when_its_time_has_come() {
    let ops = Receiver::kind();
    let toml = trigger("all", &["ops"]) + "group_by = ['kind']\n" + &ops.endpoint("ops", "");
    let world = World::with_clock(&toml);
    let herald = world.start();
    put(&world, seen(&world, "a", Severity::Info));
    put(&world, seen(&world, "b", Severity::Warning));
    wait_taken(&world, "2");
    assert_eq!(waiting(&world), 2);
    drop(herald);
    let herald = world.start();
    world.advance(Duration::from_secs(29));
    put(&world, seen(&world, "c", Severity::Info));
    wait_taken(&world, "3");
    assert_eq!((world.deliveries().len(), waiting(&world)), (0, 3));
    world.advance(Duration::from_secs(1));
    let arrivals = ops.wait_for(1);
    world.wait("done", |world| world.deliveries()[0].state == State::Done);
    herald.stop();
    assert_eq!(ops.arrivals().len(), 1);
    assert_eq!(json(&arrivals[0])["type"], "herald.digest");
    assert_eq!(json(&arrivals[0])["data"]["severity"], "warning");
    assert_eq!(uids(&arrivals[0]), ["a", "b", "c"]);
    let row = &world.deliveries()[0];
    assert_eq!((row.event, row.uid.len()), (None, 32));
    assert_eq!(row.order_key.as_deref(), Some(r#"["test.thing"]"#));
    assert_eq!((groups(&world), waiting(&world)), (0, 0));
}

#[test]
fn what_is_urgent_closes_its_group_at_once_and_no_other() {
    let ops = Receiver::kind();
    let more = "group_by = ['labels.role']\ngroup_wait = '1h'\n";
    let toml = trigger("all", &["ops"]) + more + &ops.endpoint("ops", "");
    let world = World::with_clock(&toml);
    let herald = world.start();
    let role = |uid, severity, role| put(&world, seen(&world, uid, severity).label("role", role));
    role("db1", Severity::Info, "db");
    role("web1", Severity::Info, "web");
    role("db2", Severity::Critical, "db");
    let arrivals = ops.wait_for(1);
    assert_eq!(uids(&arrivals[0]), ["db1", "db2"]);
    assert_eq!(json(&arrivals[0])["data"]["severity"], "crit");
    world.wait("the other group alone", |world| groups(world) == 1);
    herald.stop();
    assert_eq!((ops.arrivals().len(), waiting(&world)), (1, 1));
}

#[test]
fn a_digest_has_a_hundred_events_and_the_rest_is_the_next() {
    let ops = Receiver::kind();
    let toml = trigger("all", &["ops"]) + "group_by = []\n" + &ops.endpoint("ops", "");
    let world = World::with_clock(&toml);
    let many = world.store().publish(|tx| {
        for n in 0..130 {
            event::insert(tx, &seen(&world, &format!("e{n:03}"), Severity::Info))?;
        }
        Ok(())
    });
    many.unwrap();
    let herald = world.start();
    wait_taken(&world, "130");
    world.advance(Duration::from_secs(30));
    let arrivals = ops.wait_for(2);
    herald.stop();
    let totals = arrivals
        .iter()
        .map(|one| json(one)["data"]["total"].clone());
    assert_eq!(totals.collect::<Vec<_>>(), [100, 30]);
    assert_ne!(arrivals[0].id(), arrivals[1].id());
}

#[test]
fn what_still_holds_is_told_again_until_it_does_not() {
    let ops = Receiver::kind();
    let more = "group_by = []\ngroup_wait = '0s'\nrepeat = '1h'\n";
    let toml = trigger("all", &["ops"]) + more + &ops.endpoint("ops", "");
    let world = World::with_clock(&toml);
    let herald = world.start();
    let firing = |uid: &str| {
        let event = NewEvent::firing(world.now(), "test", "test.disk", uid);
        put(&world, event.uid(uid).severity(Severity::Warning));
    };
    firing("home");
    ops.wait_for(1);
    firing("root");
    ops.wait_for(2);
    world.wait("rest", |world| is_over(&world.deliveries()));
    world.advance(Duration::from_secs(3599));
    world.advance(Duration::from_secs(1));
    let arrivals = ops.wait_for(3);
    assert_eq!(uids(&arrivals[2]), ["home", "root"]);
    let over = NewEvent::resolved(world.now(), "test", "test.disk", "home").uid("over");
    put(&world, over);
    let arrivals = ops.wait_for(4);
    assert_eq!(uids(&arrivals[3]), ["over"]);
    world.wait("rest", |world| is_over(&world.deliveries()));
    world.advance(60 * MINUTE);
    let arrivals = ops.wait_for(5);
    assert_eq!(uids(&arrivals[4]), ["root"]);
    put(
        &world,
        NewEvent::resolved(world.now(), "test", "test.disk", "root"),
    );
    ops.wait_for(6);
    world.advance(60 * MINUTE);
    world.wait("end of the group", |world| groups(world) == 0);
    herald.stop();
    let ids: std::collections::BTreeSet<_> = arrivals.iter().map(Arrival::id).collect();
    assert_eq!((ops.arrivals().len(), ids.len()), (6, 5));
}

fn is_over(all: &[Delivery]) -> bool {
    all.iter().all(|one| one.state == State::Done)
}

#[test]
fn an_alertmanager_is_told_each_minute_and_labels_stay_the_same_to_the_end() {
    let ops = Receiver::kind();
    let toml = trigger("all", &["ops"]) + &ops.endpoint("ops", "format = 'alertmanager'");
    let world = World::with_clock(&toml);
    let herald = world.start();
    let firing = NewEvent::firing(world.now(), "test", "test.disk", "disk:/home");
    put(
        &world,
        firing.severity(Severity::Warning).label("role", "db"),
    );
    ops.wait_for(1);
    for n in 2..4 {
        world.wait("rest", |world| is_over(&world.deliveries()));
        world.advance(MINUTE);
        ops.wait_for(n);
    }
    let over = NewEvent::resolved(world.now(), "test", "test.disk", "disk:/home");
    put(&world, over.severity(Severity::Notice));
    let arrivals = ops.wait_for(4);
    world.advance(MINUTE);
    world.wait("end of the condition", |world| groups(world) == 0);
    herald.stop();
    assert_eq!(ops.arrivals().len(), 4);
    let bodies: Vec<Value> = arrivals.iter().map(json).collect();
    for body in &bodies {
        assert_eq!(body.as_array().unwrap().len(), 1, "{body}");
        assert_eq!(body[0]["labels"], bodies[0][0]["labels"]);
        assert_eq!(body[0]["startsAt"], bodies[0][0]["startsAt"]);
    }
    assert_eq!(bodies[0][0]["labels"]["severity"], "warning");
    let ends: Vec<bool> = bodies
        .iter()
        .map(|one| one[0]["endsAt"].is_string())
        .collect();
    assert_eq!(ends, [false, false, false, true]);
}

#[test]
fn events_of_a_group_go_singly_when_there_is_no_digest_to_be_made() {
    let ops = Receiver::kind();
    let more = "group_by = []\ngroup_wait = '10s'\n";
    let triggers = trigger("all", &["ops"]) + more;
    let world = World::with_clock(&(triggers.clone() + &ops.endpoint("ops", "")));
    let herald = world.start();
    put(&world, seen(&world, "a", Severity::Info));
    wait_taken(&world, "1");
    world.config(&triggers);
    herald.reload();
    world.advance(Duration::from_secs(10));
    world.wait("delivery", |world| world.delivery("a").is_some());
    world.config(&(triggers + &ops.endpoint("ops", "")));
    herald.reload();
    world.wait_done("a");
    herald.stop();
}

#[test]
fn what_an_endpoint_has_or_will_get_is_not_told_again_by_another_trigger() {
    let ops = Receiver::kind();
    let single = trigger("all", &["ops"]);
    let grouped = trigger("grouped", &["ops"]) + "group_by = []\ngroup_wait = '10s'\n";
    let endpoint = ops.endpoint("ops", "");
    let world = World::with_clock(&(single.clone() + &endpoint));
    let herald = world.start();
    put(&world, seen(&world, "single", Severity::Info));
    world.wait_done("single");
    // A trigger that begins with the oldest event sees it again.
    let both = grouped.clone() + &single + "message = '^single'\n" + &endpoint;
    world.config(&both);
    herald.reload();
    put(&world, seen(&world, "waits", Severity::Info));
    wait_taken(&world, "2");
    assert_eq!(waiting(&world), 1);
    let third = trigger("third", &["ops"]);
    world.config(&(both + &third));
    herald.reload();
    world.wait("replay", |world| {
        world.position("third").as_deref() == Some("2")
    });
    world.advance(Duration::from_secs(10));
    let arrivals = ops.wait_for(2);
    herald.stop();
    assert_eq!(uids(&arrivals[1]), ["waits"]);
    assert_eq!(ops.arrivals().len(), 2);
}

#[test]
fn a_condition_without_a_group_is_told_at_once_and_again_while_it_holds() {
    let ops = Receiver::kind();
    let toml = trigger("all", &["ops"]) + "repeat = '1h'\n" + &ops.endpoint("ops", "");
    let world = World::with_clock(&toml);
    let herald = world.start();
    let firing = NewEvent::firing(world.now(), "test", "test.disk", "home");
    put(&world, firing.uid("firing"));
    assert_eq!(ops.wait_for(1)[0].id(), "firing");
    world.wait_done("firing");
    world.advance(60 * MINUTE);
    assert_eq!(uids(&ops.wait_for(2)[1]), ["firing"]);
    let over = NewEvent::resolved(world.now(), "test", "test.disk", "home");
    put(&world, over.uid("over"));
    assert_eq!(ops.wait_for(3)[2].id(), "over");
    world.advance(60 * MINUTE);
    world.wait("end of the condition", |world| groups(world) == 0);
    herald.stop();
    assert_eq!(ops.arrivals().len(), 3);
}

#[test]
fn a_digest_that_has_not_arrived_is_not_told_again() {
    let ops = Receiver::new(|_| Answer::Status(503));
    let more = "group_by = []\ngroup_wait = '0s'\nrepeat = '1m'\n";
    let endpoint = ops.endpoint("ops", "schedule = ['20m']");
    let world = World::with_clock(&(trigger("all", &["ops"]) + more + &endpoint));
    let herald = world.start();
    let firing = NewEvent::firing(world.now(), "test", "test.disk", "home");
    put(&world, firing.severity(Severity::Warning));
    ops.wait_for(1);
    for n in 0..3 {
        world.advance(MINUTE);
        put(&world, seen(&world, &format!("mark{n}"), Severity::Info));
        wait_taken(&world, &(n + 2).to_string());
    }
    herald.stop();
    let telling = |one: &&Delivery| {
        let body = &one.body.as_ref().unwrap().bytes;
        String::from_utf8_lossy(body).contains("test.disk")
    };
    assert_eq!(world.deliveries().iter().filter(telling).count(), 1);
}

#[test]
fn when_there_are_too_many_groups_events_go_singly_and_that_is_said_once() {
    let ops = Receiver::kind();
    let more = "group_by = ['correlation']\ngroup_wait = '1h'\n";
    let toml = trigger("all", &["ops"]) + more + &ops.endpoint("ops", "");
    let world = World::with_clock(&toml);
    let many = world.store().publish(|tx| {
        for n in 0..10_002 {
            let event = seen(&world, &format!("e{n}"), Severity::Info);
            event::insert(tx, &event.correlation(format!("c{n}")))?;
        }
        Ok(())
    });
    many.unwrap();
    let herald = world.start();
    wait_taken(&world, "10002");
    put(
        &world,
        seen(&world, "more", Severity::Info).correlation("more"),
    );
    ops.wait_for(3);
    let output = herald.stop();
    assert_eq!(groups(&world), 10_000);
    assert_eq!(
        output.stderr.matches("too many open groups").count(),
        1,
        "{output}"
    );
    let uids: Vec<String> = world.deliveries().into_iter().map(|one| one.uid).collect();
    assert_eq!(uids, ["e10000", "e10001", "more"]);
}

#[test]
fn killed_at_random_points_every_event_is_in_a_digest_and_no_digest_changes() {
    let ops = Receiver::kind();
    let more = "group_by = ['labels.key']\ngroup_wait = '0s'\n";
    let world = World::new(&(trigger("all", &["ops"]) + more + &ops.endpoint("ops", "")));
    let mut dice = fastrand::Rng::with_seed(5);
    let mut published = std::collections::BTreeSet::new();
    for round in 0..40 {
        let process = world.root.agent("herald").spawn();
        for n in 0..4 {
            let uid = format!("e{round:02}-{n}");
            put(
                &world,
                seen(&world, &uid, Severity::Info).label("key", ["a", "b"][n % 2]),
            );
            published.insert(uid);
        }
        let life = Duration::from_millis(dice.u64(0..60));
        assert!(!process.ended(life).unwrap(), "{}", process.stderr());
        drop(process);
    }
    let herald = world.start();
    wait_taken(&world, "160");
    world.wait("everything", |world| {
        groups(world) == 0 && is_over(&world.deliveries())
    });
    herald.stop();
    let arrivals = ops.arrivals();
    let mut bodies = std::collections::BTreeMap::new();
    let mut told = Vec::new();
    for arrival in &arrivals {
        match bodies.insert(arrival.id(), &arrival.body) {
            None => told.extend(uids(arrival)),
            Some(before) => assert_eq!(before, &arrival.body),
        }
    }
    told.sort();
    assert_eq!(told, Vec::from_iter(published), "each once");
}
