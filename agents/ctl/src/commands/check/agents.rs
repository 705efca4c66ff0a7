//! Every agent's configuration, as its own program judges it, and the credentials it names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Part, Report, Surroundings};
use crate::accounts;
use crate::agents::service_of;
use crate::credentials::{self, Presence};
use crate::programs::{self, Answer, Asker};
use crate::systemd::Service;

/// The variables of a unit that change its agent's configuration.
const VARIABLES: &str = "ROUNDSMAN_";

/// The configuration of each agent that has a sound one, by its name.
pub type Values = BTreeMap<String, Value>;

/// Asks every program, by its instances where units name some.
pub fn check(around: &Surroundings, report: &mut Report) -> Values {
    let programs = &around.programs;
    let mut configured = Values::new();
    for name in names(around, programs) {
        let (agent, instance) = match name.split_once('@') {
            Some((agent, instance)) => (agent, Some(instance).filter(|text| !text.is_empty())),
            None => (name.as_str(), None),
        };
        let Some(program) = programs.get(agent) else {
            report.found(
                Part::Unit,
                (service_of(&name), "ExecStart"),
                format!("the program roundsman-{agent} is not installed beside this command"),
                "install the package again, or remove the unit",
            );
            continue;
        };
        let asker = asker(around, &name, report);
        match programs::ask(around.host, program, instance, &asker) {
            Answer::Sound {
                credentials,
                values,
                left_out,
            } => {
                if left_out.is_empty() {
                    report.sound(Part::Config, &name);
                }
                for finding in left_out {
                    report.add(Part::Config, finding);
                }
                self::credentials(around, &name, &credentials, report);
                configured.insert(name, values);
            }
            Answer::Refused(findings) => {
                findings
                    .into_iter()
                    .for_each(|finding| report.add(Part::Config, finding));
            }
            Answer::Odd(why) => odd(program, &why, report),
        }
    }
    configured
}

fn odd(program: &Path, why: &str, report: &mut Report) {
    report.found(
        Part::Config,
        (program.display().to_string(), "--dump-config"),
        format!("the program does not answer as an agent does: {why}"),
        "install the package again",
    );
}

/// Agents that have units or a program; a template only where it has no instance.
fn names(around: &Surroundings, programs: &BTreeMap<String, PathBuf>) -> BTreeSet<String> {
    let installed = around
        .agents
        .iter()
        .filter(|agent| agent.is_installed() && !agent.is_idle_instance());
    let mut names: BTreeSet<String> = installed.map(|agent| agent.name.clone()).collect();
    let has_units = |agent: &String| {
        let instances = format!("{agent}@");
        names
            .iter()
            .any(|name| name == agent || name.starts_with(&instances))
    };
    let without_units: Vec<String> = programs
        .keys()
        .filter(|agent| !has_units(agent))
        .cloned()
        .collect();
    names.extend(without_units);
    let with_instances: Vec<String> = names
        .iter()
        .filter_map(|name| name.split_once('@'))
        .filter(|(_, instance)| !instance.is_empty())
        .map(|(agent, _)| format!("{agent}@"))
        .collect();
    names.retain(|name| !with_instances.contains(name));
    names
}

/// As whom to ask: as root the agent's own user, who may not be able to read what root can.
fn asker(around: &Surroundings, name: &str, report: &mut Report) -> Asker {
    let service = around
        .manager
        .as_ref()
        .filter(|_| !name.ends_with('@'))
        .and_then(|manager| manager.service(&service_of(name)).ok())
        .unwrap_or_default();
    Asker {
        ids: ids(around, name, &service, report),
        environment: environment(&service),
    }
}

fn ids(
    around: &Surroundings,
    name: &str,
    service: &Service,
    report: &mut Report,
) -> Option<(u32, u32)> {
    if service.user.is_empty() || !around.host.is_live() || !rustix::process::geteuid().is_root() {
        return None;
    }
    let Some(user) = accounts::user(around.host.paths(), &service.user) else {
        report.found(
            Part::Account,
            (service_of(name), format!("User={}", service.user)),
            "there is no such user in /etc/passwd",
            "systemd-sysusers",
        );
        return None;
    };
    let group = accounts::group(around.host.paths(), &service.group);
    Some((user.uid, group.map_or(user.gid, |group| group.gid)))
}

fn environment(service: &Service) -> Vec<(String, String)> {
    let variables = service.environment.iter();
    variables
        .filter(|variable| variable.starts_with(VARIABLES))
        .filter_map(|variable| variable.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The credentials of the agent `name`: those that its configuration names are given to its
/// unit, and what its unit is to be given is there.
fn credentials(around: &Surroundings, name: &str, wanted: &[String], report: &mut Report) {
    let service = service_of(name);
    let given = match credentials::of(around.host, around.manager.as_ref(), &service) {
        Ok(given) => given,
        Err(failure) => {
            return report.unchecked(Part::Credential, service, format!("{failure:#}"));
        }
    };
    let mut seen: BTreeMap<&str, Presence> = BTreeMap::new();
    for wanted in wanted {
        let sources = given
            .iter()
            .filter(|given| credentials::provides(given, wanted));
        let found = sources.map(|given| credentials::presence(around.host.paths(), given, wanted));
        match found.min() {
            Some(presence) => {
                seen.insert(wanted, presence);
            }
            None => {
                let reason = "the configuration names this credential, the unit is not given it";
                missing(name, wanted, reason, report);
            }
        }
    }
    // Nobody names these, but systemd does not start a unit whose credential's file is gone.
    for given in given.iter().filter(|given| given.is_file()) {
        let presence = credentials::presence(around.host.paths(), given, &given.name);
        seen.entry(&given.name).or_insert(presence);
    }
    for (credential, presence) in seen {
        let about = format!("{credential} of {service}");
        match presence {
            Presence::There => report.sound(Part::Credential, about),
            Presence::Hidden => {
                report.unchecked(
                    Part::Credential,
                    about,
                    "not readable by you; run this as root",
                );
            }
            Presence::Missing => {
                let reason = "the file or store that it is loaded from does not have it";
                missing(name, credential, reason, report);
            }
        }
    }
}

fn missing(agent: &str, credential: &str, reason: &str, report: &mut Report) {
    let key = format!("LoadCredential={credential}");
    let remedy = format!("roundsman credential add {agent} {credential}");
    report.found(Part::Credential, (service_of(agent), key), reason, remedy);
}
