//! The real program on a host made of files, minute by minute.

#![allow(clippy::unwrap_used)] // helpers of tests

use roundsman_kit::Paths;
use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{Event, Filter, Severity, State};
use roundsman_store::{Location, Role, Store, cycle, event, sample};
use roundsman_tests::{Output, Root};
use serde_json::{Value, json};

/// A small host whose figures a test can turn.
struct Machine {
    root: Root,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { root: Root::new() };
        machine.store(Role::Migrate);
        let write = |path: &str, text: &str| machine.root.write(path, text);
        write(
            "/proc/sys/kernel/random/boot_id",
            "8a6f0c1e-0000-4000-8000-000000000001\n",
        );
        write("/proc/sys/kernel/hostname", "mill\n");
        write("/proc/loadavg", "0.50 0.40 0.30 1/200 4242\n");
        write("/proc/sys/fs/file-nr", "1000\t0\t100000\n");
        write("/proc/net/dev", NET_DEV);
        write(
            "/proc/diskstats",
            "   8       0 sda 100 0 2048 10 200 0 4096 20 0 500 30\n",
        );
        write("/proc/1/mountinfo", "");
        write("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
        machine.root.clock(NOON);
        machine.uptime(1000);
        machine.cpu(100_000, 900_000);
        machine.memory(50);
        machine
    }

    fn store(&self, role: Role) -> Store {
        let paths = Paths::under(self.root.path());
        Store::open(
            &Location::new(&paths, "/var/lib/roundsman/roundsman.db"),
            role,
        )
        .unwrap()
    }

    fn uptime(&self, seconds: u64) {
        self.root
            .write("/proc/uptime", format!("{seconds}.00 {seconds}.00\n"));
    }

    fn cpu(&self, busy: u64, idle: u64) {
        let line = |name: &str| format!("{name} {busy} 0 0 {idle} 0 0 0 0 0 0\n");
        let stat = [line("cpu "), line("cpu0"), "btime 1795190000\n".into()].concat();
        self.root.write("/proc/stat", stat);
    }

    fn memory(&self, available_percent: u64) {
        let available = 10_000 * available_percent;
        let total = "MemTotal: 1000000 kB\nMemFree: 1 kB\n";
        let swap = "SwapTotal: 0 kB\nSwapFree: 0 kB\n";
        self.root.write(
            "/proc/meminfo",
            format!("{total}MemAvailable: {available} kB\n{swap}"),
        );
    }

    fn run(&self) -> Output {
        self.root.agent("hostmetrics").run()
    }

    fn newest(&self, kind: &str) -> Option<Value> {
        let mut store = self.store(Role::Reader);
        let found = store.read(|tx| sample::latest(tx, "mill", kind)).unwrap();
        found.map(|sample| sample.payload.into())
    }

    fn events(&self) -> Vec<Event> {
        self.store(Role::Reader)
            .read(|tx| event::last(tx, &Filter::default(), 100))
            .unwrap()
    }
}

const NOON: i64 = 1_795_176_000_000;

const NET_DEV: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    1000      10    0    0    0     0          0         0     1000      10    0    0    0     0       0          0
  eth0: 5000000    4000    1    0    0     0          0         0  3000000    3000    0    0    0     0       0          0
";

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

    machine
        .root
        .write("/proc/sys/kernel/random/boot_id", "another boot\n");
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
        .unwrap();
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
