//! Which conditions begin and end, and that an unknown figure does neither.

use roundsman_store::event::State;
use roundsman_store::{Role, cycle, sample};
use roundsman_tests::PATIENCE;
use serde_json::json;

use crate::machine::{Machine, NOON};

/// Thresholds that the fixture's figures cross at once.
const LOW: &str = "
[thresholds.memory]
hold = '0s'
[thresholds.swap]
hold = '0s'
[thresholds.descriptors]
warning = 0.5
hysteresis = 0.1
[thresholds.disk]
warning = 0.000001
critical = 100.0
hysteresis = 0.0
[thresholds.inodes]
enabled = false
[thresholds.temperature]
hold = '0s'
";

const FILE_NR: &str = "/proc/sys/fs/file-nr";

fn firing() -> Machine {
    let machine = Machine::new();
    machine.root.config("hostmetrics", LOW);
    machine.root.write(FILE_NR, "0\t0\t100000\n");
    machine
}

#[test]
fn memory_that_swings_between_two_levels_is_told_once() {
    let machine = Machine::new();
    for minute in 0..30 {
        machine.memory(if minute % 2 == 0 { 2 } else { 7 });
        machine.minute(minute);
    }
    let events = machine.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].at.as_millis(), NOON + 300_000);
}

#[test]
fn hold_is_not_shortened_by_a_pause() {
    let machine = Machine::new();
    machine.memory(7);
    for minute in [0, 1, 30, 31, 34] {
        machine.minute(minute);
    }
    assert_eq!(machine.told(), [], "each pause begins it anew");
    for minute in 35..=39 {
        machine.minute(minute);
    }
    assert_eq!(machine.told().len(), 1);
}

#[test]
fn a_figure_that_cannot_be_read_ends_nothing() {
    let machine = firing();
    let meminfo = |lines: &str| machine.root.write("/proc/meminfo", lines);
    meminfo("MemTotal: 100 kB\nMemAvailable: 5 kB\nSwapTotal: 100 kB\nSwapFree: 10 kB\n");
    machine.root.write(FILE_NR, "1000\t0\t100000\n");
    machine.mounts(&["/"]);
    machine.minute(0);
    let begun = machine.told();
    let kinds: Vec<_> = begun.iter().map(|(_, kind, _)| kind.as_str()).collect();
    let expected = ["disk", "memory", "swap", "descriptors"];
    assert_eq!(kinds, expected.map(|kind| format!("hostmetrics.{kind}")));

    meminfo("MemTotal: 100 kB\nSwapTotal: 100 kB\nSwapFree: 101 kB\n");
    std::fs::remove_file(machine.root.at(FILE_NR)).unwrap();
    machine.root.write("/proc/1/mountinfo", "20 1 8:0 / / rw\n");
    machine.minute(1);
    let sentence = machine.cycle().sentence;
    assert!(
        sentence.contains("not readable: filesystem, limits, memory"),
        "{sentence}"
    );

    std::fs::remove_file(machine.root.at("/proc/1/mountinfo")).unwrap();
    machine.root.write("/proc/self/mountinfo", "");
    machine.minute(2);
    let cycle = machine.cycle();
    assert_eq!(cycle.outcome, cycle::Outcome::Degraded);
    assert_eq!(cycle.figures["conditions"], 4);

    std::fs::remove_file(machine.root.at("/proc/self/mountinfo")).unwrap();
    let read_only = "20 1 8:0 / / ro - ext4 /dev/sda rw\n21 1 8:1 / /ro ro - ext4 /dev/sdb rw\n";
    machine.root.write("/proc/1/mountinfo", read_only);
    std::fs::create_dir(machine.root.at("/ro")).unwrap();
    machine.minute(3);
    assert_eq!(machine.told(), begun, "nothing ended, nothing began");
}

#[test]
fn what_is_proven_to_be_gone_ends_and_has_no_value() {
    let machine = firing();
    let meminfo = |swap: &str| {
        let memory = "MemTotal: 100 kB\nMemAvailable: 50 kB\n";
        machine
            .root
            .write("/proc/meminfo", format!("{memory}{swap}"));
    };
    let conntrack = "/proc/sys/net/netfilter/nf_conntrack_count";
    machine.root.write(conntrack, "99\n");
    machine
        .root
        .write("/proc/sys/net/netfilter/nf_conntrack_max", "100\n");
    meminfo("SwapTotal: 100 kB\nSwapFree: 10 kB\n");
    machine.minute(0);
    assert_eq!(machine.told().len(), 2);
    meminfo("SwapTotal: 0 kB\nSwapFree: 0 kB\n");
    std::fs::remove_file(machine.root.at(conntrack)).unwrap();
    machine.minute(1);
    let ended = &machine.events()[2..];
    assert_eq!(ended.len(), 2);
    for event in ended {
        assert_eq!(event.state, State::Resolved);
        assert!(!event.data.contains_key("value"), "{event:?}");
    }
    assert_eq!(machine.cycle().outcome, cycle::Outcome::Ok);
}

#[test]
fn one_unreadable_mount_keeps_no_vanished_one() {
    let machine = firing();
    std::fs::create_dir_all(machine.root.at("/mnt/a")).unwrap();
    std::fs::create_dir_all(machine.root.at("/mnt/b")).unwrap();
    machine.mounts(&["/mnt/a", "/mnt/b", "/home/hidden"]);
    machine.minute(0);
    assert_eq!(machine.told().len(), 2);
    let cycle = machine.cycle();
    assert_eq!(cycle.outcome, cycle::Outcome::Ok, "some hosts are meant so");
    assert_eq!(cycle.figures["mounts_unreadable"], 1);
    let line = "roundsman_hostmetrics_mounts_unreadable 1\n";
    assert!(machine.textfile().contains(line));

    std::fs::remove_dir(machine.root.at("/mnt/b")).unwrap();
    machine.minute(1);
    assert_eq!(machine.told().len(), 2, "listed, but its space is unknown");
    machine.mounts(&["/mnt/a", "/home/hidden"]);
    machine.minute(2);
    let ended = (State::Resolved, "hostmetrics.disk".into(), "/mnt/b".into());
    assert_eq!(machine.told()[2..], [ended]);
}

#[test]
fn sensors_with_one_label_are_two_and_a_silent_one_keeps_no_vanished_chip() {
    let machine = firing();
    let hot = Some(90);
    machine.sensors(
        "hwmon0",
        &[("AUX", hot), ("AUX", Some(40)), ("CPU", Some(50))],
    );
    machine.minute(0);
    let expected = json!({"nct/AUX temp1": 90.0, "nct/AUX temp2": 40.0, "nct/CPU": 50.0});
    assert_eq!(machine.newest("temperature"), Some(expected));
    machine.minute(1);
    let begun = |subject: &str| {
        let kind = "hostmetrics.temperature".to_owned();
        (State::Firing, kind, subject.to_owned())
    };
    assert_eq!(machine.told(), [begun("nct/AUX temp1")]);

    machine.sensors(
        "hwmon0",
        &[("AUX", None), ("AUX", Some(40)), ("CPU", Some(50))],
    );
    machine.minute(2);
    let expected = json!({"nct/AUX temp2": 40.0, "nct/CPU": 50.0});
    assert_eq!(machine.newest("temperature"), Some(expected));
    assert_eq!(
        machine.told().len(),
        1,
        "its chip is there, its figure is not"
    );
    assert_eq!(machine.cycle().outcome, cycle::Outcome::Ok);

    std::fs::remove_dir_all(machine.root.at("/sys/class/hwmon/hwmon0")).unwrap();
    machine
        .root
        .write("/sys/class/hwmon/hwmon1/name", "silent\n");
    machine
        .root
        .write("/sys/class/hwmon/hwmon1/temp1_input", "");
    machine.minute(3);
    let told = machine.told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[1].0, State::Resolved);
    let line = "roundsman_hostmetrics_sensors_unreadable 1\n";
    assert!(machine.textfile().contains(line));
}

#[test]
fn runs_at_the_same_time_tell_a_change_once() {
    let machine = firing();
    machine.memory(5);
    // The machine's own clock: each begins at a time of its own, so that no two make one event.
    std::fs::remove_file(machine.root.at("/clock")).unwrap();
    for (available, expected) in [(5, 1), (50, 2)] {
        machine.memory(available);
        let runs = (0..6).map(|_| machine.root.agent("hostmetrics").spawn());
        for run in runs.collect::<Vec<_>>() {
            run.wait(PATIENCE).expect_code(0);
        }
        assert_eq!(machine.told().len(), expected, "{:?}", machine.told());
    }
}

#[test]
fn a_clock_that_was_set_back_is_told_once_and_counted() {
    let machine = Machine::new();
    for minute in [10, 11, 12, 13] {
        machine.minute(minute);
    }
    let set_back = |minute: u32| {
        machine.root.clock(NOON + i64::from(minute) * 60_000);
        machine.run().expect_code(0)
    };
    let told = "the clock was set back";
    assert!(set_back(11).stderr.contains(told));
    let cycle = machine.cycle();
    assert_eq!(cycle.outcome, cycle::Outcome::Degraded);
    let refused = cycle.figures["samples_refused"].as_u64().unwrap();
    assert!(refused > 0 && cycle.sentence.contains("samples not stored"));
    assert!(!set_back(12).stderr.contains(told));
    let line = "roundsman_hostmetrics_samples_refused_total";
    let line = format!("{line} {}\n", refused * 2);
    assert!(machine.textfile().contains(&line), "{}", machine.textfile());
    set_back(14);
    assert_eq!(machine.cycle().outcome, cycle::Outcome::Ok);
    let kept = machine
        .store(Role::Reader)
        .read(|tx| sample::latest(tx, "mill", "memory"));
    assert_eq!(kept.unwrap().unwrap().at.as_millis(), NOON + 14 * 60_000);
}
