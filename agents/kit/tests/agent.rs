//! The life of an agent, seen from outside: the example `minimal` under a stand-in manager.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use roundsman_tests::{AgentCommand, PATIENCE, Process, Root};
use rustix::process::Signal;

fn minimal(root: &Root) -> AgentCommand {
    std::fs::create_dir_all(root.at("/run/roundsman/minimal")).unwrap();
    AgentCommand::new(root, "examples/minimal")
}

fn signal(process: &Process, signal: Signal) {
    process.signal(signal).unwrap();
}

/// What the agent's registry shows, if it is there.
fn registry(root: &Root) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(root.at("/run/roundsman/minimal/metrics.sock"))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

#[test]
fn an_agent_gets_ready_pings_reloads_and_stops() {
    let root = Root::new();
    root.config("minimal", "every = '20ms'");
    let manager = root.manager();
    let process = minimal(&root)
        .manager(&manager)
        .watchdog(Duration::from_millis(100))
        .spawn();
    let ready = manager.wait_ready();
    assert_eq!(ready.get("STATUS"), Some("a round every 20ms"));
    manager.wait_for("a watchdog ping", |n| n.is("WATCHDOG", "1"));
    manager.wait_for("a second ping", |n| n.is("WATCHDOG", "1"));
    manager.wait_for("rounds", |n| {
        n.get("STATUS").is_some_and(|s| s.ends_with("rounds"))
    });

    root.config("minimal", "every = '2h'");
    signal(&process, Signal::HUP);
    let reloading = manager.wait_for("the reload", |n| n.is("RELOADING", "1"));
    let stamp: u64 = reloading.get("MONOTONIC_USEC").unwrap().parse().unwrap();
    assert!(stamp > 0);
    let done = manager.wait_ready();
    assert!(
        done.get("STATUS")
            .unwrap()
            .starts_with("configuration reloaded"),
        "{done:?}"
    );

    root.config("minimal", "every = '0s'\nevry = 1");
    signal(&process, Signal::HUP);
    manager.wait_for("the second reload", |n| n.is("RELOADING", "1"));
    let refused = manager.wait_ready();
    assert!(
        refused
            .get("STATUS")
            .unwrap()
            .contains("old configuration is in force")
    );

    signal(&process, Signal::TERM);
    manager.wait_for("the end", |n| n.is("STOPPING", "1"));
    let output = process.wait(PATIENCE).expect_code(0);
    assert!(
        output.stderr.contains("minimal.toml: evry: unknown key"),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("minimal.toml: every: is too short"),
        "{}",
        output.stderr
    );
}

#[test]
fn its_registry_answers_while_it_runs() {
    let root = Root::new();
    let manager = root.manager();
    let process = minimal(&root).manager(&manager).spawn();
    manager.wait_ready();
    let page = registry(&root).unwrap();
    assert!(page.contains("minimal_rounds_total 0"), "{page}");
    assert!(
        page.contains("roundsman_build_info{agent=\"minimal\""),
        "{page}"
    );
    process.stop(PATIENCE).expect_code(0);
}

#[test]
fn an_agent_works_and_stops_although_nobody_reads_its_notifications() {
    let root = Root::new();
    root.config("minimal", "every = '1ms'");
    let manager = root.manager();
    let process = minimal(&root)
        .manager(&manager)
        .watchdog(Duration::from_millis(100))
        .spawn();
    // Each round is another status; far more than the kernel keeps unread.
    let rounds = || -> Option<u32> {
        let page = registry(&root).ok()?;
        let mut lines = page.lines();
        lines.find_map(|line| line.strip_prefix("minimal_rounds_total ")?.parse().ok())
    };
    let until = Instant::now() + PATIENCE;
    while rounds().is_none_or(|rounds| rounds < 2000) {
        assert!(Instant::now() < until, "{:?} rounds", rounds());
    }
    let output = process.stop(PATIENCE).expect_code(0);
    let told = output.stderr.matches("service manager cannot be told");
    assert_eq!(told.count(), 1, "{output:?}");
    assert!(manager.seen().is_empty());
}

#[test]
fn a_refused_configuration_starts_nothing_and_exits_78() {
    let root = Root::new();
    root.config("minimal", "every = 60");
    let manager = root.manager();
    let output = minimal(&root).manager(&manager).run().expect_code(78);
    assert!(
        output
            .stderr
            .contains("minimal.toml: every: found the number 60"),
        "{output:?}"
    );
    assert!(
        manager.seen().is_empty(),
        "a refused agent tells the manager nothing"
    );
    assert!(!root.at("/run/roundsman/minimal/metrics.sock").exists());

    let checked = minimal(&root)
        .args(["--check-config", "--json"])
        .run()
        .expect_code(78);
    let checked: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(checked["findings"][0]["key"], "every");
    assert_eq!(
        checked["findings"][0]["remedy"],
        "expected a span such as \"90s\" or \"5m\""
    );
}

#[test]
fn a_missing_credential_is_told_with_its_remedy() {
    let root = Root::new();
    root.config("minimal", "token = { credential = 'pitcher' }");
    minimal(&root).arg("--check-config").run().expect_code(0);
    let output = minimal(&root).run().expect_code(78);
    assert!(
        output.stderr.contains("credential \"pitcher\" is missing"),
        "{output:?}"
    );
    assert!(
        output
            .stderr
            .contains("roundsman credential add minimal pitcher"),
        "{output:?}"
    );

    let manager = root.manager();
    let process = minimal(&root)
        .credential("pitcher", "s3cret\n")
        .manager(&manager)
        .spawn();
    manager.wait_ready();
    let output = process.stop(PATIENCE).expect_code(0);
    assert!(!output.stderr.contains("s3cret"), "{output:?}");
}

#[test]
fn the_command_line_is_the_same_for_every_agent() {
    let root = Root::new();
    let version = minimal(&root).arg("--version").run().expect_code(0);
    assert_eq!(
        version.stdout.trim(),
        format!("roundsman-minimal {}", env!("CARGO_PKG_VERSION"))
    );
    minimal(&root).arg("--help").run().expect_code(0);
    minimal(&root).arg("--every=1s").run().expect_code(64);

    root.write("/elsewhere/etc/roundsman/minimal.toml", "every = '7m'");
    let elsewhere = root.at("/elsewhere");
    let dump = minimal(&root)
        .arg("--dump-config")
        .arg("--config-root")
        .arg(&elsewhere);
    let dump = dump
        .env("ROUNDSMAN_MINIMAL__LOG_LEVEL", "debug")
        .run()
        .expect_code(0);
    let file = elsewhere.join("etc/roundsman/minimal.toml");
    assert!(
        dump.stdout
            .contains(&format!("every = \"7m\"  # {}", file.display())),
        "{dump:?}"
    );
    assert!(
        dump.stdout
            .contains("log_level = \"debug\"  # ROUNDSMAN_MINIMAL__LOG_LEVEL"),
        "{dump:?}"
    );
}
