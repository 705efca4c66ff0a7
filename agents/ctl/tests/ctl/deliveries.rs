//! What is owed to endpoints, as the real command shows and changes it.

mod change;
mod endpoints;

use std::time::Duration;

use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, Attempt, Body, Delivery, DeliveryId, NewDelivery, State};
use roundsman_store::endpoint::{self, Endpoint};
use roundsman_store::event::{EventId, NewEvent, Severity};
use roundsman_store::{Store, WriteTx};
use roundsman_tests::Root;
use serde_json::{Value, json};

use super::{now, roundsman, said, store};

/// An error that would command a terminal.
const NASTY: &str = "a\u{1b}]0;owned\u{7}b\u{202e}c\nd";

fn ago(secs: i64) -> Timestamp {
    Timestamp(now().as_millis() - secs * 1000)
}

fn owe(tx: &WriteTx<'_>, endpoint: &str, uid: &str, key: Option<&str>) -> DeliveryId {
    let new = NewDelivery {
        uid,
        endpoint,
        trigger: "all",
        event: Some(EventId(1)),
        order_key: key,
        severity: Severity::Warning,
        now: ago(3600),
        body: None,
    };
    delivery::insert(tx, &new).unwrap().unwrap()
}

fn failed(error: &str) -> Attempt<'_> {
    Attempt {
        status: Some(503),
        error: Some(error),
        answer: Some(b"try \x1b[31mlater"),
        ..Attempt::at(ago(60))
    }
}

fn set(store: &mut Store, endpoint: &Endpoint) {
    store.write(|tx| endpoint::set(tx, endpoint)).unwrap();
}

/// Six deliveries: 1 done, 2 parked, 3 put off, 4 behind 3 and 5 new to "ops", 6 to "old", which
/// has left the configuration.
fn six(root: &Root) -> Store {
    let mut store = store(root);
    let event = NewEvent::occurred(ago(3600), "logscan", "logscan.hit")
        .message("out of memory")
        .subject("nginx.service")
        .datum("pid", 7);
    super::publish(&mut store, &event);
    set(
        &mut store,
        &Endpoint {
            last_success: Some(ago(7200)),
            last_failure: Some(ago(60)),
            last_error: Some("answered 503".into()),
            ..Endpoint::new("ops", "f1")
        },
    );
    let old = Endpoint::new("old", "f2");
    set(
        &mut store,
        &Endpoint {
            gone_at: Some(ago(600)),
            ..old
        },
    );
    let body = Body {
        content_type: "application/json".into(),
        bytes: br#"{"text":"out of memory"}"#.to_vec(),
    };
    let written = store.write(|tx| {
        let status = Some(204);
        let done = owe(tx, "ops", "u1", None);
        delivery::done(
            tx,
            done,
            &Attempt {
                status,
                ..Attempt::at(ago(3000))
            },
        )?;
        let parked = owe(tx, "ops", "u2", None);
        delivery::retry(tx, parked, &failed(NASTY), ago(60), true, Some(&body))?;
        delivery::park(tx, parked, &failed(NASTY), true)?;
        let put_off = owe(tx, "ops", "u3", Some("k"));
        let later = now().plus(Duration::from_secs(3630));
        delivery::retry(tx, put_off, &failed("answered 503"), later, true, None)?;
        owe(tx, "ops", "u4", Some("k"));
        owe(tx, "ops", "u5", None);
        owe(tx, "old", "u6", None);
        Ok(())
    });
    written.unwrap();
    store
}

fn row(store: &mut Store, id: i64) -> Option<Delivery> {
    store.read(|tx| delivery::get(tx, DeliveryId(id))).unwrap()
}

fn state(store: &mut Store, id: i64) -> State {
    row(store, id).unwrap().state
}

fn json_lines(root: &Root, args: &[&str]) -> Vec<Value> {
    let text = said(root.ctl().args(args).args(["--json"]), 0);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn ids(root: &Root, args: &[&str]) -> Vec<i64> {
    let args = [&["deliveries"], args].concat();
    let rows = json_lines(root, &args);
    rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

/// The cells of each line of a table, which two spaces keep apart.
fn cells(text: &str) -> Vec<Vec<&str>> {
    fn split(line: &str) -> Vec<&str> {
        let cells = line.split("  ").map(str::trim);
        cells.filter(|cell| !cell.is_empty()).collect()
    }
    text.lines().map(split).collect()
}

#[test]
fn the_list_says_of_each_what_becomes_of_it() {
    let root = Root::new();
    drop(six(&root));
    let text = said(roundsman(&root, ["deliveries"]), 0);
    let error = r"a\x1b]0;owned\x07b\u{202e}c\nd";
    let about = "nginx.service";
    let expected = [
        [
            "ID", "ENDPOINT", "STATE", "AGE", "TRIES", "NEXT", "STATUS", "UID", "ABOUT", "ERROR",
        ],
        ["1", "ops", "done", "1h", "1", "-", "204", "u1", about, "-"],
        [
            "2", "ops", "parked", "1h", "2", "-", "503", "u2", about, error,
        ],
        [
            "3",
            "ops",
            "due",
            "1h",
            "1",
            "in 1h",
            "503",
            "u3",
            about,
            "answered 503",
        ],
        ["4", "ops", "waiting", "1h", "0", "-", "-", "u4", about, "-"],
        ["5", "ops", "due", "1h", "0", "now", "-", "u5", about, "-"],
        [
            "6", "old", "orphaned", "1h", "0", "-", "-", "u6", about, "-",
        ],
    ];
    assert_eq!(cells(&text), expected, "{text}");
    assert_eq!(said(roundsman(&root, ["deliveries", "list"]), 0), text);
    // The root may stand anywhere.
    let path = root.path().to_str().unwrap();
    let args = ["deliveries", "--root", path, "list"];
    assert_eq!(said(roundsman(&root, args), 0), text);
    roundsman(&root, ["deliveries", "--parked", "list"])
        .run()
        .expect_code(64);
}

#[test]
fn filters_select_deliveries_and_json_holds_the_row() {
    let root = Root::new();
    drop(six(&root));
    assert_eq!(ids(&root, &[]), [1, 2, 3, 4, 5, 6]);
    assert_eq!(ids(&root, &["list", "-n", "2"]), [5, 6]);
    assert_eq!(ids(&root, &["--state", "due"]), [3, 4, 5, 6]);
    assert_eq!(ids(&root, &["--state", "done"]), [1]);
    assert_eq!(ids(&root, &["--parked"]), [2]);
    assert_eq!(ids(&root, &["--endpoint", "old"]), [6]);
    assert_eq!(ids(&root, &["--since", "-2h"]).len(), 6);
    assert_eq!(ids(&root, &["--since", "-30min"]), [0; 0]);
    let none = said(roundsman(&root, ["deliveries", "--since", "-30min"]), 0);
    assert_eq!(none, "no deliveries\n");

    let all = json_lines(&root, &["deliveries"]);
    let flags = |name: &str| -> Vec<bool> {
        let flags = all.iter().map(|row| row[name].as_bool().unwrap());
        flags.collect()
    };
    let (no, yes) = (false, true);
    assert_eq!(flags("is_waiting"), [no, no, no, yes, no, no]);
    assert_eq!(flags("is_orphaned"), [no, no, no, no, no, yes]);
    for (key, value) in [
        ("uid", json!("u2")),
        ("state", json!("parked")),
        ("attempts", json!(2)),
        ("last_status", json!(503)),
        ("last_error", json!(NASTY)),
        ("subject", json!("nginx.service")),
        ("kind", json!("logscan.hit")),
        ("event_id", json!(1)),
        ("next_at", Value::Null),
    ] {
        assert_eq!(all[1][key], value, "{key} of {}", all[1]);
    }
    let output = roundsman(&root, ["deliveries", "--endpoint", "nowhere"]).run();
    let output = output.expect_code(1);
    assert!(output.stderr.contains("there are: old, ops"), "{output}");
}

#[test]
fn an_endpoint_that_takes_nothing_now_moves_the_next_try() {
    let root = Root::new();
    let mut store = six(&root);
    let mut next = |endpoint: Endpoint| {
        set(&mut store, &endpoint);
        let text = said(roundsman(&root, ["deliveries", "--endpoint", "ops"]), 0);
        cells(&text)[5][5].to_owned()
    };
    let paused = Endpoint {
        not_before: Some(now().plus(Duration::from_secs(7230))),
        ..Endpoint::new("ops", "f1")
    };
    assert_eq!(next(paused), "in 2h");
    let disabled = Endpoint {
        disabled_at: Some(ago(1)),
        disabled_reason: Some("by hand".into()),
        ..Endpoint::new("ops", "f1")
    };
    assert_eq!(next(disabled), "when enabled");
}

#[test]
fn one_is_shown_with_its_event_its_body_and_the_last_answer() {
    let root = Root::new();
    drop(six(&root));
    let text = said(roundsman(&root, ["deliveries", "show", "2"]), 0);
    for line in [
        "delivery 2 to ops\n",
        "  state      parked\n",
        "  error      a\\x1b]0;owned\\x07b\\u{202e}c\\nd\n",
        "  answer     try \\x1b[31mlater\n",
        "event 1\n",
        "  message    out of memory\n",
        "  data.pid=7\n",
        "body application/json, 24 bytes\n  {\"text\":\"out of memory\"}\n",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    let shown = json_lines(&root, &["deliveries", "show", "2"]).remove(0);
    assert_eq!(shown["body"]["text"], r#"{"text":"out of memory"}"#);
    assert_eq!(shown["body"]["content_type"], "application/json");
    assert_eq!(shown["last_answer"], "try \u{1b}[31mlater");
    assert_eq!(shown["event"]["data"], json!({"pid": 7}));
    assert_eq!(shown["state"], "parked");
    let output = roundsman(&root, ["deliveries", "show", "77"]).run();
    let output = output.expect_code(1);
    assert_eq!(output.stderr, "roundsman: there is no delivery 77\n");
    assert_eq!(output.stdout, "");
}

#[test]
fn wrong_arguments_and_a_missing_store_have_their_own_codes() {
    let root = Root::new();
    let long = "x".repeat(201);
    for args in [
        &["deliveries", "--state", "lost"][..],
        &["deliveries", "--parked", "--state", "due"],
        &["deliveries", "-n", "0"],
        &["deliveries", "-n", "10001"],
        &["deliveries", "show", "u1"],
        &["deliveries", "retry"],
        &["deliveries", "retry", "1", "--parked"],
        &["deliveries", "retry", "1", "--endpoint", "ops"],
        &["deliveries", "retry", "1", "--since", "today"],
        &["deliveries", "retry", "--since", "today"],
        &["deliveries", "drop"],
        &["deliveries", "drop", "0"],
        &["deliveries", "drop", "--parked", "--since", "today"],
        &["endpoints", "enable"],
        &["endpoints", "disable", "ops", "--reason", " "],
        &["endpoints", "disable", "ops", "--reason", &long],
    ] {
        root.ctl().args(args).run().expect_code(64);
    }
    for args in [
        &["deliveries"][..],
        &["deliveries", "drop", "1"],
        &["endpoints"],
        &["endpoints", "enable", "ops"],
    ] {
        let output = root.ctl().args(args).run().expect_code(75);
        let needle = "roundsman-migrate.service";
        assert!(output.stderr.contains(needle), "{output}");
    }
    drop(store(&root));
    assert_eq!(said(roundsman(&root, ["deliveries"]), 0), "no deliveries\n");
    let text = said(roundsman(&root, ["endpoints"]), 0);
    assert!(text.starts_with("no endpoints"), "{text}");
}

#[test]
fn help_of_both_commands_shows_examples() {
    let root = Root::new();
    for (command, needle) in [
        ("deliveries", "roundsman deliveries retry --parked"),
        ("endpoints", "roundsman endpoints disable ops"),
    ] {
        let text = said(roundsman(&root, [command, "--help"]), 0);
        assert!(text.contains(needle), "{text}");
    }
}
