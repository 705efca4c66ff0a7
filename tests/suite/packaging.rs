//! What is installed where, and what the packages made of it say.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use roundsman_tests::skipped;
use tempfile::TempDir;

use crate::agents::{agents, at, names, text};
use crate::stage::{files, has, install, run, stand_ins};

/// Builds a package from stand-ins and returns the directory with it, and its path.
#[track_caller]
fn build(script: &str) -> (TempDir, PathBuf) {
    let programs = stand_ins();
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(at(format!("packaging/{script}")));
    command.args([Path::new("ci"), directory.path()]);
    command
        .env("ROUNDSMAN_BIN_DIR", programs.path())
        .env("SOURCE_DATE_EPOCH", "1700000000");
    run(&mut command).expect_code(0);
    let built = files(directory.path());
    assert_eq!(built.len(), 1, "{built:?}");
    let path = directory.path().join(&built[0]);
    (directory, path)
}

/// What a tool prints about a package.
#[track_caller]
fn ask(program: &str, arguments: &[&str], package: &Path) -> String {
    run(Command::new(program).args(arguments).arg(package))
        .expect_code(0)
        .stdout
}

#[test]
fn everything_is_staged_where_systemd_looks() {
    let root = tempfile::tempdir().unwrap();
    install(&[("DESTDIR", root.path())]);
    let staged: BTreeSet<String> = files(root.path()).into_iter().collect();
    let mut wanted = vec![
        "usr/bin/roundsman".to_owned(),
        "usr/lib/tmpfiles.d/roundsman.conf".to_owned(),
        "usr/lib/systemd/catalog/roundsman.catalog".to_owned(),
        "usr/lib/systemd/system-preset/60-roundsman.preset".to_owned(),
        "usr/share/polkit-1/rules.d/50-roundsman.rules".to_owned(),
        "usr/share/man/man1/roundsman.1".to_owned(),
        "usr/share/bash-completion/completions/roundsman".to_owned(),
    ];
    for agent in agents() {
        wanted.push(format!("usr/libexec/roundsman/roundsman-{agent}"));
        wanted.push(format!("usr/share/man/man8/roundsman-{agent}.8"));
        wanted.push(format!("usr/lib/sysusers.d/roundsman-{agent}.conf"));
        wanted.push(format!("etc/roundsman/{agent}.toml"));
    }
    for unit in names("units")
        .iter()
        .filter(|name| name.starts_with("roundsman"))
    {
        let path = format!("units/{unit}");
        let drop_ins = names(&path)
            .into_iter()
            .map(|file| format!("{unit}/{file}"));
        let found: Vec<String> = if at(&path).is_dir() {
            drop_ins.collect()
        } else {
            vec![unit.clone()]
        };
        wanted.extend(
            found
                .into_iter()
                .map(|file| format!("usr/lib/systemd/system/{file}")),
        );
    }
    for file in wanted {
        assert!(staged.contains(&file), "{file} is not staged");
    }
    for file in &staged {
        let mode = fs::metadata(root.path().join(file))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777;
        let is_program = file.starts_with("usr/bin/") || file.starts_with("usr/libexec/");
        assert_eq!(mode, if is_program { 0o755 } else { 0o644 }, "{file}");
    }
}

#[test]
fn no_path_of_another_prefix_is_left() {
    let root = tempfile::tempdir().unwrap();
    let store = Path::new("/nix/store/00000000000000000000000000000000-roundsman");
    install(&[
        ("DESTDIR", root.path()),
        ("PREFIX", store),
        ("CONFDIR", &store.join("share/doc/roundsman/config")),
        (
            "KILL",
            Path::new("/nix/store/11111111111111111111111111111111-coreutils/bin/kill"),
        ),
    ]);
    let staged = files(root.path());
    assert!(
        staged
            .iter()
            .all(|file| file.starts_with(store.strip_prefix("/").unwrap().to_str().unwrap()))
    );
    for file in staged {
        let path = root.path().join(&file);
        let is_stand_in = file.contains("/bin/") || file.contains("/libexec/");
        if is_stand_in {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        // The directory of vendor configuration is built into the programs.
        let text = text
            .replace("/usr/lib/roundsman", "")
            .replace("/nix/store/", "");
        for foreign in ["/usr", " /bin/", "=/bin/"] {
            assert!(!text.contains(foreign), "{file} names {foreign}");
        }
    }
}

#[test]
fn the_deb_holds_the_staged_tree_and_says_what_it_needs() {
    if !has("dpkg-deb") {
        let reason = "dpkg-deb is not installed";
        return skipped::test(
            "the_deb_holds_the_staged_tree_and_says_what_it_needs",
            reason,
        );
    }
    let (_directory, deb) = build("build-deb.sh");
    let field = |name: &str| {
        ask(
            "dpkg-deb",
            &["-W", &format!("--showformat=${{{name}}}")],
            &deb,
        )
    };
    assert_eq!(field("Package"), "roundsman");
    assert!(text("Cargo.toml").contains(&format!("version = \"{}\"", field("Version"))));
    let depends = field("Depends");
    for needed in ["systemd (>= 252)", "libc6 (>= ", "procps"] {
        assert!(depends.contains(needed), "{depends}");
    }

    let tree = tempfile::tempdir().unwrap();
    run(Command::new("dpkg-deb").arg("-R").args([&deb, tree.path()])).expect_code(0);
    let all = files(tree.path());
    let conffiles = fs::read_to_string(tree.path().join("DEBIAN/conffiles")).unwrap();
    let etc: Vec<String> = all
        .iter()
        .filter(|file| file.starts_with("etc/"))
        .map(|file| format!("/{file}"))
        .collect();
    assert_eq!(conffiles.lines().collect::<Vec<_>>(), etc);
    for file in ["copyright", "changelog.gz", "third-party.txt.gz"] {
        assert!(
            all.contains(&format!("usr/share/doc/roundsman/{file}")),
            "{file}"
        );
    }
    for script in ["postinst", "prerm", "postrm"] {
        let path = tree.path().join("DEBIAN").join(script);
        run(Command::new("sh").arg("-n").arg(&path)).expect_code(0);
    }
}

#[test]
fn the_same_sources_make_the_same_deb() {
    if !has("dpkg-deb") {
        return skipped::test(
            "the_same_sources_make_the_same_deb",
            "dpkg-deb is not installed",
        );
    }
    let (first, second) = (build("build-deb.sh"), build("build-deb.sh"));
    assert!(fs::read(first.1).unwrap() == fs::read(second.1).unwrap());
}

#[test]
fn lintian_finds_no_error() {
    if !has("lintian") {
        return skipped::test("lintian_finds_no_error", "lintian is not installed");
    }
    let (_directory, deb) = build("build-deb.sh");
    let output = run(Command::new("lintian")
        .args(["--fail-on", "error"])
        .arg(&deb));
    output.expect_code(0);
}

#[test]
fn the_rpm_holds_the_same_and_keeps_changed_configuration() {
    if !has("rpmbuild") || !has("rpm") {
        let reason = "rpmbuild is not installed";
        return skipped::test(
            "the_rpm_holds_the_same_and_keeps_changed_configuration",
            reason,
        );
    }
    let (_directory, rpm) = build("build-rpm.sh");
    let held = ask("rpm", &["-qlp"], &rpm);
    let held: BTreeSet<&str> = held.lines().collect();
    let root = tempfile::tempdir().unwrap();
    install(&[("DESTDIR", root.path())]);
    for file in files(root.path()) {
        let file = if file.contains("/man/man") {
            format!("{file}.gz")
        } else {
            file
        };
        assert!(held.contains(format!("/{file}").as_str()), "{file}");
    }
    let kept = ask("rpm", &["-qp", "--configfiles"], &rpm);
    assert_eq!(kept.lines().count(), agents().len() + 1, "{kept}");
    let flags = ask(
        "rpm",
        &["-qp", "--qf", "[%{FILENAMES} %{FILEFLAGS:fflags}\n]"],
        &rpm,
    );
    for line in flags
        .lines()
        .filter(|line| line.contains("/etc/roundsman/"))
    {
        assert!(line.ends_with("cn"), "{line}: changes would be overwritten");
    }
    let requires = ask("rpm", &["-qp", "--requires"], &rpm);
    assert!(requires.contains("systemd >= 252"), "{requires}");
}

#[test]
fn installing_enables_the_target_alone() {
    // What is really enabled and started is seen on the booted host; this is the text.
    for script in ["packaging/deb/postinst", "packaging/rpm/roundsman.spec"] {
        let text = text(script);
        // The description of an rpm stands before its scripts.
        let text = text
            .split_once("\n%post\n")
            .map_or(text.as_str(), |(_, scripts)| scripts);
        let verbs = ["enable", "preset", "start", "install-system-units"];
        let acting = text.lines().filter(|line| {
            let is_call = line.contains("systemctl")
                || line.contains("deb-systemd")
                || line.contains("helper}");
            is_call
                && verbs
                    .iter()
                    .any(|verb| line.split_whitespace().any(|word| word == *verb))
        });
        let mut seen = 0;
        for line in acting {
            let units = line
                .split_whitespace()
                .filter(|word| word.starts_with("roundsman"));
            assert_eq!(
                units.collect::<Vec<_>>(),
                ["roundsman.target"],
                "{script}: {line}"
            );
            seen += 1;
        }
        assert!(seen > 0, "{script}: the search finds nothing");
    }
}

#[test]
fn the_pages_are_well_formed() {
    if !has("mandoc") {
        return skipped::test("the_pages_are_well_formed", "mandoc is not installed");
    }
    let root = tempfile::tempdir().unwrap();
    install(&[("DESTDIR", root.path())]);
    for file in files(root.path())
        .iter()
        .filter(|file| file.contains("/man/man"))
    {
        let path = root.path().join(file);
        run(Command::new("mandoc")
            .args(["-T", "lint", "-W", "error"])
            .arg(&path))
        .expect_code(0);
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            !text.lines().any(|line| line.starts_with('@')),
            "{file}: not filled in"
        );
    }
}

#[test]
fn the_scripts_are_sound() {
    if !has("shellcheck") {
        return skipped::test("the_scripts_are_sound", "shellcheck is not installed");
    }
    let scripts = names("packaging")
        .into_iter()
        .filter(|name| name.ends_with(".sh"));
    let scripts = scripts.map(|name| at(format!("packaging/{name}")));
    let maintainers =
        ["postinst", "prerm", "postrm"].map(|name| at(format!("packaging/deb/{name}")));
    let mut command = Command::new("shellcheck");
    run(command.args(scripts).args(maintainers)).expect_code(0);
}
