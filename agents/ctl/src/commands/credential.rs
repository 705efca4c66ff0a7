//! `roundsman credential`: secrets of agents as systemd credentials (systemd.exec(5)).

mod add;
mod list;
mod secret;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use roundsman_kit::{Class, Fault, Paths, secret as names};

use crate::agents;
use crate::drop_in::{self, DropIn};
use crate::host::Host;
use crate::terminal::{Out, escape};

const EXAMPLES: &str = "\
Examples:
  roundsman credential add exporter bearer-token < token.txt
  pass show web/token | roundsman credential add beacon@prod api-token
  roundsman credential list
  roundsman credential remove exporter bearer-token

A secret is encrypted by systemd-creds(1) where that works, else stored readable by root alone.
Only the agent's unit is given it, when it starts.";

/// The options of `roundsman credential`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Store the secret on standard input and give it to an agent; replaces an earlier one
    Add(Named),
    /// List the credentials of agents: named by their configuration, given by their units
    List(list::Options),
    /// Remove a secret that `add` stored
    Remove(Named),
}

/// Which credential.
#[derive(Debug, Args)]
struct Named {
    /// The agent; beacon@prod for an instance, beacon for all instances of a template
    agent: String,
    /// The name by which the agent's configuration calls it
    name: String,
}

impl Options {
    /// Does it.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::List(options) => options.run(host, out),
            Action::Add(named) => {
                host.require_root("storing secrets")?;
                add::run(host, out, &Place::of(host, &named)?)
            }
            Action::Remove(named) => {
                host.require_root("removing secrets")?;
                remove(host, out, &Place::of(host, &named)?)
            }
        }
    }
}

/// Where one credential lies, and what gives it to the agent.
struct Place {
    name: String,
    service: String,
    plain: PathBuf,
    encrypted: PathBuf,
    drop_in: DropIn,
}

impl Place {
    /// Refuses what is no name, and an agent that this host does not have.
    fn of(host: &Host, named: &Named) -> anyhow::Result<Self> {
        let Named { agent, name } = named;
        if !names::is_name(name) {
            let message = format!(
                "\"{}\" is not the name of a credential: use letters, digits, \".\", \"_\", \"-\"",
                escape(name)
            );
            return Err(Fault::new(Class::Config, message).into());
        }
        let service = service(host, agent)?;
        Ok(Self::at(host.paths(), &service, name))
    }

    fn at(paths: &Paths, service: &str, name: &str) -> Self {
        // The unit stands in the file's name: two agents may call different secrets the same.
        let stem = service.trim_end_matches(".service");
        let file = format!("{stem}.{name}");
        Self {
            name: name.to_owned(),
            service: service.to_owned(),
            plain: paths.at("/etc/credstore").join(&file),
            encrypted: paths.at("/etc/credstore.encrypted").join(&file),
            drop_in: DropIn::of(paths, service, &format!("50-credential-{name}.conf")),
        }
    }
}

/// The service of `agent`; of a template that is named without `@` the template itself.
fn service(host: &Host, agent: &str) -> anyhow::Result<String> {
    let manager = host.manager().ok();
    let known = agents::discover(host, manager.as_ref())?;
    let has = |name: &str| known.iter().any(|agent| agent.name == name);
    let template = match agent.split_once('@') {
        Some((agent, _)) => format!("{agent}@"),
        None => format!("{agent}@"),
    };
    let is_instance = agent.contains('@') && !agent.contains('/');
    let name = if has(agent) || (is_instance && has(&template)) {
        agent
    } else if has(&template) {
        &template
    } else {
        let names: Vec<_> = known.iter().map(|agent| agent.name.as_str()).collect();
        let message = format!(
            "there is no agent \"{}\" on this host (there are: {})",
            escape(agent),
            names.join(", ")
        );
        return Err(Fault::new(Class::Config, message).into());
    };
    Ok(agents::service_of(name))
}

fn remove(host: &Host, out: &mut Out, place: &Place) -> anyhow::Result<ExitCode> {
    // The drop-in first: a unit that names a file which is gone would not start.
    let mut removed = place.drop_in.remove()?;
    for file in [&place.encrypted, &place.plain] {
        removed |= drop_in::remove_file(file)?;
    }
    if !removed {
        let message = format!(
            "{} has no credential \"{}\" that `roundsman credential add` stored",
            place.service, place.name
        );
        return Err(Fault::new(Class::Config, message).into());
    }
    drop_in::reload(host, out)?;
    writeln!(
        out,
        "{} is no longer given to {}",
        place.name, place.service
    )?;
    restart_hint(host, out, place)?;
    Ok(ExitCode::SUCCESS)
}

/// A unit gets its credentials when it starts, so one that runs must be restarted.
fn restart_hint(host: &Host, out: &mut Out, place: &Place) -> anyhow::Result<()> {
    let runs = match host.manager() {
        Ok(manager) if !place.service.contains("@.") => {
            manager.unit(&place.service)?.active == "active"
        }
        _ => false,
    };
    if runs {
        writeln!(
            out,
            "it takes effect with: systemctl restart {}",
            place.service
        )?;
    } else {
        writeln!(out, "it takes effect when {} starts", place.service)?;
    }
    Ok(())
}
