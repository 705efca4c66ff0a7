//! A failed unit is one event: ours, a foreign one that opted in, a crash loop.

use anyhow::{Result, ensure};
use roundsman_kit::log::id;
use roundsman_tests::{Machine, PATIENCE};

use crate::installed::{drop_in, entries, explanation, installed, number, rows};

const FOREIGN: &str = "\
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo the disk is on fire; exit $(cat /run/verdict)'
";

fn count_events(machine: &Machine, unit: &str, state: &str) -> Result<i64> {
    let query = format!(
        "SELECT count(*) FROM event WHERE kind = 'failure.unit' AND subject = '{unit}' \
         AND state = '{state}'"
    );
    number(machine, &query)
}

/// Waits until the hook has been told of the unit's failure so often and has ended: a failure
/// that comes while it runs would be part of the one before.
fn await_hook(machine: &Machine, unit: &str, times: usize) -> Result<()> {
    machine.wait_for(&format!("{times} failures of {unit}"), PATIENCE, || {
        let told = entries(machine, id::UNIT_FAILED, unit)?.len();
        Ok((told == times).then_some(()))
    })?;
    machine.wait_for_unit(&format!("roundsman-failure@{unit}.service"), "inactive")
}

/// The sweep that the timer starts every minute.
fn sweep(machine: &Machine) -> Result<()> {
    machine
        .succeed(["systemctl", "start", "roundsman-failure.service"])
        .map(drop)
}

/// What the journal and `roundsman status` have to say of a failed unit.
fn assert_told(machine: &Machine, unit: &str) -> Result<()> {
    ensure!(!entries(machine, id::UNIT_FAILED, unit)?.is_empty());
    let text = explanation(machine, id::UNIT_FAILED)?;
    ensure!(
        text.contains(&format!("Subject: The unit {unit} failed")),
        "{text}"
    );
    let status = machine.run(["roundsman", "status"])?;
    ensure!(status.stdout.contains(unit), "roundsman status: {status}");
    Ok(())
}

#[test]
fn a_failure_while_the_store_is_damaged_is_told_once_it_is_mended() {
    const DB: &str = "/var/lib/roundsman/roundsman.db";
    let unit = "demo.service";
    installed("failure::a_damaged_store", |machine| {
        machine.write_file(format!("/etc/systemd/system/{unit}"), FOREIGN)?;
        machine.write_file("/run/verdict", "3")?;
        machine.succeed(["systemctl", "daemon-reload"])?;
        machine.succeed(["systemctl", "start", "roundsman-migrate.service"])?;
        machine.succeed(["roundsman", "watch-unit", unit])?;
        machine.succeed(["cp", "-a", DB, "/root/sound.db"])?;
        let damage = format!("dd if=/dev/zero of={DB} bs=100 count=1 conv=notrunc");
        machine.succeed(["sh", "-c", &damage])?;
        ensure!(!machine.run(["systemctl", "start", unit])?.success());
        machine.wait_for("the failure is in its file", PATIENCE, || {
            let marker = machine.path("/var/lib/roundsman/failed").join(unit);
            let text = std::fs::read_to_string(marker).unwrap_or_default();
            Ok(text.contains("exit-code").then_some(()))
        })?;
        machine.wait_for_unit(&format!("roundsman-failure@{unit}.service"), "failed")?;
        machine.succeed(["sh", "-c", &format!("cat /root/sound.db > {DB}")])?;
        // The sweep leaves a hook a minute to store its failure by itself.
        let age = format!(
            "at=$(($(date +%s%3N) - 120000)); \
             sed -i \"s/\\\"at\\\":[0-9]*/\\\"at\\\":$at/\" /var/lib/roundsman/failed/{unit}"
        );
        machine.succeed(["sh", "-c", &age])?;
        sweep(machine)?;
        assert_eq!(count_events(machine, unit, "firing")?, 1);
        // So that the host goes down without a failed unit of ours.
        machine.succeed(["systemctl", "reset-failed", "roundsman-*"])?;
        Ok(())
    });
}

#[test]
fn a_foreign_unit_that_opted_in_is_one_event_and_its_recovery_another() {
    let unit = "demo.service";
    installed("failure::a_foreign_unit", |machine| {
        machine.write_file(format!("/etc/systemd/system/{unit}"), FOREIGN)?;
        machine.write_file("/run/verdict", "3")?;
        machine.succeed(["systemctl", "daemon-reload"])?;
        machine.succeed(["roundsman", "watch-unit", unit])?;
        for times in 1..=3 {
            ensure!(!machine.run(["systemctl", "start", unit])?.success());
            await_hook(machine, unit, times)?;
            assert_eq!(count_events(machine, unit, "firing")?, 1);
        }
        assert_told(machine, unit)?;
        let event = &rows(machine, "SELECT labels, data, severity, message FROM event")?[0];
        assert_eq!(event["severity"], 3);
        let data: serde_json::Value =
            serde_json::from_str(event["data"].as_str().unwrap_or_default())?;
        assert_eq!(
            (&data["result"], &data["exit_status"]),
            (&"exit-code".into(), &"3".into())
        );
        ensure!(
            data["journal"].to_string().contains("the disk is on fire"),
            "{data}"
        );

        sweep(machine)?;
        assert_eq!(count_events(machine, unit, "resolved")?, 0);
        machine.write_file("/run/verdict", "0")?;
        machine.succeed(["systemctl", "start", unit])?;
        sweep(machine)?;
        assert_eq!(count_events(machine, unit, "resolved")?, 1);
        let failures = number(
            machine,
            "SELECT data ->> 'failures' FROM event WHERE state = 'resolved'",
        )?;
        assert_eq!(failures, 3);
        // With nothing failed the sweep starts no process.
        sweep(machine)?;
        assert_eq!(
            machine.property("roundsman-failure.service", "ConditionResult")?,
            "no"
        );
        Ok(())
    });
}

#[test]
fn a_unit_of_ours_with_a_broken_configuration_is_one_event_that_says_what_to_mend() {
    let unit = "roundsman-hostmetrics.service";
    installed("failure::a_unit_of_ours", |machine| {
        machine.write_file("/etc/roundsman/hostmetrics.toml", "no_such_key = 1\n")?;
        for times in 1..=2 {
            ensure!(!machine.run(["systemctl", "start", unit])?.success());
            assert_eq!(machine.property(unit, "ExecMainStatus")?, "78");
            await_hook(machine, unit, times)?;
            assert_eq!(count_events(machine, unit, "firing")?, 1);
        }
        assert_told(machine, unit)?;
        let data = rows(machine, "SELECT data FROM event")?[0]["data"].to_string();
        ensure!(data.contains("no_such_key"), "the finding is not in {data}");
        machine.write_file("/etc/roundsman/hostmetrics.toml", "")?;
        machine.succeed(["systemctl", "start", unit])?;
        sweep(machine)?;
        assert_eq!(count_events(machine, unit, "resolved")?, 1);
        Ok(())
    });
}

#[test]
fn a_crash_loop_ends_as_failed_and_as_one_event() {
    let unit = "roundsman-exporter.service";
    installed("failure::a_crash_loop", |machine| {
        let crash =
            "[Service]\nRestartSec=100ms\nExecStart=\nExecStart=/bin/sh -c 'kill -SEGV $$$$'\n";
        drop_in(machine, unit, crash)?;
        ensure!(!machine.run(["systemctl", "start", unit])?.success());
        machine.wait_for_unit(unit, "failed")?;
        await_hook(machine, unit, 1)?;
        assert_eq!(machine.property(unit, "NRestarts")?, "5");
        assert_told(machine, unit)?;
        assert_eq!(number(machine, "SELECT count(*) FROM event")?, 1);
        Ok(())
    });
}
