use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

use roundsman_tests::{Output, PATIENCE, Process, Root};
use serde_json::Value;

use super::store;

/// A tree in which all is well, and in it the command as it is installed, with one agent.
struct Host {
    root: Root,
}

const PROGRAM: &str = "/opt/libexec/roundsman/roundsman-minimal";
const SOUND: &str = r#"{"values": {}, "origins": {}, "credentials": ["token"]}"#;
const DROP_IN: &str = "/etc/systemd/system/roundsman-minimal.service.d/50-credential-token.conf";

impl Host {
    fn new() -> Self {
        let root = Root::new();
        drop(store(&root));
        let gid = root.store().metadata().unwrap().gid();
        root.write("/etc/group", format!("roundsman:x:{gid}:\n"));
        root.write(
            "/opt/bin/roundsman",
            fs::read(env!("CARGO_BIN_EXE_roundsman")).unwrap(),
        );
        root.mode("/opt/bin/roundsman", 0o755);
        root.write(
            "/usr/lib/systemd/system/roundsman-minimal.service",
            "[Service]\n",
        );
        root.write(DROP_IN, "[Service]\nLoadCredential=token:/etc/secret\n");
        root.write("/etc/secret", "x");
        let host = Self { root };
        host.answers(SOUND, 0);
        host
    }

    /// What the agent's program says when it is asked for its configuration.
    fn answers(&self, json: &str, code: i32) {
        let script = format!("#!/bin/sh\ncat <<'EOF'\n{json}\nEOF\nexit {code}\n");
        self.root.write(PROGRAM, script);
        self.root.mode(PROGRAM, 0o755);
    }

    fn check(&self, args: &[&str]) -> Output {
        let mut command = Command::new(self.root.at("/opt/bin/roundsman"));
        command
            .arg("check")
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("ROUNDSMAN_ROOT", self.root.path())
            .stdin(Stdio::null());
        Process::spawn(&mut command, None).unwrap().wait(PATIENCE)
    }

    /// The one finding, as `part file key`, with the tree's path taken off.
    #[track_caller]
    fn finding(&self) -> (String, String) {
        let output = self.check(&["--json"]).expect_code(78);
        let report: Value = serde_json::from_str(&output.stdout).unwrap();
        let findings = report["findings"].as_array().unwrap();
        assert_eq!(findings.len(), 1, "{output}");
        let word = |key: &str| findings[0][key].as_str().unwrap().to_owned();
        let root = self.root.path().to_str().unwrap();
        let file = word("file").replace(root, "");
        (
            format!("{} {file} {}", word("part"), word("key")),
            format!("{} ({})", word("reason"), word("remedy")),
        )
    }
}

#[test]
fn a_sound_host_has_no_findings_and_says_what_was_not_looked_at() {
    let host = Host::new();
    let output = host.check(&[]).expect_code(0);
    let (notes, end) = output.stdout.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(end, "no findings");
    assert_eq!(notes.lines().count(), 1, "{output}");
    assert!(
        notes.starts_with("not checked: unit: effective settings"),
        "{output}"
    );

    let verbose = host.check(&["-v"]).expect_code(0).stdout;
    for line in [
        "ok: config: minimal\n",
        "ok: credential: token of roundsman-minimal.service\n",
    ] {
        assert!(verbose.contains(line), "{verbose}");
    }
}

#[test]
fn findings_of_an_agent_come_with_file_key_and_remedy() {
    let host = Host::new();
    let finding = r#"{"findings": [{"file": "/etc/roundsman/minimal.toml", "key": "a.b",
        "reason": "is\u001b[2J too short", "remedy": "write 1ms or more"}]}"#;
    host.answers(finding, 78);
    let output = host.check(&[]).expect_code(78);
    let line = "config: /etc/roundsman/minimal.toml: a.b: is\\x1b[2J too short (write 1ms or more)";
    assert_eq!(output.stdout.lines().next(), Some(line));
    assert!(output.stdout.ends_with("1 finding\n"), "{output}");
}

#[test]
fn items_that_an_agent_leaves_out_are_findings_and_the_rest_is_looked_at() {
    let host = Host::new();
    let mut answer: Value = serde_json::from_str(SOUND).unwrap();
    answer["findings"] = serde_json::json!([{
        "file": "/etc/roundsman/minimal.d/a.toml",
        "key": "endpoints.a.url",
        "reason": "is no http URL",
        "remedy": "write one",
    }]);
    host.answers(&answer.to_string(), 0);
    let (place, why) = host.finding();
    assert_eq!(
        place,
        "config /etc/roundsman/minimal.d/a.toml endpoints.a.url"
    );
    assert_eq!(why, "is no http URL (write one)");
    let verbose = host.check(&["-v"]).expect_code(78).stdout;
    assert!(!verbose.contains("ok: config: minimal"), "{verbose}");
    assert!(verbose.contains("ok: credential: token"), "{verbose}");
}

#[test]
fn programs_that_are_missing_or_odd_are_findings() {
    let host = Host::new();
    host.answers("no JSON", 1);
    let (place, _) = host.finding();
    assert_eq!(place, format!("config {PROGRAM} --dump-config"));

    fs::remove_file(host.root.at(PROGRAM)).unwrap();
    let (place, _) = host.finding();
    assert_eq!(place, "unit roundsman-minimal.service ExecStart");
}

#[test]
fn credentials_are_told_apart_by_what_is_missing() {
    let host = Host::new();
    let place = "credential roundsman-minimal.service LoadCredential=token";
    fs::remove_file(host.root.at("/etc/secret")).unwrap();
    let (found, why) = host.finding();
    assert_eq!(found, place);
    assert!(
        why.starts_with("the file or store that it is loaded from does not have it"),
        "{why}"
    );

    // Nor would the unit start if nobody named it.
    host.answers(&SOUND.replace("\"token\"", ""), 0);
    assert_eq!(host.finding().0, place);
    host.answers(SOUND, 0);

    fs::remove_file(host.root.at(DROP_IN)).unwrap();
    let (found, why) = host.finding();
    assert_eq!(found, place);
    assert_eq!(
        why,
        "the configuration names this credential, the unit is not given it \
         (roundsman credential add minimal token)"
    );
}

#[test]
fn modes_types_and_groups_of_files_are_findings() {
    let host = Host::new();
    for (path, wrong, right, reason) in [
        ("/run/roundsman/bell", 0o640, 0o660, "keeps the group out"),
        ("/run/roundsman/ticket", 0o666, 0o660, "lets everybody in"),
        (
            "/run/roundsman/metrics",
            0o2770,
            0o3770,
            "keeps the group out",
        ),
        ("/run/roundsman", 0o0750, 0o2750, "keeps the group out"),
        ("/var/lib/roundsman", 0o2775, 0o2770, "lets everybody in"),
        (
            "/var/lib/roundsman/roundsman.db",
            0o600,
            0o660,
            "keeps the group out",
        ),
    ] {
        host.root.mode(path, wrong);
        let (place, why) = host.finding();
        assert_eq!(place, format!("file {path} "));
        assert!(why.contains(reason), "{why}");
        host.root.mode(path, right);
    }
    fs::remove_file(host.root.at("/run/roundsman/bell")).unwrap();
    let (place, why) = host.finding();
    assert_eq!(place, "file /run/roundsman/bell ");
    assert!(why.contains("systemd-tmpfiles --create"), "{why}");
    fs::create_dir(host.root.at("/run/roundsman/bell")).unwrap();
    assert!(host.finding().1.contains("not a file"));
    fs::remove_dir(host.root.at("/run/roundsman/bell")).unwrap();
    host.root.write("/run/roundsman/bell", "");
    host.root.mode("/run/roundsman/bell", 0o660);

    host.root.write("/etc/group", "roundsman:x:4242:\n");
    let output = host.check(&[]).expect_code(78);
    let wrong = output
        .stdout
        .matches("belongs to the group with the id")
        .count();
    assert_eq!(wrong, 7, "{output}");
    host.root.write("/etc/group", "root:x:0:\n");
    assert_eq!(host.finding().0, "account /etc/group roundsman");
}

#[test]
fn a_directory_that_others_use_is_not_to_be_changed_for_the_store() {
    let host = Host::new();
    let copy = |to: &str| {
        fs::create_dir_all(host.root.at(to).parent().unwrap()).unwrap();
        fs::copy(host.root.store(), host.root.at(to)).unwrap();
        host.root.mode(to, 0o660);
        host.root.config("common", &format!("store = \"{to}\"\n"));
    };
    copy("/srv/roundsman.db");
    host.root.mode("/srv", 0o755);
    // Ours alone: its mode may be changed.
    let (place, why) = host.finding();
    assert_eq!(place, "file /srv ");
    assert!(why.contains("chmod 2770 "), "{why}");

    host.root.write("/srv/www/index.html", "");
    let (place, why) = host.finding();
    assert_eq!(place, "file /srv ");
    assert!(!why.contains("chmod") && !why.contains("chown"), "{why}");
    assert!(why.contains("a directory of its own: install -d"), "{why}");
    let own = host.root.at("/srv/roundsman;");
    assert!(why.contains(own.to_str().unwrap()), "{why}");

    copy("/srv/rm/other.db");
    host.root.mode("/srv/rm", 0o2770);
    host.check(&[]).expect_code(0);
}

#[test]
fn a_damaged_or_foreign_store_is_a_finding_and_an_empty_one_is_not() {
    let host = Host::new();
    let db = host.root.store();
    for side in ["-wal", "-shm"] {
        let mut name = db.clone().into_os_string();
        name.push(side);
        // Closing the last connection has removed them already where it could.
        let _ = fs::remove_file(name);
    }
    fs::write(
        &db,
        b"this is no database, however long one looks at it; not at all".repeat(99),
    )
    .unwrap();
    let (place, why) = host.finding();
    assert_eq!(place, "store  ");
    assert!(why.contains("damaged or not a database"), "{why}");

    fs::write(&db, "").unwrap();
    let output = host.check(&[]).expect_code(0);
    assert!(
        output.stdout.contains("it is empty: no agent has run yet"),
        "{output}"
    );
}

#[test]
fn a_refused_common_configuration_is_a_finding() {
    let host = Host::new();
    host.root.config("common", "stor = \"/x\"\n");
    let output = host.check(&[]).expect_code(78);
    assert!(
        output.stdout.contains("common.toml: stor: unknown key"),
        "{output}"
    );
}

#[test]
fn a_permission_bit_of_the_program_decides_whether_it_is_one() {
    let host = Host::new();
    let file = host.root.at(PROGRAM);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(host.finding().0, "unit roundsman-minimal.service ExecStart");
}
