//! Deliveries that cannot be made.

use std::time::Duration;

use roundsman_store::delivery::State;
use roundsman_store::event;

use crate::receiver::{Answer, Receiver};
use crate::support::{World, trigger};

#[test]
fn a_template_that_fails_parks_its_delivery_with_the_reason_and_the_rest_goes_on() {
    let ops = Receiver::kind();
    let more = "format = 'template'\ncontent_type = 'text/plain'\n\
                template = \"{% if event.subject == 'bad' %}{{ event.nothing.more }}{% endif %}{{ event.subject }}\"";
    let world = World::new(&(trigger("all", &["ops"]) + &ops.endpoint("ops", more)));
    let herald = world.start();
    for uid in ["good", "bad", "after"] {
        world.publish(uid, Some("key"));
    }
    world.wait_done("after");
    let bad = world.delivery("bad").unwrap();
    assert_eq!(bad.state, State::Parked);
    let error = bad.last_error.unwrap();
    assert!(error.contains("template"), "{error}");
    let bodies: Vec<_> = ops.arrivals().into_iter().map(|one| one.body).collect();
    assert_eq!(bodies, [&b"good"[..], b"after"]);
    let output = herald.stop();
    assert!(output.stderr.contains("is parked"), "{output}");
}

#[test]
fn deliveries_wait_for_a_missing_credential_with_its_remedy() {
    let ops = Receiver::kind();
    let more = "bearer = { credential = 'token' }";
    let world = World::with_clock(&(trigger("all", &["ops"]) + &ops.endpoint("ops", more)));
    let herald = world.start_with(|command| command.credential("other", "x"));
    world.publish("one", None);
    world.wait("reason", |world| {
        let row = world.delivery("one");
        row.is_some_and(|row| row.last_error.is_some())
    });
    let remedy = "roundsman credential add herald token";
    for error in [
        world.delivery("one").unwrap().last_error.unwrap(),
        world.endpoint("ops").unwrap().last_error.unwrap(),
    ] {
        assert!(error.contains(remedy), "{error}");
    }
    world.root.write("/credentials/token", "s3cret\n");
    world.wait_while(
        "the delivery",
        |world| world.delivery("one").unwrap().state == State::Done,
        || world.advance(Duration::from_secs(60)),
    );
    let arrivals = ops.arrivals();
    assert_eq!(arrivals.len(), 1);
    assert_eq!(arrivals[0].headers["authorization"], "Bearer s3cret");
    herald.stop();
}

#[test]
fn one_that_leaves_the_files_while_it_is_down_is_told_to_be_gone() {
    let (down, other) = (Receiver::new(|_| Answer::Status(503)), Receiver::kind());
    let down = down.endpoint("down", "");
    let rest = trigger("all", &["down"])
        + "[triggers.own]\nkinds = ['herald.*']\nendpoints = ['other']\n"
        + &other.endpoint("other", "");
    let world = World::with_clock(&(rest.clone() + &down));
    let herald = world.start();
    world.publish("one", None);
    world.wait_while(
        "event",
        |world| !world.told("down").is_empty(),
        || world.advance(Duration::from_secs(600)),
    );
    world.config(&rest);
    herald.reload();
    other.wait_for(2);
    herald.stop();
    // Nor is it told twice.
    world.start().stop();
    let told = world.told("down");
    let states: Vec<_> = told.iter().map(|event| event.state).collect();
    assert_eq!(states, [event::State::Firing, event::State::Resolved]);
    assert_eq!(told[0].correlation, told[1].correlation);
    assert_eq!(told[1].message, "endpoint down has left the configuration");
}
