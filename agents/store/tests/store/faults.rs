//! Broken, foreign and future files: a clear class and message, and no byte of them changed.

use std::fs;
use std::path::Path;

use roundsman_kit::Class;
use roundsman_store::event::EventId;
use roundsman_store::{Error, Role, Store, class_of, cursor, event};

use crate::{STORE, event, location, migrated, open};

/// Every role refuses the file with this class and leaves it as it is.
fn refused(root: &Path, class: Class) -> Error {
    let file = root.join(&STORE[1..]);
    let before = fs::read(&file).unwrap();
    let [error, ..] = [Role::Agent, Role::Reader, Role::Migrate].map(|role| {
        let error = Store::open(&location(root), role).unwrap_err();
        assert_eq!(error.class(), class, "{role:?}: {error}");
        assert_eq!(class_of(&error), Some(class));
        error
    });
    assert_eq!(fs::read(&file).unwrap(), before);
    error
}

fn raw(root: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(location(root).db()).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[test]
fn a_missing_store_is_named_and_only_the_migration_makes_it() {
    let root = tempfile::tempdir().unwrap();
    for role in [Role::Agent, Role::Reader] {
        let error = Store::open(&location(root.path()), role).unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error}");
        assert_eq!(error.class(), Class::Unavailable);
        assert!(error.to_string().contains("roundsman-migrate.service"));
    }
    assert!(!root.path().join("var").exists());
}

#[test]
fn a_file_of_a_newer_version_is_refused_with_the_ways_back() {
    let (root, store) = migrated();
    drop(store);
    raw(root.path(), "PRAGMA user_version = 7");
    let error = refused(root.path(), Class::Incompatible);
    assert!(
        matches!(
            error,
            Error::Newer {
                found: 7,
                copy: None,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("install the newer version"),
        "{error}"
    );
}

#[test]
fn a_database_of_another_application_is_refused() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path(), Role::Migrate));
    raw(root.path(), "PRAGMA application_id = 1");
    let error = refused(root.path(), Class::Incompatible);
    assert!(
        matches!(
            error,
            Error::Foreign {
                application_id: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn what_is_not_a_database_is_refused() {
    let (root, store) = migrated();
    drop(store);
    fs::write(
        root.path().join(&STORE[1..]),
        "not a database\n".repeat(1000),
    )
    .unwrap();
    let error = refused(root.path(), Class::Incompatible);
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn a_damaged_page_is_found_by_check_and_by_whoever_reads_it() {
    let (root, mut store) = migrated();
    store
        .publish(|tx| {
            for number in 0..2000 {
                event::insert(tx, &event(&number.to_string()).message("m".repeat(400)))?;
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(store.check().unwrap(), [""; 0]);
    drop(store);
    let file = root.path().join(&STORE[1..]);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 8 * 4096].fill(0x5a);
    fs::write(&file, bytes).unwrap();

    let mut store = open(root.path(), Role::Reader);
    match store.check() {
        Ok(findings) => assert!(!findings.is_empty()),
        Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{error}"),
    }
    let all = store.read(|tx| event::last(tx, &event::Filter::default(), u32::MAX));
    let error = all.unwrap_err();
    assert!(
        matches!(&error, Error::Corrupt { at, .. } if at.table == Some("event")),
        "{error}"
    );
    assert_eq!(error.class(), Class::Incompatible);
}

#[test]
fn a_value_that_this_version_does_not_know_names_table_and_column() {
    let (root, mut store) = migrated();
    store.publish(|tx| event::insert(tx, &event("x"))).unwrap();
    raw(
        root.path(),
        "PRAGMA ignore_check_constraints = ON; UPDATE event SET state = 'pondering'",
    );
    let error = store
        .read(|tx| event::last(tx, &event::Filter::default(), 1))
        .unwrap_err();
    assert_eq!(error.class(), Class::Incompatible);
    let Error::Value { at, column, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!((at.table, *column), (Some("event"), "state"));
}

#[test]
fn an_error_or_a_panic_inside_a_transaction_leaves_no_trace_and_no_lock() {
    let (root, mut store) = migrated();
    let mut other = open(root.path(), Role::Agent);
    let failed = store.publish(|tx| {
        event::insert(tx, &event("never"))?;
        cursor::set(
            tx,
            &cursor::Cursor {
                agent: String::new(),
                stream: "refused by a CHECK".into(),
                position: String::new(),
                updated_at: roundsman_kit::clock::Timestamp(0),
            },
        )
    });
    let error = failed.unwrap_err();
    assert!(
        matches!(&error, Error::Statement { at, .. } if at.table == Some("cursor")),
        "{error}"
    );
    assert_eq!(error.class(), Class::Bug);

    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.publish(|tx| -> roundsman_store::Result<()> {
            event::insert(tx, &event("never"))?;
            panic!("in the middle")
        })
    }));
    assert!(panicked.is_err());
    other.wait_at_most(std::time::Duration::from_millis(500));
    other
        .publish(|tx| event::insert(tx, &event("after")))
        .unwrap();
    let events = other
        .read(|tx| event::last(tx, &event::Filter::default(), 10))
        .unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].subject.as_deref(), Some("after"));
    // The store that saw the panic is still of use.
    let next = store
        .publish(|tx| event::insert(tx, &event("later")))
        .unwrap();
    assert_eq!(next, Some(EventId(2)));
}

#[test]
fn a_reader_cannot_write() {
    let (root, _store) = migrated();
    let mut reader = open(root.path(), Role::Reader);
    let error = reader.write(|_| Ok(())).unwrap_err();
    assert!(matches!(error, Error::ReaderWrote { .. }), "{error}");
}

#[test]
fn a_store_that_was_replaced_or_removed_under_us_takes_no_commit_and_gives_no_old_figures() {
    let (root, mut store) = migrated();
    store.write(|_| Ok(())).unwrap();
    let path = location(root.path()).db().to_owned();
    let aside = path.with_extension("aside");

    fs::rename(&path, &aside).unwrap();
    let removed = store.write(|_| Ok(())).unwrap_err();
    assert_eq!(removed.class(), Class::Unavailable);
    assert!(matches!(removed, Error::Replaced { .. }), "{removed:?}");
    assert!(matches!(
        store.figures().unwrap_err(),
        Error::Missing { .. }
    ));

    fs::copy(&aside, &path).unwrap();
    for error in [
        store.publish(|_| Ok(())).unwrap_err(),
        store.read(|_| Ok(())).unwrap_err(),
        store.changed().unwrap_err(),
    ] {
        assert!(matches!(error, Error::Replaced { .. }), "{error:?}");
    }
}
