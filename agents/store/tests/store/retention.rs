//! What makes the file small again: which rows may go, the space they leave, the log.

use roundsman_kit::clock::Timestamp;
use roundsman_store::cursor::{self, Cursor};
use roundsman_store::delivery::{self, Attempt, DeliveryId, NewDelivery};
use roundsman_store::delivery_group::{self, Stand};
use roundsman_store::endpoint::{self, Endpoint};
use roundsman_store::event::{self, Brief, EventId, Hold, NewEvent, Severity};
use roundsman_store::retention::{self, Ended};
use roundsman_store::sample::{self, Sample};
use roundsman_store::{Role, Store};

use crate::{location, migrated, open};

const HOUR: i64 = 3_600_000;
/// A whole hour.
const NOON: i64 = 1_795_176_000_000;

fn events(store: &mut Store, count: i64) -> Vec<EventId> {
    let text = "x".repeat(400);
    let insert = |tx: &roundsman_store::EventTx<'_>| {
        let events = (0..count).map(|number| {
            let at = Timestamp(NOON + number);
            let event = NewEvent::occurred(at, "test", "test.seen").message(&text);
            event::insert(tx, &event).map(Option::unwrap)
        });
        events.collect()
    };
    store.publish(insert).unwrap()
}

fn owed(store: &mut Store, event: Option<EventId>, endpoint: &str, at: i64) -> DeliveryId {
    let uid = format!("{event:?} {at}");
    let body = delivery::Body {
        content_type: "text/plain".into(),
        bytes: vec![1],
    };
    let new = NewDelivery {
        uid: &uid,
        endpoint,
        trigger: "ops",
        event,
        order_key: Some("key"),
        severity: Severity::Notice,
        now: Timestamp(at),
        body: event.is_none().then_some(&body),
    };
    store
        .write(|tx| delivery::insert(tx, &new))
        .unwrap()
        .unwrap()
}

fn ids(briefs: &[Brief]) -> Vec<i64> {
    let mut ids: Vec<i64> = briefs.iter().map(|brief| brief.id.0).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn an_event_stays_while_a_reader_or_a_delivery_needs_it() {
    let (_root, mut store) = migrated();
    let all = events(&mut store, 6);
    let [_, done, due, parked, tried, _] = all[..] else {
        panic!("{all:?}")
    };
    let at = NOON;
    for (event, endpoint) in [(done, "a"), (due, "b"), (parked, "c"), (tried, "d")] {
        let id = owed(&mut store, Some(event), endpoint, at);
        let attempt = Attempt::at(Timestamp(at));
        let body = delivery::Body {
            content_type: "text/plain".into(),
            bytes: vec![1],
        };
        store
            .write(|tx| match endpoint {
                "a" => delivery::done(tx, id, &attempt).map(drop),
                "c" => delivery::park(tx, id, &attempt, true).map(drop),
                "d" => {
                    delivery::retry(tx, id, &attempt, Timestamp(at), true, Some(&body))?;
                    delivery::park(tx, id, &attempt, true).map(drop)
                }
                _ => Ok(()),
            })
            .unwrap();
    }
    let hold = Hold {
        read_up_to: tried,
        deliveries: true,
    };
    let going = store.read(|tx| event::removable(tx, &all, hold)).unwrap();
    assert_eq!(ids(&going), [1, 2, 5], "due, parked without bytes, unread");
    // A group needs it too, whether it waits there or may be told again.
    let key = delivery_group::GroupKey {
        endpoint: "a",
        trigger: "all",
        key: "[]",
        held_by: "",
    };
    let group = store.write(|tx| {
        let group = delivery_group::begin(tx, key, "[]", "u")?.id;
        delivery_group::join(tx, group, all[0], Stand::Waiting)?;
        delivery_group::join(tx, group, done, Stand::Told)?;
        Ok(group)
    });
    let kept = store.read(|tx| event::removable(tx, &all, hold)).unwrap();
    assert_eq!(ids(&kept), [5]);
    let group = group.unwrap();
    store.write(|tx| delivery_group::forget(tx, group)).unwrap();
    let gone = store.write(|tx| event::remove(tx, &all, hold)).unwrap();
    assert_eq!(ids(&gone), ids(&going));
    let open = store.read(|tx| retention::open(tx, &all)).unwrap();
    assert_eq!(open.len(), 3);
    let gone = store
        .write(|tx| event::remove(tx, &all, Hold::NONE))
        .unwrap();
    assert_eq!(ids(&gone), [3, 4, 6]);
    assert_eq!(store.read(event::newest_id).unwrap(), EventId(6));
}

#[test]
fn old_events_come_page_by_page_and_none_twice() {
    let (_root, mut store) = migrated();
    let same = |tx: &roundsman_store::EventTx<'_>| {
        for at in [5, 5, 5, 3, 9, 7, 5] {
            let event = NewEvent::occurred(Timestamp(at), "test", "test.seen");
            event::insert(tx, &event)?;
        }
        Ok(())
    };
    store.publish(same).unwrap();
    let mut from = (Timestamp(i64::MIN), EventId(i64::MIN));
    let mut seen = Vec::new();
    loop {
        let page = store.read(|tx| event::aged(tx, from, Timestamp(9), 2));
        let page = page.unwrap();
        let Some(last) = page.last() else { break };
        from = (last.at, last.id);
        seen.extend(page.iter().map(|event| event.id.0));
    }
    assert_eq!(seen, [4, 1, 2, 3, 7, 6]);
    let oldest = store.read(|tx| event::oldest(tx, EventId(2), 3)).unwrap();
    assert_eq!(ids(&oldest), [3, 4, 5]);
}

#[test]
fn readers_are_the_cursors_that_say_so() {
    let (_root, mut store) = migrated();
    let streams = [
        ("herald", "reader:ops", "41"),
        ("herald", "reader:torn", "4x"),
        ("logscan", "journal", "s=1"),
    ];
    for (agent, stream, position) in streams {
        let row = Cursor {
            agent: agent.into(),
            stream: stream.into(),
            position: position.into(),
            updated_at: Timestamp(7),
        };
        store.write(|tx| cursor::set(tx, &row)).unwrap();
    }
    let readers = store.read(retention::readers).unwrap();
    let found: Vec<_> = readers
        .iter()
        .map(|reader| (reader.name.as_str(), reader.position.0))
        .collect();
    assert_eq!(found, [("herald/ops", 41), ("herald/torn", 0)]);
}

#[test]
fn deliveries_are_over_when_done_parked_or_without_an_endpoint() {
    let (_root, mut store) = migrated();
    let attempt = Attempt::at(Timestamp(NOON));
    let mut made = Vec::new();
    for (number, endpoint) in ["done", "parked", "gone", "gone", "here"]
        .into_iter()
        .enumerate()
    {
        made.push(owed(&mut store, None, endpoint, NOON + number as i64));
    }
    let mut gone = Endpoint::new("gone", "f");
    gone.gone_at = Some(Timestamp(NOON));
    store
        .write(|tx| {
            delivery::done(tx, made[0], &attempt)?;
            delivery::park(tx, made[1], &attempt, true)?;
            endpoint::set(tx, &Endpoint::new("here", "f"))?;
            endpoint::set(tx, &gone)
        })
        .unwrap();
    let over = |store: &mut Store, ended, before| {
        let over = store.read(|tx| {
            let over = retention::over(tx, ended, Timestamp(before), 10)?;
            let counted = retention::count(tx, ended, Timestamp(before))?;
            assert_eq!(counted, over.len() as u64);
            Ok(over)
        });
        over.unwrap()
    };
    for ended in Ended::ALL {
        assert_eq!(over(&mut store, ended, NOON), []);
        assert_eq!(over(&mut store, ended, NOON + 3).len(), 1, "{ended:?}");
    }
    // Of one key, the one behind takes the place of one that is removed.
    let second = store.read(|tx| delivery::get(tx, made[3])).unwrap();
    assert!(second.unwrap().is_blocked);
    let orphaned = over(&mut store, Ended::Orphaned, NOON + 3);
    assert_eq!(orphaned[0].endpoint, "gone");
    let removed = store.write(|tx| retention::remove(tx, &orphaned)).unwrap();
    assert_eq!(removed, 1);
    let second = store.read(|tx| delivery::get(tx, made[3])).unwrap();
    assert!(!second.unwrap().is_blocked);

    let done = over(&mut store, Ended::Done, NOON + 3);
    assert_eq!(store.write(|tx| retention::remove(tx, &done)).unwrap(), 1);
    let left = store.read(|tx| retention::oldest_open(tx, 10)).unwrap();
    assert_eq!(left.len(), 3);
}

#[test]
fn the_first_sample_of_each_hour_of_a_series_is_no_surplus() {
    let (_root, mut store) = migrated();
    let mut add = |kind: &str, host: &str, at: i64| {
        let sample = Sample {
            at: Timestamp(at),
            host: host.into(),
            os: "debian 12".into(),
            kind: kind.into(),
            payload: serde_json::Map::new(),
        };
        assert!(store.write(|tx| sample::insert(tx, &sample)).unwrap());
    };
    for minute in [1, 2, 59, 60, 61] {
        add("cpu", "mill", NOON + minute * 60_000);
    }
    add("cpu", "barn", NOON + 2 * 60_000);
    add("disk", "mill", NOON + 59 * 60_000);
    let from = (Timestamp(NOON), i64::MIN);
    let aged = store
        .read(|tx| sample::aged(tx, from, Timestamp(NOON + HOUR * 2), 100))
        .unwrap();
    let surplus: Vec<i64> = aged
        .iter()
        .filter(|sample| sample.is_surplus)
        .map(|sample| (sample.at.0 - NOON) / 60_000)
        .collect();
    assert_eq!((aged.len(), surplus), (7, vec![2, 59, 61]));
    let ids: Vec<i64> = aged.iter().map(|sample| sample.id).collect();
    assert_eq!(store.write(|tx| sample::remove(tx, &ids[..2])).unwrap(), 2);
}

#[test]
fn the_space_of_removed_rows_goes_back_to_the_file_system() {
    let (root, mut store) = migrated();
    let all = events(&mut store, 4000);
    store.checkpoint().unwrap();
    let file = location(root.path()).db().to_owned();
    let size = || std::fs::metadata(&file).unwrap().len();
    let (full, before) = (size(), store.space().unwrap());
    assert!(before.shrinks && !before.wants_rewrite());
    assert_eq!(before.pages * before.page_bytes, full);
    for ids in all.chunks(1000) {
        store
            .write(|tx| event::remove(tx, ids, Hold::NONE))
            .unwrap();
    }
    let removed = store.space().unwrap();
    assert!(removed.used_bytes() * 4 < before.used_bytes());
    assert_eq!(removed.pages, before.pages);
    store.give_back(10).unwrap();
    assert_eq!(store.space().unwrap().pages, before.pages - 10);
    while store.space().unwrap().free > 0 {
        store.give_back(500).unwrap();
    }
    let log = store.figures().unwrap().wal_bytes;
    assert!(log > 0);
    assert!(store.checkpoint().unwrap().is_complete());
    assert!(size() * 4 < full, "{} of {full}", size());
    assert!(store.truncate_log().unwrap());
    assert_eq!(store.figures().unwrap().wal_bytes, 0);
    store.optimize().unwrap();
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_reader_keeps_the_log_and_nobody_waits_for_it() {
    let (root, mut store) = migrated();
    events(&mut store, 100);
    let mut reader = open(root.path(), Role::Reader);
    let outcome = reader.read(|tx| {
        // The snapshot begins with the first look.
        event::newest_id(tx)?;
        events(&mut store, 100);
        let started = std::time::Instant::now();
        let done = store.checkpoint()?;
        assert!(!done.is_complete() && done.pages > done.moved, "{done:?}");
        assert!(!store.truncate_log()?);
        assert!(started.elapsed().as_secs() < 2);
        Ok(())
    });
    outcome.unwrap();
    assert!(store.checkpoint().unwrap().is_complete());
    assert!(store.truncate_log().unwrap());
}

#[test]
fn a_file_that_cannot_shrink_is_written_anew() {
    let (root, mut store) = migrated();
    events(&mut store, 100);
    drop(store);
    let raw = rusqlite::Connection::open(location(root.path()).db()).unwrap();
    raw.execute_batch("PRAGMA auto_vacuum = NONE; VACUUM;")
        .unwrap();
    drop(raw);
    let mut store = open(root.path(), Role::Agent);
    assert!(store.space().unwrap().wants_rewrite());
    let mut reader = open(root.path(), Role::Reader);
    store.rewrite().unwrap();
    assert!(store.space().unwrap().shrinks);
    assert_eq!(reader.read(event::newest_id).unwrap(), EventId(100));
    assert!(reader.space().unwrap().shrinks);
}
