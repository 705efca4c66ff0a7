//! Single-row commits per second, and how long the unluckiest waits.

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use roundsman_kit::clock::Timestamp;
use roundsman_store::sample::{self, Sample};
use roundsman_store::{Role, event};
use rusqlite::{Connection, TransactionBehavior};

use crate::{PROCESSES, Stage, event, location, millis, open, percentile};

/// How long each case runs.
const SPAN: Duration = Duration::from_secs(3);

/// What one process did: its own figures, then every duration in nanoseconds, as text.
struct Report {
    done: Vec<Duration>,
    refused: u64,
}

pub fn compare() {
    println!("\n### Single-row commits\n");
    println!("Peer: rusqlite as it comes (`busy_timeout` 5 s), the same row, `BEGIN IMMEDIATE`.\n");
    println!(
        "| sync | processes | who | commits/s | p50 ms | p99 ms | longest ms | slowest/fastest | refused |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for synchronous in ["normal", "full"] {
        for processes in PROCESSES {
            for who in ["peer", "store"] {
                measure(synchronous, processes, who);
            }
        }
    }
}

fn measure(synchronous: &str, processes: usize, who: &str) {
    let stage = Stage::new();
    let job = format!("commit {who} {synchronous}");
    let mut children: Vec<_> = (0..processes).map(|_| stage.start(&job)).collect();
    // All are open before any begins.
    for child in &mut children {
        let mut ready = [0];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut ready)
            .unwrap();
    }
    for child in &mut children {
        drop(child.stdin.take());
    }
    let reports: Vec<Report> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            parse(&String::from_utf8(output.stdout).unwrap())
        })
        .collect();
    let counts = reports.iter().map(|report| report.done.len());
    let fairness = counts.clone().min().unwrap() as f64 / counts.clone().max().unwrap() as f64;
    let per_second = counts.sum::<usize>() as f64 / SPAN.as_secs_f64();
    let refused: u64 = reports.iter().map(|report| report.refused).sum();
    let mut all: Vec<Duration> = reports.into_iter().flat_map(|report| report.done).collect();
    all.sort();
    println!(
        "| {synchronous} | {processes} | {who} | {per_second:.0} | {} | {} | {} | {fairness:.2} | {refused} |",
        millis(percentile(&all, 0.5)),
        millis(percentile(&all, 0.99)),
        millis(percentile(&all, 1.0)),
    );
}

fn parse(text: &str) -> Report {
    let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap());
    let refused = numbers.next().unwrap();
    Report {
        refused,
        done: numbers.map(Duration::from_nanos).collect(),
    }
}

/// The child.
pub fn commit_for_a_while(root: &Path, who: &str, synchronous: &str) {
    let mut commit: Box<dyn FnMut(i64) -> bool> = match (who, synchronous) {
        ("store", "normal") => {
            let mut store = open(root, Role::Agent);
            Box::new(move |number| store.write(|tx| sample::insert(tx, &row(number))).is_ok())
        }
        ("store", _) => {
            let mut store = open(root, Role::Agent);
            Box::new(move |_| store.publish(|tx| event::insert(tx, &event())).is_ok())
        }
        (_, synchronous) => peer(root, synchronous),
    };
    print!(".");
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let (mut refused, mut done) = (0, Vec::new());
    let end = Instant::now() + SPAN;
    for number in 0.. {
        let before = Instant::now();
        if before >= end {
            break;
        }
        match commit(number) {
            true => done.push(before.elapsed()),
            false => refused += 1,
        }
    }
    let nanos: Vec<String> = done
        .iter()
        .map(|span| span.as_nanos().to_string())
        .collect();
    println!("{refused} {}", nanos.join(" "));
}

fn row(number: i64) -> Sample {
    let figures = [("usage", 12.5), ("package_temp", 48.0), ("number", 1e6)];
    Sample {
        at: Timestamp(number),
        host: std::process::id().to_string(),
        os: "bench".into(),
        kind: "cpu".into(),
        payload: figures
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect(),
    }
}

fn peer(root: &Path, synchronous: &str) -> Box<dyn FnMut(i64) -> bool> {
    const SAMPLE: &str =
        "INSERT INTO sample (at, host, os, kind, payload) VALUES (?1, ?2, ?3, ?4, ?5)";
    const EVENT: &str = "INSERT INTO event (uid, at, agent, kind, state, severity, subject, labels, data, message)
        VALUES (lower(hex(randomblob(16))), ?1, 'bench', 'bench.seen', 'occurred', 6, ?2, '{}', '{}', ?3)";
    let mut connection = Connection::open(location(root).db()).unwrap();
    connection
        .pragma_update(None, "synchronous", synchronous)
        .unwrap();
    let full = synchronous == "full";
    Box::new(move |number| {
        let mut insert = || {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if full {
                let message = "a sentence of the usual length that tells a person what was seen";
                tx.prepare_cached(EVENT)?.execute((
                    1_795_197_600_000_i64,
                    "/var/lib/somewhere",
                    message,
                ))?;
            } else {
                let row = row(number);
                let payload = serde_json::Value::Object(row.payload).to_string();
                tx.prepare_cached(SAMPLE)?
                    .execute((number, row.host, row.os, row.kind, payload))?;
            }
            tx.commit()
        };
        insert().is_ok()
    })
}
