//! The real program on real files.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::fs;
use std::time::{Duration, Instant};

use roundsman_kit::Paths;
use roundsman_store::{Location, Role, Store, cycle};
use roundsman_tests::{Output, Root};

fn migrate(root: &Root) -> Output {
    root.agent("migrate").run()
}

fn location(root: &Root) -> Location {
    let paths = Paths::under(root.path());
    Location::new(&paths, "/var/lib/roundsman/roundsman.db")
}

#[test]
fn an_empty_file_becomes_a_store_and_the_second_run_changes_and_says_nothing() {
    let root = Root::new();
    let first = migrate(&root).expect_code(0);
    assert!(first.stderr.contains("(0001_foundation, "), "{first}");
    let mut store = Store::open(&location(&root), Role::Reader).unwrap();
    let cycles = store.read(cycle::list).unwrap();
    assert_eq!(
        (cycles[0].unit.as_str(), cycles[0].runs_total),
        ("migrate", 1)
    );

    let before = fs::read(root.store()).unwrap();
    let second = migrate(&root).expect_code(0);
    assert_eq!((second.stdout.as_str(), second.stderr.as_str()), ("", ""));
    assert_eq!(fs::read(root.store()).unwrap(), before);
    assert_eq!(store.read(cycle::list).unwrap(), cycles);
}

#[test]
fn a_tree_without_anything_is_furnished() {
    let root = Root::new();
    for directory in ["/run/roundsman", "/var/lib/roundsman"] {
        fs::remove_dir_all(root.at(directory)).unwrap();
    }
    migrate(&root).expect_code(0);
    Store::open(&location(&root), Role::Agent).unwrap();
}

#[test]
fn the_configured_path_is_the_one_that_is_migrated() {
    let root = Root::new();
    root.config("migrate", "store = \"/srv/elsewhere/r.db\"\n");
    migrate(&root).expect_code(0);
    assert!(root.at("/srv/elsewhere/r.db").exists());
    assert_eq!(fs::metadata(root.store()).unwrap().len(), 0);
}

#[test]
fn what_it_cannot_use_is_refused_with_the_right_code_and_left_alone() {
    let root = Root::new();
    migrate(&root).expect_code(0);
    // Of the database header (https://sqlite.org/fileformat.html, 1.3), 32 bits, big-endian.
    let (user_version, application_id) = (60, 68);
    let set = |offset: usize, value: u32| {
        let mut bytes = fs::read(root.store()).unwrap();
        bytes[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
        fs::write(root.store(), bytes).unwrap();
    };
    set(user_version, 9);
    let newer = migrate(&root).expect_code(65);
    assert!(
        newer.stderr.contains("install the newer version"),
        "{newer}"
    );
    set(user_version, 1);
    set(application_id, 5);
    let foreign = migrate(&root).expect_code(65);
    assert!(foreign.stderr.contains("another application"), "{foreign}");

    let garbage = "garbage ".repeat(4096);
    root.write("/var/lib/roundsman/roundsman.db", &garbage);
    migrate(&root).expect_code(65);
    assert_eq!(root.read("/var/lib/roundsman/roundsman.db"), garbage);

    fs::remove_file(root.store()).unwrap();
    fs::create_dir(root.store()).unwrap();
    let directory = migrate(&root).expect_code(78);
    assert!(
        directory.stderr.contains("not a regular file"),
        "{directory}"
    );
}

#[test]
fn several_at_once_take_each_step_once() {
    let root = Root::new();
    let running: Vec<_> = (0..6).map(|_| root.agent("migrate").spawn()).collect();
    let outputs: Vec<Output> = running
        .into_iter()
        .map(|process| process.wait(roundsman_tests::PATIENCE).expect_code(0))
        .collect();
    let made = outputs
        .iter()
        .filter(|output| output.stderr.contains("made with"));
    assert_eq!(made.count(), 1, "{outputs:?}");
}

/// What the store adds to starting and ending the program, the least of several runs: a loaded
/// machine makes both slower and the difference not smaller.
#[test]
fn a_current_store_costs_less_than_ten_milliseconds() {
    let root = Root::new();
    migrate(&root).expect_code(0);
    let least = |argument: Option<&str>| {
        let once = |_| {
            let command = argument
                .into_iter()
                .fold(root.agent("migrate"), |a, b| a.arg(b));
            let before = Instant::now();
            command.run().expect_code(0);
            before.elapsed()
        };
        (0..20).map(once).min().unwrap()
    };
    let (whole, start) = (least(None), least(Some("--version")));
    println!("whole run {whole:?}, of it starting {start:?}");
    assert!(
        whole.saturating_sub(start) < Duration::from_millis(10),
        "{whole:?} {start:?}"
    );
}
