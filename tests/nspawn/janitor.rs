//! The janitor as installed: its timer starts it, its sandbox lets it work, and old rows go.

use anyhow::{Result, ensure};
use roundsman_tests::{Machine, PATIENCE};
use serde_json::Value;

use crate::installed::{enable_everyday, failed_units, installed, number, rows, scrape};

const UNIT: &str = "roundsman-janitor.service";
const TIMER: &str = "roundsman-janitor.timer";
const STORE: &str = "/var/lib/roundsman/roundsman.db";

/// Three events of the first day of 1970 and one of now.
const EVENTS: &str = "\
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3)
INSERT INTO event (uid, at, agent, kind, state, severity, labels, data, message)
SELECT 'old-' || i, i * 1000, 'test', 'test.thing', 'occurred', 6, '{}', '{}', 'old' FROM n
UNION ALL SELECT 'new', unixepoch() * 1000, 'test', 'test.thing', 'occurred', 6, '{}', '{}', 'new';";

fn uids(machine: &Machine) -> Result<Vec<Value>> {
    let found = rows(
        machine,
        "SELECT uid FROM event WHERE agent = 'test' ORDER BY id",
    )?;
    Ok(found.into_iter().map(|mut row| row["uid"].take()).collect())
}

#[test]
fn the_timer_starts_it_and_what_is_old_goes() {
    installed("janitor::the_timer", |machine| {
        enable_everyday(machine)?;
        machine.succeed(["systemctl", "start", "roundsman-migrate.service"])?;
        machine.succeed(["sqlite3", STORE, EVENTS])?;
        assert_eq!(uids(machine)?.len(), 4);
        let enabled = machine.succeed(["systemctl", "cat", TIMER])?;
        ensure!(enabled.contains("OnCalendar=*:0/15"), "{enabled}");
        // The same timer, in a hurry.
        machine.write_file(
            format!("/etc/systemd/system/{TIMER}.d/override.conf"),
            "[Timer]\nOnCalendar=\nOnCalendar=*:*:*\nRandomizedDelaySec=0\nAccuracySec=1us\n",
        )?;
        machine.succeed(["systemctl", "daemon-reload"])?;
        machine.succeed(["systemctl", "enable", "--now", TIMER])?;
        machine.wait_for("a cycle that the timer has started", PATIENCE, || {
            let runs = number(machine, "SELECT count(*) FROM cycle WHERE unit = 'janitor'")?;
            Ok((runs > 0).then_some(()))
        })?;
        machine.succeed(["systemctl", "stop", TIMER])?;
        machine.wait_for_unit(UNIT, "inactive")?;
        assert_eq!(machine.property(UNIT, "Result")?, "success");
        assert_eq!(uids(machine)?, ["new"]);

        let cycle = &rows(machine, "SELECT * FROM cycle WHERE unit = 'janitor'")?[0];
        assert_eq!(cycle["outcome"], "ok", "{cycle:#}");
        machine.succeed(["systemctl", "start", TIMER])?;
        let status = machine.run(["roundsman", "status"])?;
        ensure!(
            status.success() && status.stdout.contains("janitor"),
            "{status}"
        );
        let page = scrape(machine)?;
        let removed = "roundsman_janitor_removed_total{table=\"event\"} 3";
        ensure!(page.contains(removed), "{removed} is not on the page");
        assert_eq!(failed_units(machine)?, "");
        Ok(())
    });
}

#[test]
fn a_backup_lands_where_the_example_drop_in_allows_it() {
    const EXAMPLE: &str = "/usr/share/doc/roundsman/examples/roundsman-janitor-backup.conf";
    installed("janitor::a_backup", |machine| {
        machine.succeed(["systemctl", "start", "roundsman-migrate.service"])?;
        let example = machine.read_file(EXAMPLE)?;
        let key = example
            .lines()
            .find_map(|line| line.strip_prefix("ReadWritePaths="));
        let directory = key.unwrap_or_default();
        ensure!(directory.starts_with('/'), "{example}");
        machine.write_file(
            "/etc/roundsman/janitor.toml",
            format!("night = 0\n[backup]\ndirectory = \"{directory}\"\n"),
        )?;
        machine.sh(&format!(
            "install -d -o roundsman-janitor -g roundsman -m 0700 {directory} && \
             install -D -m 644 {EXAMPLE} /etc/systemd/system/{UNIT}.d/60-backup.conf && \
             systemctl daemon-reload && systemctl start {UNIT}"
        ))?;
        let made = machine.sh(&format!("ls {directory}"))?;
        ensure!(made.lines().count() == 1, "{made}");
        let check = format!("sqlite3 -readonly {directory}/{made} 'PRAGMA integrity_check'");
        assert_eq!(machine.sh(&check)?, "ok");
        let mode = machine.sh(&format!("stat -c '%a %U' {directory}/{made}"))?;
        assert_eq!(mode, "600 roundsman-janitor");
        Ok(())
    });
}
