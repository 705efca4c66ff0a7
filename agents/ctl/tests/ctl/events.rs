use std::process::{Command, Stdio};
use std::time::Duration;

use roundsman_kit::clock::Timestamp;
use roundsman_store::event::{NewEvent, Severity};
use roundsman_tests::{PATIENCE, Process, Root};
use serde_json::Value;

use super::{nested, now, publish, roundsman, said, store};

/// 2026-11-20T18:00:00Z
const AT: Timestamp = Timestamp(1_795_197_600_000);

fn after(secs: u64) -> Timestamp {
    AT.plus(Duration::from_secs(secs))
}

/// Three events, a second apart.
fn three(root: &Root) {
    let mut store = store(root);
    publish(
        &mut store,
        &NewEvent::occurred(AT, "logscan", "logscan.hit")
            .message("out of memory")
            .subject("nginx.service"),
    );
    publish(
        &mut store,
        &NewEvent::firing(after(1), "hostmetrics", "hostmetrics.disk", "disk:/var")
            .severity(Severity::Warning)
            .subject("/var")
            .message("/var is 93 % full")
            .label("host", "web1")
            .datum("used_percent", 93.5),
    );
    publish(
        &mut store,
        &NewEvent::occurred(after(2), "failure", "failure.unit")
            .severity(Severity::Error)
            .message("nginx.service failed: exit-code"),
    );
}

#[test]
fn short_lines_hold_time_severity_kind_state_subject_and_message() {
    let root = Root::new();
    three(&root);
    assert_eq!(
        said(roundsman(&root, ["events"]), 0),
        "2026-11-20 18:00:00 info    logscan.hit nginx.service: out of memory\n\
         2026-11-20 18:00:01 warning hostmetrics.disk firing /var is 93 % full\n\
         2026-11-20 18:00:02 err     failure.unit nginx.service failed: exit-code\n"
    );
}

#[test]
fn filters_select_and_the_order_can_be_turned() {
    let root = Root::new();
    three(&root);
    let kinds = |args: &[&str]| -> Vec<String> {
        let lines = said(root.ctl().args(["events", "-o", "json"]).args(args), 0);
        let kind = |line: &str| {
            let event: Value = serde_json::from_str(line).unwrap();
            event["kind"].as_str().unwrap().to_owned()
        };
        lines.lines().map(kind).collect()
    };
    let all = ["logscan.hit", "hostmetrics.disk", "failure.unit"];
    assert_eq!(kinds(&[]), all);
    assert_eq!(
        kinds(&["-r"]),
        ["failure.unit", "hostmetrics.disk", "logscan.hit"]
    );
    assert_eq!(kinds(&["-n", "1"]), ["failure.unit"]);
    assert_eq!(kinds(&["-n", "all"]), all);
    assert_eq!(kinds(&["--kind", "hostmetrics.*"]), ["hostmetrics.disk"]);
    let two = kinds(&["--kind", "log*", "--kind", "failure.unit"]);
    assert_eq!(two, ["logscan.hit", "failure.unit"]);
    assert_eq!(
        kinds(&["--severity", "warning"]),
        ["hostmetrics.disk", "failure.unit"]
    );
    assert_eq!(kinds(&["-p", "3"]), ["failure.unit"]);
    assert_eq!(kinds(&["--agent", "logscan"]), ["logscan.hit"]);
    assert_eq!(kinds(&["--since", "2026-11-20T18:00:01Z"]), all[1..]);
    assert_eq!(kinds(&["--until", "2026-11-20T18:00:01Z"]), all[..2]);
    assert_eq!(
        kinds(&["--until", "2026-11-20T18:00:01Z", "-n", "1"]),
        all[1..2]
    );
    assert_eq!(
        kinds(&["--since", "1970-01-02", "--until", "2026-01-01"]),
        [""; 0]
    );
}

#[test]
fn json_holds_the_whole_row_and_verbose_every_field() {
    let root = Root::new();
    three(&root);
    let line = said(
        roundsman(
            &root,
            ["events", "--kind", "hostmetrics.disk", "-o", "json"],
        ),
        0,
    );
    let event: Value = serde_json::from_str(&line).unwrap();
    for (key, value) in [
        ("at", Value::from(after(1).as_millis())),
        ("time", "2026-11-20T18:00:01.000Z".into()),
        ("agent", "hostmetrics".into()),
        ("state", "firing".into()),
        ("severity", "warning".into()),
        ("level", 4.into()),
        ("correlation", "disk:/var".into()),
        ("labels", serde_json::json!({"host": "web1"})),
        ("data", serde_json::json!({"used_percent": 93.5})),
    ] {
        assert_eq!(event[key], value, "{key} of {event}");
    }
    let text = said(
        roundsman(&root, ["events", "--kind", "host*", "-o", "verbose"]),
        0,
    );
    for line in [
        "    subject=/var\n",
        "    labels.host=web1\n",
        "    data.used_percent=93.5\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn what_an_event_says_never_commands_the_terminal() {
    let root = Root::new();
    let nasty = "a\u{1b}]0;owned\u{7}b\u{9b}2Jc\nd\u{202e}e";
    publish(
        &mut store(&root),
        &NewEvent::occurred(AT, "logscan", "logscan.hit")
            .message(nasty)
            .subject("x\u{1b}[31m")
            .label("l\u{1b}", "v\u{7f}")
            .datum("d", "\u{1b}c"),
    );
    for format in ["short", "verbose", "json"] {
        let text = said(roundsman(&root, ["events", "-o", format]), 0);
        let is_bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(is_bad), "{format}: {text:?}");
        if format == "json" {
            let event: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(event["message"], nasty);
        }
    }
    let text = said(roundsman(&root, ["events"]), 0);
    assert!(
        text.contains(r"a\x1b]0;owned\x07b\u{9b}2Jc\nd\u{202e}e"),
        "{text}"
    );
}

/// `roundsman ARGS…` with its standard output going where [`Process`] can wait for lines.
fn following(root: &Root, script: &str, args: &[&str]) -> Process {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", script])
        .arg(env!("CARGO_BIN_EXE_roundsman"))
        .args(args)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("ROUNDSMAN_ROOT", root.path())
        .stdin(Stdio::null());
    Process::spawn(&mut command, None).unwrap()
}

#[test]
fn following_shows_the_last_ones_and_then_each_as_it_is_committed() {
    let root = Root::new();
    three(&root);
    let script = "exec \"$0\" \"$@\" >&2";
    let process = following(&root, script, &["events", "-f", "--kind", "logscan.*"]);
    process.wait_for_stderr("out of memory", PATIENCE);
    let mut store = store(&root);
    // Below the 10 s after which it would look without being rung.
    let soon = Duration::from_secs(8);
    for word in ["first", "second"] {
        let hidden = NewEvent::occurred(now(), "other", "other.kind").message("hidden");
        publish(&mut store, &hidden);
        let event = NewEvent::occurred(now(), "logscan", "logscan.hit").message(word);
        publish(&mut store, &event);
        process.wait_for_stderr(word, soon);
    }
    let text = process.stderr();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(!text.contains("hidden"), "{text}");
}

#[test]
fn following_shows_each_event_once_however_many_come_meanwhile() {
    let root = Root::new();
    let mut store = store(&root);
    let many = |store: &mut roundsman_store::Store, n: u32| {
        let filler = NewEvent::occurred(AT, "logscan", "logscan.hit").message("filler");
        let all = store.publish(|tx| {
            for _ in 0..n {
                roundsman_store::event::insert(tx, &filler)?;
            }
            Ok(())
        });
        all.unwrap();
    };
    many(&mut store, 5000);
    for args in [&["-n", "all"][..], &["-n", "3"]] {
        let script = "exec \"$0\" \"$@\" >&2";
        let all = [&["events", "-f", "-o", "json"], args].concat();
        let process = following(&root, script, &all);
        // Written while the first ones are listed.
        for _ in 0..100 {
            many(&mut store, 5);
        }
        let end = NewEvent::occurred(AT, "logscan", "logscan.hit").message(args.concat());
        publish(&mut store, &end);
        process.wait_for_stderr(&format!("\"{}\"", args.concat()), PATIENCE);
        let text = process.stderr();
        // The last line may not have arrived whole.
        let whole = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
        let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_i64();
        let ids: Vec<_> = whole.lines().map(id).collect();
        let twice: Vec<_> = ids.windows(2).filter(|two| two[0] >= two[1]).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}

#[test]
fn a_strange_row_is_named_once_and_hides_no_other() {
    let root = Root::new();
    let mut store = store(&root);
    let event = |message| NewEvent::occurred(now(), "logscan", "logscan.hit").message(message);
    for (message, is_strange) in [("first", false), ("odd", true), ("last", false)] {
        let event = event(message);
        let event = if is_strange {
            event.datum("d", nested())
        } else {
            event
        };
        publish(&mut store, &event);
    }
    for args in [
        &["events"][..],
        &["events", "-n", "all"],
        &["events", "-o", "json"],
    ] {
        let output = root.ctl().args(args).run().expect_code(0);
        assert_eq!(output.stdout.lines().count(), 2, "{output}");
        let named = output
            .stderr
            .matches("row id=2 of table event is left out: column data");
        assert_eq!(named.count(), 1, "{output}");
    }
    let process = following(&root, "exec \"$0\" \"$@\" >&2", &["events", "-f"]);
    process.wait_for_stderr("last", PATIENCE);
    publish(&mut store, &event("odd again").datum("d", nested()));
    publish(&mut store, &event("after it"));
    process.wait_for_stderr("after it", Duration::from_secs(8));
    assert_eq!(process.stderr().matches("is left out").count(), 2);
}

#[test]
fn following_ends_quietly_when_nobody_reads_on() {
    let root = Root::new();
    three(&root);
    // The pipe's reader leaves after one line, while the command sleeps.
    let script = "{ \"$0\" \"$@\"; echo \"ended with $?\" >&2; } | head -n 1 >/dev/null";
    let process = following(&root, script, &["events", "-f"]);
    let output = process.wait(PATIENCE).expect_code(0);
    assert_eq!(output.stderr, "ended with 0\n");
}

#[test]
fn a_closed_pipe_ends_a_long_listing_quietly() {
    let root = Root::new();
    let mut store = store(&root);
    let event = NewEvent::occurred(AT, "logscan", "logscan.hit").message("x".repeat(400));
    store
        .publish(|tx| {
            for _ in 0..3000 {
                roundsman_store::event::insert(tx, &event)?;
            }
            Ok(())
        })
        .unwrap();
    let script = "{ \"$0\" \"$@\"; echo \"ended with $?\" >&2; } | head -n 1 >/dev/null";
    for args in [&["events", "-n", "all"][..], &["events", "-r", "-n", "all"]] {
        let output = following(&root, script, args).wait(PATIENCE).expect_code(0);
        assert_eq!(output.stderr, "ended with 0\n");
    }
    let count = said(roundsman(&root, ["events", "-n", "all"]), 0)
        .lines()
        .count();
    assert_eq!(count, 3000);
    assert_eq!(said(roundsman(&root, ["events"]), 0).lines().count(), 100);
}

#[test]
fn wrong_arguments_are_refused_with_what_would_do() {
    let root = Root::new();
    for (args, needle) in [
        (["events", "--severity", "loud"], "write emerg"),
        (["events", "--since", "soon"], "write 2026-11-20"),
        (["events", "--lines", "few"], "write a number"),
        (["events", "--follow", "--reverse"], "cannot be used with"),
    ] {
        let output = roundsman(&root, args).run().expect_code(64);
        assert!(output.stderr.contains(needle), "{output}");
    }
}

#[test]
fn a_missing_or_unmigrated_store_is_unavailable_and_says_what_makes_it() {
    let root = Root::new();
    let output = roundsman(&root, ["events"]).run().expect_code(75);
    assert!(
        output.stderr.contains("roundsman-migrate.service"),
        "{output}"
    );
    std::fs::remove_file(root.store()).unwrap();
    let output = roundsman(&root, ["events"]).run().expect_code(75);
    assert!(output.stderr.contains("does not exist"), "{output}");
}

#[test]
fn rows_of_any_time_are_shown_alike_in_every_format() {
    let root = Root::new();
    let mut store = store(&root);
    for at in [-86_400_000, 253_402_300_800_000, i64::MIN, i64::MAX] {
        let event = NewEvent::occurred(Timestamp(at), "logscan", "logscan.hit");
        publish(&mut store, &event);
    }
    drop(store);
    let times = |format: &str| said(roundsman(&root, ["events", "-o", format]), 0);
    let json = times("json");
    let times_of = |line: &str| -> String {
        let event: Value = serde_json::from_str(line).unwrap();
        event["time"].as_str().unwrap().to_owned()
    };
    let json: Vec<_> = json.lines().map(times_of).collect();
    assert_eq!(json[..2], ["1969-12-31T00:00:00.000Z", "253402300800000"]);
    assert_eq!(json.len(), 4);
    let short = times("short");
    assert!(short.starts_with("1969-12-31 00:00:00 info"), "{short}");
    assert_eq!(short.lines().count(), 4);
    said(roundsman(&root, ["status"]), 4);
}

#[test]
fn a_panic_ends_as_a_fault_of_roundsman_itself() {
    // That not even the reason can be written is what panics here.
    let root = Root::new();
    std::fs::remove_file(root.store()).unwrap();
    let script = "\"$0\" \"$@\" 2>/dev/full; echo \"ended with $?\" >&2";
    let output = following(&root, script, &["events"]).wait(PATIENCE);
    assert_eq!(output.stderr, "ended with 70\n");
}
