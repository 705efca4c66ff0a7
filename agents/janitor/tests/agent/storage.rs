//! How full everything is, and the file itself.

use roundsman_store::event::{self, Severity, State};
use roundsman_store::{Role, cycle};

use crate::house::{DAY, HOUR, House, NOON};

#[test]
fn a_database_that_grows_is_told_and_so_is_its_shrinking() {
    let house = House::new();
    let limits = "[storage.database]\nwarning = '2MiB'\ncritical = '8MiB'\nhysteresis = '64KiB'";
    house.config(limits);
    house.run(NOON);
    house.events("sync.done", (0..8000).map(|n| NOON + n));
    house.run(NOON + HOUR);
    house.run(NOON + 2 * HOUR);
    let mut told = house.told();
    house.run(NOON + 31 * DAY);
    told.extend(house.told());
    let states: Vec<_> = told.iter().map(|e| (e.state, e.severity)).collect();
    let expected = [
        (State::Firing, Severity::Warning),
        (State::Resolved, Severity::Notice),
    ];
    assert_eq!(states, expected);
    assert_eq!(told[0].subject.as_deref(), Some("database"));
    assert_eq!(told[0].correlation, told[1].correlation);
    assert!(
        told[0].message.starts_with("database is at "),
        "{}",
        told[0].message
    );
    assert!(
        told[0].message.ends_with(" MiB (warning from 2MiB)"),
        "{}",
        told[0].message
    );
    assert!(house.file_bytes() < 1 << 20, "{}", house.file_bytes());
}

#[test]
fn a_long_reader_does_not_let_the_log_grow_unseen() {
    let house = House::new();
    house.config(
        "[checkpoint]\ntruncate = '1MiB'\n\
         [storage.wal]\nwarning = '4MiB'\ncritical = '64MiB'\nhysteresis = '1MiB'",
    );
    house.events("sync.done", [NOON]);
    let mut reader = house.open(Role::Reader);
    let read = reader.read(|tx| {
        event::newest_id(tx)?;
        for round in 0..10 {
            house.events("sync.done", (0..1000).map(|n| NOON + round * 1000 + n));
        }
        house.run(NOON + HOUR);
        Ok(())
    });
    read.unwrap();
    let told = house.told();
    assert_eq!((told.len(), told[0].subject.as_deref()), (1, Some("wal")));
    assert_eq!(told[0].state, State::Firing);
    assert!(house.cycle().figures["log_pages_unmoved"].as_u64().unwrap() > 500);
    let line = "roundsman_janitor_condition_level{subject=\"wal\"} 1\n";
    let textfile = house.root.read("/run/roundsman/metrics/janitor.prom");
    assert!(textfile.contains(line), "{textfile}");

    house.run(NOON + 2 * HOUR);
    assert_eq!(house.told()[1].state, State::Resolved);
    let log = house.with(|store| store.figures()).unwrap().wal_bytes;
    assert!(log < 1 << 20, "{log}");
    assert_eq!(house.cycle().figures["log_pages_unmoved"], 0);
}

#[test]
fn while_a_long_reader_fills_the_log_nothing_is_removed() {
    let house = House::new();
    house.config("[storage.wal]\nwarning = '1MiB'\ncritical = '2MiB'\nhysteresis = '64KiB'");
    let mut reader = house.open(Role::Reader);
    let read = reader.read(|tx| {
        event::newest_id(tx)?;
        house.events("sync.done", (0..8000).map(|n| NOON - 31 * DAY + n));
        house.run(NOON);
        Ok(())
    });
    read.unwrap();
    assert_eq!(house.count(), 8000);
    let cycle = house.cycle();
    assert!(cycle.sentence.contains("reads for long"), "{cycle:?}");
    house.run(NOON + HOUR);
    assert_eq!(house.count(), 0);
}

#[test]
fn a_full_volume_is_told_with_its_share() {
    let house = House::new();
    house.root.config(
        "janitor",
        "[storage.volume]\nwarning = 0.000001\ncritical = 0.000001\nhysteresis = 0.0\n\
         [storage.inodes]\nenabled = false",
    );
    house.run(NOON);
    let told = house.told();
    assert_eq!((told.len(), told[0].severity), (1, Severity::Critical));
    let share = told[0].data["value"].as_f64().unwrap();
    assert!(share > 0.0 && share <= 100.0);
    let textfile = house.root.read("/run/roundsman/metrics/janitor.prom");
    assert!(
        textfile.contains("roundsman_janitor_volume_used_ratio 0."),
        "{textfile}"
    );
}

#[test]
fn a_store_that_cannot_be_written_is_told_and_nothing_else_is_left() {
    let house = House::new();
    std::fs::remove_file(house.root.at("/run/roundsman/ticket")).unwrap();
    let output = house.root.agent("janitor").run().expect_code(75);
    assert!(output.stderr.contains("ticket"), "{output}");
    let textfile = house.root.at("/run/roundsman/metrics/janitor.prom");
    assert!(!textfile.exists());
}

#[test]
fn a_textfile_that_cannot_be_written_degrades_the_cycle_and_costs_nothing_else() {
    let house = House::new();
    house.events("sync.done", [NOON - 31 * DAY]);
    std::fs::remove_dir(house.root.at("/run/roundsman/metrics")).unwrap();
    let output = house.run(NOON);
    assert!(
        output.stderr.contains("systemd-tmpfiles --create"),
        "{output}"
    );
    assert_eq!(house.count(), 0);
    assert_eq!(house.cycle().outcome, cycle::Outcome::Degraded);
}
