//! A host made of files, which a test can turn minute by minute.

use roundsman_kit::Paths;
use roundsman_store::event::{Event, Filter, State};
use roundsman_store::{Location, Role, Store, cycle, event, sample};
use roundsman_tests::{Output, Root};
use serde_json::Value;

/// A small host whose figures a test can turn.
pub struct Machine {
    /// Its tree.
    pub root: Root,
}

impl Machine {
    pub fn new() -> Self {
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

    pub fn store(&self, role: Role) -> Store {
        let paths = Paths::under(self.root.path());
        Store::open(
            &Location::new(&paths, "/var/lib/roundsman/roundsman.db"),
            role,
        )
        .unwrap()
    }

    pub fn uptime(&self, seconds: u64) {
        self.root
            .write("/proc/uptime", format!("{seconds}.00 {seconds}.00\n"));
    }

    pub fn cpu(&self, busy: u64, idle: u64) {
        let line = |name: &str| format!("{name} {busy} 0 0 {idle} 0 0 0 0 0 0\n");
        let stat = [line("cpu "), line("cpu0"), STAT.into()].concat();
        self.root.write("/proc/stat", stat);
    }

    pub fn memory(&self, available_percent: u64) {
        let available = 10_000 * available_percent;
        let total = "MemTotal: 1000000 kB\nMemFree: 1 kB\n";
        let swap = "SwapTotal: 0 kB\nSwapFree: 0 kB\n";
        self.root.write(
            "/proc/meminfo",
            format!("{total}MemAvailable: {available} kB\n{swap}"),
        );
    }

    pub fn run(&self) -> Output {
        self.root.agent("hostmetrics").run()
    }

    /// A run `minutes` after noon, with clock and uptime set so.
    pub fn minute(&self, minutes: u32) -> Output {
        self.root.clock(NOON + i64::from(minutes) * 60_000);
        self.uptime(1000 + u64::from(minutes) * 60);
        self.run().expect_code(0)
    }

    /// The mounts of PID 1, all of a kind that lies on a disk.
    pub fn mounts(&self, points: &[&str]) {
        let line = |(number, point): (usize, &&str)| {
            format!(
                "{} 1 8:{number} / {point} rw - ext4 /dev/sda{number} rw\n",
                number + 20
            )
        };
        let lines: String = points.iter().enumerate().map(line).collect();
        self.root.write("/proc/1/mountinfo", lines);
    }

    /// The temperatures of the chip `nct`, in the order of its sensors; `None` gives no figure.
    pub fn sensors(&self, chip: &str, sensors: &[(&str, Option<u32>)]) {
        let chip = format!("/sys/class/hwmon/{chip}");
        self.root.write(format!("{chip}/name"), "nct\n");
        for (number, (label, celsius)) in sensors.iter().enumerate() {
            let sensor = format!("{chip}/temp{}", number + 1);
            self.root
                .write(format!("{sensor}_label"), format!("{label}\n"));
            let figure = celsius.map(|celsius| format!("{celsius}000\n"));
            self.root
                .write(format!("{sensor}_input"), figure.unwrap_or_default());
        }
    }

    /// State, kind and subject of every event, oldest first.
    pub fn told(&self) -> Vec<(State, String, String)> {
        let told = |event: Event| (event.state, event.kind, event.subject.unwrap_or_default());
        self.events().into_iter().map(told).collect()
    }

    /// The cycle of the last run.
    pub fn cycle(&self) -> cycle::Cycle {
        let cycles = self.store(Role::Reader).read(cycle::list).unwrap();
        cycles.into_iter().next().unwrap()
    }

    pub fn textfile(&self) -> String {
        self.root.read("/run/roundsman/metrics/hostmetrics.prom")
    }

    pub fn newest(&self, kind: &str) -> Option<Value> {
        let mut store = self.store(Role::Reader);
        let found = store.read(|tx| sample::latest(tx, "mill", kind)).unwrap();
        found.map(|sample| sample.payload.into())
    }

    pub fn events(&self) -> Vec<Event> {
        self.store(Role::Reader)
            .read(|tx| event::last(tx, &Filter::default(), 100))
            .unwrap()
    }
}

pub const NOON: i64 = 1_795_176_000_000;

const STAT: &str =
    "intr 5\nctxt 6\nbtime 1795190000\nprocesses 7\nprocs_running 1\nprocs_blocked 0\n";

pub const NET_DEV: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    1000      10    0    0    0     0          0         0     1000      10    0    0    0     0       0          0
  eth0: 5000000    4000    1    0    0     0          0         0  3000000    3000    0    0    0     0       0          0
";
