//! The real program on a real store; systemd's part of it is tested on a booted host.

#![allow(clippy::unwrap_used)] // helpers of tests

mod bus;
mod hook;
mod sweep;

use roundsman_kit::Paths;
use roundsman_store::cycle::Cycle;
use roundsman_store::event::{Event, Filter};
use roundsman_store::{Location, Role, Store, cursor, cycle, event};
use roundsman_tests::{AgentCommand, Root};
use serde_json::Value;

/// A tree with a migrated store, ten minutes after its boot.
fn root() -> Root {
    let root = Root::new();
    root.clock(bus::BOOT + 600_000);
    store(&root, Role::Migrate);
    root
}

fn store(root: &Root, role: Role) -> Store {
    let paths = Paths::under(root.path());
    Store::open(
        &Location::new(&paths, "/var/lib/roundsman/roundsman.db"),
        role,
    )
    .unwrap()
}

fn events(root: &Root) -> Vec<Event> {
    store(root, Role::Reader)
        .read(|tx| event::last(tx, &Filter::default(), 100))
        .unwrap()
}

/// Messages of all events, the oldest first.
fn messages(root: &Root) -> Vec<String> {
    events(root)
        .into_iter()
        .map(|event| event.message)
        .collect()
}

/// The row of an open condition.
fn condition(root: &Root, unit: &str) -> Option<String> {
    store(root, Role::Reader)
        .read(|tx| cursor::get(tx, "failure", unit))
        .unwrap()
        .map(|row| row.position)
}

fn failures(root: &Root, unit: &str) -> Value {
    let row: Value = serde_json::from_str(&condition(root, unit).unwrap()).unwrap();
    row["failures"].clone()
}

/// The only row there may be.
fn last_cycle(root: &Root) -> Cycle {
    let mut cycles = store(root, Role::Reader).read(cycle::list).unwrap();
    assert_eq!(cycles.len(), 1, "{cycles:?}");
    assert_eq!(cycles[0].unit, "failure");
    cycles.remove(0)
}

fn hook(root: &Root, unit: &str, invocation: &str) -> AgentCommand {
    root.agent("failure")
        .args(["--", unit])
        .env(
            "PATH",
            format!("{}:/usr/bin:/bin", root.at("/bin").display()),
        )
        .env("MONITOR_SERVICE_RESULT", "exit-code")
        .env("MONITOR_EXIT_CODE", "exited")
        .env("MONITOR_EXIT_STATUS", "3")
        .env("MONITOR_INVOCATION_ID", invocation)
}

/// A bus that nobody serves.
fn sweep(root: &Root) -> AgentCommand {
    let nobody = format!("unix:path={}", root.at("/nobody").display());
    root.agent("failure").env("DBUS_SYSTEM_BUS_ADDRESS", nobody)
}

fn has_marker(root: &Root, unit: &str) -> bool {
    root.at("/var/lib/roundsman/failed").join(unit).exists()
}
