//! One event, one delivery; and many of them in their order.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roundsman_store::delivery::State;
use roundsman_tests::PATIENCE;

use crate::receiver::{Answer, Arrival, Receiver};
use crate::support::{World, assert_model, has_all, publish, trigger};

const KEY: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

fn secret() -> String {
    format!("whsec_{}", STANDARD.encode(KEY))
}

/// What the public libraries check, computed here by itself.
#[track_caller]
fn assert_signed(arrival: &Arrival) {
    let field = |name: &str| arrival.headers[name].clone();
    let mut signed = format!("{}.{}.", field("webhook-id"), field("webhook-timestamp"));
    signed.push_str(std::str::from_utf8(&arrival.body).unwrap());
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, KEY);
    let tag = ring::hmac::sign(&key, signed.as_bytes());
    let expected = format!("v1,{}", STANDARD.encode(tag.as_ref()));
    assert_eq!(field("webhook-signature"), expected);
}

#[test]
fn an_event_becomes_one_signed_delivery_however_many_triggers_name_the_endpoint() {
    let ops = Receiver::kind();
    let secrets = "secrets = [{ credential = 'key' }]";
    let world = World::new(&format!(
        "{}{}{}",
        trigger("one", &["ops"]),
        trigger("two", &["ops"]),
        ops.endpoint("ops", secrets)
    ));
    let herald = world.start_with(|command| command.credential("key", secret()));
    world.publish("first", None);
    world.wait_done("first");
    world.publish("second", None);
    world.wait_done("second");
    let arrivals = ops.arrivals();
    let ids: Vec<&str> = arrivals.iter().map(Arrival::id).collect();
    assert_eq!(ids, ["first", "second"]);
    arrivals.iter().for_each(assert_signed);
    let rows = world.deliveries();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (row.trigger.as_str(), row.state, row.attempts))
        .collect();
    assert_eq!(shown, [("one", State::Done, 1), ("one", State::Done, 1)]);
    assert_eq!(rows[0].last_status, Some(204));
    herald.stop();
    assert_eq!(ops.arrivals().len(), 2);
}

#[test]
fn keys_keep_their_order_though_the_endpoint_fails_at_every_first_attempt() {
    keep_their_order_after(500);
}

#[test]
fn keys_keep_their_order_though_every_delivery_is_refused_at_first() {
    keep_their_order_after(400);
}

fn keep_their_order_after(status: u16) {
    let ops = Receiver::new(move |arrival| match arrival.earlier {
        0 => Answer::Status(status),
        _ => Answer::Status(204),
    });
    let more = "concurrency = 8\nschedule = ['1s', '1s', '1s']";
    let toml = trigger("all", &["ops"]) + &ops.endpoint("ops", more);
    let world = World::with_clock(&toml);
    let herald = world.start();
    let published: Vec<(String, String)> = (0..200)
        .map(|n| (format!("e{n:03}"), format!("key{}", n % 5)))
        .collect();
    let mut store = world.store();
    for (uid, key) in &published {
        publish(&mut store, world.now(), uid, Some(key));
    }
    let arrivals = ops.wait_while(
        "all of them twice",
        |all| {
            let again: Vec<Arrival> = all.iter().filter(|one| one.earlier > 0).cloned().collect();
            has_all(&again, published.iter().map(|(uid, _)| uid))
        },
        || {
            world.advance(Duration::from_secs(10));
            // A socket that nobody reads makes its sender wait.
            while let Ok(Some(_)) = herald.manager.next(Duration::from_millis(1)) {}
        },
    );
    assert_model(&published, &arrivals);
    assert_eq!(arrivals.len(), 400);
    herald.stop();
    assert!(
        world
            .deliveries()
            .iter()
            .all(|one| one.state == State::Done)
    );
}

#[test]
fn a_stop_lets_requests_under_way_finish_and_records_them() {
    let (go, held) = std::sync::mpsc::channel();
    let held = std::sync::Mutex::new(Some(held));
    let ops = Receiver::new(move |_| match held.lock().unwrap().take() {
        Some(held) => Answer::Hold(held),
        None => Answer::Status(204),
    });
    let world = World::new(&(trigger("all", &["ops"]) + &ops.endpoint("ops", "")));
    let herald = world.start();
    world.publish("first", Some("key"));
    world.publish("second", Some("key"));
    ops.wait_for(1);
    herald
        .process
        .signal(rustix::process::Signal::TERM)
        .unwrap();
    // It does not end while the answer is awaited.
    assert!(!herald.process.ended(Duration::from_millis(300)).unwrap());
    go.send(()).unwrap();
    herald.process.wait(PATIENCE).expect_code(0);
    assert_eq!(world.delivery("first").unwrap().state, State::Done);
    let second = world.delivery("second");
    assert!(second.is_none_or(|one| one.state == State::Due));
    assert_eq!(ops.arrivals().len(), 1);
}

#[test]
fn a_second_herald_on_the_same_store_is_told_so() {
    let world = World::new("");
    let herald = world.start();
    let output = world.root.agent("herald").run().expect_code(75);
    let message = "another herald delivers from this store already";
    assert!(output.stderr.contains(message), "{output}");
    herald.stop();
    world.start().stop();
}
