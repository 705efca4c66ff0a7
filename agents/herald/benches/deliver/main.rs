//! Herald beside a plain loop of the same client, on the same machine in the same run: a backlog of
//! 20,000, what an event takes from its commit to its receiver, and what waiting costs.
//!
//! `cargo bench -p roundsman-herald --bench deliver`; prints Markdown.

#![allow(clippy::unwrap_used)] // a failed measurement is no measurement

mod receiver;
mod six;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use receiver::{Arrival, Receiver};
use roundsman_herald::client::{Client, Request, Settings};
use roundsman_herald::guard;
use roundsman_kit::Paths;
use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery;
use roundsman_store::event::{self, NewEvent};
use roundsman_store::{Location, Role, Store, cursor};

const BACKLOG: usize = 20_000;
const KEYS: usize = 200;
const CONCURRENCY: usize = 16;
const SINGLE: usize = 200;
const IDLE: Duration = Duration::from_secs(20);

struct Herald(Child);

impl Drop for Herald {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Herald {
    fn start(root: &Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_roundsman-herald"))
            .env("ROUNDSMAN_ROOT", root)
            .env("MALLOC_ARENA_MAX", "2")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Whether it has looked at every event for this trigger.
    fn has_read(&self, store: &mut Store, trigger: &str) -> bool {
        let stream = format!("reader:{trigger}");
        store
            .read(|tx| {
                let newest = event::newest_id(tx)?;
                let row = cursor::get(tx, "herald", &stream)?;
                Ok(row.is_some_and(|row| row.position == newest.0.to_string()))
            })
            .unwrap()
    }

    /// The largest its memory has been, in KiB.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let number = line.unwrap().split_ascii_whitespace().nth(1);
        number.unwrap().parse().unwrap()
    }

    /// What all threads have run, and how often they went to sleep.
    fn cost(&self) -> (Duration, u64) {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap();
        let (mut ran, mut slept) = (0, 0);
        for task in tasks {
            let task = task.unwrap().path();
            let schedstat = fs::read_to_string(task.join("schedstat")).unwrap();
            ran += schedstat.split(' ').next().unwrap().parse::<u64>().unwrap();
            let status = fs::read_to_string(task.join("status")).unwrap();
            let line = status.lines().find(|line| line.starts_with("voluntary_"));
            let number = line.unwrap().split_ascii_whitespace().nth(1);
            slept += number.unwrap().parse::<u64>().unwrap();
        }
        (Duration::from_nanos(ran), slept)
    }
}

fn event(number: usize) -> NewEvent {
    let now = Timestamp(1_795_197_600_000);
    NewEvent::occurred(now, "bench", "bench.seen")
        .subject(format!("/srv/{}", number % KEYS))
        .order_key(format!("key-{}", number % KEYS))
        .datum("number", number)
        .message("a sentence of the usual length that tells a person what was seen")
}

fn store(root: &Path) -> Store {
    let location = Location::new(&Paths::under(root), "/var/lib/roundsman/roundsman.db");
    drop(Store::open(&location, Role::Migrate).unwrap());
    Store::open(&location, Role::Agent).unwrap()
}

/// Nobody listens there, so that everything becomes a delivery and waits.
fn wait_for_a_backlog(root: &Path, store: &mut Store) {
    configure(root, 1);
    let herald = Herald::start(root);
    let waiting = |store: &mut Store| -> u64 {
        let counts = store.read(delivery::counts).unwrap();
        counts.iter().map(|count| count.total).sum()
    };
    while waiting(store) < BACKLOG as u64 {
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(herald);
}

fn configure(root: &Path, port: u16) {
    let directory = root.join("etc/roundsman");
    fs::create_dir_all(&directory).unwrap();
    let text = format!(
        "[triggers.all]\nendpoints = ['one']\nfrom = 'oldest'\n[endpoints.one]\n\
         url = 'http://127.0.0.1:{port}/'\nallow = ['127.0.0.1/32']\nconcurrency = {CONCURRENCY}\n"
    );
    fs::write(directory.join("herald.toml"), text).unwrap();
}

/// Deliveries per second from the first arrival to the last, and the bodies.
fn rate(arrivals: &[Arrival]) -> f64 {
    let first = arrivals.iter().map(|one| one.at).min().unwrap();
    let last = arrivals.iter().map(|one| one.at).max().unwrap();
    arrivals.len() as f64 / last.duration_since(first).as_secs_f64()
}

fn main() {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let receiver = Receiver::start();
    let mut store = store(root.path());
    for chunk in (0..BACKLOG).collect::<Vec<_>>().chunks(1000) {
        let insert = |tx: &roundsman_store::EventTx<'_>| {
            chunk
                .iter()
                .try_for_each(|n| event::insert(tx, &event(*n)).map(drop))
        };
        store.publish(insert).unwrap();
    }
    wait_for_a_backlog(root.path(), &mut store);
    configure(root.path(), receiver.port);
    let herald = Herald::start(root.path());
    let arrivals = receiver.take(BACKLOG);
    let herald_rate = rate(&arrivals);
    let (cpu, _) = herald.cost();
    let peak = herald.peak();
    let in_order = keys_are_in_order(&arrivals);
    let bodies = arrivals
        .into_iter()
        .map(|one| Bytes::from(one.body))
        .collect::<Vec<_>>();
    let copies = bodies.clone();
    let plain_rate = plain(&receiver, bodies, CONCURRENCY);
    let in_turn_rate = plain(&receiver, copies, 1);

    println!("### A backlog of {BACKLOG}, {KEYS} order keys, {CONCURRENCY} requests at once\n");
    println!("| | deliveries/s | herald to it |");
    println!("| --- | ---: | ---: |");
    println!("| herald | {herald_rate:.0} | |");
    for (what, rate) in [
        (
            format!("a plain loop of its client, {CONCURRENCY} at once"),
            plain_rate,
        ),
        ("the same, one at a time".to_owned(), in_turn_rate),
    ] {
        println!("| {what} | {rate:.0} | {:.2} |", herald_rate / rate);
    }
    println!(
        "\nCPU per delivery: {:.0} µs. Peak RSS: {peak} KiB. Order kept per key: {in_order}.",
        cpu.as_secs_f64() * 1e6 / BACKLOG as f64
    );

    one_by_one(&mut store, &receiver, root.path());
    idle(&herald);
    drop(herald);
    six::measure(root.path(), &mut store);
}

/// p50 and p99 in milliseconds, as two cells.
fn percentiles(mut all: Vec<Duration>) -> String {
    all.sort_unstable();
    let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    format!("{:.2} | {:.2}", at(0.5), at(0.99))
}

fn keys_are_in_order(arrivals: &[Arrival]) -> bool {
    let mut last = vec![None; KEYS];
    arrivals.iter().all(|one| {
        let body: serde_json::Value = serde_json::from_slice(&one.body).unwrap();
        let number = body["data"]["data"]["number"].as_u64().unwrap() as usize;
        let key = &mut last[number % KEYS];
        let is_next = key.is_none_or(|last| last < number);
        *key = Some(number);
        is_next
    })
}

/// The same requests by the same client and nothing else, as many at once.
fn plain(receiver: &Receiver, bodies: Vec<Bytes>, at_once: usize) -> f64 {
    let settings = Settings {
        guard: guard::Guard {
            allow: vec!["127.0.0.1/32".parse().unwrap()],
            public_only: false,
        },
        connect_timeout: Duration::from_secs(5),
        total_timeout: Duration::from_secs(15),
        tls: None,
        proxy: None,
        proxy_auth: None,
        max_idle: CONCURRENCY,
    };
    let uri: hyper::Uri = format!("http://127.0.0.1:{}/", receiver.port)
        .parse()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let client = Arc::new(Client::new(&settings).unwrap());
    let bodies = Arc::new(std::sync::Mutex::new(bodies));
    let tasks = async move {
        let workers: Vec<_> = (0..at_once)
            .map(|_| {
                let (client, bodies, uri) = (Arc::clone(&client), Arc::clone(&bodies), uri.clone());
                tokio::task::spawn_local(async move {
                    loop {
                        let next = bodies.lock().unwrap().pop();
                        let Some(body) = next else { return };
                        let headers = vec![("content-type".into(), "application/json".into())];
                        let uri = uri.clone();
                        client.send(Request { uri, headers, body }).await;
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
    };
    tokio::task::LocalSet::new().block_on(&runtime.unwrap(), tasks);
    rate(&receiver.take(BACKLOG))
}

fn one_by_one(store: &mut Store, receiver: &Receiver, root: &Path) {
    let mut spans = Vec::new();
    let mut syncs = Vec::new();
    let mut file = fs::File::create(root.join("sync")).unwrap();
    for number in 0..SINGLE {
        std::thread::sleep(Duration::from_millis(fastrand::u64(5..25)));
        let before = Instant::now();
        store
            .publish(|tx| event::insert(tx, &event(number)))
            .unwrap();
        let committed = Instant::now();
        let arrived = receiver.take(1)[0].at;
        spans.push((
            arrived.duration_since(before),
            arrived.saturating_duration_since(committed),
        ));
        let before = Instant::now();
        file.write_all(&[0; 4096]).unwrap();
        file.sync_data().unwrap();
        syncs.push(before.elapsed());
    }
    println!("\n### {SINGLE} events, one at a time\n");
    println!("| ms | p50 | p99 |");
    println!("| --- | ---: | ---: |");
    println!(
        "| from before the commit to the receiver | {} |",
        percentiles(spans.iter().map(|s| s.0).collect())
    );
    println!(
        "| from after the commit to the receiver | {} |",
        percentiles(spans.iter().map(|s| s.1).collect())
    );
    println!(
        "| a write of 4 KiB with fdatasync on that disk | {} |",
        percentiles(syncs)
    );
}

fn idle(herald: &Herald) {
    // The last outcome is recorded, and what runs each minute is not within the span.
    std::thread::sleep(Duration::from_secs(2));
    let before = herald.cost();
    std::thread::sleep(IDLE);
    let after = herald.cost();
    let share = (after.0 - before.0).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    let wakes = (after.1 - before.1) as f64 / IDLE.as_secs_f64();
    println!("\nIdle: {share:.4} % of a core, {wakes:.2} wake-ups/s.");
}
