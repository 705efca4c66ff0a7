//! A herald that sends what a test publishes.

use std::collections::BTreeMap;

use roundsman_kit::Paths;
use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{self, NewEvent, Severity};
use roundsman_store::{Location, Role, Store};
use roundsman_tests::{Manager, Process, Root};

/// A running herald with one trigger for every event of agent `test`, and one endpoint.
pub struct Sender {
    root: Root,
    _manager: Manager,
    _herald: Process,
}

impl Sender {
    /// One whose endpoint has these keys; the credentials by their names.
    pub fn new(endpoint: &str, credentials: &[(&str, &str)]) -> Self {
        let root = Root::new();
        drop(store(&root, Role::Migrate));
        root.config(
            "herald",
            &format!(
                "sweep = '1s'\n[triggers.all]\nagents = ['test']\nendpoints = ['ops']\n\
                 from = 'oldest'\n[endpoints.ops]\nallow = ['127.0.0.1/32']\n{endpoint}\n"
            ),
        );
        let manager = root.manager();
        let mut command = root.agent("herald").manager(&manager);
        for (name, secret) in credentials {
            command = command.credential(name, secret);
        }
        let herald = command.spawn();
        manager.wait_ready();
        Self {
            root,
            _manager: manager,
            _herald: herald,
        }
    }

    /// Gives a credential another content, as a rotation does.
    pub fn rotate(&self, name: &str, secret: &str) {
        self.root.write(format!("/credentials/{name}"), secret);
    }

    /// Commits `event`.
    pub fn publish(&self, event: &NewEvent) {
        let mut store = store(&self.root, Role::Agent);
        store.publish(|tx| event::insert(tx, event)).unwrap();
    }
}

fn store(root: &Root, role: Role) -> Store {
    let paths = Paths::under(root.path());
    let location = Location::new(&paths, "/var/lib/roundsman/roundsman.db");
    Store::open(&location, role).unwrap()
}

/// Now, in milliseconds.
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(i64::try_from(since.unwrap().as_millis()).unwrap())
}

/// An event with all members, and text that a careless format would trip over.
pub fn awkward() -> NewEvent {
    NewEvent::occurred(now(), "test", "test.thing")
        .severity(Severity::Error)
        .subject("/srv/<!channel>")
        .message("a \"quoted\" @everyone <b>&amp;</b> **bold** `code` \u{1F525} line\nbreak")
        .label("unit", "nginx.service")
        .datum("used", 97.5)
        .datum("list", vec!["a", "b"])
}

/// An event with as much text as one can have.
pub fn long() -> NewEvent {
    let most = "<@&*_`|>".repeat(60);
    let mut event = NewEvent::occurred(now(), "test", "test.thing")
        .severity(Severity::Critical)
        .subject("s".repeat(5000))
        .message(most);
    let fill: BTreeMap<String, String> = (0..40)
        .map(|i| (format!("label-{i}"), "v".repeat(2000)))
        .collect();
    for (name, value) in fill {
        event = event.label(name, value);
    }
    event
}
