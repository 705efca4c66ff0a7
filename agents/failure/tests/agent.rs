//! The real program on a real store; systemd's part of it is tested on a booted host.

#![allow(clippy::unwrap_used)] // helpers of tests

use roundsman_kit::Paths;
use roundsman_store::event::{Event, Filter, State};
use roundsman_store::{Location, Role, Store, event};
use roundsman_tests::{AgentCommand, Root};

/// A tree with a migrated store.
fn root() -> Root {
    let root = Root::new();
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

fn hook(root: &Root, unit: &str, invocation: &str) -> AgentCommand {
    root.agent("failure")
        .arg(unit)
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

#[test]
fn repeated_failures_of_a_unit_are_one_condition_and_one_event() {
    let root = root();
    hook(&root, "backup.service", "a1").run().expect_code(0);
    hook(&root, "backup.service", "a1").run().expect_code(0);
    hook(&root, "backup.service", "b2").run().expect_code(0);
    hook(&root, "other@x.service", "c3").run().expect_code(0);

    let events = events(&root);
    let subjects: Vec<_> = events
        .iter()
        .map(|event| event.subject.as_deref())
        .collect();
    assert_eq!(subjects, [Some("backup.service"), Some("other@x.service")]);
    let first = &events[0];
    assert_eq!(
        (first.kind.as_str(), first.state),
        ("failure.unit", State::Firing)
    );
    assert_eq!(first.message, "backup.service exited with status 3");
    assert_eq!(first.data["invocation"], "a1");
    assert!(root.at("/var/lib/roundsman/failed/backup.service").exists());
}

#[test]
fn what_is_no_unit_name_is_refused() {
    let root = root();
    let output = hook(&root, "../../etc/passwd", "a1").run().expect_code(78);
    assert!(output.stderr.contains("is no unit name"), "{output:?}");
    assert!(events(&root).is_empty());
}

#[test]
fn without_the_bus_a_condition_stays_open_and_without_conditions_none_is_asked() {
    let root = root();
    root.write("/var/lib/roundsman/failed/stale.service", "");
    sweep(&root).run().expect_code(0);
    assert!(!root.at("/var/lib/roundsman/failed/stale.service").exists());

    hook(&root, "backup.service", "a1").run().expect_code(0);
    let output = sweep(&root).run().expect_code(75);
    assert!(
        output.stderr.contains("asking systemd for unit states"),
        "{output:?}"
    );
    assert!(root.at("/var/lib/roundsman/failed/backup.service").exists());
    assert_eq!(events(&root).len(), 1, "unknown is not recovered");
}

#[test]
fn a_store_that_is_not_there_is_told_with_what_to_do() {
    let root = Root::new();
    std::fs::remove_file(root.store()).unwrap();
    let output = hook(&root, "backup.service", "a1").run().expect_code(75);
    assert!(output.stderr.contains("roundsman.db"), "{output:?}");
}
