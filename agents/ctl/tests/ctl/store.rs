use std::process::Command;
use std::time::Duration;

use roundsman_kit::clock::Timestamp;
use roundsman_store::event::NewEvent;
use roundsman_store::sample::{self, Sample};
use roundsman_tests::{PATIENCE, Process, Root};
use serde_json::{Value, json};

use super::{now, publish, roundsman, said, store};

/// 2026-11-20T18:00:00Z
const AT: Timestamp = Timestamp(1_795_197_600_000);

/// Two kinds, every minute of an hour and a half.
fn measured(root: &Root) {
    let mut store = store(root);
    let sample = |kind: &str, minute: u64| Sample {
        at: AT.plus(Duration::from_secs(60 * minute)),
        host: "web1".into(),
        os: "debian 12".into(),
        kind: kind.into(),
        payload: json!({"total": minute, "nested": {"text": "a\u{1b}b"}, "list": [1, 2]})
            .as_object()
            .unwrap()
            .clone(),
    };
    let written = store.write(|tx| {
        for minute in 0..90 {
            sample::insert(tx, &sample("cpu", minute))?;
            sample::insert(tx, &sample("memory", minute))?;
        }
        Ok(())
    });
    written.unwrap();
}

#[test]
fn the_newest_sample_of_every_kind_is_one_line() {
    let root = Root::new();
    measured(&root);
    let line = |kind: &str| {
        format!("2026-11-20 19:29:00 web1 {kind} list=[1,2] nested.text=a\\x1bb total=89\n")
    };
    assert_eq!(
        said(roundsman(&root, ["samples"]), 0),
        line("cpu") + &line("memory")
    );
    assert_eq!(
        said(roundsman(&root, ["samples", "--kind", "memory"]), 0),
        line("memory")
    );
    assert_eq!(
        said(roundsman(&root, ["samples", "--host", "other"]), 0),
        ""
    );
}

#[test]
fn ranges_and_the_last_n_are_per_kind_and_in_order() {
    let root = Root::new();
    measured(&root);
    let totals = |args: &[&str]| -> Vec<u64> {
        let text = said(
            root.ctl()
                .args(["samples", "--kind", "cpu", "-o", "json"])
                .args(args),
            0,
        );
        let total = |line: &str| {
            let sample: Value = serde_json::from_str(line).unwrap();
            assert_eq!(sample["kind"], "cpu");
            sample["payload"]["total"].as_u64().unwrap()
        };
        text.lines().map(total).collect()
    };
    assert_eq!(totals(&[]), [89]);
    assert_eq!(totals(&["-n", "3"]), [87, 88, 89]);
    assert_eq!(totals(&["--since", "2026-11-20T19:28:00Z"]), [88, 89]);
    let range = [
        "--since",
        "2026-11-20T18:01:00Z",
        "--until",
        "2026-11-20T18:03:00Z",
    ];
    assert_eq!(totals(&range), [1, 2]);
    assert_eq!(totals(&["--since", "@0"]).len(), 90);
}

#[test]
fn the_store_shows_its_size_checks_itself_and_is_backed_up() {
    let root = Root::new();
    publish(
        &mut store(&root),
        &NewEvent::occurred(now(), "logscan", "logscan.hit").message("kept"),
    );
    let path = said(roundsman(&root, ["store", "path"]), 0);
    assert_eq!(path.trim_end(), root.store().to_str().unwrap());
    let text = said(roundsman(&root, ["store", "status"]), 0);
    assert!(text.contains("events   1 so far, kinds: 1\n"), "{text}");
    let json = said(roundsman(&root, ["store", "status", "--json"]), 0);
    let figures: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(figures["events"][0]["kind"], "logscan.hit");
    assert_eq!(
        said(roundsman(&root, ["store", "check"]), 0),
        "the store is sound\n"
    );

    let copy = root.at("/copy.db");
    said(root.ctl().args(["store", "backup"]).arg(&copy), 0);
    let other = Root::new();
    let text = said(other.ctl().args(["store", "restore"]).arg(&copy), 0);
    assert!(text.contains(".before-restore\n"), "{text}");
    assert!(text.contains("systemctl start roundsman.target"), "{text}");
    // At once, without the migration.
    let events = said(roundsman(&other, ["events"]), 0);
    assert!(events.contains("logscan.hit kept"), "{events}");
    let busy = store(&other);
    let refused = other.ctl().args(["store", "restore"]).arg(&copy);
    let refused = refused.run().expect_code(75);
    assert!(
        refused.stderr.contains("stop roundsman.target"),
        "{refused}"
    );
    drop(busy);
    let refused = other.ctl().args(["store", "restore", "/dev/null"]);
    let refused = refused.run().expect_code(65);
    assert!(refused.stderr.contains("not a regular file"), "{refused}");
}

#[test]
fn damage_is_found_and_a_backup_onto_the_store_is_refused() {
    let root = Root::new();
    measured(&root);
    let output = root.ctl().args(["store", "backup"]).arg(root.store()).run();
    let output = output.expect_code(78);
    assert!(
        output.stderr.contains("is part of the store itself"),
        "{output}"
    );

    let mut bytes = std::fs::read(root.store()).unwrap();
    let page = 4096;
    bytes[3 * page..5 * page].fill(0xff);
    std::fs::write(root.store(), bytes).unwrap();
    let output = roundsman(&root, ["store", "check"]).run().expect_code(65);
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(said.contains("damaged"), "{output}");
}

#[test]
fn a_backup_is_a_file_of_that_very_name_and_never_a_uri() {
    let root = Root::new();
    measured(&root);
    let dir = root.at("/copies");
    std::fs::create_dir(&dir).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_roundsman"));
    command
        .args(["store", "backup", "file:copy.db?mode=rwc"])
        .env_clear()
        .env("ROUNDSMAN_ROOT", root.path())
        .current_dir(&dir);
    let process = Process::spawn(&mut command, None).unwrap();
    process.wait(PATIENCE).expect_code(0);
    let names = std::fs::read_dir(&dir).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["file:copy.db?mode=rwc"]);
}
