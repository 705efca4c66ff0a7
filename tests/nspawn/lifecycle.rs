//! What systemd does with the suite and the suite with systemd: watchdog, reload, overrides,
//! reboot, a storm of connections.

use std::time::Duration;

use anyhow::{Result, ensure};
use roundsman_kit::log::id;
use roundsman_tests::{Machine, PATIENCE};

use crate::installed::{
    EVERYDAY, PORT, drop_in, enable_everyday, failed_units, installed, measure, number, scrape,
};

const EXPORTER: &str = "roundsman-exporter.service";

fn main_pid(machine: &Machine) -> Result<String> {
    machine.property(EXPORTER, "MainPID")
}

fn reload(machine: &Machine) -> Result<()> {
    machine.succeed(["systemctl", "reload", EXPORTER]).map(drop)
}

/// Waits for an entry of the exporter with this message id.
fn await_entry(machine: &Machine, message_id: &str) -> Result<String> {
    let matches = [
        format!("MESSAGE_ID={message_id}"),
        format!("_SYSTEMD_UNIT={EXPORTER}"),
    ];
    let matches = [matches[0].as_str(), matches[1].as_str()];
    Ok(machine
        .wait_for_entry(&matches, |_| true)?
        .message()
        .to_owned())
}

#[test]
fn a_daemon_that_hangs_is_killed_by_the_watchdog_and_started_again() {
    installed("lifecycle::a_daemon_that_hangs", |machine| {
        drop_in(
            machine,
            EXPORTER,
            "[Service]\nWatchdogSec=2s\nRestartSec=100ms\n",
        )?;
        enable_everyday(machine)?;
        scrape(machine)?;
        let hung = main_pid(machine)?;
        machine.succeed(["kill", "-STOP", &hung])?;
        machine.wait_for("the restart", PATIENCE, || {
            Ok((machine.property(EXPORTER, "NRestarts")? == "1").then_some(()))
        })?;
        let unit = format!("UNIT={EXPORTER}");
        let timeout = |message: &str| message.contains("Watchdog timeout");
        machine.wait_for_entry(&[&unit], |entry| timeout(entry.message()))?;
        machine.wait_for_unit(EXPORTER, "active")?;
        assert_ne!(main_pid(machine)?, hung);
        scrape(machine)?;
        // Left alone, it pings.
        let pings = machine.property(EXPORTER, "WatchdogTimestampMonotonic")?;
        machine.wait_for("the next ping", PATIENCE, || {
            let now = machine.property(EXPORTER, "WatchdogTimestampMonotonic")?;
            Ok((now != pings).then_some(()))
        })?;
        assert_eq!(machine.property(EXPORTER, "NRestarts")?, "1");
        Ok(())
    });
}

#[test]
fn a_reload_takes_a_good_configuration_and_refuses_a_broken_one() {
    installed("lifecycle::a_reload", |machine| {
        enable_everyday(machine)?;
        ensure!(scrape(machine)?.contains("\nnode_load1 "));
        let pid = main_pid(machine)?;

        machine.write_file(
            "/etc/roundsman/exporter.toml",
            "[collectors]\ndisable = [\"loadavg\"]\n",
        )?;
        reload(machine)?;
        await_entry(machine, id::CONFIG_RELOADED)?;
        ensure!(
            !scrape(machine)?.contains("\nnode_load1 "),
            "the new configuration has no effect"
        );

        machine.write_file(
            "/etc/roundsman/exporter.toml",
            "[collectors]\ndisable = 7\n",
        )?;
        reload(machine)?;
        await_entry(machine, id::RELOAD_REFUSED)?;
        ensure!(
            !scrape(machine)?.contains("\nnode_load1 "),
            "the old configuration is gone"
        );
        assert_eq!(machine.property(EXPORTER, "ActiveState")?, "active");
        assert_eq!(main_pid(machine)?, pid, "a reload is no restart");

        // A restart with the broken file fails at once, and is not tried again.
        ensure!(!machine.run(["systemctl", "restart", EXPORTER])?.success());
        assert_eq!(machine.property(EXPORTER, "ExecMainStatus")?, "78");
        assert_eq!(machine.property(EXPORTER, "NRestarts")?, "0");
        let refused = await_entry(machine, id::CONFIG_REFUSED)?;
        ensure!(
            refused.contains("/etc/roundsman/exporter.toml")
                && refused.contains("collectors.disable"),
            "{refused}"
        );
        Ok(())
    });
}

#[test]
fn drop_ins_and_environment_override_what_is_shipped() {
    installed("lifecycle::drop_ins", |machine| {
        drop_in(
            machine,
            "roundsman-hostmetrics.timer",
            "[Timer]\nOnCalendar=\nOnCalendar=*:*:*\n",
        )?;
        drop_in(
            machine,
            "roundsman-hostmetrics.service",
            "[Service]\nNice=7\nProtectHome=yes\nEnvironment=ROUNDSMAN_HOSTMETRICS__HOST=elsewhere\n",
        )?;
        machine.succeed([
            "systemctl",
            "enable",
            "--now",
            "roundsman-hostmetrics.timer",
        ])?;
        machine.wait_for("three measurements", PATIENCE, || {
            let query = "SELECT count(DISTINCT at) FROM sample WHERE host = 'elsewhere'";
            Ok((number(machine, query)? >= 3).then_some(()))
        })?;
        let unit = "roundsman-hostmetrics.service";
        assert_eq!(machine.property(unit, "Nice")?, "7");
        assert_eq!(machine.property(unit, "ProtectHome")?, "yes");
        // What the drop-in does not name is as shipped.
        assert_eq!(machine.property(unit, "ProtectSystem")?, "strict");
        assert_eq!(failed_units(machine)?, "");
        Ok(())
    });
}

#[test]
fn after_a_reboot_the_enabled_suite_is_back_with_its_data() {
    installed("lifecycle::after_a_reboot", |machine| {
        enable_everyday(machine)?;
        measure(machine)?;
        let samples = number(machine, "SELECT count(*) FROM sample")?;
        machine.reboot()?;
        for unit in EVERYDAY {
            assert_eq!(machine.property(unit, "ActiveState")?, "active", "{unit}");
        }
        // The page is there at the first connection, and the first measurement of a boot works.
        scrape(machine)?;
        measure(machine)?;
        ensure!(number(machine, "SELECT count(*) FROM sample")? > samples);
        assert_eq!(failed_units(machine)?, "");
        Ok(())
    });
}

#[test]
fn a_storm_of_connections_fails_neither_the_socket_nor_the_next_scrape() {
    installed("lifecycle::a_storm_of_connections", |machine| {
        enable_everyday(machine)?;
        let network = machine.network()?;
        for round in 0..3 {
            // Each round begins with the service down, so that the socket unit takes them.
            machine.succeed(["systemctl", "stop", EXPORTER])?;
            for _ in 0..300 {
                drop(network.connect(PORT)?);
            }
            let page = scrape(machine)?;
            ensure!(page.contains("node_uname_info"), "round {round}");
        }
        assert_eq!(
            machine.property("roundsman-exporter.socket", "Result")?,
            "success"
        );
        assert_eq!(
            machine.property("roundsman-exporter.socket", "ActiveState")?,
            "active"
        );
        assert_eq!(failed_units(machine)?, "");
        Ok(())
    });
}

#[test]
fn stopping_the_target_stops_everything_and_starting_brings_back_what_is_enabled() {
    installed("lifecycle::stopping_the_target", |machine| {
        enable_everyday(machine)?;
        scrape(machine)?;
        machine
            .command(["systemctl", "stop", "roundsman.target"])
            .deadline(Duration::from_secs(30))
            .succeed()?;
        for unit in EVERYDAY.iter().chain(&[EXPORTER]) {
            assert_eq!(machine.property(unit, "ActiveState")?, "inactive", "{unit}");
        }
        assert_eq!(machine.property(EXPORTER, "Result")?, "success");
        machine.succeed(["systemctl", "start", "roundsman.target"])?;
        for unit in EVERYDAY {
            machine.wait_for_unit(unit, "active")?;
        }
        scrape(machine).map(drop)
    });
}
