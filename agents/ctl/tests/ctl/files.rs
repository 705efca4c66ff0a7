//! What the command writes for systemd to read.

use std::os::unix::fs::PermissionsExt;

use roundsman_tests::Root;

use super::{roundsman, said};

const UNITS: &str = "/usr/lib/systemd/system";

fn host(units: &[&str]) -> Root {
    let root = Root::new();
    for unit in ["roundsman-failure@.service", "nginx.service"]
        .iter()
        .chain(units)
    {
        root.write(format!("{UNITS}/{unit}"), "[Unit]\n");
    }
    root
}

fn mode(root: &Root, path: &str) -> u32 {
    root.at(path).metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_watched_unit_gets_the_hook_and_gives_it_back() {
    let root = host(&["backup.timer"]);
    let text = said(roundsman(&root, ["watch-unit", "nginx", "backup.timer"]), 0);
    assert!(
        text.contains("nginx.service") && text.contains("backup.timer"),
        "{text}"
    );
    let file = "/etc/systemd/system/nginx.service.d/50-roundsman-failure.conf";
    assert!(
        root.read(file)
            .ends_with("[Unit]\nOnFailure=roundsman-failure@%n.service\n")
    );
    assert_eq!(mode(&root, file), 0o644);
    said(roundsman(&root, ["watch-unit", "nginx"]), 0);

    said(
        roundsman(&root, ["watch-unit", "--remove", "nginx", "backup.timer"]),
        0,
    );
    assert!(!root.at("/etc/systemd/system/nginx.service.d").exists());
    let text = said(roundsman(&root, ["watch-unit", "--remove", "nginx"]), 0);
    assert!(text.contains("was not watched"), "{text}");
}

#[test]
fn one_wrong_unit_leaves_all_as_they_were() {
    let root = host(&[]);
    root.link("/etc/systemd/system/off.service", "/dev/null");
    for (unit, needle) in [
        ("nginxx", "nginxx.service is not-found"),
        ("off", "off.service is masked"),
        ("roundsman-failure@x", "cannot be watched by it"),
        ("a\u{1b}[2J", "a\\x1b[2J"),
    ] {
        let output = roundsman(&root, ["watch-unit", "nginx", unit])
            .run()
            .expect_code(78);
        assert!(output.stderr.contains(needle), "{output}");
        assert!(!root.at("/etc/systemd/system/nginx.service.d").exists());
    }
    let bare = Root::new();
    bare.write(format!("{UNITS}/nginx.service"), "[Unit]\n");
    let output = roundsman(&bare, ["watch-unit", "nginx"])
        .run()
        .expect_code(78);
    assert!(
        output.stderr.contains("failures cannot be recorded"),
        "{output}"
    );
}

#[test]
fn a_credential_of_a_tree_is_a_file_for_root_and_a_drop_in() {
    let root = host(&["roundsman-exporter.service"]);
    let add = roundsman(&root, ["credential", "add", "exporter", "token"]);
    let text = said(add.input("s3cret\n"), 0);
    assert!(text.contains("it is not encrypted"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    let file = "/etc/credstore/roundsman-exporter.token";
    assert_eq!(root.read(file), "s3cret\n");
    assert_eq!(
        (mode(&root, file), mode(&root, "/etc/credstore")),
        (0o600, 0o700)
    );
    let drop_in = "/etc/systemd/system/roundsman-exporter.service.d/50-credential-token.conf";
    // The path is that of the host, which knows nothing of the tree.
    assert!(
        root.read(drop_in)
            .ends_with("[Service]\nLoadCredential=token:/etc/credstore/roundsman-exporter.token\n")
    );
    let list = said(roundsman(&root, ["credential", "list"]), 0);
    let row: Vec<_> = list.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..2], ["exporter", "token"]);

    said(
        roundsman(&root, ["credential", "add", "exporter", "token"]).input("new"),
        0,
    );
    assert_eq!(root.read(file), "new");

    said(
        roundsman(&root, ["credential", "remove", "exporter", "token"]),
        0,
    );
    assert!(!root.at(file).exists() && !root.at(drop_in).exists());
    let again = roundsman(&root, ["credential", "remove", "exporter", "token"]);
    again.run().expect_code(78);
}

#[test]
fn a_credential_of_a_template_is_for_one_instance_or_for_all() {
    let root = host(&["roundsman-beacon@.service"]);
    said(
        roundsman(&root, ["credential", "add", "beacon@prod", "a"]).input("x"),
        0,
    );
    said(
        roundsman(&root, ["credential", "add", "beacon", "b"]).input("y"),
        0,
    );
    let units = "/etc/systemd/system";
    let one = format!("{units}/roundsman-beacon@prod.service.d/50-credential-a.conf");
    let all = format!("{units}/roundsman-beacon@.service.d/50-credential-b.conf");
    assert!(root.at(one).exists() && root.at(all).exists());
}

#[test]
fn nothing_is_stored_for_an_empty_secret_an_odd_name_or_an_unknown_agent() {
    let root = host(&["roundsman-exporter.service"]);
    for (agent, name, secret, needle) in [
        ("exporter", "token", "", "is empty"),
        ("exporter", "token", " \n", "is empty"),
        (
            "exporter",
            "../token",
            "x",
            "is not the name of a credential",
        ),
        ("nobody", "token", "x", "there are: exporter, failure@"),
    ] {
        let add = roundsman(&root, ["credential", "add", agent, name]);
        let output = add.input(secret).run().expect_code(78);
        assert!(output.stderr.contains(needle), "{output}");
    }
    assert!(!root.at("/etc/credstore").exists());
    assert!(!root.at("/etc/systemd/system").exists());
}

#[test]
fn manual_pages_and_completions_cover_every_command() {
    let root = Root::new();
    let directory = root.at("/man");
    said(root.ctl().args(["man", "--dir"]).arg(&directory), 0);
    let main = root.read("/man/roundsman.1");
    for command in [
        "status",
        "events",
        "check",
        "credential",
        "watch-unit",
        "samples",
        "store",
    ] {
        let page = root.read(format!("/man/roundsman-{command}.1"));
        assert!(page.contains("Example"), "{command}");
        assert!(main.contains(&command.replace('-', "\\-")), "{command}");
    }
    assert!(root.at("/man/roundsman-store-backup.1").exists());
    for shell in ["bash", "zsh", "fish"] {
        let script = said(roundsman(&root, ["completions", shell]), 0);
        assert!(script.contains("watch-unit"), "{shell}");
    }
    let version = said(roundsman(&root, ["--version"]), 0);
    assert_eq!(
        version,
        format!("roundsman {}\n", env!("CARGO_PKG_VERSION"))
    );
}
