//! Opening: roles, users of one group, files that are not ready.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::Duration;

use roundsman_kit::Class;
use roundsman_store::{Error, Role, Store, event};
use roundsman_tests::skipped;

use crate::child::{Child, say};
use crate::{STORE, event, location, migrated, open};

/// The child: opens in a role, writes an event if it may, and says how it went.
pub fn open_and_write(root: &Path, role: &str) {
    let role = match role {
        "agent" => Role::Agent,
        "reader" => Role::Reader,
        "migrate" => Role::Migrate,
        _ => panic!("no such role: {role}"),
    };
    // The narrowest: the group's share in the files must not depend on it.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let written = Store::open(&location(root), role).and_then(|mut store| match role {
        Role::Reader => store.read(event::newest_id).map(drop),
        _ => store.publish(|tx| event::insert(tx, &event("x"))).map(drop),
    });
    match written {
        Ok(()) => say("ok"),
        Err(error) => say(format_args!("{} {error}", error.class())),
    }
}

#[test]
fn two_users_of_one_group_share_the_store_and_an_outsider_is_told_the_group() {
    const GROUP: u32 = 61_000;
    if !rustix::process::geteuid().is_root() {
        return skipped::test(
            "store: users of one group",
            "needs root to become other users",
        );
    }
    let root = tempfile::tempdir().unwrap();
    for (dir, mode) in [
        ("", 0o755),
        ("run", 0o755),
        ("run/roundsman", 0o2770),
        ("var", 0o755),
        ("var/lib", 0o755),
        ("var/lib/roundsman", 0o2770),
    ] {
        let dir = root.path().join(dir);
        fs::create_dir_all(&dir).unwrap();
        if mode & 0o2000 != 0 {
            std::os::unix::fs::chown(&dir, Some(0), Some(GROUP)).unwrap();
        }
        fs::set_permissions(&dir, Permissions::from_mode(mode)).unwrap();
    }
    let outcome = |job: &str, user: u32, group: u32| {
        let child = Child::start_as(job, root.path(), |command| {
            command.uid(user).gid(group);
        });
        child.finish().concat()
    };
    assert_eq!(outcome("open migrate", 61_001, GROUP), "ok");
    // Keeps -wal and -shm alive, so that their modes can be looked at.
    let keeper = open(root.path(), Role::Reader);
    for user in [61_002, 61_001, 61_003, 0] {
        assert_eq!(outcome("open agent", user, GROUP), "ok", "user {user}");
        assert_eq!(outcome("open reader", user, GROUP), "ok", "user {user}");
    }
    for suffix in ["", "-wal", "-shm"] {
        let file = root.path().join(format!("{}{suffix}", &STORE[1..]));
        let metadata = fs::metadata(&file).unwrap();
        let found = (metadata.mode() & 0o777, metadata.gid());
        assert_eq!(found, (0o660, GROUP), "{}", file.display());
    }
    drop(keeper);
    for job in ["open agent", "open reader"] {
        let refused = outcome(job, 61_009, 61_009);
        assert!(refused.starts_with("config "), "{refused}");
        assert!(refused.contains("usermod -aG roundsman"), "{refused}");
    }
}

/// The child: waits for the migration and says when it begins to and how it ended.
pub fn await_migration(root: &Path, millis: u64) {
    let mut pauses = 0;
    let opened = Store::open_waiting(
        &location(root),
        Role::Agent,
        Duration::from_millis(millis),
        |pause| {
            if pauses == 0 {
                say("waiting");
            }
            pauses += 1;
            std::thread::sleep(pause);
            true
        },
    );
    match opened {
        Ok(_) => say("opened"),
        Err(error) => say(format_args!("{} {error}", error.class())),
    }
}

#[test]
fn an_agent_waits_for_the_migration_and_then_goes_on() {
    let (root, store) = migrated();
    drop(store);
    fs::write(root.path().join(&STORE[1..]), "").unwrap();
    let mut agent = Child::start("await 60000", root.path());
    assert_eq!(agent.line().as_deref(), Some("waiting"));
    open(root.path(), Role::Migrate);
    assert_eq!(agent.finish(), ["opened"]);
}

#[test]
fn the_wait_ends_as_unavailable_at_its_limit_or_when_the_caller_stops_it() {
    let (root, store) = migrated();
    drop(store);
    fs::write(root.path().join(&STORE[1..]), "").unwrap();
    let agent = Child::start("await 250", root.path());
    let said = agent.finish();
    assert_eq!(said[0], "waiting");
    assert!(said[1].starts_with("unavailable "), "{said:?}");
    assert!(said[1].contains("roundsman-migrate.service"), "{said:?}");

    let limit = Duration::from_secs(3600);
    let stopped = Store::open_waiting(&location(root.path()), Role::Reader, limit, |_| false);
    let error = stopped.unwrap_err();
    assert!(matches!(error, Error::Older { found: 0, .. }), "{error}");
}

#[test]
fn a_current_store_is_opened_without_a_change_and_says_so() {
    let (root, store) = migrated();
    let migration = store.migration().unwrap();
    assert_eq!(migration.from, 0);
    assert_eq!(migration.steps[0], "0001_foundation");
    assert_eq!(migration.steps.len(), migration.to as usize);
    drop(store);
    let file = root.path().join(&STORE[1..]);
    let before = fs::read(&file).unwrap();
    assert!(open(root.path(), Role::Migrate).migration().is_none());
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_copy_without_wal_waits_for_the_migration_which_mends_it() {
    let (root, store) = migrated();
    drop(store);
    let db = location(root.path()).db().to_owned();
    let raw = rusqlite::Connection::open(&db).unwrap();
    raw.execute_batch("PRAGMA journal_mode = DELETE").unwrap();
    drop(raw);
    let error = Store::open(&location(root.path()), Role::Agent).unwrap_err();
    assert!(matches!(error, Error::Unprepared { .. }), "{error}");
    assert_eq!(error.class(), Class::Unavailable);
    open(root.path(), Role::Migrate);
    open(root.path(), Role::Agent);
}

#[test]
fn without_the_ticket_writers_are_told_to_run_tmpfiles_and_readers_do_not_mind() {
    let (root, store) = migrated();
    drop(store);
    fs::remove_dir_all(root.path().join("run/roundsman")).unwrap();
    let error = Store::open(&location(root.path()), Role::Agent).unwrap_err();
    assert!(
        error.to_string().contains("systemd-tmpfiles --create"),
        "{error}"
    );
    assert_eq!(error.class(), Class::Unavailable);
    open(root.path(), Role::Reader);
    open(root.path(), Role::Migrate);
    open(root.path(), Role::Agent);
}
