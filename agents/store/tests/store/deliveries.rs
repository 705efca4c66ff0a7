//! What tables `delivery` and `endpoint` promise.

use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, Attempt, Body, DeliveryId, Filter, NewDelivery, State};
use roundsman_store::endpoint::{self, Endpoint};
use roundsman_store::event::{self, EventId, NewEvent, Severity};
use roundsman_store::{Result, Store, WriteTx};

use crate::migrated;

const NOW: Timestamp = Timestamp(1_795_197_600_000);

fn owed(tx: &WriteTx<'_>, uid: &str, key: Option<&str>) -> Result<Option<DeliveryId>> {
    delivery::insert(
        tx,
        &NewDelivery {
            uid,
            endpoint: "ops",
            trigger: "all",
            event: Some(EventId(1)),
            order_key: key,
            severity: Severity::Warning,
            now: NOW,
            body: None,
        },
    )
}

fn heads(store: &mut Store, now: Timestamp) -> Vec<String> {
    let uids = store.read(|tx| {
        let ids = delivery::heads(tx, "ops", now, 100)?;
        let rows = ids.into_iter().map(|id| delivery::get(tx, id));
        rows.map(|row| Ok(row?.unwrap().uid)).collect()
    });
    uids.unwrap()
}

fn failed(at: Timestamp) -> Attempt<'static> {
    Attempt {
        status: Some(503),
        error: Some("answered 503"),
        answer: Some(b"try later"),
        ..Attempt::at(at)
    }
}

#[test]
fn only_the_first_of_a_key_may_go_until_it_is_done_or_parked() {
    let (_root, mut store) = migrated();
    let ids: Vec<_> = [
        ("a1", Some("a")),
        ("a2", Some("a")),
        ("b1", Some("b")),
        ("x", None),
        ("y", None),
        ("a3", Some("a")),
    ]
    .into_iter()
    .map(|(uid, key)| store.write(|tx| owed(tx, uid, key)).unwrap().unwrap())
    .collect();
    assert_eq!(heads(&mut store, NOW), ["a1", "b1", "x", "y"]);
    assert!(store.write(|tx| owed(tx, "a1", None)).unwrap().is_none());

    let body = Body {
        content_type: "text/plain".into(),
        bytes: b"bytes".to_vec(),
    };
    let later = NOW.plus(std::time::Duration::from_secs(5));
    let put_off =
        |tx: &WriteTx<'_>| delivery::retry(tx, ids[0], &failed(NOW), later, true, Some(&body));
    assert!(store.write(put_off).unwrap());
    assert_eq!(heads(&mut store, NOW), ["b1", "x", "y"], "a2 waits for a1");
    assert_eq!(heads(&mut store, later), ["b1", "x", "y", "a1"]);
    let next = store.read(|tx| delivery::next_at(tx, "ops", NOW)).unwrap();
    assert_eq!(next, Some(later));
    let again = store.read(|tx| delivery::get(tx, ids[0])).unwrap().unwrap();
    assert_eq!((again.attempts, again.last_status), (1, Some(503)));
    assert_eq!(again.body.as_ref(), Some(&body), "what was sent is frozen");

    assert!(
        store
            .write(|tx| delivery::done(tx, ids[0], &Attempt::at(later)))
            .unwrap()
    );
    assert!(
        !store
            .write(|tx| delivery::done(tx, ids[0], &Attempt::at(later)))
            .unwrap()
    );
    let follow = |store: &mut Store, after, now, limit| -> Vec<String> {
        let found = store.read(|tx| delivery::following(tx, ("ops", "a"), after, now, limit));
        found.unwrap().into_iter().map(|one| one.uid).collect()
    };
    assert_eq!(follow(&mut store, ids[0], NOW, 9), ["a2", "a3"]);
    assert_eq!(follow(&mut store, ids[0], NOW, 1), ["a2"]);
    assert_eq!(follow(&mut store, ids[1], NOW, 9), ["a3"]);
    let put_off = |tx: &WriteTx<'_>| {
        delivery::retry(tx, ids[1], &failed(NOW), later, true, None)?;
        delivery::release(tx, "ops", "a")
    };
    store.write(put_off).unwrap();
    assert_eq!(
        follow(&mut store, ids[0], NOW, 9),
        [""; 0],
        "a3 waits for a2"
    );
    assert_eq!(heads(&mut store, NOW), ["b1", "x", "y"]);
    assert_eq!(heads(&mut store, later), ["b1", "x", "y", "a2"]);
    assert!(
        store
            .write(|tx| delivery::park(tx, ids[1], &failed(later), true))
            .unwrap()
    );
    assert_eq!(heads(&mut store, NOW), ["b1", "x", "y", "a3"]);
}

#[test]
fn a_parked_delivery_is_put_back_or_dropped_and_the_counts_follow() {
    let (_root, mut store) = migrated();
    let first = store.write(|tx| owed(tx, "1", Some("k"))).unwrap().unwrap();
    let second = store.write(|tx| owed(tx, "2", Some("k"))).unwrap().unwrap();
    store
        .write(|tx| delivery::park(tx, first, &failed(NOW), true))
        .unwrap();
    assert!(
        store
            .write(|tx| delivery::put_back(tx, first, NOW))
            .unwrap()
    );
    assert!(
        !store
            .write(|tx| delivery::put_back(tx, first, NOW))
            .unwrap()
    );
    let row = store.read(|tx| delivery::get(tx, first)).unwrap().unwrap();
    assert_eq!(
        (row.state, row.redelivered, row.attempts),
        (State::Due, 1, 0)
    );
    store
        .write(|tx| delivery::done(tx, second, &Attempt::at(NOW)))
        .unwrap();
    let counts = |store: &mut Store| -> Vec<_> {
        let counts = store.read(delivery::counts).unwrap();
        counts
            .into_iter()
            .map(|count| (count.state.as_str(), count.total))
            .collect()
    };
    assert_eq!(counts(&mut store), [("done", 1), ("due", 1)]);
    assert!(store.write(|tx| delivery::discard(tx, first)).unwrap());
    assert!(!store.write(|tx| delivery::discard(tx, first)).unwrap());
    assert_eq!(counts(&mut store), [("done", 1)]);
    let done = Filter {
        state: Some(State::Done),
        ..Filter::default()
    };
    let listed = store.read(|tx| delivery::list(tx, &done, 10)).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].uid, "2");
}

#[test]
fn a_dropped_delivery_lets_the_next_of_its_key_go() {
    let (_root, mut store) = migrated();
    let first = store.write(|tx| owed(tx, "1", Some("k"))).unwrap().unwrap();
    store.write(|tx| owed(tx, "2", Some("k"))).unwrap();
    assert!(store.write(|tx| delivery::discard(tx, first)).unwrap());
    assert_eq!(heads(&mut store, NOW), ["2"]);
}

#[test]
fn what_is_too_old_is_parked_and_a_recovered_endpoint_gets_all_in_order() {
    let (_root, mut store) = migrated();
    let old = Timestamp(NOW.as_millis() - 1000);
    for uid in ["1", "2", "3"] {
        store.write(|tx| owed(tx, uid, None)).unwrap();
    }
    let body = Body {
        content_type: "a/b".into(),
        bytes: vec![],
    };
    let later = NOW.plus(std::time::Duration::from_secs(60));
    store
        .write(|tx| delivery::retry(tx, DeliveryId(1), &failed(NOW), later, false, Some(&body)))
        .unwrap();
    assert_eq!(heads(&mut store, NOW), ["2", "3"]);
    assert_eq!(
        store
            .write(|tx| delivery::due_at_once(tx, "ops", NOW))
            .unwrap(),
        1
    );
    assert_eq!(heads(&mut store, NOW), ["1", "2", "3"]);
    assert_eq!(
        store
            .write(|tx| delivery::expire(tx, "ops", old, NOW, 10))
            .unwrap(),
        []
    );
    let soon = Timestamp(NOW.as_millis() + 1);
    assert_eq!(
        store
            .write(|tx| delivery::expire(tx, "ops", soon, NOW, 2))
            .unwrap(),
        [DeliveryId(1), DeliveryId(2)]
    );
    assert_eq!(heads(&mut store, NOW), ["3"]);
    let row = store
        .read(|tx| delivery::get(tx, DeliveryId(1)))
        .unwrap()
        .unwrap();
    assert_eq!(row.last_error.as_deref(), Some("it is too old"));
    assert_eq!(row.last_status, Some(503), "the last answer stays");
}

#[test]
fn an_endpoint_is_remembered_disabled_and_enabled() {
    let (_root, mut store) = migrated();
    let known = Endpoint {
        failures: 3,
        opened_at: Some(NOW),
        ..Endpoint::new("ops", "f1")
    };
    store.write(|tx| endpoint::set(tx, &known)).unwrap();
    assert_eq!(store.read(endpoint::list).unwrap(), [known]);
    let disable = |tx: &WriteTx<'_>| endpoint::disable(tx, "ops", NOW, "410");
    assert!(store.write(disable).unwrap());
    assert!(!store.write(disable).unwrap());
    assert!(store.write(|tx| endpoint::enable(tx, "ops")).unwrap());
    let row = &store.read(endpoint::list).unwrap()[0];
    assert_eq!(
        (row.disabled_at, row.opened_at, row.failures),
        (None, None, 0)
    );
    store
        .publish(|tx| event::insert(tx, &NewEvent::occurred(NOW, "a", "b.c")))
        .unwrap();
    store.write(|tx| owed(tx, "1", None)).unwrap();
    assert!(!store.write(|tx| endpoint::forget(tx, "ops")).unwrap());
    store
        .write(|tx| delivery::discard(tx, DeliveryId(1)))
        .unwrap();
    assert!(store.write(|tx| endpoint::forget(tx, "ops")).unwrap());
}

#[test]
fn what_is_held_back_is_no_probe_stays_so_in_a_recovery_and_is_not_older_for_it() {
    let (_root, mut store) = migrated();
    let later = NOW.plus(std::time::Duration::from_secs(3600));
    let hold = delivery::Hold {
        by: "quiet".into(),
        until: later,
    };
    let id = store.write(|tx| owed(tx, "a", Some("k"))).unwrap().unwrap();
    store.write(|tx| delivery::hold(tx, id, &hold)).unwrap();
    let probe = |store: &mut Store, at| {
        let found = store.read(|tx| delivery::oldest_due(tx, "ops", at));
        found.unwrap().map(|one| one.uid)
    };
    assert_eq!(probe(&mut store, NOW), None);
    store
        .write(|tx| delivery::due_at_once(tx, "ops", NOW))
        .unwrap();
    assert_eq!(heads(&mut store, NOW), [""; 0]);
    let found = store.read(|tx| delivery::hold_of_key(tx, ("ops", "k"), None, NOW));
    assert_eq!(found.unwrap(), Some(hold));
    let expire = |tx: &WriteTx<'_>| delivery::expire(tx, "ops", later, later, 10);
    assert_eq!(store.write(expire).unwrap(), []);
    assert_eq!(probe(&mut store, later).as_deref(), Some("a"));
    assert_eq!(heads(&mut store, later), ["a"]);
    let after = Timestamp(later.0 + 1);
    let expire = |tx: &WriteTx<'_>| delivery::expire(tx, "ops", after, after, 10);
    assert_eq!(store.write(expire).unwrap().len(), 1);
}
