//! `roundsman deliveries list`: one line each.

use std::io::Write;
use std::process::ExitCode;

use anstyle::Style;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, Filter, State};

use super::row::Row;
use super::{refuse, unknown_endpoint};
use crate::host::Host;
use crate::moment;
use crate::terminal::{Cell, FAINT, HEAD, ODD, Out};

/// The most that is listed at once: each row brings its body and its event along.
const MOST: i64 = 10_000;

/// How many are listed unless told otherwise.
const LINES: u32 = 100;

/// Which deliveries to list.
#[derive(Debug, Args)]
pub struct List {
    /// Those to this endpoint
    #[arg(long, value_name = "ENDPOINT")]
    endpoint: Option<String>,
    /// Those in this state
    #[arg(long, value_name = "STATE", value_parser = state())]
    state: Option<State>,
    /// The same as --state parked
    #[arg(long, conflicts_with = "state")]
    parked: bool,
    /// Those made since this time
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    since: Option<Timestamp>,
    /// The last N, 10000 at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = LINES,
          value_parser = clap::value_parser!(u32).range(1..=MOST))]
    lines: u32,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

fn state() -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(["due", "done", "parked"]).try_map(|name| name.parse::<State>())
}

impl List {
    /// Whether nothing was asked for but the list.
    pub fn is_plain(&self) -> bool {
        let Self {
            endpoint,
            state,
            parked,
            since,
            lines,
            json,
        } = self;
        let is_filtered = endpoint.is_some() || state.is_some() || since.is_some();
        !is_filtered && !parked && !json && *lines == LINES
    }

    /// Lists them, the oldest first.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        let filter = Filter {
            endpoint: self.endpoint,
            state: if self.parked {
                Some(State::Parked)
            } else {
                self.state
            },
            since: self.since,
        };
        let (unknown, rows) = host.store()?.read(|tx| {
            let unknown = match &filter.endpoint {
                Some(name) => unknown_endpoint(tx, name)?,
                None => None,
            };
            let rows = Row::of(tx, delivery::list(tx, &filter, self.lines)?)?;
            Ok((unknown, rows))
        })?;
        if self.json {
            rows.iter().try_for_each(|row| out.json_line(&row.json()))?;
        } else if !rows.is_empty() {
            table(&rows, out)?;
        } else if unknown.is_none() {
            writeln!(out, "no deliveries")?;
        }
        Ok(refuse(unknown.as_slice()))
    }
}

fn table(rows: &[Row], out: &mut Out) -> anyhow::Result<()> {
    let now = moment::now();
    let head = [
        "ID", "ENDPOINT", "STATE", "AGE", "TRIES", "NEXT", "STATUS", "UID", "ABOUT", "ERROR",
    ];
    let mut lines = vec![head.map(|name| Cell::styled(name, HEAD)).to_vec()];
    lines.extend(rows.iter().map(|row| cells(row, now)));
    out.table(&lines)?;
    Ok(())
}

fn cells(row: &Row, now: Timestamp) -> Vec<Cell> {
    let delivery = &row.delivery;
    let (state, style) = row.state();
    let status = delivery.last_status.map(|status| status.to_string());
    let error_style = match delivery.state {
        State::Due => ODD,
        State::Done | State::Parked => Style::new(),
    };
    vec![
        Cell::new(delivery.id.0.to_string()),
        Cell::new(&delivery.endpoint),
        Cell::styled(state, style),
        Cell::new(moment::span(now.since(delivery.created_at))),
        Cell::new(delivery.attempts.to_string()),
        Cell::new(row.next(now)),
        Cell::new(status.as_deref().unwrap_or("-")),
        Cell::styled(&delivery.uid, FAINT),
        Cell::new(row.about()),
        Cell::styled(delivery.last_error.as_deref().unwrap_or("-"), error_style),
    ]
}
