//! Putting a copy in the store's place: nothing of the old one gets into it, nothing is lost.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use roundsman_kit::Class;
use roundsman_store::event::{self, Filter};
use roundsman_store::{Error, Restored, Role, Store, restore};

use crate::child::{Child, say};
use crate::{event, location, migrated, open};

fn publish(store: &mut Store, subjects: &[&str]) {
    let all = store.publish(|tx| {
        for subject in subjects {
            event::insert(tx, &event(subject).message("m".repeat(400)))?;
        }
        Ok(())
    });
    all.unwrap();
}

fn subjects(store: &mut Store) -> Vec<String> {
    let events = store.read(|tx| event::last(tx, &Filter::default(), 1000));
    let subjects = events.unwrap().into_iter();
    subjects.map(|event| event.subject.unwrap()).collect()
}

fn beside(db: &Path, side: &str) -> PathBuf {
    format!("{}{side}", db.display()).into()
}

/// A store whose machine was switched off: its write-ahead log holds what is not in the file.
/// With it a backup from before that.
fn switched_off() -> (tempfile::TempDir, PathBuf) {
    let (running, mut store) = migrated();
    publish(&mut store, &["before"]);
    let root = tempfile::tempdir().unwrap();
    let backup = root.path().join("backup.db");
    store.backup(&backup).unwrap();
    publish(&mut store, &["after"; 200]);
    let (from, db) = (location(running.path()), location(root.path()));
    for dir in ["run/roundsman", "var/lib/roundsman"] {
        fs::create_dir_all(root.path().join(dir)).unwrap();
    }
    for file in ["run/roundsman/bell", "run/roundsman/ticket"] {
        fs::write(root.path().join(file), "").unwrap();
    }
    for side in ["", "-wal", "-shm"] {
        fs::copy(beside(from.db(), side), beside(db.db(), side)).unwrap();
    }
    (root, backup)
}

#[test]
fn a_left_over_log_never_gets_into_the_copy_and_stays_with_the_old_file() {
    let (root, backup) = switched_off();
    let db = location(root.path()).db().to_owned();
    fs::set_permissions(&db, fs::Permissions::from_mode(0o640)).unwrap();
    let old = fs::metadata(&db).unwrap();
    let done = restore(&location(root.path()), &backup).unwrap();
    let kept = beside(&db, ".before-restore");
    let expected = Restored {
        schema: 4,
        kept: Some(kept.clone()),
    };
    assert_eq!(done, expected);
    let new = fs::metadata(&db).unwrap();
    let access = |file: &fs::Metadata| (file.uid(), file.gid(), file.mode());
    assert_eq!(access(&new), access(&old));
    for side in ["-wal", "-shm", "-journal"] {
        assert!(!beside(&db, side).exists(), "{side}");
    }
    // No migration is needed before the first look.
    let mut store = open(root.path(), Role::Reader);
    assert_eq!(subjects(&mut store), ["before"]);
    assert_eq!(store.check().unwrap(), [""; 0]);
    drop(store);
    publish(&mut open(root.path(), Role::Agent), &["new"]);

    // It can be undone, and each step keeps what it replaces.
    let undone = restore(&location(root.path()), &kept).unwrap();
    assert_eq!(undone.kept, Some(beside(&kept, ".2")));
    let mut store = open(root.path(), Role::Agent);
    assert_eq!(subjects(&mut store).len(), 201);
    assert_eq!(store.check().unwrap(), [""; 0]);
    let names = fs::read_dir(db.parent().unwrap()).unwrap();
    for name in names.map(|entry| entry.unwrap().file_name()) {
        assert!(!name.to_string_lossy().contains("incomplete"), "{name:?}");
    }
}

#[test]
fn nobody_who_has_the_store_open_loses_it() {
    let (root, mut store) = migrated();
    publish(&mut store, &["one"]);
    let backup = root.path().join("backup.db");
    store.backup(&backup).unwrap();
    drop(store);
    for job in ["keep reader", "keep agent"] {
        let mut child = Child::start(job, root.path());
        assert_eq!(child.line().as_deref(), Some("open"));
        let error = restore(&location(root.path()), &backup).unwrap_err();
        assert!(matches!(error, Error::InUse { .. }), "{error}");
        assert_eq!(error.class(), Class::Unavailable);
    }
    let mut store = open(root.path(), Role::Reader);
    assert_eq!(subjects(&mut store), ["one"]);
}

#[test]
fn what_is_no_sound_store_is_refused_and_nothing_is_touched() {
    let (root, backup) = switched_off();
    let raw = |file: &Path, sql: &str| {
        let connection = rusqlite::Connection::open(file).unwrap();
        connection.execute_batch(sql).unwrap();
    };
    let variant = |name: &str, sql: &str| {
        let file = root.path().join(name);
        fs::copy(&backup, &file).unwrap();
        raw(&file, sql);
        file
    };
    let newer = variant("newer", "PRAGMA user_version = 7");
    let foreign = variant("foreign", "PRAGMA application_id = 1");
    let empty = root.path().join("empty");
    fs::write(&empty, "").unwrap();
    let text = root.path().join("text");
    fs::write(&text, "not a database\n".repeat(1000)).unwrap();
    let damaged = root.path().join("damaged");
    let mut bytes = fs::read(&backup).unwrap();
    let end = bytes.len();
    bytes[end - 4096..].fill(0x5a);
    fs::write(&damaged, bytes).unwrap();
    let db = location(root.path()).db().to_owned();
    let wal = beside(&db, "-wal");
    let before = (fs::read(&db).unwrap(), fs::read(&wal).unwrap());
    for (file, why) in [
        (newer, "it has schema 7"),
        (foreign, "another application"),
        (empty, "another application"),
        (text, "not a database"),
        (damaged, ""),
        (root.path().to_path_buf(), "not a regular file"),
        (root.path().join("missing"), "No such file"),
        (db.clone(), "part of the store"),
        (wal.clone(), "part of the store"),
    ] {
        let error = restore(&location(root.path()), &file).unwrap_err();
        let Error::NotRestorable { source, .. } = &error else {
            panic!("{error}")
        };
        assert!(source.to_string().contains(why), "{source}");
        assert_eq!(error.class(), Class::Incompatible);
    }
    assert_eq!((fs::read(&db).unwrap(), fs::read(&wal).unwrap()), before);
    let mut store = open(root.path(), Role::Agent);
    assert_eq!(subjects(&mut store).len(), 201);
}

#[test]
fn a_store_that_is_gone_or_damaged_is_replaced() {
    let (root, backup) = switched_off();
    let db = location(root.path()).db().to_owned();
    fs::write(&db, "not a database\n".repeat(1000)).unwrap();
    let done = restore(&location(root.path()), &backup).unwrap();
    let kept = fs::read(done.kept.unwrap()).unwrap();
    assert!(kept.starts_with(b"not a database"));
    assert_eq!(subjects(&mut open(root.path(), Role::Agent)), ["before"]);

    fs::remove_file(&db).unwrap();
    let done = restore(&location(root.path()), &backup).unwrap();
    assert_eq!(done.kept, None);
    assert_eq!(fs::metadata(&db).unwrap().mode() & 0o777, 0o660);
    assert_eq!(subjects(&mut open(root.path(), Role::Agent)), ["before"]);
}

/// The child: keeps the store open until it is ended.
pub fn keep(root: &Path, role: &str) {
    let is_reader = role == "reader";
    let _store = open(root, if is_reader { Role::Reader } else { Role::Agent });
    say("open");
    std::thread::sleep(Duration::from_secs(600));
}
