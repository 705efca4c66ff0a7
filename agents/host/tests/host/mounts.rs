//! A sandbox's mounts must not pass for the host's: tried in mount namespaces of our own, which
//! end with the child.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use roundsman_host::exposition::{Format, Page};
use roundsman_host::{Collectors, Host, Root};
use roundsman_tests::{Process, skipped};

const ROOT: &str = "ROUNDSMAN_HOST_ROOT";

/// The child's part, in the inner namespace: what lies over the mount comes and goes while the
/// collectors keep their files open. Started without a root, it is the parent.
#[test]
fn a_mount_that_a_sandbox_covers_is_never_shown_with_the_covers_figures() {
    match std::env::var_os(ROOT) {
        Some(root) => cover_and_uncover(Path::new(&root)),
        None => start_child(),
    }
}

fn start_child() {
    let allowed = Command::new("unshare").args(["--mount", "true"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        let test = "host: covered mounts";
        return skipped::test(test, "needs root and unshare(1) to mount file systems");
    }
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for part in ["proc/1", "proc/self", "mount"] {
        fs::create_dir_all(root.join(part)).unwrap();
    }
    // Paths of the host lead to themselves below the root, and the child's own mounts are its own.
    let top = root.ancestors().nth(root.components().count() - 2).unwrap();
    symlink(top, root.join(top.strip_prefix("/").unwrap())).unwrap();
    symlink("/proc/self/mountinfo", root.join("proc/self/mountinfo")).unwrap();
    let script = "set -e\n\
        mount -t tmpfs -o size=1m,ro covered \"$ROUNDSMAN_HOST_ROOT/mount\"\n\
        ln -s /proc/$$/mountinfo \"$ROUNDSMAN_HOST_ROOT/proc/1/mountinfo\"\n\
        unshare --mount \"$PROGRAM\" \"$TEST\" --exact --nocapture";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script])
        .env(ROOT, root)
        .env("PROGRAM", std::env::current_exe().unwrap())
        .env(
            "TEST",
            "mounts::a_mount_that_a_sandbox_covers_is_never_shown_with_the_covers_figures",
        );
    let output = Process::spawn(&mut command, None)
        .unwrap()
        .wait(Duration::from_secs(60));
    assert!(output.success(), "{output}");
}

fn cover_and_uncover(root: &Path) {
    let mount = root.join("mount");
    let mut collectors = Collectors::new(&Host::new(Root::new(root)));
    let mut shown = || {
        let mut page = Page::new(Format::Text);
        collectors.collect(&mut page, None);
        let text = String::from_utf8(page.finish().to_vec()).unwrap();
        let point = format!("mountpoint=\"{}\"", mount.display());
        let value = |family: &str| {
            let mut lines = text.lines();
            let line = lines.find(|line| line.starts_with(family) && line.contains(&point))?;
            line.rsplit(' ').next().map(str::to_owned)
        };
        let families = ["device_error{", "readonly{", "size_bytes{"];
        families.map(|family| value(&format!("node_filesystem_{family}")).unwrap_or_default())
    };
    let run = |program: &str, arguments: &[&str]| {
        let done = Command::new(program).args(arguments).arg(&mount).status();
        assert!(done.unwrap().success(), "{program} {arguments:?}");
    };
    assert_eq!(shown(), ["0", "1", "1048576"]);
    run("mount", &["-t", "tmpfs", "-o", "size=2m", "cover"]);
    assert_eq!(shown(), ["1", "1", ""]);
    run("umount", &[]);
    assert_eq!(shown(), ["0", "1", "1048576"]);
    // The child's own flags are not the host's.
    run("mount", &["-o", "remount,rw,bind"]);
    assert_eq!(shown(), ["0", "1", "1048576"]);
}
