//! What one run measures, and what becomes of it where something is missing.

use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{Severity, State};
use roundsman_store::{Role, cycle, sample};
use serde_json::json;

use crate::machine::{Machine, NET_DEV, NOON};

#[test]
fn rates_need_a_previous_run_and_are_never_zero_for_unknown() {
    let machine = Machine::new();
    machine.run().expect_code(0);
    assert_eq!(
        machine.newest("cpu"),
        None,
        "no usage is known after one look"
    );
    let network = machine.newest("network").unwrap();
    assert_eq!(network["eth0"]["rx_bytes"], 5_000_000);
    assert_eq!(network["eth0"].get("rx_bytes_per_second"), None);
    assert_eq!(network.get("lo"), None, "excluded by default");
    assert_eq!(machine.newest("memory").unwrap()["used_percent"], 50.0);
    assert_eq!(machine.newest("pressure"), None, "this kernel has no PSI");
    assert_eq!(machine.newest("system").unwrap()["load15"], 0.3);

    machine.uptime(1060);
    machine.cpu(101_500, 904_500);
    machine
        .root
        .write("/proc/net/dev", NET_DEV.replace("5000000", "5600000"));
    machine.root.clock(NOON + 60_000);
    machine.run().expect_code(0);
    let cpu = machine.newest("cpu").unwrap();
    assert_eq!(
        (&cpu["usage"], &cpu["cores"]["0"]),
        (&json!(25.0), &json!(25.0))
    );
    assert_eq!(
        machine.newest("network").unwrap()["eth0"]["rx_bytes_per_second"],
        10_000.0
    );

    machine.root.write(
        "/proc/sys/kernel/random/boot_id",
        "8a6f0c1e-0000-4000-8000-000000000002\n",
    );
    machine.uptime(2000);
    machine.root.clock(NOON + 120_000);
    machine.run().expect_code(0);
    let network = machine.newest("network").unwrap();
    assert_eq!(
        network["eth0"].get("rx_bytes_per_second"),
        None,
        "counters began anew"
    );
}

#[test]
fn a_garbled_source_costs_its_own_figures_and_is_counted() {
    let machine = Machine::new();
    machine
        .root
        .write("/proc/meminfo", "MemTotal: lots\n\u{0}\u{1}");
    machine.root.write("/proc/loadavg", "");
    let output = machine.run().expect_code(0);
    assert!(
        output.stderr.contains("memory could not be read"),
        "{output:?}"
    );
    assert_eq!(machine.newest("memory"), None);
    assert!(machine.newest("network").is_some());

    let textfile = machine.root.read("/run/roundsman/metrics/hostmetrics.prom");
    for line in [
        "roundsman_hostmetrics_collector_success{collector=\"memory\"} 0",
        "roundsman_hostmetrics_collector_success{collector=\"network\"} 1",
        "roundsman_hostmetrics_collector_failures_total{collector=\"memory\"} 1",
    ] {
        assert!(textfile.contains(line), "{line}\n{textfile}");
    }
    let cycles = machine.store(Role::Reader).read(cycle::list).unwrap();
    assert_eq!(cycles[0].outcome, cycle::Outcome::Degraded);
    assert!(
        cycles[0].sentence.contains("not readable: memory, system"),
        "{cycles:?}"
    );
}

#[test]
fn a_crossed_threshold_is_one_event_and_clearing_it_another() {
    let machine = Machine::new();
    machine
        .root
        .config("hostmetrics", "[thresholds.memory]\nhold = '0s'");
    for available in [50, 8, 7, 9, 50] {
        machine.memory(available);
        machine.run().expect_code(0);
    }
    let events = machine.events();
    let told: Vec<_> = events
        .iter()
        .map(|e| (e.kind.as_str(), e.state, e.severity))
        .collect();
    let kind = "hostmetrics.memory";
    let expected = [
        (kind, State::Firing, Severity::Warning),
        (kind, State::Resolved, Severity::Notice),
    ];
    assert_eq!(told, expected);
    assert_eq!(events[0].correlation, events[1].correlation);
    assert_eq!(events[0].message, "memory is at 92.0 % (warning from 90 %)");
    assert_eq!(events[0].data["value"], 92.0);
}

#[test]
fn a_second_run_for_the_same_second_adds_no_row() {
    let machine = Machine::new();
    for millis in [0, 1, 999, 1000] {
        machine.root.clock(NOON + millis);
        machine.run().expect_code(0);
    }
    let mut store = machine.store(Role::Reader);
    let (from, to) = (Timestamp(0), Timestamp(i64::MAX));
    let rows = store
        .read(|tx| sample::range(tx, "mill", "memory", from, to, 100))
        .unwrap()
        .rows
        .found;
    let seconds: Vec<_> = rows.iter().map(|row| row.at.as_millis()).collect();
    assert_eq!(seconds, [NOON, NOON + 1000]);
}

#[test]
fn a_store_that_cannot_be_written_is_told_and_nothing_else_is_left() {
    let machine = Machine::new();
    std::fs::remove_file(machine.root.at("/run/roundsman/ticket")).unwrap();
    let output = machine.run().expect_code(75);
    assert!(output.stderr.contains("ticket"), "{output:?}");
    assert!(
        !machine
            .root
            .at("/run/roundsman/metrics/hostmetrics.prom")
            .exists()
    );
}

#[test]
fn usage_is_at_most_one_and_a_stat_without_its_sum_is_a_failure() {
    let machine = Machine::new();
    machine.minute(0);
    machine.cpu(106_000, 900_000);
    machine.minute(1);
    let line = "\nroundsman_hostmetrics_cpu_usage_ratio 1\n";
    assert!(machine.textfile().contains(line), "{}", machine.textfile());
    assert!(machine.cycle().sentence.starts_with("cpu 100 %, "));

    let stat = machine.root.read("/proc/stat");
    let (_, without_sum) = stat.split_once('\n').unwrap();
    machine.root.write("/proc/stat", without_sum);
    let output = machine.minute(2);
    assert!(
        output.stderr.contains("cpu could not be read"),
        "{output:?}"
    );
    assert!(!machine.textfile().contains("cpu_usage_ratio"));
}

#[test]
fn a_failure_is_told_when_it_begins_with_its_cause_and_when_it_ends() {
    let machine = Machine::new();
    let uptime = machine.root.read("/proc/loadavg");
    std::fs::remove_file(machine.root.at("/proc/loadavg")).unwrap();
    let first = machine.minute(0).stderr;
    assert!(
        first.contains("system could not be read: cannot read "),
        "{first}"
    );
    assert!(
        first.contains("loadavg: No such file or directory"),
        "{first}"
    );
    assert_eq!(machine.minute(1).stderr, "");
    machine.root.write("/proc/loadavg", uptime);
    let healed = machine.minute(2).stderr;
    assert!(healed.contains("system can be read again"), "{healed}");
    assert_eq!(machine.minute(3).stderr, "");
    let line = "collector_failures_total{collector=\"system\"} 2\n";
    assert!(machine.textfile().contains(line));
}

#[test]
fn each_figure_of_the_system_fails_by_itself() {
    let machine = Machine::new();
    let spoilt = [
        "/proc/uptime",
        "/proc/sys/kernel/random/boot_id",
        "/proc/stat",
    ];
    for (minute, path) in spoilt.into_iter().enumerate() {
        let sound = machine.root.read(path);
        machine.root.clock(NOON + minute as i64 * 60_000);
        machine.root.write(path, "lots\n");
        let output = machine.run().expect_code(0);
        assert!(output.stderr.contains("system could not be read"), "{path}");
        let system = machine.newest("system").unwrap();
        assert_eq!(system["load15"], 0.3, "{path}");
        assert_eq!(machine.cycle().outcome, cycle::Outcome::Degraded, "{path}");
        machine.root.write(path, sound);
        machine.root.clock(NOON + minute as i64 * 60_000 + 30_000);
        machine.run().expect_code(0);
    }
}

#[test]
fn a_textfile_that_cannot_be_written_degrades_the_cycle_and_loses_nothing() {
    let machine = Machine::new();
    std::fs::remove_dir(machine.root.at("/run/roundsman/metrics")).unwrap();
    let output = machine.run().expect_code(0);
    for part in [
        "/run/roundsman/metrics/hostmetrics.prom",
        "systemd-tmpfiles --create",
    ] {
        assert!(output.stderr.contains(part), "{output:?}");
    }
    assert!(machine.newest("memory").is_some());
    let cycle = machine.cycle();
    assert_eq!(cycle.outcome, cycle::Outcome::Degraded);
    assert!(cycle.sentence.contains("hostmetrics.prom"), "{cycle:?}");
}

#[test]
fn a_run_that_is_given_up_is_recorded_as_failed() {
    let machine = Machine::new();
    // A host without a name cannot have samples.
    machine.root.write("/proc/sys/kernel/hostname", "\n");
    let output = machine.run();
    assert_ne!(output.code(), Some(0), "{output:?}");
    let cycle = machine.cycle();
    assert_eq!(cycle.outcome, cycle::Outcome::Failed);
    assert!(cycle.class.is_some() && !cycle.sentence.is_empty());
    assert_eq!(cycle.consecutive_failures, 1);
    assert_eq!(machine.newest("memory"), None);
}
