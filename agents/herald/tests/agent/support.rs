//! A herald that is ready, and the store it lives on.

use std::cell::Cell;
use std::time::{Duration, Instant};

use roundsman_kit::Paths;
use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, Delivery};
use roundsman_store::endpoint::{self, Endpoint};
use roundsman_store::event::{self, Event, NewEvent};
use roundsman_store::{Bell, Location, Role, Store, cursor};
use roundsman_tests::{AgentCommand, Manager, Output, PATIENCE, Process, Root};
use rustix::process::Signal;

/// When the clock of a tree begins.
pub const START: i64 = 1_795_197_600_000;

/// A tree with a migrated store, and maybe a clock of its own.
pub struct World {
    pub root: Root,
    now: Cell<i64>,
}

impl World {
    /// One on the machine's clock.
    pub fn new(toml: &str) -> Self {
        let root = Root::new();
        let world = Self {
            root,
            now: Cell::new(START),
        };
        world.store_as(Role::Migrate);
        world.config(toml);
        world
    }

    /// One whose clock stands still until it is moved.
    pub fn with_clock(toml: &str) -> Self {
        let world = Self::new(toml);
        world.advance(Duration::ZERO);
        world
    }

    pub fn config(&self, toml: &str) {
        self.root.config("herald", &format!("sweep = '1s'\n{toml}"));
    }

    /// Moves the clock and wakes who sleeps by it. A file that is half written shows no time.
    pub fn advance(&self, by: Duration) {
        self.step(i64::try_from(by.as_millis()).unwrap());
    }

    /// Moves it back.
    pub fn step_back(&self, by: Duration) {
        self.step(-i64::try_from(by.as_millis()).unwrap());
    }

    fn step(&self, by: i64) {
        self.now.set(self.now.get() + by);
        self.root.write("/clock.new", self.now.get().to_string());
        std::fs::rename(self.root.at("/clock.new"), self.root.at("/clock")).unwrap();
        Bell::of(&self.location()).ring().unwrap();
    }

    /// Sets the clock back.
    pub fn retreat(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap();
        self.now.set(self.now.get() - by);
        self.advance(Duration::ZERO);
    }

    pub fn now(&self) -> Timestamp {
        Timestamp(self.now.get())
    }

    pub fn location(&self) -> Location {
        Location::new(
            &Paths::under(self.root.path()),
            "/var/lib/roundsman/roundsman.db",
        )
    }

    pub fn store_as(&self, role: Role) -> Store {
        Store::open(&self.location(), role).unwrap()
    }

    pub fn store(&self) -> Store {
        self.store_as(Role::Agent)
    }

    /// Commits one event with this uid.
    pub fn publish(&self, uid: &str, key: Option<&str>) {
        publish(&mut self.store(), self.now(), uid, key);
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.store()
            .read(|tx| delivery::list(tx, &delivery::Filter::default(), 100_000))
            .unwrap()
    }

    pub fn delivery(&self, uid: &str) -> Option<Delivery> {
        self.deliveries().into_iter().find(|one| one.uid == uid)
    }

    pub fn endpoint(&self, name: &str) -> Option<Endpoint> {
        let all = self.store().read(endpoint::list).unwrap();
        all.into_iter().find(|one| one.name == name)
    }

    /// Herald's own events about an endpoint.
    pub fn told(&self, name: &str) -> Vec<Event> {
        let all = self
            .store()
            .read(|tx| event::last(tx, &event::Filter::default(), 100_000))
            .unwrap();
        let is_about = |event: &Event| event.agent == "herald" && event.labels["endpoint"] == name;
        all.into_iter().filter(is_about).collect()
    }

    /// The position of a trigger.
    pub fn position(&self, trigger: &str) -> Option<String> {
        let stream = format!("reader:{trigger}");
        let row = self
            .store()
            .read(|tx| cursor::get(tx, "herald", &stream))
            .unwrap();
        row.map(|row| row.position)
    }

    pub fn start(&self) -> Herald {
        self.start_with(|command| command)
    }

    pub fn start_with(&self, more: impl FnOnce(AgentCommand) -> AgentCommand) -> Herald {
        let manager = self.root.manager();
        let command = self.root.agent("herald").manager(&manager);
        let process = more(command).spawn();
        manager.wait_ready();
        Herald { manager, process }
    }

    /// Waits until the store shows it.
    #[track_caller]
    pub fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        self.wait_while(what, holds, || {});
    }

    /// The same; `move_on` is called at each look in vain.
    #[track_caller]
    pub fn wait_while(&self, what: &str, holds: impl Fn(&Self) -> bool, mut move_on: impl FnMut()) {
        let until = Instant::now() + PATIENCE;
        while !holds(self) {
            let shown = || (self.deliveries(), self.store().read(endpoint::list));
            assert!(Instant::now() < until, "no {what}: {:#?}", shown());
            move_on();
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Waits until this delivery has arrived and that is recorded.
    #[track_caller]
    pub fn wait_done(&self, uid: &str) {
        self.wait(&format!("{uid} that is done"), |world| {
            let one = world.delivery(uid);
            one.is_some_and(|one| one.state == delivery::State::Done)
        });
    }
}

pub fn publish(store: &mut Store, now: Timestamp, uid: &str, key: Option<&str>) {
    let event = NewEvent::occurred(now, "test", "test.thing")
        .uid(uid)
        .subject(uid)
        .message(format!("this is {uid}"));
    let event = match key {
        Some(key) => event.order_key(key),
        None => event,
    };
    store.publish(|tx| event::insert(tx, &event)).unwrap();
}

/// A running herald.
pub struct Herald {
    pub manager: Manager,
    pub process: Process,
}

impl Herald {
    /// Reloads; returns the status that follows.
    pub fn reload(&self) -> String {
        self.process.signal(Signal::HUP).unwrap();
        self.manager
            .wait_for("the reload", |n| n.is("RELOADING", "1"));
        let ready = self.manager.wait_ready();
        ready.get("STATUS").unwrap().to_owned()
    }

    /// Ends it in good order.
    pub fn stop(self) -> Output {
        self.process.stop(PATIENCE).expect_code(0)
    }
}

/// A trigger for everything of the tests, from the first event on.
pub fn trigger(name: &str, endpoints: &[&str]) -> String {
    format!("[triggers.{name}]\nkinds = ['test.*']\nendpoints = {endpoints:?}\nfrom = 'oldest'\n")
}

/// Whether the arrivals have all these ids.
pub fn has_all<'i>(
    arrivals: &[crate::receiver::Arrival],
    mut ids: impl Iterator<Item = &'i String>,
) -> bool {
    let have: std::collections::BTreeSet<&str> = arrivals.iter().map(|one| one.id()).collect();
    ids.all(|id| have.contains(id.as_str()))
}

/// Proves that what arrived is what was published: nothing is missing, bodies of one id are
/// equal, and ids that share a key came in order for the first time.
#[track_caller]
pub fn assert_model(published: &[(String, String)], arrivals: &[crate::receiver::Arrival]) {
    use std::collections::BTreeMap;
    let mut bodies: BTreeMap<&str, &[u8]> = BTreeMap::new();
    let mut firsts = Vec::new();
    for arrival in arrivals {
        match bodies.insert(arrival.id(), &arrival.body) {
            None => firsts.push(arrival.id()),
            Some(before) => assert_eq!(before, arrival.body, "{} has changed", arrival.id()),
        }
    }
    let mut expected: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut key_of = BTreeMap::new();
    for (uid, key) in published {
        expected.entry(key).or_default().push(uid);
        key_of.insert(uid.as_str(), key.as_str());
    }
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for id in firsts {
        found.entry(key_of[id]).or_default().push(id);
    }
    assert_eq!(found, expected);
}
