//! `roundsman endpoints`: where events are sent, and whether anything arrives there.

mod test;

use std::io::Write;
use std::process::ExitCode;

use anstyle::Style;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, Count, State};
use roundsman_store::endpoint::{self, Endpoint};
use roundsman_store::{ReadTx, Result, WriteTx};
use serde::Serialize;

use super::deliveries::{refuse, unknown_endpoint};
use super::refuse_early;
use crate::host::Host;
use crate::moment;
use crate::terminal::{BAD, Cell, FAINT, GOOD, HEAD, ODD, Out, escape};

const EXAMPLES: &str = "\
Examples:
  roundsman endpoints
  roundsman endpoints test ops
  roundsman endpoints disable ops --reason \"the receiver moves house\"
  roundsman endpoints enable ops

Nothing is sent to a disabled endpoint, and nothing is lost: its deliveries wait until it is enabled
or its configuration changes, and are parked when they are too old.";

/// The longest reason, in characters.
const REASON: usize = 200;

/// The options of `roundsman endpoints`.
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
    /// List endpoints; also what happens without a subcommand
    List(List),
    /// Send one request now, and show what comes of it
    Test(test::Test),
    /// Send to it again: it was disabled, or is down
    Enable {
        /// The endpoint
        name: String,
    },
    /// Send nothing to it until it is enabled
    Disable {
        /// The endpoint
        name: String,
        /// Why, for those who wonder later
        #[arg(long, value_name = "TEXT", default_value = "by hand", value_parser = reason)]
        reason: String,
    },
}

#[derive(Debug, Args)]
struct List {
    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

fn reason(text: &str) -> std::result::Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("say something, or leave it out".into()),
        n if n > REASON => Err(format!("write {REASON} characters at most")),
        _ => Ok(text.to_owned()),
    }
}

/// An endpoint and what is owed to it.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    endpoint: Endpoint,
    state: &'static str,
    due: u64,
    parked: u64,
}

impl Options {
    /// Does it.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        match self.action {
            Some(_) if self.list.json => Ok(refuse_early()),
            None => self.list.run(host, out),
            Some(Action::Test(test)) => test.run(host, out),
            Some(Action::List(list)) => list.run(host, out),
            Some(Action::Enable { name }) => {
                let why_not = change(host, &name, |tx| endpoint::enable(tx, &name))?;
                if why_not.is_none() {
                    writeln!(out, "{} is enabled", escape(&name))?;
                }
                Ok(refuse(why_not.as_slice()))
            }
            Some(Action::Disable { name, reason }) => {
                let now = moment::now();
                let disable = |tx: &WriteTx<'_>| endpoint::disable(tx, &name, now, &reason);
                let why_not = change(host, &name, disable)?;
                if why_not.is_none() {
                    writeln!(
                        out,
                        "{} is disabled, until `roundsman endpoints enable` or until its configuration changes",
                        escape(&name)
                    )?;
                }
                Ok(refuse(why_not.as_slice()))
            }
        }
    }
}

/// Changes an endpoint, or says why it could not be. It is synced like an event: what a person was
/// told stands, also after a power cut.
fn change(
    host: &Host,
    name: &str,
    change: impl Fn(&WriteTx<'_>) -> Result<bool>,
) -> anyhow::Result<Option<String>> {
    let mut store = host.writer("change an endpoint")?;
    let why_not = store.publish(|tx| {
        if change(tx)? {
            return Ok(None);
        }
        why_not(tx, name).map(Some)
    });
    why_not.context("changing an endpoint")
}

fn why_not(tx: &ReadTx<'_>, name: &str) -> Result<String> {
    if let Some(unknown) = unknown_endpoint(tx, name)? {
        return Ok(unknown);
    }
    let found = endpoint::list(tx)?.into_iter().find(|one| one.name == name);
    let disabled = found.as_ref().and_then(|one| Some((one, one.disabled_at?)));
    Ok(match disabled {
        Some((endpoint, at)) => {
            let since = moment::relative(at, moment::now());
            let reason = endpoint.disabled_reason.as_deref().unwrap_or("no reason");
            format!("endpoint {name} was disabled {since} already: {reason}")
        }
        None => format!("endpoint {name} is neither disabled nor down"),
    })
}

impl List {
    fn run(&self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        let (endpoints, counts) = host
            .store()?
            .read(|tx| Ok((endpoint::list(tx)?, delivery::counts(tx)?)))?;
        let rows: Vec<Row> = endpoints.into_iter().map(|one| row(one, &counts)).collect();
        if self.json {
            rows.iter().try_for_each(|row| out.json_line(row))?;
        } else if rows.is_empty() {
            writeln!(out, "no endpoints: herald has met none yet")?;
        } else {
            table(&rows, out)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(endpoint: Endpoint, counts: &[Count]) -> Row {
    let count = |state| {
        let same = |count: &&Count| count.endpoint == endpoint.name && count.state == state;
        counts.iter().find(same).map_or(0, |count| count.total)
    };
    Row {
        due: count(State::Due),
        parked: count(State::Parked),
        state: state(&endpoint).0,
        endpoint,
    }
}

/// What there is to say first of an endpoint, how that is painted, and since when it is so.
fn state(endpoint: &Endpoint) -> (&'static str, Style, Option<Timestamp>) {
    let Endpoint {
        gone_at,
        disabled_at,
        opened_at,
        ..
    } = endpoint;
    if gone_at.is_some() {
        return ("gone", FAINT, *gone_at);
    }
    if disabled_at.is_some() {
        return ("disabled", ODD, *disabled_at);
    }
    if opened_at.is_some() {
        return ("down", BAD, *opened_at);
    }
    ("up", GOOD, None)
}

fn table(rows: &[Row], out: &mut Out) -> anyhow::Result<()> {
    let now = moment::now();
    let head = [
        "NAME",
        "STATE",
        "SINCE",
        "DUE",
        "PARKED",
        "LAST SUCCESS",
        "LAST ERROR",
    ];
    let mut lines = vec![head.map(|name| Cell::styled(name, HEAD)).to_vec()];
    lines.extend(rows.iter().map(|row| cells(row, now)));
    out.table(&lines)?;
    Ok(())
}

fn cells(row: &Row, now: Timestamp) -> Vec<Cell> {
    let endpoint = &row.endpoint;
    let (state, style, since) = state(endpoint);
    let ago =
        |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| moment::relative(at, now));
    let parked = if row.parked > 0 { ODD } else { Style::new() };
    vec![
        Cell::new(&endpoint.name),
        Cell::styled(state, style),
        Cell::new(ago(since)),
        Cell::new(row.due.to_string()),
        Cell::styled(row.parked.to_string(), parked),
        Cell::new(ago(endpoint.last_success)),
        Cell::new(wrong(endpoint, now)),
    ]
}

/// Why it is disabled, and how it failed last.
fn wrong(endpoint: &Endpoint, now: Timestamp) -> String {
    let mut parts = Vec::new();
    if let Some(reason) = &endpoint.disabled_reason {
        parts.push(format!("disabled: {reason}"));
    }
    if let Some(error) = &endpoint.last_error {
        let at = endpoint.last_failure.map(|at| moment::relative(at, now));
        let at = at.map(|at| format!(" ({at})")).unwrap_or_default();
        parts.push(format!("{error}{at}"));
    }
    if parts.is_empty() {
        return "-".into();
    }
    parts.join("; ")
}
