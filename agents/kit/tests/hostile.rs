//! What an agent makes of surroundings that are not as they should be.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use roundsman_tests::{AgentCommand, PATIENCE, Process, Root, layout};

fn minimal(root: &Root) -> AgentCommand {
    std::fs::create_dir_all(root.at("/run/roundsman/minimal")).unwrap();
    AgentCommand::new(root, "examples/minimal")
}

fn dump_to(root: &Root, stdout: impl Into<Stdio>) -> Output {
    Command::new(layout::program("examples/minimal"))
        .arg("--dump-config")
        .env("ROUNDSMAN_ROOT", root.path())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .output()
        .unwrap()
}

#[test]
fn a_secret_in_the_wrong_place_is_never_printed() {
    let root = Root::new();
    root.config("minimal", "token = 's3cret'");
    let remedy = "write token = { credential = \"NAME\" }";
    for args in [&["--check-config"][..], &["--check-config", "--json"], &[]] {
        let output = minimal(&root).args(args).run().expect_code(78);
        let printed = format!("{}{}", output.stdout, output.stderr);
        assert!(!printed.contains("s3cret"), "{printed}");
        let remedy = if args.len() == 2 {
            "write token = {"
        } else {
            remedy
        };
        assert!(printed.contains(remedy), "{printed}");
    }
    root.config("minimal", "");
    let output = minimal(&root)
        .env("ROUNDSMAN_MINIMAL__TOKEN", "s3cret")
        .run()
        .expect_code(78);
    assert!(!output.stderr.contains("s3cret"), "{output:?}");
    assert!(
        output
            .stderr
            .contains("ROUNDSMAN_MINIMAL__TOKEN: token: the secret itself")
    );
}

#[test]
fn each_kind_of_bad_credential_has_its_own_remedy() {
    let root = Root::new();
    root.config("minimal", "token = { credential = 'pitcher' }");
    let empty = minimal(&root).credential("pitcher", "\n").run();
    let empty = empty.expect_code(78).stderr;
    assert!(
        empty.contains("\"pitcher\" is empty (put the secret in:"),
        "{empty}"
    );

    std::fs::remove_file(root.at("/credentials/pitcher")).unwrap();
    std::fs::create_dir(root.at("/credentials/pitcher")).unwrap();
    let unreadable = minimal(&root).credential("other", "x").run();
    let unreadable = unreadable.expect_code(78).stderr;
    let expect = "\"pitcher\" cannot be read: Is a directory";
    assert!(unreadable.contains(expect), "{unreadable}");
    assert!(
        unreadable.contains("check that LoadCredential=pitcher"),
        "{unreadable}"
    );

    root.config("minimal", "token = { credential = '../t' }");
    let checked = minimal(&root).arg("--check-config").run().expect_code(78);
    assert!(
        checked
            .stderr
            .contains("etc/roundsman/minimal.toml: token: this is not")
    );
}

#[test]
fn a_closed_pipe_is_quiet_and_a_full_disk_is_an_error() {
    let root = Root::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = dump_to(&root, writer);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*stderr), (Some(0), ""));

    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = dump_to(&root, full);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{stderr}");
    assert!(
        stderr.contains("writing to standard output: No space left"),
        "{stderr}"
    );
}

#[test]
fn a_configuration_root_that_is_not_there_is_refused() {
    let root = Root::new();
    let output = minimal(&root).args(["--check-config", "--config-root", "/nowhere/at/all"]);
    let output = output.run().expect_code(78);
    assert!(
        output
            .stderr
            .contains("/nowhere/at/all: there is no such directory")
    );
    let output = minimal(&root)
        .env("ROUNDSMAN_ROOT", "")
        .arg("--check-config");
    output.run().expect_code(0);
}

#[test]
fn one_round_is_made_when_one_is_asked_for() {
    let root = Root::new();
    let manager = root.manager();
    let output = minimal(&root).arg("--once").manager(&manager).run();
    output.expect_code(0);
    manager.wait_ready();
    manager.wait_for("the end", |n| n.is("STOPPING", "1"));
}

#[test]
fn descriptors_that_are_none_are_left_alone() {
    let root = Root::new();
    let manager = root.manager();
    // 3 is /dev/null, 4 is closed until the agent opens something of its own there.
    let process = minimal(&root)
        .env("LISTEN_FDS", "2")
        .watchdog(Duration::from_millis(100))
        .manager(&manager)
        .spawn();
    manager.wait_ready();
    manager.wait_for("a ping", |n| n.is("WATCHDOG", "1"));
    process.stop(PATIENCE).expect_code(0);
}

#[test]
fn a_greedy_peer_does_not_hold_up_the_end() {
    let root = Root::new();
    let manager = root.manager();
    let process = minimal(&root).manager(&manager).spawn();
    manager.wait_ready();
    let socket = root.at("/run/roundsman/minimal/metrics.sock");
    let mut greedy = UnixStream::connect(&socket).unwrap();
    greedy
        .write_all(&b"GET / HTTP/1.1\r\n\r\n".repeat(4000))
        .unwrap();
    let mut huge = UnixStream::connect(&socket).unwrap();
    huge.write_all(b"GET / HTTP/1.0\r\nContent-Length: 9223372036854775807\r\n\r\n")
        .unwrap();

    let second = minimal(&root).run().expect_code(75);
    assert!(
        second.stderr.contains("another process is serving it"),
        "{second:?}"
    );
    assert!(
        second.stderr.contains("stop the other roundsman-minimal"),
        "{second:?}"
    );
    process.stop(PATIENCE).expect_code(0);
    assert!(!socket.exists());
}

#[test]
fn a_manager_that_cannot_be_told_is_named_once() {
    let root = Root::new();
    let output = minimal(&root)
        .env("NOTIFY_SOCKET", "/nowhere/at/all")
        .arg("--once");
    let output = output.run().expect_code(0);
    let told = output
        .stderr
        .matches("cannot be told that the agent is ready");
    assert_eq!(told.count(), 1, "{output:?}");
}

#[test]
fn a_registry_outlives_a_time_without_descriptors() {
    let root = Root::new();
    std::fs::create_dir_all(root.at("/run/roundsman/minimal")).unwrap();
    let manager = root.manager();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "ulimit -n 32; exec \"$0\""])
        .arg(layout::program("examples/minimal"))
        .env("ROUNDSMAN_ROOT", root.path())
        .env("NOTIFY_SOCKET", manager.path());
    let process = Process::spawn(&mut command, None).unwrap();
    manager.wait_ready();
    let socket = root.at("/run/roundsman/minimal/metrics.sock");
    let connect = |_| UnixStream::connect(&socket).unwrap();
    let many: Vec<_> = (0..12).map(connect).collect();
    // accept(2) failed, or tiny_http panicked: that depends on which descriptor was the last.
    process.wait_for_stderr("Too many open files", PATIENCE);
    drop(many);
    let until = Instant::now() + PATIENCE;
    loop {
        let mut stream = connect(0);
        let each = Duration::from_secs(8);
        stream.set_read_timeout(Some(each)).unwrap();
        let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
        let mut page = String::new();
        let read = stream.read_to_string(&mut page);
        if page.contains("minimal_rounds_total") {
            break;
        }
        assert!(Instant::now() < until, "{read:?}: {page}");
    }
    process.stop(PATIENCE).expect_code(0);
}
