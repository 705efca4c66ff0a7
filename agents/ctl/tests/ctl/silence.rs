//! Silences, as the real command writes and shows them.

use std::os::unix::fs::PermissionsExt;

use roundsman_store::delivery::{self, Hold, NewDelivery};
use roundsman_store::event::{EventId, NewEvent, Severity};
use roundsman_tests::Root;
use serde_json::{Value, json};

use super::{now, publish, roundsman, said, store};

const FILE: &str = "/etc/roundsman/silences.d/disks.toml";

/// A warning and a critical event about a disk, each with a delivery; herald holds the first back.
fn host() -> Root {
    let root = Root::new();
    let mut store = store(&root);
    for (at, severity) in [(1, Severity::Warning), (2, Severity::Critical)] {
        let event = NewEvent::occurred(now(), "hostmetrics", "hostmetrics.disk")
            .severity(severity)
            .label("mount", "/home");
        publish(&mut store, &event);
        let uid = format!("u{at}");
        let new = NewDelivery {
            uid: &uid,
            endpoint: "ops",
            trigger: "all",
            event: Some(EventId(at)),
            order_key: None,
            severity,
            now: now(),
            body: None,
        };
        let hold = Hold {
            by: "silence:disks".into(),
            until: now().plus(std::time::Duration::from_secs(3600)),
        };
        store
            .write(|tx| match delivery::insert(tx, &new)? {
                Some(id) if at == 1 => delivery::hold(tx, id, &hold),
                _ => Ok(()),
            })
            .unwrap();
    }
    root
}

fn add(root: &Root, more: &[&str], code: i32) -> roundsman_tests::Output {
    let command = root
        .ctl()
        .args(["silence", "add", "disks", "--reason", "new disks"]);
    command.args(more).run().expect_code(code)
}

fn listed(root: &Root) -> Value {
    let text = said(roundsman(root, ["silence", "list", "--json"]), 0);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn one_is_added_shown_and_removed() {
    let root = host();
    let output = add(
        &root,
        &[
            "--for",
            "2h",
            "--kind",
            "hostmetrics.*",
            "--label",
            "mount=/h*",
        ],
        0,
    );
    assert!(
        output.stdout.contains("(in 1h 59min)") || output.stdout.contains("(in 2h)"),
        "{output}"
    );
    assert!(
        output.stdout.contains("systemctl reload roundsman-herald"),
        "{output}"
    );
    let mode = root.at(FILE).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
    let written: toml::Table = root.read(FILE).parse().unwrap();
    assert_eq!(written["kinds"].as_array().unwrap().len(), 1);
    assert_eq!(written["labels"]["mount"].as_str(), Some("/h*"));
    assert_eq!(written["urgent"].as_bool(), Some(false));

    let one = listed(&root);
    assert_eq!(
        (&one["name"], &one["is_active"]),
        (&json!("disks"), &json!(true))
    );
    assert_eq!(
        (&one["held"], &one["reason"]),
        (&json!(1), &json!("new disks"))
    );
    let status = root.ctl().args(["status"]).run().stdout;
    assert!(
        status.contains("\nSilences (more: roundsman silence list)\ndisks until"),
        "{status}"
    );
    assert!(
        status.contains(", 1 held, kinds=[\"hostmetrics.*\"]"),
        "{status}"
    );

    let output = roundsman(&root, ["silence", "remove", "disks", "--json"]).run();
    let removed: Value = serde_json::from_str(&output.expect_code(0).stdout).unwrap();
    assert_eq!(removed["name"], "disks");
    assert!(!root.at(FILE).exists());
    assert_eq!(
        said(roundsman(&root, ["silence", "list"]), 0),
        "no silences\n"
    );
    roundsman(&root, ["silence", "remove", "disks"])
        .run()
        .expect_code(1);
}

#[test]
fn urgent_events_are_held_only_when_that_is_said() {
    let root = host();
    add(&root, &["--for", "1h", "--kind", "*"], 0);
    assert_eq!(listed(&root)["urgent"], false);
    add(
        &root,
        &["--for", "1h", "--kind", "*", "--urgent", "--force"],
        0,
    );
    assert_eq!(listed(&root)["urgent"], true);
}

#[test]
fn what_would_be_wrong_is_refused_and_nothing_is_written() {
    let root = host();
    for args in [
        &["silence", "add", "../x", "--for", "1h", "--reason", "x"][..],
        &["silence", "add", "x", "--for", "1h"],
        &["silence", "add", "x", "--reason", "x"],
        &["silence", "add", "x", "--for", "0s", "--reason", "x"],
        &["silence", "add", "x", "--for", "soon", "--reason", "x"],
        &[
            "silence", "add", "x", "--for", "1h", "--until", "now", "--reason", "x",
        ],
        &[
            "silence", "add", "x", "--for", "1h", "--reason", "x", "--label", "y",
        ],
        &["silence"],
    ] {
        root.ctl().args(args).run().expect_code(64);
    }
    add(&root, &["--until", "yesterday", "--kind", "*"], 1);
    let output = add(&root, &["--for", "1h"], 1);
    assert!(output.stderr.contains("--kind '*'"), "{output}");
    assert!(!root.at("/etc/roundsman/silences.d").exists());
    add(&root, &["--for", "1h", "--kind", "*"], 0);
    let before = root.read(FILE);
    let output = add(&root, &["--for", "9h", "--kind", "*"], 1);
    assert!(output.stderr.contains("--force"), "{output}");
    assert_eq!(root.read(FILE), before);
}

#[test]
fn a_file_that_is_no_silence_is_named_and_costs_only_itself() {
    let root = host();
    add(&root, &["--for", "1h", "--kind", "*"], 0);
    root.write("/etc/roundsman/silences.d/bad.toml", "until = 'soon'");
    let output = roundsman(&root, ["silence", "list"]).run().expect_code(0);
    assert!(output.stderr.contains("bad.toml: until"), "{output}");
    assert!(output.stdout.contains("disks"), "{output}");
    let over = "until = '2020-01-01T00:00:00Z'\nreason = 'x'\nkinds = ['*']";
    root.write(FILE, over);
    assert_eq!(listed(&root)["is_active"], false);
}
