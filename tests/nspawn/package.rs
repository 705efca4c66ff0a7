//! Install, upgrade, remove, purge.

use anyhow::{Result, ensure};
use roundsman_tests::{Machine, PATIENCE, package};

use crate::installed::{
    EVERYDAY, PORT, drop_in, enable_everyday, failed_units, installed, measure, number, scrape,
};

fn enabled_units(machine: &Machine) -> Result<String> {
    let listed = machine.succeed([
        "systemctl",
        "list-unit-files",
        "--state=enabled",
        "--no-legend",
        "roundsman*",
    ])?;
    Ok(listed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect::<Vec<_>>()
        .join(" "))
}

fn active_units(machine: &Machine) -> Result<String> {
    let listed = machine.succeed([
        "systemctl",
        "list-units",
        "--state=active,activating",
        "--no-legend",
        "--plain",
        "roundsman*",
    ])?;
    Ok(listed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect::<Vec<_>>()
        .join(" "))
}

#[test]
fn a_fresh_install_enables_and_starts_the_target_alone() {
    installed("package::a_fresh_install", |machine| {
        assert_eq!(enabled_units(machine)?, "roundsman.target");
        assert_eq!(active_units(machine)?, "roundsman.target");
        assert_eq!(failed_units(machine)?, "");
        for (path, mode_and_owner) in [
            ("/run/roundsman", "2750 root:roundsman"),
            ("/run/roundsman/bell", "660 root:roundsman"),
            ("/run/roundsman/ticket", "660 root:roundsman"),
            ("/run/roundsman/metrics", "3770 root:roundsman"),
            ("/var/lib/roundsman", "2770 root:roundsman"),
            ("/var/lib/roundsman/roundsman.db", "660 root:roundsman"),
        ] {
            let found = machine.succeed(["stat", "-c", "%a %U:%G", path])?;
            assert_eq!(found, mode_and_owner, "{path}");
        }
        let verify =
            machine.sh("cd /usr/lib/systemd/system && find . -name 'roundsman*' -type f -maxdepth 1 -exec systemd-analyze verify --man=no {} + 2>&1")?;
        assert_eq!(verify, "", "systemd-analyze verify");
        // The first agent that starts brings the empty store to its schema.
        machine.succeed(["systemctl", "start", "roundsman-migrate.service"])?;
        let check = machine.run(["roundsman", "check"])?;
        assert_eq!(
            check.code(),
            Some(0),
            "roundsman check on a fresh install: {check}"
        );
        let audit = machine.succeed(["dpkg", "--verify", "roundsman"])?;
        assert_eq!(audit, "", "dpkg --verify");
        Ok(())
    });
}

#[test]
fn an_upgrade_over_a_running_suite_keeps_data_choices_and_what_is_off() {
    installed("package::an_upgrade", |machine| {
        enable_everyday(machine)?;
        // A choice of the administrator's: this one stays off.
        machine.succeed(["systemctl", "disable", "--now", "roundsman-failure.timer"])?;
        measure(machine)?;
        scrape(machine)?;
        // So is this one, which is only stopped.
        machine.succeed(["systemctl", "stop", "roundsman-hostmetrics.timer"])?;
        machine.write_file("/etc/roundsman/common.toml", "host = \"renamed\"\n")?;
        let samples = number(machine, "SELECT count(*) FROM sample")?;
        ensure!(samples > 0);
        let exporter = machine.property("roundsman-exporter.service", "MainPID")?;
        let enabled = enabled_units(machine)?;

        machine.install_deb(&package::deb_of_version("99.0.0")?)?;
        assert_eq!(enabled_units(machine)?, enabled);
        assert_eq!(
            machine.read_file("/etc/roundsman/common.toml")?,
            "host = \"renamed\"\n"
        );
        ensure!(number(machine, "SELECT count(*) FROM sample")? >= samples);
        assert_eq!(
            machine.property("roundsman-failure.timer", "ActiveState")?,
            "inactive"
        );
        assert_eq!(
            machine.property("roundsman-hostmetrics.timer", "ActiveState")?,
            "inactive"
        );
        machine.wait_for_unit("roundsman-exporter.socket", "active")?;
        scrape(machine)?;
        let restarted = machine.property("roundsman-exporter.service", "MainPID")?;
        assert_ne!(
            restarted, exporter,
            "the exporter still runs the old program"
        );
        measure(machine)?;
        ensure!(
            number(
                machine,
                "SELECT count(*) FROM sample WHERE host = 'renamed'"
            )? > 0
        );
        assert_eq!(failed_units(machine)?, "");
        Ok(())
    });
}

#[test]
fn removing_keeps_data_and_purging_leaves_nothing_but_the_users() {
    installed("package::removing_and_purging", |machine| {
        enable_everyday(machine)?;
        measure(machine)?;
        scrape(machine)?;
        drop_in(
            machine,
            "roundsman-hostmetrics.timer",
            "[Timer]\nAccuracySec=2s\n",
        )?;
        machine.succeed(["roundsman", "watch-unit", "systemd-logind.service"])?;

        machine.succeed(["dpkg", "--remove", "roundsman"])?;
        assert_eq!(active_units(machine)?, "");
        ensure!(
            machine.get(PORT, "/metrics", &[]).is_err(),
            "the port is still open"
        );
        ensure!(machine.path("/var/lib/roundsman/roundsman.db").exists());
        ensure!(machine.path("/etc/roundsman/hostmetrics.toml").exists());

        machine.succeed(["dpkg", "--purge", "roundsman"])?;
        machine.wait_for("no unit of ours is loaded", PATIENCE, || {
            let units = machine.succeed([
                "systemctl",
                "list-units",
                "--all",
                "--no-legend",
                "roundsman*",
            ])?;
            Ok(units.is_empty().then_some(()))
        })?;
        // The users stay, so that their ids never come to mean someone else.
        let left = machine.sh(
            "find / /run -xdev -iname '*roundsman*' ! -path '/proc/*' ! -path '/sys/*' ! -path '/tmp/*' | sort",
        )?;
        assert_eq!(left, "", "left after purge");
        machine.succeed(["getent", "group", "roundsman"])?;
        machine.succeed(["getent", "passwd", "roundsman-hostmetrics"])?;
        assert_eq!(machine.property("systemd-logind.service", "OnFailure")?, "");
        assert_eq!(failed_units(machine)?, "");
        for unit in EVERYDAY {
            assert_eq!(machine.property(unit, "LoadState")?, "not-found", "{unit}");
        }
        Ok(())
    });
}
