//! kill -9 at random points: what was acknowledged is there, and no transaction is there by half.

use std::path::Path;
use std::sync::{Barrier, Mutex};

use roundsman_kit::clock::Timestamp;
use roundsman_store::cursor::Cursor;
use roundsman_store::sample::Sample;
use roundsman_store::{ReadTx, Result, Role, WriteTx, cursor, event, sample};

use crate::child::{Child, say};
use crate::{migrated, open};

const LANES: usize = 4;
const KILLS_PER_LANE: usize = 250;

/// Every so many kills all lanes kill at once, so that the next ones find a WAL without users.
const ALL_AT_ONCE: usize = 25;

/// The child: transactions of two or three rows, each acknowledged when its commit has returned.
pub fn write_for_ever(root: &Path, tag: &str) {
    let mut store = open(root, Role::Agent);
    for number in 1.. {
        if number % 2 == 0 {
            store.write(|tx| rows(tx, tag, number)).unwrap();
        } else {
            let seen = crate::event(tag).identity(format!("{tag}/{number}"));
            store
                .publish(|tx| {
                    rows(tx, tag, number)?;
                    event::insert(tx, &seen)
                })
                .unwrap();
        }
        say(number);
    }
}

fn rows(tx: &WriteTx<'_>, tag: &str, number: i64) -> Result<()> {
    let sample = Sample {
        at: Timestamp(number),
        host: tag.into(),
        os: "test".into(),
        kind: "kill".into(),
        payload: serde_json::Map::from_iter([("filler".into(), "x".repeat(600).into())]),
    };
    assert!(sample::insert(tx, &sample)?);
    let position = Cursor {
        agent: tag.into(),
        stream: "kill".into(),
        position: number.to_string(),
        updated_at: Timestamp(number),
    };
    cursor::set(tx, &position)
}

/// One child from start to kill; returns the last number that it acknowledged.
fn run_one(root: &Path, tag: &str, barrier: Option<&Barrier>) -> i64 {
    let mut child = Child::start(&format!("kill {tag}"), root);
    let mut acknowledged = 0;
    for _ in 0..fastrand::u32(1..12) {
        let line = child.line().expect("a writer ends only when it is killed");
        acknowledged = line.parse().unwrap();
    }
    // Somewhere within the next transactions, each of which takes 0.1 ms and more.
    for _ in 0..fastrand::u32(0..200_000) {
        std::hint::spin_loop();
    }
    if let Some(barrier) = barrier {
        barrier.wait();
    }
    child.kill();
    while let Some(line) = child.line() {
        acknowledged = line.parse().unwrap();
    }
    child.wait();
    acknowledged
}

fn verify(tx: &ReadTx<'_>, tag: &str, acknowledged: i64) -> Result<()> {
    let (from, to) = (Timestamp(0), Timestamp(i64::MAX));
    let samples = sample::range(tx, tag, "kill", from, to, u32::MAX)?
        .rows
        .whole()?;
    let numbers: Vec<i64> = samples.iter().map(|sample| sample.at.as_millis()).collect();
    let last = i64::try_from(numbers.len()).unwrap();
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "{tag}: a gap");
    assert!(
        (acknowledged..=acknowledged + 1).contains(&last),
        "{tag}: acknowledged {acknowledged}, found {last}"
    );
    let position = cursor::get(tx, tag, "kill")?.map(|cursor| cursor.position);
    assert_eq!(
        position,
        Some(last.to_string()),
        "{tag}: half a transaction"
    );
    Ok(())
}

#[test]
fn a_thousand_kills_lose_nothing_that_was_committed() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let (root, mut store) = migrated();
    let root = root.path();
    let together = Barrier::new(LANES);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            let (together, results) = (&together, &results);
            scope.spawn(move || {
                fastrand::seed(seed + lane as u64);
                for kill in 0..KILLS_PER_LANE {
                    let tag = format!("{lane}.{kill}");
                    let all = kill % ALL_AT_ONCE == 0;
                    let acknowledged = run_one(root, &tag, all.then_some(together));
                    if all && together.wait().is_leader() {
                        // Every writer is dead now.
                        assert_eq!(open(root, Role::Agent).check().unwrap(), [""; 0]);
                    }
                    results.lock().unwrap().push((tag, acknowledged));
                }
            });
        }
    });
    let results = results.into_inner().unwrap();
    assert_eq!(results.len(), LANES * KILLS_PER_LANE);
    let events: i64 = store
        .read(|tx| {
            for (tag, acknowledged) in &results {
                verify(tx, tag, *acknowledged)?;
            }
            let counts = roundsman_store::event_count::list(tx)?.whole()?;
            let published = counts.iter().map(|count| count.total as i64).sum();
            let rows = event::last(tx, &event::Filter::default(), u32::MAX)?;
            assert_eq!(
                rows.len() as i64,
                published,
                "the rollup differs from its table"
            );
            Ok(published)
        })
        .unwrap();
    // Numbers 1, 3, 5, … of each writer are events; the last transaction is not acknowledged.
    let low: i64 = results.iter().map(|(_, last)| (last + 1) / 2).sum();
    assert!(
        (low..=low + 1000).contains(&events),
        "{events} events for {low} acknowledged"
    );
    assert_eq!(store.check().unwrap(), [""; 0]);
    println!("{} kills, {events} events", results.len());
}
