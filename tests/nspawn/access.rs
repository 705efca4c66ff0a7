//! Who may do what: credentials, polkit, members of the group, the sandbox in force.

use anyhow::{Result, ensure};
use roundsman_kit::log::id;
use roundsman_tests::machine::Limit;
use roundsman_tests::{Machine, Output, skipped};

use crate::installed::{PORT, drop_in, enable_everyday, installed, measure, scrape};

const EXPORTER: &str = "roundsman-exporter.service";
const HERALD: &str = "roundsman-herald.service";
const HOSTMETRICS: &str = "roundsman-hostmetrics.service";

#[test]
fn a_credential_reaches_its_agent_and_nobody_else() {
    installed("access::a_credential", |machine| {
        machine.write_file(
            "/etc/roundsman/exporter.toml",
            "token = { credential = \"token\" }\n",
        )?;
        machine.succeed(["systemctl", "enable", "--now", "roundsman-exporter.socket"])?;
        // Without the credential: refused, with the remedy, and told apart by `check`.
        ensure!(!machine.run(["systemctl", "start", EXPORTER])?.success());
        assert_eq!(machine.property(EXPORTER, "ExecMainStatus")?, "78");
        let refused = machine.journal([&format!("MESSAGE_ID={}", id::CONFIG_REFUSED)])?;
        ensure!(
            refused.iter().any(|entry| entry
                .message()
                .contains("roundsman credential add exporter token")),
            "{refused:?}"
        );
        let check = machine.run(["roundsman", "check"])?;
        assert_eq!(check.code(), Some(78), "{check}");
        ensure!(check.stdout.contains("token"), "{check}");

        machine
            .command(["roundsman", "credential", "add", "exporter", "token"])
            .input("open-sesame\n")
            .succeed()?;
        machine.succeed(["systemctl", "restart", EXPORTER])?;
        let status = |value: &str| -> Result<u16> {
            Ok(machine
                .get(PORT, "/metrics", &[("Authorization", value)])?
                .status)
        };
        assert_eq!(status("Bearer open-sesame")?, 200);
        assert_eq!(status("Bearer guess")?, 401);
        assert_eq!(machine.get(PORT, "/metrics", &[])?.status, 401);
        assert_eq!(machine.run(["roundsman", "check"])?.code(), Some(0));

        // On disk it is encrypted or for root alone; in the process's environment it is not.
        let spread = machine.run([
            "grep",
            "-rlsF",
            "open-sesame",
            "/etc",
            "/run/roundsman",
            "/var/lib/roundsman",
            "/var/log",
        ])?;
        for file in spread.stdout.lines() {
            assert_eq!(
                machine.succeed(["stat", "-c", "%a %U", file])?,
                "600 root",
                "{file}"
            );
        }
        let pid = machine.property(EXPORTER, "MainPID")?;
        let environment = machine.read_file(format!("/proc/{pid}/environ"))?;
        ensure!(!environment.contains("open-sesame"));
        Ok(())
    });
}

/// A shell command as the user of herald, where herald's process sees the files.
fn as_herald(machine: &Machine, script: &str) -> Result<Output> {
    let pid = machine.property(HERALD, "MainPID")?;
    let id = |file: &str, of: &str| machine.sh(&format!("getent {file} {of} | cut -d: -f3"));
    let (user, group) = (id("passwd", "roundsman-herald")?, id("group", "roundsman")?);
    machine.run([
        "nsenter", "-t", &pid, "-m", "--setuid", &user, "--setgid", &group, "--", "sh", "-c",
        script,
    ])
}

#[test]
fn herald_has_its_own_credentials_and_directories_and_no_others() {
    installed("access::herald_has_its_own", |machine| {
        for (agent, name, value) in [("exporter", "token", "one"), ("herald", "ops", "two")] {
            machine
                .command(["roundsman", "credential", "add", agent, name])
                .input(format!("{value}-is-secret\n"))
                .succeed()?;
        }
        let token = "token = { credential = \"token\" }\n";
        machine.write_file("/etc/roundsman/exporter.toml", token)?;
        enable_everyday(machine)?;
        machine.succeed(["systemctl", "start", EXPORTER])?;
        machine.succeed(["systemctl", "enable", "--now", HERALD])?;

        let read =
            |of: &str, name: &str| as_herald(machine, &format!("cat /run/credentials/{of}/{name}"));
        let own = read(HERALD, "ops")?;
        assert_eq!(own.stdout.trim_end(), "two-is-secret", "{own}");
        let theirs = read(EXPORTER, "token")?;
        ensure!(
            !theirs.success() && !theirs.to_string().contains("one-is-secret"),
            "{theirs}"
        );
        // Where they are loaded from, nobody but root reads them, herald's own neither.
        let stored =
            machine.sh("find /etc/credstore* /run/credstore* -type f 2>/dev/null || true")?;
        let stored: Vec<_> = stored.lines().collect();
        ensure!(stored.len() == 2, "{stored:?}");
        for file in stored {
            let tried = as_herald(machine, &format!("cat {file}"))?;
            ensure!(
                tried.stderr.contains("Permission denied"),
                "{file}: {tried}"
            );
        }

        let write = |path: &str| as_herald(machine, &format!("touch {path}/x && rm {path}/x"));
        for path in ["/var/lib/roundsman", "/run/roundsman/herald", "/tmp"] {
            let written = write(path)?;
            ensure!(written.success(), "{path}: {written}");
        }
        machine.write_file("/etc/roundsman/herald.d/none.toml", "")?;
        machine.write_file("/etc/roundsman/silences.d/none.toml", "")?;
        for path in [
            "/etc/roundsman/herald.d",
            "/etc/roundsman/silences.d",
            "/run/roundsman",
            "/var/log",
            "/run",
            "/var/lib",
        ] {
            machine.succeed(["test", "-d", path])?;
            let refused = write(path)?;
            ensure!(
                ["Read-only file system", "Permission denied"]
                    .iter()
                    .any(|why| refused.stderr.contains(why)),
                "{path}: {refused}"
            );
        }
        Ok(())
    });
}

#[test]
fn members_of_the_group_see_everything_and_start_what_the_rule_grants() {
    installed("access::members_of_the_group", |machine| {
        machine.succeed(["useradd", "--groups", "roundsman", "alice"])?;
        machine.succeed(["useradd", "bob"])?;
        enable_everyday(machine)?;
        scrape(machine)?;
        let ask = |user: &str, verb: &str, unit: &str| -> Result<Output> {
            machine
                .command(["systemctl", "--no-ask-password", verb, unit])
                .user(user)
                .run()
        };
        for (verb, unit) in [("start", HOSTMETRICS), ("reload", EXPORTER)] {
            let granted = ask("alice", verb, unit)?;
            ensure!(granted.success(), "alice, {verb} {unit}: {granted}");
        }
        for (user, verb, unit) in [
            ("alice", "stop", "roundsman-exporter.socket"),
            ("alice", "stop", EXPORTER),
            ("alice", "start", "systemd-tmpfiles-clean.service"),
            ("bob", "start", HOSTMETRICS),
            ("roundsman-exporter", "start", HOSTMETRICS),
            ("roundsman-herald", "start", HOSTMETRICS),
            ("roundsman-herald", "stop", EXPORTER),
        ] {
            let refused = ask(user, verb, unit)?;
            ensure!(
                refused.stderr.contains("authentication required")
                    || refused.stderr.contains("Access denied"),
                "{user}, {verb} {unit}: {refused}"
            );
        }
        assert_eq!(
            machine.property("roundsman-exporter.socket", "ActiveState")?,
            "active"
        );
        for command in [
            &["roundsman", "status"][..],
            &["roundsman", "events"],
            &["roundsman", "samples"],
        ] {
            let seen = machine.command(command).user("alice").run()?;
            ensure!(seen.success(), "alice, {command:?}: {seen}");
        }
        let hidden = machine.command(["roundsman", "events"]).user("bob").run()?;
        ensure!(!hidden.success(), "bob, who is not in the group: {hidden}");
        Ok(())
    });
}

/// What every service of ours has in force, whatever its drop-ins say.
const STRICT: [(&str, &str); 14] = [
    ("NoNewPrivileges", "yes"),
    ("ProtectSystem", "strict"),
    ("CapabilityBoundingSet", ""),
    ("AmbientCapabilities", ""),
    ("PrivateUsers", "yes"),
    ("RestrictNamespaces", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("LockPersonality", "yes"),
    ("DevicePolicy", "closed"),
    ("ProtectControlGroups", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("SystemCallErrorNumber", "1"),
    ("Slice", "roundsman.slice"),
];

#[test]
fn the_sandbox_is_in_force() {
    installed("access::the_sandbox", |machine| {
        enable_everyday(machine)?;
        measure(machine)?;
        scrape(machine)?;
        machine.succeed(["systemctl", "enable", "--now", HERALD])?;
        let services =
            machine.sh("cd /usr/lib/systemd/system && ls -1 roundsman-*.service | grep -v @")?;
        for unit in services.lines() {
            for (property, value) in STRICT {
                assert_eq!(
                    machine.property(unit, property)?,
                    value,
                    "{unit}: {property}"
                );
            }
            let user = unit.trim_end_matches(".service");
            assert_eq!(machine.property(unit, "User")?, user);
            assert_eq!(machine.property(unit, "Group")?, "roundsman");
        }
        for unit in [EXPORTER, HERALD] {
            assert_process(machine, unit)?;
        }
        assert_network(machine)
    });
}

/// A service as the kernel sees it.
fn assert_process(machine: &Machine, unit: &str) -> Result<()> {
    let pid = machine.property(unit, "MainPID")?;
    let status = machine.read_file(format!("/proc/{pid}/status"))?;
    for line in [
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
    ] {
        ensure!(status.contains(line), "{line} is not in\n{status}");
    }
    let owner = machine.succeed(["stat", "-c", "%U:%G", &format!("/proc/{pid}")])?;
    let user = unit.trim_end_matches(".service");
    assert_eq!(owner, format!("{user}:roundsman"));
    for path in [
        "/etc/x",
        "/etc/roundsman/x",
        "/usr/x",
        "/var/x",
        "/home/x",
        "/root/x",
    ] {
        let written = machine.run(["nsenter", "-t", &pid, "-m", "--", "touch", path])?;
        ensure!(
            written.stderr.contains("Read-only file system")
                || written.stderr.contains("No such file"),
            "{path}: {written}"
        );
    }
    let inside = machine.run([
        "nsenter",
        "-t",
        &pid,
        "-m",
        "--",
        "touch",
        "/var/lib/roundsman/x",
    ])?;
    ensure!(inside.success(), "{inside}");
    machine.succeed(["rm", "/var/lib/roundsman/x"]).map(drop)
}

/// `IPAddressDeny=any` holds for what the exporter sends by itself, whatever its other walls.
fn assert_network(machine: &Machine) -> Result<()> {
    if let Some(reason) = machine.enforces(Limit::IpAddressDeny)? {
        skipped::check("access::the_sandbox: IPAddressDeny=", &reason);
        return Ok(());
    }
    machine.succeed(["systemctl", "stop", EXPORTER])?;
    let probe = "[Service]\nType=oneshot\nRestart=no\nRestrictAddressFamilies=AF_INET\nExecStart=\n\
        ExecStart=/bin/bash -c 'echo probe >/dev/udp/127.0.0.1/9'\n";
    drop_in(machine, EXPORTER, probe)?;
    ensure!(!machine.run(["systemctl", "start", EXPORTER])?.success());
    let said = machine.journal(["--unit", EXPORTER])?;
    ensure!(
        said.iter()
            .any(|entry| entry.message().contains("not permitted")),
        "{said:?}"
    );
    Ok(())
}

/// Budgets by unit, as the kernel's files have them.
const BUDGETS: [(&str, Limit, &str, &str); 4] = [
    (
        "roundsman.slice",
        Limit::MemoryMax,
        "MemoryMax",
        "memory.max",
    ),
    ("roundsman.slice", Limit::TasksMax, "TasksMax", "pids.max"),
    (EXPORTER, Limit::MemoryMax, "MemoryMax", "memory.max"),
    (EXPORTER, Limit::TasksMax, "TasksMax", "pids.max"),
];

#[test]
fn the_budgets_hold() {
    let test = "access::the_budgets_hold";
    installed(test, |machine| {
        enable_everyday(machine)?;
        scrape(machine)?;
        for (unit, limit, property, file) in BUDGETS {
            let wanted = machine.property(unit, property)?;
            ensure!(wanted.parse::<u64>().is_ok(), "{unit}: {property}={wanted}");
            if let Some(reason) = machine.enforces(limit)? {
                skipped::check(&format!("{test}: {property}={wanted} of {unit}"), &reason);
                continue;
            }
            let group = machine.property(unit, "ControlGroup")?;
            let found = machine.read_file(format!("/sys/fs/cgroup{group}/{file}"))?;
            assert_eq!(found.trim(), wanted, "{unit}: {file}");
        }
        Ok(())
    });
}
