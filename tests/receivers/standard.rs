//! Format `standard`, judged by the reference library of Standard Webhooks.

use roundsman_tests::receiver::Arrival;
use roundsman_tests::{Python, Receiver, python, skipped};
use serde_json::{Value, json};

use crate::sender::{Sender, awkward};

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const STRANGE: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn library(test: &str) -> Option<Python> {
    let found = Python::with(python::STANDARD_WEBHOOKS);
    found.inspect_err(|reason| skipped::test(test, reason)).ok()
}

/// What the library makes of a request: the payload, or its refusal.
fn verify(python: &Python, secret: &str, arrival: &Arrival) -> Result<Value, String> {
    let input = json!({"secret": secret, "headers": arrival.headers, "body": arrival.body});
    let output = python.run("verify_webhook.py", &input).unwrap();
    match output.code() {
        Some(0) => Ok(serde_json::from_str(&output.stdout).unwrap()),
        Some(1) if output.stdout.starts_with("refused") => Err(output.stdout),
        _ => panic!("{output}"),
    }
}

fn endpoint(receiver: &Receiver) -> String {
    let secrets = "[{ credential = 'old' }, { credential = 'new' }]";
    format!("url = '{}'\nsecrets = {secrets}", receiver.url())
}

#[test]
fn the_library_verifies_with_either_secret_of_a_rotation_and_with_no_other() {
    let Some(python) = library("receivers: standardwebhooks verifies") else {
        return;
    };
    let receiver = Receiver::local().unwrap();
    let sender = Sender::new(&endpoint(&receiver), &[("old", OLD), ("new", NEW)]);
    sender.publish(&awkward());
    let arrival = receiver.next_after(0).unwrap();
    for secret in [OLD, NEW] {
        let payload = verify(&python, secret, &arrival).unwrap();
        assert_eq!(payload, arrival.json().unwrap());
        assert_eq!(payload["type"], "test.thing");
    }
    let refusal = verify(&python, STRANGE, &arrival).unwrap_err();
    assert!(refusal.contains("No matching signature"), "{refusal}");

    // The old one is thrown away: the next request has nothing of it.
    sender.rotate("old", STRANGE);
    sender.publish(&awkward());
    let after = receiver.next_after(1).unwrap();
    verify(&python, NEW, &after).unwrap();
    verify(&python, OLD, &after).unwrap_err();
}

#[test]
fn the_library_refuses_what_was_changed_on_the_way_and_what_is_old() {
    let Some(python) = library("receivers: standardwebhooks refuses") else {
        return;
    };
    let receiver = Receiver::local().unwrap();
    let sender = Sender::new(&endpoint(&receiver), &[("old", OLD), ("new", NEW)]);
    sender.publish(&awkward());
    let arrival = receiver.next_after(0).unwrap();
    verify(&python, OLD, &arrival).unwrap();

    let mut body = arrival.clone();
    body.body = body.body.replace("quoted", "quotes");
    assert_ne!(body, arrival);
    let mut id = arrival.clone();
    id.headers.insert("webhook-id".into(), "another".into());
    let mut time = arrival.clone();
    let early: i64 = time.headers["webhook-timestamp"].parse().unwrap();
    let header = "webhook-timestamp".to_owned();
    time.headers.insert(header.clone(), (early - 1).to_string());
    for changed in [body, id, time] {
        let refusal = verify(&python, OLD, &changed).unwrap_err();
        assert!(refusal.contains("No matching signature"), "{refusal}");
    }
    let mut old = arrival;
    old.headers.insert(header, (early - 3600).to_string());
    let refusal = verify(&python, OLD, &old).unwrap_err();
    assert!(refusal.contains("too old"), "{refusal}");
}
