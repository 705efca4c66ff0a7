//! `roundsman silence list`

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use roundsman_kit::clock::Timestamp;

use crate::host::Host;
use crate::moment;
use crate::silences::{self, Shown};
use crate::terminal::{Cell, FAINT, HEAD, ODD, Out, complain};

/// How to list.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  roundsman silence list --json")]
pub struct List {
    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

impl List {
    /// Lists them by name.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        let now = moment::now();
        let overview = silences::overview(host, now);
        complain(overview.faults);
        let uncounted = overview.uncounted.iter();
        complain(uncounted.map(|why| format!("what they hold is not known: {why:#}")));
        let shown = overview.shown;
        if self.json {
            shown.iter().try_for_each(|one| out.json_line(one))?;
        } else if shown.is_empty() {
            writeln!(out, "no silences")?;
        } else {
            table(&shown, now, out)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(shown: &[Shown], now: Timestamp, out: &mut Out) -> anyhow::Result<()> {
    let head = ["NAME", "UNTIL", "REMAINING", "HELD", "MATCHES", "REASON"];
    let mut lines = vec![head.map(|name| Cell::styled(name, HEAD)).to_vec()];
    lines.extend(shown.iter().map(|one| cells(one, now)));
    out.table(&lines)?;
    Ok(())
}

fn cells(one: &Shown, now: Timestamp) -> Vec<Cell> {
    let remaining = match one.is_active {
        true => Cell::styled(moment::span(one.until.since(now)), ODD),
        false => Cell::styled("over", FAINT),
    };
    let held = one.held.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let urgent = if one.urgent { ", urgent too" } else { "" };
    vec![
        Cell::new(&one.name),
        Cell::new(moment::show(one.until)),
        remaining,
        Cell::new(held),
        Cell::new(format!("{}{urgent}", one.matches)),
        Cell::new(&one.reason),
    ]
}
