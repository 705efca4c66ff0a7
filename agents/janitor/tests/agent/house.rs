//! A store to keep, and a clock to turn.

use std::cell::RefCell;

use roundsman_kit::Paths;
use roundsman_kit::clock::Timestamp;
use roundsman_store::cursor::{self, Cursor};
use roundsman_store::delivery::{self, DeliveryId, NewDelivery};
use roundsman_store::event::{self, Event, EventId, Filter, NewEvent, Severity};
use roundsman_store::sample::{self, Sample};
use roundsman_store::{Location, Role, Store, cycle};
use roundsman_tests::{Output, Root};

pub const NOON: i64 = 1_795_176_000_000;
pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// The file system of the test says nothing about the program.
const QUIET: &str = "[storage.volume]\nenabled = false\n[storage.inodes]\nenabled = false\n";

pub struct House {
    pub root: Root,
    store: RefCell<Store>,
}

impl House {
    pub fn new() -> Self {
        let root = Root::new();
        root.write("/proc/sys/kernel/hostname", "mill\n");
        root.clock(NOON);
        let store = RefCell::new(open(&root, Role::Migrate));
        let house = Self { root, store };
        house.config("");
        house
    }

    /// The keys of this run, before the tables that keep the test's host out.
    pub fn config(&self, text: &str) {
        self.root.config("janitor", &format!("{text}\n{QUIET}"));
    }

    /// Another connection.
    pub fn open(&self, role: Role) -> Store {
        open(&self.root, role)
    }

    pub fn with<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        work(&mut self.store.borrow_mut())
    }

    /// A run at `at`.
    pub fn run(&self, at: i64) -> Output {
        self.root.clock(at);
        // The night is local.
        let janitor = self.root.agent("janitor").env("TZ", "UTC");
        janitor.run().expect_code(0)
    }

    pub fn events(&self, kind: &str, at: impl IntoIterator<Item = i64>) -> Vec<EventId> {
        let text = "x".repeat(300);
        let insert = |tx: &roundsman_store::EventTx<'_>| {
            let events = at.into_iter().map(|at| {
                let event = NewEvent::occurred(Timestamp(at), "test", kind).message(&text);
                event::insert(tx, &event).map(Option::unwrap)
            });
            events.collect()
        };
        self.with(|store| store.publish(insert)).unwrap()
    }

    pub fn samples(&self, at: impl IntoIterator<Item = i64>) {
        let payload = serde_json::json!({ "text": "x".repeat(300) });
        let insert = |tx: &roundsman_store::WriteTx<'_>| {
            for at in at {
                let sample = Sample {
                    at: Timestamp(at),
                    host: "mill".into(),
                    os: "debian 12".into(),
                    kind: "cpu".into(),
                    payload: payload.as_object().unwrap().clone(),
                };
                assert!(sample::insert(tx, &sample)?);
            }
            Ok(())
        };
        self.with(|store| store.write(insert)).unwrap();
    }

    pub fn reader(&self, name: &str, position: EventId, at: i64) {
        let row = Cursor {
            agent: "herald".into(),
            stream: format!("reader:{name}"),
            position: position.0.to_string(),
            updated_at: Timestamp(at),
        };
        self.with(|store| store.write(|tx| cursor::set(tx, &row)))
            .unwrap();
    }

    pub fn owed(&self, event: EventId, endpoint: &str, at: i64) -> DeliveryId {
        let uid = format!("{event:?}");
        let new = NewDelivery {
            uid: &uid,
            endpoint,
            trigger: "ops",
            event: Some(event),
            order_key: None,
            severity: Severity::Notice,
            now: Timestamp(at),
            body: None,
        };
        let made = self.with(|store| store.write(|tx| delivery::insert(tx, &new)));
        made.unwrap().unwrap()
    }

    /// How many events of the test's own there are.
    pub fn count(&self) -> usize {
        let filter = Filter {
            agent: Some("test".into()),
            ..Filter::default()
        };
        let events = self.with(|store| store.read(|tx| event::last(tx, &filter, 1_000_000)));
        events.unwrap().len()
    }

    /// What the janitor has told.
    pub fn told(&self) -> Vec<Event> {
        let filter = Filter {
            agent: Some("janitor".into()),
            ..Filter::default()
        };
        self.with(|store| store.read(|tx| event::last(tx, &filter, 1000)))
            .unwrap()
    }

    pub fn cycle(&self) -> cycle::Cycle {
        let cycles = self.with(|store| store.read(cycle::list)).unwrap();
        cycles.into_iter().next().unwrap()
    }

    pub fn file_bytes(&self) -> u64 {
        std::fs::metadata(self.root.store()).unwrap().len()
    }
}

fn open(root: &Root, role: Role) -> Store {
    let paths = Paths::under(root.path());
    let location = Location::new(&paths, "/var/lib/roundsman/roundsman.db");
    Store::open(&location, role).unwrap()
}
