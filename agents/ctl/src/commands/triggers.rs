//! `roundsman triggers`: which events go where, and what became of one.

mod explain;

pub use explain::find;

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use roundsman_store::delivery;
use roundsman_store::event;
use serde::Serialize;
use serde_json::{Map, Value};

use super::refuse_early;
use crate::herald::{self, Herald};
use crate::host::Host;
use crate::terminal::{BAD, Cell, FAINT, HEAD, ODD, Out, complain};

const EXAMPLES: &str = "\
Examples:
  roundsman triggers
  roundsman triggers explain 4711
  roundsman triggers explain 0198f2c1-5d6e-7a00-8000-1f2e3d4c5b6a --json

It reads herald's files as they are now; herald goes by those that it has loaded
(systemctl reload roundsman-herald). A trigger with a fault is left out.";

/// The options of `roundsman triggers`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Options {
    #[command(flatten)]
    list: List,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List triggers; also what happens without a subcommand
    #[command(after_long_help = "Example:\n  roundsman triggers list --json")]
    List(List),
    /// Say of each trigger whether it wants an event, and where that went
    Explain(explain::Explain),
}

#[derive(Debug, Args)]
struct List {
    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

/// A trigger and how far it is.
#[derive(Serialize)]
struct Row {
    name: String,
    conditions: Map<String, Value>,
    #[serde(skip)]
    words: String,
    endpoints: Vec<String>,
    /// Why herald goes without it.
    left_out: Option<String>,
    position: Option<i64>,
    /// Events after the position.
    behind: Option<u64>,
    /// Deliveries that the store still has.
    deliveries: u64,
}

impl Options {
    /// Does it.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        match self.action {
            Some(_) if self.list.json => Ok(refuse_early()),
            None => self.list.run(host, out),
            Some(Action::List(list)) => list.run(host, out),
            Some(Action::Explain(explain)) => explain.run(host, out),
        }
    }
}

impl List {
    fn run(&self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        let herald = Herald::load(host)?;
        let (positions, newest, made) = host.store()?.read(|tx| {
            Ok((
                herald::positions(tx)?,
                event::newest_id(tx)?,
                delivery::by_trigger(tx)?,
            ))
        })?;
        let row = |name: &str| {
            let position = positions.get(name).map(|id| id.0);
            let behind = position.map(|id| u64::try_from(newest.0 - id).unwrap_or(0));
            Row {
                name: name.to_owned(),
                conditions: Map::new(),
                words: "-".into(),
                endpoints: Vec::new(),
                left_out: None,
                position,
                behind,
                deliveries: made.get(name).copied().unwrap_or(0),
            }
        };
        let whole = herald.settings.triggers.iter();
        let mut rows: Vec<Row> = whole
            .map(|(name, trigger)| Row {
                conditions: herald::conditions(trigger),
                words: herald::in_words(trigger),
                endpoints: trigger.endpoints.clone(),
                ..row(name)
            })
            .collect();
        rows.extend(herald.broken_triggers().into_iter().map(|(name, why)| Row {
            left_out: Some(why.to_string()),
            ..row(name)
        }));
        complain(herald.left_out.iter().map(|why| format!("left out: {why}")));
        if self.json {
            rows.iter().try_for_each(|row| out.json_line(row))?;
        } else if rows.is_empty() {
            writeln!(out, "no triggers: herald sends nothing")?;
        } else {
            table(&rows, out)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(rows: &[Row], out: &mut Out) -> anyhow::Result<()> {
    let head = ["NAME", "BEHIND", "DELIVERIES", "ENDPOINTS", "WANTS"];
    let mut lines = vec![head.map(|name| Cell::styled(name, HEAD)).to_vec()];
    lines.extend(rows.iter().map(cells));
    out.table(&lines)?;
    Ok(())
}

fn cells(row: &Row) -> Vec<Cell> {
    let behind = match row.behind {
        Some(0) => Cell::new("0"),
        Some(events) => Cell::styled(events.to_string(), ODD),
        None => Cell::styled("not loaded", FAINT),
    };
    let words = match row.left_out {
        Some(_) => Cell::styled("left out: its settings cannot be used", BAD),
        None => Cell::new(&row.words),
    };
    let endpoints = match row.endpoints.is_empty() {
        true => "-".to_owned(),
        false => row.endpoints.join(","),
    };
    vec![
        Cell::new(&row.name),
        behind,
        Cell::new(row.deliveries.to_string()),
        Cell::new(endpoints),
        words,
    ]
}
