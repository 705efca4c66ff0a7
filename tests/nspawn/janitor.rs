//! The janitor as installed: its timer starts it, its sandbox lets it work, and old rows go.

use anyhow::{Result, ensure};
use roundsman_tests::machine::Options;
use roundsman_tests::{Machine, PATIENCE};
use serde_json::Value;

use crate::installed::{
    enable_everyday, failed_units, installed, installed_on, measure, rows, scrape,
};

const UNIT: &str = "roundsman-janitor.service";
const TIMER: &str = "roundsman-janitor.timer";
/// A demonstration unit that fails: an event of kind `failure.unit`.
const FAILING: &str = "[Service]\nType=oneshot\nExecStart=/bin/false\n";
fn kinds(machine: &Machine) -> Result<Vec<Value>> {
    // A loaded machine has events of its own.
    let query = "SELECT DISTINCT kind FROM event \
                 WHERE kind IN ('failure.unit', 'hostmetrics.disk') ORDER BY kind";
    let found = rows(machine, query)?;
    let kind = |mut row: Value| row["kind"].take();
    Ok(found.into_iter().map(kind).collect())
}

#[test]
fn the_timer_starts_it_and_what_is_old_goes() {
    let options = Options::new("janitor::the_timer").tmpfs("/srv/scratch", "8m");
    installed_on(options, |machine| {
        enable_everyday(machine)?;
        // An event of another kind, which stays.
        machine.sh("head -c 8200000 /dev/zero >/srv/scratch/ballast")?;
        measure(machine)?;
        machine.write_file("/etc/systemd/system/demo.service", FAILING)?;
        machine.succeed(["systemctl", "daemon-reload"])?;
        machine.succeed(["roundsman", "watch-unit", "demo.service"])?;
        ensure!(
            !machine
                .run(["systemctl", "start", "demo.service"])?
                .success()
        );
        machine.wait_for("both kinds of event", PATIENCE, || {
            Ok((kinds(machine)? == ["failure.unit", "hostmetrics.disk"]).then_some(()))
        })?;
        machine.write_file(
            "/etc/roundsman/janitor.toml",
            "[events.kinds.\"failure.*\"]\nkeep = \"1s\"\n",
        )?;
        let enabled = machine.succeed(["systemctl", "cat", TIMER])?;
        ensure!(enabled.contains("OnCalendar=*:0/15"), "{enabled}");
        // The same timer, in a hurry.
        machine.write_file(
            format!("/etc/systemd/system/{TIMER}.d/override.conf"),
            "[Timer]\nOnCalendar=\nOnCalendar=*:*:*\nRandomizedDelaySec=0\nAccuracySec=1us\n",
        )?;
        machine.succeed(["systemctl", "daemon-reload"])?;
        machine.succeed(["systemctl", "enable", "--now", TIMER])?;
        machine.wait_for("what is old goes", PATIENCE, || {
            Ok((kinds(machine)? == ["hostmetrics.disk"]).then_some(()))
        })?;
        machine.succeed(["systemctl", "stop", TIMER])?;
        machine.wait_for_unit(UNIT, "inactive")?;
        assert_eq!(machine.property(UNIT, "Result")?, "success");
        let user = machine.property(UNIT, "User")?;
        assert_eq!(user, "roundsman-janitor");
        let cycle = &rows(machine, "SELECT * FROM cycle WHERE unit = 'janitor'")?[0];
        assert_eq!(cycle["outcome"], "ok", "{cycle:#}");
        machine.succeed(["systemctl", "start", TIMER])?;
        let status = machine.run(["roundsman", "status"])?;
        ensure!(
            status.success() && status.stdout.contains("janitor"),
            "{status}"
        );
        let page = scrape(machine)?;
        let removed = "roundsman_janitor_removed_total{table=\"event\"} 1";
        ensure!(page.contains(removed), "{removed} is not on the page");
        machine.succeed(["systemctl", "reset-failed", "demo.service"])?;
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
