//! What others notice of the janitor.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{self, NewEvent};
use roundsman_store::{Role, Store};

use crate::house::{DAY, House, NOON};

/// The 99th percentile of single commits, until `stop`.
fn commits(store: &mut Store, stop: &AtomicBool) -> Duration {
    let mut took = Vec::new();
    while !stop.load(Ordering::Relaxed) || took.len() < 200 {
        let started = Instant::now();
        let event = NewEvent::occurred(Timestamp(NOON), "writer", "load.event");
        store.publish(|tx| event::insert(tx, &event)).unwrap();
        took.push(started.elapsed());
        thread::sleep(Duration::from_millis(2));
    }
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

#[test]
fn writers_hardly_notice_it() {
    let house = House::new();
    house.events("sync.done", (0..60_000).map(|n| NOON - 40 * DAY + n));
    let mut writer = house.open(Role::Agent);
    let stop = AtomicBool::new(true);
    let alone = commits(&mut writer, &stop);
    stop.store(false, Ordering::Relaxed);
    let beside = thread::scope(|scope| {
        let writing = scope.spawn(|| commits(&mut writer, &stop));
        house.run(NOON);
        stop.store(true, Ordering::Relaxed);
        writing.join().unwrap()
    });
    assert_eq!(house.count(), 0);
    println!("p99 alone {alone:?}, beside the janitor {beside:?}");
    let limit = alone + Duration::from_millis(50);
    assert!(
        beside <= limit,
        "alone {alone:?}, beside the janitor {beside:?}"
    );
}
