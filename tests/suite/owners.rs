//! What sysusers.d, tmpfiles.d and the preset make of an empty host.

use std::path::Path;
use std::process::Command;

use roundsman_tests::skipped;

use crate::agents::agents;
use crate::stage::{Stage, files, has, install, run};

#[test]
fn users_and_directories_are_made_with_the_right_owners() {
    if !has("systemd-sysusers") || !rustix::process::geteuid().is_root() {
        let reason = "needs root and systemd-sysusers, to give files to the users that it makes";
        return skipped::test(
            "users_and_directories_are_made_with_the_right_owners",
            reason,
        );
    }
    let stage = Stage::new();
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("etc")).unwrap();
    let option = format!("--root={}", root.path().display());
    let users = files(&stage.at("lib/sysusers.d"));
    let users = users
        .iter()
        .map(|file| stage.at("lib/sysusers.d").join(file));
    run(Command::new("systemd-sysusers").arg(&option).args(users)).expect_code(0);
    let passwd = std::fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    let group = std::fs::read_to_string(root.path().join("etc/group")).unwrap();
    let ours = group
        .lines()
        .find(|line| line.starts_with("roundsman:"))
        .unwrap();
    for agent in agents() {
        let user = format!("roundsman-{agent}:");
        assert!(
            passwd.lines().any(|line| line.starts_with(&user)),
            "{passwd}"
        );
        assert!(ours.contains(&format!("roundsman-{agent}")), "{ours}");
    }

    let tmpfiles = stage.at("lib/tmpfiles.d/roundsman.conf");
    run(Command::new("systemd-tmpfiles")
        .args([&option, "--create"])
        .arg(tmpfiles))
    .expect_code(0);
    let gid: u32 = ours.split(':').nth(2).unwrap().parse().unwrap();
    for (path, mode) in [
        ("run/roundsman", 0o2750),
        ("run/roundsman/bell", 0o660),
        ("run/roundsman/ticket", 0o660),
        ("run/roundsman/metrics", 0o3770),
        ("run/roundsman/trigger", 0o2770),
        ("var/lib/roundsman", 0o2770),
        ("var/lib/roundsman/failed", 0o2770),
        ("var/lib/roundsman/roundsman.db", 0o660),
    ] {
        assert_owner(&root.path().join(path), gid, mode);
    }
    assert_owner(&root.path().join("etc/roundsman/silences.d"), 0, 0o755);
}

#[track_caller]
fn assert_owner(path: &Path, gid: u32, mode: u32) {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path).unwrap();
    assert_eq!((found.uid(), found.gid()), (0, gid), "{}", path.display());
    assert_eq!(found.mode() & 0o7777, mode, "{}", path.display());
}

#[test]
fn the_preset_enables_the_target_and_nothing_else() {
    if !has("systemctl") {
        let reason = "systemctl is not installed";
        return skipped::test("the_preset_enables_the_target_and_nothing_else", reason);
    }
    let root = tempfile::tempdir().unwrap();
    install(&[("DESTDIR", root.path())]);
    let option = format!("--root={}", root.path().display());
    run(Command::new("systemctl").args([&option, "preset-all"])).expect_code(0);
    let enabled = files(&root.path().join("etc/systemd/system"));
    assert_eq!(enabled, ["multi-user.target.wants/roundsman.target"]);
}
