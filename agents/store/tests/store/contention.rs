//! Several processes that write at once.

use std::io::BufRead;
use std::path::Path;
use std::time::{Duration, Instant};

use roundsman_kit::Class;
use roundsman_kit::clock::Timestamp;
use roundsman_store::event::Filter;
use roundsman_store::{Error, Role, cursor, event, event_count};

use crate::child::{Child, say};
use crate::{event, migrated, open};

const WRITERS: usize = 8;
const EACH: usize = 250;

/// The child: as many transactions as told, every second one synced; none may fail.
pub fn write_many(root: &Path, tag: &str, count: usize) {
    let mut store = open(root, Role::Agent);
    let mut longest = Duration::ZERO;
    for number in 0..count {
        let before = Instant::now();
        if number % 2 == 0 {
            store.publish(|tx| event::insert(tx, &event(tag))).unwrap();
        } else {
            let position = cursor::Cursor {
                agent: tag.into(),
                stream: number.to_string(),
                position: String::new(),
                updated_at: Timestamp(0),
            };
            store.write(|tx| cursor::set(tx, &position)).unwrap();
        }
        longest = longest.max(before.elapsed());
    }
    say(longest.as_millis());
}

#[test]
fn eight_processes_write_at_once_and_no_write_is_lost_or_refused() {
    let (root, mut store) = migrated();
    let children: Vec<Child> = (0..WRITERS)
        .map(|tag| Child::start(&format!("count w{tag} {EACH}"), root.path()))
        .collect();
    let longest = children.into_iter().flat_map(Child::finish);
    println!(
        "longest transaction of each, in ms: {:?}",
        longest.collect::<Vec<_>>()
    );
    store
        .read(|tx| {
            let counts = event_count::list(tx)?.whole()?;
            let total: u64 = counts.iter().map(|count| count.total).sum();
            assert_eq!(total as usize, WRITERS * EACH / 2);
            for tag in 0..WRITERS {
                assert_eq!(cursor::list(tx, &format!("w{tag}"))?.len(), EACH / 2);
            }
            let ids: Vec<i64> = event::last(tx, &Filter::default(), u32::MAX)?
                .iter()
                .map(|event| event.id.0)
                .collect();
            assert_eq!(ids, (1..=total as i64).collect::<Vec<_>>());
            Ok(())
        })
        .unwrap();
}

/// The child: has the turn until it is told to go on, or killed.
pub fn hold_the_turn(root: &Path) {
    let mut store = open(root, Role::Agent);
    store
        .publish(|tx| {
            event::insert(tx, &event("held"))?;
            say("holding");
            std::io::stdin().lock().lines().next();
            Ok(())
        })
        .unwrap();
    say("done");
}

#[test]
fn the_turn_of_a_killed_process_is_free_and_its_transaction_is_gone() {
    let (root, mut store) = migrated();
    let mut holder = Child::start("hold", root.path());
    assert_eq!(holder.line().as_deref(), Some("holding"));

    store.wait_at_most(Duration::from_millis(50));
    let refused = store
        .publish(|tx| event::insert(tx, &event("ours")))
        .unwrap_err();
    assert!(
        matches!(refused, Error::Busy { source: None, .. }),
        "{refused}"
    );
    assert_eq!(refused.class(), Class::Unavailable);
    // Readers wait for nobody.
    let seen = |store: &mut roundsman_store::Store| {
        let events = store.read(|tx| event::last(tx, &Filter::default(), 10));
        let subjects = events
            .unwrap()
            .into_iter()
            .map(|event| event.subject.unwrap());
        subjects.collect::<Vec<_>>()
    };
    assert_eq!(seen(&mut store), [""; 0]);

    store.wait_at_most(Duration::from_secs(20));
    holder.kill();
    store
        .publish(|tx| event::insert(tx, &event("ours")))
        .unwrap();
    assert_eq!(seen(&mut store), ["ours"]);
}

#[test]
fn a_writer_without_the_ticket_is_waited_for_too() {
    let (root, mut store) = migrated();
    let foreign = rusqlite::Connection::open(crate::location(root.path()).db()).unwrap();
    foreign
        .execute_batch("BEGIN IMMEDIATE; DELETE FROM cursor;")
        .unwrap();
    store.wait_at_most(Duration::from_millis(20));
    let refused = store.write(|tx| cursor::remove(tx, "a", "b")).unwrap_err();
    assert!(
        matches!(
            refused,
            Error::Busy {
                source: Some(_),
                ..
            }
        ),
        "{refused}"
    );

    store.wait_at_most(Duration::from_secs(20));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| store.write(|tx| cursor::remove(tx, "a", "b")));
        foreign.execute_batch("COMMIT").unwrap();
        assert!(!waits.join().unwrap().unwrap());
    });
}
