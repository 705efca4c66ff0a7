//! An event in one process wakes another, and nothing else does.

use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{EventId, Filter};
use roundsman_store::{Doorbell, Role, cursor, event};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::child::{Child, say};
use crate::{event, location, migrated, open};

const EVENTS: u32 = 200;

/// The child: one event for each line that it is sent.
pub fn publish_on_demand(root: &Path) {
    let mut store = open(root, Role::Agent);
    say("ready");
    for line in std::io::stdin().lock().lines() {
        let seen = event(&line.unwrap());
        store.publish(|tx| event::insert(tx, &seen)).unwrap();
    }
}

/// Waits for the bell, twenty seconds at most.
fn wait(doorbell: &Doorbell) {
    let limit = Timespec {
        tv_sec: 20,
        tv_nsec: 0,
    };
    let ready = poll(&mut [PollFd::new(doorbell, PollFlags::IN)], Some(&limit)).unwrap();
    assert_eq!(ready, 1, "the bell did not ring");
}

#[test]
fn every_event_of_another_process_wakes_the_reader_and_is_there_to_be_read() {
    let (root, mut store) = migrated();
    let mut doorbell = Doorbell::open(&location(root.path())).unwrap();
    let mut child = Child::start("publish", root.path());
    assert_eq!(child.line().as_deref(), Some("ready"));

    let mut last = EventId(0);
    let mut latencies = Vec::new();
    for number in 0..EVENTS {
        let before = Instant::now();
        child.tell(&number.to_string());
        wait(&doorbell);
        assert!(doorbell.drain().unwrap());
        let found = store
            .read(|tx| event::after(tx, &Filter::default(), last, 10))
            .unwrap()
            .rows
            .found;
        latencies.push(before.elapsed());
        assert_eq!(
            found.len(),
            1,
            "the bell rang before the commit was visible"
        );
        assert_eq!(found[0].subject, Some(number.to_string()));
        last = found[0].id;
    }
    child.finish();
    assert!(!doorbell.drain().unwrap());
    latencies.sort();
    println!(
        "from request to row: median {:?}",
        latencies[latencies.len() / 2]
    );
}

#[test]
fn what_nobody_waits_for_makes_no_sound_but_the_sweep_sees_it() {
    let (root, mut writer) = migrated();
    let mut reader = open(root.path(), Role::Reader);
    let mut doorbell = Doorbell::open(&location(root.path())).unwrap();
    assert!(!reader.changed().unwrap());

    let position = cursor::Cursor {
        agent: "a".into(),
        stream: "s".into(),
        position: "1".into(),
        updated_at: Timestamp(0),
    };
    writer.write(|tx| cursor::set(tx, &position)).unwrap();
    assert!(!doorbell.drain().unwrap());
    assert!(reader.changed().unwrap());
    assert!(!reader.changed().unwrap());
    assert!(!writer.changed().unwrap(), "own commits are no news");

    let known = event("x").identity("once");
    writer.publish(|tx| event::insert(tx, &known)).unwrap();
    assert!(doorbell.drain().unwrap());
    writer.publish(|tx| event::insert(tx, &known)).unwrap();
    assert!(!doorbell.drain().unwrap(), "seeing it again is no news");
    writer
        .write(|tx| {
            tx.ring();
            Ok(())
        })
        .unwrap();
    assert!(doorbell.drain().unwrap());
}

#[test]
fn a_commit_stands_when_the_bell_is_gone() {
    let (root, mut store) = migrated();
    let bell = root.path().join("run/roundsman/bell");
    std::fs::remove_file(&bell).unwrap();
    store
        .publish(|tx| event::insert(tx, &event("silent")))
        .unwrap();
    let count = store.read(event::newest_id).unwrap();
    assert_eq!(count, EventId(1));
    assert!(Doorbell::open(&location(root.path())).is_err());
}
