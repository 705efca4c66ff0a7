//! The exporter and node_exporter side by side, in one run: CPU per scrape, latency, memory.
//!
//! `cargo bench -p roundsman-exporter --bench scrape -- [--scrapes N] [--rounds N] [--gzip] [--no-units]`
//!
//! Each round scrapes both in turn over one kept connection each, so that what else the machine
//! does meets both alike. Where systemd runs, both show its units unless told otherwise; elsewhere
//! neither does. `make bench` runs it on a booted host, where `ROUNDSMAN_BIN_DIR` names the
//! directory of the program.

#![allow(clippy::unwrap_used)] // a failed measurement is no measurement

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where node_exporter is: Debian's package, or the root tree of the test machines.
const NODE_EXPORTERS: [&str; 2] = [
    "/usr/bin/prometheus-node-exporter",
    "/opt/peers/bin/prometheus-node-exporter",
];
const PATIENCE: Duration = Duration::from_secs(30);

struct Options {
    scrapes: usize,
    rounds: usize,
    gzip: bool,
    units: bool,
}

impl Options {
    fn parse() -> Self {
        let mut options = Self {
            scrapes: 300,
            rounds: 5,
            gzip: false,
            units: Path::new("/run/systemd/system").exists(),
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut number = || args.next().unwrap().parse().unwrap();
            match arg.as_str() {
                "--scrapes" => options.scrapes = number(),
                "--rounds" => options.rounds = number(),
                "--gzip" => options.gzip = true,
                "--no-units" => options.units = false,
                // Cargo says so to every benchmark.
                "--bench" => {}
                other => panic!("unknown option {other}"),
            }
        }
        options
    }
}

/// A server under measurement.
struct Subject {
    name: String,
    child: Child,
    client: BufReader<TcpStream>,
    rounds: Vec<Round>,
    page: Vec<u8>,
}

/// One round's figures of one server.
struct Round {
    cpu: Duration,
    latencies: Vec<Duration>,
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Subject {
    fn start(name: String, mut command: Command, port: u16) -> Self {
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let client = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(client) => break client,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{name}: {error}"),
            }
            std::thread::yield_now();
        };
        client.set_nodelay(true).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut subject = Self {
            name,
            child,
            client: BufReader::new(client),
            rounds: Vec::new(),
            page: Vec::new(),
        };
        // What is opened once, and the heap's first growth, are not a scrape's cost.
        for _ in 0..20 {
            subject.scrape(false);
        }
        subject
    }

    fn scrape(&mut self, gzip: bool) -> Duration {
        let coding = if gzip { "gzip" } else { "identity" };
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: {coding}\r\n\
             Accept: text/plain;version=0.0.4\r\n\r\n"
        );
        let begun = Instant::now();
        self.client.get_mut().write_all(request.as_bytes()).unwrap();
        self.page.clear();
        let mut length = None;
        let mut chunked = false;
        loop {
            let mut line = String::new();
            self.client.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = Some(value.parse::<usize>().unwrap());
            }
            chunked |= line == "transfer-encoding: chunked";
            if line.is_empty() {
                break;
            }
        }
        match length {
            Some(length) => {
                self.page.resize(length, 0);
                self.client.read_exact(&mut self.page).unwrap();
            }
            None => {
                assert!(chunked);
                while self.chunk() {}
            }
        }
        begun.elapsed()
    }

    /// Reads one chunk; false at the last.
    fn chunk(&mut self) -> bool {
        let mut line = String::new();
        self.client.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim_end(), 16).unwrap();
        let start = self.page.len();
        self.page.resize(start + length + 2, 0);
        self.client.read_exact(&mut self.page[start..]).unwrap();
        self.page.truncate(start + length);
        length > 0
    }

    fn round(&mut self, options: &Options) {
        let before = self.cpu();
        let latencies = (0..options.scrapes)
            .map(|_| self.scrape(options.gzip))
            .collect();
        self.rounds.push(Round {
            cpu: self.cpu().saturating_sub(before),
            latencies,
        });
    }

    /// What all threads have run, in nanoseconds of the scheduler.
    fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let ran = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(ran.sum())
    }

    /// Resident and proportional memory, in KiB.
    fn memory(&self) -> (u64, u64) {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id())).unwrap();
        let field = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_ascii_whitespace()
                .nth(1)
                .unwrap()
                .parse()
                .unwrap()
        };
        (field("Rss:"), field("Pss:"))
    }

    fn figures(&mut self, options: &Options) -> Figures {
        let per_scrape = |round: &Round| round.cpu / u32::try_from(options.scrapes.max(1)).unwrap();
        let mut cpu: Vec<Duration> = self.rounds.iter().map(per_scrape).collect();
        cpu.sort_unstable();
        let mut latencies: Vec<Duration> = self
            .rounds
            .drain(..)
            .flat_map(|round| round.latencies)
            .collect();
        latencies.sort_unstable();
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
        let (rss, pss) = self.memory();
        self.scrape(false);
        let text = String::from_utf8_lossy(&self.page);
        Figures {
            cpu: cpu[cpu.len() / 2],
            cpu_range: (cpu[0], cpu[cpu.len() - 1]),
            p50: at(0.5),
            p99: at(0.99),
            rss,
            pss,
            families: text
                .lines()
                .filter(|line| line.starts_with("# TYPE "))
                .count(),
            samples: text.lines().filter(|line| !line.starts_with('#')).count(),
            bytes: text.len(),
        }
    }
}

struct Figures {
    cpu: Duration,
    cpu_range: (Duration, Duration),
    p50: Duration,
    p99: Duration,
    rss: u64,
    pss: u64,
    families: usize,
    samples: usize,
    bytes: usize,
}

fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text.lines().next().unwrap_or_default();
    line.split(" (").next().unwrap_or_default().to_owned()
}

/// Our exporter in a tree whose `/proc`, `/sys` and bus are the machine's.
fn ours(tree: &Path, units: bool) -> Subject {
    let built = Path::new(env!("CARGO_BIN_EXE_roundsman-exporter"));
    let program = match std::env::var_os("ROUNDSMAN_BIN_DIR") {
        Some(directory) => Path::new(&directory).join("roundsman-exporter"),
        None => built.to_owned(),
    };
    for dir in [
        "run/roundsman/metrics",
        "run/dbus",
        "var/lib/roundsman",
        "etc/roundsman",
    ] {
        fs::create_dir_all(tree.join(dir)).unwrap();
    }
    for link in ["proc", "sys", "run/dbus/system_bus_socket"] {
        std::os::unix::fs::symlink(Path::new("/").join(link), tree.join(link)).unwrap();
    }
    let paths = roundsman_kit::Paths::under(tree);
    let location = roundsman_store::Location::new(&paths, "/var/lib/roundsman/roundsman.db");
    drop(roundsman_store::Store::open(&location, roundsman_store::Role::Migrate).unwrap());
    let port = free_port();
    let config = format!("listen = ['127.0.0.1:{port}']\n[units]\nenabled = {units}\n");
    fs::write(tree.join("etc/roundsman/exporter.toml"), config).unwrap();
    let mut command = Command::new(&program);
    command.env("ROUNDSMAN_ROOT", tree);
    Subject::start(version(&program), command, port)
}

fn theirs(program: &Path, units: bool) -> Subject {
    let port = free_port();
    let mut command = Command::new(program);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    if units {
        command.arg("--collector.systemd");
        command.arg("--collector.systemd.enable-restarts-metrics");
        command.arg("--collector.systemd.enable-start-time-metrics");
    } else {
        // Debian's has it on by default.
        command.arg("--no-collector.systemd");
    }
    Subject::start(version(program), command, port)
}

fn main() {
    let options = Options::parse();
    let known = NODE_EXPORTERS.map(Path::new);
    let Some(node_exporter) = known.into_iter().find(|path| path.exists()) else {
        println!("skipped: none of {} is there", NODE_EXPORTERS.join(", "));
        return;
    };
    let tree = tempfile::tempdir().unwrap();
    let mut subjects = [
        ours(tree.path(), options.units),
        theirs(node_exporter, options.units),
    ];
    for _ in 0..options.rounds {
        subjects
            .iter_mut()
            .for_each(|subject| subject.round(&options));
    }
    let figures: Vec<Figures> = subjects
        .iter_mut()
        .map(|subject| subject.figures(&options))
        .collect();
    print(
        &options,
        [&subjects[0].name, &subjects[1].name],
        [&figures[0], &figures[1]],
    );
}

fn print(options: &Options, names: [&str; 2], figures: [&Figures; 2]) {
    let micros = |span: Duration| span.as_secs_f64() * 1e6;
    let coding = if options.gzip { "gzip" } else { "plain text" };
    let units = if options.units { "with" } else { "without" };
    println!(
        "{} rounds of {} scrapes, keep-alive, {coding}, {units} the units of systemd\n",
        options.rounds, options.scrapes
    );
    println!("| | {} | {} | ratio |", names[0], names[1]);
    println!("| --- | ---: | ---: | ---: |");
    let [ours, theirs] = figures;
    let row = |what: &str, ours: f64, theirs: f64, unit: &str| {
        println!(
            "| {what} | {ours:.0} {unit} | {theirs:.0} {unit} | 1 : {:.1} |",
            theirs / ours
        );
    };
    row(
        "CPU per scrape, median of rounds",
        micros(ours.cpu),
        micros(theirs.cpu),
        "µs",
    );
    row(
        "CPU per scrape, best round",
        micros(ours.cpu_range.0),
        micros(theirs.cpu_range.0),
        "µs",
    );
    row(
        "CPU per scrape, worst round",
        micros(ours.cpu_range.1),
        micros(theirs.cpu_range.1),
        "µs",
    );
    row("latency p50", micros(ours.p50), micros(theirs.p50), "µs");
    row("latency p99", micros(ours.p99), micros(theirs.p99), "µs");
    row("RSS", ours.rss as f64, theirs.rss as f64, "KiB");
    row("PSS", ours.pss as f64, theirs.pss as f64, "KiB");
    let count =
        |what: &str, ours: usize, theirs: usize| println!("| {what} | {ours} | {theirs} | |");
    count("families", ours.families, theirs.families);
    count("samples", ours.samples, theirs.samples);
    count("bytes", ours.bytes, theirs.bytes);
}
