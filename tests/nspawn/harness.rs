//! The harness itself: what the other tests rest on.

use std::time::Duration;

use anyhow::{Result, ensure};
use roundsman_tests::layout;
use roundsman_tests::machine::{Limit, Options, missing};
use roundsman_tests::skipped;

/// A oneshot unit that any user can look at.
const UNIT: &str = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo from the unit'\n";

#[test]
fn commands_files_units_and_journal() {
    Options::new("harness::commands_files_units_and_journal").run(|machine| {
        let output = machine.run(["sh", "-c", "echo out; echo err >&2; exit 3"])?;
        assert_eq!(output.code(), Some(3));
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("out\n", "err\n")
        );
        machine.write_file("/etc/systemd/system/probe.service", UNIT)?;
        machine.succeed(["systemctl", "daemon-reload"])?;
        machine.succeed(["systemctl", "start", "probe.service"])?;
        let entries = machine.journal(["_SYSTEMD_UNIT=probe.service"])?;
        assert_eq!(entries[0].message(), "from the unit");
        assert_eq!(machine.property("probe.service", "Result")?, "success");
        let user = machine.command(["id", "-un"]).user("nobody").succeed()?;
        assert_eq!(user, "nobody");
        Ok(())
    });
}

#[test]
fn a_command_past_its_deadline_is_killed_in_the_machine() {
    Options::new("harness::a_command_past_its_deadline").run(|machine| {
        let late = machine
            .command(["sleep", "4711"])
            .deadline(Duration::from_millis(200))
            .run();
        ensure!(late.is_err(), "sleep 4711 ended");
        let gone = || -> Result<_> {
            Ok((!machine.run(["pgrep", "-f", "sleep 4711"])?.success()).then_some(()))
        };
        machine.wait_for("the command is gone", Duration::from_secs(10), gone)
    });
}

#[test]
fn a_reboot_keeps_files_and_gives_a_new_boot_id() {
    Options::new("harness::a_reboot").run(|machine| {
        machine.write_file("/var/lib/kept", "kept")?;
        let boot = machine.read_file("/proc/sys/kernel/random/boot_id")?;
        machine.reboot()?;
        assert_eq!(machine.read_file("/var/lib/kept")?, "kept");
        assert_ne!(machine.read_file("/proc/sys/kernel/random/boot_id")?, boot);
        machine.succeed(["systemctl", "is-active", "multi-user.target"])?;
        Ok(())
    });
}

#[test]
fn options_show_inside_and_limits_are_probed() {
    let shared = tempfile::tempdir().unwrap();
    std::fs::write(shared.path().join("file"), "shared").unwrap();
    Options::new("harness::options_show_inside")
        .hostname("harness")
        .tmpfs("/srv/scratch", "8m")
        .bind_read_only(shared.path(), "/srv/shared")
        .bind(shared.path(), "/home/shared")
        .run(|machine| {
            assert_eq!(machine.succeed(["uname", "-n"])?, "harness");
            assert_eq!(machine.read_file("/srv/shared/file")?, "shared");
            let read_only = machine.run(["touch", "/srv/shared/file"])?;
            ensure!(read_only.stderr.contains("Read-only"), "{read_only}");
            let kind = machine.succeed(["stat", "-f", "-c", "%T", "/srv/scratch"])?;
            assert_eq!(kind, "tmpfs");
            for limit in [Limit::IpAddressDeny, Limit::MemoryMax, Limit::TasksMax] {
                if let Some(reason) = machine.enforces(limit)? {
                    skipped::check(&format!("{limit:?}"), &reason);
                }
            }
            Ok(())
        });
}

#[test]
fn a_failing_body_leaves_journal_and_console_behind() {
    let name = "harness::a_failing_body";
    if missing().is_some() {
        skipped::test(name, "machines cannot run here");
        return;
    }
    let failure = std::panic::catch_unwind(|| {
        Options::new(name).run(|machine| {
            machine.succeed(["logger", "-t", "probe", "last words"])?;
            machine.succeed(["false"]).map(drop)
        });
    });
    let reason = failure.unwrap_err();
    let reason = reason.downcast_ref::<String>().unwrap();
    assert!(reason.contains("exit code 1"), "{reason}");
    let kept = layout::cache().join("failed/harness.a_failing_body");
    let read = |file: &str| std::fs::read_to_string(kept.join(file)).unwrap();
    assert!(read("journal.txt").contains("last words"));
    assert!(read("console.txt").contains("systemd"));
    assert!(read("units.txt").contains("multi-user.target"));
    assert!(std::fs::read_dir(kept.join("journal")).unwrap().count() > 0);
    std::fs::remove_dir_all(kept).unwrap();
}
