use super::*;
use roundsman_kit::Paths;
use std::cell::Cell;

fn pragma(connection: &Connection, name: &str) -> i64 {
    connection
        .pragma_query_value(None, name, |row| row.get(0))
        .unwrap()
}

#[test]
fn only_publish_waits_for_the_disk_in_whatever_order_they_come() {
    let root = tempfile::tempdir().unwrap();
    let location = Location::new(&Paths::under(root.path()), "/r.db");
    let mut store = Store::open(&location, Role::Migrate).unwrap();
    let (normal, full) = (1, 2);
    for wanted in [normal, full, full, normal, full] {
        let found = Cell::new(0);
        let look = |connection: &Connection, _: &Path| {
            found.set(pragma(connection, "synchronous"));
            Ok(((), false))
        };
        match wanted == full {
            true => store.in_turn(Synchronous::Full, look).unwrap(),
            false => store.in_turn(Synchronous::Normal, look).unwrap(),
        }
        assert_eq!(found.get(), wanted);
    }
}

#[test]
fn every_connection_has_the_settings_that_keep_the_file_sound() {
    let root = tempfile::tempdir().unwrap();
    let location = Location::new(&Paths::under(root.path()), "/r.db");
    for role in [Role::Migrate, Role::Agent, Role::Reader] {
        let store = Store::open(&location, role).unwrap();
        let reader = i64::from(role == Role::Reader);
        for (name, value) in [
            ("foreign_keys", 1),
            ("trusted_schema", 0),
            ("mmap_size", 0),
            ("temp_store", 2),
            ("cache_size", -2000),
            ("auto_vacuum", 2),
            // A busy_timeout would mean that our handler was replaced.
            ("busy_timeout", 0),
            ("wal_autocheckpoint", 1000 * (1 - reader)),
        ] {
            assert_eq!(pragma(&store.connection, name), value, "{role:?} {name}");
        }
        let defensive = rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE;
        assert!(store.connection.db_config(defensive).unwrap());
    }
}
