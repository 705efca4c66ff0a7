//! Rows that pass every CHECK and that this version cannot read: each costs only itself.

use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{EventId, Filter};
use roundsman_store::{Error, Store, Unreadable, cycle, event, event_count, sample};

use crate::{event, location, migrated};

/// A store in which of each table the first row is sound and the others are strange.
fn strange() -> (tempfile::TempDir, Store) {
    let (root, mut store) = migrated();
    let five = store.publish(|tx| {
        for subject in ["sound", "labels", "deep", "bytes", "sound again"] {
            event::insert(tx, &event(subject))?;
        }
        Ok(())
    });
    five.unwrap();
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    let raw = rusqlite::Connection::open(location(root.path()).db()).unwrap();
    raw.execute_batch(&format!(
        "UPDATE event SET labels = '{{\"a\":1}}' WHERE id = 2;
         UPDATE event SET data = '{deep}' WHERE id = 3;
         UPDATE event SET message = CAST(x'ff' AS TEXT) WHERE id = 4;
         INSERT INTO event_count VALUES ('a', 'k', 4, -1, 0);
         INSERT INTO cycle VALUES ('a', 1, 2, 'ok', NULL, 's', '{{}}', 1, 0, 0, 2);
         INSERT INTO cycle VALUES ('b', 1, 2, 'ok', NULL, 's', '{{}}', -1, 0, 0, 2);
         INSERT INTO cycle VALUES ('c', 1, 2, 'ok', NULL, 's', '{deep}', 1, 0, 0, 2);
         INSERT INTO sample (at, host, os, kind, payload) VALUES
             (1, 'h', 'o', 'cpu', '{deep}'), (2, 'h', 'o', 'cpu', '{{}}'),
             (3, 'h', 'o', 'cpu', '{deep}'), (1, 'h', 'o', 'memory', '{{}}');"
    ))
    .unwrap();
    (root, store)
}

fn names(unreadable: &[Unreadable]) -> Vec<(&str, &str)> {
    let name = |one: &'_ Unreadable| one.column;
    let all = unreadable.iter();
    all.map(|one| (one.row.as_str(), name(one))).collect()
}

#[test]
fn strange_rows_are_named_and_the_others_are_found() {
    let (_root, mut store) = strange();
    let events = store.read(|tx| event::last_apart(tx, &Filter::default(), 9));
    let events = events.unwrap();
    let ids: Vec<_> = events.found.iter().map(|event| event.id.0).collect();
    assert_eq!(ids, [1, 5]);
    let expected = [("id=2", "labels"), ("id=3", "data"), ("id=4", "message")];
    assert_eq!(names(&events.unreadable), expected);
    let said = events.complaints().next().unwrap();
    let begin = "row id=2 of table event is left out: column labels: invalid type";
    assert!(said.starts_with(begin), "{said}");

    let counts = store.read(event_count::list).unwrap();
    assert_eq!(counts.found.len(), 1);
    let expected = [("agent=a kind=k severity=4", "total")];
    assert_eq!(names(&counts.unreadable), expected);

    let cycles = store.read(cycle::list_apart).unwrap();
    assert_eq!(cycles.found.len(), 1);
    let expected = [("unit=b", "runs_total"), ("unit=c", "figures")];
    assert_eq!(names(&cycles.unreadable), expected);

    let newest = store.read(sample::newest).unwrap();
    assert_eq!(newest.found[0].kind, "memory");
    let expected = [("kind=cpu host=h at=3", "payload")];
    assert_eq!(names(&newest.unreadable), expected);
}

#[test]
fn who_needs_all_rows_gets_the_error() {
    let (_root, mut store) = strange();
    let events = store.read(|tx| event::last(tx, &Filter::default(), 9));
    assert!(matches!(
        events,
        Err(Error::Value {
            column: "labels",
            ..
        })
    ));
    let cycles = store.read(cycle::list);
    assert!(matches!(
        cycles,
        Err(Error::Value {
            column: "runs_total",
            ..
        })
    ));
}

#[test]
fn a_reader_by_position_gets_past_them_and_sees_each_once() {
    let (_root, mut store) = strange();
    let (mut found, mut left_out) = (Vec::new(), 0);
    let mut position = EventId(0);
    loop {
        let page = store.read(|tx| event::after(tx, &Filter::default(), position, 1));
        let page = page.unwrap();
        let Some(reached) = page.reached else { break };
        assert!(reached > position && page.is_full);
        position = reached;
        found.extend(page.rows.found.iter().map(|event| event.id.0));
        left_out += page.rows.unreadable.len();
    }
    assert_eq!((found, left_out), (vec![1, 5], 3));

    let mut from = Timestamp(0);
    let mut times = Vec::new();
    loop {
        let to = Timestamp(9);
        let page = store.read(|tx| sample::range(tx, "h", "cpu", from, to, 1));
        let page = page.unwrap();
        let Some(reached) = page.reached else { break };
        from = Timestamp(reached.0 + 1);
        times.extend(page.rows.found.iter().map(|sample| sample.at.0));
    }
    assert_eq!(times, [2]);
}
