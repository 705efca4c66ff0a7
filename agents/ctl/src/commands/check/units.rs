//! Units as systemd has loaded them: whether it could, and whether a drop-in of this host has
//! taken away what the agent relies on, or its sandbox.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Part, Report, Surroundings};
use crate::agents::{Agent, PREFIX, TARGET, Unit};
use crate::systemd::{self, Manager, Service};
use crate::unit_files;

/// What every agent's unit writes to; `ReadWritePaths=` of the common drop-in names both.
pub(super) const STATE: &str = "/var/lib/roundsman";
const RUN: &str = "/run/roundsman";
const GROUP: &str = "roundsman";
/// Others must not read what an agent writes, its group must be able to.
const UMASK: u32 = 0o007;

/// Looks at every unit of every agent.
pub fn check(around: &Surroundings, report: &mut Report) {
    let Some(manager) = &around.manager else {
        return;
    };
    let target = manager.unit(TARGET);
    let is_up = target.is_ok_and(|target| target.active == "active");
    for agent in &around.agents {
        for unit in &agent.units {
            let before = report.n_findings();
            if is_up && agent.stopped().any(|stopped| stopped.name == unit.name) {
                stopped(&unit.name, report);
            }
            if let Err(failure) = look(around, manager, agent, unit, report) {
                report.unchecked(Part::Unit, &unit.name, format!("{failure:#}"));
            } else if report.n_findings() == before {
                report.sound(Part::Unit, &unit.name);
            }
        }
    }
}

/// It would be started with the machine, and does not run now.
fn stopped(name: &str, report: &mut Report) {
    report.found(
        Part::Unit,
        (name, "ActiveState=inactive"),
        format!("it starts at boot and {TARGET} is active, but it is stopped"),
        format!("systemctl start {name}"),
    );
}

fn look(
    around: &Surroundings,
    manager: &Manager,
    agent: &Agent,
    unit: &Unit,
    report: &mut Report,
) -> anyhow::Result<()> {
    if unit.name.contains("@.") {
        if unit.enabled == "masked" {
            unusable(&unit.name, "masked", "", report);
        }
        return Ok(());
    }
    let seen = manager.unit(&unit.name)?;
    if seen.load == "masked" && agent.is_idle_instance() {
        // Its template is masked, which is said once.
        return Ok(());
    }
    if seen.load != "loaded" {
        unusable(&unit.name, &seen.load, &seen.load_error, report);
        return Ok(());
    }
    if let Some(reason) = unread(around, &unit.name, &seen) {
        let remedy = "systemctl daemon-reload, and restart it";
        report.found(Part::Unit, (&unit.name, ""), reason, remedy);
    }
    if unit.name.ends_with(".service") {
        let service = manager.service(&unit.name)?;
        settings(around, agent, &seen, &service, report);
    }
    Ok(())
}

/// What of its files systemd has not read.
fn unread(around: &Surroundings, name: &str, seen: &systemd::Unit) -> Option<String> {
    if seen.needs_reload {
        return Some("its files have changed since systemd read them".to_owned());
    }
    let files = unit_files::unread_drop_ins(around.host.paths(), name, &seen.drop_ins);
    let names: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    (!names.is_empty()).then(|| format!("systemd has not read {} yet", names.join(", ")))
}

fn unusable(name: &str, state: &str, why: &str, report: &mut Report) {
    let (reason, remedy) = match state {
        "masked" => ("it is masked", format!("systemctl unmask {name}")),
        "not-found" => (
            "another unit of the suite names it, but it is not installed",
            "install the package again".to_owned(),
        ),
        _ => (
            "systemd could not load it",
            format!("systemd-analyze verify {name}"),
        ),
    };
    let reason = match why {
        "" => reason.to_owned(),
        _ if state == "masked" => reason.to_owned(),
        why => format!("{reason}: {why}"),
    };
    report.found(
        Part::Unit,
        (name, format!("LoadState={state}")),
        reason,
        remedy,
    );
}

/// Effective settings that are not what the shipped files make of them.
fn settings(
    around: &Surroundings,
    agent: &Agent,
    seen: &systemd::Unit,
    service: &Service,
    report: &mut Report,
) {
    let own = own_drop_ins(seen);
    let remedy = match own.as_slice() {
        [] => "install the package again".to_owned(),
        files => format!("look at {}", files.join(", ")),
    };
    let mut wrong = |key: String, reason: &str| {
        report.found(Part::Unit, (agent.service(), key), reason, remedy.clone());
    };
    let user = format!("{PREFIX}{}", agent.name_and_instance().0);
    if service.user != user {
        let reason = format!("it runs as another user than {user}, who owns what it needs");
        wrong(format!("User={}", or(&service.user, "root")), &reason);
    }
    if service.group != GROUP {
        let reason = "only the group roundsman shares the store";
        wrong(format!("Group={}", or(&service.group, "(none)")), reason);
    }
    if service.umask != UMASK {
        let reason = "0007 is what lets the group write what it creates, and nobody else read it";
        wrong(format!("UMask={:04o}", service.umask), reason);
    }
    sandbox(service, &mut wrong);
    let expected = around.programs.get(agent.name_and_instance().0);
    for program in &service.programs {
        if let Some(reason) = misled(&around.host.paths().at(program), expected) {
            wrong(format!("ExecStart={program}"), &reason);
        }
    }
}

/// What is wrong with the program that a unit starts, where the agent's own is known.
fn misled(program: &Path, expected: Option<&PathBuf>) -> Option<String> {
    let Ok(found) = fs::canonicalize(program) else {
        return Some("there is no such program".to_owned());
    };
    let expected = expected?;
    let is_other = fs::canonicalize(expected).is_ok_and(|expected| expected != found);
    is_other.then(|| format!("it starts another program than {}", expected.display()))
}

/// What the common drop-in gives every agent.
fn sandbox(service: &Service, wrong: &mut impl FnMut(String, &str)) {
    for path in missing_paths(service) {
        wrong(
            "ReadWritePaths".to_owned(),
            &format!("it cannot write below {path}"),
        );
    }
    for (key, directories) in [
        ("StateDirectory", &service.state_directories),
        ("RuntimeDirectory", &service.runtime_directories),
    ] {
        if directories.iter().any(|directory| directory == "roundsman") {
            let reason =
                "it would take the directory of all agents for itself; tmpfiles.d makes it";
            wrong(format!("{key}=roundsman"), reason);
        }
    }
    if !service.no_new_privileges {
        wrong("NoNewPrivileges=no".to_owned(), "its sandbox is open");
    }
    if service.protect_system != "strict" {
        let value = or(&service.protect_system, "no");
        wrong(
            format!("ProtectSystem={value}"),
            "its sandbox is open: strict",
        );
    }
}

/// Drop-ins of this host, not of the package: what somebody here has changed.
fn own_drop_ins(seen: &systemd::Unit) -> Vec<&str> {
    let drop_ins = seen.drop_ins.iter().map(String::as_str);
    drop_ins
        .filter(|path| path.starts_with("/etc/") || path.starts_with("/run/"))
        .filter(|path| !path.contains("/50-credential-"))
        .collect()
}

/// Directories of ours that a service in a read-only system cannot write to.
fn missing_paths(service: &Service) -> Vec<&'static str> {
    let is_missing = |path: &&str| !service.can_write_below(path);
    [STATE, RUN].into_iter().filter(is_missing).collect()
}

fn or<'t>(text: &'t str, other: &'t str) -> &'t str {
    if text.is_empty() { other } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_starts_the_program_of_its_agent() {
        let dir = tempfile::tempdir().unwrap();
        let [own, other, link, gone] =
            ["own", "other", "link", "gone"].map(|name| dir.path().join(name));
        fs::write(&own, "").unwrap();
        fs::write(&other, "").unwrap();
        std::os::unix::fs::symlink(&own, &link).unwrap();
        assert_eq!(misled(&own, Some(&own)), None);
        assert_eq!(misled(&link, Some(&own)), None);
        assert_eq!(misled(&other, None), None, "an agent of somebody else");
        let reason = misled(&other, Some(&own)).unwrap();
        assert!(reason.starts_with("it starts another program than "));
        for expected in [None, Some(&own)] {
            assert_eq!(misled(&gone, expected).unwrap(), "there is no such program");
        }
    }

    #[test]
    fn writable_paths_cover_what_lies_below_them() {
        let with = |paths: &[&str]| Service {
            protect_system: "strict".into(),
            read_write_paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            ..Service::default()
        };
        assert_eq!(missing_paths(&with(&[])), [STATE, RUN]);
        assert_eq!(
            missing_paths(&with(&["/var/lib", "-/run/roundsman/"])),
            [""; 0]
        );
        assert_eq!(missing_paths(&with(&["/var/lib/round", RUN])), [STATE]);
        assert_eq!(missing_paths(&Service::default()), [""; 0]);
    }
}
