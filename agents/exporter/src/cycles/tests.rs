use super::*;
use roundsman_host::exposition::Format;
use roundsman_kit::Paths;
use roundsman_store::event::{self, NewEvent, Severity};

struct Place {
    root: tempfile::TempDir,
    location: Location,
    knock: Knock,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let location = Location::new(&Paths::under(root.path()), "/var/lib/roundsman/r.db");
        Self {
            root,
            location,
            knock: Knock::new().unwrap(),
        }
    }

    fn cycles(&self) -> Cycles {
        Cycles::spawn(self.location.clone(), self.knock.clone()).unwrap()
    }
}

/// The page once the thread has answered.
fn page(cycles: &mut Cycles) -> (String, Standing) {
    cycles.ask();
    let standing = cycles
        .wait(Instant::now() + Duration::from_secs(20))
        .clone();
    let mut page = Page::new(Format::Text);
    cycles.write(&mut page);
    (String::from_utf8(page.finish().to_vec()).unwrap(), standing)
}

fn cycle(outcome: Outcome) -> NewCycle<'static> {
    NewCycle {
        unit: "beacon@prod",
        started: Timestamp(1_795_197_600_000),
        finished: Timestamp(1_795_197_600_250),
        outcome,
        class: (outcome == Outcome::Failed).then_some(Class::Unavailable),
        sentence: "a sentence",
        figures: serde_json::Map::new(),
    }
}

fn warning(kind: &str) -> NewEvent {
    NewEvent::occurred(Timestamp(1_795_197_600_000), "hostmetrics", kind)
        .severity(Severity::Warning)
}

#[test]
fn cycles_and_events_are_shown_and_follow_what_others_write() {
    let place = Place::new();
    let mut store = Store::open(&place.location, Role::Migrate).unwrap();
    store
        .write(|tx| cycle::record(tx, &cycle(Outcome::Ok)))
        .unwrap();
    let mut cycles = place.cycles();
    let (shown, standing) = page(&mut cycles);
    assert!(
        standing.fault.is_none() && standing.as_of.is_some(),
        "{standing:?}"
    );
    for line in [
        "roundsman_cycle_started_timestamp_seconds{unit=\"beacon@prod\"} 1795197600",
        "roundsman_cycle_duration_seconds{unit=\"beacon@prod\"} 0.25",
        "roundsman_cycle_outcome{unit=\"beacon@prod\",outcome=\"ok\"} 1",
        "roundsman_cycle_outcome{unit=\"beacon@prod\",outcome=\"failed\"} 0",
        "roundsman_cycle_last_success_timestamp_seconds{unit=\"beacon@prod\"} 1795197600.25",
        "roundsman_cycle_runs_total{unit=\"beacon@prod\"} 1",
        "roundsman_cycle_failures_total{unit=\"beacon@prod\"} 0",
    ] {
        assert!(shown.contains(&format!("{line}\n")), "{line}\n{shown}");
    }
    assert!(!shown.contains("roundsman_events_total"), "{shown}");
    assert_eq!(page(&mut cycles).0, shown, "nothing was written");

    store
        .publish(|tx| {
            cycle::record(tx, &cycle(Outcome::Failed))?;
            event::insert(tx, &warning("hostmetrics.disk"))
        })
        .unwrap();
    let (shown, _) = page(&mut cycles);
    for line in [
        "roundsman_cycle_outcome{unit=\"beacon@prod\",outcome=\"failed\"} 1",
        "roundsman_cycle_consecutive_failures{unit=\"beacon@prod\"} 1",
        "roundsman_events_total{agent=\"hostmetrics\",kind=\"hostmetrics.disk\",severity=\"warning\"} 1",
    ] {
        assert!(shown.contains(&format!("{line}\n")), "{line}\n{shown}");
    }
}

#[test]
fn a_strange_row_is_named_and_the_others_are_shown() {
    let place = Place::new();
    let mut store = Store::open(&place.location, Role::Migrate).unwrap();
    let list = |inner, _| serde_json::Value::Array(vec![inner]);
    let nested = (0..200).fold(serde_json::Value::Null, list);
    let odd = NewCycle {
        unit: "odd",
        figures: serde_json::Map::from_iter([("a".to_owned(), nested)]),
        ..cycle(Outcome::Ok)
    };
    store
        .write(|tx| {
            cycle::record(tx, &odd)?;
            cycle::record(tx, &cycle(Outcome::Ok))
        })
        .unwrap();
    let mut cycles = place.cycles();
    for _ in 0..2 {
        let (shown, standing) = page(&mut cycles);
        let line = "roundsman_cycle_runs_total{unit=\"beacon@prod\"} 1\n";
        assert!(shown.contains(line), "{shown}");
        assert!(shown.contains("roundsman_store_schema "), "{shown}");
        let fault = standing.fault.unwrap();
        assert!(fault.contains("row unit=odd of table cycle"), "{fault}");
        assert!(standing.as_of.is_some());
    }
}

#[test]
fn an_own_cycle_is_recorded_and_shown() {
    let place = Place::new();
    Store::open(&place.location, Role::Migrate).unwrap();
    let mut cycles = place.cycles();
    assert!(!page(&mut cycles).0.contains("exporter"));
    cycles.recorder().record(Own {
        unit: "exporter".into(),
        started: Timestamp(1_000),
        finished: Timestamp(2_000),
        outcome: Outcome::Degraded,
        sentence: "one source is missing".into(),
        figures: serde_json::Map::new(),
    });
    let (shown, _) = page(&mut cycles);
    let line = "roundsman_cycle_outcome{unit=\"exporter\",outcome=\"degraded\"} 1\n";
    assert!(shown.contains(line), "{shown}");
}

#[test]
fn a_store_that_is_not_there_is_absent_and_said() {
    let place = Place::new();
    let mut cycles = place.cycles();
    let (shown, standing) = page(&mut cycles);
    assert_eq!(shown, "");
    assert!(standing.as_of.is_none());
    assert!(standing.fault.unwrap().contains("does not exist"));
    drop(place.root);
}

#[test]
fn the_thread_knocks_when_it_has_answered() {
    let place = Place::new();
    let _cycles = place.cycles();
    let mut fds = [rustix::event::PollFd::new(
        &place.knock,
        rustix::event::PollFlags::IN,
    )];
    let patience = rustix::event::Timespec {
        tv_sec: 20,
        tv_nsec: 0,
    };
    assert_eq!(rustix::event::poll(&mut fds, Some(&patience)), Ok(1));
}
