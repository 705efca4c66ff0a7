//! Which directories and files are read, and that they may come, go and change.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc::channel;

use roundsman_journal::{Bookmark, Filter, Journal, Notice, Pace, Sources, Start, Why};
use rustix::fs::Uid;

use crate::support::{drain, fixtures, open, read_all, unpack, unpacked};

const MACHINE: &str = "0123456789abcdef0123456789abcdef";

/// Puts a fixture at a path.
fn put(number: usize, path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, unpack(&fixtures()[number].1)).unwrap();
}

fn count(sources: Sources) -> usize {
    let mut journal = Journal::open(sources, Filter::new(), Start::Oldest, Pace::Eco).unwrap();
    let (entries, notices) = drain(&mut journal);
    assert!(notices.is_empty(), "{notices:?}");
    entries.len()
}

#[test]
fn users_namespaces_and_other_hosts_are_read_by_choice() {
    let root = tempfile::tempdir().unwrap();
    let machine = root.path().join(MACHINE);
    put(0, &machine.join("system.journal"));
    put(1, &machine.join("user-1000.journal"));
    put(
        2,
        &root.path().join(format!("{MACHINE}.space/system.journal")),
    );
    put(3, &root.path().join("remote/remote-one.journal"));
    put(4, &root.path().join("remote/remote-two.journal"));
    put(5, &root.path().join("something-else/system.journal"));
    put(
        6,
        &root
            .path()
            .join("ffffffffffffffffffffffffffffffff/system.journal"),
    );

    let sources = || Sources::none().persistent(root.path());
    assert_eq!(count(sources()), 3 * 60);
    assert_eq!(count(sources().users(false)), 2 * 60);
    assert_eq!(count(sources().namespaces(true)), 4 * 60);
    assert_eq!(count(sources().remote(true)), 5 * 60);
    assert_eq!(count(sources().remote(true).namespaces(true)), 6 * 60);
}

#[test]
fn a_directory_that_comes_later_is_heard_and_read() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("log/journal");
    let sources = Sources::none().persistent(&directory);
    let mut journal = Journal::open(sources, Filter::new(), Start::Oldest, Pace::Eco).unwrap();
    assert!(drain(&mut journal).0.is_empty() && !journal.rung());
    fs::write(root.path().join("other"), "").unwrap();
    assert!(!journal.rung(), "what it does not wait for does not ring");

    put(0, &directory.join(MACHINE).join("system.journal"));
    assert!(journal.rung());
    let (entries, notices) = drain(&mut journal);
    assert_eq!((entries.len(), notices.len()), (60, 0));
    assert!(!journal.rung());

    fs::rename(
        directory.join(MACHINE).join("system.journal"),
        directory.join(MACHINE).join("system@0.journal"),
    )
    .unwrap();
    put(1, &directory.join(MACHINE).join("system.journal"));
    assert!(journal.rung());
    let (entries, notices) = drain(&mut journal);
    assert_eq!((entries.len(), notices.len()), (60, 0));
}

#[test]
fn a_file_that_is_just_being_made_is_read_when_it_has_a_header() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("system.journal");
    fs::write(&path, "").unwrap();
    let mut journal = open(root.path(), Filter::new(), Start::Oldest);
    assert!(drain(&mut journal).0.is_empty());
    // Nothing tells of the header: the reader looks again by itself, soon.
    assert!(journal.period().is_some());
    put(0, &path);
    let begun = std::time::Instant::now();
    let mut entries = Vec::new();
    while entries.is_empty() {
        assert!(begun.elapsed().as_secs() < 10, "never looks again");
        if journal.rung() {
            let (more, notices) = drain(&mut journal);
            assert!(notices.is_empty(), "{notices:?}");
            entries.extend(more);
        }
    }
    assert_eq!(entries.len(), 60);
    assert_eq!(journal.period(), None);
}

#[test]
fn a_file_without_permission_is_named_with_the_group_that_helps_and_read_once_it_may_be() {
    let (directory, path) = unpacked("252-compact-zstd");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let (refused, is_refused) = channel();
    let (allowed, is_allowed) = channel();
    let directory = directory.path();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Root may read everything: a thread may be somebody else.
            if rustix::process::geteuid().is_root() {
                let nobody = Uid::from_raw(65534);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            let mut journal = open(directory, Filter::new(), Start::Oldest);
            let (entries, notices) = drain(&mut journal);
            assert!(entries.is_empty());
            let [Notice::Refused(why)] = &notices[..] else {
                panic!("{notices:?}")
            };
            assert!(matches!(why.why, Why::NoPermission));
            assert!(why.to_string().contains("systemd-journal"), "{why}");
            assert!(!journal.rung());

            refused.send(()).unwrap();
            is_allowed.recv().unwrap();
            assert!(journal.rung());
            let (entries, notices) = drain(&mut journal);
            assert_eq!((entries.len(), notices.len()), (60, 0));
        });
        is_refused.recv().unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        allowed.send(()).unwrap();
    });
}

#[test]
fn a_position_behind_the_end_of_its_file_goes_on_where_the_file_goes_on() {
    let (directory, path) = unpacked("262-compact-zstd");
    let whole = fs::read(&path).unwrap();
    let (all, _) = read_all(directory.path(), Filter::new());
    let bookmark = Bookmark {
        positions: vec![all[49].position],
    };
    // As after a power cut: the last twenty were read, but never reached the disk.
    let mut cut = whole.clone();
    cut[152..160].copy_from_slice(&40_u64.to_le_bytes());
    cut[160..168].copy_from_slice(&40_u64.to_le_bytes());
    fs::write(&path, &cut).unwrap();
    let mut journal = open(directory.path(), Filter::new(), Start::After(bookmark));
    let (entries, notices) = drain(&mut journal);
    assert!(entries.is_empty() && notices.is_empty(), "{notices:?}");
    fs::write(&path, &whole).unwrap();
    let (entries, notices) = drain(&mut journal);
    assert!(notices.is_empty(), "{notices:?}");
    assert!(entries == all[50..], "{} entries", entries.len());
}

#[test]
fn a_counter_whose_files_are_all_gone_is_said_to_be_lost() {
    let (directory, path) = unpacked("262-compact-zstd");
    let (all, _) = read_all(directory.path(), Filter::new());
    let open_end = Bookmark {
        positions: vec![all[49].position],
    };
    put(0, &path);
    let (entries, notices) = drain(&mut open(
        directory.path(),
        Filter::new(),
        Start::After(open_end),
    ));
    assert_eq!(entries.len(), 60);
    let [Notice::Gap(gap)] = &notices[..] else {
        panic!("{notices:?}")
    };
    assert_eq!((gap.first, gap.last, gap.entries()), (51, None, None));
    assert_eq!(gap.seqnum_id, all[0].position.seqnum_id);
}
