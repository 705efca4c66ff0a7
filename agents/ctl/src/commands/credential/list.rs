//! `roundsman credential list`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::agents::{self, Agent};
use crate::credentials::{self, Presence};
use crate::host::Host;
use crate::programs::{self, Answer, Asker};
use crate::systemd::{Manager, Source};
use crate::terminal::{BAD, Cell, GOOD, HEAD, ODD, Out};

/// The options of `roundsman credential list`.
#[derive(Debug, Args)]
pub struct Options {
    /// Only this agent
    agent: Option<String>,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

/// One credential of one agent.
#[derive(Debug, Serialize)]
struct Row {
    agent: String,
    name: String,
    /// Whether the agent's configuration names it; unknown where the program could not say.
    is_named: Option<bool>,
    source: Option<Source>,
    presence: Presence,
}

impl Options {
    /// Prints one line per credential that an agent's configuration names or its unit is given.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        let manager = host.manager().ok();
        let programs = programs::all();
        let mut rows = Vec::new();
        for agent in agents::discover(host, manager.as_ref())? {
            let wanted = self.agent.as_deref().is_none_or(|name| name == agent.name);
            if wanted && agent.is_installed() && !agent.is_idle_instance() {
                rows.extend(rows_of(host, manager.as_ref(), &programs, &agent)?);
            }
        }
        if self.json {
            for row in &rows {
                out.json_line(row)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let heads = ["AGENT", "CREDENTIAL", "STATE", "FROM"];
        let mut table = vec![heads.map(|head| Cell::styled(head, HEAD)).to_vec()];
        table.extend(rows.iter().map(Row::cells));
        out.table(&table)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn rows_of(
    host: &Host,
    manager: Option<&Manager>,
    programs: &BTreeMap<String, std::path::PathBuf>,
    agent: &Agent,
) -> anyhow::Result<Vec<Row>> {
    let (name, instance) = agent.name_and_instance();
    let answer = programs
        .get(name)
        .map(|program| programs::ask(host, program, instance, &Asker::default()));
    let named = match answer {
        Some(Answer::Sound { credentials, .. }) => Some(credentials),
        _ => None,
    };
    let given = credentials::of(host, manager, &agent.service())?;
    let row = |name: &str, source, presence| Row {
        agent: agent.name.clone(),
        name: name.to_owned(),
        is_named: named.as_ref().map(|names| names.iter().any(|n| n == name)),
        source,
        presence,
    };
    let mut rows: Vec<Row> = Vec::new();
    for wanted in named.iter().flatten() {
        let given = given
            .iter()
            .rfind(|given| credentials::provides(given, wanted));
        rows.push(match given {
            Some(given) => {
                let presence = credentials::presence(host.paths(), given, wanted);
                row(wanted, Some(given.source.clone()), presence)
            }
            None => row(wanted, None, Presence::Missing),
        });
    }
    for given in given.iter().filter(|given| given.source != Source::Import) {
        if !rows.iter().any(|row| row.name == given.name) {
            let presence = credentials::presence(host.paths(), given, &given.name);
            rows.push(row(&given.name, Some(given.source.clone()), presence));
        }
    }
    Ok(rows)
}

impl Row {
    fn cells(&self) -> Vec<Cell> {
        let (state, style) = match (self.presence, &self.source, self.is_named) {
            (_, None, _) => ("not given to the unit", BAD),
            (Presence::Missing, ..) => ("missing", BAD),
            (Presence::Hidden, ..) => ("not readable by you", ODD),
            (Presence::There, _, Some(false)) => ("not named by the configuration", ODD),
            (Presence::There, ..) => ("ok", GOOD),
        };
        let from = match &self.source {
            Some(Source::Plain(from)) => from.clone(),
            Some(Source::Encrypted(from)) => format!("{from} (encrypted)"),
            Some(Source::Inline) => "the unit itself".to_owned(),
            Some(Source::Import) => "the credential stores".to_owned(),
            None => String::new(),
        };
        vec![
            Cell::new(&self.agent),
            Cell::new(&self.name),
            Cell::styled(state, style),
            Cell::new(from),
        ]
    }
}
