//! A unit fails.

use roundsman_kit::Class;
use roundsman_store::Role;
use roundsman_store::cycle::Outcome;
use roundsman_store::event::State;
use roundsman_tests::Root;

use crate::bus::BOOT;
use crate::{
    condition, events, failures, has_marker, hook, last_cycle, messages, root, store, sweep,
};

/// Puts a `journalctl` of the test's own first.
fn journalctl(root: &Root, script: &str) {
    root.write("/bin/journalctl", format!("#!/bin/sh\n{script}\n"));
    root.mode("/bin/journalctl", 0o755);
}

#[test]
fn repeated_failures_of_a_unit_are_one_condition_and_one_event() {
    let root = root();
    hook(&root, "backup.service", "a1").run().expect_code(0);
    hook(&root, "backup.service", "a1").run().expect_code(0);
    hook(&root, "backup.service", "b2").run().expect_code(0);
    hook(&root, "other@x.service", "c3").run().expect_code(0);
    hook(&root, "-.mount", "").run().expect_code(0);

    let events = events(&root);
    let subjects: Vec<_> = events
        .iter()
        .map(|event| event.subject.as_deref())
        .collect();
    let expected = ["backup.service", "other@x.service", "-.mount"];
    assert_eq!(subjects, expected.map(Some));
    let first = &events[0];
    assert_eq!(
        (first.kind.as_str(), first.state),
        ("failure.unit", State::Firing)
    );
    assert_eq!(first.message, "backup.service exited with status 3");
    assert_eq!(first.data["invocation"], "a1");
    assert_eq!(failures(&root, "backup.service"), 2, "a1 once, and b2");
    for unit in expected {
        assert!(has_marker(&root, unit), "{unit}");
    }
    let cycle = last_cycle(&root);
    assert_eq!(
        (cycle.runs_total, cycle.sentence.as_str()),
        (5, "-.mount exited with status 3")
    );
}

#[test]
fn a_unit_that_was_started_again_meanwhile_failed_all_the_same() {
    let root = root();
    let again = hook(&root, "backup.service", "a1").env("MONITOR_SERVICE_RESULT", "success");
    again.run().expect_code(0);
    let event = &events(&root)[0];
    assert_eq!(event.message, "backup.service failed");
    assert_eq!(event.data["result"], "", "nobody knows it");
}

#[test]
fn what_is_no_unit_name_is_refused() {
    let root = root();
    for name in ["../../etc/passwd", "nginx.conf", "nginx"] {
        let output = hook(&root, name, "a1").run().expect_code(78);
        assert!(output.stderr.contains("is no unit name"), "{output:?}");
    }
    assert!(events(&root).is_empty());
    let cycle = last_cycle(&root);
    assert_eq!(
        (cycle.outcome, cycle.class),
        (Outcome::Failed, Some(Class::Config))
    );
}

#[test]
fn a_journalctl_that_hangs_costs_only_the_lines_it_has_not_printed() {
    let root = root();
    journalctl(
        &root,
        "echo '{\"MESSAGE\":\"last words\"}'; printf torn; exec sleep 1000",
    );
    let output = hook(&root, "backup.service", "a1").run().expect_code(0);
    assert!(output.stderr.contains("more than 5s"), "{output}");
    let lines = &events(&root)[0].data["journal"];
    assert_eq!(*lines, serde_json::json!([{"message": "last words"}]));
    assert_eq!(last_cycle(&root).outcome, Outcome::Degraded);
}

#[test]
fn of_endless_output_the_first_lines_are_kept() {
    let root = root();
    journalctl(&root, "exec yes '{\"MESSAGE\":\"again\"}'");
    let output = hook(&root, "backup.service", "a1").run().expect_code(0);
    assert!(
        output.stderr.contains("journalctl printed more"),
        "{output}"
    );
    let lines = events(&root)[0].data["journal"].clone();
    assert_eq!(lines.as_array().unwrap().len(), 20);

    journalctl(&root, "exit 1");
    let output = hook(&root, "other.service", "b2").run().expect_code(0);
    assert!(output.stderr.contains("journalctl ended with"), "{output}");
    assert_eq!(events(&root).len(), 2);
}

#[test]
fn a_failure_that_the_store_cannot_take_is_stored_by_the_sweep() {
    let root = Root::new();
    root.clock(BOOT + 600_000);
    std::fs::remove_file(root.store()).unwrap();
    let output = hook(&root, "backup.service", "a1").run().expect_code(75);
    assert!(output.stderr.contains("roundsman.db"), "{output:?}");
    hook(&root, "backup.service", "b2").run().expect_code(75);

    store(&root, Role::Migrate);
    sweep(&root).run().expect_code(0);
    assert!(events(&root).is_empty(), "the hook may still be at it");
    assert!(has_marker(&root, "backup.service"));

    root.clock(BOOT + 660_000);
    sweep(&root).run().expect_code(75);
    assert_eq!(messages(&root), ["backup.service exited with status 3"]);
    let event = &events(&root)[0];
    assert_eq!(event.at.as_millis(), BOOT + 600_000, "when it happened");
    assert_eq!(event.data["invocation"], "a1");
    assert_eq!(failures(&root, "backup.service"), 2);
    assert_eq!(root.read("/var/lib/roundsman/failed/backup.service"), "[]");
}

#[test]
fn a_marker_that_cannot_be_made_does_not_keep_a_failure_from_the_store() {
    let root = root();
    std::fs::remove_dir(root.at("/var/lib/roundsman/failed")).unwrap();
    let output = hook(&root, "backup.service", "a1").run().expect_code(0);
    assert!(output.stderr.contains("systemd-tmpfiles"), "{output}");
    assert_eq!(failures(&root, "backup.service"), 1);
    assert!(condition(&root, "backup.service").is_some());
}
