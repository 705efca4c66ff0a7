//! `roundsman silence add`

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{ArgGroup, Args};
use roundsman_kit::clock::Timestamp;
use serde::Serialize;

use super::{Told, name, say, take_effect};
use crate::commands::deliveries::refuse;
use crate::drop_in;
use crate::host::Host;
use crate::moment;
use crate::silences;
use crate::terminal::{Out, escape};

/// The longest reason, in characters.
const REASON: usize = 500;

const EXAMPLES: &str = "\
Examples:
  roundsman silence add disks --for 2h --reason \"new disks\" --kind 'hostmetrics.disk*'
  roundsman silence add db --until 06:00 --reason \"restore test\" --label cluster=blue --urgent

All that is given must hold; of several kinds or agents, one. --kind '*' is about every event.

Exit codes: 0; 1 there is one of this name, no condition, or the time is over; 78 the file may not be written.";

/// What to silence, until when, and why.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{}", moment::FORMS),
          group = ArgGroup::new("end").required(true))]
pub struct Add {
    /// Its name: letters, digits, "-" and "_"
    #[arg(value_parser = name)]
    name: String,
    /// How long, as 2h, 30min or 7d
    #[arg(long = "for", value_name = "SPAN", group = "end", value_parser = moment::parse_span)]
    span: Option<Duration>,
    /// Until when
    #[arg(long, value_name = "TIME", group = "end", value_parser = moment::parse)]
    until: Option<Timestamp>,
    /// Why, for those who wonder later
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    /// Events whose kind fits this glob (repeatable)
    #[arg(long = "kind", value_name = "GLOB")]
    kinds: Vec<String>,
    /// Events of this agent (repeatable)
    #[arg(long = "agent", value_name = "AGENT")]
    agents: Vec<String>,
    /// Events whose subject fits this glob
    #[arg(long, value_name = "GLOB")]
    subject: Option<String>,
    /// Events with this label; the value is a glob (repeatable)
    #[arg(long = "label", value_name = "NAME=GLOB", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Also what is emerg, alert or crit
    #[arg(long)]
    urgent: bool,
    /// Replace one of this name
    #[arg(long)]
    force: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// What stands in the file; tables come last.
#[derive(Serialize)]
struct Content<'a> {
    until: String,
    reason: &'a str,
    urgent: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    kinds: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    agents: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, &'a str>,
}

impl Add {
    /// Writes the file, and has herald read it.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        let now = moment::now();
        let until = match (self.span, self.until) {
            (Some(span), _) => now.plus(span),
            (None, until) => until.unwrap_or(now),
        };
        if until <= now {
            let why = format!("{} is over already", moment::show(until));
            return Ok(refuse(&[why]));
        }
        if !self.has_condition() {
            let why = "name at least one condition: --kind, --agent, --subject or --label; \
                       --kind '*' is about every event";
            return Ok(refuse(&[why.to_owned()]));
        }
        let path = silences::file(host.paths(), &self.name);
        if !self.force && path.symlink_metadata().is_ok() {
            let why = format!("silence {} is there already (--force)", self.name);
            return Ok(refuse(&[why]));
        }
        let text = self.text(until)?;
        drop_in::make_directory(&silences::directory(host.paths()), 0o755)?;
        drop_in::write_file(&path, text.as_bytes(), 0o644)?;
        if self.json {
            out.json_line(&Told {
                name: &self.name,
                file: path.display().to_string(),
                until: Some(until),
            })?;
        } else {
            let (at, left) = (moment::show(until), moment::relative(until, now));
            writeln!(out, "silence {} until {at} ({left})", escape(&self.name))?;
        }
        say(take_effect(host), self.json, out)?;
        Ok(ExitCode::SUCCESS)
    }

    fn has_condition(&self) -> bool {
        let lists = [self.kinds.len(), self.agents.len(), self.labels.len()];
        self.subject.is_some() || lists.iter().any(|len| *len > 0)
    }

    fn text(&self, until: Timestamp) -> anyhow::Result<String> {
        let labels = self.labels.iter();
        let content = Content {
            until: until.to_string(),
            reason: &self.reason,
            urgent: self.urgent,
            kinds: &self.kinds,
            agents: &self.agents,
            subject: self.subject.as_deref(),
            labels: labels.map(|(name, glob)| (&**name, &**glob)).collect(),
        };
        let toml = toml::to_string(&content).context("writing a silence")?;
        Ok(format!("# Written by `roundsman silence add`.\n{toml}"))
    }
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("say why".into()),
        n if n > REASON => Err(format!("write {REASON} characters at most")),
        _ => Ok(text.to_owned()),
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, glob)) if !name.is_empty() => Ok((name.to_owned(), glob.to_owned())),
        _ => Err("write NAME=GLOB".into()),
    }
}
