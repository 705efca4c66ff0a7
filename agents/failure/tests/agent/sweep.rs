//! A unit recovers, or not.

use roundsman_kit::Class;
use roundsman_kit::clock::Timestamp;
use roundsman_store::cursor::{self, Cursor};
use roundsman_store::cycle::Outcome;
use roundsman_store::{Role, Store};
use roundsman_tests::{AgentCommand, Root};

use crate::bus::{BOOT, Bus, Unit, unit};
use crate::{
    condition, events, failures, has_marker, hook, last_cycle, messages, root, store, sweep,
};

fn sweep_on(root: &Root, bus: &Bus) -> AgentCommand {
    root.agent("failure")
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
}

#[test]
fn without_the_bus_a_condition_stays_open_and_without_conditions_none_is_asked() {
    let root = root();
    root.write("/var/lib/roundsman/failed/stale.service", "");
    sweep(&root).run().expect_code(0);
    assert!(!has_marker(&root, "stale.service"));
    assert_eq!(last_cycle(&root).outcome, Outcome::Ok);

    hook(&root, "backup.service", "a1").run().expect_code(0);
    let output = sweep(&root).run().expect_code(75);
    assert!(
        output.stderr.contains("asking systemd for unit states"),
        "{output:?}"
    );
    assert!(has_marker(&root, "backup.service"));
    assert_eq!(events(&root).len(), 1, "unknown is not recovered");
    let cycle = last_cycle(&root);
    assert_eq!(
        (cycle.outcome, cycle.class),
        (Outcome::Failed, Some(Class::Unavailable))
    );
}

#[test]
fn a_unit_that_systemd_does_not_answer_about_keeps_only_itself() {
    let root = root();
    let Some(bus) = Bus::start(&root, "failure: a unit without an answer") else {
        return;
    };
    for name in [
        "a.service",
        "refused.service",
        "silent.service",
        "z.service",
    ] {
        hook(&root, name, name).run().expect_code(0);
    }
    bus.set("a.service", unit("failed"));
    bus.set("z.service", unit("active"));
    let output = sweep_on(&root, &bus).run().expect_code(0);
    for name in ["refused.service", "silent.service"] {
        let warning = format!("{name}: whether it has recovered cannot be told");
        assert!(output.stderr.contains(&warning), "{output}");
        assert!(condition(&root, name).is_some() && has_marker(&root, name));
    }
    assert_eq!(messages(&root)[4..], ["z.service is active again"]);
    assert!(condition(&root, "a.service").is_some());
    assert!(condition(&root, "z.service").is_none() && !has_marker(&root, "z.service"));
    let cycle = last_cycle(&root);
    assert_eq!(
        (cycle.outcome, cycle.sentence.as_str()),
        (
            Outcome::Degraded,
            "units failed: 3 (2 cannot be judged), recovered: 1"
        )
    );
}

#[test]
fn a_unit_that_fails_again_while_systemd_is_asked_keeps_its_condition() {
    let root = root();
    let Some(bus) = Bus::start(&root, "failure: a failure during the sweep") else {
        return;
    };
    hook(&root, "backup.service", "a1").run().expect_code(0);
    bus.set("backup.service", unit("active"));
    let again = hook(&root, "backup.service", "b2");
    bus.during_the_question(move || drop(again.run().expect_code(0)));
    sweep_on(&root, &bus).run().expect_code(0);
    assert_eq!(failures(&root, "backup.service"), 2);
    assert!(has_marker(&root, "backup.service"));
    assert_eq!(events(&root).len(), 1);

    sweep_on(&root, &bus).run().expect_code(0);
    assert_eq!(events(&root)[1].data["failures"], 2);
}

#[test]
fn after_a_reboot_a_unit_has_recovered_only_once_it_has_run() {
    let root = root();
    let Some(bus) = Bus::start(&root, "failure: a reboot") else {
        return;
    };
    root.clock(BOOT - 60_000);
    hook(&root, "before.service", "a1").run().expect_code(0);
    root.clock(BOOT + 60_000);
    hook(&root, "after.service", "b2").run().expect_code(0);
    for name in ["before.service", "after.service"] {
        bus.set(name, unit("inactive"));
    }
    sweep_on(&root, &bus).run().expect_code(0);
    assert_eq!(
        messages(&root)[2..],
        ["after.service is no longer failed"],
        "it was reset; the other one has not been started yet"
    );

    let skipped = Unit {
        result: "exec-condition",
        has_ended: true,
        ..unit("inactive")
    };
    bus.set("before.service", skipped);
    sweep_on(&root, &bus).run().expect_code(0);
    assert!(condition(&root, "before.service").is_some());
    let ended = Unit {
        result: "success",
        ..skipped
    };
    bus.set("before.service", ended);
    sweep_on(&root, &bus).run().expect_code(0);
    assert!(condition(&root, "before.service").is_none());
    assert_eq!(events(&root)[3].data["failed_for_seconds"], 120);
}

#[test]
fn a_failure_told_again_after_its_recovery_opens_nothing() {
    let root = root();
    let Some(bus) = Bus::start(&root, "failure: told again after the recovery") else {
        return;
    };
    hook(&root, "backup.service", "a1").run().expect_code(0);
    bus.set("backup.service", unit("active"));
    sweep_on(&root, &bus).run().expect_code(0);
    hook(&root, "backup.service", "a1").run().expect_code(0);
    assert_eq!(condition(&root, "backup.service"), None);
    assert_eq!(events(&root).len(), 2);
}

#[test]
fn a_condition_that_cannot_be_read_is_kept_and_told_of() {
    let root = root();
    let row = Cursor {
        agent: "failure".into(),
        stream: "backup.service".into(),
        position: "{\"from\":\"another version\"}".into(),
        updated_at: Timestamp(BOOT),
    };
    let mut store: Store = store(&root, Role::Agent);
    store.write(|tx| cursor::set(tx, &row)).unwrap();
    let output = sweep(&root).run().expect_code(0);
    assert!(output.stderr.contains("another version"), "{output}");
    assert_eq!(condition(&root, "backup.service"), Some(row.position));
    assert!(
        has_marker(&root, "backup.service"),
        "so that it is looked at"
    );
    assert_eq!(last_cycle(&root).outcome, Outcome::Degraded);

    hook(&root, "backup.service", "a1").run().expect_code(0);
    assert_eq!(failures(&root, "backup.service"), 1);
}
