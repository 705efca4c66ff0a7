//! Mounts whose figures an agent would show, and whose directory its user may not enter: they
//! are shown as errors, never guessed, until somebody grants it or leaves them out.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::thread;

use roundsman_host::filesystem::{self, Status};
use roundsman_host::{Filters, Host, Root};
use roundsman_kit::{Class, Fault};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use serde_json::Value;

use super::agents::Values;
use super::{Part, Report, Surroundings};
use crate::accounts;
use crate::agents::{Agent, service_of};
use crate::systemd::Service;

/// The agents that read mounts: those that the library `host` is linked to.
const READERS: [&str; 2] = ["exporter", "hostmetrics"];

/// The drop-in that lets an agent enter every directory, as the package installs it.
const EXAMPLE: &str = "/usr/share/doc/roundsman/examples/roundsman-hostmetrics-hidden-mounts.conf";

/// CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of linux/capability.h.
const ENTERS_ALL: u64 = 1 << 1 | 1 << 2;

/// As whom to look.
struct Identity {
    user: Uid,
    group: Gid,
    others: Vec<Gid>,
}

/// Compares what root can reach with what each reader's user can. Outside the agent's sandbox,
/// which is made not to matter here.
pub fn check(around: &Surroundings, configured: &Values, report: &mut Report) {
    let Some(manager) = &around.manager else {
        return;
    };
    let readers = around.agents.iter().filter(|agent| reads_mounts(agent));
    let readers: Vec<&Agent> = readers.collect();
    if readers.is_empty() || !around.host.is_live() {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        let about = "whether agents may enter every mount";
        return report.unchecked(Part::Mount, about, "only root can tell; run this as root");
    }
    let mut hidden: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for agent in readers {
        let looked = manager.service(&agent.service()).and_then(|service| {
            let values = configured.get(&agent.name).unwrap_or(&Value::Null);
            hidden_from(around, &service, filters(values))
        });
        match looked {
            Ok(mounts) => {
                for mount in mounts {
                    hidden.entry(mount).or_default().push(&agent.name);
                }
            }
            Err(failure) => {
                report.unchecked(Part::Mount, service_of(&agent.name), format!("{failure:#}"));
            }
        }
    }
    for (mount, agents) in &hidden {
        found(mount, agents, report);
    }
    if hidden.is_empty() {
        report.sound(
            Part::Mount,
            "every mount can be entered by the agents that show it",
        );
    }
}

/// Whether it is one of [`READERS`], and in use: others show nothing.
fn reads_mounts(agent: &Agent) -> bool {
    let is_used = |unit: &crate::agents::Unit| {
        unit.enabled == "enabled" || !matches!(&*unit.active, "" | "inactive")
    };
    READERS.contains(&agent.name.as_str()) && agent.units.iter().any(is_used)
}

fn found(mount: &str, agents: &[&str], report: &mut Report) {
    let directories = agents
        .iter()
        .map(|agent| format!("/etc/systemd/system/{}.d", service_of(agent)));
    let directories: Vec<String> = directories.collect();
    report.found(
        Part::Mount,
        (mount, agents.join(", ")),
        "the agent's user may not enter it, so it is shown as an error, without figures",
        format!(
            "leave it out by exclude_mounts, or grant it: copy {EXAMPLE} to {}",
            directories.join(" and ")
        ),
    );
}

/// The mounts that are left out, beyond those that always are.
fn filters(values: &Value) -> Filters {
    let mut filters = Filters::default();
    for table in ["host", "measure"] {
        let list = |key: &str| {
            let texts = values[table][key].as_array().into_iter().flatten();
            texts
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        filters.mount_points_exclude.extend(list("exclude_mounts"));
        filters.fs_types_exclude.extend(list("exclude_fs_types"));
    }
    filters
}

/// The mounts that this process reaches and the service's user does not.
fn hidden_from(
    around: &Surroundings,
    service: &Service,
    filters: Filters,
) -> anyhow::Result<BTreeSet<String>> {
    let enters_all = service.ambient_capabilities & ENTERS_ALL != 0 && !service.private_users;
    let Some(identity) = identity(around, service).filter(|_| !enters_all) else {
        return Ok(BTreeSet::new());
    };
    let mut host = Host::new(Root::new(around.host.paths().root()));
    host.filters = filters;
    let seen = reachable(&host)?;
    let seen_by_user = thread::scope(|scope| {
        let looking = scope.spawn(|| -> anyhow::Result<_> {
            identity.assume()?;
            Ok(reachable(&host)?)
        });
        looking.join()
    });
    let seen_by_user =
        seen_by_user.map_err(|_| Fault::new(Class::Bug, "looking as the agent's user"))??;
    Ok(seen.difference(&seen_by_user).cloned().collect())
}

fn reachable(host: &Host) -> Result<BTreeSet<String>, roundsman_host::Error> {
    let mounts = filesystem::read(host)?.list.into_iter();
    let known = mounts.filter(|mount| matches!(mount.status, Status::Known(_)));
    Ok(known.map(|mount| mount.mount_point).collect())
}

/// The service's user with its groups; none if it runs as root, or the user does not exist,
/// which is a finding elsewhere.
fn identity(around: &Surroundings, service: &Service) -> Option<Identity> {
    let paths = around.host.paths();
    let user = accounts::user(paths, &service.user)?;
    let gid = |name: &String| accounts::group(paths, name).map(|group| Gid::from_raw(group.gid));
    Some(Identity {
        user: Uid::from_raw(user.uid),
        group: gid(&service.group).unwrap_or(Gid::from_raw(user.gid)),
        others: service
            .supplementary_groups
            .iter()
            .filter_map(gid)
            .collect(),
    })
}

impl Identity {
    /// Takes it on for the calling thread alone, and for good: the kernel keeps credentials per
    /// thread, and with the user all capabilities go.
    fn assume(&self) -> io::Result<()> {
        set_thread_groups(&self.others)?;
        set_thread_res_gid(self.group, self.group, self.group)?;
        set_thread_res_uid(self.user, self.user, self.user)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_exclusions_are_added_to_the_defaults() {
        let values = serde_json::json!({"measure": {"exclude_mounts": ["/mnt/x"]}});
        let with = filters(&values);
        assert!(with.mount_points_exclude.contains(&"/mnt/x".to_owned()));
        assert!(with.mount_points_exclude.contains(&"/proc".to_owned()));
        assert_eq!(filters(&Value::Null), Filters::default());
    }
}
