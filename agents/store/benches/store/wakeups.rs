//! How soon a reader in another process has read an event, and what waiting costs it.

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{EventId, Filter};
use roundsman_store::sample::{self, Sample};
use roundsman_store::{Doorbell, ReadTx, Result, Role, Store, event};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::{ClockId, clock_gettime};

use crate::{PROCESSES, Stage, event, location, millis, open, percentile};

/// Rows of one case, at random 5 to 25 ms from one another.
const ROWS: usize = 300;

/// How long a reader has nothing to do while its idle cost is taken.
const IDLE: Duration = Duration::from_secs(3);

pub fn compare() {
    println!("\n### From before BEGIN in one process to the row read in another\n");
    println!("One writer, {ROWS} rows. Peer: polling `PRAGMA data_version` every 1 and 50 ms.\n");
    println!(
        "| sync | readers | how | commit p50 ms | p50 ms | p99 ms | longest ms \
         | idle CPU of one | idle wake-ups/s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for synchronous in ["normal", "full"] {
        for readers in PROCESSES {
            for how in ["poll-50", "poll-1", "doorbell"] {
                measure(synchronous, readers, how);
            }
        }
    }
}

fn measure(synchronous: &str, readers: usize, how: &str) {
    let stage = Stage::new();
    let mut watchers: Vec<Child> = (0..readers)
        .map(|_| stage.start(&format!("watch {how}")))
        .collect();
    let mut outputs: Vec<_> = watchers
        .iter_mut()
        .map(|child| std::io::BufReader::new(child.stdout.take().unwrap()).lines())
        .collect();
    // Each says its idle cost when it is ready.
    let idle: Vec<(f64, f64)> = outputs
        .iter_mut()
        .map(|lines| pair(&lines.next().unwrap().unwrap()))
        .collect();
    let publisher = stage.start(&format!("publish {synchronous}"));
    let output = publisher.wait_with_output().unwrap();
    assert!(output.status.success());
    let commit: u64 = String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let mut all: Vec<Duration> = outputs
        .into_iter()
        .flatten()
        .map(|line| Duration::from_nanos(line.unwrap().parse().unwrap()))
        .collect();
    for watcher in &mut watchers {
        assert!(watcher.wait().unwrap().success());
    }
    assert_eq!(all.len(), readers * ROWS);
    all.sort();
    let (cpu, wakeups) = idle[0];
    println!(
        "| {synchronous} | {readers} | {how} | {} | {} | {} | {} | {cpu:.3} % | {wakeups:.0} |",
        millis(Duration::from_nanos(commit)),
        millis(percentile(&all, 0.5)),
        millis(percentile(&all, 0.99)),
        millis(percentile(&all, 1.0)),
    );
}

fn pair(line: &str) -> (f64, f64) {
    let (cpu, wakeups) = line.split_once(' ').unwrap();
    (cpu.parse().unwrap(), wakeups.parse().unwrap())
}

/// The child that writes: an event (synced), or a sample for which it rings. It ends with how
/// long the commit itself took, so that the rest is the waking and the reading.
pub fn publish(root: &Path, synchronous: &str) {
    let mut store = open(root, Role::Agent);
    let mut commits = Vec::new();
    for _ in 0..ROWS {
        std::thread::sleep(Duration::from_micros(fastrand::u64(5_000..25_000)));
        let stamp = now();
        match synchronous {
            "full" => {
                let stamped = event().datum("stamp", stamp);
                store.publish(|tx| event::insert(tx, &stamped)).unwrap();
            }
            _ => {
                let stamped = sample_at(stamp);
                let written = store.write(|tx| {
                    tx.ring();
                    sample::insert(tx, &stamped)
                });
                assert!(written.unwrap());
            }
        }
        commits.push(now() - stamp);
    }
    commits.sort_unstable();
    println!("{}", commits[ROWS / 2]);
}

fn sample_at(stamp: i64) -> Sample {
    Sample {
        at: Timestamp(stamp),
        host: "bench".into(),
        os: "bench".into(),
        kind: "bench".into(),
        payload: serde_json::Map::new(),
    }
}

/// The child that reads: by the bell, or by polling at a period in milliseconds.
pub fn watch(root: &Path, how: &str) {
    let mut store = open(root, Role::Reader);
    let mut wait: Box<dyn FnMut(&mut Store)> = match how.strip_prefix("poll-") {
        Some(period) => {
            let period = Duration::from_millis(period.parse().unwrap());
            Box::new(move |store| {
                while !store.changed().unwrap() {
                    std::thread::sleep(period);
                }
            })
        }
        None => {
            let mut doorbell = Doorbell::open(&location(root)).unwrap();
            Box::new(move |_| {
                poll(&mut [PollFd::new(&doorbell, PollFlags::IN)], None).unwrap();
                doorbell.drain().unwrap();
            })
        }
    };
    std::thread::spawn(report_idle_cost);
    let (mut position, mut seen) = ((EventId(0), Timestamp(0)), Vec::new());
    while seen.len() < ROWS {
        wait(&mut store);
        let stamps = store.read(|tx| after(tx, &mut position)).unwrap();
        let read = now();
        seen.extend(stamps.into_iter().map(|stamp| read - stamp));
    }
    for nanos in seen {
        println!("{nanos}");
    }
}

/// The stamps of the rows that came after the position.
fn after(tx: &ReadTx<'_>, position: &mut (EventId, Timestamp)) -> Result<Vec<i64>> {
    let mut stamps = Vec::new();
    for event in event::after(tx, &Filter::default(), position.0, 100)?
        .rows
        .found
    {
        stamps.extend(event.data["stamp"].as_i64());
        position.0 = event.id;
    }
    let (from, to) = (
        position.1.plus(Duration::from_millis(1)),
        Timestamp(i64::MAX),
    );
    for sample in sample::range(tx, "bench", "bench", from, to, 100)?
        .rows
        .found
    {
        stamps.push(sample.at.as_millis());
        position.1 = sample.at;
    }
    Ok(stamps)
}

/// From a second thread, so that the first one waits as it always does.
fn report_idle_cost() {
    let main = |file: &str| {
        let pid = std::process::id();
        std::fs::read_to_string(format!("/proc/self/task/{pid}/{file}")).unwrap()
    };
    let cost = || {
        // schedstat: nanoseconds on a CPU, nanoseconds in the queue, slices.
        let schedstat = main("schedstat");
        let cpu: f64 = schedstat.split(' ').next().unwrap().parse().unwrap();
        let status = main("status");
        let switches = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        (cpu, switches.unwrap().trim().parse::<f64>().unwrap())
    };
    std::thread::sleep(Duration::from_millis(200));
    let before = cost();
    std::thread::sleep(IDLE);
    let after = cost();
    let cpu = (after.0 - before.0) / IDLE.as_nanos() as f64 * 100.0;
    println!("{cpu} {}", (after.1 - before.1) / IDLE.as_secs_f64());
    std::io::stdout().flush().unwrap();
}

fn now() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
