use std::process::{Command, Stdio};
use std::time::Duration;

use roundsman_kit::Class;
use roundsman_store::Store;
use roundsman_store::cycle::{self, NewCycle, Outcome};
use roundsman_store::event::{NewEvent, Severity};
use roundsman_tests::{PATIENCE, Process, Root};
use serde_json::{Map, Value};

use super::{nested, now, publish, roundsman, said, store};

/// A cycle that ended so long ago.
fn record(store: &mut Store, unit: &str, ago: Duration, outcome: Outcome, sentence: &str) {
    let finished = now().minus(ago);
    let cycle = NewCycle {
        unit,
        started: finished.minus(Duration::from_millis(40)),
        finished,
        outcome,
        class: (outcome == Outcome::Failed).then_some(Class::Unavailable),
        sentence,
        figures: Map::new(),
    };
    store.write(|tx| cycle::record(tx, &cycle)).unwrap();
}

/// Units of two agents and a template, and cycles of three.
fn suite(root: &Root) -> Store {
    root.config("common", "host = \"web1\"\n");
    for unit in [
        "hostmetrics.service",
        "hostmetrics.timer",
        "beacon@.service",
        "exporter.service",
        "exporter.socket",
    ] {
        root.write(
            format!("/usr/lib/systemd/system/roundsman-{unit}"),
            "[Unit]\n",
        );
    }
    let mut store = store(root);
    let ago = Duration::from_secs(2 * 3600 + 5 * 60 + 20);
    record(
        &mut store,
        "hostmetrics",
        ago,
        Outcome::Ok,
        "14 subjects read",
    );
    record(
        &mut store,
        "beacon@prod",
        ago,
        Outcome::Ok,
        "3 objects\u{1b}[2J",
    );
    store
}

#[test]
fn without_a_service_manager_it_shows_the_rest_and_says_what_is_missing() {
    let root = Root::new();
    drop(suite(&root));
    let text = said(roundsman(&root, ["status"]), 4);
    let (head, table) = text.split_once("\n\n").unwrap();
    assert!(
        head.starts_with("web1 nothing is known to be wrong, but not everything could be seen\n"),
        "{head}"
    );
    assert!(head.contains("  store   "), "{head}");
    assert!(
        head.contains("  unseen  state of units: asking systemd: there is no"),
        "{head}"
    );
    assert_eq!(
        table,
        "AGENT        STATE  BOOT  LAST CYCLE   NEXT\n\
         beacon@prod  -      -     2h 5min ago  -     3 objects\\x1b[2J\n\
         exporter     -      -     -            -\n\
         hostmetrics  -      -     2h 5min ago  -     14 subjects read\n"
    );
}

#[test]
fn a_failed_cycle_is_counted_named_and_gives_exit_code_3() {
    let root = Root::new();
    let mut store = suite(&root);
    for _ in 0..3 {
        record(
            &mut store,
            "exporter",
            Duration::ZERO,
            Outcome::Failed,
            "no bus",
        );
    }
    let text = said(roundsman(&root, ["status"]), 3);
    assert!(text.starts_with("web1 not all is well\n"), "{text}");
    assert!(
        text.contains("failed 3 times (unavailable): no bus"),
        "{text}"
    );

    record(
        &mut store,
        "exporter",
        Duration::ZERO,
        Outcome::Degraded,
        "2 of 3 sources",
    );
    let text = said(roundsman(&root, ["status"]), 3);
    assert!(text.contains("degraded: 2 of 3 sources"), "{text}");
}

#[test]
fn recent_events_that_matter_are_shown() {
    let root = Root::new();
    let mut store = suite(&root);
    let event = |ago: u64, severity, message| {
        let at = now().minus(Duration::from_secs(ago));
        let event = NewEvent::occurred(at, "failure", "failure.unit");
        event.severity(severity).message(message)
    };
    publish(
        &mut store,
        &event(60, Severity::Error, "nginx.service failed"),
    );
    publish(&mut store, &event(60, Severity::Notice, "quiet"));
    publish(
        &mut store,
        &event(90_000, Severity::Error, "of the day before"),
    );
    let text = said(roundsman(&root, ["status"]), 4);
    assert!(
        text.contains("\nLast day, warning or worse (more: roundsman events)\n"),
        "{text}"
    );
    assert!(
        text.contains("err     failure.unit nginx.service failed\n"),
        "{text}"
    );
    assert!(
        !text.contains("quiet") && !text.contains("of the day before"),
        "{text}"
    );
}

#[test]
fn json_is_one_object_with_everything() {
    let root = Root::new();
    drop(suite(&root));
    let text = said(roundsman(&root, ["status", "--json"]), 4);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert_eq!(report["host"], "web1");
    assert_eq!(report["state"], "unknown");
    assert_eq!(report["target"], Value::Null);
    assert_eq!(report["store"]["events_total"], 0);
    let agents = report["agents"].as_array().unwrap();
    let names: Vec<_> = agents
        .iter()
        .map(|agent| agent["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["beacon@prod", "exporter", "hostmetrics"]);
    assert_eq!(agents[0]["cycle"]["sentence"], "3 objects\u{1b}[2J");
    assert_eq!(agents[2]["units"][1]["name"], "roundsman-hostmetrics.timer");
}

#[test]
fn a_strange_row_is_left_out_and_named_and_the_rest_is_shown() {
    let root = Root::new();
    let mut store = suite(&root);
    let odd = NewCycle {
        unit: "odd",
        started: now(),
        finished: now(),
        outcome: Outcome::Ok,
        class: None,
        sentence: "",
        figures: Map::from_iter([("a".to_owned(), nested())]),
    };
    store.write(|tx| cycle::record(tx, &odd)).unwrap();
    let output = roundsman(&root, ["status"]).run().expect_code(4);
    assert!(output.stdout.contains("14 subjects read"), "{output}");
    let named = "row unit=odd of table cycle is left out: column figures";
    assert_eq!(output.stderr.matches(named).count(), 1, "{output}");
    for command in [&["status", "--json"][..], &["store", "status", "--json"]] {
        let json = root.ctl().args(command).run().stdout;
        let report: Value = serde_json::from_str(&json).unwrap();
        let unreadable = report["unreadable"].as_array().unwrap();
        assert_eq!(unreadable.len(), 1, "{json}");
        assert!(unreadable[0].as_str().unwrap().starts_with(named), "{json}");
    }
    // Agents that nobody could look for are not said to be none.
    let other = Root::new();
    self::store(&other)
        .write(|tx| cycle::record(tx, &odd))
        .unwrap();
    let text = said(roundsman(&other, ["status"]), 4);
    assert!(text.contains("No agent could be seen"), "{text}");
}

#[test]
fn a_store_that_is_empty_is_a_note_and_one_that_is_gone_is_wrong() {
    let root = Root::new();
    let text = said(roundsman(&root, ["status"]), 4);
    assert!(text.contains("  note    the store "), "{text}");
    assert!(text.contains("No agent is installed here."), "{text}");
    std::fs::remove_file(root.store()).unwrap();
    let text = said(roundsman(&root, ["status"]), 3);
    assert!(text.contains("  wrong   the store "), "{text}");
    assert!(!text.contains("No agent is installed"), "{text}");
}

#[test]
fn a_refused_configuration_is_named_with_file_and_key() {
    let root = Root::new();
    root.config("common", "store = 5\n");
    let text = said(roundsman(&root, ["status"]), 3);
    assert!(text.contains("common.toml: store: "), "{text}");
    let output = roundsman(&root, ["samples"]).run().expect_code(78);
    assert!(output.stderr.contains("common.toml: store: "), "{output}");
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let root = Root::new();
    drop(suite(&root));
    let shown = |no_colour: &str| {
        let mut command = Command::new("script");
        command
            .args(["-q", "-e", "-c", "\"$PROGRAM\" status", "/dev/null"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm")
            .env("PROGRAM", env!("CARGO_BIN_EXE_roundsman"))
            .env("ROUNDSMAN_ROOT", root.path())
            .stdin(Stdio::null());
        if !no_colour.is_empty() {
            command.env("NO_COLOR", no_colour);
        }
        Process::spawn(&mut command, None)
            .unwrap()
            .wait(PATIENCE)
            .expect_code(4)
            .stdout
    };
    let coloured = shown("");
    assert!(coloured.contains("\u{1b}[1mweb1"), "{coloured:?}");
    assert!(!coloured.contains("\u{1b}[2J"), "{coloured:?}");
    assert!(!shown("1").contains('\u{1b}'));
    assert!(!said(roundsman(&root, ["status"]).env("TERM", "xterm"), 4).contains('\u{1b}'));
}
