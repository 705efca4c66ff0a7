//! Copies: whole, never onto what is not a copy, and nothing left behind.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;

use roundsman_kit::Class;
use roundsman_kit::clock::Timestamp;
use roundsman_store::event::NewEvent;
use roundsman_store::{Error, Role, Store, event};

use crate::{event as seen_event, location, migrated, open};

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries.map(|e| name(e).into_string().unwrap()).collect();
    names.sort();
    names
}

fn events_in(copy: &Path) -> i64 {
    let raw = rusqlite::Connection::open(copy).unwrap();
    let count = "SELECT count(*) FROM event";
    raw.query_row(count, [], |row| row.get(0)).unwrap()
}

fn published(store: &mut Store, n: u32) {
    let all = store.publish(|tx| {
        for _ in 0..n {
            event::insert(tx, &seen_event("x"))?;
        }
        Ok(())
    });
    all.unwrap();
}

#[test]
fn a_backup_is_whole_while_others_write_and_never_replaces_the_store() {
    let (root, mut store) = migrated();
    let seen = || NewEvent::occurred(Timestamp(1), "a", "x.y");
    for _ in 0..50 {
        store.publish(|tx| event::insert(tx, &seen())).unwrap();
    }
    let copy = root.path().join("copy.db");
    fs::write(&copy, "an older backup").unwrap();
    let mut reader = open(root.path(), Role::Reader);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..200 {
                store.publish(|tx| event::insert(tx, &seen())).unwrap();
            }
        });
        reader.backup(&copy).unwrap();
        writer.join().unwrap();
    });
    assert_eq!(
        fs::metadata(&copy).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let raw = rusqlite::Connection::open(&copy).unwrap();
    let number = |sql: &str| raw.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert!((50..=250).contains(&number("SELECT count(*) FROM event")));
    assert_eq!(number("PRAGMA user_version"), 4);
    assert_eq!(number("PRAGMA application_id"), 0x7264_736d);

    let db = location(root.path()).db().to_owned();
    let link = root.path().join("link.db");
    symlink(&db, &link).unwrap();
    let hard = root.path().join("hard.db");
    fs::hard_link(&db, &hard).unwrap();
    for onto in [db.clone(), link, hard] {
        let error = store.backup(&onto).unwrap_err();
        assert!(matches!(error, Error::BackupOntoStore { .. }), "{error}");
    }
    let nowhere = store
        .backup(&root.path().join("missing/copy.db"))
        .unwrap_err();
    assert_eq!(nowhere.class(), Class::Unavailable);
    assert_eq!(store.check().unwrap(), [""; 0]);
}

#[test]
fn only_regular_files_are_replaced() {
    let (root, mut store) = migrated();
    let target = root.path().join("target");
    fs::write(&target, "not ours").unwrap();
    let link = root.path().join("link");
    symlink(&target, &link).unwrap();
    let dangling = root.path().join("dangling");
    symlink(root.path().join("nothing"), &dangling).unwrap();
    let directory = root.path().join("directory");
    fs::create_dir(&directory).unwrap();
    let fifo = root.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let before = names(root.path());
    for onto in [&link, &dangling, &directory, &fifo] {
        let error = store.backup(onto).unwrap_err();
        assert!(matches!(error, Error::BackupOntoOther { .. }), "{error}");
        assert_eq!(error.class(), Class::Config);
    }
    assert_eq!(names(root.path()), before);
    assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
    assert_eq!(fs::read_to_string(&target).unwrap(), "not ours");
}

#[test]
fn no_name_of_a_side_file_is_taken_whatever_way_it_is_written() {
    let (root, mut store) = migrated();
    let db = location(root.path()).db().to_owned();
    let dir = db.parent().unwrap().to_owned();
    let other_way = root.path().join("way");
    symlink(&dir, &other_way).unwrap();
    let before = names(&dir);
    for dir in [&dir, &other_way] {
        for side in ["-journal", "-wal", "-shm", "-wal2", "-mj0123"] {
            let error = store.backup(&dir.join(format!("roundsman.db{side}")));
            let error = error.unwrap_err();
            assert!(matches!(error, Error::BackupOntoStore { .. }), "{error}");
        }
    }
    assert_eq!(names(&dir), before);
    drop(store);
    // A store that is reached by a link has its side files where it really lies.
    let real = root.path().join("real.db");
    fs::rename(&db, &real).unwrap();
    symlink(&real, &db).unwrap();
    let mut store = open(root.path(), Role::Agent);
    let error = store.backup(&root.path().join("real.db-journal"));
    assert!(matches!(error, Err(Error::BackupOntoStore { .. })));
    store.backup(&root.path().join("real.db.copy")).unwrap();
}

#[test]
fn files_of_others_are_left_alone_and_nothing_of_ours_is_left() {
    let (root, mut store) = migrated();
    published(&mut store, 3);
    let copies = root.path().join("copies");
    fs::create_dir(&copies).unwrap();
    let file = copies.join("copy.db");
    for unrelated in ["copy.db.tmp", "copy.db.tmp-journal"] {
        fs::write(copies.join(unrelated), "precious").unwrap();
    }
    store.backup(&file).unwrap();
    assert_eq!(
        names(&copies),
        ["copy.db", "copy.db.tmp", "copy.db.tmp-journal"]
    );
    assert_eq!(fs::read(copies.join("copy.db.tmp")).unwrap(), b"precious");
    assert_eq!(events_in(&file), 3);

    // A copy that cannot be made leaves neither itself nor its journal.
    let db = location(root.path()).db().to_owned();
    drop(store);
    let page = 4096 * {
        let raw = rusqlite::Connection::open(&db).unwrap();
        let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'event'";
        let number = raw.query_row(root, [], |row| row.get::<_, u32>(0));
        number.unwrap() as usize
    };
    let mut bytes = fs::read(&db).unwrap();
    bytes[page - 4096..page].fill(0x5a);
    fs::write(&db, bytes).unwrap();
    let mut store = open(root.path(), Role::Reader);
    store.backup(&copies.join("second.db")).unwrap_err();
    assert_eq!(names(&copies).len(), 3);
}

#[test]
fn two_backups_to_one_name_are_each_complete() {
    let (root, mut store) = migrated();
    published(&mut store, 5000);
    let copy = root.path().join("copy.db");
    std::thread::scope(|scope| {
        let one = || {
            for _ in 0..10 {
                open(root.path(), Role::Reader).backup(&copy).unwrap();
                assert_eq!(events_in(&copy), 5000);
            }
        };
        scope.spawn(one);
        scope.spawn(one);
    });
}
