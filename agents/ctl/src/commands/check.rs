//! `roundsman check`: one list of everything that is set up wrongly, each with its remedy.
//!
//! A finding is something that is wrong. What this user, or this machine, does not let us look
//! at is listed apart and is no finding: nothing unknown is called wrong, or right.

mod agents;
mod files;
mod mounts;
mod ports;
mod store;
mod units;
mod writable;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use roundsman_kit::Class;
use roundsman_kit::config::Finding;
use serde::Serialize;

use crate::host::{Host, OUTSIDER};
use crate::programs;
use crate::systemd::Manager;
use crate::terminal::{BAD, GOOD, ODD, Out, escape};

const EXAMPLES: &str = "\
Examples:
  sudo roundsman check
  roundsman check --verbose
  roundsman check --json | jq '.findings[]'

Checked are: the configuration of every agent, as its own program judges it (as root: with the
eyes of the agent's user); its units as systemd has loaded them, drop-ins included; the
credentials that its configuration names; the ports of its sockets; the mounts that an agent
shows and may not enter; the store; the files and directories that tmpfiles.d makes; users and
group. It exits with 78 if there is a finding.";

/// The options of `roundsman check`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Options {
    /// Also list what is in order
    #[arg(short, long)]
    verbose: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Files of an agent's configuration.
    Config,
    /// A unit.
    Unit,
    /// A credential.
    Credential,
    /// A listening socket.
    Port,
    /// The database.
    Store,
    /// A file or directory of ours.
    File,
    /// A user or group.
    Account,
    /// A mount of this host.
    Mount,
}

/// Everything that was found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    findings: Vec<Found>,
    unchecked: Vec<Unchecked>,
    sound: Vec<Sound>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Found {
    part: Part,
    #[serde(flatten)]
    finding: Finding,
}

#[derive(Debug, Serialize)]
struct Unchecked {
    part: Part,
    about: String,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Sound {
    part: Part,
    about: String,
}

impl Report {
    /// Something is wrong: where, at which key, why, and what to do.
    pub fn found(
        &mut self,
        part: Part,
        (file, key): (impl Into<String>, impl Into<String>),
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let finding = Finding {
            file: file.into(),
            key: key.into(),
            reason: reason.into(),
            remedy: remedy.into(),
        };
        self.add(part, finding);
    }

    /// A finding that somebody else made.
    pub fn add(&mut self, part: Part, finding: Finding) {
        let found = Found { part, finding };
        // Every agent reads common.toml, and so finds the same there.
        if !self.findings.contains(&found) {
            self.findings.push(found);
        }
    }

    /// Something could not be looked at.
    pub fn unchecked(&mut self, part: Part, about: impl Into<String>, reason: impl Into<String>) {
        self.unchecked.push(Unchecked {
            part,
            about: about.into(),
            reason: reason.into(),
        });
    }

    /// Something is in order.
    pub fn sound(&mut self, part: Part, about: impl Into<String>) {
        let about = about.into();
        self.sound.push(Sound { part, about });
    }

    /// How many findings there are so far: to tell whether a look added any.
    pub fn n_findings(&self) -> usize {
        self.findings.len()
    }
}

/// What all looks need.
pub struct Surroundings<'h> {
    /// The host.
    pub host: &'h Host,
    /// Its service manager, if there is one.
    pub manager: Option<Manager>,
    /// The agents' own programs, by agent.
    pub programs: BTreeMap<String, PathBuf>,
    /// Its agents.
    pub agents: Vec<crate::agents::Agent>,
}

impl Options {
    /// Looks at everything, and prints the list.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        let mut report = Report::default();
        let manager = match host.manager() {
            Ok(manager) => Some(manager),
            Err(absent) => {
                let about = "effective settings of units, sockets";
                report.unchecked(Part::Unit, about, format!("{absent:#}"));
                None
            }
        };
        let around = Surroundings {
            host,
            programs: programs::all(),
            agents: crate::agents::discover(host, manager.as_ref())?,
            manager,
        };
        units::check(&around, &mut report);
        ports::check(&around, &mut report);
        if host.is_outsider() {
            let about = "configuration, credentials, store, files";
            report.unchecked(Part::Account, about, OUTSIDER);
        } else {
            let configured = agents::check(&around, &mut report);
            writable::check(&around, &configured, &mut report);
            mounts::check(&around, &configured, &mut report);
            files::check(&around, &mut report);
            store::check(&around, &mut report);
        }
        if self.json {
            out.json_line(&report)?;
        } else {
            self.print(&report, out)?;
        }
        let is_sound = report.findings.is_empty();
        let code = if is_sound {
            0
        } else {
            Class::Config.exit_code()
        };
        Ok(code.into())
    }

    fn print(&self, report: &Report, out: &mut Out) -> anyhow::Result<()> {
        for Found { part, finding } in &report.findings {
            let part = out.paint(BAD, part.word());
            writeln!(out, "{part}: {}", escape(&finding.to_string()))?;
        }
        for Unchecked {
            part,
            about,
            reason,
        } in &report.unchecked
        {
            let head = out.paint(ODD, "not checked");
            writeln!(
                out,
                "{head}: {}: {}: {}",
                part.word(),
                escape(about),
                escape(reason)
            )?;
        }
        if self.verbose {
            for Sound { part, about } in &report.sound {
                let head = out.paint(GOOD, "ok");
                writeln!(out, "{head}: {}: {}", part.word(), escape(about))?;
            }
        }
        let n = report.findings.len();
        let (style, text) = match n {
            0 => (GOOD, "no findings".to_owned()),
            1 => (BAD, "1 finding".to_owned()),
            n => (BAD, format!("{n} findings")),
        };
        writeln!(out, "{}", out.paint(style, &text))?;
        Ok(())
    }
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Unit => "unit",
            Self::Credential => "credential",
            Self::Port => "port",
            Self::Store => "store",
            Self::File => "file",
            Self::Account => "account",
            Self::Mount => "mount",
        }
    }
}
