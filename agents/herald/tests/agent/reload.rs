//! Other settings while it runs.

use roundsman_store::delivery::State;

use crate::receiver::{Arrival, Receiver};
use crate::support::{World, trigger};

fn ids(receiver: &Receiver) -> Vec<String> {
    let arrivals = receiver.arrivals();
    arrivals.iter().map(|one| one.id().to_owned()).collect()
}

/// Waits until every trigger but `except` has passed the newest event.
fn settle(world: &World, trigger: &str, position: &str) {
    world.wait("position", |world| {
        world.position(trigger).as_deref() == Some(position)
    });
}

#[test]
fn a_broken_trigger_keeps_its_position_and_catches_up_when_it_is_mended() {
    let (one, two) = (Receiver::kind(), Receiver::kind());
    let endpoints = one.endpoint("one", "") + &two.endpoint("two", "");
    let good = trigger("a", &["one"]) + &trigger("b", &["two"]) + &endpoints;
    let world = World::new(&good);
    let herald = world.start();
    world.publish("first", None);
    world.wait_done("first");
    two.wait_for(1);
    let broken = format!(
        "{}[triggers.b]\nendpoints = ['two']\nmessage = '('\n{endpoints}",
        trigger("a", &["one"])
    );
    world.config(&broken);
    let status = herald.reload();
    assert!(status.starts_with("configuration reloaded"), "{status}");
    world.publish("second", None);
    settle(&world, "a", "2");
    assert_eq!(world.position("b").as_deref(), Some("1"));
    world.config(&good);
    herald.reload();
    two.wait_for(2);
    assert_eq!(ids(&two), ["first", "second"]);
    herald.stop();
    assert_eq!(ids(&one), ["first", "second"]);

    // The same when it starts with the broken one.
    world.config(&broken);
    let herald = world.start();
    world.publish("third", None);
    settle(&world, "a", "3");
    assert_eq!(world.position("b").as_deref(), Some("2"));
    let output = herald.stop();
    assert!(output.stderr.contains("left out"), "{output}");
    world.config(&good);
    let herald = world.start();
    two.wait_for(3);
    herald.stop();
}

#[test]
fn a_broken_file_keeps_the_old_configuration() {
    let ops = Receiver::kind();
    let world = World::new(&(trigger("all", &["ops"]) + &ops.endpoint("ops", "")));
    let herald = world.start();
    world.config("swept = 3\n");
    let status = herald.reload();
    assert!(status.contains("old configuration is in force"), "{status}");
    world.publish("one", None);
    ops.wait_for(1);
    herald.stop();
}

#[test]
fn triggers_begin_where_they_say_and_removed_ones_are_forgotten() {
    let (now, oldest) = (Receiver::kind(), Receiver::kind());
    let world = World::new("");
    world.publish("before", None);
    let herald = world.start();
    let endpoints = now.endpoint("now", "") + &oldest.endpoint("oldest", "");
    let fresh = "[triggers.fresh]\nkinds = ['test.*']\nendpoints = ['now']\n";
    world.config(&format!(
        "{fresh}{}{endpoints}",
        trigger("replay", &["oldest"])
    ));
    herald.reload();
    world.publish("after", None);
    now.wait_for(1);
    oldest.wait_for(2);
    assert_eq!(ids(&now), ["after"]);
    world.wait("positions", |world| {
        let at = |name| world.position(name);
        at("fresh").as_deref() == Some("2") && at("replay").as_deref() == Some("2")
    });
    world.config(&format!("{fresh}{endpoints}"));
    herald.reload();
    world.wait("forgotten trigger", |world| {
        world.position("replay").is_none()
    });
    assert_eq!(world.position("fresh").as_deref(), Some("2"));
    herald.stop();
    assert_eq!(oldest.arrivals().iter().map(Arrival::id).count(), 2);
}

#[test]
fn deliveries_wait_for_an_endpoint_that_has_left_the_files() {
    let ops = Receiver::kind();
    let triggers = trigger("all", &["ops"]);
    let world = World::new(&(triggers.clone() + &ops.endpoint("ops", "")));
    let herald = world.start();
    world.publish("first", None);
    world.wait_done("first");
    world.config(&triggers);
    let status = herald.reload();
    assert!(status.starts_with("configuration reloaded"), "{status}");
    world.wait("leave", |world| {
        let row = world.endpoint("ops");
        row.is_some_and(|row| row.gone_at.is_some())
    });
    world.publish("second", None);
    world.wait("delivery", |world| world.delivery("second").is_some());
    assert_eq!(world.delivery("second").unwrap().state, State::Due);
    assert_eq!(ids(&ops), ["first"]);
    world.config(&(triggers + &ops.endpoint("ops", "")));
    herald.reload();
    world.wait_done("second");
    assert_eq!(world.endpoint("ops").unwrap().gone_at, None);
    herald.stop();
}
