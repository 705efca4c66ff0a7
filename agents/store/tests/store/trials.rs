//! What table `trial` promises.

use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, Body, Filter, NewDelivery};
use roundsman_store::event::{EventId, Severity};
use roundsman_store::trial::{self, KEPT, NewTrial, Report, TrialId};

use crate::migrated;

const NOW: Timestamp = Timestamp(1_795_197_600_000);

const NEW: NewTrial<'_> = NewTrial {
    endpoint: "ops",
    event: Some(EventId(7)),
    trigger: Some("all"),
    now: NOW,
};

#[test]
fn a_trial_is_open_until_it_is_over_or_nobody_waits() {
    let (_root, mut store) = migrated();
    let (one, two) = store
        .write(|tx| Ok((trial::insert(tx, &NEW)?, trial::insert(tx, &NEW)?)))
        .unwrap();
    let report = Report {
        url: Some("http://ops.example/in".into()),
        status: Some(503),
        error: Some("answered 503".into()),
        took_ms: Some(12),
        request: Some("POST /in".into()),
        answer: Some("later".into()),
    };
    assert!(store.write(|tx| trial::begin(tx, one, NOW)).unwrap());
    assert!(
        store
            .write(|tx| trial::finish(tx, one, &report, NOW))
            .unwrap()
    );
    let open = store.read(|tx| trial::open(tx, 16)).unwrap();
    assert_eq!(open.iter().map(|one| one.id).collect::<Vec<_>>(), [two]);
    assert!(store.write(|tx| trial::discard(tx, two)).unwrap());
    assert!(!store.write(|tx| trial::begin(tx, two, NOW)).unwrap());
    assert!(
        !store
            .write(|tx| trial::finish(tx, one, &report, NOW))
            .unwrap()
    );
    let row = store.read(|tx| trial::get(tx, one)).unwrap().unwrap();
    assert_eq!(
        (row.event, row.trigger.as_deref()),
        (NEW.event, NEW.trigger)
    );
    assert_eq!((row.begun_at, row.done_at), (Some(NOW), Some(NOW)));
    assert_eq!(row.report, report);
}

#[test]
fn only_the_newest_are_kept() {
    let (_root, mut store) = migrated();
    let last = store.write(|tx| {
        (0..KEPT).try_for_each(|_| trial::insert(tx, &NEW).map(drop))?;
        trial::insert(tx, &NEW)
    });
    let last = last.unwrap();
    let has = |store: &mut roundsman_store::Store, id| {
        store.read(|tx| trial::get(tx, id)).unwrap().is_some()
    };
    assert!(!has(&mut store, TrialId(last.0 - i64::from(KEPT))));
    assert!(has(&mut store, TrialId(last.0 - i64::from(KEPT) + 1)));
    assert!(has(&mut store, last));
}

#[test]
fn a_list_without_bodies_still_tells_which_ones_have_one() {
    let (_root, mut store) = migrated();
    let body = Body {
        content_type: "text/plain".into(),
        bytes: b"a group".to_vec(),
    };
    let new = |uid, event, body| NewDelivery {
        uid,
        endpoint: "ops",
        trigger: "all",
        event,
        order_key: None,
        severity: Severity::Warning,
        now: NOW,
        body,
    };
    let written = store.write(|tx| {
        delivery::insert(tx, &new("a", Some(EventId(1)), None))?;
        delivery::insert(tx, &new("b", None, Some(&body)))
    });
    written.unwrap();
    let found = store
        .read(|tx| delivery::list_without_bodies(tx, &Filter::default(), 10))
        .unwrap();
    let sizes = found
        .iter()
        .map(|one| one.body.as_ref().map(|b| b.bytes.len()));
    assert_eq!(sizes.collect::<Vec<_>>(), [None, Some(0)]);
    let of_event = store
        .read(|tx| delivery::of_event(tx, EventId(1), 10))
        .unwrap();
    assert_eq!(of_event.len(), 1);
    assert_eq!(store.read(delivery::by_trigger).unwrap()["all"], 2);
}
