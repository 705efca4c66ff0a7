//! What the tables promise.

use roundsman_kit::Class;
use roundsman_kit::clock::Timestamp;
use roundsman_store::cursor::{self, Cursor};
use roundsman_store::cycle::{self, End, NewCycle, Outcome};
use roundsman_store::event::{self, EventId, Filter, NewEvent, Severity, State};
use roundsman_store::sample::{self, Sample};
use roundsman_store::{Error, Store, event_count};
use serde_json::{Map, Value, json};

use crate::{location, migrated};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn subjects(store: &mut Store, filter: &Filter) -> Vec<String> {
    let events = store.read(|tx| event::last(tx, filter, 100)).unwrap();
    events
        .into_iter()
        .filter_map(|event| event.subject)
        .collect()
}

#[test]
fn an_event_comes_back_as_it_was_inserted() {
    let (_root, mut store) = migrated();
    let now = Timestamp(1_795_197_600_123);
    let new = NewEvent::firing(now, "hostmetrics", "hostmetrics.disk", "disk:/home")
        .severity(Severity::Warning)
        .subject("/home")
        .label("device", "/dev/sda1")
        .datum("used_percent", 91.5)
        .message("/home is 91 % full")
        .identity("boot-1:/home");
    let id = store.publish(|tx| event::insert(tx, &new)).unwrap();
    assert_eq!(id, Some(EventId(1)));
    let found = store
        .read(|tx| event::latest_of(tx, "disk:/home"))
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.id, found.at, found.state),
        (EventId(1), now, State::Firing)
    );
    assert_eq!(found.severity, Severity::Warning);
    assert_eq!(found.order_key.as_deref(), Some("disk:/home"));
    assert_eq!(found.labels["device"], "/dev/sda1");
    assert_eq!(found.data["used_percent"], json!(91.5));
    assert_eq!(found.dedup_key.as_deref(), Some("hostmetrics:boot-1:/home"));
    let again = store.read(|tx| event::get(tx, &found.uid)).unwrap();
    assert_eq!(again, Some(found));

    let ended = NewEvent::resolved(now, "hostmetrics", "hostmetrics.disk", "disk:/home");
    store.publish(|tx| event::insert(tx, &ended)).unwrap();
    let latest = store.read(|tx| event::latest_of(tx, "disk:/home")).unwrap();
    assert_eq!(latest.unwrap().state, State::Resolved);
}

#[test]
fn seeing_the_same_again_is_no_new_event_by_identity_or_by_uid() {
    let (_root, mut store) = migrated();
    let seen = |agent: &str| NewEvent::occurred(Timestamp(1), agent, "x.y").identity("1");
    let mut insert = |event: NewEvent| store.publish(|tx| event::insert(tx, &event)).unwrap();
    assert!(insert(seen("a")).is_some());
    assert!(insert(seen("a").message("later")).is_none());
    assert!(insert(seen("b")).is_some());
    let foreign = NewEvent::occurred(Timestamp(1), "hook", "x.y").uid("theirs");
    assert!(insert(foreign.clone()).is_some());
    assert!(insert(foreign).is_none());
    let counts = store.read(event_count_of).unwrap();
    assert_eq!(
        counts,
        [("a".into(), 1), ("b".into(), 1), ("hook".into(), 1)]
    );
}

fn event_count_of(tx: &roundsman_store::ReadTx<'_>) -> roundsman_store::Result<Vec<(String, u64)>> {
    let counts = event_count::list(tx)?.whole()?.into_iter();
    Ok(counts.map(|count| (count.agent, count.total)).collect())
}

#[test]
fn events_are_selected_by_every_part_of_a_filter() {
    let (_root, mut store) = migrated();
    store
        .publish(|tx| {
            for (at, agent, kind, severity) in [
                (10, "a", "disk.full", Severity::Error),
                (20, "a", "disk.warm", Severity::Notice),
                (30, "b", "unit.failed", Severity::Critical),
                (15, "b", "unit.ok", Severity::Info),
            ] {
                let event = NewEvent::occurred(Timestamp(at), agent, kind).severity(severity);
                event::insert(tx, &event.subject(kind))?;
            }
            Ok(())
        })
        .unwrap();
    let mut select = |filter: Filter| subjects(&mut store, &filter);
    assert_eq!(
        select(Filter::default()),
        ["disk.full", "disk.warm", "unit.failed", "unit.ok"]
    );
    let kinds = |kinds: &[&str]| Filter {
        kinds: kinds.iter().map(|&kind| kind.into()).collect(),
        ..Filter::default()
    };
    assert_eq!(
        select(kinds(&["disk.*", "*.ok"])),
        ["disk.full", "disk.warm", "unit.ok"]
    );
    assert_eq!(select(kinds(&["disk"])), [""; 0]);
    let since = Some(Timestamp(15));
    let agent = Some("b".to_owned());
    let min_severity = Some(Severity::Error);
    assert_eq!(
        select(Filter {
            since,
            ..Filter::default()
        }),
        ["disk.warm", "unit.failed", "unit.ok"]
    );
    assert_eq!(
        select(Filter {
            min_severity,
            ..Filter::default()
        }),
        ["disk.full", "unit.failed"]
    );
    let all = Filter {
        since,
        agent,
        min_severity,
        kinds: vec!["unit.*".into()],
    };
    assert_eq!(select(all), ["unit.failed"]);

    let everything = Filter::default();
    let page = |store: &mut Store, id, limit| {
        let events = store.read(|tx| event::after(tx, &everything, EventId(id), limit));
        let page = events.unwrap();
        page.rows
            .found
            .iter()
            .map(|event| event.id.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(page(&mut store, 0, 2), [1, 2]);
    assert_eq!(page(&mut store, 2, 9), [3, 4]);
    let last = store.read(|tx| event::last(tx, &everything, 2)).unwrap();
    assert_eq!(
        last.iter().map(|event| event.id.0).collect::<Vec<_>>(),
        [3, 4]
    );
    assert_eq!(store.read(event::newest_id).unwrap(), EventId(4));
}

#[test]
fn counts_and_ids_go_on_when_old_events_are_deleted() {
    let (root, mut store) = migrated();
    let seen = |at| NewEvent::occurred(Timestamp(at), "a", "x.y");
    for at in [5, 9, 7] {
        store.publish(|tx| event::insert(tx, &seen(at))).unwrap();
    }
    let raw = rusqlite::Connection::open(location(root.path()).db()).unwrap();
    raw.execute_batch("DELETE FROM event").unwrap();
    assert_eq!(store.read(event::newest_id).unwrap(), EventId(3));
    let id = store.publish(|tx| event::insert(tx, &seen(1))).unwrap();
    assert_eq!(id, Some(EventId(4)));
    let counts = store.read(event_count::list).unwrap().found;
    assert_eq!((counts[0].total, counts[0].last_at), (4, Timestamp(9)));
}

#[test]
fn names_of_severities_and_states_can_be_read_back() {
    for severity in Severity::ALL {
        assert_eq!(severity.to_string().parse::<Severity>().unwrap(), severity);
    }
    let error = "loud".parse::<Severity>().unwrap_err();
    assert!(error.to_string().contains("warning"), "{error}");
    assert!(Severity::Emergency < Severity::Debug);
}

#[test]
fn a_cursor_moves_and_is_forgotten() {
    let (_root, mut store) = migrated();
    let at = |position: &str, time| Cursor {
        agent: "beacon@prod".into(),
        stream: "pods".into(),
        position: position.into(),
        updated_at: Timestamp(time),
    };
    store.write(|tx| cursor::set(tx, &at("1", 1))).unwrap();
    store.write(|tx| cursor::set(tx, &at("2", 2))).unwrap();
    let get = |store: &mut Store| store.read(|tx| cursor::get(tx, "beacon@prod", "pods"));
    assert_eq!(get(&mut store).unwrap(), Some(at("2", 2)));
    let list = store.read(|tx| cursor::list(tx, "beacon@prod")).unwrap();
    assert_eq!(list, [at("2", 2)]);
    assert_eq!(store.read(|tx| cursor::list(tx, "beacon")).unwrap(), []);
    assert!(
        store
            .write(|tx| cursor::remove(tx, "beacon@prod", "pods"))
            .unwrap()
    );
    assert!(
        !store
            .write(|tx| cursor::remove(tx, "beacon@prod", "pods"))
            .unwrap()
    );
    assert_eq!(get(&mut store).unwrap(), None);
}

#[test]
fn a_sample_of_the_same_instant_is_kept_once_and_the_newest_are_found() {
    let (_root, mut store) = migrated();
    let sample = |host: &str, kind: &str, at, usage: i64| Sample {
        at: Timestamp(at),
        host: host.into(),
        os: "debian 12".into(),
        kind: kind.into(),
        payload: object(json!({ "usage": usage })),
    };
    let mut insert = |sample: Sample| store.write(|tx| sample::insert(tx, &sample)).unwrap();
    assert!(insert(sample("h", "cpu", 1000, 1)));
    assert!(!insert(sample("h", "cpu", 1000, 2)));
    assert!(insert(sample("h", "cpu", 3000, 3)));
    assert!(insert(sample("h", "cpu", 2000, 4)));
    assert!(insert(sample("h", "memory", 1000, 5)));
    assert!(insert(sample("g", "memory", 1500, 6)));
    let latest = store.read(|tx| sample::latest(tx, "h", "cpu")).unwrap();
    assert_eq!(latest, Some(sample("h", "cpu", 3000, 3)));
    assert_eq!(
        store.read(|tx| sample::latest(tx, "x", "cpu")).unwrap(),
        None
    );
    assert_eq!(
        store.read(sample::newest).unwrap().found,
        [
            sample("h", "cpu", 3000, 3),
            sample("g", "memory", 1500, 6),
            sample("h", "memory", 1000, 5),
        ]
    );
    let range = |store: &mut Store, from, to, limit| {
        let found =
            store.read(|tx| sample::range(tx, "h", "cpu", Timestamp(from), Timestamp(to), limit));
        let page = found.unwrap();
        page.rows
            .found
            .iter()
            .map(|sample| sample.at.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(range(&mut store, 1000, 3000, 9), [1000, 2000]);
    assert_eq!(range(&mut store, 0, 9000, 2), [1000, 2000]);
}

#[test]
fn the_newest_samples_of_an_empty_store_are_none() {
    let (_root, mut store) = migrated();
    assert_eq!(store.read(sample::newest).unwrap().found, []);
}

#[test]
fn a_cycle_replaces_the_one_before_and_its_counters_go_on() {
    let (_root, mut store) = migrated();
    let mut record = |at: i64, outcome, class| {
        let cycle = NewCycle {
            unit: "hostmetrics",
            started: Timestamp(at),
            finished: Timestamp(at + 5),
            outcome,
            class,
            sentence: "did it",
            figures: object(json!({ "rows": at })),
        };
        store.write(|tx| cycle::record(tx, &cycle))?;
        let cycles = store.read(cycle::list)?;
        assert_eq!(cycles.len(), 1);
        Ok::<_, Error>(cycles[0].clone())
    };
    let failed = Some(Class::Unavailable);
    let first = record(0, Outcome::Failed, failed).unwrap();
    assert_eq!(first.class, failed);
    assert_eq!(
        (first.runs_total, first.failures_total, first.last_success),
        (1, 1, None)
    );
    record(10, Outcome::Failed, failed).unwrap();
    let third = record(20, Outcome::Degraded, Some(Class::Rejected)).unwrap();
    assert_eq!(
        (third.consecutive_failures, third.last_success),
        (0, Some(Timestamp(25)))
    );
    let fourth = record(30, Outcome::Failed, Some(Class::Bug)).unwrap();
    assert_eq!((fourth.runs_total, fourth.failures_total), (4, 3));
    assert_eq!(
        (fourth.consecutive_failures, fourth.last_success),
        (1, Some(Timestamp(25)))
    );
    assert_eq!(fourth.figures, object(json!({ "rows": 30 })));
    record(40, Outcome::Failed, None).unwrap_err();
    // The CHECK of the table and the classes of the kit are the same.
    for class in Class::ALL {
        assert_eq!(
            record(50, Outcome::Failed, Some(class)).unwrap().class,
            Some(class)
        );
    }
}

#[test]
fn figures_are_those_of_the_files() {
    let (root, mut store) = migrated();
    let seen = NewEvent::occurred(Timestamp(1), "a", "x.y");
    store.publish(|tx| event::insert(tx, &seen)).unwrap();
    let figures = store.figures().unwrap();
    let db = location(root.path()).db().to_owned();
    assert_eq!(figures.db_bytes, std::fs::metadata(&db).unwrap().len());
    assert!(figures.wal_bytes > 4096 && figures.pages > 5);
    assert_eq!((figures.free_pages, figures.schema), (0, 4));
}

#[test]
fn a_failed_cycle_is_recorded_and_its_failure_is_what_the_agent_ends_with() {
    let (_root, mut store) = migrated();
    let took = (Timestamp(5), Timestamp(9));
    let failed: Result<(), Box<dyn std::error::Error>> = Err("the disk is gone".into());
    let end = End::failed(Class::Unavailable, &"the disk is gone");
    let ended = cycle::close(&mut store, "a", took, end, failed).unwrap_err();
    assert_eq!(ended.to_string(), "the disk is gone");
    let rows = store.read(cycle::list).unwrap();
    assert_eq!((rows[0].started, rows[0].finished), took);
    assert_eq!(rows[0].outcome, Outcome::Failed);
    assert_eq!(rows[0].sentence, ended.to_string());
    assert_eq!(rows[0].consecutive_failures, 1);
}
