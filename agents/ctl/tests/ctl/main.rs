//! The real `roundsman` on a tree of its own, without a service manager: what it shows of the
//! store, what it finds, which files it writes. What it asks systemd is tested on a booted host.
#![allow(clippy::unwrap_used)] // helpers of tests

mod check;
mod deliveries;
mod events;
mod files;
mod silence;
mod status;
mod store;
mod trial;
mod triggers;

use roundsman_kit::Paths;
use roundsman_kit::clock::{Clock, SystemClock, Timestamp};
use roundsman_store::event::{self, NewEvent};
use roundsman_store::{Location, Role, Store};
use roundsman_tests::{AgentCommand, Output, Root};

/// The store of a tree, with this version's schema.
fn store(root: &Root) -> Store {
    let paths = Paths::under(root.path());
    let location = Location::new(&paths, "/var/lib/roundsman/roundsman.db");
    Store::open(&location, Role::Migrate).unwrap()
}

fn publish(store: &mut Store, event: &NewEvent) {
    store
        .publish(|tx| event::insert(tx, event))
        .unwrap()
        .unwrap();
}

/// A value that the store takes and that no reader of ours understands.
fn nested() -> serde_json::Value {
    let list = |inner, _| serde_json::Value::Array(vec![inner]);
    (0..200).fold(serde_json::Value::Null, list)
}

fn now() -> Timestamp {
    SystemClock.now()
}

/// `roundsman ARGS…` in that tree, its times in UTC.
fn roundsman<const N: usize>(root: &Root, args: [&str; N]) -> AgentCommand {
    root.ctl().env("TZ", "UTC").args(args)
}

/// Standard output of a run that ends with `code`.
#[track_caller]
fn said(command: AgentCommand, code: i32) -> String {
    let output: Output = command.run().expect_code(code);
    output.stdout
}
