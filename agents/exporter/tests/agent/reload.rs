//! Other settings while it runs.

use rustix::process::Signal;

use crate::support::{Exporter, sound_root, start, start_with};

const UNITS_OFF: &str = "\n[units]\nenabled = false\n";

/// Reloads with another file; returns the status that follows.
fn reload(exporter: &Exporter, toml: &str) -> String {
    exporter
        .root
        .config("exporter", &format!("{toml}{UNITS_OFF}"));
    exporter.process.signal(Signal::HUP).unwrap();
    exporter
        .manager
        .wait_for("the reload", |n| n.is("RELOADING", "1"));
    exporter
        .manager
        .wait_ready()
        .get("STATUS")
        .unwrap()
        .to_owned()
}

#[test]
fn a_good_file_is_followed_and_a_broken_one_is_not() {
    let exporter = start(sound_root(""));
    assert!(exporter.page().has("node_load1"));
    let status = reload(&exporter, "[collectors]\ndisable = ['loadavg']");
    assert!(status.starts_with("configuration reloaded"), "{status}");
    assert!(!exporter.page().has("node_load1"));

    let status = reload(&exporter, "[collectors]\ndisable = ['nothing']\nfoo = 1");
    assert!(status.contains("old configuration is in force"), "{status}");
    assert!(!exporter.page().has("node_load1"));

    let status = reload(
        &exporter,
        "[cycles]\nenabled = false\n[registries]\nenabled = false",
    );
    assert!(status.starts_with("configuration reloaded"), "{status}");
    let page = exporter.page();
    assert!(page.has("node_load1") && !page.has("roundsman_cycle_outcome"));

    let status = reload(&exporter, "");
    assert!(status.starts_with("configuration reloaded"), "{status}");
    assert!(exporter.page().has("node_load1"));
    let (_, output) = exporter.stop();
    for finding in [
        "collectors.foo: unknown key",
        "there is no collector \"nothing\"",
    ] {
        assert!(
            output.stderr.contains(finding),
            "{finding}\n{}",
            output.stderr
        );
    }
}

#[test]
fn a_token_comes_changes_and_goes() {
    let exporter = start_with(sound_root(""), |command| {
        command
            .credential("a", "first")
            .credential("b", "not a token")
    });
    let status = |token: &str| {
        let fields = format!("Authorization: Bearer {token}\r\n");
        exporter.get("/metrics", &fields).status
    };
    assert_eq!(status("none"), 200);
    reload(&exporter, "token = { credential = 'a' }");
    assert_eq!((status("first"), status("none")), (200, 401));
    exporter.root.write("/credentials/a", "second");
    reload(&exporter, "token = { credential = 'a' }");
    assert_eq!((status("second"), status("first")), (200, 401));
    let refused = reload(&exporter, "token = { credential = 'b' }");
    assert!(refused.contains("old configuration"), "{refused}");
    let refused = reload(&exporter, "token = { credential = 'missing' }");
    assert!(refused.contains("old configuration"), "{refused}");
    assert_eq!(status("second"), 200);
    reload(&exporter, "");
    assert_eq!(status("none"), 200);
    exporter.stop();
}

#[test]
fn what_needs_a_restart_is_refused_with_its_remedy() {
    let exporter = start(sound_root(""));
    let refused = reload(&exporter, "connections = 7");
    assert!(refused.contains("old configuration"), "{refused}");
    let (_, output) = exporter.stop();
    let remedy = "systemctl restart roundsman-exporter.service";
    assert!(output.stderr.contains(remedy), "{}", output.stderr);
}
