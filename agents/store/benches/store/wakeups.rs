//! How soon a reader in another process has read an event, and what waiting costs it.

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use roundsman_store::event::{EventId, Filter};
use roundsman_store::{Doorbell, Role, Store, event};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::{ClockId, clock_gettime};

use crate::{PROCESSES, Stage, event, location, millis, open, percentile};

/// Events of one case, at random 5 to 25 ms from one another.
const EVENTS: usize = 300;

/// How long a reader has nothing to do while its idle cost is taken.
const IDLE: Duration = Duration::from_secs(3);

pub fn compare() {
    println!("\n### From before BEGIN in one process to the row read in another\n");
    println!("One writer (FULL), {EVENTS} events. Peer: polling `PRAGMA data_version`.\n");
    println!(
        "| readers | how | p50 ms | p99 ms | longest ms | idle CPU of one | idle wake-ups/s |"
    );
    println!("|---|---|---|---|---|---|---|");
    for readers in PROCESSES {
        for how in ["doorbell", "poll-1", "poll-50"] {
            measure(readers, how);
        }
    }
}

fn measure(readers: usize, how: &str) {
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
    let mut publisher = stage.start("publish");
    assert!(publisher.wait().unwrap().success());
    let mut all: Vec<Duration> = outputs
        .into_iter()
        .flatten()
        .map(|line| Duration::from_nanos(line.unwrap().parse().unwrap()))
        .collect();
    for watcher in &mut watchers {
        assert!(watcher.wait().unwrap().success());
    }
    assert_eq!(all.len(), readers * EVENTS);
    all.sort();
    let (cpu, wakeups) = idle[0];
    println!(
        "| {readers} | {how} | {} | {} | {} | {cpu:.3} % | {wakeups:.0} |",
        millis(percentile(&all, 0.5)),
        millis(percentile(&all, 0.99)),
        millis(percentile(&all, 1.0)),
    );
}

fn pair(line: &str) -> (f64, f64) {
    let (cpu, wakeups) = line.split_once(' ').unwrap();
    (cpu.parse().unwrap(), wakeups.parse().unwrap())
}

/// The child that writes.
pub fn publish(root: &Path) {
    let mut store = open(root, Role::Agent);
    for _ in 0..EVENTS {
        std::thread::sleep(Duration::from_micros(fastrand::u64(5_000..25_000)));
        let stamped = event().datum("stamp", now());
        store.publish(|tx| event::insert(tx, &stamped)).unwrap();
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
    let (mut last, mut seen) = (EventId(0), Vec::new());
    while seen.len() < EVENTS {
        wait(&mut store);
        let found = store
            .read(|tx| event::after(tx, &Filter::default(), last, 100))
            .unwrap();
        for event in &found {
            seen.push(now() - event.data["stamp"].as_i64().unwrap());
            last = event.id;
        }
    }
    for nanos in seen {
        println!("{nanos}");
    }
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
