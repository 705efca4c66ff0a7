//! A full disk and a read-only file system, on file systems of our own: each in a mount
//! namespace that ends with the child, so that nothing stays behind.

use std::fs;
use std::path::Path;
use std::process::Command;

use roundsman_kit::Class;
use roundsman_store::event::{EventId, Filter};
use roundsman_store::{Error, Role, Store, event};
use roundsman_tests::skipped;

use crate::child::{ARGUMENTS, Child, say, with_job};
use crate::{event, location, open};

/// Runs a shell script in a mount namespace of its own: `$DIR` is an empty directory, `job NAME`
/// runs a child. `None`, and a recorded skip, where that is not allowed.
fn in_namespace(test: &str, script: &str) -> Option<Vec<String>> {
    let allowed = Command::new("unshare").args(["--mount", "true"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        skipped::test(test, "needs root and unshare(1) to mount file systems");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    let function = "set -e; job() { ROUNDSMAN_STORE_JOB=\"$*\" \"$PROGRAM\" $ARGUMENTS; }";
    let script = format!("{function}; {script}");
    command
        .args(["--mount", "sh", "-c", &script])
        .env("DIR", dir.path())
        .env("PROGRAM", std::env::current_exe().unwrap())
        .env("ARGUMENTS", ARGUMENTS.join(" "));
    with_job(&mut command, "", dir.path());
    Some(Child::spawn(command).finish())
}

/// The child: fills the disk with events, then frees a little of it.
pub fn fill_the_disk(root: &Path) {
    let ballast = root.join("ballast");
    fs::write(&ballast, vec![1; 256 * 1024]).unwrap();
    let mut store = open(root, Role::Migrate);
    let long = "m".repeat(400);
    let mut committed = 0;
    let error = loop {
        let filler = event("filler").message(&long);
        match store.publish(|tx| event::insert(tx, &filler)) {
            Ok(id) => committed = id.unwrap().0,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full { .. }), "{error}: {error:?}");
    assert_eq!(error.class(), Class::Unavailable);
    assert!(committed > 50, "{committed}");
    let backup = store.backup(&root.join("backup.db")).unwrap_err();
    assert!(matches!(backup, Error::Full { .. }), "{backup}: {backup:?}");
    let names = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names
        .filter(|name| name.to_string_lossy().starts_with("backup"))
        .collect();
    assert!(names.is_empty(), "{names:?}");

    let newest = |store: &mut Store| {
        let last = store.read(|tx| event::last(tx, &Filter::default(), 1));
        last.unwrap()[0].id
    };
    assert_eq!(newest(&mut store), EventId(committed));
    fs::remove_file(&ballast).unwrap();
    let next = store.publish(|tx| event::insert(tx, &event("after")));
    assert_eq!(next.unwrap(), Some(EventId(committed + 1)));
    assert_eq!(store.check().unwrap(), [""; 0]);
    drop(store);
    assert_eq!(newest(&mut open(root, Role::Agent)), EventId(committed + 1));
    say(committed);
}

#[test]
fn a_full_disk_refuses_clearly_loses_nothing_and_goes_on_when_there_is_room() {
    let script = "mount -t tmpfs -o size=2500k tmpfs \"$DIR\"; job fill";
    if let Some(said) = in_namespace("store: full disk", script) {
        println!("{} events until it was full", said.concat());
    }
}

/// The child: opens in each role and says what hinders it.
pub fn look(root: &Path) {
    for role in [Role::Agent, Role::Reader, Role::Migrate] {
        match Store::open(&location(root), role) {
            Ok(_) => say("ok"),
            Err(error) => say(format_args!("{} {error}", error.class())),
        }
    }
}

#[test]
fn a_read_only_file_system_is_named() {
    let script = "mount -t tmpfs tmpfs \"$DIR\"; job open migrate; \
                  mount -o remount,ro \"$DIR\"; job look";
    let Some(said) = in_namespace("store: read-only file system", script) else {
        return;
    };
    assert_eq!(said[0], "ok");
    assert_eq!(said.len(), 4, "{said:?}");
    for refused in &said[1..] {
        assert!(refused.starts_with("unavailable "), "{said:?}");
        assert!(refused.contains("the file system is read-only"), "{said:?}");
    }
}
