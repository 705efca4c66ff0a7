//! What `roundsman check` and `roundsman status` say of a host that somebody has changed, and
//! whether their remedies are ones; a backup put back by the command.

use anyhow::{Result, ensure};
use roundsman_tests::Machine;
use serde_json::Value;

use crate::installed::{enable_everyday, installed, measure, number};

const HOSTMETRICS: &str = "roundsman-hostmetrics.service";
const TIMER: &str = "roundsman-hostmetrics.timer";
const DROP_IN: &str = "/etc/systemd/system/roundsman-hostmetrics.service.d/90-own.conf";

/// The reasons and remedies of the findings about `unit`.
fn findings(machine: &Machine, unit: &str) -> Result<Vec<String>> {
    let output = machine.run(["roundsman", "check", "--json"])?;
    let report: Value = serde_json::from_str(&output.stdout)?;
    let all = report["findings"].as_array().into_iter().flatten();
    let about = all.filter(|finding| finding["file"] == unit);
    let text = |finding: &Value| format!("{} ({})", finding["reason"], finding["remedy"]);
    Ok(about.map(text).collect())
}

fn finds(machine: &Machine, unit: &str, needle: &str) -> Result<()> {
    let found = findings(machine, unit)?;
    ensure!(found.len() == 1 && found[0].contains(needle), "{found:?}");
    Ok(())
}

fn is_sound(machine: &Machine, unit: &str) -> Result<()> {
    let found = findings(machine, unit)?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}

#[test]
fn what_somebody_has_changed_is_found_and_the_remedies_help() {
    installed("tending::what_somebody_has_changed", |machine| {
        enable_everyday(machine)?;
        machine.succeed(["systemctl", "enable", "--now", "roundsman.target"])?;
        is_sound(machine, TIMER)?;
        is_sound(machine, HOSTMETRICS)?;

        machine.succeed(["systemctl", "stop", TIMER])?;
        finds(machine, TIMER, "it starts at boot")?;
        let status = machine.run(["roundsman", "status"])?;
        assert_eq!(status.code(), Some(3), "{status}");
        let remedy = format!("systemctl start {TIMER}");
        ensure!(status.stdout.contains(&remedy), "{status}");
        machine.sh(&remedy)?;
        is_sound(machine, TIMER)?;

        machine.write_file(DROP_IN, "[Service]\nExecStart=\nExecStart=/bin/true\n")?;
        // Whether systemd itself has seen the directory yet is its affair; the remedy is the same.
        finds(machine, HOSTMETRICS, "daemon-reload")?;
        machine.succeed(["systemctl", "daemon-reload"])?;
        finds(machine, HOSTMETRICS, "it starts another program than ")?;
        machine.succeed(["rm", DROP_IN])?;
        machine.succeed(["systemctl", "daemon-reload"])?;
        is_sound(machine, HOSTMETRICS)
    });
}

#[test]
fn a_store_elsewhere_is_written_once_the_sandbox_lets_it() {
    installed("tending::a_store_elsewhere", |machine| {
        machine.sh("install -d -o root -g roundsman -m 2770 /srv/rm")?;
        machine.write_file(
            "/etc/roundsman/common.toml",
            "store = \"/srv/rm/other.db\"\n",
        )?;
        ensure!(measure(machine).is_err(), "the sandbox is open");
        finds(machine, HOSTMETRICS, "ReadWritePaths=/srv/rm")?;
        machine.write_file(
            "/etc/systemd/system/roundsman-.service.d/50-store.conf",
            "[Service]\nReadWritePaths=/srv/rm\n",
        )?;
        machine.succeed(["systemctl", "daemon-reload"])?;
        measure(machine)?;
        is_sound(machine, HOSTMETRICS)
    });
}

#[test]
fn a_backup_is_put_back_while_nothing_runs() {
    installed("tending::a_backup_is_put_back", |machine| {
        const COUNT: &str = "SELECT count(*) AS n FROM sample";
        enable_everyday(machine)?;
        machine.succeed(["systemctl", "enable", "--now", "roundsman.target"])?;
        measure(machine)?;
        machine.succeed(["roundsman", "store", "backup", "/root/copy.db"])?;
        let restore = ["roundsman", "store", "restore", "/root/copy.db"];
        let refused = machine.run(restore)?;
        assert_eq!(refused.code(), Some(75), "{refused}");
        ensure!(
            refused.stderr.contains("stop roundsman.target"),
            "{refused}"
        );

        machine.succeed(["systemctl", "stop", "roundsman.target"])?;
        let before = number(machine, COUNT)?;
        machine.succeed(["rm", "-f", "/var/lib/roundsman/roundsman.db"])?;
        machine.succeed(restore)?;
        let restored = number(machine, COUNT)?;
        ensure!(0 < restored && restored <= before, "{restored} of {before}");
        machine.succeed(["systemctl", "start", "roundsman.target"])?;
        measure(machine)?;
        let status = machine.run(["roundsman", "status"])?;
        assert_eq!(status.code(), Some(0), "{status}");
        Ok(())
    });
}
