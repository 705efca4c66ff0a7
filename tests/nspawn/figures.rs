//! The figures are the host's, never the sandbox's: compared with node_exporter and systemctl,
//! which run outside the unit, on a host that has a tmpfs, a read-only bind, a mount below
//! `/home` and one that only root can reach.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use roundsman_tests::machine::Options;
use roundsman_tests::{Machine, PATIENCE, Process};
use serde_json::Value;

use crate::installed::{enable_everyday, installed_on, measure, rows, scrape};
use crate::page::{self, Page};

const REFERENCE: &str = "/opt/peers/bin/prometheus-node-exporter";
/// A mount that only root can reach.
const HIDDEN: &str = "/root/hidden";
const FLAGS: &str = "node_filesystem_readonly";
const REFERENCE_PORT: u16 = 9100;
/// The reference with node_exporter's own defaults, which Debian's package changes, and with the
/// collectors that we have on by default.
const REFERENCE_ARGUMENTS: [&str; 6] = [
    "--collector.filesystem.mount-points-exclude=^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
    "--collector.filesystem.fs-types-exclude=^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tracefs)$",
    "--collector.systemd",
    "--collector.systemd.enable-restarts-metrics",
    "--collector.processes",
    "--collector.tcpstat",
];

/// Names that the rules of the node mixin and the open rows of "Node Exporter Full" use.
const MUST: &str = include_str!("must-have.txt");

/// Gauges that move between two readings.
const RESTLESS: [&str; 20] = [
    "node_disk_io_now",
    "node_load",
    "node_memory_",
    "node_procs_",
    "node_time_",
    "node_timex_",
    "node_sockstat_",
    "node_filefd_allocated",
    "node_entropy_",
    "node_scrape_",
    "node_textfile_",
    "node_exporter_",
    "node_filesystem_avail",
    "node_filesystem_free",
    "node_filesystem_files_free",
    "node_cpu_scaling",
    "node_netstat_Tcp_CurrEstab",
    "node_arp_entries",
    // Root sees what is hidden from the exporter's user: every_mount_has_… looks at it.
    "node_filesystem_device_error",
    // Read from /proc/loadavg, which counts the threads of the whole kernel; a machine of its
    // own has no others.
    "node_processes_threads",
];

/// A host with every kind of mount that a sandbox could falsify.
fn host(test: &str, shared: &Path) -> Options {
    Options::new(test)
        .tmpfs("/srv/scratch", "48m")
        .tmpfs(HIDDEN, "16m")
        .bind_read_only(shared, "/srv/shared")
        .bind(shared, "/home/data")
}

/// node_exporter inside the machine, outside every unit, as the given user.
fn reference(machine: &Machine, user: &str) -> Result<(Process, Page)> {
    let listen = format!("--web.listen-address=127.0.0.1:{REFERENCE_PORT}");
    let argv = [REFERENCE, &listen].into_iter().chain(REFERENCE_ARGUMENTS);
    let process = machine.command(argv).user(user).spawn()?;
    let page = machine.wait_for("node_exporter answers", PATIENCE, || {
        let answer = machine.get(REFERENCE_PORT, "/metrics", &[])?;
        Page::parse(&answer.text()).map(Some)
    })?;
    Ok((process, page))
}

fn ours(machine: &Machine) -> Result<Page> {
    Page::parse(&scrape(machine)?)
}

/// Interfaces besides the loopback: a pair with an address, up, and one that is down.
fn add_interfaces(machine: &Machine) -> Result<()> {
    machine
        .sh("ip link add left type veth peer name right
            ip link set left mtu 1400 up; ip link set right up
            ip address add 10.9.8.7/24 dev left
            ip link add idle type veth peer name idler")
        .map(drop)
}

#[test]
fn every_mount_has_the_size_and_the_flags_that_it_has_outside_the_sandbox() {
    let shared = tempfile::tempdir().unwrap();
    installed_on(host("figures::every_mount", shared.path()), |machine| {
        enable_everyday(machine)?;
        // What the agent's own user can reach outside its unit is the measure.
        let (_running, reference) = reference(machine, "roundsman-exporter")?;
        let ours = ours(machine)?;
        for family in ["size_bytes", "files", "readonly", "device_error"] {
            let family = format!("node_filesystem_{family}");
            let expected: Vec<_> = reference.of(&family).collect();
            let shown: Vec<_> = ours
                .of(&family)
                // node_exporter tells the flags of a mount that it cannot enter since 1.9.
                .filter(|(series, _)| family != FLAGS || !series.contains(HIDDEN))
                .collect();
            assert_eq!(shown, expected, "{family}");
        }
        let shown = |family: &str, mount: &str| {
            let label = format!("mountpoint=\"{mount}\"");
            let series = ours.of(family).find(|(series, _)| series.contains(&label));
            series.map(|(_, value)| value)
        };
        for mount in ["/srv/scratch", "/srv/shared", "/home/data"] {
            ensure!(
                shown("node_filesystem_size_bytes", mount).is_some(),
                "{mount} is missing"
            );
        }
        assert_eq!(
            shown("node_filesystem_size_bytes", "/srv/scratch"),
            Some(48.0 * 1_048_576.0)
        );
        assert_eq!(shown("node_filesystem_readonly", "/srv/shared"), Some(1.0));
        assert_eq!(shown("node_filesystem_readonly", "/home/data"), Some(0.0));
        // Nobody but root may enter /root: shown as an error, never guessed, and explained.
        assert_eq!(shown("node_filesystem_device_error", HIDDEN), Some(1.0));
        assert_eq!(shown("node_filesystem_size_bytes", HIDDEN), None);
        let check = machine.run(["roundsman", "check"])?;
        ensure!(check.stdout.contains(HIDDEN), "roundsman check: {check}");
        Ok(())
    });
}

#[test]
fn every_other_figure_lies_between_two_readings_from_outside() {
    let shared = tempfile::tempdir().unwrap();
    installed_on(
        host("figures::every_other_figure", shared.path()),
        |machine| {
            add_interfaces(machine)?;
            enable_everyday(machine)?;
            scrape(machine)?;
            let (_running, before) = reference(machine, "root")?;
            let ours = ours(machine)?;
            let after = Page::parse(&machine.get(REFERENCE_PORT, "/metrics", &[])?.text())?;
            let mut compared = 0;
            let mut wrong = Vec::new();
            for (series, value) in &ours.series {
                let (Some(low), Some(high)) = (before.value(series), after.value(series)) else {
                    continue;
                };
                if !series.starts_with("node_")
                    || RESTLESS.iter().any(|name| series.starts_with(name))
                {
                    continue;
                }
                compared += 1;
                // Clock ticks are cut to hundredths by one side and not by the other; iowait is
                // documented to run backwards.
                let slack = if series.contains("iowait") {
                    1.0
                } else {
                    0.011
                };
                if !(low.min(high) - slack..=low.max(high) + slack).contains(value) {
                    wrong.push(format!("{series}: {value}, outside {low} and {high}"));
                }
            }
            ensure!(compared > 200, "only {compared} series were compared");
            ensure!(
                wrong.is_empty(),
                "{} of {compared}:\n{}",
                wrong.len(),
                wrong.join("\n")
            );
            assert_interfaces(&ours, &before)?;
            assert_must_have(&ours, &before)
        },
    );
}

/// Every interface with every figure of the reference.
fn assert_interfaces(ours: &Page, reference: &Page) -> Result<()> {
    let missing: Vec<_> = reference
        .series
        .iter()
        .filter(|(series, _)| series.starts_with("node_network_"))
        // A speed of -1 stands for "unknown" and is left out by us.
        .filter(|(series, value)| {
            !(page::name(series) == "node_network_speed_bytes" && **value < 0.0)
        })
        .filter(|(series, _)| ours.value(series).is_none())
        .map(|(series, _)| series.as_str())
        .collect();
    ensure!(missing.is_empty(), "missing: {missing:#?}");
    for device in ["lo", "left", "right", "idle", "idler"] {
        let label = format!("device=\"{device}\"");
        ensure!(
            ours.of("node_network_mtu_bytes")
                .any(|(series, _)| series.contains(&label))
        );
    }
    Ok(())
}

fn assert_must_have(ours: &Page, reference: &Page) -> Result<()> {
    let (have, source) = (ours.names(), reference.names());
    let wanted: Vec<_> = MUST.split_whitespace().collect();
    assert_eq!(wanted.len(), 63);
    let missing: Vec<_> = wanted
        .iter()
        .filter(|name| source.contains(*name) && !have.contains(*name))
        .collect();
    ensure!(
        missing.is_empty(),
        "the machine has the source, the page lacks {missing:?}"
    );
    Ok(())
}

#[test]
fn unit_figures_are_what_systemctl_says() {
    let shared = tempfile::tempdir().unwrap();
    installed_on(host("figures::unit_figures", shared.path()), |machine| {
        enable_everyday(machine)?;
        machine.write_file(
            "/etc/systemd/system/sad.service",
            "[Service]\nExecStart=/bin/false\n",
        )?;
        machine.succeed(["systemctl", "daemon-reload"])?;
        machine.succeed(["systemctl", "start", "sad.service"])?;
        machine.wait_for_unit("sad.service", "failed")?;
        let page = ours(machine)?;
        let units = machine.succeed(["systemctl", "list-units", "--all", "--output=json"])?;
        let units: Vec<Value> = serde_json::from_str(&units)?;
        let mut compared = 0;
        for unit in &units {
            let (name, state) = (text(unit, "unit")?, text(unit, "active")?);
            if !["service", "socket", "timer"]
                .contains(&name.rsplit('.').next().unwrap_or_default())
                || text(unit, "load")? != "loaded"
            {
                continue;
            }
            let ones: Vec<_> = page
                .of("node_systemd_unit_state")
                .filter(|(series, value)| {
                    series.contains(&format!("name=\"{name}\"")) && *value == 1.0
                })
                .map(|(series, _)| series)
                .collect();
            compared += 1;
            // The scrape itself moves the exporter's own units and whatever runs by the clock.
            ensure!(ones.len() == 1, "{name} is in {} states", ones.len());
            ensure!(
                ones[0].contains(&format!("state=\"{state}\"")) || name.starts_with("roundsman-"),
                "{name} is {state}, the page says {ones:?}"
            );
        }
        ensure!(compared > 10, "only {compared} units were compared");
        Ok(())
    });
}

fn text<'a>(unit: &'a Value, key: &str) -> Result<&'a str> {
    unit[key]
        .as_str()
        .with_context(|| format!("{unit} has no {key}"))
}

#[test]
fn the_timer_fires_and_leaves_rows_and_a_textfile() {
    let shared = tempfile::tempdir().unwrap();
    installed_on(host("figures::the_timer_fires", shared.path()), |machine| {
        enable_everyday(machine)?;
        machine.wait_for("the timer", 3 * PATIENCE + PATIENCE, || {
            let at = machine.property("roundsman-hostmetrics.timer", "LastTriggerUSec")?;
            let ran = machine.property("roundsman-hostmetrics.service", "ExecMainExitTimestamp")?;
            Ok((!at.is_empty() && !ran.is_empty()).then_some(()))
        })?;
        let at = machine.property("roundsman-hostmetrics.timer", "LastTriggerUSec")?;
        ensure!(at.contains(":00 ") || at.contains(":01 "), "fired at {at}");
        machine.wait_for_unit("roundsman-hostmetrics.service", "inactive")?;
        assert_eq!(
            machine.property("roundsman-hostmetrics.service", "Result")?,
            "success"
        );
        let textfile = machine.read_file("/run/roundsman/metrics/hostmetrics.prom")?;
        ensure!(
            textfile.contains("roundsman_hostmetrics_collector_success"),
            "{textfile}"
        );
        ensure!(
            ours(machine)?
                .names()
                .contains("roundsman_hostmetrics_collector_success")
        );

        measure(machine)?;
        let outside = machine.sh("for m in / /srv/scratch /srv/shared /home/data; do
            stat -f -c \"$m %S %b %c\" $m; done")?;
        let disk = rows(
            machine,
            "SELECT payload FROM sample WHERE kind = 'disk' ORDER BY id DESC LIMIT 1",
        )?;
        let disk: Value = serde_json::from_str(disk[0]["payload"].as_str().unwrap_or_default())?;
        for line in outside.lines().skip(1) {
            let fields: Vec<_> = line.split(' ').collect();
            let (block, blocks): (u64, u64) = (fields[1].parse()?, fields[2].parse()?);
            let figures = &disk[fields[0]];
            assert_eq!(
                figures["total"].as_u64(),
                Some(block * blocks),
                "{line}: {disk}"
            );
            assert_eq!(
                figures["files"].as_u64(),
                Some(fields[3].parse()?),
                "{line}: {disk}"
            );
        }
        let kernel = machine.succeed(["uname", "-r"])?;
        let system = rows(machine, "SELECT payload FROM sample WHERE kind = 'system'")?;
        ensure!(system[0].to_string().contains(&kernel), "{system:?}");
        Ok(())
    });
}
