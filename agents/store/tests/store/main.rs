//! The store on real files, in several processes: this program starts itself again as a child.

#![allow(clippy::unwrap_used)] // helpers of tests

mod backup;
mod child;
mod contention;
mod deliveries;
mod doorbell;
mod faults;
mod files;
mod kill;
mod mounts;
mod restore;
mod retention;
mod strange;
mod tables;
mod trials;

use roundsman_kit::Paths;
use roundsman_kit::clock::Timestamp;
use roundsman_store::event::NewEvent;
use roundsman_store::{Location, Role, Store};
use std::path::Path;

/// Where the store lies in these tests.
const STORE: &str = "/var/lib/roundsman/roundsman.db";

fn location(root: &Path) -> Location {
    Location::new(&Paths::under(root), STORE)
}

fn open(root: &Path, role: Role) -> Store {
    Store::open(&location(root), role).unwrap()
}

/// A temporary root with a migrated store.
fn migrated() -> (tempfile::TempDir, Store) {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), Role::Migrate);
    (root, store)
}

/// An event that is about `subject`.
fn event(subject: &str) -> NewEvent {
    NewEvent::occurred(Timestamp(1_795_197_600_000), "test", "test.seen").subject(subject)
}
