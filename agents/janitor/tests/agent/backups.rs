//! The copy of each night.

use roundsman_store::{Role, cycle};

use crate::house::{DAY, HOUR, House, NOON};

fn copies(house: &House) -> Vec<String> {
    let entries = std::fs::read_dir(house.root.at("/backup")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn one_copy_a_night_is_made_and_the_oldest_go() {
    let house = House::new();
    house.config("[backup]\ndirectory = '/backup'\nkeep = 2");
    house.events("sync.done", [NOON]);
    for at in [NOON, NOON + HOUR, NOON + DAY, NOON + DAY + HOUR] {
        house.run(at);
    }
    let first = copies(&house);
    assert_eq!(first.len(), 2);
    house.run(NOON + 2 * DAY);
    let second = copies(&house);
    assert_eq!((second.len(), &second[0]), (2, &first[1]));

    // It is a whole store: put it in the other's place.
    let other = House::new();
    let copy = house.root.at("/backup").join(&second[1]);
    std::fs::copy(copy, other.root.at("/var/lib/roundsman/copy.db")).unwrap();
    let paths = roundsman_kit::Paths::under(other.root.path());
    let location = roundsman_store::Location::new(&paths, "/var/lib/roundsman/copy.db");
    let mut copy = roundsman_store::Store::open(&location, Role::Migrate).unwrap();
    assert_eq!(copy.check().unwrap(), Vec::<String>::new());
    assert!(copy.space().unwrap().shrinks);
}

#[test]
fn a_copy_that_cannot_be_made_degrades_the_cycle_and_is_tried_again() {
    let house = House::new();
    house.config("[backup]\ndirectory = '/no/backup'");
    house.events("sync.done", [NOON - 31 * DAY]);
    let output = house.run(NOON);
    assert!(output.stderr.contains("ReadWritePaths="), "{output}");
    assert_eq!(house.cycle().outcome, cycle::Outcome::Degraded);
    assert!(house.cycle().sentence.contains("/no/backup"));
    assert_eq!(house.count(), 0, "the rest is done");
    std::fs::create_dir(house.root.at("/no")).unwrap();
    house.run(NOON + HOUR);
    assert_eq!(house.cycle().outcome, cycle::Outcome::Ok);
    let textfile = house.root.read("/run/roundsman/metrics/janitor.prom");
    let line = "roundsman_janitor_last_backup_timestamp_seconds 1795179600\n";
    assert!(textfile.contains(line), "{textfile}");
}
